"""A learner's file of course functions, checked in a process of its own: an endless loop there is a finding here."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from ...errors import InputError
from ...text import printable, printable_lines
from ..report import Finding, Place, Verdict, explained, grouped, overall, plain, reported
from .reports import FunctionReport
from .supervision import answers_of


LARGEST = 64 * 2**20  # bytes of source code, with the figures that a notebook holds


@dataclass(frozen=True)
class FileReport:
    """The functions of a file, in the order of the course. Print it to read it; it has no truth value."""

    file: str
    functions: tuple[FunctionReport, ...]
    notes: tuple[str, ...] = ()  # of the cells of a notebook

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
        right = "by one update" if any(f.adapter for f in self.functions) else "each by itself and in the chain"
        head = f"{', '.join(wrong)} of {count}" if wrong else f"{count}, {right}"
        lines = [f"{self.verdict.upper()}  {self.file}: {head}", *(f"note: {note}" for note in self.notes), ""]
        lines += self._function_by_function()
        text = "\n".join(map(printable, lines))  # the texts of a learner are one line each, whatever is in them
        pasted = f"to check it yourself, paste at the end of {printable(Path(self.file).name)}:"
        tables = [[pasted, *f.adapter.split("\n")] for f in self.functions if f.adapter]
        tables += [[f"{function.name}, gradient by gradient:", function.table] for function in self.functions]
        return "\n".join([text, *(printable_lines("\n".join(["", *table])) for table in tables if table[1])])

    def _function_by_function(self) -> list[str]:
        lines: list[str] = []
        wide = max(len(function.name) for function in self.functions)
        first: dict[tuple[str, str], str] = {}  # where each error was reported first
        for function in self.functions:
            errors = [(finding.place.kind, finding.code) for finding in function.findings]
            repeated = errors and all(error in first for error in errors)
            before = "`, `".join(dict.fromkeys(first[error] for error in errors)) if repeated else ""
            as_before = f", as `{before}` does" if repeated else ""
            lines.append(f"{function.name:{wide}}  {reported(function.verdict)}{as_before}")
            if function.verdict is not Verdict.AGREE and not function.findings:
                lines.append(f"  {function.reason}")
            for finding in [] if repeated else grouped(function.findings):
                lines += explained(finding)
            lines += [f"  note: {note}" for note in function.notes]
            first = dict.fromkeys(errors, function.name) | first
        return lines


def check_file(path: str | os.PathLike, *, time_limit: float = 60.0) -> FileReport:
    """Checks every function of the course in a Python file, NumPy or JAX, by itself and in the chain.

    The code cells of a notebook (.ipynb) run in order, without magics; a cell that raises is noted and left there.
    All this happens in a process of its own, with limits on memory and output, which is ended after `time_limit`
    seconds together with every process that the file started: a function that does not return, or that takes the
    process down, is reported by name. Modules beside the file can be imported, but do not replace installed ones.

    Raises:
        InputError: for a file that cannot be run or that has none of the functions.

    Example:
        >>> with open("week4.py", "w") as file:
        ...     print("def linear_forward(A, W, b): return W @ A + b, (A, W, b)", file=file)
        >>> jaxnet.check_file("week4.py").verdict.value
        'agree'
    """
    path = Path(path)
    name = printable(str(path))
    _check_source(path, name)
    if not 0 < time_limit < math.inf:
        raise InputError(f"time_limit is {time_limit}; expected seconds, more than 0")
    messages, end = answers_of(path.resolve(), time_limit)
    results: dict[str, FunctionReport | None] = {}  # None until it is reported
    notes, importing, finished = [], "import", False
    for message in messages:
        match message:
            case {"unusable": str(reason)}:
                raise InputError(f"{name}: {printable(reason)}")
            case {"importing": str(cell)}:
                importing = cell or importing
            case {"running": str(function)}:
                results[function] = None
            case {"note": str(note)}:
                notes.append(note)
            case {"result": dict(result)}:
                results |= _function(result)
            case {"finished": True}:
                finished = True
    if not results:
        raise InputError(f"{name}: its {importing} {printable(end)}")
    return FileReport(str(path), _functions(results, "" if finished else end), tuple(notes))


def _functions(results: Mapping[str, FunctionReport | None], end: str) -> tuple[FunctionReport, ...]:
    """What was found of each function; `end` says how the process ended that did not come to its own."""
    untold = Verdict.INCONCLUSIVE, "what was found of it could not be read"
    functions = [found or FunctionReport(name, *untold) for name, found in results.items()]
    last = functions[-1].name
    if end and results[last] is None:
        functions[-1] = FunctionReport(last, Verdict.DISAGREE, f"it {end}; what comes after it was not checked")
    elif end:  # between two functions: by a thread of its own, say
        reason = f"the file {end}; what comes after `{last}` was not checked"
        functions.append(FunctionReport("the rest", Verdict.INCONCLUSIVE, reason))
    return tuple(functions)


def _check_source(path: Path, name: str) -> None:
    """Raises `InputError`, before any process is started, for what is not Python source code."""
    expected = "expected a Python file with functions of the course, or a notebook"
    try:
        if path.is_dir():
            raise InputError(f"{name} is a folder; {expected}")
        if not path.is_file():
            raise InputError(f"{name} is not a file; {expected}")
        if path.suffix.lower() not in (".py", ".ipynb"):
            raise InputError(f"{name} does not end in .py or .ipynb; {expected}")
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    if size > LARGEST:
        raise InputError(f"{name} has {size} bytes; expected source code, of at most {LARGEST}")


def _function(result: dict[str, Any]) -> dict[str, FunctionReport]:
    """What the process wrote, as a record again, by name."""
    try:
        findings = tuple(
            Finding(Place.read(f["place"]), f["code"], f["text"], f["remedy"], float(f["residual"]), tuple(f["rivals"]))
            for f in result["findings"]
        )
        verdict, notes = Verdict(result["verdict"]), tuple(result["notes"])
        found = FunctionReport(
            result["name"], verdict, result["reason"], findings, notes, result["table"], result.get("adapter", "")
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
    return {found.name: found}
