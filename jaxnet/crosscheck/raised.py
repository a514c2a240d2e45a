"""What somebody's code raised, in one line: what, and where in their file. The error's own methods may raise too."""

from types import CodeType


LONGEST = 300  # characters of somebody's text that are shown
CELL = "code cell "  # what the sources of a notebook are called: code cell 1, ...


def error_text(error: BaseException) -> str:
    """Its type and the first line of what it says."""
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
    """The name of its type; "None" of None."""
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
