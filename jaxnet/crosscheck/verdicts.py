"""The verdict on one leaf of the gradient of any function: agree, disagree, or why it cannot be told."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .differences import one_sided
from .functions import Function
from .report import LeafCheck, Triangle, Verdict
from .witnesses import Witness


CALIBRATED = 16.0  # times the rounding that was seen, correct code may be off
VISIBLE = 0.01  # differences that would not see an error of this share of the gradient cannot tell
PROBED = 64  # entries of a leaf that are looked at for kinks
JUMP = 1e-4  # one-sided slopes that differ by a larger share of the gradient make a kink


class Case(NamedTuple):
    """A leaf of a gradient and everything known of it."""

    function: Function
    i: int
    got: np.ndarray
    witness: Witness
    triangle: Triangle

    @property
    def name(self) -> str:
        return self.function.names[self.i]


def judge(case: Case) -> tuple[LeafCheck, str]:
    """The verdict on a leaf, and a note where it differs by a convention only."""
    got, witness = case.got, case.witness
    if got.shape != witness.want.shape:
        return _unmeasured(case, Verdict.DISAGREE, f"shape {got.shape}; expected {witness.want.shape}"), ""
    looked = ~np.isnan(witness.unit)
    if not np.isfinite(witness.want[looked]).all():
        return _unmeasured(case, Verdict.INCONCLUSIVE, "the reference is not finite here: choose another point"), ""
    leaf, off = _measured(case, looked)
    note = _kinks(case, off)
    if note:
        return replace(leaf, verdict=Verdict.AGREE, reason="but for kinks"), note
    reason = doubt(case, leaf)
    return (replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=reason), "") if reason else (leaf, "")


def _unmeasured(case: Case, verdict: Verdict, reason: str) -> LeafCheck:
    nothing = np.inf if verdict is Verdict.DISAGREE else np.nan
    return LeafCheck(case.name, case.got.shape, verdict, reason, nothing, nothing, CALIBRATED, case.witness.kind)


def _measured(case: Case, looked: np.ndarray) -> tuple[LeafCheck, list[tuple[int, ...]]]:
    """|got - want| in units of what rounding explains, and the entries that are further off."""
    got, want = case.got.astype(np.float64), case.witness.want
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


def _kinks(case: Case, off: Sequence[tuple[int, ...]]) -> str:
    """A note if the function has a kink at every entry that is off, and the gradient lies between its two slopes."""
    if not 0 < len(off) <= PROBED:
        return ""
    room = JUMP * case.witness.scale
    for entry in off:
        unit = case.function.unit(case.i, entry)
        left, right = np.array(one_sided(_line(case, unit))) / unit[entry]
        if abs(left - right) <= room or not min(left, right) - room <= case.got[entry] <= max(left, right) + room:
            return ""
    return (
        f"{case.name}: at {len(off)} of its entries the function has a kink here, and the gradient lies between the "
        "slopes on both sides, which is a convention and no error"
    )


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
