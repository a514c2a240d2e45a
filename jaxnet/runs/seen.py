"""What the network of a run sees of its examples: their rows, or features that are made of them once, at the start."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..data import Dataset, Examples, MappedRows, Preprocessing
from ..errors import InputError
from ..storage import memory as machine_memory
from ..training import Augmentation, TwoViews
from .settings import Settings


MOVED = 16  # with --augment, images are moved by up to their smaller side over this


class Seen(NamedTuple):
    """The examples, as rows that `preprocessing.without_features` turns into columns."""

    train: Examples
    watched: Examples
    test: Examples
    fed: np.ndarray | MappedRows  # what steps are made from: the training rows, or both views of each, see `TwoViews`


def seen_examples(
    train: Examples,
    watched: Examples,
    test: Examples,
    preprocessing: Preprocessing,
    mirrored: bool,
    on_image: Callable[[int, int], None] | None,
) -> Seen:
    """The examples as they are, or with features, in memory, in the place of their images; if so, also `mirrored`."""
    if preprocessing.features is None:
        return Seen(train, watched, test, train.rows)
    given = [train.rows, watched.rows, *([] if watched is test else [test.rows]), *([train.rows] if mirrored else [])]
    total, n = sum(map(len, given)), preprocessing.features.size
    _check_memory(total, n)
    made: list[np.ndarray] = []
    for i, rows in enumerate(given):

        def show(done: int, _: int, before: int = sum(map(len, given[:i]))) -> None:
            if on_image is not None:
                on_image(before + done, total)

        is_mirrored = mirrored and i == len(given) - 1
        made.append(preprocessing.features_of(rows, mirrored=is_mirrored, on_image=show))
    fed = np.concatenate([made[0], made.pop()], axis=1) if mirrored else made[0]
    train, watched, tested = train._replace(rows=fed[:, :n]), watched._replace(rows=made[1]), made[-1]
    return Seen(train, watched, watched if len(made) == 2 else test._replace(rows=tested), fed)


def augmentation_of(settings: Settings, dataset: Dataset) -> Augmentation | TwoViews | None:
    """How the steps of a run augment: images are mirrored and moved; of features there are two views of each image."""
    if not settings.augment:
        return None
    if settings.features is not None:
        return TwoViews()
    return Augmentation(dataset.input_shape, settings.flip, min(dataset.input_shape[:2]) // MOVED)


def _check_memory(images: int, features: int) -> None:
    needed, memory = images * features * np.dtype(np.float32).itemsize, machine_memory()
    if memory is not None and needed > memory:
        raise InputError(
            f"the {features:,} features of {images:,} images need {needed / 2**30:,.1f} GiB, and this machine has "
            f"{memory / 2**30:,.1f}; train on fewer images, or on their pixels"
        )
