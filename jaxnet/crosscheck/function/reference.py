"""What the gradient of any function should be, leaf by leaf, and how well that is known."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..compare import ROUNDOFF
from ..report import ThreeWay
from .differences import Estimate, derivative, growth
from .function import Function
from .perturbed import Run


CALIBRATED = 16.0  # times the rounding that was seen, correct code may be off
VISIBLE = 0.01  # differences that would not see an error of this share of the gradient cannot tell
SHARP = 1e-3  # differences with an error bar of a larger share do not tell whether the complex step is right
USUAL_CAUSE = (
    "The usual cause is a `where` around a function that is infinite or undefined in the branch not taken: give that "
    "function an argument that is safe, f(where(ok, x, 1)), inside of the outer `where`"
)
TAYLOR_STEPS = tuple(10.0**-k for k in range(7))


class Known(NamedTuple):
    """What a leaf should be, entry by entry; NaN where it is not known."""

    want: np.ndarray
    unit: np.ndarray  # what rounding explains of a difference, or the error bar
    kind: str  # "calibrated" (autodiff), "complex step" or "differences"
    rounding: float = 0.0  # the part of the unit that is rounding
    undefined: np.ndarray | None = None  # where autodiff is NaN or infinite, and differences were asked
    skipped: np.ndarray | None = None  # where they were not asked, since there are too many entries
    largest: float = np.inf  # beyond it, right code gives inf

    @property
    def scale(self) -> float:
        """The largest entry that is finite in the type under test."""
        return _largest(self.want, self.largest)


def references(function: Function, got: Sequence[np.ndarray]) -> list[Known]:
    """Autodiff in float64 where JAX can trace the function, else the complex step or differences."""
    largest = min([function.largest, *(float(jnp.finfo(g.dtype).max) for g in got if str(g.dtype) in ROUNDOFF)])
    if not function.traceable:
        return [_by_values(function, i, largest) for i in range(len(function.leaves))]
    want = function.autodiff()
    u = max([function.roundoff, *(ROUNDOFF.get(str(g.dtype), 0.0) for g in got)])
    found = []
    for i, (autodiff, seen) in enumerate(zip(want, _rounding_seen(function, want, u, largest), strict=True)):
        unit = seen + u * _largest(autodiff, largest)
        found.append(completed(function, i, got[i], autodiff, np.full_like(autodiff, unit))._replace(largest=largest))
    return found


def completed(function: Function, i: int, got: np.ndarray, autodiff: np.ndarray, unit: np.ndarray) -> Known:
    """Autodiff of leaf i where it is finite, or infinite as the gradient is; elsewhere differences, where they settle.

    The usual cause of NaN is a `where` around a function that is infinite or undefined in the branch not taken: the
    function itself has a derivative there, which its values tell.
    """
    rounding = float(np.max(unit[np.isfinite(unit)], initial=0.0))
    undefined = np.array(~np.isfinite(autodiff))
    fits = got.shape == autodiff.shape
    if fits:
        undefined &= ~(np.isinf(autodiff) & (got == autodiff))
    want, unit = np.array(np.where(undefined, np.nan, autodiff)), np.array(np.where(undefined, np.nan, unit))
    scale, skipped = _largest(autodiff), undefined.copy()
    for entry in function.entries(i, undefined) if undefined.any() else ():
        skipped[entry] = False
        step = function.unit(i, entry)
        size = float(step[entry])
        slope, bar = np.array(derivative(function.line(i, step), scale * size, function.fine)) / size
        made = got[entry] if fits else np.nan
        if np.isfinite(slope) or slope in (autodiff[entry], made):
            want[entry], unit[entry] = slope, bar
        elif made == -autodiff[entry]:  # both infinite
            want[entry], unit[entry] = autodiff[entry], 0.0
    unit[undefined] += rounding + 8 * function.roundoff * _largest(want)
    return Known(want, unit, "calibrated", rounding, undefined, skipped)


def _largest(array: np.ndarray, below: float = np.inf) -> float:
    """The largest magnitude of the entries that are finite, and less than `below`."""
    size = np.abs(array)
    return float(np.max(size[np.isfinite(size) & (size < below)], initial=0.0))


def _rounding_seen(function: Function, want: Sequence[np.ndarray], u: float, largest: float) -> list[float]:
    """How far rounding takes autodiff itself: in lower precision, scaled to u, and at arguments moved by one unit.

    In lower precision a unit may land on the other side of a kink, which is not rounding; scaled down it does no harm.
    """
    lower = jnp.bfloat16 if u > ROUNDOFF["float32"] else np.float32
    others = [(function.autodiff(function.moved_by_rounding(u, sign)), 1.0) for sign in (1, -1)]
    try:
        others.append((function.autodiff(dtype=lower), u / ROUNDOFF[jnp.dtype(lower).name]))
    except Exception:  # of whatever kind: a function that insists on its own precision
        pass
    return [
        max(scale * _largest((gradient[i] - w)[np.abs(w) < largest]) for gradient, scale in others)
        for i, w in enumerate(want)
    ]


def _by_values(function: Function, i: int, largest: float) -> Known:
    """Entry by entry, by the complex step where it agrees with differences along a direction, else by differences."""
    shape = function.leaves[i].shape
    want, bar, skipped = np.full(shape, np.nan), np.full(shape, np.nan), np.ones(shape, bool)
    wraps = (_unwrapped, Run().wrap) if np.isfinite(function.start) else ()  # of log(0) it makes some number
    wrap = next((wrap for wrap in wraps if _analytic(function, i, wrap)), None)
    for entry in function.entries(i):
        unit = function.unit(i, entry)
        size, skipped[entry] = float(unit[entry]), False
        exact = np.nan if wrap is None else function.by_complex_step(i, unit, wrap)
        value, error_bar = Estimate(exact, 0.0) if np.isfinite(exact) else function.along(i, unit)
        want[entry], bar[entry] = value / size, error_bar / size
        # An error bar that is too wide for any digit: noise, or no derivative.
        if not CALIBRATED * error_bar <= abs(value) and (steep := growth(function.line(i, unit))) != 0:
            want[entry], bar[entry] = steep, 0.0
    rounding = 8 * max(function.roundoff, ROUNDOFF["float64"]) * _largest(want, largest)
    kind = "differences" if wrap is None else "complex step"
    return Known(want, np.array(bar + rounding), kind, rounding, None, skipped, largest)


def _unwrapped(leaf: Any) -> Any:
    return leaf


def _analytic(function: Function, i: int, wrap: Callable[[Any], Any]) -> bool:
    """Is the complex step the derivative? Where differences cannot tell at the point, they can at smaller leaves."""
    for share in (1, 0.25, 0.05):
        there = function if share == 1 else function.moved_to(function.stretched(share))
        direction = there.direction(i)
        (value, bar), exact = there.along(i, direction), there.by_complex_step(i, direction, wrap)
        if bar <= SHARP * abs(value):
            break
    return bool(abs(value - exact) <= 5 * bar + 1e-9 * abs(value))


def along_which(function: Function, i: int, known: Known) -> np.ndarray:
    """The direction of leaf i along which all are compared: no entry of it moves where autodiff is of no use."""
    if known.kind != "calibrated" or np.isfinite(known.want).all():
        return function.direction(i)
    return function.direction(i, np.array(np.isfinite(known.want)))


def three_way(function: Function, i: int, got: np.ndarray, known: Known, name: str) -> ThreeWay:
    """The derivative along one direction of leaf i by the gradient under test, by autodiff and by differences."""
    direction = along_which(function, i, known)
    (value, bar), moved = function.along(i, direction), direction != 0
    hand = float(np.sum((got.astype(np.float64) * direction)[moved])) if got.shape == direction.shape else np.nan
    autodiff = float(np.sum((known.want * direction)[moved])) if known.kind == "calibrated" else np.nan
    line = function.line(i, direction)
    # The remainder falls like h^2 if the gradient is right along the direction, like h if it is not.
    taylor = tuple((h, abs(line(h) - function.start - h * hand)) for h in TAYLOR_STEPS)
    return ThreeWay(name, hand, autodiff, value, bar, taylor)
