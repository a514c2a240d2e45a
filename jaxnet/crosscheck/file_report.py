"""What the check of a file with course functions answers: a verdict on each of them, and on them together."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from .report import Finding, Verdict, grouped


@dataclass(frozen=True)
class FunctionCheck:
    """One function judged by itself: what it calls is taken to be right."""

    name: str
    verdict: Verdict
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()  # differences from the course that are no errors

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "FunctionCheck":
        """From what `asdict` made of it and JSON carried."""
        findings = tuple(Finding(**{**found, "rivals": tuple(found["rivals"])}) for found in plain["findings"])
        return cls(plain["name"], Verdict(plain["verdict"]), plain["reason"], findings, tuple(plain["notes"]))

    def __str__(self) -> str:
        said = {Verdict.AGREE: "right", Verdict.DISAGREE: "WRONG", Verdict.INCONCLUSIVE: "cannot tell"}[self.verdict]
        lines = [f"{self.name:28}{said:12}{self.reason}".rstrip()]
        for finding in grouped(self.findings):
            place = "" if finding.place in (self.name, "") else f"{finding.place}: "
            lines.append(f"    {place}{finding.text}")
            lines += [f"        write {finding.remedy}"] if finding.remedy else []
            lines += [f"        or else {rival}" for rival in finding.rivals]
        return "\n".join(lines + [f"    note: {text}" for text in self.notes])


@dataclass(frozen=True)
class FileReport:
    """The answer of `check_file`. Print it to read it; `agrees` and `verdict` are for code.

    It has no truth value: inconclusive is neither true nor false.
    """

    subject: str
    verdict: Verdict
    reason: str
    functions: tuple[FunctionCheck, ...]  # in the order in which a network calls them

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a report has three verdicts and no truth value: write `report.agrees`, or compare `report.verdict`"
        )

    @property
    def agrees(self) -> bool:
        return self.verdict is Verdict.AGREE

    @property
    def notes(self) -> tuple[str, ...]:
        """Conventions of the file that differ from the course's and are no errors."""
        return tuple(f"{check.name}: {note}" for check in self.functions for note in check.notes)

    def __getitem__(self, name: str) -> FunctionCheck:
        return {check.name: check for check in self.functions}[name]

    def to_json(self) -> str:
        """Everything, as JSON; numbers that are not finite are written as strings."""
        return json.dumps(_plain(asdict(self)), indent=1, allow_nan=False)

    def __str__(self) -> str:
        lines = [f"{self.verdict.upper()}  {self.subject}: {self.reason}", ""]
        return "\n".join([*lines, *map(str, self.functions)])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
