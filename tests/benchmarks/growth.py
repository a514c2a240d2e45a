"""How the ratios of `peers` grow with width, depth, batch and data: four curves for each contender, in one image."""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import peers
from .problem import Case


CONTENDERS = ["jaxnet", "autodiff", "torch", "numpy"]
CURVES = {
    "units of each of two hidden layers": {
        width: Case((784, width, width, 10), 128, batches=16, unit=32) for width in (32, 128, 512, 2048)
    },
    "hidden layers of 128 units": {
        depth: Case((784, *[128] * depth, 10), 128, batches=16, unit=32) for depth in (1, 4, 16, 64)
    },
    "examples in a minibatch": {m: Case((784, 256, 256, 10), m, batches=16, unit=32) for m in (8, 32, 128, 512)},
    "examples, all in every step": {m: peers.COURSE._replace(m=m) for m in (25, 100, 400, 1600)},
}
SIZE = (9.6, 6.0)  # inches
TICKS = [digit * 10.0**power for power in range(-2, 4) for digit in (1, 2, 5)]
COLOURS = ["#2f6fde", "#d9730d", "#23865a", "#c8385a", "#7c4dcc", "#0f8b8d", "#8d6e2f", "#7a8494"]  # the report's


def draw(file: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measures the curves, draws them to `file`, and returns their rows."""
    chosen = [name for name in arguments.contenders or CONTENDERS if name in peers.PEERS]
    options = argparse.Namespace(**vars(arguments) | {"contenders": chosen, "whole": 0})
    rows = []
    for variable, cases in CURVES.items():
        for value, case in cases.items():
            measured = peers.measure(f"{variable}: {value}", case, options)
            rows += [row | {"variable": variable, "value": value} for row in measured]
    draw_rows(file, rows)
    return rows


def draw_rows(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One pair of axes for each variable, a line for each contender over jaxnet's at 1, bars from least to most."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    style = {"axes.spines.right": False, "axes.spines.top": False, "axes.grid": True, "font.size": 9}
    with matplotlib.rc_context(style | {"grid.color": "#dddddd", "grid.linewidth": 0.6}):
        figure = Figure(figsize=SIZE, layout="constrained")
        names = list(dict.fromkeys(row["contender"] for row in rows))
        variables = list(dict.fromkeys(row["variable"] for row in rows))
        grid = figure.subplots(2, -(-len(variables) // 2), squeeze=False).ravel()
        for axes, variable in zip(grid, variables, strict=False):
            axes.set(xscale="log", yscale="log", xlabel=variable, ylabel="time of a step / jaxnet's")
            values = sorted({row["value"] for row in rows if row["variable"] == variable})
            for scale, ticks in ((axes.xaxis, values), (axes.yaxis, TICKS)):
                scale.set(major_locator=FixedLocator(ticks), minor_locator=NullLocator())
                scale.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            for name, colour in zip(names, itertools.cycle(COLOURS), strict=False):
                line = [
                    row for row in rows if (row["contender"], row["variable"]) == (name, variable) if "ratio" in row
                ]
                _draw_line(axes, name, colour, line)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(names), frameon=False)
        figure.savefig(file, dpi=130)


def _draw_line(axes, name: str, colour: str, rows: Sequence[dict[str, Any]]) -> None:
    x, y = [row["value"] for row in rows], [row["ratio"] for row in rows]
    below = [max(0, row["ratio"] - row["spread"][0]) for row in rows]
    above = [max(0, row["spread"][1] - row["ratio"]) for row in rows]
    axes.errorbar(x, y, [below, above], label=name, color=colour, marker="o", markersize=3, linewidth=1.6, capsize=2)
