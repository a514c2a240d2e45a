"""What a check answers: a verdict in three values, and where, what and why, in that order."""

import enum
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

import numpy as np

from ..text import printable


class Verdict(enum.StrEnum):
    """`INCONCLUSIVE` is no mild disagreement: the check could not tell, and its reason says why."""

    AGREE = "agree"
    DISAGREE = "disagree"
    INCONCLUSIVE = "inconclusive"


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Disagree if any disagrees, else inconclusive if any is, else agree."""
    found = set(verdicts)
    return next((v for v in (Verdict.DISAGREE, Verdict.INCONCLUSIVE) if v in found), Verdict.AGREE)


@dataclass(frozen=True)
class LeafCheck:
    """One array of a gradient, held against its reference entry by entry."""

    name: str
    shape: tuple[int, ...]
    verdict: Verdict
    reason: str
    max_error: float  # the largest |got - want|
    units: float  # the largest |got - want| in roundings: units of u S, or of what the bound's kind names
    bound: float  # the roundings that correct code may be off
    kind: str = "derived"  # where the bound comes from: "derived", "calibrated" or "differences"
    condition: float = math.nan  # the largest S / |want|: how many digits cancellation takes
    worst: tuple[int, ...] = ()  # the entry of the largest error
    got: float = math.nan
    want: float = math.nan
    wrong_entries: int = 0
    carried: bool = False  # right for the signal it was given, which was wrong already
    entries: np.ndarray | None = field(default=None, repr=False, compare=False)  # the units of every entry

    @property
    def agrees(self) -> bool:
        return self.verdict is Verdict.AGREE


@dataclass(frozen=True)
class Finding:
    """One error: where it is made, what it is, and what to write instead."""

    place: str  # "dZ3", "dW2", ...
    code: str  # short and stable: "mean-missing", "slope-missing", ..., or "unknown"
    text: str  # what is wrong
    remedy: str  # the line of mathematics to write
    residual: float = math.nan  # how well the explanation reproduces the numbers, in units of the bound
    rivals: tuple[str, ...] = ()  # other explanations that give the same numbers here


@dataclass(frozen=True)
class ProtocolCheck:
    """One promise that a gradient keeps whatever its values are."""

    name: str
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Power:
    """How many of the known errors would have shown at the point that was used."""

    seen: int
    total: int
    invisible: tuple[str, ...]  # "dW: mean-missing", ...
    advice: tuple[str, ...]  # what to change at the point so that they show

    def __str__(self) -> str:
        lines = [f"power     {self.seen} of {self.total} known errors would have shown at this point"]
        if self.invisible:
            lines.append(f"          invisible here: {', '.join(self.invisible)}")
        lines += [f"          {line}" for line in self.advice]
        return "\n".join(lines)


@dataclass(frozen=True)
class Triangle:
    """Three witnesses of one directional derivative: the gradient under test, autodiff, and finite differences."""

    leaf: str
    hand: float
    autodiff: float
    differences: float
    error_bar: float  # of the differences
    taylor: tuple[tuple[float, float], ...] = ()  # (h, |f(x + h v) - f(x) - h <gradient, v>|): of order h^2 if right


@dataclass(frozen=True)
class Report:
    """The answer of a check. Print it to read it; `agrees` and `verdict` are for code.

    It has no truth value: inconclusive is neither true nor false.
    """

    subject: str  # what was checked
    verdict: Verdict
    reason: str
    leaves: tuple[LeafCheck, ...]  # from the output down, where there is such an order
    findings: tuple[Finding, ...] = ()
    conventions: tuple[str, ...] = ()  # differences that are no errors
    protocol: tuple[ProtocolCheck, ...] = ()
    triangle: tuple[Triangle, ...] = ()
    power: Power | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a report has three verdicts and no truth value: write `report.agrees`, or compare `report.verdict`"
        )

    @property
    def agrees(self) -> bool:
        return self.verdict is Verdict.AGREE

    @property
    def worst(self) -> LeafCheck:
        """The leaf that uses most of its bound."""
        return max(self.leaves, key=lambda leaf: np.nan_to_num(leaf.units / leaf.bound, nan=np.inf))

    @property
    def first_bad(self) -> str | None:
        """The place nearest the output where something is wrong; None where nothing is."""
        if self.findings:
            return self.findings[0].place
        return next((leaf.name for leaf in self.leaves if leaf.verdict is Verdict.DISAGREE), None)

    def table(self) -> str:
        """The leaves, a line each."""
        wide = max([6, *(len(leaf.name) for leaf in self.leaves)])
        head = f"{'':{wide}}{'shape':>14}{'largest error':>16}{'in roundings':>15}{'bound':>10}"
        return "\n".join([head, *(_row(leaf, wide) for leaf in self.leaves)])

    def to_json(self) -> str:
        """Everything but the entries, as JSON; numbers that are not finite are written as strings."""
        return json.dumps(plain(asdict(self)), indent=1, allow_nan=False)

    def __str__(self) -> str:
        lines = [f"{self.verdict.upper()}  {self.subject}: {self.reason}"]
        for finding in grouped(self.findings):
            lines += ["", *explained(finding)]
        unsure = [leaf for leaf in self.leaves if leaf.verdict is Verdict.INCONCLUSIVE]
        lines += [f"  {leaf.name}: {leaf.reason}" for leaf in unsure if leaf.reason not in self.reason]
        lines += [f"note      {text}" for text in self.conventions]
        if self.leaves:
            lines += ["", *self.table().split("\n")]
        if self.triangle:
            lines += ["", *_triangle(self.triangle)]
        if self.protocol:
            lines += ["", *_protocol(self.protocol)]
        if self.power is not None:
            lines += str(self.power).split("\n")
        if self.environment:
            lines.append("with      " + ", ".join(f"{name} {value}" for name, value in self.environment.items()))
        return "\n".join(map(printable, lines))


@dataclass(frozen=True)
class FunctionReport:
    """What was found of one function of a file."""

    name: str
    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    table: str = ""  # of the chain: every gradient, a line each


def kind_of(place: str) -> str:
    """The place without the number of its layer: dW3 is a dW."""
    return place.rstrip("0123456789").removesuffix("_prev")


def grouped(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that are one error made in several layers, as one: dW1, dW2, dW3: ..."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((kind_of(finding.place), finding.code), []).append(finding)
    return [
        Finding(
            ", ".join(f.place for f in group),
            group[0].code,
            group[0].text,
            group[0].remedy,
            max(f.residual for f in group),
            group[0].rivals,
        )
        for group in groups.values()
    ]


def explained(finding: Finding) -> list[str]:
    """A finding in lines: what is wrong, what to write, how sure that is."""
    lines = [f"  {finding.place}: {finding.text}"]
    if finding.remedy:
        lines.append(f"      write {finding.remedy}")
    if finding.code == "unknown" or math.isnan(finding.residual):  # nothing was fitted
        return lines
    fit = f"      this reproduces your numbers to {finding.residual:.2g} of the bound"
    lines.append(fit + (f"; so would: {'; '.join(finding.rivals)}" if finding.rivals else ""))
    return lines


def _row(leaf: LeafCheck, wide: int) -> str:
    shape = "x".join(map(str, leaf.shape)) or "scalar"
    row = (
        f"{leaf.name:{wide}}{shape:>14}{leaf.max_error:16.1e}{leaf.units:15.2g}{leaf.bound:10.3g}  {said(leaf.verdict)}"
    )
    if leaf.carried:
        return f"{row}, carried down from above"
    if leaf.verdict is Verdict.DISAGREE and leaf.wrong_entries:
        place = ", ".join(map(str, leaf.worst))
        count = f"{leaf.wrong_entries} of {math.prod(leaf.shape)} entries"
        return f"{row}, {count}; [{place}] is {leaf.got:.6g}, not {leaf.want:.6g}"
    return f"{row}, {leaf.reason}" if leaf.reason and leaf.verdict is Verdict.AGREE else row


def _triangle(triangle: Sequence[Triangle]) -> list[str]:
    lines = ["derivative along one direction of each leaf, by three witnesses:"]
    wide = max(len(t.leaf) for t in triangle)
    lines.append(f"{'':{wide}}{'gradient':>17}{'autodiff':>17}{'differences':>17}{'error bar':>12}")
    for t in triangle:
        lines.append(f"{t.leaf:{wide}}{t.hand:17.9g}{t.autodiff:17.9g}{t.differences:17.9g}{t.error_bar:12.1e}")
    return lines


def _protocol(protocol: Sequence[ProtocolCheck]) -> list[str]:
    held = [check.name for check in protocol if check.verdict is Verdict.AGREE]
    lines = [f"protocol  holds: {', '.join(held)}"] if held else []
    return lines + [
        f"protocol  {check.name}: {'FAILS' if check.verdict is Verdict.DISAGREE else 'cannot tell'}: {check.text}"
        for check in protocol
        if check.verdict is not Verdict.AGREE
    ]


def said(verdict: Verdict) -> str:
    """The verdict as a table says it."""
    return {Verdict.AGREE: "agrees", Verdict.DISAGREE: "DISAGREES", Verdict.INCONCLUSIVE: "inconclusive"}[verdict]


def plain(value: Any) -> Any:
    """Records as what JSON knows: arrays are left out, numbers that are not finite are strings."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if not isinstance(item, np.ndarray)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
