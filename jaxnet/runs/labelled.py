"""Labelled examples for a model to be evaluated on: of files, read as the model reads them, or labels of an array."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ..data import TABLES, Dataset, Examples, is_idx, load_dataset, load_table_as, regression_targets
from ..errors import InputError
from ..model import Model
from ..storage import listed


PARTS = {"test": "its test part", "train": "its training part", "all": "all of it"}
# Where these are the data of the model's run.
OF_A_RUN = PARTS | {"all": "all of it, with what the model was trained on"}
HELD_OUT = OF_A_RUN | {"test": "what was held out in training"}


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
    if not model.classes and (path is None or path.suffix.lower() != ".npz"):
        absent = path is not None and not path.exists()
        why = "does not exist" if absent else "has classes as labels, but the model is a regression"
        raise InputError(f"{path or 'the data set of faces'} {why}; expected an .npz file of X and Y")
    dataset = load_dataset(
        path,
        test_fraction=test_fraction,
        seed=seed,
        size=shape[0] if is_image else 64,
        grey=len(shape) == 2,
        exact_decoding=model.exact_decoding,
        regression=not model.classes,
        on_image=on_image,
    )
    _check_fits(dataset, model)
    return dataset


def _check_fits(dataset: Dataset, model: Model) -> None:
    if dataset.input_shape != model.input_shape:
        raise InputError(
            f"the examples of {dataset.description} have shape {dataset.input_shape}; the model takes "
            f"{model.input_shape}"
        )
    if not model.classes:
        _check_outputs(dataset.description, dataset.train.labels, model.output_names)
    unknown = [name for name in dataset.classes if name not in model.classes]
    if unknown:
        hint = ", which the array classes of an .npz file names" if unknown[0].isdecimal() else ""
        raise InputError(
            f"{dataset.description}: the class {unknown[0]} is unknown to the model, whose classes are "
            f"{', '.join(model.classes)!s:.300}; expected data of these classes{hint}"
        )


def load_divided(
    model: Model, path: Path | None, on_image: Callable[[int, int], None] | None = None
) -> tuple[Dataset, dict[str, str]]:
    """The dataset at `path` and what its parts are; of the data that the model was trained on, divided as they were."""
    dataset = load_for(model, path, on_image=on_image)
    if len(dataset.test.labels):
        is_known = any(known.fingerprint == dataset.fingerprint for known in model.trained_on)
        return dataset, OF_A_RUN if is_known else PARTS
    for known in model.trained_on:
        with contextlib.suppress(InputError):  # other data need not have two examples of each class
            divided = load_for(model, path, test_fraction=known.test_fraction, seed=known.seed)
            if divided.fingerprint == known.fingerprint:  # one of several networks may have seen what others have not
                return (divided, HELD_OUT) if len(model.trained_on) == 1 else (dataset, OF_A_RUN)
    return dataset, PARTS


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
    alone = "" if tested or words is not PARTS else ", as it has no test part"
    return dataset.train.and_those_of(dataset.test), words["all"] + alone


def class_indices(labels: Any, classes: Sequence[str], m: int) -> Int[np.ndarray, " m"]:
    """The index of the class of each example, from names, indices, or one-hot columns."""
    expected = f"expected {m} names or indices of the classes {', '.join(classes)!s:.300}"
    values = _array(labels, expected)
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
    names = {int(name): i for i, name in enumerate(classes) if name.isdecimal() and str(int(name)) == name}
    if len(names) == len(classes) and any(name != i for name, i in names.items()):  # classes 1, 2, 3: not indices
        unknown = [value for value in values.tolist() if value not in names]
        if unknown:
            raise InputError(
                f"the label {unknown[0]} is unknown to the model; expected {m} of {', '.join(classes)!s:.300}"
            )
        return np.array([names[value] for value in values.tolist()])
    numbers = np.flatnonzero([not (0 <= value < len(classes) and value == int(value)) for value in values.tolist()])
    if len(numbers):
        raise InputError(f"the label {values[numbers[0]]} is not the index of a class, from 0; {expected}")
    return values.astype(int)


def target_rows(labels: Any, outputs: Sequence[str], m: int) -> Float[np.ndarray, "m n_L"]:
    """The targets of a regression in rows, from `(m,)` or `(n_L, m)`."""
    values = _array(labels, f"expected numbers of shape ({m},) or ({len(outputs)}, {m})")
    rows = regression_targets("the array", values, m)
    _check_outputs("the array", rows, outputs)
    return rows


def _check_outputs(description: str, rows: np.ndarray, outputs: Sequence[str]) -> None:
    if rows.shape[1] != len(outputs):
        raise InputError(
            f"{description}: {rows.shape[1]} labels for each example, but the model predicts {len(outputs)}, "
            f"{listed(outputs)}; expected a label for each of them"
        )


def _array(labels: Any, expected: str) -> np.ndarray:
    if labels is None:
        raise InputError(f"there are no labels; {expected}")
    try:
        return np.asarray(labels)
    except ValueError as error:  # of lists with different lengths
        raise InputError(f"the labels do not make an array: {error!s:.200}; {expected}") from error
