"""The figures of a run."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ..errors import InputError
from ..storage import durable


if TYPE_CHECKING:
    from ..crosscheck import LeafCheck, Report
    from ..signals import Profile


# zlib's run lengths: photographs hardly repeat themselves otherwise. Writing takes a fifth of the time, the file is 7 %
# larger.
PNG: dict[str, Any] = {"compress_type": 3}


def plot_predictions(
    path: Path,
    images: Any,  # images[i] is (height, width) or (height, width, 3): uint8, or floats from 0 to 1
    labels: Int[np.ndarray, " m"],
    predicted: Int[np.ndarray, " m"],
    probabilities: Float[np.ndarray, " m"],
    classes: Sequence[str],
    most: int = 50,
) -> None:
    """Images with the predicted class and its probability; wrong ones first, framed in red with the true class.

    The wrong ones are in the order of their probability, the highest first; the right ones alternate between classes.
    """
    wrong = (predicted != labels).tolist()
    shown = _order(labels, predicted, probabilities)[:most]
    columns = min(10, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(1.15 * columns, 1.5 * rows + 0.4))
    # One pair of axes whose unit is an image: fifty pairs take a second to lay out.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    title = f"{sum(wrong)} of {len(labels)} test images wrong"
    if len(shown) < len(labels):
        title += f"; {len(shown)} of {len(labels)} shown" + ", the wrong ones first" * any(wrong)
    axes.text(columns / 2, -0.25, title, ha="center", fontsize=10)
    for place, i in enumerate(shown):
        left, top = place % columns, 1.3 * (place // columns)
        image = np.asarray(images[i])
        white = 255 if image.dtype == np.uint8 else 1
        axes.imshow(image, cmap="gray", vmin=0, vmax=white, extent=(left + 0.04, left + 0.96, top + 1, top + 0.08))
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
                f"actually {classes[int(labels[i])]}",
                ha="center",
                fontsize=7,
                color=colour,
                parse_math=False,
            )
    axes.set(xlim=(-0.05, columns + 0.05), ylim=(1.3 * rows, -0.45), aspect="auto")
    _save(figure, path, dpi=110, pil_kwargs=PNG)


def _order(labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> list[int]:
    """The wrong ones, the surest first; then the right ones, one of each class in turn."""
    wrong = predicted != labels
    surest = np.flatnonzero(wrong)[np.argsort(-probabilities[wrong], kind="stable")]
    turns = [(turn, i) for j in np.unique(labels) for turn, i in enumerate(np.flatnonzero((labels == j) & ~wrong))]
    return [*surest.tolist(), *(int(i) for _, i in sorted(turns))]


def plot_check(path: Path, report: "Report") -> None:
    """Every entry's error over what roundoff explains, leaf by leaf; and the Taylor remainder of every leaf over h."""
    leaves = [leaf for leaf in report.leaves if leaf.entries is not None and leaf.entries.size]
    columns = 3
    rows = max(1, -(-len(leaves) // columns))
    wide = bool(report.three_way)
    figure = Figure(figsize=(8 + 5 * wide, 1 + 1.5 * rows), layout="constrained")
    maps, *lines = figure.subfigures(1, 1 + wide, width_ratios=[8, 5][: 1 + wide], squeeze=False)[0]
    maps.suptitle(f"{report.subject}: {report.verdict}; errors over what roundoff explains", fontsize=10)
    grid = maps.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(leaves) :]:
        axes.axis("off")
    images = [_draw_errors(axes, leaf) for axes, leaf in zip(grid, leaves, strict=False)]
    if images:
        maps.colorbar(images[0], ax=grid.tolist(), label="log10(error / bound); red is wrong", shrink=0.8)
    if wide:
        _draw_taylor(lines[0], report)
    _save(figure, path, dpi=110)


def _draw_errors(axes, leaf: "LeafCheck"):
    entries = np.atleast_2d(np.asarray(leaf.entries)) / leaf.bound
    with np.errstate(divide="ignore"):
        logarithm = np.clip(np.log10(entries), -4, 4)
    axes.set_title(f"{leaf.name}  {'x'.join(map(str, leaf.shape)) or 'scalar'}", fontsize=8)
    axes.set(xticks=[], yticks=[])
    return axes.imshow(logarithm, cmap="RdYlGn_r", vmin=-4, vmax=4, aspect="auto", interpolation="nearest")


def _draw_taylor(figure, report: "Report") -> None:
    axes = figure.subplots()
    for t in report.three_way:
        h, remainder = np.array(t.taylor).T
        axes.loglog(h, np.maximum(remainder, 1e-18), "o-", markersize=3, linewidth=1, label=t.leaf)
    h = np.array([1e-3, 1.0])
    scale = max((t.taylor[0][1] for t in report.three_way), default=1.0) or 1.0
    axes.loglog(h, 10 * scale * h**2, "k--", linewidth=1, label="slope 2: right")
    axes.loglog(h, 10 * scale * h, "k:", linewidth=1, label="slope 1: wrong")
    axes.set(xlabel="h", title="|f(x + h v) - f(x) - h <gradient, v>|")
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, frameon=False)


def plot_alignment(path: Path, rows: Sequence[Mapping[str, float]], rule: str) -> None:
    """How the error of a feedback rule travels beside backpropagation's, by step, from the rows of `alignment.csv`."""
    steps = [row["iteration"] for row in rows]
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    figure.suptitle(f"{rule}, beside backpropagation")
    angles, feedback, sizes, progress = figure.subplots(2, 2, sharex=True).flat

    marker = "o" if len(rows) < 10 else None  # one point does not make a line

    def draw(axes: Any, prefix: str, label: str, **style: Any) -> None:
        names = [name for name in rows[0] if name.removeprefix(prefix).isdecimal() and name.startswith(prefix)]
        names = [name for name in names if np.isfinite([row[name] for row in rows]).any()]
        for i, name in enumerate(names):
            share = i / max(len(names) - 1, 1)  # from the input, dark, to the output, light
            is_named = bool(label) and i in (0, len(names) // 2, len(names) - 1)
            shown = label.format(name.removeprefix(prefix)) if is_named else None
            colour = (0.1 + 0.2 * share, 0.25 + 0.5 * share, 0.55)
            axes.plot(steps, [row[name] for row in rows], color=colour, label=shown, marker=marker, **style)

    for axes, title in (
        (angles, "angle of dZ to backpropagation's"),
        (feedback, "angle of B to $W^T$, or to their product"),
    ):
        axes.axhline(90, color="0.7", linewidth=0.8)
        axes.set(title=title, ylabel="degrees", ylim=(0, 180), yticks=(0, 45, 90, 135, 180))
    draw(angles, "angle_dZ_", "layer {}")
    draw(feedback, "angle_B_", "B{}")
    draw(sizes, "norm_dZ_", "layer {}")
    sizes.set(title="size of dZ, and of backpropagation's (dashed)", yscale="log", xlabel="step")
    draw(sizes, "backprop_norm_dZ_", "", linestyle="--", linewidth=0.9)
    progress.plot(steps, [row["cost"] for row in rows], color="tab:blue", label="cost", marker=marker)
    progress.set(title="cost of the step's examples", xlabel="step", ylabel="cost", ylim=(0, None))
    handles = progress.get_lines()
    if "accuracy" in rows[0]:  # not in a regression
        share = progress.twinx()
        share.plot(steps, [row["accuracy"] for row in rows], color="tab:orange", label="accuracy", marker=marker)
        share.set(ylabel="accuracy", ylim=(0, 1))
        progress.set(title="cost and accuracy of the step's examples")
        handles = [*handles, *share.get_lines()]
    for axes in (angles, feedback, sizes):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    progress.legend(handles, [line.get_label() for line in handles], frameon=False, fontsize=8, loc="center right")
    _save(figure, path, dpi=120, pil_kwargs=PNG)


def _save(figure: Figure, path: Path, **how: Any) -> None:
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:] or None, **how)
    durable.write(path, content.getvalue())


def check_format(path: Path) -> None:
    """Raises `InputError` for a name by whose end no kind of image file is known."""
    known = Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise InputError(
            f"{path} ends in {path.suffix!r}; expected the name of an image file: {', '.join(sorted(known))}"
        )


def plot_signals(path: Path, title: str, profiles: Mapping[str, "Profile"]) -> None:
    """The size of Z_l over that of X, and of dZ_l over that of dZ_L, by layer; dashed what theory expects.

    A cross ends a line where the size has underflowed, a triangle where it has left the range of the dtype.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    forward, backward = figure.subplots(1, 2, sharey=True)
    ends: set[str] = set()
    for i, (name, (X, measured, expected)) in enumerate(profiles.items()):
        Z, Z_expected = (np.append(X, sizes).astype(float) / float(X) for sizes in (measured.Z, expected.Z))
        start = float(measured.dZ[-1]) or np.nan  # without an error there is nothing to draw
        dZ = np.asarray(measured.dZ, float)[::-1] / start
        dZ_expected = np.asarray(expected.dZ, float)[::-1] / (float(expected.dZ[-1]) or np.nan)
        ends |= _draw_sizes(forward, np.arange(len(Z)), Z, Z_expected, name, f"C{i}")
        ends |= _draw_sizes(backward, np.arange(len(dZ), 0, -1), dZ, dZ_expected, name, f"C{i}")
    forward.set(title="forward: size of Z, over that of X", xlabel="layer (0: X)")
    backward.set(
        title="backward: size of dZ, over that of the last layer", xlabel="layer; the error comes from the right"
    )
    for axes in (forward, backward):
        axes.set_yscale("log")
        axes.axhline(1, color="black", linewidth=0.6)
        axes.grid(alpha=0.3)
        axes.title.set_fontsize(10)
        axes.xaxis.set_major_locator(MaxNLocator(11, integer=True, steps=[1, 2, 5, 10]))
    handles, labels = forward.get_legend_handles_labels()
    handles.append(Line2D([], [], color="grey", linestyle="dashed", label="theory"))
    meaning = {"x": "from here on 0: underflow", "^": "from here on beyond the range"}
    handles += [Line2D([], [], color="grey", linestyle="", marker=end, label=meaning[end]) for end in sorted(ends)]
    labels += [str(handle.get_label()) for handle in handles[len(labels) :]]
    figure.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11, parse_math=False)
    _save(figure, path, dpi=110)


def _draw_sizes(
    axes, layers: np.ndarray, measured: np.ndarray, expected: np.ndarray, name: str, colour: str
) -> set[str]:
    """One line in the order of travel, and the mark at its end where it ends before the last layer."""
    arrived = np.cumprod((measured > 0) & np.isfinite(measured)).astype(bool)
    # Theory goes on where float32 does not; so far is far enough.
    drawable = np.where((expected > 1e-40) & (expected < 1e40), expected, np.nan)
    marker = "o" if len(layers) < 30 else None
    axes.plot(layers[arrived], measured[arrived], color=colour, marker=marker, markersize=3, linewidth=1.6, label=name)
    axes.plot(layers, drawable, color=colour, linestyle="dashed", linewidth=1)
    if arrived.all() or not arrived.any():
        return set()
    last = np.count_nonzero(arrived) - 1
    end = "x" if measured[last + 1] == 0 else "^"
    axes.plot(layers[last], measured[last], end, color=colour, markersize=9, markeredgewidth=2)
    return {end}
