"""The settings of a run that were not typed: the course's for the course's data, and for other data from their size.

Chosen on validation splits of the training examples of MNIST, of scikit-learn's digits, of three classes of them as
64 x 64 images, of scikit-image's faces, of photographs of cats and dogs, and of scikit-learn's small tables.
`examples/first_numbers.py` and `examples/tables.py` measure what they reach on test examples.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..data import Dataset, Preprocessing, held_out, hog_of
from .settings import ITERATIONS, LEARNING_RATES, Settings
from .streaming import is_resident


FULL_BATCH = 2048  # of the course's data: of more examples, or more than stay on the device, minibatches are made
MINIBATCH = 128
COURSE_LAYERS = (20, 7, 5)
WIDTH = 512
TABLE_WIDTH, TABLE_KEEP_PROB = 128, 0.5  # of a table of up to FULL_BATCH rows, which 512 units learn by heart
LEAST_BATCH, BATCHES = 32, 40  # the batch is halved down to the first while an epoch has fewer than the second
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 4000, 10, 100  # so many steps, in a number of epochs between the two
REACH = 64  # sum of |x| over an example up to which the optimizer's own rate is right; of photographs it is thousands
DARK = 0.1  # inputs between 0 and 1 whose root mean square is less are standardised
SAMPLE, SAMPLE_SIZE = 1024, 2**24  # so many examples are looked at, at most, and so many numbers


class Facts(NamedTuple):
    """What the defaults depend on."""

    m: int  # examples to train on
    n_x: int
    classes: int
    reach: float  # the sum of |x| over the inputs of an example, on average
    is_scaled: bool = True  # the inputs lie between 0 and 1, and not all near 0: pixels, as a rule
    is_course: bool = False  # the course's .h5 files, or the images of the demo
    stays: bool = True  # the examples fit on the device
    is_table: bool = False


def facts_of(dataset: Dataset, settings: Settings) -> Facts:
    """The facts of a dataset, of which `settings` hold out the validation examples."""
    rows, (m, n_x) = dataset.train.rows, dataset.train.rows.shape
    is_made = dataset.table is not None or settings.features is not None  # such inputs are of any size
    looked_at = min(m, SAMPLE, max(1, SAMPLE_SIZE // n_x))
    X = Preprocessing().columns(rows[np.linspace(0, m - 1, looked_at).astype(int)])
    is_scaled = not is_made and bool(X.min() >= 0 and X.max() <= 1 and np.sqrt(np.mean(np.square(X))) >= DARK)
    is_course = settings.data is None or os.path.splitext(settings.data)[1].lower() in (".h5", ".hdf5")
    if settings.watched_fraction:
        m -= int(held_out(dataset.train.labels, dataset.classes, settings.watched_fraction, settings.seed).sum())
    reach, stays = float(np.abs(X).sum(axis=0, dtype=np.float64).mean()), is_resident(rows, "float32")
    if settings.features is not None:
        n_x = hog_of(dataset.input_shape).size
        reach = n_x / 8  # blocks of 36 numbers, each of length 1: between 1 and 6 a block
    return Facts(m, n_x, len(dataset.classes), reach, is_scaled, is_course, stays, dataset.table is not None)


def defaults_for(facts: Facts, typed: Mapping[str, Any]) -> dict[str, Any]:
    """A value for every setting that follows from the data and is not among those `typed`, which it fits.

    For the course's data, its network, and gradient descent on all examples. For others, one hidden layer and Adam in
    minibatches, for as many epochs as make enough steps, with a rate that falls to 0 along half a cosine; a rate that
    stays where the length is typed, so that `--resume` can make the run longer, or another optimizer is.
    """
    found = _course(facts, typed) if facts.is_course else _from_sizes(facts, typed)
    return {name: value for name, value in found.items() if name not in typed}


def _course(facts: Facts, typed: Mapping[str, Any]) -> dict[str, Any]:
    optimizer = typed.get("optimizer", "sgd")
    is_small = facts.m <= FULL_BATCH and facts.stays
    return {
        "layers": COURSE_LAYERS,
        "optimizer": optimizer,
        "learning_rate": LEARNING_RATES[optimizer],
        "batch_size": "all" if is_small else min(MINIBATCH, facts.m),
        **({} if "epochs" in typed else {"num_iterations": ITERATIONS}),
    }


def _from_sizes(facts: Facts, typed: Mapping[str, Any]) -> dict[str, Any]:
    optimizer = typed.get("optimizer", "adamw" if "weight_decay" in typed else "adam")
    batch_size = typed.get("batch_size", _batch_size(facts.m, typed.get("devices", 1)))
    is_free = not {"num_iterations", "epochs"} & set(typed)
    schedule = typed.get("schedule", "cosine" if is_free and optimizer in ("adam", "adamw") else "constant")
    standardise = typed.get("standardise", not facts.is_scaled)
    is_small_table = facts.is_table and facts.m <= FULL_BATCH
    found = {
        "standardise": standardise,
        # Fewer units than classes would squeeze them.
        "layers": (max(TABLE_WIDTH if is_small_table else WIDTH, facts.classes),),
        "optimizer": optimizer,
        "learning_rate": _learning_rate(facts, optimizer, schedule, standardise),
        "schedule": schedule,
        "batch_size": batch_size,
    }
    if is_small_table and "layers" not in typed:
        found["keep_prob"] = TABLE_KEEP_PROB
    if is_free and batch_size == "all":
        found["num_iterations"] = ITERATIONS
    elif is_free:
        found["epochs"] = int(np.clip(round(STEPS / max(1, facts.m // batch_size)), LEAST_EPOCHS, MOST_EPOCHS))
    return found


def _learning_rate(facts: Facts, optimizer: str, schedule: str, standardise: bool) -> float:
    """The optimizer's own, twice that where it falls to 0; less for examples that reach far; to two digits.

    A step moves Z_1 by up to the rate times the sum of |x|. Where all x are positive it moves all examples the same
    way, and units that have moved out of reach of all of them are dead.
    """
    reach = facts.n_x / 8 if standardise else facts.reach  # of both signs, whose sum is much less than that of |x|
    rate = LEARNING_RATES[optimizer] * REACH / max(REACH, reach) * (2 if schedule == "cosine" else 1)
    return float(f"{rate:.2g}")


def _batch_size(m: int, devices: int) -> int:
    size = MINIBATCH
    while size > LEAST_BATCH and m < BATCHES * size:
        size //= 2
    size = -(-size // devices) * devices  # as many on each device
    return min(size, max(1, m // devices) * devices)
