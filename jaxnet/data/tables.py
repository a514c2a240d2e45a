"""Tables on disk, CSV and Parquet: columns of numbers or of text, read by pyarrow and bounded before they are read."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from ..errors import InputError
from ..storage import check_fits, listed, open_file, refuse


TABLES = (".csv", ".tsv", ".parquet")
MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null")  # in any case of letters
BOOLEANS = ("false", "true")  # in any case of letters, which Arrow and pandas choose differently
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
WHOLE = r"^[+-]?[0-9]+$"
LARGEST_WHOLE = 2**53  # beyond, float64 cannot tell one whole number from the next
MOST_COLUMNS = 2**16
LARGEST = 1e30  # differences and squares of larger ones would come near the end of float32
MAPPING = "the table"  # in messages on columns that are not in a file
BYTES_PER_CELL = 16  # what a cell takes while it is read: a code or a number, and a copy
BYTES_PER_BYTE = 8  # of CSV: a digit and its comma become a text with its offset, and a float64
INDEX = r"__index_level_\d+__"  # pandas' names for the columns of an index without a name


class Cells(NamedTuple):
    """One column of a table: numbers, or, where some cells are none, the different texts and the place of each row's.

    A text that is missing has the place -1. With a `problem` there are neither: the column can only be left out.
    """

    numbers: Float[np.ndarray, " m"] | None  # NaN where a value is missing
    texts: tuple[str, ...] = ()
    codes: Int[np.ndarray, " m"] = np.zeros(0, int)
    problem: str = ""
    counted: bool = False  # whether the numbers were written as whole ones

    @property
    def missing(self) -> Bool[np.ndarray, " m"]:
        """Whether a row has no value here."""
        return self.codes < 0 if self.numbers is None else np.isnan(self.numbers)


def read_cells(path: Path) -> dict[str, Cells]:
    """The columns of a .csv, .tsv or .parquet file by name, in the file's order.

    Names and texts lose the blanks around them. Raises `InputError` for a file that is not such a table, is not UTF-8,
    has a name twice or too many, has rows of different lengths, or has no rows.
    """
    _check_installed()
    kind = "a Parquet table" if path.suffix.lower() == ".parquet" else "a CSV table in UTF-8"
    try:
        return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except InputError:
        raise
    except Exception as error:  # damaged files can fail in any way
        refuse(path, kind, error)


def cells_of(columns: Mapping[Any, Any]) -> dict[str, Cells]:
    """The columns of a mapping, as `read_cells` has those of a file. Messages call it `MAPPING`.

    Raises `InputError` for names that are not texts or twice the same, and columns of different lengths, of several
    types, or without values.
    """
    _check_installed()
    strange = [name for name in columns if not isinstance(name, str)]
    if strange:
        raise InputError(f"{MAPPING} has a column of the name {strange[0]!r:.60}; expected texts")
    names = [name.strip() for name in columns]
    _check_names(MAPPING, names)
    arrays = {name: _array(name, values) for name, values in zip(names, columns.values(), strict=True)}
    lengths = {name: len(array) for name, array in arrays.items()}
    for name, length in lengths.items():
        first = lengths[names[0]]
        if length != first:
            raise InputError(
                f"{MAPPING} has {first:,} values in the column {names[0]}, but {length:,} in {name}; expected as many "
                "in each"
            )
    if not any(lengths.values()) and names:
        raise InputError(f"{MAPPING} has the columns {listed(names)}, but no rows; expected at least one")
    return {name: _cells(MAPPING, name, array) for name, array in arrays.items()}


def frame_columns(frame: Any) -> dict[str, Any]:
    """The columns of a data frame that hands them over as Arrow's, such as one of polars, by their names."""
    _check_installed()
    import pyarrow as pa

    table = pa.table(frame)
    _check_names(MAPPING, table.column_names)
    return dict(zip(table.column_names, table.columns, strict=True))


def _array(name: str, values: Any) -> Any:
    """The values of a column as Arrow has them."""
    import pyarrow as pa

    if isinstance(values, Mapping | Set):
        raise InputError(f"{MAPPING}: the column {name} is a {type(values).__name__}; expected a sequence of values")
    try:
        array = pa.array(np.asarray(values) if isinstance(values, jax.Array) else values)
        return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    except Exception as error:  # whatever is in it
        reason = " ".join(str(error).split())
        raise InputError(
            f"{MAPPING}: the column {name} cannot be read: {reason:.200}; expected numbers only, or texts only"
        ) from error


def _check_installed() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise InputError("reading tables needs pyarrow: pip install 'jaxnet[tables]'") from error


def as_numbers(path: Path | str, name: str, cells: Cells, hint: str = "correct it") -> Float[np.ndarray, " m"]:
    """The column as float64. Raises `InputError` for a cell of text, with the hint, and for numbers out of range."""
    if cells.numbers is None:
        strange = [i for i, text in enumerate(cells.texts) if not is_number(text)]
        row = int(np.flatnonzero(np.isin(cells.codes, strange))[0])
        others = len(cells.codes) - np.count_nonzero(np.isin(cells.codes, strange))
        raise InputError(
            f"{path}: row {row + 1} of column {name} is {cells.texts[cells.codes[row]]!r:.60}, and {others:,} rows "
            f"have numbers there; expected numbers only: {hint}"
        )
    _check_numbers(path, name, cells.numbers, np.full(len(cells.numbers), cells.counted))
    return cells.numbers


def is_number(text: str) -> bool:
    """Whether a cell of text is a number."""
    return re.match(NUMBER, text) is not None


def is_text(cells: Cells) -> bool:
    """Whether no cell of the column is a number."""
    return cells.numbers is None and not any(map(is_number, cells.texts))


def as_texts(path: Path | str, name: str, cells: Cells) -> Cells:
    """The column as texts: numbers by their size, and beside words, all by their letters.

    Numbers that are the same are one text, 01 and 1.0 being 1, whatever else the column has. Raises `InputError` for
    numbers out of range, and for whole ones that float64 cannot represent exactly.
    """
    if cells.numbers is not None:
        _check_numbers(path, name, cells.numbers, np.full(len(cells.numbers), cells.counted))
        found, places = np.unique(cells.numbers, return_inverse=True)
        return Cells(None, tuple(map(_number_text, found)), places.reshape(-1))
    numbers = np.array([float(text) if is_number(text) else 0.0 for text in cells.texts] + [0.0])  # and for -1
    counted = np.array([re.match(WHOLE, text) is not None for text in cells.texts] + [False])
    _check_numbers(path, name, numbers[cells.codes], counted[cells.codes])
    texts = [_number_text(x) if is_number(text) else text for x, text in zip(numbers, cells.texts, strict=False)]
    places = {text: i for i, text in enumerate(sorted(set(texts)))}
    return Cells(None, tuple(places), np.array([*map(places.__getitem__, texts), -1])[cells.codes])


def _number_text(x: float) -> str:
    return str(int(x)) if x == np.round(x) else repr(float(x))


def _check_numbers(path: Path | str, name: str, numbers: np.ndarray, counted: Bool[np.ndarray, " m"]) -> None:
    """Raises `InputError` for numbers out of range, and for large ones that were written as whole (`counted`)."""
    _check_range(path, name, numbers, ~(np.abs(numbers) <= LARGEST), "numbers of at most 1e30")
    expected = "whole numbers of at most 2^53; is it an identifier? leave it out, --drop"
    _check_range(path, name, numbers, counted & (np.abs(numbers) > LARGEST_WHOLE), expected)


def _check_range(path: Path | str, name: str, numbers: np.ndarray, outside: np.ndarray, expected: str) -> None:
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(f"{path}: row {row + 1} of column {name} is {numbers[row]:g}; expected {expected}")


def _check_names(path: Path | str, names: Sequence[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise InputError(f"{path} has {len(names):,} columns; expected at most {MOST_COLUMNS:,}")
    for name, times in Counter(names).items():
        is_index = re.fullmatch(INDEX, name) is not None
        if not name or not name.isprintable() or is_index:
            index = "; was it written with an index? pandas leaves it out with index=False" * (is_index or not name)
            raise InputError(f"{path}: a column has the name {name!r:.60}; expected a header of printable names{index}")
        if times > 1:
            raise InputError(f"{path} has {times} columns of the name {name:.60}; expected one of each")


def _check_rows(path: Path, names: Sequence[str], m: int) -> None:
    if m == 0:
        raise InputError(f"{path} has the columns {listed(names)}, but no rows; expected a table of examples")


def _read_csv(path: Path) -> dict[str, Cells]:
    """All columns as text, so that what a cell means does not depend on the cells before it."""
    import pyarrow as pa
    from pyarrow import csv

    open_file(path).close()
    size = os.path.getsize(path)
    check_fits(path, "the table", BYTES_PER_BYTE * size)
    if not size:
        raise InputError(f"{path} is empty; expected a header of column names, and rows")
    parse = csv.ParseOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True)
    read = csv.ReadOptions(use_threads=False)  # errors then name the row
    with csv.open_csv(path, read_options=read, parse_options=parse) as reader:
        header = reader.schema.names
    names = [name.strip() for name in header]
    _check_names(path, names)
    convert = csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
    table = csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    _check_rows(path, names, table.num_rows)
    return {name: _cells(path, name, column) for name, column in zip(names, table.columns, strict=True)}


def _read_parquet(path: Path) -> dict[str, Cells]:
    """Texts stay dictionaries: a small file may repeat a long one a million times. Other types are not read."""
    from pyarrow import parquet

    with open_file(path) as file:
        with parquet.ParquetFile(file) as opened:
            metadata, schema = opened.metadata, opened.schema_arrow
        names, m = [name.strip() for name in schema.names], metadata.num_rows
        _check_names(path, names)
        _check_rows(path, names, m)
        stored = sum(max(0, metadata.row_group(i).total_byte_size) for i in range(metadata.num_row_groups))
        declared = max(m * len(names) * BYTES_PER_CELL, stored)
        check_fits(path, f"{m:,} rows of {len(names):,} columns", declared)
        file.seek(0)
        with parquet.ParquetFile(file, read_dictionary=[f.name for f in schema if _is_string(f.type)]) as opened:
            table = opened.read(columns=[f.name for f in schema if _is_read(f.type)], use_threads=False)
    return {
        name: _cells(path, name, table.column(field.name))
        if _is_read(field.type)
        else _unread(path, name, field.type, m)
        for name, field in zip(names, schema, strict=True)
    }


def _is_string(kind: Any) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def _is_read(kind: Any) -> bool:
    """Whether columns of Arrow's type are numbers, true and false, or text."""
    from pyarrow import types

    is_words = _is_string(kind) or (types.is_dictionary(kind) and _is_string(kind.value_type))
    return is_words or _is_number(kind) or types.is_boolean(kind) or types.is_null(kind)


def _unread(path: Path | str, name: str, kind: Any, m: int) -> Cells:
    problem = f"{path}: column {name} is {kind!s:.60}; expected numbers, true and false, or text"
    return Cells(None, ("",), np.zeros(m, int), problem)


def _cells(path: Path | str, name: str, column: Any) -> Cells:
    import pyarrow as pa

    kind = column.type
    if not _is_read(kind):
        return _unread(path, name, kind, len(column))
    if _is_number(kind):
        numbers = column.cast(pa.float64(), safe=False).to_numpy().astype(float)
        return Cells(numbers, counted=pa.types.is_integer(kind))
    if pa.types.is_dictionary(kind):
        column = column.unify_dictionaries().combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        return _of_words(column.indices.fill_null(-1).to_numpy(zero_copy_only=False), column.dictionary)
    return _of_words(None, column.cast(pa.string()).fill_null(""))


def _of_words(codes: np.ndarray | None, words: Any) -> Cells:
    """Cells from the text of each row, or, with codes, from the different texts."""
    import pyarrow as pa
    from pyarrow import compute as module

    compute: Any = module  # whose functions are made when it is imported
    if codes is not None:  # a dictionary may have words that no row has
        used = np.unique(codes[codes >= 0])
        codes, words = np.where(codes < 0, -1, np.searchsorted(used, codes)), words.take(pa.array(used))
    words = compute.utf8_trim_whitespace(words.cast(pa.string()).fill_null(""))
    lower = compute.utf8_lower(words)
    words = compute.if_else(compute.is_in(lower, value_set=pa.array(BOOLEANS)), lower, words)
    lacks = compute.is_in(lower, value_set=pa.array(MISSING))
    numeric = compute.match_substring_regex(words, NUMBER)
    if compute.all(compute.or_(lacks, numeric)).as_py() and compute.any(numeric).as_py():
        numbers = compute.cast(compute.if_else(lacks, None, words), pa.float64()).to_numpy(zero_copy_only=False)
        numbers = np.append(numbers.astype(float), np.nan)  # at its last entry is the place of -1
        counted = compute.all(compute.or_(lacks, compute.match_substring_regex(words, WHOLE))).as_py()
        return Cells(numbers[:-1] if codes is None else numbers[codes], counted=counted)
    if codes is None:
        encoded = words.dictionary_encode()
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
        codes, words = encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary
    return _different(np.asarray(codes, int), words.to_pylist())


def _different(codes: np.ndarray, words: list[str]) -> Cells:
    """The texts that rows have, each once, and -1 for those that mean a missing value."""
    places: dict[str, int] = {}
    new = np.full(len(words) + 1, -1)  # at its last entry is the place of -1
    for code, word in enumerate(words):
        if word.lower() not in MISSING:
            new[code] = places.setdefault(word, len(places))
    return Cells(None, tuple(places), new[codes])
