"""A trained network as one safetensors file, with everything needed to use it again in the file's metadata."""

import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..data import SUFFIXES
from ..errors import InputError
from ..storage import durable, tensors
from .description import FEATURES, STATISTICS, described, model_of
from .model import Model


FORMAT = 3  # increased when an older jaxnet could not read the file correctly
STANDARDISED_FORMAT = 2  # for files with STATISTICS, but of classes of pixels or numbers
PLAIN_FORMAT = 1  # for files with none of them, which every jaxnet reads


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
    if path.suffix.lower() in SUFFIXES:
        raise InputError(f"{path} is an image by its name; expected a model.safetensors or a run's folder: MODEL first")
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


def replace_file(path: str | os.PathLike, content: bytes) -> None:
    """`durable.write`, which raises `InputError` where the file cannot be written."""
    try:
        durable.write(path, content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
