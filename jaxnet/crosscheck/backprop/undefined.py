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
    return _filled(lambda i, j, t: g(np.array([[Z[i, j] + t]])), slopes)


def loss_slopes(
    value: Callable[[Any, Any], Any], ZL: np.ndarray, Y: np.ndarray, slopes: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """dZL, the same of the loss of each example, times its weight."""
    w = np.ones(ZL.shape[1]) if weight is None else weight
    units = np.eye(len(ZL))[:, :, None]
    return _filled(lambda i, j, t: w[j] * value(ZL[:, j : j + 1] + t * units[i], Y[:, j : j + 1]), slopes)


def _filled(f: Callable[[int, int, float], Any], slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    filled, bars = np.array(slopes), np.zeros_like(slopes)
    with jax.enable_x64(True):
        for i, j in np.argwhere(~np.isfinite(slopes))[:ENTRIES].tolist():
            found = derivative(lambda t, i=i, j=j: float(np.asarray(f(i, j, t)).reshape(())))
            if np.isfinite(found).all():
                filled[i, j], bars[i, j] = found
    return filled, bars
