"""A trained network as one safetensors file, with everything needed to use it again in the file's metadata."""

import contextlib
import json
import math
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .activations import ACTIVATIONS
from .errors import InputError
from .losses import LOSSES
from .network import Network
from .parameters import FrozenDict, layer_dims
from .types import Parameters


FORMAT = 1  # raised when an older jaxnet could not read the file rightly


class Model(NamedTuple):
    """Parameters, the functions they belong to, and what their inputs and outputs mean."""

    parameters: Parameters
    network: Network
    input_shape: tuple[int, ...]  # of one example: (height, width), (height, width, 3) or (n_x,)
    classes: tuple[str, ...]
    scale: float  # what a pixel is multiplied by


def save_model(path: str | os.PathLike, model: Model) -> None:
    """Writes the model; a file that is there is replaced at once or not at all."""
    path = Path(path)
    metadata = {
        "jaxnet_format": FORMAT,
        "jaxnet_version": version("jaxnet"),
        "layer_dims": layer_dims(model.parameters),
        "hidden": _name_of(model.network.hidden, ACTIVATIONS, "activation"),
        "loss": _name_of(model.network.loss, LOSSES, "loss"),
        "input_shape": model.input_shape,
        "classes": model.classes,
        "scale": model.scale,
    }
    content = {name: json.dumps(value) for name, value in metadata.items()}
    _model(_settings(content), FrozenDict(model.parameters))  # nothing is written that could not be read
    content = save({name: np.ascontiguousarray(value) for name, value in model.parameters.items()}, content)
    beside = path.parent / f".{os.getpid()}.safetensors"
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise InputError(f"{path} cannot be written: {error}") from error


def load_model(path: str | os.PathLike) -> Model:
    """The model in a file that `save_model` wrote, or in a run folder.

    Raises `InputError` for a file that is missing, cut off, no safetensors, not of jaxnet, or of a newer jaxnet.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise InputError(f"{path} is no file; expected a model.safetensors, or the run folder that holds one")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is cut off or no safetensors file: {error}") from error
    if "jaxnet_format" not in metadata:
        raise InputError(f"{path} is a safetensors file, but no model of jaxnet: its metadata has no jaxnet_format")
    try:
        return _model(_settings(metadata), FrozenDict({name: jnp.asarray(value) for name, value in arrays.items()}))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _settings(metadata: dict[str, str]) -> dict[str, Any]:
    try:
        settings = {name: json.loads(value) for name, value in metadata.items()}
    except (ValueError, RecursionError) as error:
        raise InputError(f"the metadata cannot be read: {error}") from error
    if not isinstance(settings["jaxnet_format"], int) or settings["jaxnet_format"] > FORMAT:
        raise InputError(
            f"it has format {settings['jaxnet_format']}, from jaxnet {settings.get('jaxnet_version')}; this is jaxnet "
            f"{version('jaxnet')}, which reads up to {FORMAT}: upgrade jaxnet"
        )
    lacking = {"layer_dims", "hidden", "loss", "input_shape", "classes", "scale"} - set(settings)
    if lacking:
        raise InputError(f"the metadata lacks {', '.join(sorted(lacking))}")
    return settings


def _model(settings: dict[str, Any], parameters: FrozenDict) -> Model:
    """The model, once the metadata fits the arrays and itself: whoever wrote the file may have meant harm."""
    dims = layer_dims(parameters)
    if settings["layer_dims"] != list(dims):
        raise InputError(f"layer_dims says {settings['layer_dims']}, but the arrays are those of {list(dims)}")
    for name, value in parameters.items():
        if not jnp.issubdtype(value.dtype, jnp.floating) or not jnp.isfinite(value).all():
            raise InputError(f"{name} is {value.dtype} or has entries that are not finite; expected finite floats")
    shape, classes, scale = settings["input_shape"], settings["classes"], settings["scale"]
    is_shape = isinstance(shape, list) and len(shape) in (1, 2, 3) and all(type(n) is int and n > 0 for n in shape)
    if not is_shape or math.prod(shape) != dims[0] or shape[2:] not in ([], [3]):
        raise InputError(
            f"input_shape says {shape!r:.99}; expected (n_x,), (height, width) or (height, width, 3), n_x in all"
        )
    is_names = isinstance(classes, list) and all(isinstance(name, str) and name.isprintable() for name in classes)
    if not is_names or len(classes) != max(2, dims[-1]):
        raise InputError(f"classes says {classes!r:.99}; expected {max(2, dims[-1])} printable names")
    if not isinstance(scale, float | int) or not 0 < scale < math.inf:
        raise InputError(f"scale says {scale!r:.99}; expected a positive number")
    if not isinstance(settings["hidden"], str) or not isinstance(settings["loss"], str):
        raise InputError("hidden and loss are no names")
    return Model(parameters, Network(settings["hidden"], settings["loss"]), tuple(shape), tuple(classes), float(scale))


def _name_of(member: Any, table: dict[str, Any], kind: str) -> str:
    for name, known in table.items():
        if known is member:
            return name
    raise InputError(f"the {kind} of this network is none of {', '.join(table)}; a model file can only name those")
