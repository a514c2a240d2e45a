"""All feedback rules on MNIST and on the course's cats: test accuracy and the angle to backpropagation, by epoch.

    python examples/feedback_rules.py [DATA] [--epochs 5] [--plot feedback_rules.png]

DATA holds the folders mnist and course (default: $JAXNET_DATA, or ../shared/data). MNIST: 784-200-100-10, tanh units
under softmax, momentum, batches of 128. Cats: the course's 12288-20-7-5-1 with tanh units, gradient descent on all 209
pictures. All rules have backpropagation's learning rate and start from the same weights: one run of each, and no
contest. Prints accuracy and angles. On MNIST, after five epochs, Kolen-Pollack is where backpropagation is, 96.8 %; the
weight mirror has 96.4, sign symmetry 95, feedback alignment 94.7 and random targets 91.9. On 50 test cats the rules
differ by their luck, but for random targets, which fail: where the one output's target is 0, they send nothing. It
takes a minute and a half on two cores.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import jaxnet
from jaxnet.data import Dataset, load_dataset, targets
from jaxnet.feedback import RULES


DATA = Path(os.environ.get("JAXNET_DATA", Path(__file__).parents[2] / "shared" / "data"))
forward = jax.jit(jaxnet.L_model_forward, static_argnums=2)


class Task(NamedTuple):
    """What all rules are given."""

    title: str
    data: str
    hidden: tuple[int, ...]
    loss: str
    optimizer: optax.GradientTransformation
    batch_size: int | None
    epoch: int | None  # steps, where it is no pass over the data


TASKS = (
    Task(
        "MNIST, 784-200-100-10", "mnist", (200, 100), "softmax_cross_entropy", optax.sgd(0.02, momentum=0.9), 128, None
    ),
    Task("cats, 12288-20-7-5-1", "course", (20, 7, 5), "binary_cross_entropy", optax.sgd(0.0075), None, 100),
)


class Curve(NamedTuple):
    """By epoch."""

    accuracy: list[float]  # of the test examples, in %
    angle: np.ndarray  # of dZ_1 to backpropagation's, in degrees


def train(dataset: Dataset, task: Task, rule: str, epochs: int) -> Curve:
    def columns(examples) -> tuple[Any, Any]:
        X = np.asarray(examples.rows).reshape(len(examples.labels), -1).T / np.float32(255)
        return X, targets(examples.labels, dataset.classes)

    (X, Y), test = columns(dataset.train), jax.device_put(columns(dataset.test))
    network = jaxnet.Network("tanh", task.loss, rule)
    parameters = jaxnet.initialize_parameters_deep((len(X), *task.hidden, len(Y)), key=jax.random.key(0))
    steps = task.epoch or X.shape[1] // task.batch_size
    accuracy = []

    def after_epoch(progress):
        AL, _ = forward(test[0], progress.parameters, network.by_backprop)
        accuracy.append(100 * float(jnp.mean(jaxnet.angles.decided_rightly(AL, test[1]))))

    trained = jaxnet.train(
        X, Y, parameters, num_iterations=epochs * steps, network=network, optimizer=task.optimizer,
        batch_size=task.batch_size, key=jax.random.key(1), record_every=steps // 4, chunk=steps, on_chunk=after_epoch,
    )  # fmt: skip
    return Curve(accuracy, trained.alignment.values.angle_dZ[:, 0])


def plot(curves: list[dict[str, Curve]], file: Path) -> None:
    """Accuracy on the left, angles on the right, a row for each of the tasks."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    colours = ["black", "#0072b2", "#56b4e9", "#e69f00", "#f0a030", "#d55e00", "#009e73", "#cc79a7", "#999999"]
    styles = ["-", "-", "-", "-", "--", ":", "-", "-", "-"]
    for task, by_rule, row in zip(TASKS, curves, figure.subplots(len(TASKS), 2), strict=True):
        for (rule, curve), colour, style in zip(by_rule.items(), colours, styles, strict=False):
            look = {"color": colour, "linestyle": style, "label": rule.replace("_", " ")}
            row[0].plot(np.arange(1, len(curve.accuracy) + 1), curve.accuracy, **look)
            row[1].plot(np.arange(len(curve.angle)) / 4, curve.angle, **look)
        row[0].set(title=task.title, ylabel="test accuracy, %")
        row[1].axhline(90, color="0.8", linewidth=0.8, zorder=0)
        row[1].set(title="angle of dZ1 to backpropagation's", ylabel="degrees", ylim=(-3, 150))
        for axes in row:
            axes.set_xlabel("epoch" if task.epoch is None else f"steps, in units of {task.epoch}")
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(file, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=DATA, metavar="DATA")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="on MNIST; of the cats five times as many")
    parser.add_argument("--plot", type=Path, default=Path("feedback_rules.png"), metavar="FILE")
    options = parser.parse_args(arguments)
    curves = []
    for task in TASKS:
        path = options.data / task.data
        dataset = load_dataset(path if task.epoch is None else next(path.glob("train*.h5")), test_fraction=0.1, seed=0)
        epochs = options.epochs * (1 if task.epoch is None else 5)
        print(f"{task.title}, {epochs} epochs: test accuracy in %, angle of dZ1 at the start and the end")
        curves.append({})
        for rule in RULES:
            curve = curves[-1][rule] = train(dataset, task, rule, epochs)
            print(f"  {rule:<26} {curve.accuracy[-1]:6.2f} {curve.angle[0]:6.0f} {curve.angle[-1]:6.0f}", flush=True)
    plot(curves, options.plot)


if __name__ == "__main__":
    main()
