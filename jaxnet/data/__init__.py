"""Images and arrays in: every source becomes rows of pixels or floats, and integer labels."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import InputError
from .arrays import is_idx as is_idx, load_faces, load_h5, load_idx, load_npz, read_inputs as read_inputs
from .encoding import (
    Column as Column,
    Table as Table,
    is_rounded_away as is_rounded_away,
    output_names as output_names,
    table_of as table_of,
)
from .examples import (
    Dataset as Dataset,
    Examples as Examples,
    Images as Images,
    MappedRows as MappedRows,
    held_out as held_out,
    regression_targets as regression_targets,
    targets as targets,
)
from .features import Hog as Hog, hog_of as hog_of
from .folders import SUFFIXES as SUFFIXES, is_of_the_system as is_of_the_system
from .images import (
    image_name as image_name,
    read_image as read_image,
    try_image as try_image,
)
from .inputs import (
    array_rows as array_rows,
    decode_images as decode_images,
    is_array as is_array,
    named_images as named_images,
)
from .photographs import load_photographs
from .prefetch import prefetched as prefetched
from .preprocessing import (
    PIXEL_SCALE as PIXEL_SCALE,
    Preprocessing as Preprocessing,
    fit_preprocessing as fit_preprocessing,
    row_blocks as row_blocks,
)
from .records import read_rows as read_rows, table_rows as table_rows
from .table_dataset import labelled_rows as labelled_rows, load_table as load_table, load_table_as as load_table_as
from .tables import TABLES as TABLES
from .threads import quiet_decoders as quiet_decoders


EXPECTED = "an .h5 or .npz file, a folder of images or a folder of MNIST idx files, or a .csv, .tsv or .parquet table"


def load_dataset(
    path: Path | None,
    *,
    test_fraction: float | None,
    seed: int,
    size: int = 64,
    grey: bool = False,
    exact_decoding: bool = False,
    cache: Path | None = None,
    on_image: Callable[[int, int], None] | None = None,
    regression: bool | None = None,
    labels: Sequence[str] = (),
    categories: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> Dataset:
    """The dataset at `path`, with a training part and a test part.

    Args:
        path: The course's .h5 file, an .npz file of X and Y, a folder of images, a folder of MNIST's idx files, or a
            table, see `load_table`. None stands for `load_faces`.
        test_fraction: The share of each class that is held out where a source has no test examples of its own, between
            0 and 1; None holds out nothing, so that the test part is empty.
        seed: Determines which examples are held out.
        size: Images of a folder are resized to `size` x `size` pixels. Default: 64.
        grey: Whether images of a folder are converted to grey. Default: False.
        exact_decoding: Whether JPEG files are decoded in full, see `read_image`. Default: False.
        cache: The folder in which decoded images are kept. Default: JAXNET_CACHE, or else the user's cache folder.
        on_image: `on_image(done, total)` is called while images are decoded.
        regression: Whether labels are regression targets. Default: None, from the labels, see `load_npz` and
            `load_table`.
        labels: Of a table, the names of the columns to predict.
        categories: Of a table, columns of numbers that name categories. Default: none.
        drop: Of a table, columns to leave out. Default: none.

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
    if test_fraction is not None and not 0 < test_fraction < 1:
        raise InputError(f"the test fraction is {test_fraction}; expected a number between 0 and 1")
    suffix = "" if path is None else path.suffix.lower()
    if (labels or categories or drop) and suffix not in TABLES:
        raise InputError(f"--label, --categories and --drop are of tables; {path} is not a {', '.join(TABLES)} file")
    if regression and suffix not in (".npz", *TABLES):
        raise InputError(
            f"--loss squared_error takes labels of an .npz file or a table as regression targets; got {path}"
        )
    if path is None:
        return load_faces(test_fraction=test_fraction, seed=seed)
    if not os.path.exists(path):
        raise InputError(f"{path} does not exist; expected {EXPECTED}")
    if path.is_dir():
        if is_idx(path):
            return load_idx(path)
        return load_photographs(
            path,
            test_fraction=test_fraction,
            seed=seed,
            size=size,
            grey=grey,
            exact_decoding=exact_decoding,
            cache=cache,
            on_image=on_image,
        )
    if suffix in TABLES:
        columns = {"labels": labels, "categories": categories, "drop": drop}
        return load_table(path, test_fraction=test_fraction, seed=seed, regression=regression, **columns)
    if suffix == ".npz":
        return load_npz(path, test_fraction=test_fraction, seed=seed, regression=regression)
    if suffix not in (".h5", ".hdf5"):
        raise InputError(f"{path} ends in {path.suffix!r}; expected {EXPECTED}")
    return load_h5(path, test_fraction=test_fraction, seed=seed)
