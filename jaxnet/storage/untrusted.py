"""Foreign files: nothing in them is run, nothing outside of them is read, and no more is read than fits in memory.

Whatever their headers declare is compared with what is there before anything is allocated.
"""

import math
import os
import stat
import threading
import zipfile
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

import numpy as np

from ..errors import InputError
from .machine import memory


LISTED = 12  # names in a message
NPY = b"\x93NUMPY"
_ONE_HEADER = threading.Lock()  # NumPy parses headers by `ast`, which fails in two threads of CPython 3.11


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """The file, opened for reading. Raises `OSError` for a pipe, a device or a socket, which might never end."""
    # Opening a pipe that nobody writes to would wait forever, unless it does not block.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError("it is not a file")


def check_fits(path: Path | str, what: str, declared: int) -> None:
    """Raises `InputError` where `declared` bytes of `what`, and a copy of them, do not fit in this machine's memory."""
    available = memory()
    if available is not None and 2 * declared > available:
        raise InputError(
            f"{path}: {what} would take {declared / 2**30:,.1f} GiB, twice while it is read, and this machine has "
            f"{available / 2**30:,.1f} GiB; expected a smaller array, or a folder of images, which stays on disk"
        )


def refuse(path: Path, kind: str, error: Exception) -> NoReturn:
    """Raises the `InputError` for a file that is not, or no longer, of its kind."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    shown = " ".join(reason.split()) or type(error).__name__
    raise InputError(f"{path} cannot be read as {kind}: {shown:.300}") from error


def listed(names: Sequence[str]) -> str:
    """The names as one line; a hostile file may have millions of them."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f"{name:.60}" for name in names[:LISTED]) + more


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name. Raises `InputError` for one that is damaged, or needs a pickle to be read."""
    try:
        with open_file(path) as file:
            if file.read(len(NPY)) == NPY:
                raise InputError(f"{path} holds one array, as an .npy file does; expected np.savez(path, X=X, Y=Y)")
            with zipfile.ZipFile(file) as archive, _ONE_HEADER:
                members = _members(path, archive)
                sizes = {name: _declared(path, name, archive, member) for name, member in members.items()}
                check_fits(path, listed(list(sizes)), sum(sizes.values()))
                return {name: _array(archive, member) for name, member in members.items()}
    except InputError:
        raise
    except Exception as error:  # damaged archives can fail in any way
        refuse(path, "an .npz file of plain arrays", error)


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename or name.startswith("__MACOSX/"):  # which macOS adds to the archives it makes
            continue
        if name in members:
            raise InputError(f"{path} has two arrays of the name {name:.60}; expected one of each")
        members[name] = member
    return members


def _declared(path: Path, name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """The size of an array in bytes by its header, which must agree with the archive."""
    with archive.open(member) as file:
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        version = np.lib.format.read_magic(file)
        if version not in readers:  # such as (3, 0), of structures with fields
            raise InputError(f"{path}: {name:.60} is not a plain array of numbers or of text")
        shape, _, dtype = readers[version](file)
        if dtype.hasobject or dtype.names is not None:
            raise InputError(
                f"{path}: {name:.60} is {dtype!s:.60}, not a plain array of numbers or of text, and would "
                "need a pickle, which can run any code; save it by np.savez without objects"
            )
        size, stored = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
    if min(shape, default=0) < 0 or size != stored:
        raise InputError(
            f"{path}: {name:.60} is said to have shape {shape!s:.99} and dtype {dtype!s:.60}, which are not "
            f"the {stored:,} bytes that the file has of it; it is damaged, or cut off"
        )
    return size


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
