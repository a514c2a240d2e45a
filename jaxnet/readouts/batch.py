"""What a record tells of a batch, in the tree of parameters: means over its examples."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..checks import check_array, check_floats
from ..errors import InputError
from ..layers import linear_gradient
from ..parameters import FrozenDict
from ..types import AnyArray
from .pairs import Record, check_one_column, check_record


def mean_gradient(record: Record, weights: Float[AnyArray, " Cm"] | None = None) -> FrozenDict:
    """(dZ * r) A^T / m,  mean of the columns of dZ * r:  the mean of r_i g_i, for r = 1 the gradient itself.

    Raises `InputError` where the weights are not one for each column.
    """
    check_record(record)
    if weights is not None:
        check_array("weights", weights)
    if weights is not None and np.shape(weights) != record.dZ[0].shape[1:]:
        raise InputError(f"weights have shape {np.shape(weights)}; expected {record.dZ[0].shape[1:]}, one a column")
    if weights is not None:
        check_floats("weights", weights)
    gradient = {}
    for l, (A, dZ) in enumerate(zip(record.A, record.dZ, strict=True), start=1):
        weighted = dZ if weights is None else dZ * weights[None, :]
        gradient[f"W{l}"], gradient[f"b{l}"] = linear_gradient(summed_by_example(weighted, A), A)
    return FrozenDict(gradient)


def second_moment(record: Record) -> FrozenDict:
    """dZ^2 (A^2)^T / m,  mean of the columns of dZ^2:  the mean of g_i^2, entry by entry; the C columns are added."""
    check_record(record)
    moment = {}
    for l, (A, dZ) in enumerate(zip(record.A, record.dZ, strict=True), start=1):
        moment[f"W{l}"], moment[f"b{l}"] = linear_gradient(summed_by_example(dZ * dZ, A), A * A)
    return FrozenDict(moment)


def variance(record: Record) -> FrozenDict:
    """m / (m - 1) (mean of g_i^2 - (mean of g_i)^2),  entry by entry: the unbiased variance of an example's gradient.

    A difference: where it is far below the mean's square, float32 leaves few digits. Raises `InputError` for one
    example, and for more columns an example than one.
    """
    m = check_examples(record)
    return jax.tree.map(
        lambda square, mean: m / (m - 1) * jnp.maximum(square - mean**2, 0),
        second_moment(record),
        mean_gradient(record),
    )


def check_examples(record: Record) -> int:
    """m, once it is 2 or more and the record holds one gradient an example: what a spread over examples needs."""
    check_one_column(record)
    if record.examples < 2:
        raise InputError("the record holds 1 example, whose gradient has no spread; expected 2 or more")
    return record.examples


def summed_by_example(D: Float[Array, "n Cm"], A: Float[Array, "n_prev m"]) -> Float[Array, "n m"]:
    """The C columns of each example, added."""
    return D.reshape(len(D), -1, A.shape[1]).sum(axis=1)
