"""Input preprocessing: rows of pixels or floats become columns of numbers of moderate size."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from .features import Hog


PIXEL_SCALE = 1 / 255  # pixels are whole numbers from 0 to 255
BLOCK = 1024  # rows at a time, and
BLOCK_SIZE = 2**24  # at most this many numbers
SMALLEST_VARIANCE = 1e-12  # of the mean square; below, an input is constant up to roundoff


class Preprocessing(NamedTuple):
    """x = pixel_scale * pixel for pixels, x itself for floats; its features; then (x - mean) / std, where fitted.

    Args:
        pixel_scale: The factor on uint8 pixels. Default: 1/255.
        mean: `(n_x, 1)`, subtracted. Default: None, which standardises nothing.
        std: `(n_x, 1)`, divided by. Default: None.
        features: What takes the place of an image's pixels, which the network never sees. Default: None, the pixels.

    Example:
        >>> jaxnet.Preprocessing().columns(np.array([[0, 51], [255, 102]], "uint8"))
        array([[0. , 1. ],
               [0.2, 0.4]], dtype=float32)
    """

    pixel_scale: float = PIXEL_SCALE
    mean: Float[np.ndarray, "n_x 1"] | None = None  # of the training examples, as std
    std: Float[np.ndarray, "n_x 1"] | None = None
    features: Hog | None = None

    def columns(self, rows: Shaped[np.ndarray, "m pixels"], dtype: str = "float32") -> Float[np.ndarray, "n_x m"]:
        """The rows, uint8 pixels or floats, as X, `(n_x, m)`."""
        if self.features is not None:
            return self.without_features.columns(self.features_of(rows), dtype)
        X = np.asarray(rows, dtype)
        if rows.dtype == np.uint8:
            X = X * X.dtype.type(self.pixel_scale)
        X = X.T
        return X if self.mean is None or self.std is None else (X - self.mean.astype(dtype)) / self.std.astype(dtype)

    def features_of(self, rows: Shaped[np.ndarray, "m pixels"]) -> Shaped[np.ndarray, "m n_x"]:
        """The features of rows of images; the rows themselves where the network sees pixels.

        Raises `InputError` where scikit-image is missing.
        """
        return (
            rows if self.features is None else self.features(Preprocessing(self.pixel_scale).columns(rows, "float64").T)
        )

    @property
    def without_features(self) -> "Preprocessing":
        """What is done to the features themselves."""
        return self._replace(features=None)


def fit_preprocessing(rows: Any) -> Preprocessing:
    """The mean and the standard deviation of every input over all rows `(m, n_x)`, in two passes of blocks.

    An input that never changes is not divided: its std is 1.

    Example:
        >>> fitted = jaxnet.data.fit_preprocessing(np.array([[1.0, 5.0], [3.0, 5.0]], "float32"))
        >>> fitted.mean.T, fitted.std.T
        (array([[2., 5.]], dtype=float32), array([[1., 1.]], dtype=float32))
    """
    m, n_x = rows.shape
    blocks = row_blocks(rows.shape)
    plain, mean, variance = Preprocessing(), np.zeros((n_x, 1)), np.zeros((n_x, 1))
    for part in blocks:
        mean += plain.columns(rows[part], "float64").sum(axis=1, keepdims=True) / m
    for part in blocks:
        variance += np.square(plain.columns(rows[part], "float64") - mean).sum(axis=1, keepdims=True) / m
    varies = variance > SMALLEST_VARIANCE * (variance + mean**2)
    std = np.where(varies, np.sqrt(variance), 1.0)
    return Preprocessing(mean=mean.astype("float32"), std=std.astype("float32"))


def row_blocks(shape: tuple[int, ...]) -> list[slice]:
    """Slices over the rows of an `(m, n_x)` array, each of which takes little memory as floats.

    Example:
        >>> jaxnet.data.row_blocks((2000, 10))
        [slice(0, 1024, None), slice(1024, 2048, None)]
    """
    m, n_x = shape
    length = max(1, min(BLOCK, BLOCK_SIZE // n_x))
    return [slice(i, i + length) for i in range(0, m, length)]
