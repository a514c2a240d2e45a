"""What a run evaluates on its way: cost and accuracy or R^2, in blocks of examples, and the signals of the layers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..data import Examples, row_blocks, targets
from ..losses import squared_error
from ..network import L_model_forward, Network
from ..signals import LayerSignals, decided_rightly, layer_signals
from ..types import AnyArray, Parameters
from ..weighting import weighted
from .streaming import Columns, is_resident


SAMPLE = 10_000  # of the training examples at most so many are measured; all would take longer than the steps
STREAMED_SAMPLE = 2048  # of those that are read from disk
SIGNALS_SAMPLE = 256

Block: TypeAlias = tuple[jax.Array, jax.Array]  # X and Y
ByClass: TypeAlias = Float[AnyArray, " classes"] | None  # the weight of each class
Measured: TypeAlias = tuple[float, float, float, tuple[float, ...], tuple[float, ...]]


def measure(
    train: Examples,
    watched: Examples,
    network: Network,
    columns: Columns,
    classes: Sequence[str],
    dtype: str,
    by_class: ByClass = None,
) -> Callable[[Parameters], Measured]:
    """parameters -> training accuracy, watched cost and accuracy, ||dW_l|| and the share of dead units by layer.

    Costs and gradients are those of the losses times the weights of the classes; accuracies count all examples alike,
    in training those of an evenly spaced sample where there are many. Without classes R^2 is in their place.
    """
    stay = _stay(train, watched, dtype)
    train = sample(train, sample_size(train, watched, dtype))
    X, Y = next(blocks(sample(train, SIGNALS_SAMPLE), columns, classes, dtype))

    def part(examples: Examples) -> Callable[[], Iterable[Block]]:
        if stay:
            kept = list(blocks(examples, columns, classes, dtype))
            return lambda: kept
        return lambda: blocks(examples, columns, classes, dtype)

    train_blocks, watched_blocks = part(train), part(watched)

    def measured(parameters: Parameters) -> Measured:
        _, train_accuracy = _cost_and_score(train_blocks(), parameters, network, by_class)
        watched_cost, watched_accuracy = _cost_and_score(watched_blocks(), parameters, network, by_class)
        norms, dead = (tuple(np.asarray(values).tolist()) for values in _signals(X, Y, parameters, network, by_class))
        return train_accuracy, watched_cost, watched_accuracy, norms, dead

    return measured


def sample_size(train: Examples, watched: Examples, dtype: str) -> int:
    """How many of the training examples are measured."""
    return min(len(train.labels), SAMPLE if _stay(train, watched, dtype) else STREAMED_SAMPLE)


def _stay(train: Examples, watched: Examples, dtype: str) -> bool:
    return is_resident(train.rows, dtype) and is_resident(watched.rows, dtype)


def blocks(examples: Examples, columns: Columns, classes: Sequence[str], dtype: str) -> Iterator[Block]:
    """X and Y of some examples at a time."""
    for part in row_blocks(examples.rows.shape):
        X = columns(examples.rows[part], dtype)
        yield jax.device_put(X), jax.device_put(targets(examples.labels[part], classes, dtype))


def sample(examples: Examples, most: int) -> Examples:
    """At most so many, evenly spaced."""
    m = len(examples.labels)
    return examples if m <= most else examples.take(np.linspace(0, m - 1, most).astype(int))


def _cost_and_score(
    some: Iterable[Block], parameters: Parameters, network: Network, by_class: ByClass
) -> tuple[float, float]:
    """The mean of the losses, and the share of right decisions, or R^2, the mean over the outputs."""
    cost, tally, m = 0.0, np.zeros(()), 0
    for X, Y in some:
        losses, counted = _sums(X, Y, parameters, network, by_class)
        cost, tally, m = cost + float(losses), tally + np.asarray(counted, float), m + Y.shape[1]
    if tally.ndim == 0:
        return cost / m, float(tally / m)
    squared_error_sum, label_sum, square_sum = tally
    with np.errstate(divide="ignore", invalid="ignore"):
        return cost / m, float(np.mean(1 - squared_error_sum / (square_sum - label_sum**2 / m)))


@jax.jit
def _sums(
    X: jax.Array, Y: jax.Array, parameters: Parameters, network: Network, by_class: ByClass
) -> tuple[jax.Array, jax.Array]:
    """The sum of the losses, and the number of right decisions; of a regression the sums that R^2 is made of."""
    AL, caches = L_model_forward(X, parameters, network)
    losses = jnp.sum(weighted(network.loss.value(caches[-1].Z, Y), _weights(Y, by_class)))
    if network.loss == squared_error:
        return losses, jnp.stack([jnp.sum((AL - Y) ** 2, axis=1), jnp.sum(Y, axis=1), jnp.sum(Y**2, axis=1)])
    return losses, jnp.sum(decided_rightly(AL, Y))


@jax.jit
def _signals(X: jax.Array, Y: jax.Array, parameters: Parameters, network: Network, by_class: ByClass) -> LayerSignals:
    return layer_signals(X, Y, parameters, network, sample_weight=_weights(Y, by_class))


def _weights(Y: jax.Array, by_class: ByClass) -> jax.Array | None:
    """The weight of each example's class; the labels Y are hard."""
    if by_class is None:
        return None
    of_class = jnp.concatenate([1 - Y, Y]) if len(Y) == 1 else Y
    return jnp.sum(jnp.asarray(by_class, Y.dtype)[:, None] * of_class, axis=0)
