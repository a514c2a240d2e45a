"""The output file of a command: where it is written, and whether an existing one may be replaced."""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..text import cell


def add_output(
    parser: argparse.ArgumentParser, name: str, *, required: bool, otherwise: str = "; without it, the standard output"
) -> None:
    """Adds --out and --overwrite."""
    parser.add_argument(
        "--out",
        type=Path,
        required=required,
        metavar="FILE",
        help=name if required else name + otherwise,
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def check_output(path: Path, overwrite: bool) -> None:
    """Raises `InputError`, before any work, for a file that cannot be written, or exists and is not to be replaced."""
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{path} is a folder, or not in one; expected the name of a file in an existing folder")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists; choose another --out, or pass --overwrite to replace it")


def open_output(path: Path | None) -> Any:
    """A context of the file to write to, the standard output without a path."""
    # A name that is not valid text is written as a terminal shows it, so that the file is valid UTF-8.
    return (
        nullcontext(sys.stdout)
        if path is None
        else path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    )


def csv_line(cells: Sequence[Any]) -> str:
    """A line of a CSV file."""
    text = io.StringIO()
    # What a spreadsheet would compute or a terminal would act on is written out; --json keeps the names as they are.
    csv.writer(text).writerow([cell(value) if isinstance(value, str) else value for value in cells])
    return text.getvalue().removesuffix("\r\n")
