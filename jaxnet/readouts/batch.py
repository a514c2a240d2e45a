"""Readouts about a batch: means over its examples, in the tree structure of the parameters."""

from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..checks import check_array, check_floats
from ..errors import InputError
from ..layers import linear_gradient
from ..parameters import FrozenDict
from ..types import AnyArray
from .pairs import Record, by_example, check_one_column, check_record


def mean_gradient(record: Record, weights: Float[AnyArray, " Cm"] | None = None) -> FrozenDict:
    """(dZ * r) A^T / m,  mean of the columns of dZ * r:  the mean of r_i g_i, and for r = 1 the gradient itself.

    `weights` are r, one per column of the record. Raises `InputError` for any other shape.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> _, grads = jaxnet.cost_and_grads(X, Y, parameters)
        >>> bool(jnp.allclose(jaxnet.readouts.mean_gradient(pairs)["W1"], grads["dW1"]))
        True
    """
    check_record(record)
    if weights is not None:
        check_array("weights", weights)
    expected = (record.columns * record.examples,)
    if weights is not None and np.shape(weights) != expected:
        raise InputError(f"weights have shape {np.shape(weights)}; expected {expected}, one per column")
    if weights is not None:
        check_floats("weights", weights)
    factors = () if weights is None else (by_example(jnp.asarray(weights), record.examples)[None],)
    gradient = {}
    for l, (A, D) in enumerate(zip(record.A, record.by_example, strict=True), start=1):
        gradient[f"W{l}"], gradient[f"b{l}"] = linear_gradient(summed_by_example(D, *factors), A)
    return FrozenDict(gradient)


def second_moment(record: Record) -> FrozenDict:
    """dZ^2 (A^2)^T / m,  mean of the columns of dZ^2:  the mean of g_i^2, entry by entry, summed over the C columns.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> jaxnet.readouts.second_moment(pairs)["W2"].shape
        (1, 3)
    """
    check_record(record)
    moment = {}
    for l, (A, D) in enumerate(zip(record.A, record.by_example, strict=True), start=1):
        moment[f"W{l}"], moment[f"b{l}"] = linear_gradient(summed_by_example(D, D), A * A)
    return FrozenDict(moment)


def variance(record: Record) -> FrozenDict:
    """m / (m - 1) (mean of g_i^2 - (mean of g_i)^2),  entry by entry: the unbiased variance of an example's gradient.

    It is a difference: where it is far below the square of the mean, float32 leaves it few digits. Raises `InputError`
    for a single example, and for more than one column per example.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> jaxnet.readouts.variance(pairs)["b2"].shape
        (1, 1)
    """
    m = check_examples(record)
    return jax.tree.map(
        lambda square, mean: m / (m - 1) * jnp.maximum(square - mean**2, 0),
        second_moment(record),
        mean_gradient(record),
    )


def check_examples(record: Record) -> int:
    """m, once it is 2 or more and the record holds one gradient per example, which a spread over examples needs."""
    check_one_column(record)
    if record.examples < 2:
        raise InputError("the record holds 1 example, whose gradient has no spread; expected 2 or more")
    return record.examples


def summed_by_example(*factors: Float[Array, "_ m C"]) -> Float[Array, "n m"]:
    """The product of the factors, summed over the C columns of each example."""
    if factors[0].shape[2] == 1:  # of a sum of one term, XLA keeps the term as well
        return reduce(jnp.multiply, (factor[:, :, 0] for factor in factors))
    return jnp.sum(reduce(jnp.multiply, factors), axis=2)
