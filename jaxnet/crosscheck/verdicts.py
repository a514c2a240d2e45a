"""The verdict on one leaf of the gradient of any function: agree, disagree, or why it cannot be told."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .calibration import (
    PROBED,
    Entries,
    Tested,
    nearby,
    reference_at,
    reference_lossy_sum,
    reference_noise,
    unevenness,
    without_guards,
)
from .differences import one_sided
from .functions import Function
from .reference import ROUNDOFF
from .report import LeafCheck, Triangle, Verdict
from .witnesses import Witness


CALIBRATED = 16.0  # times the rounding that was seen, correct code may be off
VISIBLE = 0.01  # differences that would not see an error of this share of the gradient cannot tell
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


def judge(case: Case) -> tuple[LeafCheck, str]:
    """The verdict on a leaf, and a note where it differs by a convention only."""
    got, witness = case.got, case.witness
    if got.shape != witness.want.shape:
        return _unmeasured(case, Verdict.DISAGREE, f"shape {got.shape}; expected {witness.want.shape}"), ""
    looked = ~np.isnan(witness.unit)
    if not np.isfinite(witness.want[looked]).all():
        return _unmeasured(case, Verdict.INCONCLUSIVE, "the reference is not finite here: choose another point"), ""
    leaf, off = _measured(case)
    if off and (tested := case.tested) is not None:
        case, room = _calibrated(case, tested, off)
        leaf, off = _measured(case)
        if not off and (reason := _lost_digits(case, tested, room)):
            return replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=reason), ""
    if off and (_between_slopes(case, off) or _beside_a_kink(case, off)):
        note = (
            f"{case.name}: at {len(off)} of its entries the function has a kink here, and the gradient lies between "
            "the slopes on both sides, which is a convention and no error"
        )
        return replace(leaf, verdict=Verdict.AGREE, reason="but for kinks"), note
    reason = doubt(case, leaf) or _of_another_cost(case, off)
    return (replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=reason), "") if reason else (leaf, "")


def _unmeasured(case: Case, verdict: Verdict, reason: str) -> LeafCheck:
    nothing = np.inf if verdict is Verdict.DISAGREE else np.nan
    return LeafCheck(case.name, case.got.shape, verdict, reason, nothing, nothing, CALIBRATED, case.witness.kind)


def _measured(case: Case) -> tuple[LeafCheck, Entries]:
    """|got - want| in units of what rounding explains, and the entries that are further off."""
    got, want, looked = case.got.astype(np.float64), case.witness.want, ~np.isnan(case.witness.unit)
    error = np.where(looked, np.nan_to_num(np.abs(got - want), nan=np.inf), 0.0)
    units = error / np.where(looked, np.maximum(case.witness.unit, 1e-300), 1.0)
    off = [tuple(int(n) for n in entry) for entry in np.argwhere(units > CALIBRATED)]
    worst = tuple(int(n) for n in np.unravel_index(int(np.argmax(units)), units.shape))
    reason = f"{len(off)} of {int(looked.sum())} entries are further off than rounding explains" if off else ""
    leaf = LeafCheck(
        case.name,
        got.shape,
        Verdict.DISAGREE if off else Verdict.AGREE,
        reason,
        float(np.max(error)),
        float(units[worst]),
        CALIBRATED,
        case.witness.kind,
        worst=worst,
        got=float(got[worst]),
        want=float(want[worst]),
        wrong_entries=len(off),
        entries=units,
    )
    return leaf, off


def _calibrated(case: Case, tested: Tested, off: Entries) -> tuple[Case, Room]:
    """The case with the room that rounding needs here, of a few entries where that shows them to be wrong."""
    off = sorted(off, key=lambda entry: -abs(case.got[entry] - case.witness.want[entry]))
    few = off[:: -(-len(off) // FEW)]
    wider, room = _widened(case, tested, few)
    still = _measured(wider)[1]
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
    still = [entry for entry in _measured(_with_room(case, room))[1] if entry in entries]
    referenced = case.witness.kind != "differences"
    if still and case.function.roundoff <= ROUNDOFF["float64"]:
        room = room._replace(either=_spread(none, still, unevenness(tested, case.i, still, referenced)))
    return _with_room(case, room), room


def _spread(like: np.ndarray, entries: Entries, found: np.ndarray) -> np.ndarray:
    """What was found of some entries, and for the others the largest of it."""
    every = np.full(like.shape, np.max(found))
    every[tuple(np.transpose(entries))] = found
    return every


def _with_room(case: Case, room: Room) -> Case:
    return case._replace(witness=case.witness._replace(unit=case.witness.unit + sum(room)))


def _lost_digits(case: Case, tested: Tested, room: Room) -> str:
    """Why rounding leaves too little of this leaf to tell, and where; empty where it leaves enough."""
    looked = ~np.isnan(case.witness.unit)
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


def _between_slopes(case: Case, off: Entries) -> bool:
    """Does the function have a kink at every entry that is off, and lies the gradient between its two slopes?"""
    if len(off) > PROBED:
        return False
    room = JUMP * case.witness.scale
    for entry in off:
        unit = case.function.unit(case.i, entry)
        left, right = np.array(one_sided(_line(case, unit))) / unit[entry]
        if abs(left - right) <= room or not min(left, right) - room <= case.got[entry] <= max(left, right) + room:
            return False
    return True


def _beside_a_kink(case: Case, off: Entries) -> bool:
    """Is the gradient right at points all around, and here among or between what it is there?"""
    if case.tested is None:
        return False
    entries = off[:: -(-len(off) // PROBED)]
    at = tuple(np.transpose(entries))
    tested, around = case.tested.in_float64(), []
    for leaves in nearby(case.function):
        want = reference_at(case.function, leaves, case.i, entries)
        got = tested.at(leaves)[case.i].astype(np.float64)
        if not np.all(np.abs(got[at] - want) <= CALIBRATED * case.witness.unit[at]):
            return False
        around.append(want)
    room = JUMP * case.witness.scale
    low, high = np.min(around, axis=0) - room, np.max(around, axis=0) + room
    return bool(np.all((low <= case.got[at]) & (case.got[at] <= high)))


def doubt(case: Case, leaf: LeafCheck) -> str:
    """Why the reference cannot decide; empty where it can."""
    witness, t = case.witness, case.triangle
    if witness.kind == "differences":
        bar = float(np.nanmedian(witness.unit))
        blind = CALIBRATED * bar > VISIBLE * witness.scale
        gross = leaf.verdict is Verdict.DISAGREE and leaf.max_error > 0.1 * witness.scale
        return f"the error bar of the differences, {bar:.1g}, is too wide to tell" if blind and not gross else ""
    bar = 10 * t.error_bar + 1e-7 * abs(t.differences)
    if witness.kind != "calibrated" or not abs(t.autodiff - t.differences) > bar or _kinked(case):
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


def _kinked(case: Case) -> bool:
    """Do the slopes on both sides differ along the leaf's direction?"""
    left, right = one_sided(_line(case, case.function.direction(case.i)))
    return abs(left - right) > JUMP * max(abs(left), abs(right))


def _line(case: Case, direction: np.ndarray) -> Callable[[float], float]:
    return lambda t: case.function.value(case.function.moved(case.i, t * direction))
