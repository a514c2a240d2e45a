"""How good a trained model is on labelled examples: `jaxnet evaluate`, as a function of Python."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Dataset, Examples, Images
from ..errors import InputError
from ..model import Model, described, input_rows
from .classification import Evaluation
from .labelled import class_indices, load_divided, part_of, target_rows
from .regression import RegressionEvaluation
from .report import Record, write_report


def evaluate(
    model: Model, data: Any, labels: Any = None, *, part: str | None = None
) -> Evaluation | RegressionEvaluation:
    """Accuracy with its 95 % interval, confusion, calibration and ROC of a model; R^2, RMSE and MAE of a regression.

    Args:
        model: A model of classes, or a regression.
        data: What `load_dataset` takes: a folder of images, an .h5 or .npz file, a folder of idx files or a table, with
            its labels; or, as `model(...)` takes them, an array, or a mapping or data frame of a table's columns.
        labels: Of anything but a path: names or indices of classes, one for each example, or one-hot columns. For a
            regression numbers, (m,) or (n_L, m).
        part: "test", "train" or "all". Default: the test part where the data have one, or what was held out of them
            when the model was trained on them; or else all.

    Raises:
        InputError: where data or labels do not fit each other or the model, or the data have a class unknown to it.

    Example:
        >>> parameters = jaxnet.FrozenDict(W1=np.float32([[1, -1]]), b1=np.float32([[0]]))
        >>> model = jaxnet.Model(parameters, jaxnet.Network(), (2,), ("cat", "dog"))
        >>> evaluation = jaxnet.evaluate(model, np.float32([[2, 0, 1], [0, 1, 0]]), ["dog", "cat", "cat"])
        >>> evaluation.accuracy, evaluation.confusion.tolist()
        (0.6666666666666666, [[1, 1], [0, 1]])
    """
    model.check_predicts()
    if isinstance(data, str | os.PathLike):
        if labels is not None:
            raise InputError("data is a path, whose examples have labels of their own; expected no other labels")
        dataset, parts = load_divided(model, Path(data))
        examples, words = part_of(dataset, part, parts)
        return evaluate_examples(model, dataset, examples, words)
    if part is not None:
        raise InputError(f"part is {part!r:.60}, but only a path has parts; expected a path, or no part")
    rows = input_rows(data, model.input_shape, model.table).rows
    if model.classes:
        numbers = class_indices(labels, model.classes, len(rows))
    else:
        numbers = target_rows(labels, model.output_names, len(rows))
    return _evaluation(model, Examples(rows, numbers), f"{len(rows)} in memory")


def evaluate_examples(
    model: Model, dataset: Dataset, examples: Examples, words: str
) -> Evaluation | RegressionEvaluation:
    """The evaluation of a model on examples of a dataset that `load_divided` loaded."""
    if model.classes:
        places = np.array([model.classes.index(name) for name in dataset.classes])
        examples = examples._replace(labels=places[examples.labels])
    return _evaluation(model, examples, f"{len(examples.labels)} of {dataset.description}: {words}")


def write_evaluation(
    path: str | os.PathLike[str],
    name: str,
    model: Model,
    examples: Examples,
    evaluation: Evaluation | RegressionEvaluation,
) -> None:
    """A page of the evaluation, as `write_report` writes that of a run; `name` is what it calls the model."""
    if isinstance(evaluation, Evaluation):
        labels, predicted = evaluation.labels, evaluation.class_probabilities
    else:
        labels, predicted = evaluation.targets.T, evaluation.predicted
    features = model.preprocessing.features
    about, _ = described(model)
    network = f"{'-'.join(map(str, about['layer_dims']))}, {about['hidden']}, {about['loss']}".replace("_", " ")
    record = Record(
        title=f"{name}, evaluated",
        summary=(
            ("data", evaluation.examples),
            ("model", name),
            ("network", network),
        ),
        settings={},
        versions={name: version(name) for name in ("jaxnet", "jax", "jaxlib", "numpy")},
        costs=None,
        history={},
        watched="test",
        classes=model.classes,
        input_shape=model.input_shape if features is None else (features.size,),
        labels=labels,
        probabilities=predicted,
        images=Images(examples.rows, model.input_shape) if len(model.input_shape) > 1 else None,
        names=examples.names,
        W1=np.asarray(model.parameters["W1"]),
        check="",
        outputs=model.output_names,
    )
    write_report(path, record)


def _evaluation(model: Model, examples: Examples, words: str) -> Evaluation | RegressionEvaluation:
    outputs = model.probabilities(examples.rows)
    broken = np.count_nonzero(~np.isfinite(outputs).all(axis=0))
    if broken:
        raise InputError(f"the network's outputs are not finite for {broken} of {len(examples.labels)} examples")
    if model.classes:
        return Evaluation(words, model.classes, examples.labels, outputs)
    return RegressionEvaluation(words, model.output_names, examples.labels.T, outputs.astype(float))
