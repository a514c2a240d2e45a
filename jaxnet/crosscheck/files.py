"""A learner's file of course functions, checked in a process of its own: an endless loop there is a finding here."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError
from .report import Finding, FunctionReport, Verdict, explained, grouped, kind_of, overall, plain, said


@dataclass(frozen=True)
class FileReport:
    """The functions of a file, in the order of the course. Print it to read it; it has no truth value."""

    file: str
    functions: tuple[FunctionReport, ...]

    def __bool__(self) -> NoReturn:
        raise TypeError("a report has three verdicts and no truth value: write `report.agrees`")

    @property
    def verdict(self) -> Verdict:
        return overall(function.verdict for function in self.functions)

    @property
    def agrees(self) -> bool:
        return self.verdict is Verdict.AGREE

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(plain(asdict(self)) | {"verdict": self.verdict}, indent=1, allow_nan=False)

    def __str__(self) -> str:
        wrong = [function.name for function in self.functions if function.verdict is Verdict.DISAGREE]
        count = f"{len(self.functions)} function{'s' if len(self.functions) != 1 else ''}"
        head = f"{', '.join(wrong)} of {count}" if wrong else f"{count}, each by itself and in the chain"
        lines = [f"{self.verdict.upper()}  {self.file}: {head}", ""]
        wide = max(len(function.name) for function in self.functions)
        told: dict[tuple[str, str], str] = {}  # where each error was told first
        for function in self.functions:
            errors = [(kind_of(finding.place), finding.code) for finding in function.findings]
            before = dict.fromkeys(told[error] for error in errors if error in told)
            repeated = errors and all(error in told for error in errors)
            as_before = f", as `{'`, `'.join(before)}` does" if repeated else ""
            lines.append(f"{function.name:{wide}}  {said(function.verdict)}{as_before}")
            if function.verdict is not Verdict.AGREE and not function.findings:
                lines.append(f"  {function.reason}")
            for finding in [] if repeated else grouped(function.findings):
                lines += explained(finding)
            lines += [f"  note: {note}" for note in function.notes]
            told |= {error: function.name for error in errors if error not in told}
        for function in self.functions:
            if function.table:
                lines += ["", f"{function.name}, gradient by gradient:", function.table]
        return "\n".join(lines)


def check_file(path: str | os.PathLike, *, time_limit: float = 60.0) -> FileReport:
    """Checks every function of the course in a Python file, NumPy or JAX, by itself with right inputs and in the chain.

    The file is imported in a process of its own, which is stopped after `time_limit` seconds: a function that does
    not return, or that takes the process down, is reported by name. Raises `InputError` for a file that cannot be
    imported or that has none of the functions.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is no file; expected a Python file with functions of the course")
    messages, end = _run(path.resolve(), time_limit)
    functions, running = [], "import"
    for message in messages:
        if "unusable" in message:
            raise InputError(f"{path}: {message['unusable']}")
        running = message.get("running", running)
        if "result" in message:
            functions.append(_function(message["result"]))
    finished = not messages or any(function.name == running for function in functions)
    if not finished and running == "import":
        raise InputError(f"{path}: its import {end}")
    if not finished:
        functions.append(FunctionReport(running, Verdict.DISAGREE, f"it {end}; what comes after it was not checked"))
    if not functions:
        raise InputError(f"{path}: its import {end}")
    return FileReport(str(path), tuple(functions))


def _run(path: Path, time_limit: float) -> tuple[list[dict[str, Any]], str]:
    """What the process said line by line, and how it ended."""
    command = [sys.executable, "-m", "jaxnet.crosscheck.sandbox", str(path)]
    # Its prints go nowhere; the tail of its standard error says how it crashed.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        try:
            answers, errors = process.communicate(timeout=time_limit)
            end = f"ended the process with code {process.returncode}"
            if process.returncode < 0:
                end = f"crashed the process (signal {-process.returncode})"
            elif errors.strip():
                end += f": {errors.strip().splitlines()[-1]}"
        except subprocess.TimeoutExpired:
            process.kill()
            answers, _ = process.communicate()
            end = f"did not return within {time_limit:g} s"
    return [json.loads(line) for line in answers.splitlines() if line.startswith("{")], end


def _function(result: Mapping[str, Any]) -> FunctionReport:
    """What the process wrote, as records again."""
    findings = tuple(
        Finding(**finding | {"rivals": tuple(finding["rivals"]), "residual": float(finding["residual"])})
        for finding in result["findings"]
    )
    return FunctionReport(
        result["name"],
        Verdict(result["verdict"]),
        result["reason"],
        findings,
        tuple(result["notes"]),
        result["table"],
    )
