"""Code that is not the course's, checked by one update of it."""

from collections.abc import Callable
from typing import Any

from ..anycode.trying import Tried, understood
from ..report import Verdict
from .reports import FunctionReport


def other_code(texts: list[str], names: dict[str, Any], file: str, is_late: Callable[[], bool]) -> list[FunctionReport]:
    """What a file has that trains, each with the adapter that checks it."""
    return [_report(tried) for tried in understood(texts, names, file, is_late)]


def _report(tried: Tried) -> FunctionReport:
    name, report = tried.adapter.subject, None if tried.examined is None else tried.examined.report()
    if report is None:
        reason = f"it could not be checked as it is; the lines below are a start, and raise: {tried.error}"
        return FunctionReport(name, Verdict.INCONCLUSIVE, reason, adapter=tried.adapter.text)
    table = report.table() if report.leaves and not report.agrees else ""
    text = tried.adapter.text
    return FunctionReport(name, report.verdict, report.reason, report.findings, report.conventions, table, text)
