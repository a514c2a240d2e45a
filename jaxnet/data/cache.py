"""Pictures decoded once: rows of uint8 pixels in a file on disk, found again by all that they were made from.

    CACHE/<key>/rows.npy, manifest.json         key = sha256 of names, labels, contents, size, and FORMAT

An entry is written to a folder beside it, under a lock that ends with its process, and renamed when it is complete.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..prefetch import prefetched
from .examples import MappedRows
from .folders import Labelled
from .pictures import Picture, quiet_decoders, try_picture


FORMAT = 1  # raised when files are decoded in another way, or the entries look different
TOGETHER = 16  # pictures decoded by a thread at a time, as handing over a single one costs as much as a tenth of it
AHEAD = 2  # such groups for each thread, which bounds the memory
PARTIAL, LOCK = ".partial", ".lock"


class Cached(NamedTuple):
    """The decoded pictures of `files`, in the same order."""

    key: str
    rows: MappedRows
    hashes: tuple[str, ...]  # of the pixels of each; empty where there are none
    problems: dict[int, str]  # why there are none
    sizes: tuple[int, int, int, int]  # of the files: least and most width, least and most height


def cache_folder(cache: Path | None) -> Path:
    """Where decoded pictures are kept: `cache`, or JAXNET_CACHE, or the user's cache folder."""
    chosen = cache or os.environ.get("JAXNET_CACHE")
    if chosen:
        return Path(chosen)
    try:
        import platformdirs
    except ImportError as error:
        raise InputError("reading folders of pictures needs platformdirs: pip install 'jaxnet[photos]'") from error
    return platformdirs.user_cache_path("jaxnet") / "pictures"


def cached_pictures(
    folder: Path,
    files: Labelled,
    input_shape: tuple[int, ...],
    cache: Path,
    on_picture: Callable[[int, int], None] | None = None,
) -> Cached:
    """The pixels of `files`, from the cache, or decoded now; `on_picture(done, total)` is called as that goes on.

    Raises `InputError` where the cache cannot be written, of which nothing then stays.
    """
    key = _key(folder, files, input_shape)
    entry = cache / key
    known = _opened(entry, key)
    if known is not None:
        return known
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        with _partial(cache, key) as partial:
            _decode(folder, files.names, input_shape, partial, on_picture or (lambda done, total: None))
            _rename(partial, entry, key)
    except OSError as error:
        raise InputError(
            f"decoded pictures cannot be kept in {cache}: {error.strerror or error}; make room, or set JAXNET_CACHE to "
            "another folder"
        ) from error
    made = _opened(entry, key)
    if made is None:
        raise InputError(f"{entry} was changed while it was read; start again")
    return made


def _key(folder: Path, files: Labelled, input_shape: tuple[int, ...]) -> str:
    digest = hashlib.sha256(repr((FORMAT, input_shape)).encode())
    for name, label in zip(files.names, files.labels, strict=True):
        digest.update(os.fsencode(name) + f"\0{label}\0{_content_hash(folder, name)}\0".encode())
    return digest.hexdigest()


def _content_hash(folder: Path, name: str) -> str:
    try:
        with open(folder / name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return str(error.strerror)


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _decode(
    folder: Path,
    names: Sequence[str],
    input_shape: tuple[int, ...],
    entry: Path,
    on_picture: Callable[[int, int], None],
) -> None:
    n_x = int(np.prod(input_shape))
    blank, hashes, problems, sizes = bytes(n_x), [], {}, []
    with quiet_decoders(), open(entry / "rows.npy", "wb") as file:
        header = {"descr": np.dtype(np.uint8).str, "fortran_order": False, "shape": (len(names), n_x)}
        np.lib.format.write_array_header_1_0(file, header)
        for done, picture in enumerate(_decoded(folder, names, input_shape)):
            if isinstance(picture, Picture):
                pixels = picture.pixels.tobytes()
                file.write(pixels)
                hashes.append(hashlib.blake2b(pixels, digest_size=16).hexdigest())
                sizes.append(picture.size)
            else:
                file.write(blank)  # so that a picture's place does not depend on those before it
                hashes.append("")
                problems[done] = picture
            on_picture(done + 1, len(names))
    widths, heights = zip(*sizes, strict=True) if sizes else ((0,), (0,))
    manifest = {
        "format": FORMAT,
        "names": names,
        "hashes": hashes,
        "problems": problems,
        "sizes": (min(widths), max(widths), min(heights), max(heights)),
    }
    (entry / "manifest.json").write_text(json.dumps(manifest))


def _decoded(folder: Path, names: Sequence[str], input_shape: tuple[int, ...]) -> Iterator[Picture | str]:
    """All pictures in order, by as many threads as there are processors: the decoders leave Python's lock."""

    def decode(group: Sequence[str]) -> list[Picture | str]:
        return [try_picture(folder / name, input_shape) for name in group]

    groups = [names[i : i + TOGETHER] for i in range(0, len(names), TOGETHER)]
    for pictures in prefetched(decode, groups, threads=_threads(), ahead=AHEAD * _threads()):
        yield from pictures


def _rename(partial: Path, entry: Path, key: str) -> None:
    try:
        os.rename(partial, entry)
    except OSError:
        if _opened(entry, key) is not None:  # another run was first, and made the same
            return
        shutil.rmtree(entry, ignore_errors=True)
        os.rename(partial, entry)


def _opened(entry: Path, key: str) -> Cached | None:
    """The entry, if it is there and whole."""
    try:
        manifest = json.loads((entry / "manifest.json").read_text())
        rows = MappedRows(entry / "rows.npy")
        problems = {int(place): reason for place, reason in manifest["problems"].items()}
        hashes, sizes = tuple(manifest["hashes"]), tuple(manifest["sizes"])
        whole = manifest["format"] == FORMAT and len(rows) == len(hashes) and len(sizes) == 4
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):  # InputError is a ValueError
        return None
    return Cached(key, rows, hashes, problems, sizes) if whole else None


@contextmanager
def _partial(cache: Path, key: str) -> Iterator[Path]:
    """A folder to write an entry to, locked for as long as that takes."""
    from filelock import FileLock

    partial = cache / f"{key}.{uuid.uuid4().hex}{PARTIAL}"
    lock = Path(f"{partial}{LOCK}")
    try:
        with FileLock(lock):
            partial.mkdir()
            yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        lock.unlink(missing_ok=True)


def _sweep(cache: Path) -> None:
    """Removes what runs left that were killed: the locks of those that write are held, whatever their machine."""
    from filelock import FileLock, Timeout

    for leftover in cache.glob(f"*{PARTIAL}{LOCK}"):
        try:
            with FileLock(leftover, blocking=False):
                shutil.rmtree(str(leftover).removesuffix(LOCK), ignore_errors=True)
            leftover.unlink(missing_ok=True)
        except (Timeout, OSError):  # it is being written, or belongs to another user
            continue
