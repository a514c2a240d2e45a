"""A table file with named label columns as a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ..errors import InputError
from ..storage import listed
from ..text import printable
from .encoding import Table, check_complete, encoded, fit_table
from .examples import Dataset, Examples, fingerprint_of, held_out, regression_targets
from .tables import Cells, as_numbers, as_texts, is_text, read_cells


MOST_WHOLE_CLASSES = 20  # so many different whole numbers are taken for classes; more are regression targets
MOST_CLASSES = 1000

Labels = tuple[Int[np.ndarray, " m"] | Float[np.ndarray, "m n_L"], tuple[str, ...], str]  # values, classes, a note


def load_table(
    path: Path,
    *,
    labels: str | Sequence[str],
    test_fraction: float | None,
    seed: int,
    regression: bool | None = None,
    categories: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> Dataset:
    """The rows of a .csv, .tsv or .parquet file, with the column `labels` to predict and all others as inputs.

    A label of text, or of at most 20 different whole numbers, is of classes; other numbers, and several labels, are
    regression targets. An input column of numbers is one input; one of text is an input for each of its values in the
    file, of which the row's is 1. Columns that are the same in all rows are left out.

    Args:
        path: The file. The first line of a .csv or .tsv file has the names of the columns.
        labels: The names of the columns to predict, or the one name.
        test_fraction: The share of the rows, or of each class, that is held out, between 0 and 1.
        seed: Determines which.
        regression: Whether the labels are regression targets. Default: None, by the rule above.
        categories: Columns of numbers that name categories, such as codes; a label among them is of classes. Default:
            none.
        drop: Columns to leave out, such as identifiers. Default: none.

    Raises:
        InputError: for a file that is not a table, missing values, text among numbers, and whatever else cannot be
            used, with the column and the row, counted from 1 below the names.

    Example:
        >>> import pathlib
        >>> path = pathlib.Path("flats.csv")
        >>> _ = path.write_text("rooms,city,price\\n2,Rome,1.5\\n3,Oslo,2.5\\n1,Rome,0.5\\n4,Oslo,3\\n")
        >>> dataset = jaxnet.data.load_table(path, labels=["price"], test_fraction=0.25, seed=0)
        >>> dataset.table.inputs, dataset.classes, dataset.test.labels.shape
        (('rooms', 'city=Oslo', 'city=Rome'), (), (1, 1))
    """
    description = printable(str(path))
    labels, categories, drop = ([names] if isinstance(names, str) else names for names in (labels, categories, drop))
    cells = read_cells(path)
    if not labels:
        raise InputError(f"{path} is a table: name the column to predict, --label; it has {listed(list(cells))}")
    table, notes = fit_table(path, cells, labels, categories, drop)
    is_category = any(name in categories for name in labels)
    values, classes, note = _labels(path, {name: cells[name] for name in labels}, regression, is_category)
    rows = encoded(path, cells, table)
    examples = Examples(rows, values, _row_names(len(rows)))
    try:
        is_test = held_out(values, classes, test_fraction, seed)
    except InputError as error:
        hint = "; --loss squared_error takes numbers as regression targets" if not is_text(cells[labels[0]]) else ""
        raise InputError(f"{path}: {error}{hint}") from error
    train, test = examples.take(~is_test), examples.take(is_test)
    shape = (len(table.inputs),)
    fingerprint = fingerprint_of(train, test, classes, shape, repr(table))
    notes = (note, *notes, *_unseen(train, table))
    return Dataset(description, train, test, classes, shape, fingerprint, notes, table)


def labelled_rows(path: Path, table: Table, classes: Sequence[str]) -> Examples:
    """All rows of a table file with their labels, encoded as the `table` that a model was trained on says.

    Raises `InputError` for columns or labels that are missing, and for a class that is not among `classes`.

    Example:
        >>> import pathlib
        >>> path = pathlib.Path("more.csv")
        >>> _ = path.write_text("age,likes\\n30,yes\\n41,no\\n")
        >>> table = jaxnet.data.Table((jaxnet.data.Column("age"),), ("likes",))
        >>> jaxnet.data.labelled_rows(path, table, ("no", "yes")).labels
        array([1, 0])
    """
    cells = read_cells(path)
    absent = [name for name in table.labels if name not in cells]
    if absent:
        raise InputError(f"{path} has no column {absent[0]!r:.60} of labels; it has {listed(list(cells))}")
    rows = encoded(path, cells, table)
    check_complete(path, {name: cells[name] for name in table.labels})
    names = _row_names(len(rows))
    if not classes:
        return Examples(rows, _regression_targets(path, {name: cells[name] for name in table.labels}), names)
    name = table.labels[0]
    texts = as_texts(path, name, cells[name])
    strange = [text for text in texts.texts if text not in classes]
    if strange:
        raise InputError(
            f"{path}: the label {name} is {strange[0]!r:.60} in some row, which is not one of the classes of "
            f"training: {listed(classes)}"
        )
    return Examples(rows, np.array([classes.index(text) for text in texts.texts])[texts.codes], names)


def load_table_as(
    path: Path, table: Table, classes: Sequence[str], *, test_fraction: float | None, seed: int
) -> Dataset:
    """A table file as `load_table` has it, but with the columns and the classes that a model was trained on.

    Raises `InputError` where columns or labels are missing, or do not fit.

    Example:
        >>> import pathlib
        >>> path = pathlib.Path("more.csv")
        >>> _ = path.write_text("age,likes\\n30,yes\\n41,no\\n")
        >>> table = jaxnet.data.Table((jaxnet.data.Column("age"),), ("likes",))
        >>> jaxnet.data.load_table_as(path, table, ("no", "yes"), test_fraction=None, seed=0).train.labels
        array([1, 0])
    """
    examples = labelled_rows(path, table, classes)
    is_test = held_out(examples.labels, classes, test_fraction, seed)
    train, test, shape = examples.take(~is_test), examples.take(is_test), (len(table.inputs),)
    fingerprint = fingerprint_of(train, test, classes, shape, repr(table))
    return Dataset(printable(str(path)), train, test, tuple(classes), shape, fingerprint, table=table)


def _labels(path: Path, cells: Mapping[str, Cells], regression: bool | None, is_category: bool) -> Labels:
    """What is to be predicted; its classes, or none."""
    name, column = next(iter(cells.items()))
    if is_category and regression:
        raise InputError(
            f"{path}: a label, {listed(list(cells))}, is named for --categories, but --loss squared_error takes labels "
            "as regression targets; expected one of these"
        )
    if len(cells) > 1:
        if regression is False or is_category:
            raise InputError(f"{path}: there are {len(cells)} labels, {listed(list(cells))}; expected one of classes")
        note = f"{listed(list(cells))}: regression targets, predicted by squared error"
        return _regression_targets(path, cells), (), note
    if is_category or (is_text(column) and not regression):
        return _classes(path, name, column, f"{name}: {{}} classes")
    found = np.unique(as_numbers(path, name, column))
    is_whole = bool((found == np.round(found)).all())
    if regression is None:
        regression = not is_whole or len(found) > MOST_WHOLE_CLASSES
    if regression:
        return _regression_targets(path, cells), (), f"{name}: a regression target, predicted by squared error"
    if not is_whole:
        fraction = found[found != np.round(found)][0]
        raise InputError(
            f"{path}: the label {name} is {fraction:g} in some row; expected whole numbers or text for classes; "
            "--loss squared_error takes numbers as regression targets"
        )
    text = f"{name}: {{}} different whole numbers, taken as classes; --loss squared_error takes them as targets"
    return _classes(path, name, column, text)


def _classes(path: Path, name: str, cells: Cells, note: str) -> Labels:
    column = as_texts(path, name, cells)
    if not 2 <= len(column.texts) <= MOST_CLASSES or not all(text.isprintable() for text in column.texts):
        raise InputError(
            f"{path}: the label {name} has {len(column.texts):,} different values, such as {column.texts[0]!r:.60}; "
            f"expected 2 to {MOST_CLASSES:,} classes with printable names, or numbers"
        )
    return column.codes, column.texts, note.format(len(column.texts))


def _regression_targets(path: Path, cells: Mapping[str, Cells]) -> Float[np.ndarray, "m n_L"]:
    columns = [as_numbers(path, name, column) for name, column in cells.items()]
    return regression_targets(str(path), np.stack(columns), len(columns[0]))


def _row_names(m: int) -> tuple[str, ...]:
    return tuple(f"row {i}" for i in range(1, m + 1))


def _unseen(train: Examples, table: Table) -> tuple[str, ...]:
    """A note on inputs of which the training rows say nothing."""
    same = np.flatnonzero(np.ptp(train.rows[:], axis=0) == 0)
    names = [table.inputs[j] for j in same]
    return (f"the same in all rows to train on, so that nothing is learnt of it: {listed(names)}",) if names else ()
