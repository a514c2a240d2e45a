"""Code that trains as it is imported is cut off, and what it defines below is added."""

import ast
import contextlib
import math
import signal
from collections.abc import Iterator
from typing import Any


CUT = "did not return"


class CutOff(BaseException):
    """The time is over. No `except Exception` of somebody's stops it."""


@contextlib.contextmanager
def cut_off(seconds: float) -> Iterator[None]:
    """Raises `CutOff` in the block after some seconds, and every second from then on; where the system has timers."""
    if math.isinf(seconds) or not hasattr(signal, "setitimer"):
        yield
        return

    def over(*_: Any) -> None:
        raise CutOff(f"{CUT} within {seconds:.3g} s")

    set_timer, timer, before = signal.setitimer, signal.ITIMER_REAL, signal.signal(signal.SIGALRM, over)
    set_timer(timer, seconds, 1.0)
    try:
        yield
    finally:
        set_timer(timer, 0)
        signal.signal(signal.SIGALRM, before)


def define_the_rest(source: bytes, file: str, names: dict[str, Any]) -> None:
    """Runs the definitions and imports of a module that did not come to them."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)) or (
            isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name not in names
        ):
            with contextlib.suppress(Exception):
                exec(compile(ast.Module([node], []), file, "exec", dont_inherit=True), names)
