"""Slopes of an activation and of a loss where autodiff gives NaN or inf although their values have a derivative.

The usual cause is a `where` around a function that is infinite or undefined in the branch not taken.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ..function.differences import derivative


ENTRIES = 400  # that differences look at, of one array


def activation_slopes(g: Callable[[Any], Any], Z: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g'(Z) and its error bars: `slopes` where they are finite, else by differences, where these settle."""

    def line(i: int, j: int) -> Callable[[float], float]:
        return lambda t: _number(g(np.array([[Z[i, j] + t]])))

    return _filled(line, slopes)


def loss_slopes(
    value: Callable[[Any, Any], Any],
    ZL: np.ndarray,
    Y: np.ndarray,
    slopes: np.ndarray,
    weight: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """dZL, the same of the loss of each example, times its weight."""
    w = np.ones(ZL.shape[1]) if weight is None else weight

    def line(i: int, j: int) -> Callable[[float], float]:
        unit = np.eye(len(ZL))[:, i : i + 1]
        return lambda t: w[j] * _number(value(ZL[:, j : j + 1] + t * unit, Y[:, j : j + 1]))

    return _filled(line, slopes)


def _filled(line: Callable[[int, int], Callable[[float], float]], slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    filled, bars = np.array(slopes), np.zeros_like(slopes)
    with jax.enable_x64(True):
        for i, j in np.argwhere(~np.isfinite(slopes))[:ENTRIES]:
            found = derivative(line(int(i), int(j)))
            if np.isfinite(found).all():
                filled[i, j], bars[i, j] = found
    return filled, bars


def _number(array: Any) -> float:
    return float(np.asarray(array).reshape(()))
