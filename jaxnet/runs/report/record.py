"""The contents of a report, of a run or of the evaluation of a model."""

from typing import Any, NamedTuple

import numpy as np

from ...data import Images
from ...errors import InputError


class Record(NamedTuple):
    """All that is known of a run when it ends, or of a model that was evaluated.

    `history` has the columns iteration, cost and train_accuracy, and may have watched_cost, watched_accuracy,
    gradient_norm_1 ... L and dead_share_1 ... L-1; 0 rows are fine. `labels`, `probabilities`, `images` and `names`
    are of the test examples. A regression has no classes but `outputs`: its labels are targets, in the place of
    probabilities it has predicted values, and in the place of accuracies train_r2 and watched_r2.
    """

    title: str
    summary: tuple[tuple[str, str], ...]  # label and text: data, network, training, result
    settings: dict[str, Any]
    versions: dict[str, str]
    costs: np.ndarray | None  # of every step; None where a model was evaluated, and nothing was trained
    history: dict[str, np.ndarray]
    watched: str  # what the watched columns are of: "validation" or "test"
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]  # (height, width), (height, width, 3), or (n_x,) where the inputs are not images
    labels: np.ndarray  # (m,), whole numbers from 0; of a regression (m, n_L)
    probabilities: np.ndarray  # (classes, m); of a regression (n_L, m), what was predicted
    images: np.ndarray | Images | None  # (m, height, width) or (m, height, width, 3): uint8, or floats from 0 to 1
    names: tuple[str, ...]  # of the test examples, or empty
    W1: np.ndarray  # (n_1, n_x)
    check: str  # the cross-check: its verdict in a sentence, an empty line, and its table; or empty
    outputs: tuple[str, ...] = ()  # what a regression predicts
    verdicts: tuple[str, ...] = ()  # what is right and wrong with the run, a sentence each


def check_record(record: Record) -> None:
    """Raises `InputError`, naming the field, where the arrays do not fit each other."""
    m, classes = len(record.labels), len(record.classes)
    if not classes:
        _check_regression(record, m)
    elif np.shape(record.probabilities) != (classes, m):
        raise InputError(
            f"probabilities have shape {np.shape(record.probabilities)}; expected ({classes}, {m}), a row for each of "
            f"the {classes} classes and a column for each of the {m} labels"
        )
    if classes and m and not 0 <= np.min(record.labels) <= np.max(record.labels) < classes:
        raise InputError(
            f"labels lie between {np.min(record.labels)} and {np.max(record.labels)}; expected 0 to {classes - 1}, "
            "the index of a class"
        )
    if record.images is not None and (len(record.images) != m or len(record.images.shape) not in (3, 4)):
        raise InputError(
            f"images have shape {record.images.shape}; expected ({m}, height, width) or ({m}, height, width, 3), "
            "or None where the inputs are not images"
        )
    if len(record.names) not in (0, m):
        raise InputError(f"there are {len(record.names)} names; expected none or {m}, one for each label")
    if np.shape(record.W1)[1:] != (np.prod(record.input_shape),):
        raise InputError(
            f"W1 has shape {np.shape(record.W1)}; expected (n_1, {np.prod(record.input_shape)}), a column for each "
            f"input of an example of shape {record.input_shape}"
        )
    rows = len(record.history.get("iteration", ()))
    wrong = {name: len(column) for name, column in record.history.items() if len(column) != rows}
    if wrong:
        raise InputError(f"columns of the history have lengths {wrong}; expected {rows}, as `iteration` has")


def _check_regression(record: Record, m: int) -> None:
    outputs = len(record.outputs)
    if np.shape(record.labels) != (m, outputs) or np.shape(record.probabilities) != (outputs, m) or not outputs:
        raise InputError(
            f"labels have shape {np.shape(record.labels)} and predictions {np.shape(record.probabilities)}; expected "
            f"({m}, {outputs}) and ({outputs}, {m}) for the {outputs} outputs, at least one"
        )
