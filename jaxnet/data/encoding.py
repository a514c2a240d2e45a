"""Columns of a table as the inputs of a network: numbers as they are, categories one-hot in a fixed order."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..storage import check_fits, listed
from ..text import counted
from .tables import MOST_COLUMNS, Cells, as_numbers, as_texts, is_text


MOST_CATEGORIES = 256  # of one column, each of which is an input
SMALLEST_SPREAD = 1e-30  # standard deviation of a column, near the end of float32
DIGITS_LOST = 1e-3  # of a standard deviation, that float32 may round away


class Column(NamedTuple):
    """An input column: of numbers, one input; or of categories, as many inputs as there are, of which one is 1."""

    name: str
    categories: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs: age, or city=Oslo, city=Rome."""
        return tuple(f"{self.name}={category}" for category in self.categories) or (self.name,)


class Table(NamedTuple):
    """What the columns of a table mean to a network, which is saved with it.

    Args:
        columns: The input columns in order.
        labels: The names of the columns to predict.

    Example:
        >>> columns = jaxnet.data.Column("age"), jaxnet.data.Column("city", ("Oslo", "Rome"))
        >>> table = jaxnet.data.Table(columns, ("price",))
        >>> table.inputs
        ('age', 'city=Oslo', 'city=Rome')
    """

    columns: tuple[Column, ...]
    labels: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs of layer 1, in order."""
        return tuple(name for column in self.columns for name in column.inputs)

    def as_json(self) -> dict[str, Any]:
        """Lists and texts, which `table_of` reads."""
        return {"columns": [[c.name, list(c.categories)] for c in self.columns], "labels": list(self.labels)}


def table_of(stored: Any, n_x: int) -> Table:
    """The table from lists and texts. Raises `InputError` where they are not those of one with `n_x` inputs.

    Example:
        >>> jaxnet.data.table_of({"columns": [["age", []], ["city", ["Oslo", "Rome"]]], "labels": ["price"]}, 3).inputs
        ('age', 'city=Oslo', 'city=Rome')
    """
    is_pair = isinstance(stored, dict) and set(stored) == {"columns", "labels"}
    columns, labels = (stored["columns"], stored["labels"]) if is_pair else (None, None)
    if not is_pair or not isinstance(columns, list) or not _are_names(labels) or not labels:
        raise InputError(f"table says {stored!r:.99}; expected the columns of a table and the names of its labels")
    for column in columns:
        if not (isinstance(column, list) and len(column) == 2 and _are_names([column[0]]) and _are_texts(column[1])):
            raise InputError(f"table has the column {column!r:.99}; expected a name and a list of categories")
    table = Table(tuple(Column(name, tuple(categories)) for name, categories in columns), tuple(labels))
    if not _are_names([*(column.name for column in table.columns), *labels]) or len(table.inputs) != n_x:
        raise InputError(
            f"table has {len(table.columns)} columns with {len(table.inputs)} inputs; expected {n_x} inputs, of "
            "columns with different names"
        )
    return table


def _are_names(names: Any) -> bool:
    return _are_texts(names) and all(name and name.isprintable() for name in names)


def _are_texts(texts: Any) -> bool:
    """Different texts in a list."""
    return isinstance(texts, list) and all(isinstance(text, str) for text in texts) and len(set(texts)) == len(texts)


def fit_table(
    path: Path, cells: Mapping[str, Cells], labels: Sequence[str], categories: Sequence[str], drop: Sequence[str]
) -> tuple[Table, tuple[str, ...]]:
    """What every column but the `labels` and those to `drop` is, and notes: what was left out.

    A column is of numbers where all its cells are, and of categories where none is, or where it is named. One that is
    the same in all rows is left out. Raises `InputError` for a column that is neither, has missing values or too many
    categories, and for names of columns that are not there.
    """
    for option, names in (("label", labels), ("categories", categories), ("drop", drop)):
        _check_present(path, option, names, cells)
    twice = [name for name in labels if name in drop or labels.count(name) > 1]
    if twice:
        raise InputError(f"{path}: the label {twice[0]} is named twice, or to be dropped too; expected one of these")
    unclear = [name for name in categories if name in drop]
    if unclear:
        raise InputError(
            f"{path}: the column {unclear[0]} is named for --categories and for --drop; expected one of these"
        )
    used = [name for name in cells if name not in drop]
    check_complete(path, {name: cells[name] for name in used}, droppable=True)
    columns, constant = [], []
    for name in used:
        if name in labels:
            continue
        column, varies = _fit_column(path, name, cells[name], name in categories)
        (columns if varies else constant).append(column)
    if not columns:
        raise InputError(
            f"{path} has the columns {listed(list(cells))}: beside the label, none that varies; expected inputs"
        )
    table = Table(tuple(columns), tuple(labels))
    if len(table.inputs) > MOST_COLUMNS:
        raise InputError(f"{path} makes {len(table.inputs):,} inputs; expected at most {MOST_COLUMNS:,}")
    return table, _notes(table, constant)


def _notes(table: Table, constant: Sequence[Column]) -> tuple[str, ...]:
    """What the columns were taken for, and which were left out."""
    of_categories = sum(bool(column.categories) for column in table.columns)
    of_numbers = len(table.columns) - of_categories
    kinds = [counted(of_numbers, "column") + " of numbers"] * bool(of_numbers)
    kinds += [counted(of_categories, "column") + " of categories"] * bool(of_categories)
    note = f"{counted(len(table.inputs), 'input')} from {' and '.join(kinds)}"
    names = listed([column.name for column in constant])
    return (note, f"left out, since all rows are the same there: {names}") if constant else (note,)


def _check_present(path: Path, option: str, names: Sequence[str], cells: Mapping[str, Cells]) -> None:
    absent = [name for name in names if name not in cells]
    if absent:
        only = list(cells)[0] if len(cells) == 1 else ""
        hint = "; are its columns separated by semicolons? expected commas" if ";" in only else ""
        raise InputError(f"{path} has no column {absent[0]!r:.60} for --{option}; it has {listed(list(cells))}{hint}")


def check_complete(path: Path | str, cells: Mapping[str, Cells], droppable: bool = False) -> None:
    """Raises `InputError` for columns of other types than numbers and text, and where values are missing."""
    for column in cells.values():
        if column.problem:
            raise InputError(f"{column.problem}{'; leave it out, --drop' * droppable}")
    found = {name: np.flatnonzero(column.missing) for name, column in cells.items()}
    gaps = [f"{name:.60} ({len(rows):,}, the first in row {rows[0] + 1})" for name, rows in found.items() if len(rows)]
    if gaps:
        remedy = "fill them in, or leave out those rows" + ", or leave out a column with --drop" * droppable
        raise InputError(f"{path} has missing values in {listed(gaps)}; {remedy}")


def _fit_column(path: Path, name: str, cells: Cells, is_category: bool) -> tuple[Column, bool]:
    """The column, and whether it varies."""
    if not is_category and not is_text(cells):
        hint = f"correct it, take the column as categories, --categories {name}, or leave it out, --drop {name}"
        numbers = as_numbers(path, name, cells, hint)
        spread = float(np.std(numbers))
        lost = float(np.abs(numbers - numbers.astype(np.float32)).max())
        if np.ptp(numbers) > 0 and is_rounded_away(spread, lost):
            raise InputError(
                f"{path}: column {name} lies between {numbers.min():.12g} and {numbers.max():.12g}, and float32 would "
                f"round by up to {lost:.2g} what varies by {spread:.2g}; subtract a constant from it, or choose a "
                "smaller unit"
            )
        return Column(name), bool(np.ptp(numbers) > 0)
    texts = as_texts(path, name, cells).texts
    m = len(cells.missing)
    if len(texts) > MOST_CATEGORIES or (2 * len(texts) > m and len(texts) > 10):
        raise InputError(
            f"{path}: column {name} has {len(texts):,} different values in {m:,} rows, such as {texts[0]!r:.60}; "
            f"expected numbers, or at most {MOST_CATEGORIES} categories with two rows each: leave it out, --drop {name}"
        )
    return Column(name, texts), len(texts) > 1


def is_rounded_away(spread: float, lost: float) -> bool:
    """Whether float32, which rounds numbers by up to `lost`, leaves too little of their standard deviation.

    Example:
        >>> jaxnet.data.is_rounded_away(spread=1.0, lost=1e-7), jaxnet.data.is_rounded_away(spread=1.0, lost=0.1)
        (False, True)
    """
    return bool(spread < SMALLEST_SPREAD or lost > DIGITS_LOST * spread)


def encoded(path: Path | str, cells: Mapping[str, Cells], table: Table) -> Float[np.ndarray, "m n_x"]:
    """The rows of inputs, float32. Raises `InputError` for columns that are missing or do not fit."""
    absent = [column.name for column in table.columns if column.name not in cells]
    if absent:
        raise InputError(
            f"{path} lacks the column{'s' * (len(absent) > 1)} {listed(absent)}; it has {listed(list(cells))}"
        )
    check_complete(path, {column.name: cells[column.name] for column in table.columns})
    m = len(next(iter(cells.values())).missing)
    check_fits(path, f"{m:,} rows of {len(table.inputs):,} inputs", 4 * m * len(table.inputs))
    rows, place = np.zeros((m, len(table.inputs)), np.float32), 0
    for column in table.columns:
        if column.categories:
            rows[np.arange(m), place + _places(path, column, as_texts(path, column.name, cells[column.name]))] = 1
        else:
            rows[:, place] = as_numbers(path, column.name, cells[column.name])
        place += len(column.inputs)
    return rows


def _places(path: Path | str, column: Column, cells: Cells) -> np.ndarray:
    """Which of its categories every row has."""
    known = {category: j for j, category in enumerate(column.categories)}
    places = np.array([known.get(text, -1) for text in cells.texts])[cells.codes]
    if (places < 0).any():
        row = int(np.flatnonzero(places < 0)[0])
        raise InputError(
            f"{path}: row {row + 1} of column {column.name} is {cells.texts[cells.codes[row]]!r:.60}, which is not one "
            f"of the categories of training: {listed(column.categories)}"
        )
    return places


def output_names(table: Table | None, n_L: int) -> tuple[str, ...]:
    """The names of the values that a regression predicts: of the table's labels, else y, or y1, y2, ... for several.

    Example:
        >>> jaxnet.data.output_names(None, 2)
        ('y1', 'y2')
    """
    if table is not None:
        return table.labels
    return ("y",) if n_L == 1 else tuple(f"y{k}" for k in range(1, n_L + 1))
