"""Nokland 2016, "Direct feedback alignment provides learning in deep neural networks": deep nets from zero weights.

    python examples/nokland_2016.py [MNIST] [--depth 7 100] [--epochs 10 5] [--plot nokland_2016.png]

MNIST is the folder of its four idx files (default: mnist in $JAXNET_DATA, or in ../shared/data). 784, `depth` layers of
240 tanh units and ten sigmoids, the sum of ten cross-entropies, RMSprop at 1e-4, batches of 64. All weights start at 0,
where backpropagation sends back only zeros: it is run for one epoch, and the test error is 88.65 %. Direct feedback,
uniform in +-1/sqrt(240), sends the error itself. After every epoch, prints the test error and the angles of dZ_l to
what the weights, no longer 0 by then, would send back. The final errors, with the published error after 300 epochs in
parentheses, are 3.75 % after 10 epochs and 2.28 % after 300 (2.32 %) with 7 layers, 11.18 % after 5 and 7.13 % after 12
(3.92 %) with 100 layers. The angles are 26 to 47 degrees with 7 layers; with 100 they are near 90 in most, and fall to
41 in some. On two cores an epoch takes 2 seconds with 7 layers and 25 with 100 layers; the script takes 4 minutes.
"""

import argparse
import os
import time
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
from jaxnet.data import load_dataset, targets


WIDTH, BATCH, RATE, LOOKED_AT = 240, 64, 1e-4, 1000
PUBLISHED = {7: 2.32, 100: 3.92}  # test error in % after 300 epochs
DATA = Path(os.environ.get("JAXNET_DATA", Path(__file__).parents[2] / "shared" / "data"))


def uniform(key, shape, dtype):
    """B_l uniform in +-1/sqrt(n_{l-1}), with n_{l-1} the number of units it reaches."""
    return jax.random.uniform(key, shape, dtype, -(shape[0] ** -0.5), shape[0] ** -0.5)


DIRECT = "direct feedback alignment"
RULES = {DIRECT: feedback.direct_feedback_alignment(uniform), "backpropagation": feedback.backprop}
# The rate is torch's, where gradients are sums over the batch; here they are means.
OPTIMIZER = optax.rmsprop(RATE, decay=0.99, eps=1e-8 / BATCH, eps_in_sqrt=False)


class Run(NamedTuple):
    """Measurements after every epoch, one row each."""

    errors: np.ndarray  # on the test digits, in %
    angles: np.ndarray  # between dZ_l and backpropagation's, in degrees, one column per hidden layer; NaN at 0
    seconds: np.ndarray  # from the start


@jax.jit
def look(X, Y, parameters, B, network):
    """Test error in %, and the angles on some of the digits."""
    AL, _ = jaxnet.L_model_forward(X, parameters, network)
    error = 100 * jnp.mean(jnp.argmax(AL, axis=0) != jnp.argmax(Y, axis=0))
    return error, jaxnet.alignment(X[:, :LOOKED_AT], Y[:, :LOOKED_AT], parameters, network, B=B).angle_dZ


def described(angles: np.ndarray) -> str:
    """Zero weights, or many small ones in a row, send back 0, with which no angle is defined."""
    known = angles[~np.isnan(angles)]
    if not known.size:
        return "backpropagation's dZ is 0 in all hidden layers"
    zero = f", which is 0 in {angles.size - known.size} of {angles.size} layers" if known.size < angles.size else ""
    return f"dZ {known.min():.0f} to {known.max():.0f} degrees from backpropagation's{zero}"


def train(dataset, depth: int, epochs: int, rule: str) -> Run:
    def inputs_and_targets(examples):
        X = np.reshape(examples.rows, (len(examples.labels), -1)).T / np.float32(255)
        return X, targets(examples.labels, dataset.classes)

    X, Y = inputs_and_targets(dataset.train)
    test = jax.device_put(inputs_and_targets(dataset.test))
    drawn = jaxnet.initialize_parameters_deep((len(X), *[WIDTH] * depth, len(Y)), key=jax.random.key(0))
    network = jaxnet.Network("tanh", "binary_cross_entropy", RULES[rule])
    rows, start, steps = [], time.perf_counter(), X.shape[1] // BATCH

    def after_epoch(progress):
        error, angles = map(np.asarray, look(*test, progress.parameters, progress.state.B, network))
        rows.append((error, angles, time.perf_counter() - start))
        print(f"{depth} layers, {rule}, epoch {len(rows)}: test error {error:.2f} %, {described(angles)}", flush=True)

    jaxnet.train(
        X,
        Y,
        jax.tree.map(jnp.zeros_like, drawn),
        num_iterations=epochs * steps,
        optimizer=OPTIMIZER,
        network=network,
        batch_size=BATCH,
        key=jax.random.key(0),
        chunk=steps,
        on_chunk=after_epoch,
    )
    return Run(*map(np.stack, zip(*rows, strict=True)))


def plot(runs: dict[tuple[int, str], Run], file: Path) -> None:
    """Test errors, and the angles of all layers: their mean, in a band from the least to the largest."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    error, angle = figure.subplots(1, 2, sharex=True)
    for i, ((depth, name), run) in enumerate(runs.items()):
        epochs, color, label = np.arange(1, len(run.errors) + 1), f"C{i // len(RULES)}", f"{depth} layers, {name}"
        if name != DIRECT:  # circles of several sizes, since they overlap
            error.plot(epochs, run.errors, "o", color=color, fillstyle="none", markersize=14 - 3 * i, label=label)
            continue
        angles = np.ma.masked_invalid(run.angles)
        error.plot(epochs, run.errors, "o-", markersize=4, color=color, label=label)
        error.axhline(PUBLISHED.get(depth, np.nan), color=color, linewidth=0.7)
        angle.plot(epochs, angles.mean(axis=1), "o-", markersize=4, color=color)
        angle.fill_between(epochs, angles.min(axis=1), angles.max(axis=1), color=color, alpha=0.2, linewidth=0)
    error.set(xlabel="epoch", ylabel="test error, %", yscale="log")
    error.set_yticks([2, 3, 5, 10, 20, 50, 100], labels=["2", "3", "5", "10", "20", "50", "100"])
    error.set_yticks([], minor=True)
    error.set_title("lines across: published, after 300 epochs", fontsize=9)
    error.legend(frameon=False, fontsize=8)
    angle.axhline(90, color="0.7", linewidth=0.8)
    angle.set(
        xlabel="epoch", ylabel="angle of $dZ_l$ to backpropagation's, degrees", ylim=(0, 120), yticks=range(0, 121, 30)
    )
    angle.set_title("mean of the layers, least to largest", fontsize=9)
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
    dataset, runs = load_dataset(options.folder, test_fraction=0.1, seed=0), {}
    for depth, epochs in zip(options.depth, options.epochs, strict=True):
        for name in RULES:
            runs[depth, name] = train(dataset, depth, epochs if name == DIRECT else 1, name)
    for (depth, name), run in runs.items():
        line = f"{depth} layers, {name}: {run.errors[-1]:.2f} % after {len(run.errors)}"
        if name == DIRECT and depth in PUBLISHED:
            line += f"; published: {PUBLISHED[depth]} % after 300"
        if len(run.errors) > 1:  # the first epoch compiles
            each = np.median(np.diff(run.seconds))
            line += f"; {each:.1f} s an epoch, {each * 300 / 60:.0f} minutes for 300"
        print(line)
    plot(runs, options.plot)


if __name__ == "__main__":
    main()
