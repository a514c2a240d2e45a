"""A trained network as one safetensors file, with everything needed to use it again in the file's metadata."""

import json
import math
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..activations import ACTIVATIONS, STRAIGHT_THROUGH
from ..checks import check_parameters
from ..data import Preprocessing, Table, output_names, table_of
from ..errors import InputError
from ..losses import LOSSES, squared_error
from ..network import Network
from ..parameters import FrozenDict, layer_dims
from ..storage import durable, tensors
from ..types import Parameters


FORMAT = 3  # increased when an older jaxnet could not read the file correctly
PLAIN_FORMAT = 1  # for files without STATISTICS, which every jaxnet reads
STATISTICS_FORMAT = 2  # for files with them, but of classes and without a table
SMALLEST, LARGEST = (float(x) for x in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
STATISTICS = ("input_mean", "input_std")  # tensors beside the parameters, where inputs are standardised


class Model(NamedTuple):
    """Parameters, the functions they belong to, and what their inputs and outputs mean.

    Args:
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers.
        input_shape: Of one example: `(height, width)`, `(height, width, 3)` or `(n_x,)`.
        classes: The names of the classes; none for a network of squared_error that predicts amounts.
        preprocessing: What is done to an image's pixels, or to a row of floats, before layer 1. Default: pixels / 255.
        table: What the inputs and the labels are called, of a model trained on a table. Default: None.
    """

    parameters: Parameters
    network: Network
    input_shape: tuple[int, ...]  # of one example: (height, width), (height, width, 3) or (n_x,)
    classes: tuple[str, ...]
    preprocessing: Preprocessing = (
        Preprocessing()
    )  # what is done to an image's pixels, or to a row of floats, before layer 1
    table: Table | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the amounts that it predicts; none of a model of classes."""
        return () if self.classes else output_names(self.table, layer_dims(self.parameters)[-1])


def save_model(path: str | os.PathLike, model: Model) -> None:
    """Writes the model to one file; an existing file is replaced at once or not at all.

    Raises `InputError` for a model that could not be loaded again, and where the file cannot be written.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((4, 1), key=jax.random.key(0))
        >>> model = jaxnet.Model(parameters, jaxnet.Network(), (2, 2), ("cat", "dog"))
        >>> jaxnet.save_model("model.safetensors", model)
        >>> jaxnet.load_model("model.safetensors").classes
        ('cat', 'dog')
    """
    settings, arrays = described(model)
    settings = {
        "jaxnet_format": _format_of(model, arrays),
        "jaxnet_version": version("jaxnet"),
        **settings,
    }
    replace_file(path, tensors.encode(arrays, {name: json.dumps(value) for name, value in settings.items()}))


def _format_of(model: Model, arrays: Mapping[str, np.ndarray]) -> int:
    """The oldest that can hold the model, so that an older jaxnet reads what it can."""
    if not model.classes or model.table is not None:
        return FORMAT
    return STATISTICS_FORMAT if set(STATISTICS) & set(arrays) else PLAIN_FORMAT


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
    if model.table is not None:
        if not isinstance(model.table, Table):
            raise InputError(f"the table of the model is {model.table!r:.99}; expected a jaxnet.data.Table, or None")
        settings["table"] = model.table.as_json()
    arrays = {name: np.ascontiguousarray(value) for name, value in model.parameters.items()}
    for name, value in zip(STATISTICS, (model.preprocessing.mean, model.preprocessing.std), strict=True):
        if value is not None:
            arrays[name] = np.ascontiguousarray(value, np.float32)
    model_of(settings, arrays)
    return settings, arrays


def replace_file(path: str | os.PathLike, content: bytes) -> None:
    """`durable.write`, which raises `InputError` where the file cannot be written."""
    try:
        durable.write(path, content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def load_model(path: str | os.PathLike) -> Model:
    """The model in a file that `save_model` wrote, or in a run folder.

    Raises `InputError` for a file that is missing, damaged, not a safetensors file, not from jaxnet, or from a newer
    jaxnet.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((4, 1), key=jax.random.key(0))
        >>> model = jaxnet.Model(parameters, jaxnet.Network(), (2, 2), ("cat", "dog"))
        >>> jaxnet.save_model("model.safetensors", model)
        >>> jaxnet.load_model("model.safetensors").input_shape
        (2, 2)
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise InputError(f"{path} is not a file; expected a model.safetensors, or the run folder that holds one")
    arrays, metadata, _ = tensors.read(path)
    if "jaxnet_format" not in metadata:
        raise InputError(f"{path} is a safetensors file, but not a model of jaxnet: its metadata has no jaxnet_format")
    try:
        settings = _settings(metadata)
        if settings["jaxnet_format"] == STATISTICS_FORMAT and not set(STATISTICS) <= set(arrays):
            raise InputError(f"it has format {settings['jaxnet_format']}, but not both of {' and '.join(STATISTICS)}")
        return model_of(settings, arrays)
    except InputError as error:
        raise InputError(f"{path}: {error!s:.999}") from error


def _settings(metadata: dict[str, str]) -> dict[str, Any]:
    try:
        settings = {name: json.loads(value) for name, value in metadata.items()}
    except (ValueError, RecursionError) as error:
        raise InputError(f"the metadata cannot be read: {error}") from error
    number, writer = settings["jaxnet_format"], settings.get("jaxnet_version")
    if type(number) is not int or not 0 < number <= FORMAT:
        raise InputError(
            f"it has format {number!r:.99}, from jaxnet {writer!s:.99}; this is jaxnet {version('jaxnet')}, which "
            f"reads up to {FORMAT}: upgrade jaxnet"
        )
    lacking = {"layer_dims", "hidden", "loss", "input_shape", "classes", "scale"} - set(settings)
    if lacking:
        raise InputError(f"the metadata lacks {', '.join(sorted(lacking))}")
    return settings


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
    shape, classes = settings["input_shape"], settings["classes"]
    is_shape = isinstance(shape, list) and len(shape) in (1, 2, 3) and all(type(n) is int and n > 0 for n in shape)
    if not is_shape or math.prod(shape) != dims[0] or shape[2:] not in ([], [3]):
        raise InputError(
            f"input_shape says {shape!r:.99}; expected (n_x,), (height, width) or (height, width, 3), "
            f"n_x = {dims[0]} in all"
        )
    if not isinstance(settings["hidden"], str) or not isinstance(settings["loss"], str):
        raise InputError("hidden and loss are not names")
    network = Network(settings["hidden"], settings["loss"])
    is_names = isinstance(classes, list) and all(isinstance(name, str) and name.isprintable() for name in classes)
    predicts_amounts = classes == [] and network.loss == squared_error
    if not is_names or not (predicts_amounts or len(set(classes)) == len(classes) == max(2, dims[-1])):
        raise InputError(f"classes says {classes!r:.99}; expected {max(2, dims[-1])} printable names, all different")
    table = _table(settings["table"], shape, classes, dims) if "table" in settings else None
    preprocessing = _preprocessing(settings["scale"], arrays, dims[0])
    return Model(parameters, network, tuple(shape), tuple(classes), preprocessing, table)


def _table(stored: Any, shape: list[int], classes: list[str], dims: tuple[int, ...]) -> Table:
    table = table_of(stored, dims[0])
    if len(shape) > 1 or len(table.labels) != (1 if classes else dims[-1]):
        raise InputError(
            f"table has the labels {', '.join(table.labels)!s:.99}, but the network {dims[-1]} outputs and inputs of "
            f"shape {shape}; expected a label for each output, or one of the classes, and rows of numbers"
        )
    return table


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
    return Preprocessing(float(scale), *statistics)


def _name_of(member: Any, table: dict[str, Any], kind: str) -> str:
    for name, known in table.items():
        if known == member:
            return name
    raise InputError(f"the {kind} of this network is none of {', '.join(table)}; a model file can only name those")
