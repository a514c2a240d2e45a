"""What the network of a run sees of its examples: their rows, or features that are made of them once, at the start."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from ..data import Dataset, Examples, MappedRows, Preprocessing
from ..errors import InputError
from ..storage import memory as machine_memory
from ..training import Augmentation
from .settings import Settings


MOVED = 20  # with --augment, images are moved by up to their smaller side over this
TOGETHER = 16  # images whose features are made between two calls of `on_image`


class Seen(NamedTuple):
    """The examples, as rows that `preprocessing.without_features` turns into columns."""

    train: Examples
    watched: Examples
    test: Examples
    fed: Shaped[np.ndarray, "m _"] | MappedRows  # what steps are made from: the training rows, or all views of each
    views: int = 1  # of each example in `fed`, one after the other, the first as it is: see `Views`


class View(NamedTuple):
    """How an image is mirrored, and moved down and to the right, before features are made of it."""

    flip: bool = False
    dy: int = 0
    dx: int = 0

    def __call__(
        self, rows: Shaped[np.ndarray, "m pixels"], input_shape: Sequence[int]
    ) -> Shaped[np.ndarray, "m pixels"]:
        height, width = input_shape[:2]
        y, x = (np.arange(side) - move for side, move in ((height, self.dy), (width, self.dx)))
        y, x = y.clip(0, height - 1), (x[::-1] if self.flip else x).clip(0, width - 1)
        return rows.reshape(-1, *input_shape)[:, y][:, :, x].reshape(len(rows), -1)


def augmentation_of(settings: Settings, dataset: Dataset) -> Augmentation | None:
    """How the images of a run are augmented. Raises `InputError` where the data are not images."""
    if not settings.augment:
        return None
    return Augmentation(dataset.input_shape, settings.flip, min(dataset.input_shape[:2]) // MOVED)


def views_of(augment: Augmentation | None) -> list[View]:
    """The views of which features are made: at its place and moved to each of four corners, plain and mirrored."""
    if augment is None:
        return [View()]
    s = augment.shift
    moves = [(0, 0), *(itertools.product((-s, s), repeat=2) if s else [])]
    return [View(flip, dy, dx) for flip in ((False, True) if augment.flip else (False,)) for dy, dx in moves]


def seen_examples(
    train: Examples,
    watched: Examples,
    test: Examples,
    preprocessing: Preprocessing,
    augment: Augmentation | None,
    on_image: Callable[[int, int], None] | None,
) -> Seen:
    """The examples as they are; or their features, in memory, those of the training examples in all views."""
    hog = preprocessing.features
    if hog is None:
        return Seen(train, watched, test, train.rows)
    views, n = views_of(augment), hog.size
    total = len(views) * len(train.labels) + len(watched.labels) + (0 if watched is test else len(test.labels))
    _check_memory(total, n)
    done = itertools.count(1)

    def made(rows: np.ndarray | MappedRows, view: View, found: Float[np.ndarray, "m features"]) -> None:
        for start in range(0, len(rows), TOGETHER):
            some = view(rows[start : start + TOGETHER], hog.input_shape)
            found[start : start + TOGETHER] = preprocessing.features_of(some)
            if on_image is not None:
                on_image(min(TOGETHER * next(done), total), total)

    def plain(examples: Examples) -> Examples:
        found = np.empty((len(examples.labels), n), np.float32)
        made(examples.rows, View(), found)
        return examples._replace(rows=found)

    fed = np.empty((len(train.labels), len(views) * n), np.float32)
    for i, view in enumerate(views):
        made(train.rows, view, fed[:, i * n : (i + 1) * n])
    tested = plain(test)
    return Seen(train._replace(rows=fed[:, :n]), tested if watched is test else plain(watched), tested, fed, len(views))


def _check_memory(images: int, features: int) -> None:
    needed, memory = images * features * np.dtype(np.float32).itemsize, machine_memory()
    if memory is not None and needed > memory:
        raise InputError(
            f"the {features:,} features of {images:,} images and views of images need {needed / 2**30:,.1f} GiB, and "
            f"this machine has {memory / 2**30:,.1f}; train on fewer images, without --augment, or on pixels"
        )
