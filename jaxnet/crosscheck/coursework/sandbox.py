"""The child of `files.check_file`, which runs a learner's file and checks what it defines.

Writes a JSON line before and after every check to what was standard output; whatever the file itself prints goes
nowhere, and it has no standard input. The first line is a word drawn by chance, before anything of the file has run,
and every line after it begins with it: nothing that the file writes is taken for an answer.
"""

import contextlib
import json
import math
import os
import secrets
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NoReturn

from ...errors import InputError
from ..cutting import CUT, CutOff, cut_off, define_the_rest
from ..foreign import CELL, cut, error_text, line_of, location
from ..report import Verdict, plain
from .course import CHECKS, checks
from .notebook import code_cells
from .others import other_code
from .process_tree import follow_parent
from .reports import FunctionReport
from .standins import StandIns, install
from .supervision import UNHEARD


IMPORTS, TRIES = 0.4, 0.8  # of the time limit, after which imports and tries are cut off
MEMORY, FILE_SIZE = 4 * 2**30, 2**30  # bytes, of a process and of a file that it writes


class Answers:
    """What is reported to the parent, in the process in which this was made and in no fork of it."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        self._pipe, self._pid = os.fstat(self._descriptor), os.getpid()
        # The file may put its own in place of any function of a module.
        self._encode = json.JSONEncoder(allow_nan=False).encode
        self._write, self._fstat, self._getpid, self._exit = os.write, os.fstat, os.getpid, os._exit
        self._word = secrets.token_hex(16)
        self._send(self._word)

    def report(self, **message: object) -> None:
        """A line of its own, whatever stands before it."""
        self._send(f"\n{self._word}{self._encode(message)}")

    def end(self, code: int) -> NoReturn:
        """Without what the file registered for the end, and without waiting for its threads."""
        self._exit(code)

    def _send(self, text: str) -> None:
        if self._getpid() != self._pid:
            self.end(0)
        try:
            now = self._fstat(self._descriptor)
            if (now.st_dev, now.st_ino) != (self._pipe.st_dev, self._pipe.st_ino):
                self.end(UNHEARD)  # it was closed, and is a file of somebody's now
            rest = f"{text}\n".encode()
            while rest:
                rest = rest[self._write(self._descriptor, rest) :]
        except OSError:
            self.end(UNHEARD)


def main(file: str, seconds: str) -> NoReturn:
    """Checks every function of the course that the file defines."""
    follow_parent(signal.SIGKILL)
    answers = Answers()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    answers.report(importing="")
    _limit(float(seconds))
    modules = dict(sys.modules)
    began, limit = time.monotonic(), float(seconds)
    try:
        names, texts, notes = _run(Path(file), answers, IMPORTS * limit)
    except InputError as error:
        answers.report(unusable=str(error))
        answers.end(2)
    sys.modules.update(modules)  # with what the file may have taken out or replaced
    warnings.simplefilter("ignore")  # it may have made errors of them
    functions = {name: names[name] for name in CHECKS if callable(names.get(name))}
    found_elsewhere: list[FunctionReport] = []
    if not any(name.endswith("_backward") for name in functions):
        answers.report(importing="training code")
        found_elsewhere = other_code(texts, names, Path(file).name, lambda: time.monotonic() - began > TRIES * limit)
        sys.modules.update(modules)
    if not functions and not found_elsewhere:
        answers.report(unusable=notes[0] if notes else _no_function(names))
        answers.end(2)
    for note in notes:
        answers.report(note=note)
    for found in found_elsewhere:
        answers.report(result=plain(asdict(found)))
    for name, check in checks(functions):
        answers.report(running=name)
        try:
            found = check()
        except Exception as error:  # what the function itself raises is a finding already
            found = FunctionReport(name, Verdict.INCONCLUSIVE, f"the check itself failed, with {error_text(error)}")
        except BaseException as error:  # sys.exit, say
            found = FunctionReport(name, Verdict.DISAGREE, f"it raised {error_text(error)}")
        sys.modules.update(modules)
        answers.report(result=plain(asdict(found)))
    answers.report(finished=True)
    answers.end(0)


def _limit(seconds: float) -> None:
    """Bounds what this process, and each one that it starts, can take."""
    os.environ["MPLBACKEND"] = "agg"  # a window would wait for somebody to close it
    sys.dont_write_bytecode = True  # nothing is left beside the file
    with contextlib.suppress(ImportError):  # Windows
        import resource

        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        processor = math.ceil(min(seconds, 1e6)) * (os.cpu_count() or 1) + 10  # of all threads together
        limits = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_CPU: processor,
            resource.RLIMIT_DATA: min(MEMORY, max(physical // 2, MEMORY // 2)),
            resource.RLIMIT_FSIZE: FILE_SIZE,
        }
        for which, limit in limits.items():
            _, hard = resource.getrlimit(which)
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            with contextlib.suppress(ValueError, OSError):  # a limit that this system does not have
                resource.setrlimit(which, (limit, limit))


def _run(path: Path, answers: Answers, seconds: float) -> tuple[dict[str, Any], list[str], list[str]]:
    """The names that the file leaves, its source texts, and notes. It is not `__main__`; what lies beside it can be
    imported.

    Its folder comes last in the path, so that a random.py beside it does not stand in for Python's own.
    """
    # A name that cannot be imported, so that the file stands in for no module; compiled anew, whatever __pycache__ has.
    module = ModuleType("the file under test")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    sys.path.append(str(path.parent))
    sys.argv = [str(path)]
    stand_ins, notes = install(), []
    if path.suffix.lower() != ".ipynb":
        source = path.read_bytes()
        error = _error_of(source, str(path), module, seconds)
        texts = [source.decode(errors="replace")]
        if error:
            course = any(callable(vars(module).get(name)) for name in CHECKS)
            define_the_rest(source, str(path), vars(module))
            if (course and not stand_ins.used and CUT not in error) or not _holds_code(vars(module)):
                raise InputError(f"it cannot be imported: {error}")
            notes.append(f"it was run up to an error, and what it defines below was added: {error}")
        return vars(module), texts, [*notes, *_stand_in_notes(stand_ins)]
    os.chdir(path.parent)  # as Jupyter does
    texts = code_cells(path.read_bytes())
    until = time.monotonic() + seconds
    for number, source in enumerate(texts, start=1):
        answers.report(importing=f"{CELL}{number}")
        if error := _error_of(source, f"{CELL}{number}", module, max(0.05 * seconds, until - time.monotonic())):
            notes.append(f"{CELL}{number} was run up to an error: {error}")
    return vars(module), texts, [*notes, *_stand_in_notes(stand_ins)]


def _stand_in_notes(stand_ins: StandIns) -> list[str]:
    if not stand_ins.used:
        return []
    return [f"stand-ins were used for {', '.join(dict.fromkeys(stand_ins.used))}, which cannot be imported here"]


def _holds_code(names: Mapping[str, Any]) -> bool:
    """Whether the file defined a function or a class itself."""
    kinds = (FunctionType, type)
    return any(isinstance(v, kinds) and v.__module__ == "the file under test" for v in names.values())


def _error_of(source: str | bytes, name: str, module: ModuleType, seconds: float = math.inf) -> str:
    """What running the source raises, in one line; "" for nothing. After some seconds it is cut off."""
    try:
        with cut_off(seconds):
            exec(compile(source, name, "exec", dont_inherit=True), vars(module))
    except CutOff as error:
        return f"it {CUT} within {seconds:.3g} s{location(error, name)}"
    except SyntaxError as error:
        line = line_of(name, error.lineno) if error.lineno and error.filename == name else location(error, name)
        return f"{error_text(error)}{line}"
    except BaseException as error:  # SystemExit too: the file is somebody else's
        return f"{error_text(error)}{location(error, name)}{_shadowed(error, module)}"
    return ""


def _shadowed(error: BaseException, module: ModuleType) -> str:
    """A module beside the file that is not the one imported, since another has its name."""
    name = error.name if isinstance(error, ImportError) and isinstance(error.name, str) else None
    loaded = getattr(sys.modules.get(name or ""), "__file__", None)
    beside = Path(str(module.__file__)).parent / f"{name}.py"
    if name is None or not beside.is_file() or loaded == str(beside):
        return ""
    return f"; {name} is that of {loaded or 'Python itself'}, not the {name}.py beside the file: rename that"


def _no_function(names: Mapping[str, Any]) -> str:
    defined = [str(name) for name, value in names.items() if type(value) is FunctionType]
    return f"it defines {cut(', '.join(defined)) or 'no function'}; expected any of {', '.join(CHECKS)}"
