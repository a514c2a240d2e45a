"""The image files that names of files and folders stand for."""

import os
from collections.abc import Iterator, Sequence

from ..errors import InputError
from ..text import printable


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
