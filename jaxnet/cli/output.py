"""The file that a command writes: where to, and whether one that is there may be replaced."""

import argparse
from pathlib import Path

from ..errors import InputError


def add_output(parser: argparse.ArgumentParser, name: str, *, required: bool) -> None:
    """--out and --overwrite."""
    parser.add_argument(
        "--out",
        type=Path,
        required=required,
        metavar="FILE",
        help=f"{name}" + ("" if required else "; without it the standard output"),
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it is there")


def check_output(path: Path, overwrite: bool) -> None:
    """Raises `InputError`, before any work, for a file that cannot be written or is there and shall stay."""
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{path} is a folder or in none; expected the name of a file in a folder that is there")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists; choose another --out, or pass --overwrite to replace it")
