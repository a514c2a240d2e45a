"""The pictures of a run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def plot_history(
    path: Path, costs: np.ndarray, iterations: Sequence[int], train: Sequence[float], test: Sequence[float]
) -> None:
    """The cost of every step, and the accuracies after some of them."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(np.arange(len(costs)), costs, color="tab:blue", linewidth=1.2)
    left.set(xlabel="iteration", ylabel="cost", yscale="log", title="training cost")
    right.plot(iterations, train, label=f"train, at the end {train[-1]:.3f}")
    right.plot(iterations, test, label=f"test, at the end {test[-1]:.3f}")
    right.set(xlabel="iteration", ylabel="accuracy", ylim=(min(0.5, *train, *test) - 0.02, 1.02), title="accuracy")
    right.legend(loc="lower right", frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def plot_predictions(
    path: Path,
    images: np.ndarray,
    labels: Int[np.ndarray, " m"],
    predicted: Int[np.ndarray, " m"],
    probabilities: Float[np.ndarray, " m"],
    classes: Sequence[str],
    most: int = 50,
) -> None:
    """Pictures with the predicted class and its probability; wrong ones first, framed in red with the true class."""
    wrong = (predicted != labels).tolist()
    shown = sorted(range(len(wrong)), key=lambda i: not wrong[i])[:most]
    columns = min(10, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(1.15 * columns, 1.5 * rows + 0.4))
    # One pair of axes whose unit is a picture: fifty pairs take a second to lay out.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.text(columns / 2, -0.25, f"{sum(wrong)} of {len(labels)} test pictures wrong", ha="center", fontsize=10)
    for place, i in enumerate(shown):
        left, top = place % columns, 1.3 * (place // columns)
        axes.imshow(images[i], cmap="gray", vmin=0, vmax=1, extent=(left + 0.04, left + 0.96, top + 1, top + 0.08))
        if wrong[i]:
            frame = Rectangle((left + 0.04, top + 0.08), 0.92, 0.92, facecolor="none", edgecolor="tab:red", linewidth=3)
            axes.add_patch(frame)
        said = f"{classes[int(predicted[i])]} {probabilities[i]:.2f}"
        colour = "tab:red" if wrong[i] else "black"
        axes.text(left + 0.5, top + 0.04, said, ha="center", fontsize=7, color=colour, parse_math=False)
        if wrong[i]:
            axes.text(
                left + 0.5,
                top + 1.14,
                f"is {classes[int(labels[i])]}",
                ha="center",
                fontsize=7,
                color=colour,
                parse_math=False,
            )
    axes.set(xlim=(-0.05, columns + 0.05), ylim=(1.3 * rows, -0.45), aspect="auto")
    figure.savefig(path, dpi=110)
