"""What a trained model is called with, files, PIL images or arrays, as rows of pixels or floats."""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jaxtyping import Shaped

from ..errors import InputError
from .images import Decoded, check_kind, image_name, try_image
from .threads import quiet_decoders


MOST_THREADS = 8


def decode_images(images: Sequence[Any], input_shape: tuple[int, ...], exact: bool = False) -> list[Decoded]:
    """The images decoded, several files at a time.

    Example:
        >>> jaxnet.data.decode_images(["missing.png"], (1, 2, 3))[0].problem
        'No such file or directory'
    """
    with quiet_decoders():
        if len(images) == 1 or not all(isinstance(image, str | os.PathLike) for image in images):
            # Two threads must not decode the same PIL image, nor two that read one file.
            return [try_image(image, input_shape, exact) for image in images]
        with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
            return list(threads.map(lambda image: try_image(image, input_shape, exact), images))


def is_array(inputs: Any) -> bool:
    """Whether the inputs are an array, of NumPy or JAX.

    Example:
        >>> jaxnet.data.is_array(np.zeros(2)), jaxnet.data.is_array("photo.jpg")
        (True, False)
    """
    return isinstance(inputs, np.ndarray | jax.Array)


def named_images(inputs: Any) -> tuple[list[Any], bool]:
    """A list of paths and PIL images, and whether the inputs are one alone. Raises `InputError` for anything else.

    Example:
        >>> from PIL import Image
        >>> Image.new("L", (2, 2)).save("a.png")
        >>> jaxnet.data.named_images("a.png")
        (['a.png'], True)
    """
    if not isinstance(inputs, list | tuple):
        _check_image(inputs)
        return [inputs], True
    if not inputs:
        raise InputError("the list of images is empty; expected at least one")
    for place, image in enumerate(inputs):
        try:
            _check_image(image)
        except InputError as error:
            raise InputError(f"{error}; it is number {place} of a list of {len(inputs)}, from 0") from error
    return list(inputs), False


def _check_image(image: Any) -> None:
    check_kind(image)
    if isinstance(image, str | os.PathLike) and not os.path.isfile(image):
        kind = "a folder" if os.path.isdir(image) else "not a file"
        raise InputError(f"{image_name(image)} is {kind}; expected an image file")


def array_rows(inputs: Any, input_shape: tuple[int, ...]) -> tuple[Shaped[np.ndarray, "m n_x"], bool]:
    """A row for each example of an array or of a list of arrays, and whether they are one example alone.

    The shape is `input_shape` for one, `(m, *input_shape)` for m images, or `(n_x, m)`, with a column for each example;
    in a list each is one example. Raises `InputError` for another shape or dtype, and for a shape that could be two.

    Example:
        >>> rows, one = jaxnet.data.array_rows(np.zeros((5, 2, 2, 3), "uint8"), (2, 2, 3))
        >>> rows.shape, one
        ((5, 12), False)
    """
    if isinstance(inputs, list | tuple):
        return array_rows(_stacked(inputs, input_shape), input_shape)[0], False
    if isinstance(inputs, np.ma.MaskedArray):
        raise InputError("the array is masked, and what is behind the mask is unknown; expected a plain array")
    values, n_x, is_image = np.asarray(inputs), math.prod(input_shape), len(input_shape) > 1
    columns = f"columns ({n_x}, m)"
    expected = f"expected one {'image' if is_image else 'example'} {input_shape}, or {columns}"
    if is_image:
        expected = f"expected one image {input_shape}, several (m, {str(input_shape)[1:]}, or {columns}"
    one = values.shape == input_shape
    several = is_image and values.shape[1:] == input_shape
    in_columns = values.ndim == 2 and len(values) == n_x
    if one and in_columns:
        raise InputError(
            f"the array has shape {values.shape}, which is that of one image and of columns; expected one image as "
            f"(1, {str(input_shape)[1:]}"
        )
    if values.size == 0 or not (one or several or in_columns):
        raise InputError(f"the array has shape {values.shape}; {expected}{_hint(values, input_shape)}")
    if values.dtype != np.uint8 and values.dtype.kind != "f":
        raise InputError(f"the array is {values.dtype}; expected uint8 pixels from 0 to 255, or floats")
    if not np.isfinite(values).all():
        raise InputError("the array has values that are NaN or infinite; expected finite numbers")
    if is_image and values.dtype != np.uint8 and not 0 <= values.min() <= values.max() <= 1:
        raise InputError(
            f"images of floats lie between {values.min():g} and {values.max():g}; expected 0 to 1, or uint8 pixels"
        )
    return np.ascontiguousarray(values.T) if in_columns else values.reshape(-1, n_x), one


def _stacked(arrays: Sequence[Any], input_shape: tuple[int, ...]) -> np.ndarray:
    """Images or columns, of a list with one example in each array."""
    for place, array in enumerate(arrays):
        if not is_array(array) or array.shape != input_shape or array.dtype != arrays[0].dtype:
            got = f"{array.dtype} of shape {array.shape}" if is_array(array) else f"a {type(array).__name__}"
            raise InputError(
                f"example {place} of the list of {len(arrays)} is {got}; expected all to be arrays of shape "
                f"{input_shape} and of one dtype"
            )
    return np.stack([np.asarray(array) for array in arrays], axis=0 if len(input_shape) > 1 else 1)


def _hint(values: np.ndarray, input_shape: tuple[int, ...]) -> str:
    n_x = math.prod(input_shape)
    if values.ndim == 2 and values.shape[1] == n_x:
        return ": transpose it, as every column is an example"
    looks_like_image = values.ndim == len(input_shape) > 1 and values.shape[2:] in ((), (3,), (4,))
    return ": PIL.Image.fromarray(array) is resized" if looks_like_image else ""
