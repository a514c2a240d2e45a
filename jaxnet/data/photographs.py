"""A folder of photographs as a dataset: its classes, its split, and what the user should know of it."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..text import counted, printable
from .cache import Cached, cache_folder, cached_images
from .examples import Dataset, Examples, fingerprint_of, held_out
from .folders import Found, Labelled, few, find_images


LARGEST_SIZE = 4096


def load_photographs(
    folder: Path,
    *,
    test_fraction: float | None,
    seed: int,
    size: int,
    grey: bool,
    exact_decoding: bool = False,
    cache: Path | None,
    on_image: Callable[[int, int], None] | None,
) -> Dataset:
    """The images of a folder at `size` x `size` pixels, which stay on disk.

    Damaged files are skipped and noted.

    Args:
        folder: One subfolder per class, names such as cat.0.jpg, or folders train and test of either.
        test_fraction: The share of each class that is held out without a test folder, between 0 and 1, or None.
        seed: Determines which examples are held out.
        size: The height and width to resize to, in pixels.
        grey: Whether images are converted to grey.
        exact_decoding: Whether JPEG files are decoded in full, see `read_image`. Default: False.
        cache: The folder in which decoded images are kept. Default: JAXNET_CACHE, or else the user's cache folder.
        on_image: `on_image(done, total)` is called while images are decoded.

    Raises:
        InputError: where a class has no readable image.

    Example:
        >>> import pathlib
        >>> from PIL import Image
        >>> folder = pathlib.Path("photos")
        >>> folder.mkdir()
        >>> for i, name in enumerate(["cat.0", "cat.1", "dog.0", "dog.1"]):
        ...     Image.new("RGB", (9, 9), (60 * i, 0, 0)).save(folder / f"{name}.png")
        >>> options = {"size": 2, "grey": False, "cache": folder / "cache", "on_image": None}
        >>> jaxnet.data.load_photographs(folder, test_fraction=0.5, seed=0, **options).train.rows.shape
        (2, 12)
    """
    if not 1 <= size <= LARGEST_SIZE:
        raise InputError(f"the size of images is {size}; expected 1 to {LARGEST_SIZE} pixels")
    found = find_images(folder)
    test = found.test or Labelled((), ())
    files = Labelled(found.train.names + test.names, found.train.labels + test.labels)
    input_shape = (size, size) if grey else (size, size, 3)
    cached = cached_images(folder, files, input_shape, cache_folder(cache), on_image, exact_decoding)
    _check_classes(folder, files, found, cached)
    everything = Examples(cached.rows, np.asarray(files.labels), files.names)
    readable = np.asarray([bool(text) for text in cached.hashes])
    is_test = np.arange(len(readable)) >= len(found.train.names)
    if found.test is None:
        is_test[readable] = _held_out(folder, everything.labels[readable], found.classes, test_fraction, seed)
    train_places, test_places = np.flatnonzero(readable & ~is_test), np.flatnonzero(readable & is_test)
    train, tested = everything.take(train_places), everything.take(test_places)
    notes = (
        *_damage(cached),
        *_table(found.classes, train, tested),
        _sizes(cached),
        *_skipped(found, cached, files.names),
        *_loose(found),
        *_duplicates(cached.hashes, files.names, train_places, test_places),
        *_contradictions(cached.hashes, files, found.classes),
    )
    fingerprint = fingerprint_of(train, tested, found.classes, input_shape, cached.key)
    return Dataset(f"{printable(str(folder))} (images)", train, tested, found.classes, input_shape, fingerprint, notes)


def _check_classes(folder: Path, files: Labelled, found: Found, cached: Cached) -> None:
    """Every class needs an image to train on, and there has to be one to test on."""
    trained = Counter(label for text, label in zip(cached.hashes, found.train.labels, strict=False) if text)
    for label, name in enumerate(found.classes):
        if not trained[label]:
            place = next(place for place in cached.problems if files.labels[place] == label)
            raise InputError(
                f"{folder}: none of the {found.train.labels.count(label)} images of class {name} can be read; "
                f"{files.names[place]}: {cached.problems[place]}"
            )
    tested = cached.hashes[len(found.train.names) :]
    if tested and not any(tested):
        place = len(found.train.names)
        raise InputError(
            f"{folder}: none of the {len(tested)} test images can be read; {files.names[place]}: "
            f"{cached.problems[place]}"
        )


def _held_out(
    folder: Path, labels: np.ndarray, classes: Sequence[str], fraction: float | None, seed: int
) -> np.ndarray:
    try:
        return held_out(labels, classes, fraction, seed)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


def _table(classes: Sequence[str], train: Examples, test: Examples) -> list[str]:
    width = max(len(name) for name in (*classes, "class", "total"))
    rows = [("class", "train", "test")]
    rows += [(name, np.sum(train.labels == i), np.sum(test.labels == i)) for i, name in enumerate(classes)]
    rows += [("total", len(train.labels), len(test.labels))]
    return [f"{name:<{width}}  {left!s:>7}  {right!s:>7}" for name, left, right in rows]


def _damage(cached: Cached) -> list[str]:
    if not cached.damage:
        return []
    return [
        f"warning: decoded images that were kept had been damaged, and were decoded anew: {printable(cached.damage)}"
    ]


def _sizes(cached: Cached) -> str:
    least_width, most_width, least_height, most_height = cached.sizes
    return f"images were {least_width} to {most_width} pixels wide and {least_height} to {most_height} high"


def _skipped(found: Found, cached: Cached, names: Sequence[str]) -> list[str]:
    by_reason = found.skipped.copy()
    for place, reason in cached.problems.items():
        words = f"that cannot be read: {re.sub(r' [(].*[)]', '', reason)}"
        by_reason.setdefault(("file", words), []).append(names[place])
    return [
        f"skipped   {counted(len(names), noun)}{f' {rest}' * bool(rest)}: {few(names)}"
        for (noun, rest), names in sorted(by_reason.items())
    ]


def _loose(found: Found) -> list[str]:
    """A warning about images beside the folders of the classes."""
    if not found.loose:
        return []
    are = "lies beside the class folders and was" if len(found.loose) == 1 else "lie beside the class folders and were"
    return [f"warning: {counted(len(found.loose), 'image')} {are} skipped: {few(found.loose)}"]


def _duplicates(
    hashes: Sequence[str], names: Sequence[str], train_places: np.ndarray, test_places: np.ndarray
) -> list[str]:
    """A warning about test images that are also training images."""
    trained = {hashes[place]: names[place] for place in train_places}
    same = [f"{names[place]} = {trained[hashes[place]]}" for place in test_places if hashes[place] in trained]
    if not same:
        return []
    are = "image is also a training image" if len(same) == 1 else "images are also training images"
    return [f"warning: {len(same)} test {are}, which flatters the test: {few(same)}"]


def _contradictions(hashes: Sequence[str], files: Labelled, classes: Sequence[str]) -> list[str]:
    """A warning about images of two classes with the same pixels, whatever their files are called."""
    first: dict[str, int] = {}
    pairs = []
    for place, pixels in enumerate(hashes):
        before = first.setdefault(pixels, place)
        if pixels and files.labels[before] != files.labels[place]:
            both = (f"{files.names[i]} ({classes[files.labels[i]]})" for i in (before, place))
            pairs.append(" = ".join(both))
    if not pairs:
        return []
    are = "is identical to one in another class" if len(pairs) == 1 else "are identical to ones in another class"
    return [f"warning: {counted(len(pairs), 'image')} {are}, so a label is wrong: {few(pairs)}"]
