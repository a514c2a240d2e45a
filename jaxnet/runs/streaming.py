"""Where the steps of a run get their examples from: the device, or, batch by batch, the disk."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..data import MappedRows, prefetched
from ..training import Feed, batch_indices, resident
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
) -> Feed:
    """The feed of `run_steps`: what it brings does not depend on where the examples are."""
    if is_resident(rows, dtype) or batch_size is None:
        return resident(columns(rows[:], dtype), Y, batch_size, key)
    return _from_disk(rows, np.ascontiguousarray(Y.T), columns, batch_size, key, dtype)


def _from_disk(
    rows: np.ndarray | MappedRows,
    Y_rows: Float[np.ndarray, "m n_L"],
    columns: Columns,
    batch_size: int,
    key: PRNGKeyArray,
    dtype: str,
) -> Feed:
    steps = max(1, SEGMENT_BYTES // (batch_size * rows.shape[1] * np.dtype(dtype).itemsize))

    def load(batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        examples = batches.ravel()
        return np.ascontiguousarray(columns(rows[examples], dtype).T), Y_rows[examples]

    def feed(start: int, length: int) -> Iterator[tuple[jax.Array, jax.Array, jax.Array]]:
        batches = batch_indices(key, len(Y_rows), batch_size, start, length)
        segments = [batches[i : i + steps] for i in range(0, length, steps)]
        for segment, (X, Y) in zip(segments, prefetched(load, segments, threads=2, ahead=2), strict=True):
            yield jax.device_put(X), jax.device_put(Y), jnp.arange(segment.size).reshape(segment.shape)

    return feed
