"""The verdict on one leaf of the gradient of any function: agree, disagree, or why it cannot be told."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..compare import ROUNDOFF
from ..report import LeafCheck, Triangle, Verdict
from .calibration import (
    PROBED,
    Entries,
    Tested,
    chosen,
    nearby,
    reference_at,
    reference_lossy_sum,
    reference_noise,
    unevenness,
    without_guards,
)
from .differences import one_sided
from .function import ENTRIES, Function
from .perturbed import Roundings
from .witnesses import CALIBRATED, VISIBLE, Witness, along_which


NAMED = 4  # entries that a message names
FEW = 4  # entries that are asked first whether rounding explains them
JUMP = 1e-4  # one-sided slopes that differ by a larger share of the gradient make a kink


class Case(NamedTuple):
    """A leaf of a gradient and everything known of it."""

    function: Function
    i: int
    got: np.ndarray
    witness: Witness
    triangle: Triangle
    tested: Tested | None = None  # to be called again; None where the gradient is no function of the leaves alone

    @property
    def name(self) -> str:
        return self.function.names[self.i]


class Room(NamedTuple):
    """How far rounding may take the entries of a leaf."""

    gradient: np.ndarray  # by other roundings in it
    reference: np.ndarray
    either: np.ndarray  # by the unevenness of the two around the point


def judge(case: Case) -> tuple[LeafCheck, list[str]]:
    """The verdict on a leaf, and notes: where autodiff is of no use, and where it differs by a convention only."""
    got, witness = case.got, case.witness
    if got.shape != witness.want.shape:
        reason = f"shape {got.shape}; expected {witness.want.shape}"
        return LeafCheck(case.name, got.shape, Verdict.DISAGREE, reason, np.inf, np.inf, CALIBRATED, witness.kind), []
    leaf, off = measured(case)
    notes = [note for note in (_undefined(case),) if note]
    if off and (tested := case.tested) is not None:
        case, room = _calibrated(case, tested, off)
        leaf, off = measured(case)
        if not off and (reason := _lost_digits(case, tested, room)):
            return replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=reason), notes
    between, at_kinks = _kinks(case, off)
    if off and not between and not at_kinks and _beside_a_kink(case, off):
        between = list(off)
    if between or at_kinks:
        leaf = replace(leaf, verdict=Verdict.AGREE, reason="but for kinks", wrong_entries=0)
    if between:
        notes.append(
            f"{case.name}: at {len(between)} of its entries the function has a kink here, and the gradient lies "
            "between the slopes on both sides, which is a convention and no error"
        )
    if leaf.agrees:
        leaf = _skipped(case, leaf)
    reason = (doubt(case, leaf) or (_of_another_cost(case, off) if not leaf.agrees else "")) if not between else ""
    if not reason and leaf.agrees:
        reason = _unjudged(case, at_kinks)
    return (replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=reason) if reason else leaf), notes


def measured(case: Case) -> tuple[LeafCheck, list[tuple[int, ...]]]:
    """|got - want| in units of what rounding explains, and the entries that are further off."""
    got, want, unit = case.got.astype(np.float64), case.witness.want, case.witness.unit
    known = ~np.isnan(want)
    # Equal infinities are equal, and inf is right where the type under test holds no number so large.
    room = np.abs(want) + CALIBRATED * np.nan_to_num(unit)
    equal = (got == want) | (np.isinf(got) & (np.sign(got) == np.sign(want)) & (room >= case.witness.largest))
    error = np.where(known & ~equal, np.nan_to_num(np.abs(got - want), nan=np.inf), 0.0)
    units = error / np.where(known, np.maximum(unit, 1e-300), 1.0)
    off = [tuple(int(n) for n in entry) for entry in np.argwhere(~(units <= CALIBRATED))]
    worst = tuple(int(n) for n in np.unravel_index(int(np.argmax(units)), units.shape))
    reason = f"{len(off)} of {int(known.sum())} entries are further off than rounding explains" if off else ""
    leaf = LeafCheck(
        case.name,
        got.shape,
        Verdict.DISAGREE if off else Verdict.AGREE,
        reason,
        float(np.max(error)) if known.any() else np.nan,
        float(units[worst]) if known.any() else np.nan,
        CALIBRATED,
        case.witness.kind,
        worst=worst,
        got=float(got[worst]),
        want=float(want[worst]),
        wrong_entries=len(off),
        entries=np.where(known, units, np.nan),
    )
    return leaf, off


def _calibrated(case: Case, tested: Tested, off: Entries) -> tuple[Case, Room]:
    """The case with the room that rounding needs here, of a few entries where that shows them to be wrong."""
    off = sorted(off, key=lambda entry: -abs(case.got[entry] - case.witness.want[entry]))
    few = off[:: -(-len(off) // FEW)]
    wider, room = _widened(case, tested, few)
    still = measured(wider)[1]
    if any(entry in still for entry in few):
        return wider, room
    return _widened(case, tested, off[:PROBED])


def _widened(case: Case, tested: Tested, entries: Entries) -> tuple[Case, Room]:
    """The case with the room that these entries need, each its own and the others the largest of it."""
    none = np.zeros(case.got.shape)
    room = Room(tested.noise[case.i], none, none)
    if case.witness.kind == "complex step":
        found = reference_noise(case.function, case.i, entries)
        room = room._replace(reference=_spread(none, entries, found))
    finite = np.isfinite(case.witness.want)
    still = [entry for entry in measured(_with_room(case, room))[1] if entry in entries and finite[entry]]
    referenced = case.witness.kind != "differences"
    if still and case.function.roundoff <= ROUNDOFF["float64"]:
        room = room._replace(either=_spread(none, still, unevenness(tested, case.i, still, referenced)))
    return _with_room(case, room), room


def _spread(like: np.ndarray, entries: Entries, found: np.ndarray) -> np.ndarray:
    """What was found of some entries, and for the others the largest of it."""
    every = np.full(like.shape, np.max(found))
    for entry, value in zip(entries, found, strict=True):
        every[entry] = value
    return every


def _with_room(case: Case, room: Room) -> Case:
    """The case with as much room. What should be infinite needs none, and rounding there tells nothing of the rest."""
    wider = np.array(case.witness.unit + np.where(np.isinf(case.witness.want), 0.0, sum(room)))
    return case._replace(witness=case.witness._replace(unit=wider))


def _lost_digits(case: Case, tested: Tested, room: Room) -> str:
    """Why rounding leaves too little of this leaf to tell, and where; empty where it leaves enough."""
    looked = ~np.isnan(case.witness.want)
    blind = looked & (CALIBRATED * case.witness.unit > VISIBLE * case.witness.scale)
    if not blind.any():
        return ""
    gradient, reference, either = (float(np.max(part[blind])) for part in room)
    who, place = "digits are lost here", ""
    if max(gradient, reference) >= either:
        own = gradient >= reference
        place = tested.lossy_sum() if own else reference_lossy_sum(case.function, case.i)
        who = f"your {'gradient' if own else 'cost'} loses its digits here{f': {place}' if place else ''}"
    return (
        f"{who}; by rounding alone {int(blind.sum())} of {int(looked.sum())} entries may be off by more than "
        f"{VISIBLE:.0%} of the largest. Choose a less extreme point"
    )


def _of_another_cost(case: Case, off: Entries) -> str:
    """Why a gradient that is off may be meant so: it is that of the cost without what keeps it from log(0)."""
    if not off or case.tested is None or case.function.traceable:
        return ""
    entries = off[:: -(-len(off) // (2 * FEW))]
    guards = without_guards(case.tested, case.i, entries)
    return f"the gradient is that of the cost without {guards}, which is another function here" if guards else ""


def _beside_a_kink(case: Case, off: Entries) -> bool:
    """Is the gradient right at points all around, and here among or between what it is there?"""
    if case.tested is None:
        return False
    here, unit, around = chosen(case.got, off), chosen(case.witness.unit, off), []
    for leaves in nearby(case.function):
        want = reference_at(case.function, leaves, case.i, off)
        got = case.tested.at(leaves)
        if got is None or not np.all(np.abs(chosen(got[case.i], off) - want) <= CALIBRATED * unit):
            return False
        around.append(want)
    room = JUMP * max(case.witness.scale, float(np.max(np.abs(around))))
    low, high = np.min(around, axis=0) - room, np.max(around, axis=0) + room
    return bool(np.all((low <= here) & (here <= high)))


def _kinks(case: Case, off: Sequence[tuple[int, ...]]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """The entries that are off and lie between the slopes on both sides of a kink, and those at a kink where autodiff
    and the gradient are both NaN; none of either, if one that is off is at no kink."""
    between, undefined, room = [], [], JUMP * case.witness.scale
    for entry in off if len(off) <= ENTRIES else ():
        slopes = _slopes(case, entry)
        left, right = slopes or (np.nan, np.nan)
        if not abs(left - right) > room:
            return [], []
        if min(left, right) - room <= case.got[entry] <= max(left, right) + room:
            between.append(entry)
        elif np.isnan(case.got[entry]) and case.witness.undefined is not None and case.witness.undefined[entry]:
            undefined.append(entry)
        else:
            return [], []
    return between, undefined


def _slopes(case: Case, entry: tuple[int, ...]) -> tuple[float, float] | None:
    """The slopes on both sides of an entry; None where they do not settle, as those of a square root at 0."""
    unit = case.function.unit(case.i, entry)
    wide, narrow = (np.array(one_sided(_line(case, unit), h)) / unit[entry] for h in (1e-5, 1e-6))
    settled = np.abs(wide - narrow) <= 0.01 * np.abs(wide) + JUMP * case.witness.scale
    # Where differences are the reference, slopes that grow were seen before, and these may be noise.
    return (float(wide[0]), float(wide[1])) if settled.all() or case.witness.kind == "differences" else None


def _skipped(case: Case, leaf: LeafCheck) -> LeafCheck:
    """The leaf, with the entries that were not looked at one by one compared all together, along one direction."""
    witness, function, skipped = case.witness, case.function, case.witness.skipped
    if skipped is None or not skipped.any():
        return leaf
    direction = function.direction(case.i, skipped)
    hand = float(np.sum(case.got[skipped].astype(np.float64) * direction[skipped]))
    exact = function.by_complex_step(case.i, direction) if witness.kind == "complex step" else np.nan
    value, bar = (exact, 0.0) if np.isfinite(exact) else function.along(case.i, direction)
    length = float(np.sum(np.abs(direction)))
    room = CALIBRATED * (bar + witness.rounding * length)
    if abs(hand - value) <= room:
        size = (witness.scale or _steepness(case)) * float(np.max(np.abs(direction)))
        visible = room <= VISIBLE * max(abs(value), size)
        reason = "" if visible else f"the differences cannot judge {_count(skipped)}: their error bar is {bar:.1g}"
    elif not (np.isfinite(value) and np.isfinite(bar)):
        reason = f"the differences do not settle along a direction of {_count(skipped)}"
    else:
        left, right = one_sided(_line(case, direction))
        if min(left, right) - room <= hand <= max(left, right) + room and _right_around(case, skipped, direction):
            return leaf
        text = f"the gradient is {hand:.9g}, the differences {value:.9g} +- {bar:.1g}"
        reason = f"along one direction of {_count(skipped)} that were not looked at one by one, {text}"
        if not _kinked(case, direction):
            return replace(leaf, verdict=Verdict.DISAGREE, reason=reason)
    return replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=reason) if reason else leaf


def _right_around(case: Case, skipped: np.ndarray, direction: np.ndarray) -> bool:
    """Is the gradient right along a direction at points all around, and here among what it is there itself?"""
    if case.tested is None:
        return False
    around = []
    for leaves in nearby(case.function):
        got = case.tested.at(leaves)
        if got is None:
            return False
        if case.function.traceable:
            want = float(np.sum(case.function.autodiff(leaves)[case.i][skipped] * direction[skipped]))
        else:
            want = case.function.moved_to(leaves).by_complex_step(case.i, direction, Roundings().wrap)
        around.append(got[case.i][skipped])
        size = np.sum(np.abs(around[-1] * direction[skipped])) + case.witness.scale * np.sum(np.abs(direction))
        if not abs(np.sum(around[-1] * direction[skipped]) - want) <= JUMP * JUMP * size:
            return False
    here, room = case.got[skipped], JUMP * case.witness.scale
    low, high = np.min(around, axis=0) - room, np.max(around, axis=0) + room
    return bool(np.all((low <= here) & (here <= high)))


def _undefined(case: Case) -> str:
    """A note on the entries at which autodiff is NaN or infinite and the gradient is not the same infinity."""
    undefined = case.witness.undefined
    if undefined is None or not undefined.any():
        return ""
    judged = int(np.count_nonzero(undefined & ~np.isnan(case.witness.want)))
    return (
        f"{case.name}: autodiff gives NaN or inf at {_count(undefined)}; finite differences decide {judged} of them. "
        "The usual cause is a `where` around a function that is infinite or undefined in the branch not taken: give "
        "that function an argument that is safe, f(where(ok, x, 1)), inside of the outer `where`"
    )


def _unjudged(case: Case, at_kinks: Sequence[tuple[int, ...]]) -> str:
    """Why an entry could not be judged, and which; empty where each one was."""
    witness, start = case.witness, case.function.start
    if witness.kind == "calibrated" and (reason := _blurred(case)):
        return reason
    size = witness.scale or _steepness(case)
    blind = CALIBRATED * witness.unit > VISIBLE * np.maximum(np.abs(witness.want), size)
    unknown = np.array(np.isnan(witness.want) | blind & (witness.kind == "differences"))
    if witness.skipped is not None:
        unknown &= ~witness.skipped
    for entry in at_kinks:
        unknown[entry] = True
    if np.isnan(start) or (unknown.any() and np.isinf(start)):
        return f"fun is {start} here, and has no derivative that its values tell: choose another point"
    if not unknown.any():
        return ""
    autodiff = "autodiff is not finite there, and " if witness.kind == "calibrated" else ""
    return f"nothing can judge {_count(unknown)}: {autodiff}finite differences do not settle"


def _blurred(case: Case) -> str:
    """Why the rounding that was seen leaves nothing to compare; empty where it does not."""
    witness, function = case.witness, case.function
    u = max(function.roundoff, ROUNDOFF.get(str(case.got.dtype), 0.0))
    share = max(VISIBLE, 8 * CALIBRATED * u)
    if CALIBRATED * witness.rounding <= share * witness.scale:
        return ""
    # Where the gradient vanishes, its rounding is small beside what it is elsewhere.
    if CALIBRATED * witness.rounding <= share * _steepness(case):
        return ""
    return (
        f"rounding alone moves autodiff of fun by {witness.rounding:.1g} here, of {witness.scale:.1g}: choose another "
        "point, or arguments in float64"
    )


def _steepness(case: Case) -> float:
    """How steep the function is over a step of natural size."""
    function, direction = case.function, case.function.direction(case.i)
    return abs(function.value(function.moved(case.i, direction)) - function.start) / float(np.linalg.norm(direction))


def _count(entries: np.ndarray) -> str:
    """So many of how many entries, and the first of them by their indices."""
    chosen = [str(list(map(int, index))) for index in np.argwhere(entries)[: NAMED + 1]]
    if entries.ndim == 0:
        return "its one entry"
    places = ", ".join(chosen[:NAMED]) + (", ..." if len(chosen) > NAMED else "")
    return f"{int(np.count_nonzero(entries))} of {entries.size} entries ({places})"


def doubt(case: Case, leaf: LeafCheck) -> str:
    """Why the reference cannot decide; empty where it can."""
    witness, t = case.witness, case.triangle
    if witness.kind == "differences":
        known = np.isfinite(witness.want)
        bar = float(np.median(witness.unit[known])) if known.any() else 0.0
        blind = CALIBRATED * bar > VISIBLE * (witness.scale or _steepness(case))
        gross = leaf.verdict is Verdict.DISAGREE and leaf.max_error > 0.1 * witness.scale
        return f"the error bar of the differences, {bar:.1g}, is too wide to tell" if blind and not gross else ""
    bar = 10 * t.error_bar + 1e-7 * abs(t.differences)
    direction = along_which(case.function, case.i, witness)
    if witness.kind != "calibrated" or not abs(t.autodiff - t.differences) > bar or _kinked(case, direction):
        return ""
    sides = "with neither"
    if abs(t.hand - t.differences) <= bar:
        sides = "with the differences"
    elif leaf.verdict is Verdict.AGREE:
        sides = "with autodiff"
    return (
        f"autodiff of the function ({t.autodiff:.9g} along one direction) is not the derivative of its values "
        f"({t.differences:.9g} +- {t.error_bar:.1g}); the gradient sides {sides}. Look for a stop_gradient, a custom "
        "rule or a wrong type inside the function"
    )


def _kinked(case: Case, direction: np.ndarray) -> bool:
    """Do the slopes on both sides differ along a direction?"""
    left, right = one_sided(_line(case, direction))
    noise = 1e7 * case.function.fine * abs(case.function.start)  # of slopes over so short a step
    return abs(left - right) > JUMP * max(abs(left), abs(right)) + noise


def _line(case: Case, direction: np.ndarray) -> Callable[[float], float]:
    return lambda t: case.function.value(case.function.moved(case.i, t * direction))
