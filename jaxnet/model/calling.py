"""What a model of rows of numbers is asked about, in a call or on the command line, as rows of its inputs."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from ..data import TABLES, Table, array_rows, is_array, read_inputs, read_rows, table_rows
from ..errors import InputError
from ..text import printable


class InputRows(NamedTuple):
    """Rows of inputs, and what they are called in messages."""

    rows: Shaped[np.ndarray, "m n_x"]
    names: Sequence[str]
    one: bool = False  # whether they were given as one example, not as several
    ignored: Sequence[str] = ()  # columns of a file that the model does not know


def are_arrays(inputs: Any) -> bool:
    """Whether the inputs are an array, or a list that begins with one."""
    return is_array(inputs[0] if isinstance(inputs, list | tuple) and inputs else inputs)


def input_rows(inputs: Any, input_shape: tuple[int, ...], table: Table | None) -> InputRows:
    """Rows of an array; or of a file, a mapping or a data frame, for a model that was not trained on images.

    Raises `InputError` for anything else, and for what does not fit the model.
    """
    if are_arrays(inputs):
        rows, one = array_rows(inputs, input_shape)
        check_floats(rows, table)
        return InputRows(rows, [f"example {i}" for i in range(len(rows))], one)
    one, ignored = False, ()
    if isinstance(inputs, str | os.PathLike) and isinstance(os.fspath(inputs), str):
        rows, ignored = file_rows(Path(inputs), input_shape, table)
    elif table is not None:
        rows, one = table_rows(inputs, table)
    else:
        raise InputError(f"{_trained('the model', input_shape, table)}; expected that or an array, got {inputs!r:.60}")
    return InputRows(rows, [f"row {i}" for i in range(1, len(rows) + 1)], one, ignored)


def check_floats(rows: np.ndarray, table: Table | None) -> None:
    """Raises `InputError` for uint8, which is taken for pixels, where the model was trained on a table."""
    if table is not None and rows.dtype == np.uint8:
        raise InputError("the array is uint8, but the model was trained on a table; expected floats")


def file_rows(
    path: Path, input_shape: tuple[int, ...], table: Table | None, name: str = "the model"
) -> tuple[Shaped[np.ndarray, "m n_x"], Sequence[str]]:
    """The rows of inputs in a table or an .npz file, and the names of columns that the model does not know.

    Raises `InputError` for a file of another kind, or that does not fit the model, which messages call `name`.
    """
    if not path.is_file():
        raise InputError(f"{printable(str(path))} is not a file; expected a table or an .npz file of examples")
    suffix = path.suffix.lower()
    if table is not None and suffix in TABLES:
        return read_rows(path, table)
    if table is None and suffix == ".npz":
        return read_inputs(path, input_shape[0]), ()
    raise InputError(f"{_trained(name, input_shape, table)}, got {printable(str(path))}")


def _trained(name: str, input_shape: tuple[int, ...], table: Table | None) -> str:
    if table is not None:
        return f"{name} was trained on a table; expected a {', '.join(TABLES)} file with its columns"
    if len(input_shape) > 1:
        return f"{name} was trained on images of shape {input_shape}; expected a path of a whole data set"
    return (
        f"{name} was trained on columns of {math.prod(input_shape)} numbers, not on images; expected an .npz file of X"
    )
