"""The report of a run: one HTML file that needs no network, no server and no script."""

import os

from ...errors import InputError
from ...model import replace_file
from .metrics import fit_of as fit_of
from .record import Record as Record, check_record


def check_installed() -> None:
    """Raises `InputError` where what draws a report is not installed."""
    try:
        from . import page as page
    except ImportError as error:
        raise InputError("a report is made by jinja2 and matplotlib: pip install 'jaxnet[demo]'") from error


def write_report(path: str | os.PathLike[str], record: Record) -> None:
    """The record of a run as one self-contained page: images are data URIs, curves are SVG.

    Raises `InputError` where the record's arrays do not fit each other, jinja2 or matplotlib are missing, or the file
    cannot be written.
    """
    check_installed()
    check_record(record)
    from .page import render

    # Names of files and classes may hold bytes that are no text, as lone surrogates, which UTF-8 has no place for.
    replace_file(path, render(record).encode("utf-8", "backslashreplace"))
