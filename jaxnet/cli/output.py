"""The output file of a command: where it is written, and whether an existing one may be replaced."""

import argparse
from pathlib import Path

from ..errors import InputError


def add_output(
    parser: argparse.ArgumentParser, name: str, *, required: bool, otherwise: str = "; without it the standard output"
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
