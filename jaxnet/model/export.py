"""Export: the state dict of a torch.nn.Sequential of linear layers, and plain .npz files.

torch's `Linear` keeps its weight as (n_l, n_{l-1}), which is W_l, and its bias as (n_l,). Torch itself is not needed.
"""

import io
import itertools
import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..parameters import layer_dims
from ..storage import listed, tensors
from .description import FEATURES, STATISTICS, described
from .file import replace_file
from .model import Model


AS_JSON = (FEATURES, "table", "trained_on")  # in .npz files
SETTINGS = ("hidden", "loss", "input_shape", "classes", "scale")  # in both kinds of files
TORCH_MODULES = {
    "relu": "ReLU()",
    "leaky_relu": "LeakyReLU(0.01)",
    "sigmoid": "Sigmoid()",
    "tanh": "Tanh()",
    "gelu": "GELU()",
    "silu": "SiLU()",
    "softplus": "Softplus()",
    "elu": "ELU()",
    "identity": "Identity()",
}
OUTPUTS = {
    "binary_cross_entropy": "logits: torch.sigmoid makes them probabilities, of the last class where there is one",
    "softmax_cross_entropy": "logits: torch.softmax(..., dim=1) makes them the probabilities of the classes",
    "squared_error": "the outputs themselves",
}


def to_torch(model: Model, *, fold_preprocessing: bool = False, channels_first: bool = False) -> dict[str, np.ndarray]:
    """`0.weight`, `0.bias`, `2.weight`, ...: the state dict of Sequential(Linear, ReLU, Linear, ..., Linear).

    The module takes rows of n_x values, preprocessed as `model.preprocessing` says, and returns logits, which is what
    torch's losses expect. Features of images are not made by it: it takes those that `model.preprocessing.columns`
    returns.

    Args:
        model: The model to export.
        fold_preprocessing: Whether the first layer does the preprocessing, so that images go in as pixels from 0 to
            255.
        channels_first: Whether images are flattened as torch has them, (C, H, W), rather than as (H, W, C).

    Raises:
        InputError: where the model is not of images, its preprocessing would overflow float32, or its inputs are
            features, which no choice of these can carry.
    """
    if model.preprocessing.features is not None and (fold_preprocessing or channels_first):
        raise InputError(
            "the inputs of the model are HOG features of images, which no linear layer can make of pixels; export "
            "without fold_preprocessing and channels_first, and give it model.preprocessing.columns(rows).T"
        )
    state = {}
    for l in range(1, len(layer_dims(model.parameters))):
        W, b = model.parameters[f"W{l}"], model.parameters[f"b{l}"]
        if l == 1:
            W, b = _first_layer(W, b, model, fold_preprocessing, channels_first)
        state[f"{2 * l - 2}.weight"] = np.ascontiguousarray(of_a_known_type(W))
        state[f"{2 * l - 2}.bias"] = np.ascontiguousarray(of_a_known_type(b)[:, 0])
    return state


def about_torch(model: Model, *, fold_preprocessing: bool = False, channels_first: bool = False) -> dict[str, str]:
    """In words: the module that takes the state dict, what its inputs have to be, and what its outputs are."""
    settings, _ = described(model)
    linear = [f"Linear({n_prev}, {n})" for n_prev, n in itertools.pairwise(settings["layer_dims"])]
    if settings["hidden"] not in TORCH_MODULES:
        raise InputError(f"torch has no module for {settings['hidden']}; export --to npz")
    between = f", {TORCH_MODULES[settings['hidden']]}, "
    return {
        "module": f"Sequential({between.join(linear)})",
        "inputs": about_inputs(model, fold_preprocessing, channels_first),
        "outputs": OUTPUTS[settings["loss"]] + outputs_named(model),
    }


def about_inputs(model: Model, fold_preprocessing: bool, channels_first: bool) -> str:
    """What the rows that go into an exported network have to be, in words."""
    shape, scale, features = model.input_shape, model.preprocessing.pixel_scale, model.preprocessing.features
    inputs = f"rows of {' * '.join(map(str, shape))} values"
    if features is not None:
        inputs = (
            f"rows of {features.size} HOG features of images {' x '.join(map(str, shape))}, which this file does not "
            f"make: for each side c of {', '.join(map(str, features.cells))}, skimage.feature.hog(pixels * {scale}, "
            f"{features.orientations}, (c, c), (2, 2), channel_axis={-1 if len(shape) == 3 else None})"
        )
    elif len(shape) > 1:
        inputs += f" in the order {'(channel, height, width)' if channels_first else '(height, width, channel)'}"
        inputs += ": pixels from 0 to 255" + ("" if fold_preprocessing else f" times {scale}")
    else:
        inputs += f": floats as they are, or pixels from 0 to 255 times {scale}"
    if model.table is not None:
        inputs = (
            f"rows of the {len(model.table.inputs)} inputs {listed(model.table.inputs)}: numbers, and 1 for a category"
        )
    if model.preprocessing.mean is not None and not fold_preprocessing:
        inputs += ", minus input_mean, divided by input_std"
    return inputs


def outputs_named(model: Model) -> str:
    """The names of a regression's outputs, after a colon."""
    return f": {listed(model.output_names)}" if model.output_names else ""


def save_torch(
    path: str | os.PathLike, model: Model, *, fold_preprocessing: bool = False, channels_first: bool = False
) -> None:
    """A file for `torch.nn.Sequential(...).load_state_dict(safetensors.torch.load_file(path))`, see `to_torch`.

    Its metadata describes the module, its inputs and its outputs, and `load_torch` reads it again. Raises `InputError`
    for a model or a path that cannot be used.
    """
    check_suffix(path, ".safetensors")
    choices = {"fold_preprocessing": fold_preprocessing, "channels_first": channels_first}
    about = about_torch(model, **choices)
    metadata = {"format": "pt", **about, **stated(model, fold_preprocessing, channels_first)}
    replace_file(path, tensors.encode(to_torch(model, **choices), metadata))


def stated(model: Model, fold_preprocessing: bool, channels_first: bool) -> dict[str, str]:
    """The settings of a model as the metadata of an exported file, in JSON, and how its images are made."""
    settings, _ = described(model)
    values: dict[str, Any] = {
        name: settings[name] for name in (*SETTINGS, FEATURES, "exact_decoding", "table") if name in settings
    }
    values["channels_first"] = channels_first
    if fold_preprocessing:
        values["scale"] = 1.0 if len(model.input_shape) > 1 else model.preprocessing.pixel_scale
    elif model.preprocessing.mean is not None and model.preprocessing.std is not None:
        order = channels_first_order(model.input_shape) if channels_first else slice(None)
        statistics = (model.preprocessing.mean, model.preprocessing.std)
        values |= {name: array[order, 0].tolist() for name, array in zip(STATISTICS, statistics, strict=True)}
    metadata = {"jaxnet_version": version("jaxnet")} | {name: json.dumps(value) for name, value in values.items()}
    if len(model.input_shape) > 1:
        decoding = "in full" if model.exact_decoding else "at the smallest of Pillow's draft scales of twice that size"
        metadata["images"] = (
            f"upright, on white, {'RGB' if len(model.input_shape) == 3 else 'grey'}, resized to height and width by "
            f"Pillow's BICUBIC; JPEG files decoded {decoding}"
        )
    return metadata


def save_npz(path: str | os.PathLike, model: Model) -> None:
    """W1, b1, ..., WL, bL, layer_dims, hidden, loss, input_shape, classes, scale; input_mean and input_std if present,
    and features, as JSON, where the inputs are features of images.

    Of a model of a table also its columns, as JSON. `np.load(path)` reads them all. Raises `InputError` for a model or
    a path that cannot be used.
    """
    check_suffix(path, ".npz")
    settings, arrays = described(model)
    for name in AS_JSON:
        if name in settings:
            settings[name] = json.dumps(settings[name])
    content = io.BytesIO()
    np.savez(content, **{name: of_a_known_type(array) for name, array in arrays.items()}, **settings)
    replace_file(path, content.getvalue())


def of_a_known_type(array: Any) -> np.ndarray:
    """float64 unchanged; bfloat16 and float16 as float32, which NumPy's files and every torch module know."""
    array = np.asarray(array)
    coarse = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype != np.float64
    return array.astype(np.float32) if coarse else array


def _first_layer(W: Any, b: Any, model: Model, fold_preprocessing: bool, channels_first: bool) -> tuple[Any, Any]:
    dtype = np.float64 if W.dtype == np.float64 else np.float32
    W, b = np.asarray(W, np.float64), np.asarray(b, np.float64)
    if fold_preprocessing:
        # Rows of numbers need not be pixels, and floats are not scaled.
        scale = model.preprocessing.pixel_scale if len(model.input_shape) > 1 else 1.0
        mean, std = (0.0, 1.0) if model.preprocessing.mean is None else map(np.float64, model.preprocessing[1:3])
        slope, offset = np.broadcast_to(scale / std, (W.shape[1], 1)), np.broadcast_to(mean / std, (W.shape[1], 1))
        W, b = W * slope.T, b - W @ offset  # W (scale x - mean) / std + b, as a layer that takes x
        if max(np.abs(W).max(), np.abs(b).max()) > np.finfo(dtype).max:
            raise InputError("the first layer cannot take the preprocessing into its weights: they would overflow")
    if channels_first:
        W = W[:, channels_first_order(model.input_shape)]
    return W.astype(dtype), b.astype(dtype)


def channels_first_order(input_shape: Sequence[int]) -> np.ndarray:
    """The places that the values of an image flattened as (C, H, W) have in one flattened as (H, W, C)."""
    if len(input_shape) == 1:
        raise InputError(f"channels_first is about images, but the inputs are rows of {input_shape[0]} numbers")
    height, width = input_shape[:2]
    return np.arange(np.prod(input_shape)).reshape(height, width, -1).transpose(2, 0, 1).ravel()


def check_suffix(path: str | os.PathLike, suffix: str) -> None:
    """Raises `InputError` for a file whose name says that it is of another kind."""
    if Path(path).suffix != suffix:
        raise InputError(f"{path} would be a file of another kind by its name; expected one that ends in {suffix}")
