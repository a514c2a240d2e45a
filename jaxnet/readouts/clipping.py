"""Gradients in which every example's contribution is limited."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..arguments import check_key, check_number
from ..errors import InputError
from ..parameters import FrozenDict
from ..types import PRNGKeyArray
from .batch import mean_gradient
from .examples import squared_norms
from .pairs import Record, check_one_column, check_positive


def clipped_gradient(
    record: Record,
    max_norm: float | Float[Array, ""],
    noise_multiplier: float | Float[Array, ""] = 0.0,
    *,
    key: PRNGKeyArray | None = None,
) -> FrozenDict:
    """(sum_i r_i g_i + noise) / m,  r_i = min(1, max_norm / ||g_i||),  noise ~ N(0, (noise_multiplier max_norm)^2).

    The gradient of DP-SGD (Abadi et al. 2016, arXiv:1607.00133, algorithm 1) in one backward pass: the norms need no
    matrix product, and the weights r enter the one that computes the gradient anyway. A g_i of norm 0 keeps r_i = 1;
    one whose norm is not finite is left out.

    This is a building block and does not by itself give privacy: how batches are sampled, and what the noise of all
    steps adds up to, is the business of a privacy accountant. Cost terms of the weights alone, such as L2, do not
    belong to any example and are not clipped here.

    Args:
        record: Of `loss_gradient`, one column per example.
        max_norm: The largest norm an example's gradient keeps, above 0.
        noise_multiplier: The standard deviation of the noise, in units of `max_norm`. Default: 0.
        key: A random key of JAX for the noise.

    Raises:
        InputError: for noise without a key or below 0, and for a record with more than one column per example.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> clipped = jaxnet.readouts.clipped_gradient(pairs, max_norm=0.1)
        >>> bool(sum(jnp.vdot(g, g) for g in clipped.values()) <= 0.1**2)
        True
    """
    check_one_column(record)
    if key is None and not (isinstance(noise_multiplier, int | float) and noise_multiplier == 0):
        raise InputError(f"noise_multiplier is {noise_multiplier} but key is None; pass key=jax.random.key(...)")
    check_positive("max_norm", max_norm)
    check_number("noise_multiplier", noise_multiplier, "a number from 0", lambda number: number >= 0)
    if key is not None:
        check_key(key)
    squared = squared_norms(record)
    norms = jnp.sqrt(jnp.where(squared > 0, squared, 1))
    weights = jnp.where(squared > 0, jnp.minimum(1, max_norm / norms), 1)
    gradient = mean_gradient(_without(~jnp.isfinite(squared), record), weights)
    if key is None:
        return gradient
    deviation = noise_multiplier * max_norm / record.examples
    leaves, structure = jax.tree.flatten(gradient)
    keys = jax.random.split(key, len(leaves))
    noise = [deviation * jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.map(jnp.add, gradient, jax.tree.unflatten(structure, noise))


def _without(left_out: Bool[Array, " m"], record: Record) -> Record:
    """The record with columns of 0 for some examples: a weight of 0 would make NaN of an infinite column."""
    A, dZ = jax.tree.map(lambda columns: jnp.where(left_out[None, :], 0, columns), (record.A, record.dZ))
    return record._replace(A=A, D=dZ)
