"""What a network answers for columns of inputs: the probabilities of its classes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

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


class Failure(NamedTuple):
    """The reason why there is no prediction for an image."""

    reason: str


def class_probabilities(
    X: Float[np.ndarray, "n_x m"], parameters: Parameters, network: Network
) -> Float[np.ndarray, "classes m"]:
    """The probability of every class; of both classes where the network has one sigmoid.

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
    return np.concatenate([1 - AL, AL]) if len(AL) == 1 else AL


def prediction_of(column: Float[np.ndarray, " classes"], classes: Sequence[str]) -> Prediction | None:
    """The prediction that the probabilities of the classes make; None where they are not finite."""
    probabilities = [float(f"{p:.7g}") for p in column.astype(float)]
    if not all(map(math.isfinite, probabilities)):
        return None
    label = classes[probabilities.index(max(probabilities))]
    return Prediction(label, dict(zip(classes, probabilities, strict=True)))


@jax.jit
def _forward(X, parameters, network):
    return L_model_forward(jnp.asarray(X), parameters, network)[0]
