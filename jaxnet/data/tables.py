"""Tables on disk, CSV and Parquet: columns of numbers or of text, read by pyarrow and bounded before they are read."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ..errors import InputError
from ..storage import check_fits, listed, open_file, refuse


TABLES = (".csv", ".tsv", ".parquet")
MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null"})  # in any case of letters
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+-]?[0-9]+")
LARGEST_WHOLE = 2**53  # beyond, float64 cannot tell one whole number from the next
LARGEST = float(np.finfo(np.float32).max)
BYTES_PER_CELL = 16  # what a cell takes while it is read: a code or a number, and a copy


class Cells(NamedTuple):
    """One column of a table: numbers as a typed file has them, or, with none, the different texts and their places."""

    numbers: Float[np.ndarray, " m"] | None  # NaN where a value is missing
    texts: tuple[str, ...] = ()
    codes: Int[np.ndarray, " m"] = np.zeros(0, int)  # texts[codes[i]] is the text of row i; -1 where it is missing

    @property
    def missing(self) -> Bool[np.ndarray, " m"]:
        """Whether a row has no value here."""
        return self.codes < 0 if self.numbers is None else np.isnan(self.numbers)


def read_cells(path: Path) -> dict[str, Cells]:
    """The columns of a .csv, .tsv or .parquet file by name, in the file's order.

    Names and texts lose the blanks around them. Raises `InputError` for a file that is not such a table, is not UTF-8,
    has a name twice, has rows of different lengths, or has no rows.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise InputError("reading tables needs pyarrow: pip install 'jaxnet[tables]'") from error
    kind = "a Parquet table" if path.suffix.lower() == ".parquet" else "a CSV table in UTF-8"
    try:
        table = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
        names = [name.strip() for name in table.column_names]
        _check_names(path, names)
        if table.num_rows == 0:
            raise InputError(f"{path} has the columns {listed(names)}, but no rows; expected a table of examples")
        return {name: _cells(path, name, column) for name, column in zip(names, table.columns, strict=True)}
    except InputError:
        raise
    except Exception as error:  # damaged files can fail in any way
        refuse(path, kind, error)


def as_numbers(path: Path, name: str, cells: Cells, hint: str = "correct it") -> Float[np.ndarray, " m"]:
    """The column as float64. Raises `InputError` for a cell of text, with the hint, and for numbers out of range."""
    if cells.numbers is None:
        strange = [i for i, text in enumerate(cells.texts) if not NUMBER.fullmatch(text)]
        if strange:
            row = int(np.flatnonzero(np.isin(cells.codes, strange))[0])
            others = len(cells.codes) - np.count_nonzero(np.isin(cells.codes, strange))
            raise InputError(
                f"{path}: row {row + 1} of column {name} is {cells.texts[cells.codes[row]]!r:.60}, and {others:,} rows "
                f"have numbers there; expected numbers only: {hint}"
            )
        values = np.array([float(text) for text in cells.texts] or [np.nan])
        whole = np.array([WHOLE.fullmatch(text) is not None for text in cells.texts] or [False])
        numbers, whole = values[cells.codes], whole[cells.codes]
    else:
        numbers, whole = cells.numbers, cells.numbers == np.round(cells.numbers)
    _check_range(path, name, numbers, np.abs(numbers) > LARGEST, "numbers that float32 can hold, of at most 3.4e38")
    huge = "whole numbers of at most 2^53; is it an identifier? leave it out, --drop, or take it as --categories"
    _check_range(path, name, numbers, whole & (np.abs(numbers) > LARGEST_WHOLE), huge)
    return numbers


def is_text(cells: Cells) -> bool:
    """Whether no cell of the column is a number."""
    return cells.numbers is None and not any(map(NUMBER.fullmatch, cells.texts))


def as_texts(cells: Cells) -> Cells:
    """The column as texts, in the order in which people count: numbers by size, then words by their letters."""
    if cells.numbers is not None:
        found, places = np.unique(cells.numbers, return_inverse=True)
        texts = tuple(str(int(x)) if x == np.round(x) else repr(float(x)) for x in found)
        return Cells(None, texts, places.reshape(-1))
    order = sorted(range(len(cells.texts)), key=lambda i: _counted(cells.texts[i]))
    rank = np.argsort(order) if order else np.zeros(1, int)
    codes = np.where(cells.codes < 0, -1, rank[cells.codes])
    return Cells(None, tuple(cells.texts[i] for i in order), codes)


def _counted(text: str) -> tuple[bool, float, str]:
    is_number = NUMBER.fullmatch(text) is not None
    return not is_number, float(text) if is_number else 0.0, text


def _check_range(path: Path, name: str, numbers: np.ndarray, outside: np.ndarray, expected: str) -> None:
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(f"{path}: row {row + 1} of column {name} is {numbers[row]:g}; expected {expected}")


def _check_names(path: Path, names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if not name or not name.isprintable():
            raise InputError(f"{path}: a column has the name {name!r:.60}; expected a header of printable names")
        if times > 1:
            raise InputError(f"{path} has {times} columns of the name {name:.60}; expected one of each")


def _read_csv(path: Path) -> Any:
    """All columns as text, so that what a cell means does not depend on the cells before it."""
    import pyarrow as pa
    from pyarrow import csv

    open_file(path).close()
    size = os.path.getsize(path)
    check_fits(path, "the table", 2 * size)
    if not size:
        raise InputError(f"{path} is empty; expected a header of column names, and rows")
    parse = csv.ParseOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True)
    read = csv.ReadOptions(use_threads=False)  # errors then name the row
    with csv.open_csv(path, read_options=read, parse_options=parse) as reader:
        names = reader.schema.names
    text = dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string()))
    convert = csv.ConvertOptions(column_types=text, strings_can_be_null=False)
    return csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)


def _read_parquet(path: Path) -> Any:
    """Texts stay dictionaries: a small file may repeat a long one a million times."""
    import pyarrow as pa
    from pyarrow import parquet

    with open_file(path) as file:
        with parquet.ParquetFile(file) as opened:
            shape, schema = (opened.metadata.num_rows, opened.metadata.num_columns), opened.schema_arrow
        check_fits(path, f"{shape[0]:,} rows of {shape[1]:,} columns", shape[0] * shape[1] * BYTES_PER_CELL)
        for field in schema:
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            if not _is_plain(pa.types, kind):
                raise InputError(
                    f"{path}: column {field.name:.60} is {field.type!s:.60}; expected numbers, true and false, or text"
                )
        file.seek(0)
        texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        with parquet.ParquetFile(file, read_dictionary=texts) as opened:
            return opened.read(use_threads=False)


def _is_plain(types: Any, kind: Any) -> bool:
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return is_number or types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind)


def _cells(path: Path, name: str, column: Any) -> Cells:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.string())
    elif not pa.types.is_dictionary(kind) and not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        numbers = column.cast(pa.float64(), safe=False).to_numpy().astype(float)
        if np.isinf(numbers).any():
            raise InputError(f"{path}: column {name} has infinite values; expected finite numbers")
        return Cells(numbers)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(int)
    words = encoded.dictionary.cast(pa.string()).to_pylist()
    return _trimmed(codes, ["" if word is None else word.strip() for word in words])


def _trimmed(codes: np.ndarray, words: list[str]) -> Cells:
    """The texts that rows have, each once, and -1 for those that mean a missing value."""
    used = np.unique(codes[codes >= 0])
    places: dict[str, int] = {}
    new = np.full(len(words) + 1, -1)  # its last entry is the place of -1
    for code in used.tolist():
        word = words[code]
        if word.lower() not in MISSING:
            new[code] = places.setdefault(word, len(places))
    return Cells(None, tuple(places), new[codes])
