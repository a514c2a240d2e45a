"""Augmentation: the images of a step, moved and mirrored at random, as a function of the step's number alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..arguments import check_count
from ..errors import InputError
from ..types import AnyArray, PRNGKeyArray


@dataclass(frozen=True)
class Augmentation:
    """X'[y, x] = X[y + dy, ±x + dx]: mirrored with probability 1/2, moved by dy and dx from -shift to shift.

    Drawn anew for every example of every step, in `train(..., augment=...)`; predictions see the images as they are.
    What moves in from outside repeats the image's edge. What is moved are the inputs of layer 1: where they are
    standardised, after that.

    Args:
        input_shape: `(height, width)` or `(height, width, 3)`: a column of X is such an image, flattened in C order.
        flip: Whether images are mirrored, left to right; not for digits and letters. Default: True.
        shift: The largest move, in pixels, from 0 to below both sides. Default: 4.

    Raises:
        InputError: for another shape, for another shift, or where nothing is drawn.

    Example:
        >>> augment = jaxnet.Augmentation((2, 3), shift=1)
        >>> X = jnp.arange(6.0).reshape(6, 1)
        >>> augment(X.T, key=jax.random.key(1)).reshape(2, 3)
        Array([[3., 4., 5.],
               [3., 4., 5.]], dtype=float32)
    """

    input_shape: Sequence[int]  # kept as a tuple
    flip: bool = True
    shift: int = 4

    def __post_init__(self) -> None:
        shape = _as_image_shape(self.input_shape)
        object.__setattr__(self, "input_shape", shape)
        if not isinstance(self.flip, bool):
            raise InputError(f"flip is {self.flip!r:.60}; expected True or False")
        check_count("shift", self.shift, 0)
        if not self.flip and not self.shift:
            raise InputError("flip is False and shift 0, which changes no image; leave the augmentation out")
        if self.shift and self.shift >= min(shape[:2]):
            raise InputError(
                f"shift is {self.shift}, but the images have the shape {shape}; expected fewer pixels than both sides"
            )

    @property
    def size(self) -> int:
        """n_x, the inputs of an image."""
        return math.prod(self.input_shape)

    def __call__(self, rows: Float[AnyArray, "m n_x"], *, key: PRNGKeyArray) -> Float[Array, "m n_x"]:
        """The images, one a row, as drawn from the key."""
        m, (height, width) = len(rows), self.input_shape[:2]
        flip_key, shift_key = jax.random.split(key)
        y, x = (jnp.arange(side, dtype=jnp.int32)[None] for side in (height, width))
        if self.flip:
            x = jnp.where(jax.random.bernoulli(flip_key, 0.5, (m, 1)), x[:, ::-1], x)
        moves = jax.random.randint(shift_key, (2, m, 1), -self.shift, self.shift + 1, jnp.int32)
        y, x = jnp.clip(y + moves[0], 0, height - 1), jnp.clip(x + moves[1], 0, width - 1)
        images = jnp.asarray(rows).reshape(m, height, width, -1)
        # Image by image, and not by an index over them all: so none leaves its device.
        return jax.vmap(lambda image, y, x: image[y[:, None], x[None, :]])(images, y, x).reshape(m, -1)


@dataclass(frozen=True)
class Views:
    """Rows that hold several views of an example, one after the other, of which each step sees one, drawn from its key.

    So features are augmented that cannot be made inside a compiled step: those of an image, mirrored and moved.
    """

    count: int

    def __call__(self, rows: Float[AnyArray, "m _"], *, key: PRNGKeyArray) -> Float[Array, "m n_x"]:
        """One of the views of each example."""
        m = len(rows)
        which = jax.random.randint(key, (m,), 0, self.count, jnp.int32)
        return jax.vmap(lambda views, one: views[one])(jnp.asarray(rows).reshape(m, self.count, -1), which)


def _as_image_shape(shape: object) -> tuple[int, ...]:
    """The shape of images. Raises `InputError` for any other."""
    sides = tuple(shape) if isinstance(shape, tuple | list) else ()
    is_image = (
        len(sides) in (2, 3) and all(type(side) is int and side > 0 for side in sides) and sides[2:] in ((), (3,))
    )
    if not is_image:
        raise InputError(
            f"input_shape is {shape!r:.60}; expected (height, width) or (height, width, 3): only images are augmented"
        )
    return sides
