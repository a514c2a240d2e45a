"""What a feedback rule sends to the layers, beside what backpropagation would send: angles and norms."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..checks import as_targets, check_array, check_float_dtype
from ..companions import per_example
from ..errors import InputError
from ..feedback import Feedback, weights
from ..network import COURSE, L_model_forward, Network, backward_signals
from ..types import AnyArray, Inputs, Labels, Masks, Parameters
from ..weighting import SampleWeight, as_sample_weight, weighted
from .sizes import norm, scale_of, stacked


class Alignment(NamedTuple):
    """One number per hidden layer l = 1 ... L-1, or per B_{l+1} that reaches it; of cost and accuracy just one."""

    cost: Float[Array, "*steps"]  # without penalties on the weights
    accuracy: Float[Array, "*steps"]  # of the same examples
    angle_dZ: Float[Array, "*steps hidden"]  # degrees between dZ_l and backpropagation's
    norm_dZ: Float[Array, "*steps hidden"]  # ||dZ_l||_F / sqrt(m)
    backprop_norm_dZ: Float[Array, "*steps hidden"]  # and backpropagation's
    angle_B: Float[Array, "*steps hidden"]  # degrees between B_{l+1} and what weight transport would put there
    norm_B: Float[Array, "*steps hidden"]  # ||B_{l+1}||_F
    norm_W: Float[Array, "*steps hidden"]  # ||W_{l+1}||_F


def alignment(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    network: Network = COURSE,
    *,
    masks: Masks = None,
    B: Feedback = None,
    sample_weight: SampleWeight = None,
) -> Alignment:
    """angle(dZ_l, dZ_l by W^T) = arccos(<dZ_l, dZ_l'> / (||dZ_l|| ||dZ_l'||)) for every hidden layer, in degrees.

    Both passes start from the same dZL with the same activations. Random directions are at 90 degrees; at less, a step
    along dW_l = dZ_l A_{l-1}^T / m still descends. B is compared with W_{l+1}^T, or for direct rules with W_{l+1}^T ...
    W_L^T; the angle is NaN where the rule has no such weights, or one of the two is 0. It takes one forward pass and
    two backward. Lillicrap et al. 2016, figure 1; Akrout et al. 2019, figure 3.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers, and the feedback rule. Default: the course's network.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}: see `dropout_masks`.
        B: The feedback weights of the network's rule; None for backpropagation.
        sample_weight: `(m,)` weights of the examples, from 0, on columns and losses as in `cost_and_grads`; the
            accuracy counts all examples alike.

    Raises:
        InputError: as `cost_and_grads` does.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> network = jaxnet.Network(feedback="feedback_alignment")
        >>> B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(1))
        >>> jaxnet.alignment(X, Y, parameters, network, B=B).angle_dZ.shape
        (1,)
    """
    _, caches = L_model_forward(X, parameters, network, masks=masks)
    ZL, m = caches[-1].Z, X.shape[1]
    Y = as_targets(Y, ZL, network.loss)
    dZL = network.loss.gradient(ZL, Y)
    weight = as_sample_weight(sample_weight, ZL)
    dZ = backward_signals(dZL, caches, network, masks=masks, B=B, Y=Y, sample_weight=weight).dZ[:-1]
    by_W = backward_signals(dZL, caches, network.by_backprop, masks=masks, sample_weight=weight).dZ[:-1]
    W, transported = weights(parameters), _transported(B, parameters, network)
    nothing = jnp.full((), jnp.nan, ZL.dtype)
    both = {l: (B[f"B{l}"], transported[f"B{l}"]) for l in W if f"B{l}" in transported}
    return Alignment(
        jnp.mean(weighted(per_example(network.loss.value, ZL, Y), weight)),
        jnp.mean(decided_rightly(network.loss.output(ZL), Y), dtype=ZL.dtype),
        stacked([angle(a, b) for a, b in zip(dZ, by_W, strict=True)]),
        stacked([norm(a) / m**0.5 for a in dZ]),
        stacked([norm(b) / m**0.5 for b in by_W]),
        stacked([angle(*both[l]) if l in both else nothing for l in W]),
        stacked([norm(both[l][0]) if l in both else nothing for l in W]),
        stacked([norm(W[l]) for l in W]),
    )


def angle(A: Float[AnyArray, "..."], B: Float[AnyArray, "..."]) -> Float[Array, ""]:
    """arccos(<A, B> / (||A|| ||B||)) in degrees, from 0 to 180; NaN where one of them is 0.

    It is computed as 2 atan2(||a - b||, ||a + b||) of the unit vectors, since arccos loses half of the digits where
    they are nearly parallel. Kahan 2006, "How futile are mindless assessments of roundoff", section 12.

    Raises `InputError` where the two are not arrays of floats of the same shape.

    Example:
        >>> round(float(jaxnet.angle(jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0]))), 3)
        45.0
    """
    for name, value in (("A", A), ("B", B)):
        check_array(name, value)
        check_float_dtype(name, value)
    if A.shape != B.shape:
        raise InputError(f"A has shape {A.shape} and B {B.shape}; expected one shape, between whose arrays an angle is")
    a, b = map(_direction, (A, B))
    return jnp.rad2deg(2 * jnp.arctan2(jnp.linalg.norm(a - b), jnp.linalg.norm(a + b)))


def _direction(A: Float[AnyArray, "..."]) -> Float[Array, "..."]:
    """A / ||A||."""
    scaled = A / scale_of(A)
    return scaled / jnp.linalg.norm(scaled)


def decided_rightly(AL: Float[Array, "n_L m"], Y: Float[Array, "n_L m"]) -> Bool[Array, "..."]:
    """For every example, whether one output is on its target's side of 1/2, or the largest output is the target's."""
    return (AL > 0.5) == (Y > 0.5) if len(AL) == 1 else jnp.argmax(AL, axis=0) == jnp.argmax(Y, axis=0)


def _transported(B: Feedback, parameters: Parameters, network: Network) -> Mapping[str, Array]:
    """What weight transport would put in place of B, where B is a mapping and the rule has a `transport`."""
    if network.feedback.transport is None or not isinstance(B, Mapping):
        return {}
    ideal = network.feedback.transport(parameters)
    return {name: value for name, value in ideal.items() if name in B and jnp.shape(B[name]) == value.shape}
