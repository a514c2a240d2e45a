"""What the signals of a network look like at a point: do they vanish or explode, are there units that do nothing?"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..checks import as_targets
from ..network import COURSE, L_model_forward, Network, gradients_from
from ..types import Inputs, Labels, Parameters
from ..weighting import SampleWeight, as_sample_weight
from .sizes import dead_share, stacked


class LayerSignals(NamedTuple):
    """A number for every layer."""

    gradient_norms: Float[Array, " L"]  # ||dW_l||_F for l = 1 ... L
    dead_shares: Float[Array, " L_minus_1"]  # of the units of layer l = 1 ... L-1, see `signals.dead_share`


def layer_signals(
    X: Inputs, Y: Labels, parameters: Parameters, network: Network = COURSE, *, sample_weight: SampleWeight = None
) -> LayerSignals:
    """||dW_l||_F, and the share of the hidden units with g'(Z_l) = 0 for every example of X: `signals.dead_share`.

    Such a unit learns nothing from these examples. One forward pass and one backward; works inside `jit`.
    `sample_weight` is that of `cost_and_grads`. Raises `InputError` where the shapes do not fit.
    """
    _, caches = L_model_forward(X, parameters, network)
    ZL = caches[-1].Z
    dZL = network.loss.gradient(ZL, as_targets(Y, ZL, network.loss))
    grads = gradients_from(dZL, caches, network.by_backprop, sample_weight=as_sample_weight(sample_weight, ZL))
    norms = [jnp.linalg.norm(grads[f"dW{l}"]) for l in range(1, len(caches) + 1)]
    return LayerSignals(jnp.stack(norms), stacked([dead_share(cache.Z, network.hidden) for cache in caches[:-1]]))
