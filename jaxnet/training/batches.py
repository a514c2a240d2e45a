"""Which examples are in which step: all of them, or minibatches in an order that is drawn anew in every epoch."""

from collections.abc import Callable, Iterable
from functools import lru_cache

import jax
import numpy as np
from jaxtyping import Float, Int

from ..types import AnyArray, PRNGKeyArray
from .placement import Placement, by_example, on_every_device


# (start, length) -> segments of those steps: examples and labels as rows, and which of them are in each step; or None,
# and all are in every step.
Feed = Callable[[int, int], Iterable[tuple[AnyArray, AnyArray, jax.Array | None]]]
Order = Callable[[int, int], np.ndarray]  # (start, length) -> the examples of each of those steps


def with_weights(Y: Float[np.ndarray, "n_L m"], weight: AnyArray | None) -> Float[np.ndarray, "_ m"]:
    """Y, with a last row of the examples' weights where they have any: so they go wherever labels go."""
    return Y if weight is None else np.concatenate([Y, np.asarray(weight, Y.dtype)[None]])


def resident(
    X: AnyArray, Y: AnyArray, batch_size: int | None, key: PRNGKeyArray | None, placement: Placement | None = None
) -> Feed:
    """The feed of columns that stay where they are: on each device its own, or, where minibatches are drawn, all.

    Of minibatches the indices are sharded, and each device gathers its part. To gather those of a whole chunk before
    its steps, and shard them, takes memory, and with wide inputs up to twice the time.
    """
    order = order_of(X.shape[1], batch_size, key)
    place = by_example if order is None else on_every_device
    rows, Y_rows = place((X.T, Y.T), placement)
    return feed_of_rows(rows, Y_rows, order, placement)


def as_rows(columns: AnyArray) -> jax.Array:
    """Examples or labels on the device, an example a row."""
    # A row of memory is fast to gather, and W1 X and dZ1 X^T are matrix products without a transpose.
    return jax.device_put(columns.T)


def feed_of_rows(rows: jax.Array, Y_rows: jax.Array, order: Order | None, placement: Placement | None = None) -> Feed:
    """The feed of rows that are on the device, or on each of several."""
    if order is None:
        return lambda start, length: [(rows, Y_rows, None)]
    return lambda start, length: [(rows, Y_rows, by_example(order(start, length), placement, axis=1))]


def order_of(m: int, batch_size: int | None, key: PRNGKeyArray | None) -> Order | None:
    """The order of m examples in minibatches, `batch_indices`; None for all of them in every step."""
    if batch_size is None or key is None:
        return None
    epoch = lru_cache(maxsize=1)(_order.__wrapped__)  # of many runs at once, each needs its own
    return lambda start, length: batch_indices(key, m, batch_size, start, length, epoch)


# By NumPy: to permute 60,000 examples, 1.4 ms; JAX sorts, for 37 ms. Kept, since an epoch is many chunks of steps long.
@lru_cache(maxsize=4)
def _order(seed: tuple[int, ...], epoch: int, m: int) -> Int[np.ndarray, " m"]:
    return np.random.default_rng((*seed, epoch)).permutation(m).astype(np.int32)


def batch_indices(
    key: PRNGKeyArray, m: int, batch_size: int, start: int, length: int, epoch: Callable[..., np.ndarray] = _order
) -> Int[np.ndarray, "length batch_size"]:
    """The examples of the steps start, ..., start + length - 1: a function of the step alone.

    Each epoch is a permutation drawn from the key and the epoch's number, cut into whole batches.
    """
    per_epoch = m // batch_size
    epochs = range(start // per_epoch, (start + length - 1) // per_epoch + 1)
    seed = tuple(np.asarray(jax.random.key_data(key)).tolist())
    orders = [epoch(seed, number, m)[: per_epoch * batch_size] for number in epochs]
    first = start - epochs[0] * per_epoch
    return np.concatenate(orders).reshape(-1, batch_size)[first : first + length]
