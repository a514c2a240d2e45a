"""Files that exist as a whole or not at all, whatever ends the process or the machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the name of a file to write beside `path`; at the end of the block it is synced and renamed to `path`.

    Until then `path` is unchanged. A block that raises leaves nothing behind.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}")
    try:
        yield beside
        sync(beside)
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(beside)):
            error.filename = str(path)  # the error of a full disk lacks it
        raise
    sync(path.parent)


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Replaces the file at `path` by one that holds `content`."""
    with replacing(path) as beside:
        beside.write_bytes(content)


def sync(path: str | os.PathLike[str]) -> None:
    """Waits until a file, or the entries of a folder, are on disk (`fsync`)."""
    if os.name != "posix" and Path(path).is_dir():  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
