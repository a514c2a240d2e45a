"""The gradient noise scale during training on MNIST, and whether the batch size that it suggests is a good one.

    python examples/gradient_noise_scale.py MNIST [--plot gradient_noise_scale.png]

MNIST is the folder of its four idx files. 784-64-10 is trained by plain gradient descent on 10,000 digits until their
cost is 0.15, with batches of 8 to 2,048, each at the best of learning rates a factor of sqrt(2) apart. McCandlish et
al. 2018 (arXiv:1812.06162) expect S(B) = S_min (1 + B_crit / B) steps, and that B_simple = tr S / |G|^2, which costs
next to nothing, predicts B_crit. Prints the steps for each size, and both: B_simple is 20 in the first tenth of a run,
192 in the last and 70 over all of it, B_crit is 81. Below, doubling the batch halves the steps (2,120 at 8, 1,047 at
16); far above, it gains nothing (187 at 1,024, 192 at 2,048). It takes two minutes on two cores.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxnet
from jaxnet import readouts
from jaxnet.data import load_dataset, targets


LAYERS, NETWORK = (784, 64, 10), jaxnet.Network("relu", "softmax_cross_entropy")
DIGITS, TARGET, SEEDS, MEASURED = 10_000, 0.15, (0, 1, 2), 64
BATCHES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
RATES = [0.05 * 2 ** (k / 2) for k in range(16)]


class Runs(NamedTuple):
    """Runs that differ in their seed: the mean number of steps, and the two estimates at every step of one run."""

    rate: float
    steps: float  # infinite where the target was not reached
    noise: readouts.NoiseScale


@jax.jit
def run_steps(parameters, X, Y, batches, rate):
    """One step of gradient descent per batch, the cost over all of X after them, and the noise scale."""

    def step(parameters, batch):
        pairs = readouts.record(X[:, batch], Y[:, batch], parameters, NETWORK)
        gradient = readouts.mean_gradient(pairs)
        return jax.tree.map(lambda W, dW: W - rate * dW, parameters, gradient), readouts.noise_scale(pairs)

    parameters, noise = jax.lax.scan(step, parameters, batches)
    return parameters, jaxnet.cost(X, Y, parameters, NETWORK), noise


def train(X, Y, batch: int, rate: float, seed: int, most_steps: float) -> Runs:
    """The steps until the cost, measured every 320 / batch steps or every four, reaches the target."""
    parameters = jaxnet.initialize_parameters_deep(LAYERS, key=jax.random.key(seed), init="he")
    generator, every, steps, noise, cost = np.random.default_rng(seed), max(4, 320 // batch), 0, [], np.inf
    while cost > TARGET and steps < most_steps:
        batches = generator.integers(DIGITS, size=(every, batch))
        parameters, cost, chunk = run_steps(parameters, X, Y, batches, rate)
        steps += every
        noise.append(chunk)
    joined = jax.tree.map(lambda *chunks: np.concatenate(chunks), *noise)
    return Runs(rate, steps if cost <= TARGET else np.inf, joined)


def tuned(X, Y, batch: int, rates: Sequence[float]) -> Runs:
    """The runs with the fewest steps, trying rising rates until two in a row do not improve."""
    best, tries_since = None, 0
    for rate in rates:
        most_steps = 2 * best.steps if best else 10_000
        tried = [train(X, Y, batch, rate, seed, most_steps) for seed in SEEDS]
        steps = float(np.mean([run.steps for run in tried]))
        if best is None or steps < best.steps:
            best, tries_since = tried[0]._replace(steps=steps), 0
        elif (tries_since := tries_since + 1) == 2:
            break
    return best


def means(noise: readouts.NoiseScale, windows: int) -> list[readouts.NoiseScale]:
    """The estimates over windows of a run, each averaged separately, since |G|^2 of one batch can be negative."""
    parts = (np.array_split(estimates, windows) for estimates in noise)
    return [readouts.NoiseScale(*map(np.mean, window)) for window in zip(*parts, strict=True)]


def critical_batch_size(steps: dict[int, float]) -> tuple[float, float]:
    """S_min and B_crit of S = S_min (1 + B_crit / B), the line through S over 1 / B with the least relative errors."""
    S = np.array(list(steps.values()))
    slope, S_min = np.polyfit(1 / np.array(list(steps)), S, 1, w=1 / S)
    return S_min, slope / S_min


def plot(steps: dict[int, float], noise: readouts.NoiseScale, file: Path) -> None:
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    along, check = figure.subplots(1, 2)
    middles = len(noise.trace) * (np.arange(10) + 0.5) / 10
    along.plot(middles, [window.batch_size for window in means(noise, 10)], "o-", markersize=3)
    along.set(
        xlabel=f"step of a run with batches of {MEASURED}", ylabel="B_simple, in windows of a tenth", yscale="log"
    )
    _label(along.yaxis, [20, 50, 100, 200, 500])
    S_min, B_crit = critical_batch_size(steps)
    B, suggested = np.geomspace(min(steps), max(steps)), float(means(noise, 1)[0].batch_size)
    check.plot(list(steps), list(steps.values()), "o", label="measured, learning rate tuned")
    check.plot(B, S_min * (1 + B_crit / B), linewidth=1, label=f"S_min (1 + {B_crit:.0f} / B)")
    check.axvline(suggested, color="grey", linestyle=":", label=f"B_simple over that run: {suggested:.0f}")
    check.set(xlabel="batch size", ylabel=f"steps to a cost of {TARGET}", xscale="log", yscale="log")
    _label(check.xaxis, list(steps))
    _label(check.yaxis, [200, 500, 1000, 2000])
    check.legend(frameon=False)
    figure.savefig(file, dpi=120)


def _label(axis, ticks: list[int]) -> None:
    axis.set_ticks(ticks, labels=map(str, ticks))
    axis.set_ticks([], minor=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="MNIST")
    parser.add_argument("--plot", type=Path, default=Path("gradient_noise_scale.png"), metavar="FILE")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, metavar="B", help=f"{MEASURED} among them")
    options = parser.parse_args(arguments)
    dataset = load_dataset(options.folder, test_fraction=0.1, seed=0)
    digits = dataset.train.take(np.arange(DIGITS))
    X, Y = jnp.asarray(digits.rows.T / np.float32(255)), jnp.asarray(targets(digits.labels, dataset.classes))
    runs, rates = {}, RATES
    for batch in sorted({*options.batches, MEASURED}):
        best = runs[batch] = tuned(X, Y, batch, rates)
        rates = [rate for rate in RATES if rate >= best.rate]  # larger batches tolerate rates at least as large
        print(f"batches of {batch}: {best.steps:.0f} steps, learning rate {best.rate:.2g}", flush=True)
    noise, steps = runs[MEASURED].noise, {batch: best.steps for batch, best in runs.items()}
    tenths = means(noise, 10)
    print(f"B_simple: {tenths[0].batch_size:.0f} in the first tenth of a run with batches of {MEASURED},", end=" ")
    print(f"{tenths[-1].batch_size:.0f} in the last, {means(noise, 1)[0].batch_size:.0f} over all of it")
    print(f"B_crit, from the steps: {critical_batch_size(steps)[1]:.0f}")
    plot(steps, noise, options.plot)


if __name__ == "__main__":
    main()
