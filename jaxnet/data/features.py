"""Features: what a network may be given in the place of pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from ..errors import InputError


SMALLEST_SIDE, LARGEST_SIDE = 8, 4096  # of an image, in pixels
MOST_CELLS, MOST_ORIENTATIONS = 8, 64  # a file may be hostile: these bound what reading its features takes
CELLS_ACROSS = (8, 4)  # the cells of `hog_of`, fine and coarse, on the smaller side
BLOCK = 2  # cells, on each side


@dataclass(frozen=True)
class Hog:
    """Histograms of oriented gradients (Dalal & Triggs 2005), by scikit-image's `hog`, for each side of cells in turn.

    An image is divided into cells of c x c pixels. A cell's histogram counts, by direction, how much brightness changes
    in its pixels; blocks of 2 x 2 cells, which overlap, are normalised ("L2-Hys"). So light and colour matter little,
    outlines much, and an outline may move within its cell.

    Args:
        input_shape: `(height, width)` or `(height, width, 3)` of the images, from 8 to 4096 pixels a side.
        cells: The sides of the cells in pixels: 1 to 8 numbers, each at most half of the image's smaller side.
        orientations: The number of directions, 1 to 64. Default: 9.

    Raises:
        InputError: for anything else.

    Example:
        >>> hog = jaxnet.data.Hog((16, 16), cells=(8,))
        >>> hog.size, hog(np.eye(16, dtype="float32").reshape(1, 256)).shape
        (36, (1, 36))
    """

    input_shape: Sequence[int]  # kept as a tuple, as `cells`
    cells: Sequence[int]
    orientations: int = 9

    def __post_init__(self) -> None:
        for name in ("input_shape", "cells"):
            given = getattr(self, name)
            if not isinstance(given, tuple | list) or not all(type(n) is int for n in given):
                raise InputError(f"{name} is {given!r:.99}; expected whole numbers")
            object.__setattr__(self, name, tuple(given))
        shape, cells = self.input_shape, self.cells
        sides = shape[:2]
        if len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
            raise InputError(f"features are of images, (height, width) or (height, width, 3), but inputs are {shape}")
        if not SMALLEST_SIDE <= min(sides) <= max(sides) <= LARGEST_SIDE:
            raise InputError(
                f"images are {shape}; expected {SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side, for features"
            )
        if not 1 <= len(cells) <= MOST_CELLS or not all(1 <= cell <= min(sides) // BLOCK for cell in cells):
            raise InputError(
                f"cells is {cells!r:.99}; expected 1 to {MOST_CELLS} sides of 1 to {min(sides) // BLOCK} pixels, "
                f"{BLOCK} of which fit into an image of {shape}"
            )
        if type(self.orientations) is not int or not 1 <= self.orientations <= MOST_ORIENTATIONS:
            raise InputError(f"orientations is {self.orientations!r:.99}; expected 1 to {MOST_ORIENTATIONS}")

    @property
    def size(self) -> int:
        """The number of features of an image."""
        blocks = (math.prod(side // cell - BLOCK + 1 for side in self.input_shape[:2]) for cell in self.cells)
        return sum(blocks) * BLOCK**2 * self.orientations

    def __call__(self, rows: Shaped[np.ndarray, "m pixels"]) -> Float[np.ndarray, "m features"]:
        """The float32 features of images: one a row, flattened, in floats from 0 to 1.

        Raises `InputError` where scikit-image is missing.
        """
        try:
            from skimage.feature import hog
        except ImportError as error:
            raise InputError("features need scikit-image: pip install 'jaxnet[features]'") from error
        features = np.empty((len(rows), self.size), np.float32)
        options = {"cells_per_block": (BLOCK, BLOCK), "channel_axis": -1 if len(self.input_shape) == 3 else None}
        for i, row in enumerate(rows):
            # In float64, as in float32 a direction between two bins falls into either.
            image = np.asarray(row, np.float64).reshape(self.input_shape)
            parts = [hog(image, self.orientations, (cell, cell), **options) for cell in self.cells]
            features[i] = np.concatenate(parts)
        return features


def hog_of(input_shape: Sequence[int]) -> Hog:
    """The features of `--features hog`: cells of an eighth and of a quarter of the smaller side; 2,088 of 64 x 64.

    Raises `InputError` for inputs that are not images of 8 pixels a side or more.

    Example:
        >>> jaxnet.data.hog_of((64, 64, 3))
        Hog(input_shape=(64, 64, 3), cells=(8, 16), orientations=9)
    """
    side = min(input_shape[:2])
    return Hog(input_shape, tuple(max(1, side // across) for across in CELLS_ACROSS))
