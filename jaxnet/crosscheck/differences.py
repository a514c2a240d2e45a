"""Derivatives from values alone: central differences with an error bar, the complex step, one-sided slopes.

They share nothing with autodiff, so they can tell whether autodiff of a function is the derivative of its values: it
is not after a `stop_gradient`, a wrong custom rule, or a forward that is itself wrong.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


# h from 0.2 down to 5e-8, each a quarter of the one before.
STEPS = tuple(0.2 * 2.0**-k for k in range(0, 24, 2))
COMPLEX_STEP = 1e-200


class Estimate(NamedTuple):
    """A derivative and how far off it may be."""

    value: float
    error_bar: float


def along(f: Callable[[float], float], value_noise: float = 0.0, roundoff: float = 2.0**-53) -> Estimate:
    """d f(t) / dt at t = 0, where t = 1 is a change of natural size.

    D(h) = (f(h) - f(-h)) / 2h over a ladder of h, extrapolated to h -> 0 by R = (16 D(h/4) - D(h)) / 15 (Richardson,
    since D is even in h). The rung that agrees best with the ones above and below it gives the value; the larger of
    the two distances and the noise of f over h, the error bar. One step alone may stand on either side of a kink, and
    two may agree by chance. The noise is a rounding of f's value or, where f loses digits on its way,
    `value_noise`, or what the finer rungs show of it: their distance to this one, times their h.
    """
    with np.errstate(all="ignore"):
        values = [(f(h), f(-h)) for h in STEPS]
        D = [(a - b) / (2 * h) for (a, b), h in zip(values, STEPS, strict=True)]
        R = [(16 * fine - coarse) / 15 for coarse, fine in itertools.pairwise(D)]
        grain = _grain([abs(a - b) for a, b in values])
        noise = [
            max(roundoff * (abs(a) + abs(b)) + grain, value_noise) / h for (a, b), h in zip(values, STEPS, strict=True)
        ]
        rungs = []
        for k in range(1, len(R) - 1):
            left = max(abs(R[j] - R[k]) * STEPS[j + 1] for j in range(k + 1, len(R)))
            apart = max(abs(R[k] - R[k - 1]), abs(R[k + 1] - R[k]))
            rungs.append(Estimate(float(R[k]), float(2 * apart + max(4 * noise[k + 1], 2 * left / STEPS[k + 1]))))
    finite = [rung for rung in rungs if np.isfinite(rung).all()]
    return min(finite, key=lambda rung: rung.error_bar, default=Estimate(np.nan, np.inf))


def _grain(differences: list[float]) -> float:
    """The smallest difference that f can show, where it shows none at all for the smallest h: it was rounded."""
    shown = [d for d in differences if d > 0]
    return min(shown) if shown and differences[-1] == 0 else 0.0


def one_sided(f: Callable[[float], float], h: float = 1e-5) -> tuple[float, float]:
    """The slopes of f(t) just left and just right of t = 0, to second order in h."""
    f0 = f(0.0)
    left = (3 * f0 - 4 * f(-h) + f(-2 * h)) / (2 * h)
    right = (-3 * f0 + 4 * f(h) - f(2 * h)) / (2 * h)
    return float(left), float(right)


def complex_step(f: Callable[[complex], complex]) -> float:
    """Im f(ih) / h, exact to rounding for any tiny h, where f is analytic (Squire & Trapp 1998, eq. 6).

    Raises what `f` raises at a complex argument; NaN where f drops the imaginary part.
    """
    value = f(1j * COMPLEX_STEP)
    if not np.iscomplexobj(np.asarray(value)):
        return np.nan
    return float(np.imag(value)) / COMPLEX_STEP
