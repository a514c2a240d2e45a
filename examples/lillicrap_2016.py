"""Lillicrap et al. 2016, "Random synaptic feedback weights support error backpropagation": the linear task of figure 1.

    python examples/lillicrap_2016.py [--plot lillicrap_2016.png] [--seeds 5]

A linear network 30-20-10 without biases learns a linear map from 2,000 examples, all of them in each of 60 steps: by
backpropagation, by feedback alignment, and with its first layer left as it was drawn. W starts small and B large: what
B sends to the hidden layer is at first orthogonal to what W2^T would send, and W2 turns until it is not. Each method
has the learning rate at which it learns fastest, as in the paper, here the best of four; five seeds draw map, examples,
W and B. Prints the squared error at the end over that at the start (geometric means: 1.9e-13, 1.7e-06 and 0.34) and the
mean angle between B e and W2^T e: it falls from 89 to 28 degrees, or 22 to 33 by seed. It takes half a minute on two
cores.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import jaxnet
from jaxnet import feedback


LAYERS, EXAMPLES, STEPS = (30, 20, 10), 2000, 60


class Curves(NamedTuple):
    """Runs from several seeds, one row each: the values before every step."""

    rate: float
    errors: np.ndarray  # squared, relative to the first
    angles: np.ndarray  # between B e and W2^T e, in degrees


def task(seed: int) -> tuple[np.ndarray, np.ndarray, jaxnet.FrozenDict]:
    """X ~ N(0, I),  Y = T X with T uniform in +-1, and W uniform in +-0.01: the paper's methods, "linear"."""
    random = np.random.default_rng(seed)
    n_x, n_1, n_2 = LAYERS
    X = random.normal(size=(n_x, EXAMPLES))
    Y = random.uniform(-1, 1, (n_2, n_x)) @ X
    W1, W2 = random.uniform(-0.01, 0.01, (n_1, n_x)), random.uniform(-0.01, 0.01, (n_2, n_1))
    parameters = {"W1": W1, "b1": np.zeros((n_1, 1)), "W2": W2, "b2": np.zeros((n_2, 1))}
    return X.astype(np.float32), Y.astype(np.float32), jaxnet.FrozenDict(jax.tree.map(np.float32, parameters))


def uniform(key, shape, dtype):
    """B uniform in +-0.5."""
    return jax.random.uniform(key, shape, dtype, -0.5, 0.5)


def silent(B, crossing):
    """dA_1 = 0: only the layer above learns."""
    return jnp.zeros_like(crossing.A_prev)


RULES = {  # and the learning rates to try
    "backpropagation": (feedback.backprop, (0.02, 0.04, 0.08, 0.16)),
    "feedback alignment": (feedback.feedback_alignment(uniform), (0.02, 0.04, 0.08, 0.16)),
    "last layer only": (feedback.backprop._replace(propagate=silent), (100, 200, 400, 800)),
}


def biases(parameters):
    """Marks the biases among the parameters: the paper's network has none, so they are left at 0."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[0].key[0] == "b", parameters)


def train(rule: jaxnet.Rule, rate: float, seeds: int) -> Curves:
    """One run per seed. Raises `NotFiniteError` where the learning rate is too large for one of them."""
    optimizer = optax.chain(optax.sgd(rate), optax.masked(optax.set_to_zero(), biases))
    network, seen = jaxnet.Network("identity", "squared_error", rule), []
    for seed in range(seeds):
        given = {"optimizer": optimizer, "network": network, "key": jax.random.key(seed), "record_every": 1}
        # One more step, since values are recorded before each step.
        seen.append(jaxnet.train(*task(seed), num_iterations=STEPS + 1, chunk=STEPS + 1, **given).alignment.values)
    costs = np.stack([values.cost for values in seen])
    return Curves(rate, costs / costs[:, :1], np.stack([values.angle_dZ[:, 0] for values in seen]))


def tuned(rule: jaxnet.Rule, rates: Sequence[float], seeds: int) -> Curves:
    """The curves for the rate whose largest final error is the smallest."""
    tried = []
    for rate in rates:
        try:
            tried.append(train(rule, rate, seeds))
        except jaxnet.NotFiniteError:
            continue
    return min(tried, key=lambda curves: curves.errors[:, -1].max())


def plot(best: dict[str, Curves], file: Path) -> None:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    error, angle = figure.subplots(1, 2, sharex=True)
    for (name, curves), color in zip(best.items(), ("tab:blue", "tab:orange", "tab:green"), strict=True):
        error.plot(curves.errors.T, color=color, linewidth=0.9)
        error.plot([], color=color, label=f"{name}, rate {curves.rate}")
    angle.plot(best["feedback alignment"].angles.T, color="tab:orange", linewidth=0.9)
    error.set(xlabel="step", ylabel="squared error over the first", yscale="log")
    error.legend(frameon=False, fontsize=8)
    angle.axhline(90, color="0.7", linewidth=0.8)
    angle.set(xlabel="step", ylabel="angle of $B e$ to $W_2^T e$, degrees", ylim=(0, 100))
    figure.savefig(file, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, default=Path("lillicrap_2016.png"), metavar="FILE")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    options = parser.parse_args(arguments)
    best = {name: tuned(rule, rates, options.seeds) for name, (rule, rates) in RULES.items()}
    for name, curves in best.items():
        error = np.exp(np.log(curves.errors[:, -1]).mean())
        print(f"{name}, learning rate {curves.rate}: squared error {error:.2g} of the first")
    first, *_, last = best["feedback alignment"].angles.mean(axis=0)
    print(f"angle of B e to W2^T e: {first:.0f} -> {last:.0f} degrees; published: about 85 -> about 30")
    plot(best, options.plot)


if __name__ == "__main__":
    main()
