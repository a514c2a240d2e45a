"""The image files that names of files and folders stand for, and their pixels, many at a time."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..text import printable


if TYPE_CHECKING:
    import numpy as np


MOST_THREADS = 8


def find_images(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files named, the images in the folders named, by their suffix, and what could not be searched.

    Hidden files are skipped; links are followed, but into no folder twice. Raises `InputError` if there are no images.
    """
    from ..data import SUFFIXES

    paths: list[str] = []
    closed: list[str] = []
    for name in names:
        if name == "-":
            raise InputError("- is the standard input; expected names of image files, or of folders of them")
        if os.path.isdir(name):
            paths += _in_folder(name, closed)
        elif os.path.isfile(name):
            paths.append(name)
        else:
            raise InputError(
                f"{printable(name) or 'an empty name'} is not a file; expected an image, or a folder of them"
            )
    if not paths and not closed:
        where = ", ".join(map(printable, names))
        raise InputError(f"no images in {where:.199}; expected files that end in {', '.join(sorted(SUFFIXES))}")
    return paths, closed


def _in_folder(top: str, closed: list[str]) -> Iterator[str]:
    from ..data import SUFFIXES, is_of_the_system

    def refused(error: OSError) -> None:
        closed.append(f"{error.filename} cannot be searched: {error.strerror}")

    entered = {os.path.realpath(top)}
    for folder, subfolders, files in os.walk(top, followlinks=True, onerror=refused):
        places = {name: os.path.realpath(os.path.join(folder, name)) for name in sorted(subfolders)}
        subfolders.clear()  # os.walk goes on with what is left in it
        for name, place in places.items():
            if not is_of_the_system(name) and place not in entered:
                entered.add(place)
                subfolders.append(name)
        for name in sorted(files):
            if not is_of_the_system(name) and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield os.path.join(folder, name)


def read_batches(
    paths: Sequence[str], input_shape: tuple[int, ...], size: int
) -> Iterator[list[tuple[str, "np.ndarray | str"]]]:
    """`size` paths at a time, each with its pixels or the reason why it has none; several threads decode a batch."""
    from ..data import quiet_decoders, try_image

    def read(path: str) -> "np.ndarray | str":
        image = try_image(Path(path), input_shape)
        return f"{path} cannot be read as an image: {image.problem}" if image.pixels is None else image.pixels

    with quiet_decoders(), ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        for i in range(0, len(paths), size):
            batch = paths[i : i + size]
            yield list(zip(batch, threads.map(read, batch), strict=True))
