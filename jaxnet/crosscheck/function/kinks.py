"""Kinks: a gradient that lies between the slopes on both sides of one is a convention, not an error."""

from collections.abc import Callable, Sequence

import numpy as np

from .calibration import Entries, Tested, chosen, nearby, reference_at
from .differences import one_sided
from .function import ENTRIES, Function
from .perturbed import Run
from .reference import CALIBRATED, Known


JUMP = 1e-4  # one-sided slopes that differ by a larger share of the gradient make a kink


def between_slopes(function: Function, i: int, got: np.ndarray, known: Known, off: Entries) -> tuple[Entries, Entries]:
    """The entries that are off and lie between the slopes on both sides of a kink, and those at a kink where autodiff
    and the gradient are both NaN; none of either, if one that is off is at no kink."""
    between, undefined, room = [], [], JUMP * known.scale
    for entry in off if len(off) <= ENTRIES else ():
        left, right = _slopes(function, i, known, entry)
        if not abs(left - right) > room:
            return [], []
        if min(left, right) - room <= got[entry] <= max(left, right) + room:
            between.append(entry)
        elif np.isnan(got[entry]) and known.undefined is not None and known.undefined[entry]:
            undefined.append(entry)
        else:
            return [], []
    return between, undefined


def _slopes(function: Function, i: int, known: Known, entry: tuple[int, ...]) -> tuple[float, float]:
    """The slopes on both sides of an entry; NaN where they do not settle, as those of a square root at 0."""
    unit = function.unit(i, entry)
    wide, narrow = (np.array(one_sided(function.line(i, unit), h)) / unit[entry] for h in (1e-5, 1e-6))
    settled = np.abs(wide - narrow) <= 0.01 * np.abs(wide) + JUMP * known.scale
    # Where differences are the reference, slopes that grow were seen before, and these may be noise.
    return (float(wide[0]), float(wide[1])) if settled.all() or known.kind == "differences" else (np.nan, np.nan)


def kinked(function: Function, i: int, direction: np.ndarray) -> bool:
    """Whether the slopes on both sides differ along a direction."""
    left, right = one_sided(function.line(i, direction))
    noise = 1e7 * function.fine * abs(function.start)  # of slopes over so short a step
    return abs(left - right) > JUMP * max(abs(left), abs(right)) + noise


def entries_beside_a_kink(tested: Tested, i: int, got: np.ndarray, known: Known, off: Entries) -> bool:
    """Is the gradient right at points all around, and at these entries here among or between what it is there?"""
    unit = chosen(known.unit, off)

    def right(leaves: Sequence[np.ndarray], made: np.ndarray) -> np.ndarray | None:
        want = reference_at(tested.function, leaves, i, off)
        return want if np.all(np.abs(chosen(made, off) - want) <= CALIBRATED * unit) else None

    return _among(tested, i, chosen(got, off), known.scale, right)


def direction_beside_a_kink(tested: Tested, i: int, got: np.ndarray, known: Known, direction: np.ndarray) -> bool:
    """The same of the entries in a direction, whose gradient is compared all together."""
    function, moved = tested.function, direction != 0

    def right(leaves: Sequence[np.ndarray], made: np.ndarray) -> np.ndarray | None:
        if function.traceable:
            want = float(np.sum((function.autodiff(leaves)[i] * direction)[moved]))
        else:
            want = function.moved_to(leaves).by_complex_step(i, direction, Run().wrap)
        parts = (made * direction)[moved]
        size = np.sum(np.abs(parts)) + known.scale * np.sum(np.abs(direction))
        return made[moved] if abs(np.sum(parts) - want) <= JUMP * JUMP * size else None

    return _among(tested, i, got[moved], known.scale, right)


def _among(
    tested: Tested,
    i: int,
    here: np.ndarray,
    scale: float,
    right: Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray | None],
) -> bool:
    """Is the gradient `here` among or between what it is around, wherever it is right; None says that it is not."""
    around = []
    for leaves in nearby(tested.function):
        got = tested.at(leaves)
        part = None if got is None else right(leaves, got[i])
        if part is None:
            return False
        around.append(part)
    room = JUMP * max(scale, float(np.max(np.abs(around))))
    low, high = np.min(around, axis=0) - room, np.max(around, axis=0) + room
    return bool(np.all((low <= here) & (here <= high)))
