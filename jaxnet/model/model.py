"""A trained network as one safetensors file, with everything needed to use it again in the file's metadata."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..activations import ACTIVATIONS, STRAIGHT_THROUGH
from ..checks import check_parameters
from ..data import (
    Hog,
    Preprocessing,
    Table,
    array_rows,
    decode_images,
    image_name,
    is_array,
    named_images,
    output_names,
    row_blocks,
    table_of,
)
from ..errors import InputError
from ..losses import LOSSES, softmax_cross_entropy, squared_error
from ..network import Network
from ..parameters import FrozenDict, layer_dims
from ..storage import durable, tensors
from ..types import Parameters
from .prediction import MOST_VALUES, Estimate, Failure, Prediction, answer_of, class_probabilities


FORMAT = 3  # increased when an older jaxnet could not read the file correctly
STANDARDISED_FORMAT = 2  # for files with STATISTICS, but of classes of pixels or numbers
PLAIN_FORMAT = 1  # for files with none of them, which every jaxnet reads
SMALLEST, LARGEST = (float(x) for x in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
IMAGES = 256  # decoded at a time
SHOWN = 10  # names of classes in a repr
Answer: TypeAlias = Prediction | Estimate
STATISTICS = ("input_mean", "input_std")  # tensors beside the parameters, where inputs are standardised
FEATURES = "features"  # in the settings, where inputs are features of images: their kind, and its parameters


class Model(NamedTuple):
    """Parameters, the functions they belong to, and what their inputs and outputs mean; `model(images)` uses it.

    Args:
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers.
        input_shape: Of one example: `(height, width)`, `(height, width, 3)` or `(n_x,)`.
        classes: The names of the classes; none for a regression, whose loss is squared_error.
        preprocessing: What is done to an image's pixels, or to a row of floats, before layer 1. Default: pixels / 255.
        exact_decoding: Whether JPEG files are decoded in full, see `read_image`. Default: False.
        table: What the inputs and the labels are called, of a model trained on a table. Default: None.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((4, 1), key=jax.random.key(0))
        >>> model = jaxnet.Model(parameters, jaxnet.Network(), (2, 2), ("cat", "dog"))
        >>> model(np.zeros((2, 2), "uint8"))
        Prediction(label='cat', probabilities={'cat': 0.5, 'dog': 0.5})
        >>> model
        Model 4-1, Network('relu', 'binary_cross_entropy')
        classes: cat, dog
        inputs: images of 2 x 2 pixels in grey, times 0.00392157
    """

    parameters: Parameters
    network: Network
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    preprocessing: Preprocessing = Preprocessing()
    exact_decoding: bool = False
    table: Table | None = None

    def __call__(self, inputs: Any) -> Answer | list[Answer]:
        """The class and the probabilities of an example, or a regression's values, as `jaxnet predict` prints them.

        Args:
            inputs: A path or a PIL image, which is turned upright, laid on white and resized as in training; a list of
                such; or an array: one image of `input_shape`, `(m, *input_shape)`, or columns `(n_x, m)`. Arrays are
                uint8 pixels, or floats as in training, which are not scaled.

        Raises:
            InputError: for what cannot be read, and for an array of another shape, before anything is computed.
        """
        self.check_predicts()
        if is_array(inputs) or (isinstance(inputs, list | tuple) and inputs and is_array(inputs[0])):
            rows, one = array_rows(inputs, self.input_shape)
            results = [_named(answer, f"example {i}") for i, answer in enumerate(self.answers(rows))]
        else:
            self.check_takes_images()
            images, one = named_images(inputs)
            results = [result for some in self.predictions(images) for result in some]
        predictions = [_usable(result) for result in results]
        return predictions[0] if one else predictions

    def predictions(self, images: Sequence[Any], size: int = IMAGES) -> Iterator[list[Answer | Failure]]:
        """The prediction for each path or PIL image, or the reason why there is none, `size` of them at a time."""
        size = min(size, max(1, MOST_VALUES // math.prod(self.input_shape)))
        for start in range(0, len(images), size):
            some = images[start : start + size]
            decoded = decode_images(some, self.input_shape, self.exact_decoding)
            read = [image.pixels for image in decoded if image.pixels is not None]
            answers = iter(self.answers(np.stack(read)) if read else [])
            yield [
                Failure(f"{image_name(image)} cannot be read as an image: {problem}")
                if pixels is None
                else _named(next(answers), image_name(image))
                for image, (pixels, _, _, problem) in zip(some, decoded, strict=True)
            ]

    def answers(self, rows: Any) -> list[Answer | None]:
        """The prediction for each row of pixels or floats; None where it is not finite."""
        return [answer_of(column, self.classes, self.output_names) for column in self.probabilities(rows).T]

    def probabilities(self, rows: Any) -> Float[np.ndarray, "classes m"]:
        """The probabilities of the classes for rows `(m, n_x)` of pixels or floats; of a regression, the outputs."""
        dtype = str(self.parameters["W1"].dtype)
        columns = (self.preprocessing.columns(rows[part], dtype) for part in row_blocks(rows.shape))
        return np.concatenate([class_probabilities(X, self.parameters, self.network) for X in columns], axis=1)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs of a regression; none of a model of classes."""
        return () if self.classes else output_names(self.table, layer_dims(self.parameters)[-1])

    def check_predicts(self, name: str = "the model") -> None:
        """Raises `InputError` where there are classes, but the outputs are not their probabilities."""
        if self.network.loss == squared_error and self.classes:
            raise InputError(f"{name} was trained on squared_error, so its outputs are not probabilities of classes")
        if self.network.loss == softmax_cross_entropy and layer_dims(self.parameters)[-1] == 1:
            raise InputError(f"{name} has a softmax of one output, which is always 1 and cannot tell classes apart")

    def check_takes_images(self, name: str = "the model") -> None:
        """Raises `InputError` where the inputs are not images."""
        if len(self.input_shape) == 1:
            raise InputError(f"{name} was trained on columns of {self.input_shape[0]} numbers, not on images")

    def __repr__(self) -> str:
        try:
            dims = "-".join(map(str, layer_dims(self.parameters)))
            inputs = _inputs_text(self.input_shape, self.preprocessing)
        except (InputError, AttributeError, TypeError):  # of parts that do not fit each other
            return tuple.__repr__(self)
        kind, names = ("classes", self.classes) if self.classes else ("predicts", self.output_names)
        more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
        exact = ", JPEG files decoded exactly" if self.exact_decoding else ""
        return f"Model {dims}, {self.network}\n{kind}: {', '.join(names[:SHOWN])}{more}\ninputs: {inputs}{exact}"


def _inputs_text(shape: tuple[int, ...], preprocessing: Preprocessing) -> str:
    standardised = ", standardised" if preprocessing.mean is not None else ""
    if len(shape) == 1:
        return f"columns of {shape[0]} numbers{standardised}"
    colours = "in colour" if len(shape) == 3 else "in grey"
    featured = "" if preprocessing.features is None else f", {preprocessing.features.size} HOG features"
    pixels = f"images of {shape[0]} x {shape[1]} pixels {colours}, times {preprocessing.pixel_scale:.6g}"
    return f"{pixels}{featured}{standardised}"


def _usable(result: Answer | Failure) -> Answer:
    if isinstance(result, Failure):
        raise InputError(result.reason)
    return result


def _named(answer: Answer | None, name: str) -> Answer | Failure:
    return Failure(f"{name}: the network's outputs are not finite") if answer is None else answer


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
    is_new = not model.classes or model.table is not None or model.exact_decoding
    if is_new or model.preprocessing.features is not None:
        return FORMAT
    return STANDARDISED_FORMAT if set(STATISTICS) & set(arrays) else PLAIN_FORMAT


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
        if settings["jaxnet_format"] == STANDARDISED_FORMAT and not set(STATISTICS) <= set(arrays):
            raise InputError(f"it has format {settings['jaxnet_format']}, but not both of {' and '.join(STATISTICS)}")
        if settings["jaxnet_format"] < FORMAT and FEATURES in settings:
            raise InputError(f"it has format {settings['jaxnet_format']}, in which models have no {FEATURES}")
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
    return Model(parameters, network, shape, tuple(classes), preprocessing, exact_decoding, table)


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
