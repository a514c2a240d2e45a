"""python -m jaxnet.crosscheck.sandbox FILE: the child of `files.check_file`, which imports and runs a learner's file.

Writes a JSON line before and after every check to what was standard output; whatever the file itself prints goes
nowhere, and it has no standard input.
"""

import importlib.util
import inspect
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TextIO

from .coursework import CHECKS, checks
from .report import FunctionReport, Verdict, plain


def main(file: str) -> int:
    """Checks every function of the course that the file defines."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _tell(answers, running="import")
    try:
        module = _imported(Path(file))
    except BaseException as error:  # SystemExit too: the file is somebody else's
        _tell(answers, unusable=_where(error, file))
        return 2
    functions = {name: getattr(module, name) for name in CHECKS if callable(getattr(module, name, None))}
    if not functions:
        names = [n for n, value in vars(module).items() if inspect.isfunction(value)]
        _tell(answers, unusable=f"it defines {', '.join(names) or 'no function'}; expected any of {', '.join(CHECKS)}")
        return 2
    for name, check in checks(functions):
        _tell(answers, running=name)
        try:
            found = check()
        except Exception as error:  # what the function itself raises is a finding already
            reason = f"the check itself failed, with {type(error).__name__}: {error}"
            found = FunctionReport(name, Verdict.INCONCLUSIVE, reason)
        except BaseException as error:  # sys.exit, say
            found = FunctionReport(name, Verdict.DISAGREE, f"it raised {type(error).__name__}: {error}")
        _tell(answers, result=plain(asdict(found)))
    return 0


def _tell(answers: TextIO, **message: object) -> None:
    answers.write(json.dumps(message, allow_nan=False) + "\n")
    answers.flush()


def _imported(path: Path) -> ModuleType:
    """The file as a module that is not `__main__`; what lies beside it can be imported."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _where(error: BaseException, file: str) -> str:
    line, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.lineno is not None:
        line = f" (line {error.lineno})"
    return f"it cannot be imported: {type(error).__name__}: {getattr(error, 'msg', error)}{line}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
