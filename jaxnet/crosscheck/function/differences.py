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
BISECTIONS = 16  # after which a change without a step is less than a twentieth of what it was
GROWING = 7  # of the smallest steps: where slopes grow from each to the next, they grow without bound
KNOWN = 6e-4  # of a derivative that an error bar may be, so that an error of a hundredth shows behind 16 of them
JUMPING = 3.8  # times per step; as fast as 4, as the step falls, only where f jumps


class Estimate(NamedTuple):
    """A derivative and how far off it may be."""

    value: float
    error_bar: float


def along(f: Callable[[float], float], roundoff: float = 2.0**-53, value_noise: float = 0.0) -> Estimate:
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
        grain = _grain(f, [abs(a - b) for a, b in values])
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


def _grain(f: Callable[[float], float], differences: list[float]) -> float:
    """The smallest difference that f can show, where it shows none at all for the smallest h: it was rounded.

    Where f is constant beside t = 0, as a relu below 0, and changes only further out, it does so without a step.
    """
    if differences[-1] != 0 or not np.any(np.array(differences) > 0):
        return 0.0
    k = max(k for k, difference in enumerate(differences) if difference > 0)
    still, moved, smallest = STEPS[k + 1], STEPS[k], differences[k]
    for _ in range(BISECTIONS):
        middle = (still + moved) / 2
        difference = abs(f(middle) - f(-middle))
        still, moved, smallest = (still, middle, difference) if difference > 0 else (middle, moved, smallest)
    return smallest if smallest > 0.05 * differences[k] else 0.0


def one_sided(f: Callable[[float], float], h: float = 1e-5) -> tuple[float, float]:
    """The slopes of f(t) just left and just right of t = 0, to second order in h."""
    f0 = f(0.0)
    left = (3 * f0 - 4 * f(-h) + f(-2 * h)) / (2 * h)
    right = (-3 * f0 + 4 * f(h) - f(2 * h)) / (2 * h)
    return float(left), float(right)


def derivative(f: Callable[[float], float], least: float = 0.0, roundoff: float = 2.0**-53) -> Estimate:
    """d f(t) / dt at t = 0 where the differences settle: finite with its error bar, +-inf, or NaN where they do not.

    Known is a derivative of which an error of a hundredth would show; one so small beside `least`, the value or the
    change of f at a step of natural size is as good as 0.
    """
    estimate, start, steep = along(f, roundoff), f(0.0), growth(f, roundoff)
    if steep != 0 or not np.isfinite(start):
        return Estimate(steep or np.nan, 0.0)
    with np.errstate(all="ignore"):
        change = abs(f(1.0) - start)
    size = max(least, abs(estimate.value), 1e-6 * abs(start), 1e-3 * change if np.isfinite(change) else 0.0)
    known = np.isfinite(estimate).all() and estimate.error_bar <= KNOWN * size
    return estimate if known else Estimate(np.nan, np.inf)


def growth(f: Callable[[float], float], roundoff: float = 2.0**-53) -> float:
    """Where the slopes of f(t) beside t = 0 go as h -> 0: 0 where they settle, +-inf where they grow without bound.

    Infinite as those of sqrt and log at 0 or of the cube root: of one sign on every side on which f is defined. NaN
    where they grow otherwise, as at a jump or a cusp, and where f is defined on neither side: no derivative is there.
    """
    with np.errstate(all="ignore"):
        start = float(f(0.0))
        sides = {_growth(np.array([f(side * h) for h in STEPS]), start, side, roundoff) for side in (1, -1)} - {None}
    return sides.pop() or 0.0 if len(sides) == 1 else np.nan


def _growth(values: np.ndarray, start: float, side: int, roundoff: float) -> float | None:
    """The same on one side; None where f is not defined there."""
    h = np.array(STEPS)
    if not np.isfinite(values[-GROWING:]).all():
        return None
    if np.isfinite(start):
        slopes, change, largest = side * (values - start) / h, abs(values[-1] - start), JUMPING
    else:  # between neighbours, whose slopes grow like 1 / h at a pole of the logarithm
        slopes, change, largest = side * np.diff(values) / np.diff(h), abs(values[-1] - values[-2]), np.inf
    ratios = slopes[1 - GROWING :] / slopes[-GROWING:-1]
    if not np.all(ratios > 1.05) or change <= 16 * roundoff * abs(values[-1]):
        return 0.0
    return float(np.copysign(np.inf, slopes[-1])) if np.all(ratios < largest) else np.nan


def complex_step(f: Callable[[complex], complex]) -> float:
    """Im f(ih) / h, exact to rounding for any tiny h, where f is analytic (Squire & Trapp 1998, eq. 6).

    Raises what `f` raises at a complex argument; NaN where f drops the imaginary part.
    """
    value = f(1j * COMPLEX_STEP)
    if not np.iscomplexobj(np.asarray(value)):
        return np.nan
    return float(np.imag(value)) / COMPLEX_STEP
