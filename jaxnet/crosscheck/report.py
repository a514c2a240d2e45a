"""What a check answers: a verdict in three values, and where, what and why, in that order."""

import enum
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..text import printable


class Verdict(enum.StrEnum):
    """`INCONCLUSIVE` is not a mild disagreement: the check could not tell, and its reason says why."""

    AGREE = "agree"
    DISAGREE = "disagree"
    INCONCLUSIVE = "inconclusive"


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Disagree if any disagrees, else inconclusive if any is, else agree."""
    found = set(verdicts)
    return next((v for v in (Verdict.DISAGREE, Verdict.INCONCLUSIVE) if v in found), Verdict.AGREE)


class Place(str):
    """Where an array stands: `Place("dW", 3)` is "dW3", the course's key, and knows its kind and its layer.

    The signal without a layer is "dA_prev". A leaf of any function, "params['W']", is a kind of its own.
    """

    kind: str
    layer: int | None

    def __new__(cls, kind: str, layer: int | None = None) -> "Place":
        text = f"{kind}{layer}" if layer is not None else "dA_prev" if kind == "dA" else kind
        place = super().__new__(cls, text)
        place.kind, place.layer = kind, layer
        return place

    def __getnewargs__(self) -> tuple:
        return self.kind, self.layer

    @classmethod
    def read(cls, text: str) -> "Place":
        """The place that is written so."""
        kind = text.rstrip("0123456789").removesuffix("_prev")
        number = text.removeprefix(kind)
        return cls(kind, int(number)) if number.isdecimal() else cls(kind)

    @property
    def made_in(self) -> int:
        """The layer whose step makes it: dA_l is made in layer l + 1."""
        assert self.layer is not None
        return self.layer + (self.kind == "dA")


class Cause(enum.StrEnum):
    """Why a leaf has its verdict."""

    NONE = ""
    SHAPE = "shape"
    ROUNDOFF = "roundoff"  # further off than rounding explains
    STEP = "step"  # its own step is
    KINK = "kink"  # but for kinks, it agrees
    DIRECTION = "direction"  # the entries that were not looked at one by one, together
    DIGITS = "digits"  # rounding leaves too few
    PRECISION = "precision"  # right in float64
    GUARDS = "guards"  # right for the cost without them
    DIFFERENCES = "differences"  # their error bar is too wide
    CONTRADICTION = "contradiction"  # of autodiff and the values
    UNKNOWN = "unknown"  # nothing tells what is right


class Doubt(NamedTuple):
    """Why a verdict is not due."""

    cause: Cause
    text: str


@dataclass(frozen=True)
class LeafCheck:
    """One array of a gradient, compared with its reference entry by entry."""

    name: str
    shape: tuple[int, ...]
    verdict: Verdict
    reason: str
    max_error: float  # the largest |got - want|
    units: float  # the same in units of roundoff: of u S, or of what `kind` names
    bound: float  # the units that correct code may be off
    kind: str = "derived"  # where the unit comes from: "derived", "calibrated", "complex step" or "differences"
    worst: tuple[int, ...] = ()  # the entry of the largest error
    got: float = math.nan
    want: float = math.nan
    wrong_entries: int = 0
    carried: bool = False  # right for the signal it was given, which was wrong already
    cause: Cause = Cause.NONE
    entries: np.ndarray | None = field(default=None, repr=False, compare=False)  # the units of every entry

    @property
    def agrees(self) -> bool:
        return self.verdict is Verdict.AGREE

    @property
    def off(self) -> list[tuple[int, ...]]:
        """The entries that are further off than the bound."""
        return [] if self.entries is None else [tuple(map(int, e)) for e in np.argwhere(self.entries > self.bound)]

    def doubted(self, doubt: Doubt) -> "LeafCheck":
        """The same, inconclusive."""
        return replace(self, verdict=Verdict.INCONCLUSIVE, reason=doubt.text, cause=doubt.cause)


@dataclass(frozen=True)
class Finding:
    """One error: where it is made, what it is, and what to write instead."""

    place: Place  # dZ3, dW2, ...
    code: str  # short and stable: "mean-missing", "slope-missing", ..., or "unknown"
    text: str  # what is wrong
    remedy: str = ""  # the line of mathematics to write
    residual: float = math.nan  # how well the explanation reproduces the numbers, in units of the bound
    rivals: tuple[str, ...] = ()  # other explanations that give the same numbers here


@dataclass(frozen=True)
class Property:
    """What holds of a gradient whatever its values are."""

    name: str
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Power:
    """How many of the known errors would have shown at the point that was used."""

    seen: int
    total: int
    invisible: tuple[str, ...]  # "dW: mean-missing (layer 2, 1)", ...
    advice: tuple[str, ...]  # what to change at the point so that they show

    def __str__(self) -> str:
        lines = [f"power     {self.seen} of {self.total} known errors would have shown at this point"]
        if self.invisible:
            lines.append(f"          invisible here: {', '.join(self.invisible)}")
        return "\n".join([*lines, *(f"          {line}" for line in self.advice)])


@dataclass(frozen=True)
class ThreeWay:
    """One directional derivative by three sources: the gradient under test, autodiff, and finite differences."""

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
    conventions: tuple[str, ...] = ()  # differences that are not errors
    protocol: tuple[Property, ...] = ()
    three_way: tuple[ThreeWay, ...] = ()
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
        wrong = [leaf.name for leaf in self.leaves if leaf.verdict is Verdict.DISAGREE]
        return next(iter([*(finding.place for finding in self.findings), *wrong]), None)

    def table(self) -> str:
        """The leaves, a line each."""
        wide = max([6, *(len(leaf.name) for leaf in self.leaves)])
        head = f"{'':{wide}}{'shape':>14}{'largest error':>16}{'roundoff units':>16}{'bound':>10}"
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
        lines += ["", *self.table().split("\n")] if self.leaves else []
        lines += ["", *_three_way(self.three_way)] if self.three_way else []
        lines += ["", *_properties(self.protocol)] if self.protocol else []
        lines += str(self.power).split("\n") if self.power is not None else []
        if self.environment:
            lines.append("with      " + ", ".join(f"{name} {value}" for name, value in self.environment.items()))
        return "\n".join(map(printable, lines))


def reason(verdict: Verdict, protocol: Sequence[Property], values: str) -> str:
    """The verdict in a sentence: what the values say, unless a property alone decides; unsteadiness before all else."""
    unsteady = [p for p in protocol if p.name == "deterministic" and p.verdict is not Verdict.AGREE]
    others = [p.name for p in protocol if p not in unsteady and p.verdict is verdict]
    if not values and others:
        values = f"the values are right, but this fails: {', '.join(others)}"
    return "; besides, ".join([*(p.text for p in unsteady), *filter(None, [values])])


def grouped(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that are one error made in several layers, as one: dW1, dW2, dW3: ..."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.place.kind, finding.code), []).append(finding)
    return [
        replace(group[0], place=Place(", ".join(f.place for f in group)), residual=max(f.residual for f in group))
        for group in groups.values()
    ]


def explained(finding: Finding) -> list[str]:
    """A finding in lines: what is wrong, what to write, how sure that is."""
    lines = [f"  {finding.place}: {finding.text}"]
    if finding.remedy:
        lines.append(f"      write {finding.remedy}")
    if math.isnan(finding.residual):  # nothing was fitted
        return lines
    fit = f"      this reproduces your numbers to {finding.residual:.2g} of the bound"
    return [*lines, fit + (f"; so would: {'; '.join(finding.rivals)}" if finding.rivals else "")]


def reported(verdict: Verdict) -> str:
    """The verdict in a table."""
    return {Verdict.AGREE: "agrees", Verdict.DISAGREE: "DISAGREES", Verdict.INCONCLUSIVE: "inconclusive"}[verdict]


def _row(leaf: LeafCheck, wide: int) -> str:
    shape = "x".join(map(str, leaf.shape)) or "scalar"
    numbers = f"{leaf.max_error:16.1e}{leaf.units:16.2g}{leaf.bound:10.3g}"
    row = f"{leaf.name:{wide}}{shape:>14}{numbers}  {reported(leaf.verdict)}"
    if leaf.carried:
        return f"{row}, carried down from above"
    if leaf.verdict is Verdict.DISAGREE and leaf.wrong_entries:
        place = ", ".join(map(str, leaf.worst))
        count = f"{leaf.wrong_entries} of {math.prod(leaf.shape)} entries"
        return f"{row}, {count}; [{place}] is {leaf.got:.6g}, not {leaf.want:.6g}"
    return f"{row}, {leaf.reason}" if leaf.cause is Cause.KINK else row


def _three_way(checks: Sequence[ThreeWay]) -> list[str]:
    wide = max(len(t.leaf) for t in checks)
    return [
        "three-way check: the derivative along one direction of each leaf",
        f"{'':{wide}}{'gradient':>17}{'autodiff':>17}{'differences':>17}{'error bar':>12}",
        *(f"{t.leaf:{wide}}{t.hand:17.9g}{t.autodiff:17.9g}{t.differences:17.9g}{t.error_bar:12.1e}" for t in checks),
    ]


def _properties(protocol: Sequence[Property]) -> list[str]:
    held = [p.name for p in protocol if p.verdict is Verdict.AGREE]
    words = {Verdict.DISAGREE: "FAILS", Verdict.INCONCLUSIVE: "cannot tell"}
    lines = [f"protocol  holds: {', '.join(held)}"] if held else []
    return lines + [f"protocol  {p.name}: {words[p.verdict]}: {p.text}" for p in protocol if p.verdict in words]


def plain(value: Any) -> Any:
    """Records as what JSON knows: arrays are left out, numbers that are not finite are strings."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if not isinstance(item, np.ndarray)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
