"""The settings of a run that nobody chose: the course's for the course's data, and for other data from their size.

Chosen on validation splits of MNIST, of scikit-learn's digits, of three classes of them as 64 x 64 images, of
scikit-image's faces and of photographs of cats and dogs; `examples/first_numbers.py` measures them on test examples.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..data import Dataset, Preprocessing
from .settings import ITERATIONS, LEARNING_RATES, Settings
from .streaming import is_resident


FULL_BATCH = 2048  # of the course's: beyond so many examples, minibatches of COURSE_BATCH
COURSE_BATCH = 128
ADAPTIVE = ("adam", "adamw")
WIDTH = 512
MOST_BATCH = 128
BATCHES = 40  # in an epoch, at least, where the batches are then not smaller than LEAST_BATCH
LEAST_BATCH = 32
STEPS = 4000  # at least, within MOST_EPOCHS; and never less than LEAST_EPOCHS
LEAST_EPOCHS, MOST_EPOCHS = 10, 100
INPUTS = 784  # of so many inputs of size 1, no more, Adam's usual rate is right
DARK = 0.1  # inputs that are smaller than that are standardised
SAMPLE = 1024  # examples that are looked at for it


class Facts(NamedTuple):
    """What the defaults depend on."""

    m: int  # examples to train on
    n_x: int
    classes: int
    is_scaled: bool = True  # the inputs lie between 0 and 1, and not all near 0: pixels, as a rule
    is_course: bool = False  # the course's .h5 files, or the images of the demo
    stays: bool = True  # the examples fit on the device


def facts_of(dataset: Dataset, settings: Settings) -> Facts:
    """The facts of a dataset on which `settings` hold out their validation examples."""
    rows, (m, n_x) = dataset.train.rows, dataset.train.rows.shape
    some = Preprocessing().columns(rows[np.linspace(0, m - 1, min(m, SAMPLE)).astype(int)])
    is_scaled = bool(some.min() >= 0 and some.max() <= 1 and np.sqrt(np.mean(np.square(some))) >= DARK)
    is_course = settings.data is None or os.path.splitext(settings.data)[1].lower() in (".h5", ".hdf5")
    left = max(1, round(m * (1 - settings.watched_fraction)))
    return Facts(left, n_x, len(dataset.classes), is_scaled, is_course, is_resident(rows, settings.dtype))


def defaults_for(facts: Facts, typed: Mapping[str, Any]) -> dict[str, Any]:
    """A value for every setting that follows from the data and is not among those `typed`, which it fits."""
    found = _course(facts, typed) if facts.is_course else _from_sizes(facts, typed)
    return {name: value for name, value in found.items() if name not in typed}


def _course(facts: Facts, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The course's network and gradient descent on all examples."""
    optimizer = typed.get("optimizer", "sgd")
    few = facts.m <= FULL_BATCH and facts.stays
    return {
        "layers": (20, 7, 5),
        "optimizer": optimizer,
        "learning_rate": LEARNING_RATES[optimizer],
        "batch_size": "all" if few else min(COURSE_BATCH, facts.m),
        **({} if "epochs" in typed else {"num_iterations": ITERATIONS}),
    }


def _from_sizes(facts: Facts, typed: Mapping[str, Any]) -> dict[str, Any]:
    """One hidden layer, Adam in minibatches, and a rate that falls to 0 along half a cosine.

    Where the length is typed the rate stays, so that `--resume` can make the run longer; so it does under optimizers
    that start from a smaller one.
    """
    optimizer = typed.get("optimizer", "adamw" if "weight_decay" in typed else "adam")
    is_adaptive = optimizer in ADAPTIVE
    batch_size = typed.get("batch_size", _batch_size(facts.m))
    is_free = not {"num_iterations", "epochs"} & set(typed)
    found = {
        "standardise": not facts.is_scaled,
        "layers": (WIDTH,),
        "optimizer": optimizer,
        "learning_rate": _learning_rate(facts, optimizer),
        "schedule": "cosine" if is_adaptive and is_free else "constant",
        "batch_size": batch_size,
    }
    if is_free and batch_size == "all":
        found["num_iterations"] = ITERATIONS
    elif is_free:
        per_epoch = max(1, facts.m // batch_size)
        found["epochs"] = int(np.clip(-(-STEPS // per_epoch), LEAST_EPOCHS, MOST_EPOCHS))
    return found


def _learning_rate(facts: Facts, optimizer: str) -> float:
    """The optimizer's own, and less where there are many inputs, all of which move Z_1 at once; to two digits."""
    share = min(1.0, INPUTS / facts.n_x)
    return float(f"{LEARNING_RATES[optimizer] * share:.2g}")


def _batch_size(m: int) -> int:
    """A power of two: MOST_BATCH, or less where an epoch would have fewer than BATCHES steps; of all at most."""
    size = MOST_BATCH
    while size > LEAST_BATCH and m < BATCHES * size:
        size //= 2
    return min(size, m)
