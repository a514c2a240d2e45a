"""Images decoded once: rows of uint8 pixels in a file on disk, found again by everything that they were made from.

    CACHE/<key>/rows, manifest.json         key = sha256 of names, labels, contents, size, and FORMAT

An entry is written to a folder beside it, under a lock that ends with its process, and renamed when it is complete and
on disk. It is filed under the contents that were decoded, even where files changed meanwhile.

When an entry is opened, every row is compared with its hash, and the manifest with its own, since a disk or a person
may have changed either. That reads the whole entry once, at about 1 GB/s per processor, which takes less time than
hashing the files it is made of; later the rows are read from the system's memory.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..storage import processors, sync
from .examples import MappedRows
from .folders import Labelled
from .images import Decoded, content_of, try_image
from .prefetch import prefetched
from .threads import quiet_decoders


FORMAT = 2  # increased when files are decoded in another way, or entries have another layout
TOGETHER = 16  # images hashed or decoded by a thread at a time, as handing one over costs a tenth of decoding it
AHEAD = 2  # such groups for each thread
MOST_WAITING = 2**29  # bytes of pixels that are decoded and not yet written
BLOCK = 2**22  # bytes of rows that are hashed at a time by a thread
PARTIAL, LOCK = ".partial", ".lock"


class Cached(NamedTuple):
    """The decoded images of `files`, in the same order."""

    key: str
    rows: MappedRows
    hashes: tuple[str, ...]  # of the pixels of each; empty where there are none
    problems: dict[int, str]  # why there are none
    sizes: tuple[int, int, int, int]  # of the files: least and most width, least and most height
    damage: str = ""  # what was wrong with the previous entry


class _Damaged(Exception):
    """An entry that is not what was written."""


def cache_folder(cache: Path | None) -> Path:
    """The folder for decoded images: `cache`, or JAXNET_CACHE, or the user's cache folder."""
    chosen = cache or os.environ.get("JAXNET_CACHE")
    if chosen:
        return Path(chosen)
    try:
        import platformdirs
    except ImportError as error:
        raise InputError("reading folders of images needs platformdirs: pip install 'jaxnet[photos]'") from error
    return platformdirs.user_cache_path("jaxnet") / "pictures"  # its name since version 0.1


def cached_images(
    folder: Path,
    files: Labelled,
    input_shape: tuple[int, ...],
    cache: Path,
    on_image: Callable[[int, int], None] | None = None,
    exact: bool = False,
) -> Cached:
    """The pixels of `files`, from the cache or decoded now; meanwhile `on_image(done, total)` is called."""
    key = _key(files, input_shape, exact, _contents(folder, files.names))
    damage = ""
    try:
        known = _opened(cache / key, key, input_shape)
        if known is not None:
            return known
    except _Damaged as error:
        damage = f"{cache / key}: {error}"
    try:
        key = _made(folder, files, input_shape, exact, cache, key, on_image or (lambda done, total: None))
        known = _opened(cache / key, key, input_shape)
    except OSError as error:
        raise InputError(
            f"decoded images cannot be kept in {cache}: {error.strerror or error}; make room, or set JAXNET_CACHE to "
            "another folder"
        ) from error
    except _Damaged as error:
        raise InputError(f"{cache / key} is damaged as soon as it is written: {error}; the disk may fail") from error
    if known is None:
        raise InputError(f"{cache / key} was removed while it was read; start again")
    return known._replace(damage=damage)


def _made(
    folder: Path,
    files: Labelled,
    input_shape: tuple[int, ...],
    exact: bool,
    cache: Path,
    key: str,
    on_image: Callable[[int, int], None],
) -> str:
    """Decodes the files into an entry, and returns its key, which is another one if they changed meanwhile."""
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    with _partial(cache, key) as partial:
        manifest, contents = _decode(folder, files.names, input_shape, exact, partial, on_image)
        key = _key(files, input_shape, exact, contents)
        text = json.dumps({"key": key, **manifest})
        (partial / "manifest.json").write_text(f"{_hash(text.encode())}\n{text}")
        for path in (partial / "rows", partial / "manifest.json", partial):
            sync(path)
        _rename(partial, cache / key, key, input_shape)
    sync(cache)
    return key


def _key(files: Labelled, input_shape: tuple[int, ...], exact: bool, contents: Sequence[str]) -> str:
    made = (FORMAT, input_shape, "exact") if exact else (FORMAT, input_shape)
    digest = hashlib.sha256(repr(made).encode())
    for name, label, content in zip(files.names, files.labels, contents, strict=True):
        digest.update(os.fsencode(name) + f"\0{label}\0{content}\0".encode())
    return digest.hexdigest()


def _contents(folder: Path, names: Sequence[str]) -> list[str]:
    groups = _groups(names, TOGETHER)
    with ThreadPoolExecutor(processors()) as threads:
        hashed = threads.map(lambda group: [content_of(folder / name) for name in group], groups)
        return [content for contents in hashed for content in contents]


def _groups(names: Sequence[str], length: int) -> list[Sequence[str]]:
    return [names[i : i + length] for i in range(0, len(names), length)]


def _hash(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _decode(
    folder: Path,
    names: Sequence[str],
    input_shape: tuple[int, ...],
    exact: bool,
    entry: Path,
    on_image: Callable[[int, int], None],
) -> tuple[dict[str, Any], list[str]]:
    """Writes the rows; returns what the manifest says of them, and the contents that they were made from."""
    blank, hashes, problems, sizes, contents = bytes(math.prod(input_shape)), [], {}, [], []
    with quiet_decoders(), open(entry / "rows", "wb") as file:
        for done, image in enumerate(_decoded(folder, names, input_shape, exact)):
            # A blank row, so that an image's place does not depend on those before it.
            pixels = blank if image.pixels is None else image.pixels.tobytes()
            file.write(pixels)
            hashes.append(_hash(pixels))
            contents.append(image.content)
            if image.pixels is None:
                problems[done] = image.problem
            else:
                sizes.append(image.size)
            on_image(done + 1, len(names))
    widths, heights = zip(*sizes, strict=True) if sizes else ((0,), (0,))
    extremes = (min(widths), max(widths), min(heights), max(heights))
    return {"hashes": hashes, "problems": problems, "sizes": extremes}, contents


def _decoded(folder: Path, names: Sequence[str], input_shape: tuple[int, ...], exact: bool) -> Iterator[Decoded]:
    """All images in order, decoded by as many threads as there are processors: decoders release Python's lock."""

    def decode(group: Sequence[str]) -> list[Decoded]:
        return [try_image(folder / name, input_shape, exact) for name in group]

    waiting = max(1, MOST_WAITING // math.prod(input_shape))  # so many images
    threads = min(processors(), max(1, waiting // (1 + AHEAD)))
    together = min(TOGETHER, max(1, waiting // ((1 + AHEAD) * threads)))
    for images in prefetched(decode, _groups(names, together), threads=threads, ahead=AHEAD * threads):
        yield from images


def _rename(partial: Path, entry: Path, key: str, input_shape: tuple[int, ...]) -> None:
    try:
        os.rename(partial, entry)
    except OSError:
        with contextlib.suppress(_Damaged):
            if _opened(entry, key, input_shape) is not None:  # another run was first, and wrote the same
                return
        shutil.rmtree(entry, ignore_errors=True)
        os.rename(partial, entry)


def _opened(entry: Path, key: str, input_shape: tuple[int, ...]) -> Cached | None:
    """The entry, if there is one. Raises `_Damaged` where it is not what was written."""
    if not os.path.exists(entry):
        return None
    try:
        stored, text = (entry / "manifest.json").read_bytes().split(b"\n", 1)
        if stored.decode() != _hash(text):
            raise _Damaged("its manifest has changed")
        manifest = json.loads(text)
        if manifest["key"] != key:
            raise _Damaged("it belongs to other images")
        rows = MappedRows(entry / "rows", math.prod(input_shape))
        _verify(rows, manifest["hashes"])
        problems = {int(place): reason for place, reason in manifest["problems"].items()}
        hashes = tuple("" if place in problems else text for place, text in enumerate(manifest["hashes"]))
        return Cached(key, rows, hashes, problems, tuple(manifest["sizes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # `InputError` is a ValueError
        raise _Damaged(f"it cannot be read: {error}") from error


def _verify(rows: MappedRows, hashes: Sequence[str]) -> None:
    if len(rows) != len(hashes):
        raise _Damaged(f"it has {len(rows)} rows of {len(hashes)}")
    length = max(1, BLOCK // rows.shape[1])

    def changed(start: int) -> list[int]:
        block = rows[start : start + length]
        return [start + i for i, row in enumerate(block) if _hash(row.data) != hashes[start + i]]

    with ThreadPoolExecutor(processors()) as threads:
        damaged = [place for places in threads.map(changed, range(0, len(rows), length)) for place in places]
    if damaged:
        raise _Damaged(f"{len(damaged)} of its {len(rows)} rows have changed")


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
    """Removes what killed runs left behind: the locks of those still writing are held, whatever their machine."""
    from filelock import FileLock, Timeout

    for leftover in cache.glob(f"*{PARTIAL}{LOCK}"):
        try:
            with FileLock(leftover, blocking=False):
                shutil.rmtree(str(leftover).removesuffix(LOCK), ignore_errors=True)
            leftover.unlink(missing_ok=True)
        except (Timeout, OSError):  # it is being written, or belongs to another user
            continue
