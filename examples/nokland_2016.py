"""Nokland 2016, "Direct feedback alignment provides learning in deep neural networks": deep nets from zero weights.

    python examples/nokland_2016.py [MNIST] [--depth 7 100] [--epochs 10 5] [--plot nokland_2016.png]

MNIST is the folder of its four idx files (default: mnist in $JAXNET_DATA, or in ../shared/data). 784, `depth` layers of
240 tanh units and ten sigmoids, the sum of ten cross-entropies, RMSprop at 1e-4, batches of 64. All weights start at 0,
where backpropagation sends back nothing but zeros; direct feedback, uniform in +-1/sqrt(240), sends the error itself.
Prints the test error after every epoch, beside the published one of 300 epochs: with 7 layers 3.74 % after 10 epochs
(2.32 %), with 100 layers 11.40 % after 5, and 7.01 % after 12 (3.92 %); backpropagation, of which one epoch is made,
stays at 88.65 %. On two cores an epoch of 7 layers takes 3 seconds, and one of 100 layers 25; all of it 4 minutes.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import jaxnet
from jaxnet import feedback
from jaxnet.data import load_dataset, targets


WIDTH, BATCH, RATE = 240, 64, 1e-4
PUBLISHED = {7: 2.32, 100: 3.92}  # test error in % after 300 epochs
DATA = Path(os.environ.get("JAXNET_DATA", Path(__file__).parents[2] / "shared" / "data"))


def uniform(key, shape, dtype):
    """B_l uniform in +-1/sqrt(n_{l-1}), the units that it reaches."""
    return jax.random.uniform(key, shape, dtype, -(shape[0] ** -0.5), shape[0] ** -0.5)


DIRECT = "direct feedback alignment"
RULES = {DIRECT: feedback.direct_feedback_alignment(uniform), "backpropagation": feedback.backprop}
OPTIMIZER = optax.rmsprop(RATE, decay=0.99, eps=1e-8, eps_in_sqrt=False)  # as in torch's optim


@jax.jit
def test_error(X, labels, parameters):
    """In %."""
    AL, _ = jaxnet.L_model_forward(X, parameters, jaxnet.Network("tanh"))
    return 100 * jnp.mean(jnp.argmax(AL, axis=0) != labels)


def train(dataset, depth: int, epochs: int, name: str) -> list[float]:
    """The test error after every epoch."""

    def inputs(examples):
        return np.asarray(examples.rows).reshape(len(examples.labels), -1).T / np.float32(255)

    X, Y = inputs(dataset.train), targets(dataset.train.labels, dataset.classes)
    test_X, test_labels = jax.device_put((inputs(dataset.test), dataset.test.labels))
    drawn = jaxnet.initialize_parameters_deep((len(X), *[WIDTH] * depth, len(Y)), key=jax.random.key(0))
    errors, start, steps = [], time.perf_counter(), X.shape[1] // BATCH

    def after_epoch(progress):
        errors.append(float(test_error(test_X, test_labels, progress.parameters)))
        seen = f"epoch {len(errors)}, test error {errors[-1]:.2f} %, {time.perf_counter() - start:.0f} s"
        print(f"{depth} layers, {name}: {seen}", flush=True)

    jaxnet.train(
        X,
        Y,
        jax.tree.map(jnp.zeros_like, drawn),
        num_iterations=epochs * steps,
        optimizer=OPTIMIZER,
        network=jaxnet.Network("tanh", "binary_cross_entropy", RULES[name]),
        batch_size=BATCH,
        key=jax.random.key(0),
        chunk=steps,
        on_chunk=after_epoch,
    )
    return errors


def plot(errors: dict[tuple[int, str], list[float]], file: Path) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (depth, name), values in errors.items():
        style = "-" if name == DIRECT else ":"
        axes.plot(np.arange(1, len(values) + 1), values, f"o{style}", markersize=4, label=f"{depth} layers, {name}")
        if style == "-":
            axes.axhline(PUBLISHED.get(depth, np.nan), color=axes.get_lines()[-1].get_color(), linewidth=0.7)
    axes.set(xlabel="epoch", ylabel="test error, %", yscale="log")
    axes.set_title("lines across: published, after 300 epochs", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=DATA / "mnist", metavar="MNIST")
    parser.add_argument("--depth", type=int, nargs="+", default=[7, 100], metavar="L")
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 5], metavar="N", help="for each of the depths")
    parser.add_argument("--plot", type=Path, default=Path("nokland_2016.png"), metavar="FILE")
    options = parser.parse_args(arguments)
    if len(options.epochs) != len(options.depth):
        parser.error(f"got {len(options.depth)} depths and {len(options.epochs)} epochs; expected as many")
    dataset, errors = load_dataset(options.folder, test_fraction=0.1, seed=0), {}
    for depth, epochs in zip(options.depth, options.epochs, strict=True):
        for name in RULES:
            errors[depth, name] = train(dataset, depth, epochs if name == DIRECT else 1, name)
    for (depth, name), values in errors.items():
        published = f"; published: {PUBLISHED[depth]} % after 300" if name == DIRECT and depth in PUBLISHED else ""
        print(f"{depth} layers, {name}: {values[-1]:.2f} % after {len(values)}{published}")
    plot(errors, options.plot)


if __name__ == "__main__":
    main()
