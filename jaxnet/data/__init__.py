"""Images and arrays in: every source becomes rows of pixels or floats, and integer labels."""

import os
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from .arrays import is_idx as is_idx, load_faces, load_h5, load_idx, load_npz
from .examples import (
    Dataset as Dataset,
    Examples as Examples,
    Images as Images,
    MappedRows as MappedRows,
    held_out as held_out,
    targets as targets,
)
from .features import Hog as Hog, hog_of as hog_of
from .folders import SUFFIXES as SUFFIXES, is_of_the_system as is_of_the_system
from .images import quiet_decoders as quiet_decoders, read_pixels as read_pixels, try_image as try_image
from .photographs import load_photographs
from .prefetch import prefetched as prefetched
from .preprocessing import (
    PIXEL_SCALE as PIXEL_SCALE,
    Preprocessing as Preprocessing,
    fit_preprocessing as fit_preprocessing,
    row_blocks as row_blocks,
)


EXPECTED = "an .h5 or .npz file, a folder of images or a folder of MNIST idx files"


def load_dataset(
    path: Path | None,
    *,
    test_fraction: float,
    seed: int,
    size: int = 64,
    grey: bool = False,
    cache: Path | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> Dataset:
    """The dataset at `path`, with a training part and a test part.

    Args:
        path: The course's .h5 file, an .npz file of X and Y, a folder of images, or a folder of MNIST's idx files. None
            stands for `load_faces`.
        test_fraction: The share of each class that is held out where a source has no test examples of its own, between
            0 and 1.
        seed: Determines which examples are held out.
        size: Images of a folder are resized to `size` x `size` pixels. Default: 64.
        grey: Whether images of a folder are converted to grey. Default: False.
        cache: The folder in which decoded images are kept. Default: JAXNET_CACHE, or else the user's cache folder.
        on_image: `on_image(done, total)` is called while images are decoded.

    Raises:
        InputError: for anything that cannot be used.

    Example:
        >>> import pathlib
        >>> path = pathlib.Path("points.npz")
        >>> np.savez(path, X=np.eye(2, 8, dtype="float32"), Y=np.arange(8) % 2)
        >>> dataset = jaxnet.data.load_dataset(path, test_fraction=0.25, seed=0)
        >>> dataset.train.rows.shape, dataset.test.labels.shape, dataset.classes
        ((6, 2), (2,), ('0', '1'))
    """
    if not 0 < test_fraction < 1:
        raise InputError(f"the test fraction is {test_fraction}; expected a number between 0 and 1")
    if path is None:
        return load_faces(test_fraction=test_fraction, seed=seed)
    if not os.path.exists(path):
        raise InputError(f"{path} does not exist; expected {EXPECTED}")
    if path.is_dir():
        if is_idx(path):
            return load_idx(path)
        return load_photographs(
            path, test_fraction=test_fraction, seed=seed, size=size, grey=grey, cache=cache, on_image=on_image
        )
    loaders = {".h5": load_h5, ".hdf5": load_h5, ".npz": load_npz}
    if path.suffix.lower() not in loaders:
        raise InputError(f"{path} ends in {path.suffix!r}; expected {EXPECTED}")
    return loaders[path.suffix.lower()](path, test_fraction=test_fraction, seed=seed)
