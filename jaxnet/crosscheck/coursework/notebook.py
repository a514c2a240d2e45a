"""The code of a Jupyter notebook, cell by cell, without what IPython alone understands."""

import io
import json
import re
import tokenize
from typing import Any

from ...errors import InputError


# Cell magics whose cell is Python and leaves its names behind; that of %%bash, %%writefile or %%html is not.
RUNS_PYTHON = ("%%time", "%%capture", "%%prun")
MAGIC = re.compile(r"\s*([%!?]|[\w.]+\?{1,2}\s*$|[\w., ]+=\s*[%!])")  # %magic, !command, ?help, help?, x = !command


def code_cells(content: bytes) -> list[str]:
    """The code of every code cell, as Python. Raises `InputError` for what is not a notebook of Python code."""
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is not a notebook: {error}") from error
    if not isinstance(notebook, dict):
        raise InputError(f"it is not a notebook: its JSON is a {type(notebook).__name__}; expected cells in an object")
    language = _language(notebook.get("metadata"))
    if not language.startswith(("python", "ipython")):
        raise InputError(f"it is a notebook in {language}; expected one in Python")
    return [without_magics(source) for source in _sources(notebook)]


def without_magics(source: str) -> str:
    """The cell with `pass` for every line that is IPython's own: lines keep their numbers, and blocks have a body."""
    if _compiles(source):
        return source
    first = source.lstrip()
    if first.startswith("%%") and first.split()[0] not in RUNS_PYTHON:
        return ""
    kept, statement, dropping = "", "", False
    for line in source.splitlines(keepends=True):
        if dropping or (not statement and MAGIC.match(line)):
            kept += "\n" if dropping else line[: len(line) - len(line.lstrip())] + "pass\n"
            dropping = line.rstrip().endswith("\\")
            continue
        statement += line
        if not _is_open(statement):
            kept, statement = kept + statement, ""
    return kept + statement


def _sources(notebook: dict[str, Any]) -> list[str]:
    """The sources of the code cells. Before version 4 of the format they stood in worksheets, as `input`."""
    sheets = notebook.get("worksheets") if "cells" not in notebook else [notebook]
    cells: list[Any] = []
    for sheet in sheets if isinstance(sheets, list) else [None]:
        found = sheet.get("cells") if isinstance(sheet, dict) else None
        if not isinstance(found, list) or not all(isinstance(cell, dict) for cell in found):
            raise InputError("it is not a notebook, or a damaged one: expected a list of cells")
        cells += [cell for cell in found if cell.get("cell_type") == "code"]
    sources = [cell.get("source", cell.get("input", "")) for cell in cells]
    for i, source in enumerate(sources, start=1):
        if not isinstance(source, str | list) or not all(isinstance(line, str) for line in source):
            raise InputError(f"the notebook is damaged: the source of code cell {i} is not text")
    return ["".join(source) for source in sources]


def _language(metadata: Any) -> str:
    """The language that the notebook names; Python where it names none."""
    for part, key in (("language_info", "name"), ("kernelspec", "language")):
        entry = metadata.get(part) if isinstance(metadata, dict) else None
        if isinstance(entry, dict) and isinstance(entry.get(key), str):
            return entry[key].lower()
    return "python"


def _compiles(source: str) -> bool:
    try:
        compile(source, "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_open(statement: str) -> bool:
    """Whether the statement ends inside brackets, in a text of several lines, or at a backslash."""
    try:
        for _ in tokenize.generate_tokens(io.StringIO(statement).readline):
            pass
    except tokenize.TokenError as error:
        return "multi-line" in str(error) or "triple-quoted" in str(error)
    except SyntaxError:
        pass
    return False
