"""What somebody's code returned or raised: numbers, or what else it is in words.

Its own methods may raise too.
"""

from types import CodeType
from typing import Any

import numpy as np


LONGEST = 300  # characters of somebody's text that are shown
CELL = "code cell "  # what the sources of a notebook are called: code cell 1, ...
COARSE = ("bfloat16", "float8_e4m3fn", "float8_e5m2")  # numbers that NumPy does not know as such


class NotNumbers(Exception):
    """The words complete "dW is ...": "a ragged list", "complex, of dtype complex128"."""


class Absent(NotNumbers):
    """It is None."""


def as_numbers(value: Any) -> np.ndarray:
    """The value as an array of booleans, integers or reals. Raises `NotNumbers` for everything else.

    `np.asarray(value, float)` would drop a mask and an imaginary part, and make NaN of None and a number of a text.
    """
    if value is None:
        raise Absent("None")
    if np.ma.isMaskedArray(value) and np.ma.is_masked(value):
        raise NotNumbers("a masked array with masked entries, which have no value")
    try:
        array = np.asarray(value)
    except Exception as error:  # of any kind: `__array__` is somebody's own
        if type(value) in (list, tuple):
            raise NotNumbers(f"a ragged {type(value).__name__}") from error
        words = f"of type {kind_of_value(value)}, which raised {kind_of_value(error)} when read as an array"
        raise NotNumbers(words) from error
    if array.dtype.kind in "biuf" or array.dtype.name in COARSE:
        return array
    if array.dtype.kind == "c":
        raise NotNumbers(f"complex, of dtype {array.dtype.name}")
    if type(value) in (list, tuple):
        raise NotNumbers(f"a {type(value).__name__} with entries that are not numbers")
    if isinstance(value, np.ndarray):
        words = "text" if array.dtype.kind in "US" else f"dtype {array.dtype.name}"
        raise NotNumbers(f"an array of {words}")
    raise NotNumbers(f"of type {kind_of_value(value)}")


def error_text(error: BaseException) -> str:
    """The type of an error and the first line of its message."""
    name = kind_of_value(error)
    try:
        lines = str(getattr(error, "msg", error)).strip().splitlines()
    except Exception:  # its `__str__` is somebody's own
        lines = []
    return cut(f"{name}: {lines[0]}" if lines else name)


def cut(text: str) -> str:
    """The text, no longer than is shown of somebody's."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def kind_of_value(value: object) -> str:
    """The name of a value's type; "None" of None."""
    try:
        return "None" if value is None else cut(str(type(value).__name__))
    except Exception:  # a metaclass of somebody's own
        return "object"


def location(error: BaseException, source: object) -> str:
    """The last line on the error's way that is in `source`, a file or, all alike, the cells of a notebook."""
    where, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file == source or (str(source).startswith(CELL) and file.startswith(CELL)):
            where = line_of(file, trace.tb_lineno)
        trace = trace.tb_next
    return where


def line_of(source: str, number: int) -> str:
    """(line 3), or (code cell 2, line 3)."""
    return f" ({source}, line {number})" if source.startswith(CELL) else f" (line {number})"


def source_of(function: object) -> object:
    """The file or cell in which a function is written; None where that is not known."""
    try:
        code = getattr(function, "__code__", None)
    except Exception:  # an object of somebody's own that is callable
        return None
    return code.co_filename if isinstance(code, CodeType) else None
