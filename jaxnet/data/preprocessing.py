"""What a network is fed: rows of pixels or floats, as columns of numbers of a moderate size."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped


PIXEL_SCALE = 1 / 255  # pixels are whole numbers from 0 to 255
BLOCK = 1024  # rows at a time, and
BLOCK_SIZE = 2**24  # no more numbers than that
SMALLEST_VARIANCE = 1e-12  # below, an input is a constant and rounding


class Preprocessing(NamedTuple):
    """x = pixel_scale * pixel, floats stay as they are; then (x - mean) / std, where those were fitted."""

    pixel_scale: float = PIXEL_SCALE
    mean: Float[np.ndarray, "n_x 1"] | None = None  # of the training examples, as std
    std: Float[np.ndarray, "n_x 1"] | None = None

    def columns(self, rows: Shaped[np.ndarray, "m n_x"], dtype: str = "float32") -> Float[np.ndarray, "n_x m"]:
        """The rows, uint8 pixels or floats, as X."""
        X = np.asarray(rows, dtype)
        if rows.dtype == np.uint8:
            X = X * X.dtype.type(self.pixel_scale)
        X = X.T
        return X if self.mean is None or self.std is None else (X - self.mean.astype(dtype)) / self.std.astype(dtype)


def fit_preprocessing(rows: Any) -> Preprocessing:
    """The mean and the standard deviation of every input over all rows, in two passes of blocks.

    An input that never changes is left in place: its std is 1.
    """
    m, n_x = rows.shape
    blocks = row_blocks(rows.shape)
    plain, mean, variance = Preprocessing(), np.zeros((n_x, 1)), np.zeros((n_x, 1))
    for part in blocks:
        mean += plain.columns(rows[part], "float64").sum(axis=1, keepdims=True) / m
    for part in blocks:
        variance += np.square(plain.columns(rows[part], "float64") - mean).sum(axis=1, keepdims=True) / m
    std = np.where(variance > SMALLEST_VARIANCE, np.sqrt(variance), 1.0)
    return Preprocessing(mean=mean.astype("float32"), std=std.astype("float32"))


def row_blocks(shape: tuple[int, ...]) -> list[slice]:
    """All rows of (m, n_x) in parts that take little memory as floats."""
    m, n_x = shape
    length = max(1, min(BLOCK, BLOCK_SIZE // n_x))
    return [slice(i, i + length) for i in range(0, m, length)]
