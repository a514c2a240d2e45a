"""Lillicrap et al. 2016, "Random synaptic feedback weights support error backpropagation": the linear task of figure 1.

    python examples/lillicrap_2016.py [--plot lillicrap_2016.png]

A linear network 30-20-10 learns a linear map from examples, by backpropagation, by feedback alignment, and with its
first layer as it was drawn. W starts small and B large: what B sends to the hidden layer is at first across what W2^T
would send, and W2 turns until it is not. Prints the squared error of each, and the angle between the two: it falls from
89 to 31 degrees while the error falls by five orders of magnitude. All examples are in every step. It takes five
seconds on two cores.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import jaxnet
from jaxnet import feedback


LAYERS, EXAMPLES, STEPS, EVERY, RATE, SEED = (30, 20, 10), 2000, 200, 2, 0.02, 1


def task() -> tuple[np.ndarray, np.ndarray, jaxnet.FrozenDict]:
    """X ~ N(0, I),  Y = T X with T uniform in +-1, and W uniform in +-0.01, b = 0: the paper's methods, "linear"."""
    random = np.random.default_rng(SEED)
    n_x, n_1, n_2 = LAYERS
    X = random.normal(size=(n_x, EXAMPLES))
    Y = random.uniform(-1, 1, (n_2, n_x)) @ X
    shapes = {"W1": (n_1, n_x), "W2": (n_2, n_1)}
    parameters = {name: random.uniform(-0.01, 0.01, shape) for name, shape in shapes.items()}
    parameters |= {"b1": np.zeros((n_1, 1)), "b2": np.zeros((n_2, 1))}
    return *(A.astype(np.float32) for A in (X, Y)), jaxnet.FrozenDict(jax.tree.map(np.float32, parameters))


def uniform(key, shape, dtype):
    """B uniform in +-0.5."""
    return jax.random.uniform(key, shape, dtype, -0.5, 0.5)


def silent(B, crossing):
    """dA_1 = 0: only the layer above learns."""
    return jnp.zeros_like(crossing.A_prev)


RULES = {
    "backpropagation": feedback.backprop,
    "feedback alignment": feedback.feedback_alignment(uniform),
    "last layer only": feedback.backprop._replace(propagate=silent),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, default=Path("lillicrap_2016.png"), metavar="FILE")
    options = parser.parse_args(arguments)
    X, Y, parameters = task()
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    error, angle = figure.subplots(1, 2)
    for name, rule in RULES.items():
        network = jaxnet.Network("identity", "squared_error", rule)
        given = {"network": network, "optimizer": optax.sgd(RATE), "key": jax.random.key(SEED), "record_every": EVERY}
        trained = jaxnet.train(X, Y, parameters, num_iterations=STEPS, **given)
        seen = trained.alignment
        normalised = seen.values.cost / seen.values.cost[0]
        error.plot(seen.iteration, normalised, label=name)
        print(f"{name}: squared error {normalised[-1]:.2g} of the first")
        if name == "feedback alignment":
            degrees = seen.values.angle_dZ[:, 0]
            angle.plot(seen.iteration, degrees, color="tab:orange")
            print(f"angle of B e to W2^T e: {degrees[0]:.0f} -> {degrees[-1]:.0f} degrees")
    error.set(xlabel="step", ylabel="squared error, of the first", yscale="log")
    error.legend(frameon=False)
    angle.axhline(90, color="0.7", linewidth=0.8)
    angle.set(xlabel="step", ylabel="angle of $B e$ to $W_2^T e$, degrees", ylim=(0, 100))
    figure.savefig(options.plot, dpi=120)


if __name__ == "__main__":
    main()
