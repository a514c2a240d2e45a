"""Examples and datasets, one example per row, as on disk; `Preprocessing` turns rows into columns of X."""

import copy
import hashlib
import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from ..errors import InputError
from ..storage import open_file
from .encoding import Table
from .tables import LARGEST


class NotClasses(InputError):
    """Labels that cannot be classes, and so may be regression targets."""


class MappedRows:
    """Rows of bytes in a file on disk, which are read when they are indexed: `rows[indices]` is an array of them.

    The file is opened once, so it stays the same when another file takes its name. It is read rather than
    memory-mapped, since a mapped file that is cut off or cannot be read ends the process. Threads may read at the same
    time.
    """

    def __init__(self, path: Path, n_x: int):
        self.path, self.dtype = path, np.dtype(np.uint8)
        self._file = _Opened(path)
        length = os.fstat(self._file.descriptor).st_size
        if n_x < 1 or length % n_x:
            raise InputError(f"{path} has {length} bytes; expected a multiple of {n_x}, the bytes of a row")
        self.indices = np.arange(length // n_x)
        self.shape = (len(self.indices), n_x)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, which: slice | Sequence[int] | Int[np.ndarray, " k"]) -> UInt8[np.ndarray, "k n_x"]:
        places = np.atleast_1d(self.indices[which])
        rows = np.empty((len(places), self.shape[1]), np.uint8)
        starts = np.flatnonzero(np.diff(places, prepend=-2) != 1).tolist()  # of runs of consecutive rows
        for start, end in zip(starts, [*starts[1:], len(places)], strict=False):
            self._file.read_into(rows[start:end].reshape(-1), int(places[start]) * self.shape[1])
        return rows

    def take(self, which: slice | Sequence[int] | Int[np.ndarray, " k"] | Bool[np.ndarray, " m"]) -> "MappedRows":
        """Some of the rows, without reading them."""
        return self._at(self.indices[which])

    def joined(self, other: "MappedRows") -> "MappedRows":
        """These rows and others of the same file."""
        return self._at(np.concatenate([self.indices, other.indices]))

    def _at(self, indices: Int[np.ndarray, " k"]) -> "MappedRows":
        rows = copy.copy(self)
        rows.indices, rows.shape = indices, (len(indices), self.shape[1])
        return rows


class _Opened:
    """A file that stays open for as long as it is referred to."""

    def __init__(self, path: Path):
        self.path = path
        try:
            file = open_file(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        self.descriptor = file.fileno()
        self._file, self._seeking = file, threading.Lock()
        weakref.finalize(self, file.close)

    def read_into(self, values: UInt8[np.ndarray, " n"], offset: int) -> None:
        """Fills `values` with the bytes from `offset` on."""
        try:
            read = self._read(values.data, offset)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read any more: {error.strerror}; start again") from error
        if read < len(values):
            raise InputError(f"{self.path} was cut off while it was read; start again")

    def _read(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            read = 0
            while read < len(view) and (more := os.preadv(self.descriptor, [view[read:]], offset + read)):
                read += more
            return read
        with self._seeking:
            self._file.seek(offset)
            return self._file.readinto(view)


class Examples(NamedTuple):
    """Rows of inputs, the class or the regression targets of each, and the image files that they came from, if any."""

    rows: Shaped[np.ndarray, "m n_x"] | MappedRows  # uint8 pixels or float32
    labels: Int[np.ndarray, " m"] | Float[np.ndarray, "m n_L"]  # classes, or, in a regression, targets
    names: tuple[str, ...] = ()  # of image files, relative to their folder, or of a table's rows

    def take(self, indices: Int[np.ndarray, " k"] | Bool[np.ndarray, " m"]) -> "Examples":
        """The examples at `indices`; mapped rows are not read."""
        rows = self.rows.take(indices) if isinstance(self.rows, MappedRows) else self.rows[indices]
        names = tuple(self.names[i] for i in np.arange(len(self.labels))[indices]) if self.names else ()
        return Examples(rows, self.labels[indices], names)

    def and_those_of(self, other: "Examples") -> "Examples":
        """The examples of two parts of a dataset; mapped rows are not read."""
        if isinstance(self.rows, MappedRows) and isinstance(other.rows, MappedRows):
            rows = self.rows.joined(other.rows)
        else:
            rows = np.concatenate([self.rows[:], other.rows[:]])
        return Examples(rows, np.concatenate([self.labels, other.labels]), self.names + other.names)


class Images:
    """Rows as images that are read when they are indexed: `images[i]` is (height, width) or (height, width, 3)."""

    def __init__(self, rows: Shaped[np.ndarray, "m n_x"] | MappedRows, input_shape: tuple[int, ...]):
        self.rows = rows
        self.shape = (len(rows), *input_shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, i: int) -> Shaped[np.ndarray, "..."]:
        return self.rows[i : i + 1].reshape(self.shape[1:])


class Dataset(NamedTuple):
    """What a network is trained and tested on."""

    description: str
    train: Examples
    test: Examples
    classes: tuple[str, ...]  # none in a regression, whose labels are regression targets
    input_shape: tuple[int, ...]  # (height, width) or (height, width, 3); (n_x,) where the inputs are not images
    fingerprint: str  # sha256 in hexadecimal: runs with the same one saw the same examples
    notes: tuple[str, ...] = ()  # lines for the user: what was found, what was skipped, warnings
    table: Table | None = None  # what the inputs and the labels are called, where they come from a table


def regression_targets(description: str, labels: Any, m: int) -> Float[np.ndarray, "m n_L"]:
    """Labels of a regression as rows of float64, from `(m,)`, `(m, 1)` or `(n_L, m)`.

    Raises `InputError` for another shape, and for values that are not finite or beyond 1e30.

    Example:
        >>> jaxnet.data.regression_targets("prices.npz", np.array([[1.5, 2.0, 3.5]]), 3)
        array([[1.5],
               [2. ],
               [3.5]])
    """
    if labels.dtype.kind not in "biuf":
        raise InputError(f"{description}: labels are {labels.dtype}; expected numbers")
    is_shaped = labels.shape in ((m,), (m, 1)) or (labels.ndim == 2 and labels.shape[1] == m)
    if labels.size == 0 or not is_shaped:
        raise InputError(
            f"{description}: {m} examples, but labels of shape {labels.shape}; expected ({m},) or (n_L, {m}), one per "
            "column of X"
        )
    values = np.asarray(labels, np.float64).reshape(-1, m).T
    if not np.isfinite(values).all() or np.abs(values).max() > LARGEST:
        count = np.count_nonzero(~(np.abs(values) <= LARGEST))
        raise InputError(f"{description}: {count} labels are NaN, infinite or beyond 1e30; expected finite numbers")
    return np.ascontiguousarray(values)


def held_out(
    labels: Int[np.ndarray, " m"] | Float[np.ndarray, "m n_L"],
    classes: Sequence[str],
    fraction: float | None,
    seed: int,
) -> Bool[np.ndarray, " m"]:
    """A mask of the examples to hold out: `fraction` of every class, at least one and not all, drawn from `seed`.

    Without classes it is a fraction of all; where `fraction` is None, none are held out. Raises `InputError` for a
    class of fewer than two examples.

    Example:
        >>> int(jaxnet.data.held_out(np.array([0, 0, 0, 1, 1]), ("cat", "dog"), 0.25, seed=0).sum())
        2
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    if fraction is None:
        return chosen
    groups = {f"class {name}": np.flatnonzero(labels == label) for label, name in enumerate(classes)}
    for name, places in (groups or {"the data": np.arange(len(labels))}).items():
        members = generator.permutation(places)
        if len(members) < 2:
            raise (NotClasses if classes else InputError)(
                f"{name} has {len(members)} example{'' if len(members) else 's'}; expected at least two, one to "
                "train on and one to test on"
            )
        chosen[members[: int(np.clip(round(fraction * len(members)), 1, len(members) - 1))]] = True
    return chosen


def targets(
    labels: Int[np.ndarray, " m"] | Float[np.ndarray, "m n_L"], classes: Sequence[str], dtype: str = "float32"
) -> Float[np.ndarray, "n_L m"]:
    """Y as the network is trained on it: one row of 0 and 1 for two classes, one-hot columns for more.

    Without classes the labels are regression targets, and Y their columns.

    Example:
        >>> jaxnet.data.targets(np.array([0, 2, 1]), ("cat", "dog", "owl"))
        array([[1., 0., 0.],
               [0., 0., 1.],
               [0., 1., 0.]], dtype=float32)
    """
    if not classes:
        return np.ascontiguousarray(labels.T, dtype)
    if len(classes) == 2:
        return np.asarray(labels, dtype)[None]
    return np.asarray(np.arange(len(classes))[:, None] == labels, dtype)


def fingerprint_of(
    train: Examples, test: Examples, classes: Sequence[str], input_shape: Sequence[int], source: str = ""
) -> str:
    """The hash of everything that a run sees. Rows on disk are not read for it: `source` stands for their file."""
    digest = hashlib.sha256(repr((source, tuple(classes), tuple(input_shape))).encode())
    for examples in (train, test):
        rows = examples.rows
        digest.update(f"{rows.shape} {rows.dtype}".encode())
        digest.update((rows.indices if isinstance(rows, MappedRows) else rows).tobytes())
        digest.update(examples.labels.astype(np.int64 if classes else np.float64).tobytes())
    return digest.hexdigest()
