"""What a network is fed: rows of pixels or floats, as columns of numbers of a moderate size."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped


PIXEL_SCALE = 1 / 255  # pixels are whole numbers from 0 to 255


class Scaling(NamedTuple):
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
