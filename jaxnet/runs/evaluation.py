"""What a run evaluates on its way: cost and accuracy or R^2, in blocks of examples, and the signals of the layers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import jax
import numpy as np

from ..data import Examples, row_blocks, targets
from ..network import Network
from ..signals import LayerSignals, layer_signals
from ..training import Block, ByClass, cost_and_score, weights_by_class
from ..types import Parameters
from .streaming import Columns, is_resident


SAMPLE = 10_000  # of the training examples at most so many are measured; all would take longer than the steps
STREAMED_SAMPLE = 2048  # of those that are read from disk
SIGNALS_SAMPLE = 256

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
        _, train_accuracy = cost_and_score(train_blocks(), parameters, network, by_class)
        watched_cost, watched_accuracy = cost_and_score(watched_blocks(), parameters, network, by_class)
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


@jax.jit
def _signals(X: jax.Array, Y: jax.Array, parameters: Parameters, network: Network, by_class: ByClass) -> LayerSignals:
    return layer_signals(X, Y, parameters, network, sample_weight=weights_by_class(Y, by_class))
