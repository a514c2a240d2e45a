"""How good parameters are on examples that come in blocks: the cost, and the accuracy or R^2."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..losses import squared_error
from ..network import L_model_forward, Network
from ..signals import decided_rightly
from ..types import AnyArray, Parameters
from ..weighting import weighted


Block: TypeAlias = tuple[jax.Array, jax.Array]  # X and Y
ByClass: TypeAlias = Float[AnyArray, " classes"] | None  # the weight of each class


def cost_and_score(
    some: Iterable[Block], parameters: Parameters, network: Network, by_class: ByClass = None
) -> tuple[float, float]:
    """The mean of the losses, and the share of right decisions, or R^2, the mean over the outputs."""
    cost, tally, m, shift = 0.0, np.zeros(()), 0, None
    for X, Y in some:
        if shift is None:  # near the mean, so that the variance is not lost in the difference of large sums
            shift = np.asarray(np.mean(np.asarray(Y, np.float64), axis=1, keepdims=True), Y.dtype)
        losses, counted = _sums(X, Y, parameters, network, by_class, shift)
        cost, tally, m = cost + float(losses), tally + np.asarray(counted, float), m + Y.shape[1]
    if tally.ndim == 0:
        return cost / m, float(tally / m)
    squared_error_sum, label_sum, square_sum = tally
    with np.errstate(divide="ignore", invalid="ignore"):
        return cost / m, float(np.mean(1 - squared_error_sum / (square_sum - label_sum**2 / m)))


@jax.jit
def _sums(
    X: jax.Array, Y: jax.Array, parameters: Parameters, network: Network, by_class: ByClass, shift: AnyArray
) -> tuple[jax.Array, jax.Array]:
    """The sum of the losses, and the number of right decisions; of a regression the sums that R^2 is made of.

    These are sums of labels less `shift`, `(n_L, 1)`.
    """
    AL, caches = L_model_forward(X, parameters, network)
    losses = jnp.sum(weighted(network.loss.value(caches[-1].Z, Y), weights_by_class(Y, by_class)))
    if network.loss == squared_error:
        moved = Y - shift
        return losses, jnp.stack([jnp.sum((AL - Y) ** 2, axis=1), jnp.sum(moved, axis=1), jnp.sum(moved**2, axis=1)])
    return losses, jnp.sum(decided_rightly(AL, Y))


def weights_by_class(Y: jax.Array, by_class: ByClass) -> jax.Array | None:
    """The weight of each example's class; the labels Y are hard."""
    if by_class is None:
        return None
    of_class = jnp.concatenate([1 - Y, Y]) if len(Y) == 1 else Y
    return jnp.sum(jnp.asarray(by_class, Y.dtype)[:, None] * of_class, axis=0)


def best_of(costs: Sequence[float]) -> int:
    """Which is the smallest; NaN never is."""
    return int(np.argmin(np.nan_to_num(costs, nan=np.inf)))


def has_stalled(costs: Sequence[float], patience: int | None) -> bool:
    """Whether the last `patience` costs are all no smaller than one before them: early stopping's end."""
    return patience is not None and len(costs) > 0 and len(costs) - 1 - best_of(costs) >= patience
