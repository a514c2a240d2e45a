"""The state of a network's signals at a point: whether they vanish or explode, and which units do nothing."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..checks import as_targets
from ..network import COURSE, L_model_forward, Network, gradients_from
from ..types import Inputs, Labels, Parameters
from ..weighting import SampleWeight, as_sample_weight
from .sizes import dead_share, stacked


class LayerSignals(NamedTuple):
    """One number per layer."""

    gradient_norms: Float[Array, " L"]  # ||dW_l||_F for l = 1 ... L
    dead_shares: Float[Array, " L_minus_1"]  # of the units of layer l = 1 ... L-1, see `signals.dead_share`


def layer_signals(
    X: Inputs, Y: Labels, parameters: Parameters, network: Network = COURSE, *, sample_weight: SampleWeight = None
) -> LayerSignals:
    """||dW_l||_F, and the share of the hidden units with g'(Z_l) = 0 for every example of X: `signals.dead_share`.

    Such a unit learns nothing from these examples. One forward pass and one backward; works inside `jit`.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers. Default: the course's network.
        sample_weight: `(m,)` weights of the examples, from 0: see `cost_and_grads`.

    Raises:
        InputError: as `cost_and_grads` does.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> seen = jaxnet.layer_signals(X, Y, parameters)
        >>> seen.gradient_norms.shape, seen.dead_shares.shape
        ((2,), (1,))
    """
    _, caches = L_model_forward(X, parameters, network)
    ZL = caches[-1].Z
    dZL = network.loss.gradient(ZL, as_targets(Y, ZL, network.loss))
    grads = gradients_from(dZL, caches, network.by_backprop, sample_weight=as_sample_weight(sample_weight, ZL))
    norms = [jnp.linalg.norm(grads[f"dW{l}"]) for l in range(1, len(caches) + 1)]
    return LayerSignals(jnp.stack(norms), stacked([dead_share(cache.Z, network.hidden) for cache in caches[:-1]]))
