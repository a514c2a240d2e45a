"""What a network answers for columns of inputs: the probabilities of its classes, or the values of a regression."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..losses import squared_error
from ..network import L_model_forward, Network
from ..types import Parameters


WIDTH = 32  # columns at a time, or
MOST_VALUES = 2**26  # fewer long ones: this many values take a quarter of a GiB in float32


class Prediction(NamedTuple):
    """The most probable class of an example, and the probability of every class in their order.

    Args:
        label: The name of the class.
        probabilities: By the names of the classes, with the seven digits that float32 has.
    """

    label: str
    probabilities: dict[str, float]

    @property
    def probability(self) -> float:
        """The probability of the label."""
        return self.probabilities[self.label]


class Estimate(NamedTuple):
    """What a regression predicts for an example.

    Args:
        values: By the names of the outputs, in the units of the labels, with the seven digits that float32 has.
    """

    values: dict[str, float]


class Failure(NamedTuple):
    """The reason why there is no prediction for an example."""

    reason: str


def class_probabilities(
    X: Float[np.ndarray, "n_x m"], parameters: Parameters, network: Network
) -> Float[np.ndarray, "classes m"]:
    """The probability of every class; of both classes where the network has one sigmoid. Of a regression, the outputs.

    Those of an example are the same to the last bit whatever the other columns are, and however many.
    """
    n_x, m = X.shape
    # How a sum is rounded depends on the shape of the product, so that has to be the same for one column and for many.
    width = max(1, min(WIDTH, MOST_VALUES // n_x))
    blocks = []
    for start in range(0, m, width):
        block = np.zeros((n_x, width), X.dtype)
        some = X[:, start : start + width]
        block[:, : some.shape[1]] = some
        blocks.append(np.asarray(_forward(block, parameters, network))[:, : some.shape[1]])
    AL = np.concatenate(blocks, axis=1)
    if network.loss == squared_error:
        return AL
    return np.concatenate([1 - AL, AL]) if len(AL) == 1 else AL


def answer_of(
    column: Float[np.ndarray, " n"], classes: Sequence[str], output_names: Sequence[str]
) -> Prediction | Estimate | None:
    """What the probabilities of the classes, or the outputs of a regression, say; None where they are not finite."""
    numbers = [float(f"{x:.7g}") for x in column.astype(float)]
    if not all(map(math.isfinite, numbers)):
        return None
    if not classes:
        return Estimate(dict(zip(output_names, numbers, strict=True)))
    return Prediction(classes[numbers.index(max(numbers))], dict(zip(classes, numbers, strict=True)))


@jax.jit
def _forward(X, parameters, network):
    return L_model_forward(jnp.asarray(X), parameters, network)[0]
