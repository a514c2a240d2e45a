"""Where the steps of a run get their examples from: the device, or, batch by batch, the disk."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Float

from ..data import MappedRows, prefetched
from ..training import Feed, Placement, batch_indices, by_example, on_every_device, resident
from ..types import AnyArray, PRNGKeyArray


RESIDENT_BYTES = 2**28  # examples up to so many bytes stay on the device
SEGMENT_BYTES = 2**24  # of those on disk, so many are read at a time

Columns: TypeAlias = Callable[[Any, str], AnyArray]  # rows of examples, dtype -> X, such as `Preprocessing.columns`


def is_resident(rows: np.ndarray | MappedRows, dtype: str) -> bool:
    """Whether the examples, as floats, are small enough to stay on the device."""
    return rows.shape[0] * rows.shape[1] * np.dtype(dtype).itemsize <= RESIDENT_BYTES


def feed_of(
    rows: np.ndarray | MappedRows,
    Y: Float[np.ndarray, "n_L m"],
    columns: Columns,
    batch_size: int | None,
    key: PRNGKeyArray,
    dtype: str,
    placement: Placement | None = None,
) -> Feed:
    """The feed of `run_steps`: what it brings does not depend on where the examples are."""
    if is_resident(rows, dtype) or batch_size is None:
        return resident(columns(rows[:], dtype), Y, batch_size, key, placement)
    return _from_disk(rows, np.ascontiguousarray(Y.T), columns, batch_size, key, dtype, placement)


def _from_disk(
    rows: np.ndarray | MappedRows,
    Y_rows: Float[np.ndarray, "m n_L"],
    columns: Columns,
    batch_size: int,
    key: PRNGKeyArray,
    dtype: str,
    placement: Placement | None,
) -> Feed:
    steps = max(1, SEGMENT_BYTES // (batch_size * rows.shape[1] * np.dtype(dtype).itemsize))

    def load(batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        examples = batches.ravel()
        return np.ascontiguousarray(columns(rows[examples], dtype).T), Y_rows[examples]

    def feed(start: int, length: int) -> Iterator[tuple[jax.Array, jax.Array, jax.Array]]:
        batches = batch_indices(key, len(Y_rows), batch_size, start, length)
        segments = [batches[i : i + steps] for i in range(0, length, steps)]
        for segment, (X, Y) in zip(segments, prefetched(load, segments, threads=2, ahead=2), strict=True):
            which = np.arange(segment.size, dtype=np.int32).reshape(segment.shape)
            yield *on_every_device((X, Y), placement), by_example(which, placement, axis=1)

    return feed
