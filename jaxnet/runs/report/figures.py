"""The figures of a report: curves as SVG in the page's own colours, images as data URIs.

No text of the user's goes into a figure: legends are made by the page, whose fonts know every script.
"""

import base64
from collections.abc import Sequence
from io import BytesIO, StringIO
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator

from .metrics import Reliability, Roc


# The page defines these colours, one set for light and one for dark; matplotlib knows them by numbers.
SERIES = {f"#{i:02x}77{i:02x}": f"var(--series-{i})" for i in range(1, 9)}
INK, LINE = "#017702", "#017703"
VARIABLES = SERIES | {INK: "var(--muted)", LINE: "var(--line)"}
DASHES = ["solid", "dashed", "dotted"]
STYLE: dict[Any, Any] = {
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    # Fixed, where a layout engine would take as long as all else.
    "figure.subplot.bottom": 0.15,
    "figure.subplot.hspace": 0.12,
    "figure.subplot.left": 0.14,
    "figure.subplot.right": 0.97,
    "figure.subplot.top": 0.97,
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
SIZE = (4.8, 3.0)  # inches; on a phone, where a figure is about as wide, its letters are as large as the page's
MOST_POINTS = 1000  # of a curve


class Line(NamedTuple):
    """A curve and what the legend calls it."""

    label: str
    x: Float[np.ndarray, " points"] | np.ndarray
    y: Float[np.ndarray, " points"] | np.ndarray


class Drawing(NamedTuple):
    """A figure: its SVG, what it is to those who cannot see it, and a label, a colour and a dash for each line."""

    svg: str
    description: str
    legend: list[tuple[str, str, str]]


def draw_lines(
    description: str,
    lines: Sequence[Line],
    xlabel: str,
    ylabel: str,
    *,
    log: bool = False,
    ylim: tuple[float, float] | None = None,
) -> Drawing | None:
    """Curves over whole numbers; None where there is nothing to draw: no line with a number, or on a log scale a
    positive one.
    """
    cleaned = [Line(line.label, *_thinned(np.asarray(line.x), _drawable(line.y, log))) for line in lines]
    cleaned = [line for line in cleaned if np.isfinite(line.y).any()]
    if not cleaned:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes(xlabel, ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(_PlainLog())
            axes.yaxis.set_minor_formatter(_PlainLog())
        if ylim is not None:
            axes.set_ylim(*ylim)
        legend = [_draw_line(axes, i, line) for i, line in enumerate(cleaned)]
        return _drawing(figure, description, legend)


def draw_roc(description: str, curves: Sequence[tuple[str, Roc]]) -> Drawing:
    """The curves over the diagonal, on which a coin falls."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes("false positive rate", "true positive rate")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="dashed")
        legend = []
        for i, (label, curve) in enumerate(curves):
            x, y = _thinned(curve.false_positive_rate, curve.true_positive_rate)
            legend.append(_draw_line(axes, i, Line(label, x, y)))
        return _drawing(figure, description, legend)


def draw_reliability(description: str, bins: Reliability) -> Drawing:
    """Accuracy over confidence, bin by bin, and below it how many examples each bin holds."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        left, width = bins.edges[:-1], np.diff(bins.edges)
        bars = {"align": "edge", "linewidth": 0, "alpha": 0.75}
        upper.bar(left, np.nan_to_num(bins.accuracy), width * 0.92, color=_colour(0), **bars)
        upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="dashed")
        upper.plot(bins.confidence, bins.accuracy, "o", color=_colour(1), markersize=3.5)
        upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.03))
        lower.bar(left, bins.counts, width * 0.92, color=_colour(7), **bars)
        lower.set(xlabel="probability of the predicted class", ylabel="examples")
        lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        for axes in (upper, lower):
            axes.set_axisbelow(True)
        figure.align_ylabels()
        legend = [("accuracy", SERIES[_colour(0)], "solid")]
        legend.append(("mean probability and accuracy of a bin", SERIES[_colour(1)], "dotted"))
        return _drawing(figure, description, legend)


def draw_agreement(description: str, labels: Float[np.ndarray, " m"], predicted: Float[np.ndarray, " m"]) -> Drawing:
    """Predicted over true values, with the diagonal, on which they are the same."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes("true", "predicted")
        ends = [min(labels.min(), predicted.min()), max(labels.max(), predicted.max())]
        axes.plot(ends, ends, color=INK, linewidth=1, linestyle="dashed")
        axes.plot(labels, predicted, "o", color=_colour(0), markersize=3, alpha=0.6, markeredgewidth=0)
        return _drawing(figure, description, [])


def draw_histogram(description: str, values: Float[np.ndarray, " m"], xlabel: str) -> Drawing:
    """How many values lie in each of 30 bins."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes(xlabel, "examples")
        counts, edges = np.histogram(values, bins=30)
        axes.bar(edges[:-1], counts, np.diff(edges) * 0.92, align="edge", linewidth=0, color=_colour(0), alpha=0.75)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_axisbelow(True)
        return _drawing(figure, description, [])


def data_uri(image: Shaped[np.ndarray, "height width *rgb"], largest: int) -> str:
    """A data URI of uint8 pixels, or floats from 0 to 1; averaged over blocks until no side is above `largest`."""
    image = np.nan_to_num(np.asarray(image, float) / (255 if image.dtype == np.uint8 else 1))
    image = np.clip(shrunk(image, largest), 0, 1)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    options = [("png", {"optimize": True}), ("jpeg", {"quality": 90, "subsampling": 0})]
    buffers = []
    for kind, arguments in options:
        buffer = BytesIO()
        imsave(buffer, image, format=kind, pil_kwargs=arguments)
        buffers.append((len(buffer.getbuffer()), kind, buffer.getvalue()))
    _, kind, content = min(buffers)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def shrunk(image: Float[np.ndarray, "height width *rgb"], largest: int) -> Float[np.ndarray, "h w *rgb"]:
    """The means of square blocks, the smallest with which no side is above `largest`; a rest at the edge is cut."""
    block = block_side(image.shape, largest)
    height, width = (max(1, side // block) for side in image.shape[:2])
    rows, columns = min(block, image.shape[0]), min(block, image.shape[1])
    cut = image[: height * rows, : width * columns]
    return cut.reshape(height, rows, width, columns, *image.shape[2:]).mean(axis=(1, 3))


def block_side(shape: Sequence[int], largest: int) -> int:
    """The side of the blocks that `shrunk` averages; 1 where nothing need be."""
    return -(-max(shape[:2]) // largest)


def weights_as_image(w: Float[np.ndarray, "height width *rgb"]) -> Float[np.ndarray, "height width 3"]:
    """Blue below 0, white at 0, red above, up to the largest weight; of three channels, 1/2 + w / (2 max |w|) each."""
    w = np.nan_to_num(np.asarray(w, float), posinf=0, neginf=0)
    half = 0.5 + 0.5 * w / (np.abs(w).max() or 1.0)
    return half if w.ndim == 3 else matplotlib.colormaps["RdBu_r"](half)[..., :3]


class _PlainLog(LogFormatterSciNotation):
    """0.001 instead of a power in mathematical type; minor ticks are labelled where the default labels them."""

    def __call__(self, x, pos=None):
        return f"{x:g}" if super().__call__(x, pos) else ""


def _colour(i: int) -> str:
    return list(SERIES)[i % len(SERIES)]


def _axes(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE)
    axes = figure.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def _draw_line(axes: Axes, i: int, line: Line) -> tuple[str, str, str]:
    """Draws it in its colour, with dots where it has few points, and returns its entry in the legend."""
    dash = DASHES[i // len(SERIES) % len(DASHES)]
    marker, width = ("o" if len(line.x) < 30 else ""), (1.6 if len(line.x) < 300 else 1)
    axes.plot(line.x, line.y, color=_colour(i), linestyle=dash, linewidth=width, marker=marker, markersize=3)
    return line.label, SERIES[_colour(i)], dash


def _drawable(y: np.ndarray, log: bool) -> np.ndarray:
    y = np.asarray(y, float)
    return np.where(np.isfinite(y) & ((y > 0) | (not log)), y, np.nan)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest point of each of MOST_POINTS / 2 stretches: no spike is lost."""
    if len(x) <= MOST_POINTS:
        return x, y
    edges = np.linspace(0, len(x), MOST_POINTS // 2 + 1).astype(int)
    stretches = [(a, y[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    kept = np.unique([[0, len(x) - 1], *([a + s.argmin(), a + s.argmax()] for a, s in stretches)])
    return x[kept], y[kept]


def _drawing(figure: Figure, description: str, legend: list[tuple[str, str, str]]) -> Drawing:
    file = StringIO()
    # Dates would make every report of a run another file, and addresses of vocabularies are of no use to a reader.
    metadata = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    # The salt goes into the ids of a figure, which a page with several of them must not confuse.
    with matplotlib.rc_context({"svg.hashsalt": description}):
        figure.savefig(file, format="svg", transparent=True, metadata=metadata)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    return Drawing(svg.replace("<svg", f'<svg role="img" aria-label="{description}"', 1), description, legend)
