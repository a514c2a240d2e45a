"""What the gradient of any function should be, leaf by leaf, how well that is known, and who agrees with whom."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .functions import Function
from .perturbed import Roundings
from .reference import ROUNDOFF
from .report import Triangle


SHARP = 1e-3  # differences with an error bar of a larger share do not tell whether the complex step is right
Wrap = Callable[[np.ndarray], np.ndarray]
TAYLOR_STEPS = tuple(10.0**-k for k in range(7))


class Witness(NamedTuple):
    """What a leaf should be, entry by entry; NaN where nobody looked."""

    want: np.ndarray
    unit: np.ndarray  # what rounding explains of a difference, or the error bar
    kind: str  # "calibrated", "complex step" or "differences"

    @property
    def scale(self) -> float:
        """The largest entry."""
        return float(np.nanmax(np.abs(self.want), initial=0.0))


def witnesses(function: Function, got: Sequence[np.ndarray]) -> list[Witness]:
    """Autodiff in float64 where JAX can trace the function, else the complex step or differences."""
    if not function.traceable:
        return [_by_values(function, i) for i in range(len(function.leaves))]
    want = function.autodiff()
    u = max([function.roundoff, *(ROUNDOFF.get(str(g.dtype), 0.0) for g in got)])
    return [
        Witness(g, np.full_like(g, seen + u * float(np.max(np.abs(g), initial=0))), "calibrated")
        for g, seen in zip(want, _rounding_seen(function, want, u), strict=True)
    ]


def _rounding_seen(function: Function, want: Sequence[np.ndarray], u: float) -> list[float]:
    """How far rounding takes autodiff itself: in lower precision, scaled to u, and at arguments moved by one rounding.

    In lower precision a unit may land on the other side of a kink, which is no rounding; scaled down it does no harm.
    """
    lower = jnp.bfloat16 if u > ROUNDOFF["float32"] else np.float32
    seen = [0.0] * len(want)
    others = [(function.autodiff(function.moved_by_rounding(u, sign)), 1.0) for sign in (1, -1)]
    try:
        others.append((function.autodiff(dtype=lower), u / ROUNDOFF[jnp.dtype(lower).name]))
    except Exception:  # of whatever kind: a function that insists on its own precision
        pass
    for gradient, scale in others:
        for i, (g, w) in enumerate(zip(gradient, want, strict=True)):
            off = np.abs(g - w)
            seen[i] = max(seen[i], scale * float(np.max(off[np.isfinite(off)], initial=0)))
    return seen


def _by_values(function: Function, i: int) -> Witness:
    """Entry by entry, by the complex step where it agrees with differences along a direction, else by differences."""
    leaf = function.leaves[i]
    want, bar = np.full(leaf.shape, np.nan), np.full(leaf.shape, np.nan)
    if not np.isfinite(function.value(function.leaves)):  # of log(0) a complex step makes some number
        return Witness(want, np.zeros(leaf.shape), "differences")
    wrap = next((wrap for wrap in (_same, Roundings().wrap) if _analytic(function, i, wrap)), None)
    for entry in function.entries(i):
        unit = function.unit(i, entry)
        size = float(unit[entry])
        if wrap is not None:
            want[entry], bar[entry] = function.by_complex_step(i, unit, wrap) / size, 0.0
        else:
            estimate = function.along(i, unit)
            want[entry], bar[entry] = estimate.value / size, estimate.error_bar / size
    rounding = 8 * max(function.roundoff, ROUNDOFF["float64"]) * float(np.nanmax(np.abs(want), initial=0.0))
    return Witness(want, bar + rounding, "complex step" if wrap is not None else "differences")


def _analytic(function: Function, i: int, wrap: Wrap) -> bool:
    """Is the complex step the derivative? Where differences cannot tell at the point, they can at smaller leaves."""
    for share in (1, 0.25, 0.05):
        there = function if share == 1 else function.moved_to([share * leaf for leaf in function.leaves])
        direction = there.direction(i)
        along, by_complex_step = there.along(i, direction), there.by_complex_step(i, direction, wrap)
        if along.error_bar <= SHARP * abs(along.value) or share == 0.05:
            return bool(abs(along.value - by_complex_step) <= 5 * along.error_bar + 1e-9 * abs(along.value))
    return False


def _same(leaf: np.ndarray) -> np.ndarray:
    return leaf


def triangle(function: Function, i: int, got: np.ndarray, witness: Witness) -> Triangle:
    """The derivative along one direction of leaf i by the gradient under test, by autodiff and by differences."""
    direction = function.direction(i)
    along = function.along(i, direction)
    hand = float(np.sum(got.astype(np.float64) * direction)) if got.shape == direction.shape else np.nan
    autodiff = float(np.sum(witness.want * direction)) if witness.kind == "calibrated" else np.nan
    return Triangle(function.names[i], hand, autodiff, along.value, along.error_bar, _taylor(function, i, hand))


def _taylor(function: Function, i: int, hand: float) -> tuple[tuple[float, float], ...]:
    """|f(x + h v) - f(x) - h <gradient, v>| falls like h^2 if the gradient is right along v, like h if it is not."""
    direction, start = function.direction(i), function.value(function.leaves)
    return tuple((h, abs(function.value(function.moved(i, h * direction)) - start - h * hand)) for h in TAYLOR_STEPS)
