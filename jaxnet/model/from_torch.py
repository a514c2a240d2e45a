"""Import: dense networks trained elsewhere, from a safetensors state dict or an .npz file, never from a pickle."""

import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Preprocessing
from ..errors import InputError
from ..parameters import FrozenDict, layer_dims
from ..storage import LISTED, read_npz, tensors
from .description import STATISTICS, described, model_of
from .export import AS_JSON, SETTINGS, channels_first_order, of_a_known_type
from .model import Model


NAME = re.compile(r"(?:(?P<module>.*)\.)?(?P<kind>weight|bias)|(?P<letter>[Wb])(?P<number>\d+)", re.DOTALL)
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
READ = (*SETTINGS, *AS_JSON, "channels_first", "exact_decoding", *STATISTICS)


def load_torch(
    path: str | os.PathLike,
    *,
    hidden: str | None = None,
    loss: str | None = None,
    classes: Sequence[str] | None = None,
    input_shape: Sequence[int] | None = None,
    preprocessing: Preprocessing | None = None,
    channels_first: bool | None = None,
    exact_decoding: bool | None = None,
    layers: Sequence[str] | None = None,
) -> Model:
    """The dense network in a safetensors file of a state dict, or in an .npz file, as a `Model`.

    Weights and biases come in pairs: `0.weight` and `0.bias`, `fc1.weight` ..., or W1 and b1; a missing bias is 0. What
    is not given is taken from the file if `save_torch` or `save_npz` wrote it there, or else from the defaults below.

    Args:
        path: The file.
        hidden: The activation of the hidden layers. Default: relu.
        loss: Default: binary cross-entropy for one output, softmax cross-entropy for more.
        classes: Their names. Default: 0, 1, ...; with squared_error none, so that it is a regression.
        input_shape: `(height, width)`, `(height, width, 3)` or `(n_x,)`. Default: rows of n_x numbers.
        preprocessing: What is done to the inputs before layer 1. Default: pixels / 255.
        channels_first: Whether images were flattened as (C, H, W). Default: False.
        exact_decoding: Whether JPEG files were decoded in full, as `PIL.Image.open` does. Default: False.
        layers: The names of the layers in order. Default: sorted, with numbers as numbers.

    Raises:
        InputError: for anything else in the file, with what was found.
    """
    path = Path(path)
    arrays, stored = _read_npz(path) if path.suffix.lower() == ".npz" else _read_safetensors(path)
    given = {
        "hidden": hidden,
        "loss": loss,
        "classes": None if classes is None else list(classes),
        "input_shape": None if input_shape is None else list(input_shape),
        "channels_first": channels_first,
        "exact_decoding": exact_decoding,
    }
    try:
        parameters = _chained(arrays, layers)
        settings = stored | {name: value for name, value in given.items() if value is not None}
        regression = {"classes": []} if settings.get("loss") == "squared_error" else {}
        settings = _defaults(layer_dims(parameters)) | regression | settings
        model = model_of(settings, parameters | _statistics(stored))
        if type(settings["channels_first"]) is not bool:
            raise InputError(f"channels_first says {settings['channels_first']!r:.99}; expected true or false")
        if settings["channels_first"] and model.preprocessing.features is not None:
            raise InputError("channels_first is about pixels, but the inputs of the network are features")
        if settings["channels_first"]:
            model = _channels_last(model)
        if preprocessing is not None:
            model = model._replace(preprocessing=preprocessing)
            described(model)  # raises where it does not fit
        return model
    except InputError as error:
        raise InputError(f"{path}: {error!s:.999}") from error


def _defaults(dims: Sequence[int]) -> dict[str, Any]:
    return {
        "layer_dims": list(dims),
        "hidden": "relu",
        "loss": "binary_cross_entropy" if dims[-1] == 1 else "softmax_cross_entropy",
        "classes": [str(k) for k in range(max(2, dims[-1]))],
        "input_shape": [dims[0]],
        "scale": Preprocessing().pixel_scale,
        "channels_first": False,
    }


def _statistics(stored: Mapping[str, Any]) -> dict[str, np.ndarray]:
    try:
        return {name: np.asarray(stored[name], np.float32).reshape(-1, 1) for name in STATISTICS if name in stored}
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"its {' or '.join(STATISTICS)} is not a list of numbers: {error}") from error


def _channels_last(model: Model) -> Model:
    """The model of images that are flattened as in jaxnet, (H, W, C), from one of torch's (C, H, W)."""
    order = np.argsort(channels_first_order(model.input_shape))
    preprocessing = model.preprocessing
    if preprocessing.mean is not None and preprocessing.std is not None:
        preprocessing = preprocessing._replace(mean=preprocessing.mean[order], std=preprocessing.std[order])
    parameters = FrozenDict(model.parameters) | {"W1": model.parameters["W1"][:, order]}
    return model._replace(parameters=parameters, preprocessing=preprocessing)


def _chained(arrays: Mapping[str, np.ndarray], layers: Sequence[str] | None) -> FrozenDict:
    """W1, b1, ..., WL, bL. Raises `InputError` unless all are linear layers, each of which fits the one before."""
    pairs = _pairs(arrays)
    order = sorted(pairs, key=_natural) if layers is None else list(layers)
    if sorted(order) != sorted(pairs) or not pairs:
        raise InputError(f"the layers named are {', '.join(order) or 'none'}; {_found(arrays)}")
    parameters: dict[str, np.ndarray] = {}
    units = None
    for l, layer in enumerate(order, start=1):
        W, b = pairs[layer].get("W"), pairs[layer].get("b")
        if W is None or W.ndim != 2 or W.size == 0 or (b is not None and b.size != len(W)):
            raise InputError(
                f"the layer {layer!r:.99} has no matrix as weight, or no bias that fits it; {_found(arrays)}"
            )
        if units not in (None, W.shape[1]):
            raise InputError(
                f"the layers do not fit in the order {', '.join(order)!s:.199}: the weight of {layer!r:.99} has shape "
                f"{W.shape}, but the layer before it has {units} units; give the right order as `layers`. "
                f"{_found(arrays)}"
            )
        units = len(W)
        parameters[f"W{l}"] = of_a_known_type(W)
        parameters[f"b{l}"] = of_a_known_type(np.zeros(units, np.float32) if b is None else b).reshape(-1, 1)
    return FrozenDict(parameters)


def _pairs(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The W and b of each layer by the layer's name."""
    pairs: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        match = NAME.fullmatch(name)
        if match is None:
            raise InputError(f"{name!r:.99} is not a weight or bias of a linear layer; {_found(arrays)}")
        kind = match["letter"] or {"weight": "W", "bias": "b"}[match["kind"]]
        layer = pairs.setdefault(match["number"] or match["module"] or "", {})
        if kind in layer:
            raise InputError(f"{name!r:.99} is the second {kind} of its layer; {_found(arrays)}")
        layer[kind] = array
    return pairs


def _natural(name: str) -> list[str | int]:
    """`fc2` comes before `fc10`."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d{1,99})", name))]


def _found(arrays: Mapping[str, np.ndarray]) -> str:
    some = [f"{name!s:.60} {array.shape}" for name, array in itertools.islice(arrays.items(), LISTED)]
    more = f" and {len(arrays) - LISTED} more" if len(arrays) > LISTED else ""
    return (
        "expected pairs such as 0.weight (n_1, n_0) and 0.bias (n_1,), or W1 and b1, each of which takes what the one "
        f"before gives; found {', '.join(some) or 'no arrays'}{more}"
    )


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of the file, and what jaxnet stored of them in its metadata if it wrote the file."""
    if path.suffix.lower() in PICKLES:
        raise InputError(
            f"{path} is a pickle by its name, which may run any code when it is read, so jaxnet does not; save the "
            "network with safetensors.torch.save_file(module.state_dict(), 'network.safetensors')"
        )
    if not path.is_file():
        raise InputError(f"{path} is not a file; expected a .safetensors file of a state dict, or an .npz file")
    arrays, metadata, _ = tensors.read(path)
    if "jaxnet_format" in metadata:
        raise InputError(f"{path} is a model of jaxnet already: read it with load_model, or as MODEL of a command")
    if "jaxnet_version" not in metadata:
        return arrays, {}
    try:
        return arrays, {name: json.loads(metadata[name]) for name in READ if name in metadata}
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: the metadata cannot be read: {error}") from error


def _read_npz(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The weights and biases of the file, and what else `save_npz` writes."""
    arrays = read_npz(path)
    stored = {name: arrays.pop(name).tolist() for name in READ if name in arrays}
    arrays.pop("layer_dims", None)  # the arrays say the same
    for name in AS_JSON:
        if name in stored:
            try:
                stored[name] = json.loads(stored[name])
            except (ValueError, TypeError, RecursionError) as error:
                raise InputError(f"{path}: its {name} cannot be read: {error}") from error
    return arrays, stored
