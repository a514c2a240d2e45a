"""Gradients whose examples are limited, each by itself."""

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

    The step of DP-SGD (Abadi et al. 2016, arXiv:1607.00133, algorithm 1) in one backward pass: the norms need no matrix
    product, and the weights meet only the one that makes the gradient anyway. A g_i of norm 0 keeps r_i = 1; one whose
    norm is not finite is left out.

    A primitive and not privacy: how batches are sampled, and what the noise of all steps adds up to, is for a library
    of privacy accounting. Cost terms of the weights alone, such as L2, are no example's, and not clipped here.
    Raises `InputError` for noise without a key or below 0, and for a record of more columns an example than one.
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
    """The record with columns of 0 for some examples: a weight of 0 would make NaN of an infinite one."""
    A, dZ = jax.tree.map(lambda columns: jnp.where(left_out[None, :], 0, columns), (record.A, record.dZ))
    return record._replace(A=A, dZ=dZ)
