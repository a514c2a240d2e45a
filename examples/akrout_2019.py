"""Akrout et al. 2019, "Deep learning without weight transport": their MNIST runs, beside the published results.

    python examples/akrout_2019.py [MNIST] [--epochs 30] [--json akrout.json] [--plot akrout.png]

MNIST is the folder of its four idx files (default: mnist in $JAXNET_DATA, or in ../shared/data). 784-500-10, sigmoid
units, the sum of ten cross-entropies; weights, biases and feedback weights are drawn by NumPy as in their code. Trains
by backpropagation (BP), feedback alignment (FA), the weight mirror (WM) and Kolen-Pollack (KP), each at the learning
rate they chose, in batches of 128 in file order. Prints test accuracy and the angle of the hidden error to
backpropagation's beside the published ones: over 30 epochs the accuracies of BP, FA and KP are theirs to the last
digit, and those of WM, whose noise is drawn by JAX, within 0.06 points. It takes two minutes on two cores, half a
minute for each rule.

As in their code, github.com/makrout/Deep-Learning-without-Weight-Transport, the mean gradient of the biases is divided
by the batch size once more, and the angle is that of the first training example.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from functools import partial
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


LAYERS, BATCH, SEED = (784, 500, 10), 128, 1111
DATA = Path(os.environ.get("JAXNET_DATA", Path(__file__).parents[2] / "shared" / "data"))
# Test accuracy in % after the epochs, from their results.json, and the angle in degrees.
PUBLISHED_EPOCHS = (1, 5, 10, 20, 30)
PUBLISHED = {
    "BP": (88.00, 91.84, 94.12, 96.23, 97.07),
    "FA": (85.49, 89.88, 90.86, 92.25, 93.32),
    "WM": (78.48, 88.48, 90.49, 92.62, 94.58),
    "KP": (88.90, 93.46, 95.41, 97.00, 97.48),
}
PUBLISHED_ANGLES = {"FA": {1: 42, 10: 26}, "WM": {1: 63, 10: 17}, "KP": {1: 19, 10: 12}}
RATES = {"BP": 0.2, "FA": 0.2, "WM": 0.05, "KP": 0.3}


class Run(NamedTuple):
    """The results of one rule: in %, in degrees, and in seconds."""

    accuracy: list[float]
    angle: list[float]
    seconds: float


def drawn() -> tuple[jaxnet.FrozenDict, np.ndarray]:
    """Parameters and B2 from N(0, 1 / (fan_in + fan_out)), in the order of their draws: biases, weights, feedback."""
    generator, pairs = np.random.RandomState(SEED), list(zip(LAYERS[:-1], LAYERS[1:], strict=True))
    b = [(n_prev + n) ** -0.5 * generator.randn(n, 1) for n_prev, n in pairs]
    W = [(n_prev + n) ** -0.5 * generator.randn(n, n_prev) for n_prev, n in pairs]
    B = [(n_prev + n) ** -0.5 * generator.randn(n_prev, n) for n_prev, n in pairs]
    names = [f"{letter}{l}" for l in (1, 2) for letter in "Wb"]
    values = [W[0], b[0], W[1], b[1]]
    return jaxnet.FrozenDict({name: jnp.asarray(v, jnp.float32) for name, v in zip(names, values, strict=True)}), B[1]


def networks(B2: np.ndarray) -> dict[str, jaxnet.Network]:
    """One network per rule, with feedback weights that start from B2."""

    def draw(key, shape, dtype):
        del key, shape
        return jnp.asarray(B2, dtype)

    rules = {
        "BP": feedback.backprop,
        "FA": feedback.feedback_alignment(draw),
        "WM": feedback.weight_mirror(rate=0.01, amplitude=0.1, examples=BATCH, warm_up=468, draw=draw),
        "KP": feedback.kolen_pollack(decay=0.0, draw=draw),
    }
    return {name: jaxnet.Network("sigmoid", "binary_cross_entropy", rule) for name, rule in rules.items()}


def optimizer(rate: float) -> optax.GradientTransformation:
    def biases(gradient):
        return jaxnet.FrozenDict({name: name[0] == "b" for name in gradient})

    return optax.chain(optax.masked(optax.scale(1 / BATCH), biases), optax.sgd(rate))


@partial(jax.jit, static_argnames="optimizer")
def run_epoch(state, rows, Y_rows, key, network, optimizer):
    """One step per batch of (steps, BATCH, ...), in order."""

    def step(state, given):
        X, Y, key = given
        return jaxnet.update(X.T, Y.T, state, optimizer, network, key=key)[0], None

    state, _ = jax.lax.scan(step, state, (rows, Y_rows, jax.random.split(key, len(rows))))
    return state


@jax.jit
def look(state, X, Y, first_X, first_Y, network):
    """Test accuracy in %, and the angle of dZ_1 to backpropagation's in degrees."""
    AL, _ = jaxnet.L_model_forward(X, state.parameters, network)
    angles = jaxnet.alignment(first_X, first_Y, state.parameters, network, B=state.B).angle_dZ
    return 100 * jnp.mean(jnp.argmax(AL, axis=0) == jnp.argmax(Y, axis=0)), angles[0]


def train(dataset, network: jaxnet.Network, rate: float, epochs: int) -> Run:
    def columns(examples):
        rows = np.asarray(examples.rows).reshape(len(examples.labels), -1) / np.float32(255)
        return jnp.asarray(rows), jnp.asarray(targets(examples.labels, dataset.classes).T)

    (rows, Y_rows), (test_rows, test_Y_rows) = columns(dataset.train), columns(dataset.test)
    steps = len(rows) // BATCH
    batches = [values[: steps * BATCH].reshape(steps, BATCH, -1) for values in (rows, Y_rows)]
    start, (parameters, _) = time.perf_counter(), drawn()
    step = optimizer(rate)
    state = jaxnet.init_state(parameters, step, network, key=jax.random.key(SEED))
    accuracy, angle = [], []
    for epoch in range(epochs):
        state = run_epoch(state, *batches, jax.random.key(epoch), network, step)
        seen = look(state, test_rows.T, test_Y_rows.T, rows[:1].T, Y_rows[:1].T, network)
        accuracy.append(round(float(seen[0]), 4))
        angle.append(round(float(seen[1]), 4))
    return Run(accuracy, angle, time.perf_counter() - start)


def table(runs: dict[str, Run]) -> str:
    epochs = [epoch for epoch in PUBLISHED_EPOCHS if epoch <= min(len(run.accuracy) for run in runs.values())]
    lines = ["test accuracy in %, and the published one" + "".join(f"{f'epoch {epoch}':>16}" for epoch in epochs)]
    for name, run in runs.items():
        pairs = [f"{run.accuracy[e - 1]:.2f} {PUBLISHED[name][PUBLISHED_EPOCHS.index(e)]:.2f}" for e in epochs]
        lines.append(f"{name:<41}" + "".join(f"{pair:>16}" for pair in pairs))
    lines.append("angle of dZ1 in degrees, and the published one")
    for name, angles in PUBLISHED_ANGLES.items():
        pairs = [f"{runs[name].angle[e - 1]:.1f} {angles[e]}" if e in angles else "" for e in epochs]
        lines.append(f"{name:<41}" + "".join(f"{pair:>16}" for pair in pairs))
    return "\n".join(line.rstrip() for line in lines)


def plot(runs: dict[str, Run], file: Path) -> None:
    figure = Figure(figsize=(10, 4), layout="constrained")
    accuracy, angle = figure.subplots(1, 2)
    for name, run in runs.items():
        epochs = np.arange(1, len(run.accuracy) + 1)
        (line,) = accuracy.plot(epochs, run.accuracy, label=name)
        shown = [i for i, epoch in enumerate(PUBLISHED_EPOCHS) if epoch <= len(epochs)]
        there = [PUBLISHED_EPOCHS[i] for i in shown]
        accuracy.plot(there, [PUBLISHED[name][i] for i in shown], "o", color=line.get_color(), markersize=5)
        angle.plot(epochs, run.angle, color=line.get_color())
        published = {e: a for e, a in PUBLISHED_ANGLES.get(name, {}).items() if e <= len(epochs)}
        angle.plot(list(published), list(published.values()), "o", color=line.get_color(), markersize=5)
    accuracy.set(xlabel="epoch", ylabel="test accuracy, %")
    angle.set(xlabel="epoch", ylabel="angle of dZ1 to backpropagation's, degrees", ylim=(-3, 90))
    accuracy.legend(frameon=False, title="dots: as published", loc="lower right")
    figure.savefig(file, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=DATA / "mnist", metavar="MNIST")
    parser.add_argument("--epochs", type=int, default=30, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="accuracy and angle of every epoch")
    parser.add_argument("--plot", type=Path, default=Path("akrout_2019.png"), metavar="FILE")
    options = parser.parse_args(arguments)
    dataset, (_, B2) = load_dataset(options.folder, test_fraction=0.1, seed=0), drawn()
    runs = {}
    for name, network in networks(B2).items():
        runs[name] = train(dataset, network, RATES[name], options.epochs)
        print(f"{name}: {options.epochs} epochs in {runs[name].seconds:.0f} s", flush=True)
    print(table(runs))
    if options.json:
        options.json.write_text(json.dumps({name: run._asdict() for name, run in runs.items()}, indent=1))
    plot(runs, options.plot)


if __name__ == "__main__":
    main()
