"""How far rounding may have taken a gradient and its reference apart at this point, and what lies around the point.

Both are asked again: with other rounding errors, where a gradient or the function is NumPy code, and next to the point,
where no kink is. It is done only where a gradient is further off than the rounding of well-conditioned code explains.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from ..compare import ROUNDOFF
from .arguments import fresh, in_precision_of
from .function import Function
from .perturbed import Rerun, Run
from .returned import gradient_as_leaves


Entries = Sequence[tuple[int, ...]]

PROBED = 64  # entries of a leaf that are asked again one by one
NEARBY = 1e-7  # how far the points around lie, of the natural size of every entry
STRETCHES = (1e-2, -1e-2, 1e-4, -1e-4, 1e-6, -1e-6)  # shares by which all leaves are made larger or smaller


@dataclass(frozen=True)
class Tested:
    """The gradient under test, to be called again; its leaves in the order of the arguments'."""

    function: Function
    call: Callable[..., Any]

    @cached_property
    def got(self) -> list[np.ndarray]:
        """The gradient at the point, each leaf in the type that it came in."""
        return self._called(fresh(self.function.args))

    @property
    def again(self) -> Rerun:
        """All leaves in a row, to be made again with other rounding errors."""
        return Rerun(self._flat, _joined(self.got), 2 * self.function.roundoff)

    @cached_property
    def noise(self) -> list[np.ndarray]:
        """How far other rounding errors take each entry; zeros for code that is not NumPy's."""
        try:
            parts = np.split(self.again.noise(), np.cumsum([g.size for g in self.got])[:-1])
        except Exception:  # of whatever kind: code that takes no arrays of another kind
            return [np.zeros(g.shape) for g in self.got]
        return [part.reshape(g.shape) for part, g in zip(parts, self.got, strict=True)]

    def at(self, leaves: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """The gradient at other leaves, with arguments in float64; None where it takes none such."""
        try:
            found = self._called(fresh(self.function.moved_to(leaves).args))
        except Exception:  # of whatever kind: code that is made for one point, or for one type
            return None
        fits = [g.shape for g in found] == [leaf.shape for leaf in leaves]
        return [g.astype(np.float64) for g in found] if fits else None

    def in_float64(self) -> "Tested":
        """The same with arguments in float64."""
        return replace(self, function=self.function.moved_to(self.function.leaves))

    def _called(self, args: tuple) -> list[np.ndarray]:
        with in_precision_of(args):
            return gradient_as_leaves(self.call(*args), self.function).leaves

    def _flat(self, run: Run) -> np.ndarray:
        return _joined(self._called(tuple(jax.tree.map(run.wrap, fresh(self.function.args)))))


def _joined(leaves: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([leaf.astype(np.float64).ravel() for leaf in leaves])


def reference_again(function: Function, i: int, entries: Entries) -> Rerun:
    """The complex step of these entries of leaf i, to be made again with other rounding errors."""
    return Rerun(partial(_steps, function, i, entries), _steps(function, i, entries), 2 * ROUNDOFF["float64"])


def _steps(function: Function, i: int, entries: Entries, run: Run | None = None) -> np.ndarray:
    run = run or Run()
    units = [(function.unit(i, entry), entry) for entry in entries]
    return np.array([function.by_complex_step(i, unit, run.wrap) / unit[entry] for unit, entry in units])


def reference_at(
    function: Function, leaves: Sequence[np.ndarray], i: int, entries: Entries, run: Run | None = None
) -> np.ndarray:
    """What these entries of leaf i should be at other leaves: by autodiff or the complex step; NaN where neither is."""
    if function.traceable:
        return chosen(function.autodiff(leaves)[i], entries)
    return _steps(function.moved_to(leaves), i, entries, run)


def unevenness(tested: Tested, i: int, entries: Entries, referenced: bool) -> np.ndarray:
    """How unevenly gradient and reference part as all leaves grow a little: rounding jumps about, an error does not.

    The third difference of got - want over four points a quarter of a stretch apart, in units of its own standard
    deviation for uneven numbers, sqrt(20); the largest over several stretches. Stretching crosses few kinks. Without
    a reference it is that of the gradient alone, over short stretches. Zeros for a gradient that is not right at
    smaller leaves either, or is not finite here: what is uneven there is not a lack of digits.
    """
    function, found = tested.function, np.zeros(len(entries))
    if referenced and not right_when_smaller(tested, i, entries):
        return found
    for stretch in STRETCHES if referenced else STRETCHES[2:]:
        apart = []
        for k in (1, 2, 3, 4):
            leaves = function.stretched(1 + stretch * k / 4)
            around = tested.at(leaves)
            if around is None:
                return np.zeros(len(entries))
            got = chosen(around[i], entries)
            apart.append(got - reference_at(function, leaves, i, entries) if referenced else got)
        third = np.abs(apart[3] - 3 * apart[2] + 3 * apart[1] - apart[0]) / np.sqrt(20)
        found = np.maximum(found, np.nan_to_num(third, nan=np.inf, posinf=np.inf))
    return np.where(np.isfinite(chosen(tested.got[i].astype(np.float64), entries)), found, 0.0)


def right_when_smaller(tested: Tested, i: int, entries: Entries, *, guards: bool = True) -> bool:
    """Does the gradient agree to nearly all digits at some smaller leaves, where a function has its digits?"""
    for share in (0.5, 0.25, 0.1, 0.05):
        leaves = tested.function.stretched(share)
        want, got = reference_at(tested.function, leaves, i, entries, Run(guards=guards)), tested.at(leaves)
        if got is None:
            return False
        off = np.abs(chosen(got[i], entries) - want)
        if np.all(off <= 1e3 * ROUNDOFF["float64"] * np.max(np.abs(want))) and np.any(want != 0):
            return True
    return False


def without_guards(tested: Tested, i: int, entries: Entries) -> str:
    """The guards of the cost, `A + 1e-8` or a clip, if the gradient is that of the cost without them; else empty."""
    run = Run(guards=False)
    tested.function.value_with(run.wrap)
    if not run.left_out or not right_when_smaller(tested, i, entries, guards=False):
        return ""
    return ", ".join(dict.fromkeys(filter(None, run.left_out))) or "its guards"


def chosen(array: np.ndarray, entries: Entries) -> np.ndarray:
    """These entries of an array, in a row, of a single number as well."""
    return np.array([array[entry] for entry in entries])


def nearby(function: Function) -> list[list[np.ndarray]]:
    """Leaves next to the point, on the several sides of a kink that is there.

    Four by signs at random; four with all entries up or all down, the first or the last leaves the most (of a single
    leaf its entries): so every unit of a network whose Z are all 0 is on, or off, with those above it.
    """
    sizes = [function.sizes(i) for i in range(len(function.leaves))]
    counts = [size.size for size in sizes]
    ramp = np.geomspace(1e-15, 1e-6, counts[0])
    if len(sizes) > 1:
        ramp = np.repeat(np.geomspace(1e-15, 1e-6, len(sizes)), counts)
    random = np.random.default_rng(0)
    shares = [NEARBY * random.uniform(-1, 1, size=sum(counts)) for _ in range(4)]
    shares += [sign * up for up in (ramp, ramp.max() / ramp * ramp.min()) for sign in (1, -1)]
    ends, points = np.cumsum(counts)[:-1], []
    for share in shares:
        parts = zip(function.leaves, sizes, np.split(share, ends), strict=True)
        points.append([np.array(leaf + part.reshape(leaf.shape) * size) for leaf, size, part in parts])
    return points
