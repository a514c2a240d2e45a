"""Rows that a model of a table is asked about: of a file, of a mapping or a data frame, or one mapping for each row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..storage import listed
from .encoding import Table, encoded
from .tables import MAPPING, cells_of, frame_columns, read_cells


EXPECTED = (
    "the path of a table, a mapping of the columns' names to a row's values, a list of such, a mapping of the names to "
    "columns, or a data frame"
)


def read_rows(path: Path, table: Table) -> tuple[Float[np.ndarray, "m n_x"], tuple[str, ...]]:
    """The inputs in a table file, by the names of its columns, and the names of columns that are no inputs.

    Example:
        >>> import pathlib
        >>> path = pathlib.Path("new.csv")
        >>> _ = path.write_text("city,age\\nRome,30\\nOslo,41\\n")
        >>> columns = jaxnet.data.Column("age"), jaxnet.data.Column("city", ("Oslo", "Rome"))
        >>> table = jaxnet.data.Table(columns, ("price",))
        >>> jaxnet.data.read_rows(path, table)[0]
        array([[30.,  0.,  1.],
               [41.,  1.,  0.]], dtype=float32)
    """
    cells = read_cells(path)
    known = {*(column.name for column in table.columns), *table.labels}
    return encoded(path, cells, table), tuple(name for name in cells if name not in known)


def table_rows(inputs: Any, table: Table) -> tuple[Float[np.ndarray, "m n_x"], bool]:
    """The inputs in a mapping of names to values, a list of such, a mapping of names to columns, or a data frame.

    And whether they are one row by itself. Columns may have any order, and those of the labels may be there. Raises
    `InputError` for anything else, for columns that are missing or unknown, and for values that do not fit.

    Example:
        >>> columns = jaxnet.data.Column("age"), jaxnet.data.Column("city", ("Oslo", "Rome"))
        >>> table = jaxnet.data.Table(columns, ("price",))
        >>> jaxnet.data.table_rows({"age": 30, "city": "Rome"}, table)
        (array([[30.,  0.,  1.]], dtype=float32), True)
        >>> jaxnet.data.table_rows({"age": [30, 41], "city": ["Rome", "Oslo"]}, table)[0]
        array([[30.,  0.,  1.],
               [41.,  1.,  0.]], dtype=float32)
    """
    columns, one = _columns(inputs)
    cells = cells_of(columns)
    rows = encoded(MAPPING, cells, table)
    known = [*(column.name for column in table.columns), *table.labels]
    unknown = [name for name in cells if name not in known]
    if unknown:
        raise InputError(
            f"{MAPPING} has the column{'s' * (len(unknown) > 1)} {listed(unknown)}, which the model does not know; "
            f"expected {listed([column.name for column in table.columns])}"
        )
    return rows, one


def _columns(inputs: Any) -> tuple[Mapping[Any, Any], bool]:
    """A mapping of names to columns, and whether each was one value."""
    if isinstance(inputs, list | tuple):
        return _transposed(inputs), False
    if hasattr(inputs, "keys") and hasattr(inputs, "__getitem__"):  # pandas has both for a data frame, and for a row
        columns = {name: inputs[name] for name in inputs.keys()}
        single = [name for name, values in columns.items() if not _is_column(values)]
        if single and len(single) == len(columns):
            return {name: [_plain(value)] for name, value in columns.items()}, True
        if single:
            other = next(name for name in columns if name not in single)
            raise InputError(
                f"{MAPPING} has one value in {single[0]!s:.60}, but several in {other!s:.60}; expected one in each, or "
                "columns of the same length"
            )
        return columns, False
    if hasattr(inputs, "__arrow_c_stream__"):
        return frame_columns(inputs), False
    raise InputError(f"the model was trained on a table; expected {EXPECTED}, got {inputs!r:.60}")


def _transposed(rows: Sequence[Any]) -> dict[Any, list[Any]]:
    """The columns of rows, each of which is a mapping with the same names."""
    if not rows:
        raise InputError("the list of rows is empty; expected at least one")
    for i, row in enumerate(rows, start=1):
        if not hasattr(row, "keys"):
            raise InputError(
                f"row {i} of the list of {len(rows)} is {row!r:.60}; expected a mapping of the columns' names to values"
            )
        for name in (*rows[0].keys(), *row.keys()):
            if name not in row.keys() or name not in rows[0].keys():
                has, lacks = (i, 1) if name in row.keys() else (1, i)
                raise InputError(f"row {has} has the column {name!s:.60}, but row {lacks} has not; expected the same")
    return {name: [_plain(row[name]) for row in rows] for name in rows[0].keys()}


def _is_column(values: Any) -> bool:
    return hasattr(values, "__len__") and not isinstance(values, str | bytes) and getattr(values, "ndim", 1) > 0


def _plain(value: Any) -> Any:
    """A number in an array without axes as itself."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
