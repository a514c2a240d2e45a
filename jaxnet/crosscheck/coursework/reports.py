"""What is found of one function of a file."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..report import Finding, Verdict, overall


@dataclass(frozen=True)
class FunctionReport:
    """What was found of one function of a file."""

    name: str
    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    table: str = ""  # of the chain: every gradient, a line each
    adapter: str = ""  # of code that is not the course's: the lines that check it


def worst(found: list[FunctionReport]) -> FunctionReport:
    """The first try in which the function is wrong, else the first, with the notes of all."""
    verdict = overall(check.verdict for check in found)
    chosen = next(check for check in found if check.verdict is verdict)
    return replace(chosen, notes=tuple(dict.fromkeys(note for check in found for note in check.notes)))


def wrong(name: str, findings: Iterable[Finding]) -> FunctionReport:
    """The report on a function with these errors, if any."""
    found = tuple(findings)
    return FunctionReport(name, Verdict.DISAGREE if found else Verdict.AGREE, found[0].text if found else "", found)
