"""A model as settings, words and numbers that JSON can hold, and arrays; and back, if they fit each other."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..activations import ACTIVATIONS, STRAIGHT_THROUGH
from ..checks import check_parameters
from ..data import Hog, Preprocessing, Table, table_of
from ..errors import InputError
from ..losses import LOSSES, squared_error
from ..network import Network
from ..parameters import FrozenDict, layer_dims
from .model import Model, TrainingData


SMALLEST, LARGEST = (float(x) for x in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
STATISTICS = ("input_mean", "input_std")  # arrays beside the parameters, where inputs are standardised
TRAINED_ON = "trained_on"
FEATURES = "features"  # in the settings, where inputs are features of images: their kind, and its parameters


def described(model: Model) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A model's settings, as words and numbers that JSON can hold, and its arrays, with input_mean and input_std if
       present.

    Raises `InputError` for a model that could not be made from them again.
    """
    if not isinstance(model.preprocessing, Preprocessing):
        raise InputError(
            f"the preprocessing of the model is {model.preprocessing!r:.99}; expected a Preprocessing, such as "
            "Preprocessing(1 / 255)"
        )
    settings = {
        "layer_dims": list(check_parameters(model.parameters)),
        "hidden": _name_of(model.network.hidden, ACTIVATIONS | STRAIGHT_THROUGH, "activation"),
        "loss": _name_of(model.network.loss, LOSSES, "loss"),
        "input_shape": list(model.input_shape),
        "classes": list(model.classes),
        "scale": model.preprocessing.pixel_scale,
    }
    if model.exact_decoding is not False:  # files of other models are as older versions wrote and read them
        settings["exact_decoding"] = model.exact_decoding
    if model.table is not None:
        if not isinstance(model.table, Table):
            raise InputError(f"the table of the model is {model.table!r:.99}; expected a jaxnet.data.Table, or None")
        settings["table"] = model.table.as_json()
    features = model.preprocessing.features
    if features is not None:
        if not isinstance(features, Hog) or features.input_shape != tuple(model.input_shape):
            raise InputError(
                f"the features of the model are {features!r:.99}; expected those of its input_shape, "
                f"{tuple(model.input_shape)}, such as jaxnet.data.hog_of({tuple(model.input_shape)})"
            )
        settings[FEATURES] = {"kind": "hog", "cells": list(features.cells), "orientations": features.orientations}
    if model.trained_on:
        settings[TRAINED_ON] = [list(data) for data in model.trained_on]
    arrays = {name: np.ascontiguousarray(value) for name, value in model.parameters.items()}
    for name, value in zip(STATISTICS, (model.preprocessing.mean, model.preprocessing.std), strict=True):
        if value is not None:
            arrays[name] = np.ascontiguousarray(value, np.float32)
    model_of(settings, arrays)
    return settings, arrays


def model_of(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Model:
    """The model, once its settings fit its arrays and each other: whoever wrote the file may be hostile."""
    given = {name: array for name, array in arrays.items() if name not in STATISTICS}
    dims = layer_dims(given)
    if settings["layer_dims"] != list(dims):
        raise InputError(f"layer_dims says {settings['layer_dims']!r:.99}, but the arrays are those of {list(dims)}")
    for name, value in given.items():
        if not jnp.issubdtype(value.dtype, jnp.floating) or not np.isfinite(np.asarray(value)).all():
            raise InputError(f"{name} is {value.dtype} or has entries that are not finite; expected finite floats")
    # `jnp.asarray` would compile a program for every shape.
    parameters = FrozenDict({name: jax.device_put(array) for name, array in given.items()})
    (shape, features), classes = _inputs(settings, dims[0]), settings["classes"]
    if not isinstance(settings["hidden"], str) or not isinstance(settings["loss"], str):
        raise InputError("hidden and loss are not names")
    network = Network(settings["hidden"], settings["loss"])
    is_names = isinstance(classes, list) and all(isinstance(name, str) and name.isprintable() for name in classes)
    predicts_targets = classes == [] and network.loss == squared_error
    if not is_names or not (predicts_targets or len(set(classes)) == len(classes) == max(2, dims[-1])):
        raise InputError(f"classes says {classes!r:.99}; expected {max(2, dims[-1])} printable names, all different")
    table = _table(settings["table"], shape, classes, dims) if "table" in settings else None
    preprocessing = _preprocessing(settings["scale"], arrays, dims[0])._replace(features=features)
    exact_decoding = settings.get("exact_decoding", False)
    if type(exact_decoding) is not bool:
        raise InputError(f"exact_decoding says {exact_decoding!r:.99}; expected true or false")
    trained_on = _trained_on(settings.get(TRAINED_ON, []))
    return Model(parameters, network, shape, tuple(classes), preprocessing, exact_decoding, table, trained_on)


def _trained_on(stored: Any) -> tuple[TrainingData, ...]:
    expected = "expected lists of a fingerprint, a fraction between 0 and 1 or null, and a seed"
    if not isinstance(stored, list):
        raise InputError(f"{TRAINED_ON} says {stored!r:.99}; {expected}")
    for one in stored:
        match one:
            case [str(), None, int()]:
                continue
            case [str(), float(share), int()] if 0 < share < 1:
                continue
        raise InputError(f"{TRAINED_ON} says {one!r:.99}; {expected}")
    return tuple(TrainingData(*one) for one in stored)


def _table(stored: Any, shape: tuple[int, ...], classes: list[str], dims: tuple[int, ...]) -> Table:
    table = table_of(stored, dims[0])
    if len(shape) > 1 or len(table.labels) != (1 if classes else dims[-1]):
        raise InputError(
            f"table has the labels {', '.join(table.labels)!s:.99}, but the network {dims[-1]} outputs and inputs of "
            f"shape {shape}; expected a label for each output, or one of the classes, and rows of numbers"
        )
    return table


def _inputs(settings: Mapping[str, Any], n_x: int) -> tuple[tuple[int, ...], Hog | None]:
    """The shape of an example, and the features that are made of it, if any: n_x inputs."""
    shape, given, inputs = settings["input_shape"], settings.get(FEATURES), "n_x"
    is_shape = isinstance(shape, list) and len(shape) in (1, 2, 3) and all(type(n) is int and n > 0 for n in shape)
    features = None
    if given is not None:
        if not isinstance(given, dict) or set(given) != {"kind", "cells", "orientations"} or given["kind"] != "hog":
            raise InputError(f"{FEATURES} says {given!r:.99}; expected the kind hog, its cells and its orientations")
        features, inputs = Hog(settings["input_shape"], given["cells"], given["orientations"]), "features"
    size = None if not is_shape else math.prod(shape) if features is None else features.size
    if size != n_x or shape[2:] not in ([], [3]):
        raise InputError(
            f"input_shape says {shape!r:.99}; expected (n_x,), (height, width) or (height, width, 3), "
            f"{inputs} = {n_x} in all"
        )
    return tuple(shape), features


def _preprocessing(scale: Any, arrays: Mapping[str, np.ndarray], n_x: int) -> Preprocessing:
    if type(scale) not in (float, int) or not SMALLEST <= scale <= LARGEST:
        raise InputError(f"scale says {scale!r:.99}; expected a positive number")
    statistics = [arrays[name] for name in STATISTICS if name in arrays]
    if not statistics:
        return Preprocessing(float(scale))
    if len(statistics) == 1:
        raise InputError(f"there is only one of {' and '.join(STATISTICS)}; expected both or none")
    for name, array in zip(STATISTICS, statistics, strict=True):
        if array.shape != (n_x, 1) or array.dtype != np.float32 or not np.isfinite(array).all():
            raise InputError(
                f"{name} has shape {array.shape} and dtype {array.dtype}, or entries that are not finite; expected "
                f"({n_x}, 1) finite float32, one for each input"
            )
    if statistics[1].min() < SMALLEST:
        raise InputError(f"the smallest entry of input_std is {statistics[1].min()}; expected positive ones")
    return Preprocessing(float(scale), statistics[0], statistics[1])


def _name_of(member: Any, table: dict[str, Any], kind: str) -> str:
    for name, known in table.items():
        if known == member:
            return name
    raise InputError(f"the {kind} of this network is none of {', '.join(table)}; a model file can only name those")
