"""Examples and datasets: an example a row, as on disk; `Scaling` makes the columns of the mathematics from them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ..errors import InputError


class MappedRows:
    """Rows of an .npy file that are read when they are indexed: `rows[indices]` is an array of them, copied.

    The file is mapped anew each time, so pages that were read do not pile up in the process's memory, and threads
    may read at once.
    """

    def __init__(self, path: Path, indices: Int[np.ndarray, " m"] | None = None):
        self.path = path
        mapped = self._mapped()
        self.dtype = mapped.dtype
        self.indices = np.arange(len(mapped)) if indices is None else indices
        self.shape = (len(self.indices), mapped.shape[1])

    def _mapped(self) -> np.ndarray:
        try:
            return np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            message = f"{self.path} cannot be read any more: {error}; if the cache was cleared, start again"
            raise InputError(message) from error

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, which: slice | Sequence[int] | Int[np.ndarray, " k"]) -> Shaped[np.ndarray, "k n_x"]:
        return self._mapped()[np.atleast_1d(self.indices[which])]

    def take(self, which: slice | Sequence[int] | Int[np.ndarray, " k"] | Bool[np.ndarray, " m"]) -> "MappedRows":
        """Some of the rows, none of which is read."""
        return MappedRows(self.path, self.indices[which])


class Examples(NamedTuple):
    """Rows of inputs, the class of each, and the picture files that they came from, if they did."""

    rows: Shaped[np.ndarray, "m n_x"] | MappedRows  # uint8 pixels or float32
    labels: Int[np.ndarray, " m"]
    names: tuple[str, ...] = ()  # of picture files, relative to their folder

    def take(self, indices: Int[np.ndarray, " k"] | Bool[np.ndarray, " m"]) -> "Examples":
        """The examples at `indices`; those of mapped rows are not read."""
        rows = self.rows.take(indices) if isinstance(self.rows, MappedRows) else self.rows[indices]
        names = tuple(self.names[i] for i in np.arange(len(self.labels))[indices]) if self.names else ()
        return Examples(rows, self.labels[indices], names)


class Images:
    """Rows as pictures, which are read when they are indexed: `images[i]` is (height, width) or (height, width, 3)."""

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
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]  # (height, width) or (height, width, 3); (n_x,) where the inputs are no pictures
    fingerprint: str  # sha256 in hexadecimal: two runs with the same one saw the same examples
    notes: tuple[str, ...] = ()  # lines for the user: what was found, what was skipped, warnings


def held_out(
    labels: Int[np.ndarray, " m"], classes: Sequence[str], fraction: float, seed: int
) -> Bool[np.ndarray, " m"]:
    """Which examples to hold out: `fraction` of every class, at least one and not all; drawn from `seed`.

    Raises `InputError` for a class of fewer than two examples.
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for label, name in enumerate(classes):
        members = generator.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise InputError(
                f"class {name} has {len(members)} example{'' if len(members) else 's'}; expected at least two, one to "
                "train on and one to test on"
            )
        chosen[members[: int(np.clip(round(fraction * len(members)), 1, len(members) - 1))]] = True
    return chosen


def targets(
    labels: Int[np.ndarray, " m"], classes: Sequence[str], dtype: str = "float32"
) -> Float[np.ndarray, "n_L m"]:
    """Y as the network is trained on it: one row of 0 and 1 for two classes, one-hot columns for more."""
    if len(classes) == 2:
        return np.asarray(labels, dtype)[None]
    return np.asarray(np.arange(len(classes))[:, None] == labels, dtype)


def fingerprint_of(
    train: Examples, test: Examples, classes: Sequence[str], input_shape: Sequence[int], source: str = ""
) -> str:
    """The hash of all that a run sees. Rows on disk are not read for it: `source` stands for the whole file of them."""
    digest = hashlib.sha256(repr((source, tuple(classes), tuple(input_shape))).encode())
    for examples in (train, test):
        rows = examples.rows
        digest.update(f"{rows.shape} {rows.dtype}".encode())
        digest.update((rows.indices if isinstance(rows, MappedRows) else rows).tobytes())
        digest.update(examples.labels.astype(np.int64).tobytes())
    return digest.hexdigest()
