"""The verdict on one leaf of the gradient of any function: agree, disagree, or why neither is known."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..compare import ROUNDOFF, compare
from ..report import Cause, Doubt, LeafCheck, ThreeWay, Verdict
from .calibration import PROBED, Entries, Tested, reference_again, unevenness, without_guards
from .differences import one_sided
from .function import Function
from .kinks import between_slopes, direction_beside_a_kink, entries_beside_a_kink, kinked
from .reference import CALIBRATED, USUAL_CAUSE, VISIBLE, Known, along_which


LISTED = 4  # entries that a message lists
FEW = 4  # entries that are asked first whether rounding explains them


class Case(NamedTuple):
    """A leaf of a gradient and everything known of it."""

    function: Function
    i: int
    got: np.ndarray
    known: Known
    three_way: ThreeWay
    tested: Tested | None = None  # to be called again; None where the gradient depends on more than the leaves

    @property
    def name(self) -> str:
        return self.three_way.leaf


class Room(NamedTuple):
    """How far rounding may take the entries of a leaf."""

    gradient: np.ndarray  # by other rounding errors in it
    reference: np.ndarray
    either: np.ndarray  # by the unevenness of the two around the point


def judge(case: Case) -> tuple[LeafCheck, list[str]]:
    """The verdict on a leaf, and notes: where autodiff is of no use, and where it differs by a convention only."""
    leaf, notes = measured(case), _undefined(case)
    if leaf.cause is Cause.SHAPE:
        return leaf, []
    if leaf.off and case.tested is not None:
        case, room = _calibrated(case, case.tested, leaf.off)
        leaf = measured(case)
        if not leaf.off and (doubt := _lost_digits(case, room)):
            return leaf.doubted(doubt), notes
    off = leaf.off
    between, at_kinks = between_slopes(case.function, case.i, case.got, case.known, off)
    if off and not between and not at_kinks and case.tested is not None:
        if entries_beside_a_kink(case.tested, case.i, case.got, case.known, off):
            between = off
    if between or at_kinks:
        leaf = replace(leaf, verdict=Verdict.AGREE, cause=Cause.KINK, reason="but for kinks", wrong_entries=0)
    if between:
        notes.append(
            f"{case.name}: at {len(between)} of its entries the function has a kink here, and the gradient lies "
            "between the slopes on both sides, which is a convention, not an error"
        )
    if leaf.agrees:
        leaf = _with_skipped(case, leaf)
    doubt = None if between else _blind(case, leaf) or contradiction(case, leaf)
    if not between and not doubt and not leaf.agrees:
        doubt = _of_another_cost(case, off)
    if not doubt and leaf.agrees:
        doubt = _unjudged(case, at_kinks)
    return leaf.doubted(doubt) if doubt else leaf, notes


def measured(case: Case) -> LeafCheck:
    """|got - want| in units of what rounding explains."""
    known = case.known
    return compare(case.name, case.got, known.want, known.unit, CALIBRATED, kind=known.kind, largest=known.largest)


# ---- rounding


def _calibrated(case: Case, tested: Tested, off: Entries) -> tuple[Case, Room]:
    """The case with the room that rounding needs here, of a few entries where that shows them to be wrong."""
    off = sorted(off, key=lambda entry: -abs(case.got[entry] - case.known.want[entry]))
    few = off[:: -(-len(off) // FEW)]
    wider, room = _widened(case, tested, few)
    if set(few) & set(measured(wider).off):
        return wider, room
    return _widened(case, tested, off[:PROBED])


def _widened(case: Case, tested: Tested, entries: Entries) -> tuple[Case, Room]:
    """The case with the room that these entries need, each its own and the others the largest of it."""

    def spread(entries: Entries, found: np.ndarray) -> np.ndarray:
        every = np.full(case.got.shape, np.max(found))
        for entry, value in zip(entries, found, strict=True):
            every[entry] = value
        return every

    def with_room(room: Room) -> Case:
        # What should be infinite needs none, and rounding there means nothing for the rest.
        wider = np.array(case.known.unit + np.where(np.isinf(case.known.want), 0.0, sum(room)))
        return case._replace(known=case.known._replace(unit=wider))

    none = np.zeros(case.got.shape)
    room = Room(tested.noise[case.i], none, none)
    if case.known.kind == "complex step":
        room = room._replace(reference=spread(entries, reference_again(case.function, case.i, entries).noise()))
    finite = np.isfinite(case.known.want)
    still = [entry for entry in measured(with_room(room)).off if entry in entries and finite[entry]]
    if still and case.function.roundoff <= ROUNDOFF["float64"]:
        uneven = unevenness(tested, case.i, still, case.known.kind != "differences")
        room = room._replace(either=spread(still, uneven))
    return with_room(room), room


def _lost_digits(case: Case, room: Room) -> Doubt | None:
    """Why rounding leaves too little of this leaf to tell, and where; None where it leaves enough."""
    looked = ~np.isnan(case.known.want)
    blind = looked & (CALIBRATED * case.known.unit > VISIBLE * case.known.scale)
    if not blind.any() or case.tested is None:
        return None
    gradient, reference, either = (float(np.max(part[blind])) for part in room)
    who = "digits are lost here"
    if max(gradient, reference) >= either:
        own = gradient >= reference
        entries = case.function.entries(case.i)[:PROBED]
        again = case.tested.again if own else reference_again(case.function, case.i, entries)
        place = again.lossy_sum()
        who = f"your {'gradient' if own else 'cost'} loses its digits here{f': {place}' if place else ''}"
    return Doubt(
        Cause.DIGITS,
        f"{who}; by rounding alone {int(blind.sum())} of {int(looked.sum())} entries may be off by more than "
        f"{VISIBLE:.0%} of the largest. Choose a less extreme point",
    )


def _of_another_cost(case: Case, off: Entries) -> Doubt | None:
    """Why a gradient that is off may be meant so: it is that of the cost without what keeps it from log(0)."""
    if not off or case.tested is None or case.function.traceable:
        return None
    guards = without_guards(case.tested, case.i, off[:: -(-len(off) // (2 * FEW))])
    text = f"the gradient is that of the cost without {guards}, which is another function here"
    return Doubt(Cause.GUARDS, text) if guards else None


# ---- what was not looked at, or cannot be known


def _with_skipped(case: Case, leaf: LeafCheck) -> LeafCheck:
    """The leaf, with the entries that were not looked at one by one compared all together, along one direction."""
    known, function, skipped = case.known, case.function, case.known.skipped
    if skipped is None or not skipped.any():
        return leaf
    direction = function.direction(case.i, skipped)
    hand = float(np.sum(case.got[skipped].astype(np.float64) * direction[skipped]))
    exact = function.by_complex_step(case.i, direction) if known.kind == "complex step" else np.nan
    value, bar = (exact, 0.0) if np.isfinite(exact) else function.along(case.i, direction)
    room = CALIBRATED * (bar + known.rounding * float(np.sum(np.abs(direction))))
    if abs(hand - value) <= room:
        size = (known.scale or _steepness(case)) * float(np.max(np.abs(direction)))
        if room <= VISIBLE * max(abs(value), size):
            return leaf
        text = f"the differences cannot judge {_count(skipped)}: their error bar is {bar:.1g}"
        return leaf.doubted(Doubt(Cause.DIRECTION, text))
    if not (np.isfinite(value) and np.isfinite(bar)):
        text = f"the differences do not settle along a direction of {_count(skipped)}"
        return leaf.doubted(Doubt(Cause.DIRECTION, text))
    left, right = one_sided(function.line(case.i, direction))
    if min(left, right) - room <= hand <= max(left, right) + room and case.tested is not None:
        if direction_beside_a_kink(case.tested, case.i, case.got, known, direction):
            return leaf
    text = f"the gradient is {hand:.9g}, the differences {value:.9g} +- {bar:.1g}"
    text = f"along one direction of {_count(skipped)} that were not looked at one by one, {text}"
    doubted = leaf.doubted(Doubt(Cause.DIRECTION, text))
    return doubted if kinked(function, case.i, direction) else replace(doubted, verdict=Verdict.DISAGREE)


def _undefined(case: Case) -> list[str]:
    """A note on the entries at which autodiff is NaN or infinite and the gradient is not the same infinity."""
    undefined = case.known.undefined
    if undefined is None or not undefined.any():
        return []
    decided = int(np.count_nonzero(undefined & ~np.isnan(case.known.want)))
    return [
        f"{case.name}: autodiff gives NaN or inf at {_count(undefined)}; finite differences decide {decided} of them. "
        f"{USUAL_CAUSE}"
    ]


def _unjudged(case: Case, at_kinks: Entries) -> Doubt | None:
    """Why an entry could not be judged, and which; None where each one was."""
    known, start = case.known, case.function.start
    if known.kind == "calibrated" and (doubt := _blurred(case)):
        return doubt
    size = known.scale or _steepness(case)
    blind = CALIBRATED * known.unit > VISIBLE * np.maximum(np.abs(known.want), size)
    unknown = np.array(np.isnan(known.want) | blind & (known.kind == "differences"))
    if known.skipped is not None:
        unknown &= ~known.skipped
    for entry in at_kinks:
        unknown[entry] = True
    if np.isnan(start) or (unknown.any() and np.isinf(start)):
        text = f"fun is {start} here, and has no derivative that its values tell: choose another point"
        return Doubt(Cause.UNKNOWN, text)
    if not unknown.any():
        return None
    autodiff = "autodiff is not finite there, and " if known.kind == "calibrated" else ""
    return Doubt(Cause.UNKNOWN, f"nothing can judge {_count(unknown)}: {autodiff}finite differences do not settle")


def _blurred(case: Case) -> Doubt | None:
    """Why the rounding that was seen leaves nothing to compare; None where it does not."""
    known, function = case.known, case.function
    u = max(function.roundoff, ROUNDOFF.get(str(case.got.dtype), 0.0))
    seen, share = CALIBRATED * known.rounding, max(VISIBLE, 8 * CALIBRATED * u)
    # Where the gradient vanishes, its rounding is small beside what it is elsewhere.
    if seen <= share * known.scale or seen <= share * _steepness(case):
        return None
    return Doubt(
        Cause.DIGITS,
        f"rounding alone moves autodiff of fun by {known.rounding:.1g} here, of {known.scale:.1g}: choose another "
        "point, or arguments in float64",
    )


def _steepness(case: Case) -> float:
    """How steep the function is over a step of natural size."""
    function, direction = case.function, case.function.direction(case.i)
    return abs(function.line(case.i, direction)(1.0) - function.start) / float(np.linalg.norm(direction))


def _count(entries: np.ndarray) -> str:
    """So many of how many entries, and the first of them by their indices."""
    if entries.ndim == 0:
        return "its one entry"
    found = np.argwhere(entries).tolist()
    places = ", ".join(map(str, found[:LISTED])) + (", ..." if len(found) > LISTED else "")
    return f"{len(found)} of {entries.size} entries ({places})"


# ---- references that cannot tell


def _blind(case: Case, leaf: LeafCheck) -> Doubt | None:
    """Why differences, where they are the reference, cannot tell; None where they can."""
    known = case.known
    if known.kind != "differences":
        return None
    finite = np.isfinite(known.want)
    bar = float(np.median(known.unit[finite])) if finite.any() else 0.0
    gross = leaf.verdict is Verdict.DISAGREE and leaf.max_error > 0.1 * known.scale
    if gross or CALIBRATED * bar <= VISIBLE * (known.scale or _steepness(case)):
        return None
    return Doubt(Cause.DIFFERENCES, f"the error bar of the differences, {bar:.1g}, is too wide to tell")


def contradiction(case: Case, leaf: LeafCheck) -> Doubt | None:
    """How autodiff of the function contradicts its values; None where it does not."""
    known, t = case.known, case.three_way
    bar = 10 * t.error_bar + 1e-7 * abs(t.differences)
    if known.kind != "calibrated" or not abs(t.autodiff - t.differences) > bar:
        return None
    if kinked(case.function, case.i, along_which(case.function, case.i, known)):
        return None
    sides = "with autodiff" if leaf.verdict is Verdict.AGREE else "with neither"
    if abs(t.hand - t.differences) <= bar:
        sides = "with the differences"
    return Doubt(
        Cause.CONTRADICTION,
        f"autodiff of the function ({t.autodiff:.9g} along one direction) is not the derivative of its values "
        f"({t.differences:.9g} +- {t.error_bar:.1g}); the gradient sides {sides}. Look for a stop_gradient, a custom "
        "rule or a wrong type inside the function",
    )
