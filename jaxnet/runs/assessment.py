"""How good a trained model is on labelled examples: `jaxnet evaluate`, as a function and a value."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..data import TABLES, Dataset, Examples, Images, array_rows, is_idx, load_dataset, load_table_as
from ..errors import InputError
from ..model import Model
from ..parameters import layer_dims
from ..storage import listed
from ..text import printable
from .report import Record, write_report
from .report.metrics import (
    brier_score,
    confusion_matrix,
    cross_entropy,
    mean_area,
    most_confused,
    reliability,
    roc_curve,
    wilson_interval,
)


PARTS = {"test": "its test part", "train": "its training part", "all": "all of it"}
OF_A_RUN = PARTS | {"all": "all of it, with what the run was trained on"}  # where these are the data of the model's run
HELD_OUT = OF_A_RUN | {"test": "what the run held out of it"}
MOST_CLASSES = 20  # whose confusion is a table that can be read
PAIRS = 10


class Evaluation(NamedTuple):
    """The probabilities that a model gave to labelled examples, and what they say of it.

    Args:
        examples: What it was evaluated on, in words.
        classes: The names of the classes.
        labels: `(m,)`, the index of the class of each example.
        class_probabilities: `(classes, m)`.
    """

    examples: str
    classes: tuple[str, ...]
    labels: Int[np.ndarray, " m"]
    class_probabilities: Float[np.ndarray, "classes m"]

    @property
    def predicted(self) -> Int[np.ndarray, " m"]:
        """The index of the most probable class of each example."""
        return self.class_probabilities.argmax(axis=0)

    @property
    def right(self) -> int:
        """How many examples are decided rightly."""
        return int(np.count_nonzero(self.predicted == self.labels))

    @property
    def accuracy(self) -> float:
        """The share of the examples that are decided rightly."""
        return self.right / len(self.labels)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, by Wilson 1927."""
        return wilson_interval(self.right, len(self.labels))

    @property
    def baseline(self) -> float:
        """The accuracy of always guessing the most frequent class."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def cost(self) -> float:
        """Cross-entropy, the mean of -log p of the true class."""
        return cross_entropy(self.class_probabilities, self.labels)

    @property
    def brier_score(self) -> float:
        """The mean squared error of the probabilities, see Brier 1950; of one of them for two classes."""
        return brier_score(self.class_probabilities, self.labels)

    @property
    def calibration_error(self) -> float:
        """ECE, how far confidence and accuracy are apart, in 15 bins of equal width; Guo et al. 2017."""
        return reliability(self.class_probabilities, self.labels).expected_calibration_error

    @property
    def roc_area(self) -> float:
        """AUC of the second of two classes; of more the mean, each against the rest. NaN where all are of one class."""
        return mean_area([roc_curve(self.labels == j, p) for j, p in enumerate(self.class_probabilities)])

    @property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """How many examples of class i, a row, were taken for class j, a column."""
        return confusion_matrix(self.labels, self.predicted, len(self.classes))

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it; what is not a finite number is None."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        return {
            "examples": self.examples,
            "count": len(self.labels),
            "right": self.right,
            **{name: value if np.isfinite(value) else None for name, value in numbers.items()},
            "interval": list(self.interval),
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        low, high = self.interval
        guess = self.classes[int(np.bincount(self.labels).argmax())]
        mean = "" if len(self.classes) == 2 else ", mean over the classes"
        lines = [
            f"examples  {self.examples}",
            f"accuracy  {self.accuracy:.4f}, {self.right} of {len(self.labels)}, 95 % interval {low:.4f} to "
            f"{high:.4f}; always guessing {guess}: {self.baseline:.4f}",
            f"cost      {self.cost:.4f}, cross-entropy; Brier score {self.brier_score:.4f}; expected calibration error "
            f"{self.calibration_error:.4f}",
            f"ROC AUC   {self.roc_area:.4f}{mean}",
            *_confusion_lines(self),
        ]
        return "\n".join(map(printable, lines))


NUMBERS = ("accuracy", "baseline", "cost", "brier_score", "calibration_error", "roc_area")


def evaluate(model: Model, data: Any, labels: Any = None, *, part: str | None = None) -> Evaluation:
    """Accuracy with its 95 % interval, confusion, calibration and ROC of a model on labelled examples.

    Args:
        model: A model of classes.
        data: What `load_dataset` takes: a folder of images, an .h5 or .npz file or a folder of idx files, with its
            labels; or an array as `model(array)` takes.
        labels: Of an array: names or indices of classes, one for each example, or one-hot columns.
        part: "test", "train" or "all". Default: the test part where the data have one, or else all.

    Raises:
        InputError: where data or labels do not fit each other or the model, or the data have a class unknown to it.

    Example:
        >>> parameters = jaxnet.FrozenDict(W1=np.float32([[1, -1]]), b1=np.float32([[0]]))
        >>> model = jaxnet.Model(parameters, jaxnet.Network(), (2,), ("cat", "dog"))
        >>> evaluation = jaxnet.evaluate(model, np.float32([[2, 0, 1], [0, 1, 0]]), ["dog", "cat", "cat"])
        >>> evaluation.accuracy, evaluation.confusion.tolist()
        (0.6666666666666666, [[1, 1], [0, 1]])
    """
    check_evaluated(model)
    if isinstance(data, str | os.PathLike):
        if labels is not None:
            raise InputError("data is a path, whose examples have labels of their own; expected no other labels")
        dataset = load_for(model, Path(data))
        examples, words = part_of(dataset, part)
        return evaluate_examples(model, dataset, examples, words)
    if part is not None:
        raise InputError(f"part is {part!r:.60}, but an array has no parts; expected a path, or no part")
    rows, _ = array_rows(data, model.input_shape)
    numbers = _class_indices(labels, model.classes, len(rows))
    return _evaluation(model, Examples(rows, numbers), f"an array of {len(rows)}")


def check_evaluated(model: Model, name: str = "the model") -> None:
    """Raises `InputError` for a model that is not of classes."""
    model.check_predicts(name)
    if not model.classes:
        raise InputError(f"{name} is a regression; expected a model of classes")


def load_for(
    model: Model,
    path: Path | None,
    *,
    test_fraction: float | None = None,
    seed: int = 0,
    on_image: Callable[[int, int], None] | None = None,
) -> Dataset:
    """The dataset at `path`, with images read as the model reads them. By default nothing is held out of it."""
    shape = model.input_shape
    is_image, is_table = len(shape) > 1, path is not None and path.suffix.lower() in TABLES and not path.is_dir()
    if is_table != (model.table is not None):
        takes = f"a table with the columns {listed(model.table.inputs)}" if model.table else f"inputs of shape {shape}"
        raise InputError(f"{path} is {'' if is_table else 'not '}a table, but the model takes {takes}")
    if path is not None and model.table is not None:
        return load_table_as(path, model.table, model.classes, test_fraction=test_fraction, seed=seed)
    if path is not None and path.is_dir() and not is_idx(path) and (not is_image or shape[0] != shape[1]):
        raise InputError(f"{path} is a folder, of images that are resized to squares; the model takes {shape}")
    dataset = load_dataset(
        path,
        test_fraction=test_fraction,
        seed=seed,
        size=shape[0] if is_image else 64,
        grey=len(shape) == 2,
        exact_decoding=model.exact_decoding,
        regression=False,
        on_image=on_image,
    )
    if dataset.input_shape != shape:
        raise InputError(
            f"the examples of {dataset.description} have shape {dataset.input_shape}; the model takes {shape}"
        )
    unknown = [name for name in dataset.classes if name not in model.classes]
    if unknown:
        hint = ", which the array classes of an .npz file names" if unknown[0].isdecimal() else ""
        raise InputError(
            f"{dataset.description}: the class {unknown[0]} is unknown to the model, whose classes are "
            f"{', '.join(model.classes)!s:.300}; expected data of those{hint}"
        )
    return dataset


def part_of(dataset: Dataset, part: str | None, words: Mapping[str, str] = PARTS) -> tuple[Examples, str]:
    """The examples of a part of the data, and the part in words: the test part where there is one, or else all."""
    tested = len(dataset.test.labels) > 0
    if part not in (None, *PARTS):
        raise InputError(f"part is {part!r:.60}; expected one of {', '.join(PARTS)}")
    if part in ("test", "train") and not tested:
        raise InputError(f"{dataset.description} has no test part, so only all of it can be evaluated; expected all")
    if part == "train":
        return dataset.train, words["train"]
    if tested and part != "all":
        return dataset.test, words["test"]
    return dataset.train.and_those_of(dataset.test), words["all"] + ("" if tested else ", which has no test part")


def evaluate_examples(model: Model, dataset: Dataset, examples: Examples, words: str) -> Evaluation:
    """The evaluation of a model on examples of a dataset that `load_for` loaded."""
    places = np.array([model.classes.index(name) for name in dataset.classes])
    known = examples._replace(labels=places[examples.labels])
    return _evaluation(model, known, f"{len(known.labels)} of {dataset.description}: {words}")


def write_evaluation(
    path: str | os.PathLike[str], name: str, model: Model, examples: Examples, evaluation: Evaluation
) -> None:
    """A page of the evaluation, as `write_report` writes that of a run; `name` is what it calls the model."""
    record = Record(
        title=f"{name}, evaluated",
        summary=(
            ("data", evaluation.examples),
            ("model", name),
            ("network", f"{'-'.join(map(str, layer_dims(model.parameters)))}, {model.network}"),
        ),
        settings={},
        versions={name: version(name) for name in ("jaxnet", "jax", "jaxlib", "numpy")},
        costs=None,
        history={},
        watched="test",
        classes=model.classes,
        input_shape=model.input_shape,
        labels=evaluation.labels,
        probabilities=evaluation.class_probabilities,
        images=Images(examples.rows, model.input_shape) if len(model.input_shape) > 1 else None,
        names=examples.names,
        W1=np.asarray(model.parameters["W1"]),
        check="",
    )
    write_report(path, record)


def _evaluation(model: Model, examples: Examples, words: str) -> Evaluation:
    probabilities = model.probabilities(examples.rows)
    broken = np.count_nonzero(~np.isfinite(probabilities).all(axis=0))
    if broken:
        raise InputError(f"the network's outputs are not finite for {broken} of {len(examples.labels)} examples")
    return Evaluation(words, model.classes, examples.labels, probabilities)


def _class_indices(labels: Any, classes: Sequence[str], m: int) -> Int[np.ndarray, " m"]:
    """The index of the class of each example, from names, indices, or one-hot columns."""
    expected = f"expected {m} names or indices of the classes {', '.join(classes)!s:.300}"
    if labels is None:
        raise InputError(f"there are no labels; {expected}")
    values = np.asarray(labels)
    if values.dtype.kind in "biuf" and values.ndim == 2 and values.shape == (len(classes), m) and len(classes) > 1:
        if not (np.isin(values, (0, 1)).all() and (values.sum(axis=0) == 1).all()):
            raise InputError(f"labels of shape {values.shape} are not one-hot columns; {expected}")
        return values.argmax(axis=0)
    if values.ndim not in (1, 2) or values.size != m or (values.ndim == 2 and len(values) != 1):
        raise InputError(f"labels have shape {values.shape}; {expected}")
    values = values.reshape(-1)
    if values.dtype.kind == "U":
        unknown = [name for name in values.tolist() if name not in classes]
        if unknown:
            raise InputError(f"the label {unknown[0]!r:.60} is unknown to the model; {expected}")
        return np.array([classes.index(name) for name in values.tolist()])
    if values.dtype.kind not in "biuf":
        raise InputError(f"labels are {values.dtype}; {expected}")
    numbers = np.flatnonzero([not (0 <= value < len(classes) and value == int(value)) for value in values.tolist()])
    if len(numbers):
        raise InputError(f"the label {values[numbers[0]]} is not the index of a class, from 0; {expected}")
    return values.astype(int)


def _confusion_lines(evaluation: Evaluation) -> list[str]:
    names, confusion = evaluation.classes, evaluation.confusion
    if len(names) > MOST_CLASSES:
        pairs = most_confused(confusion, PAIRS)
        return ["confusion of classes, most frequent first"] + [
            f"{names[i]} taken for {names[j]}: {count}" for i, j, count in pairs
        ]
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = (np.diag(confusion) / confusion.sum(axis=axis) for axis in (1, 0))
    width = max(map(len, ("confusion", *names)))
    columns = [max(len(name), len(str(confusion.max()))) for name in names]
    head = "  ".join(f"{name:>{column}}" for name, column in zip(names, columns, strict=True))
    lines = [f"{'confusion':<{width}}  {head}  recall  precision"]
    for i, name in enumerate(names):
        counts = "  ".join(f"{count:>{column}}" for count, column in zip(confusion[i], columns, strict=True))
        shares = f"{recall[i]:6.4f}  {precision[i]:9.4f}".replace("nan", "  -")
        lines.append(f"{name:<{width}}  {counts}  {shares}")
    return [*lines, "(a row for each true class, a column for each predicted one)"]
