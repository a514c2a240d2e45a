"""Readouts about single examples, from g_i = (dZ_i A_i^T, dZ_i), the gradient of example i in every layer.

Nothing here carries a 1/m, and only `per_example_gradients` takes the memory of m gradients.
"""

from collections.abc import Sequence
from functools import reduce
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..arguments import check_count, check_key
from ..errors import InputError
from ..parameters import FrozenDict, checked_layer_dims
from ..types import DTypeLike, Parameters, PRNGKeyArray
from .pairs import Record, check_direction, check_record, check_same_layers, repeated


Matrix: TypeAlias = Float[Array, "k _"]


def per_example_gradients(record: Record) -> FrozenDict:
    """dW_i = dZ_i A_i^T,  db_i = dZ_i,  as arrays of shape (C m, n_l, n_{l-1}) and (C m, n_l, 1).

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> gradients = jaxnet.readouts.per_example_gradients(pairs)
        >>> {name: g.shape for name, g in gradients.items()}
        {'W1': (4, 3, 2), 'b1': (4, 3, 1), 'W2': (4, 1, 3), 'b2': (4, 1, 1)}
    """
    check_record(record)
    gradients = {}
    for l, (A, dZ) in enumerate(zip(record.A, record.dZ, strict=True), start=1):
        # On a CPU, going example by example takes four fifths of the time of one broadcast product.
        gradients[f"W{l}"] = jax.lax.map(lambda pair: jnp.outer(*pair), (dZ.T, repeated(A, dZ).T))
        gradients[f"b{l}"] = dZ.T[:, :, None]
    return FrozenDict(gradients)


def squared_norms(record: Record) -> Float[Array, " Cm"]:
    """||g_i||^2 = sum_l ||dZ_i||^2 (||A_i||^2 + 1), without a matrix product. Goodfellow 2015, arXiv:1510.01799.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> jaxnet.readouts.squared_norms(pairs).shape
        (4,)
    """
    check_record(record)
    terms = (
        jnp.sum(dZ * dZ, axis=0) * repeated(jnp.sum(A * A, axis=0, keepdims=True) + 1, dZ)[0]
        for A, dZ in zip(record.A, record.dZ, strict=True)
    )
    return reduce(jnp.add, terms)


def gram(record: Record, other: Record | None = None) -> Float[Array, "Cm Dk"]:
    """K_ij = <g_i, g'_j> = sum_l (dZ^T dZ') * (A^T A' + 1),  within one batch, or across two.

    It is, up to scale, the matrix that the record's cotangent belongs to, as seen from the examples: with
    `output_jacobian` the neural tangent kernel. Raises `InputError` where the two records have different architectures.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> K = jaxnet.readouts.gram(pairs)
        >>> bool(jnp.allclose(jnp.diag(K), jaxnet.readouts.squared_norms(pairs)))
        True
    """
    other = record if other is None else other
    check_same_layers(record, other)
    terms = (
        (dZ.T @ dZ_other) * repeated(repeated(A.T @ A_other + 1, dZ_other).T, dZ).T
        for A, dZ, A_other, dZ_other in zip(record.A, record.dZ, other.A, other.dZ, strict=True)
    )
    return reduce(jnp.add, terms)


def projection(record: Record, direction: Parameters) -> Float[Array, " Cm"]:
    """<g_i, V> = sum_l column sums of dZ * (V_W A + V_b),  for V in the tree structure of the parameters.

    Raises `InputError` where V has another structure.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> jaxnet.readouts.projection(pairs, parameters).shape
        (4,)
    """
    check_record(record)
    check_direction(direction, record.layer_dims)
    terms = (
        jnp.sum(dZ * repeated(direction[f"W{l}"] @ A + direction[f"b{l}"], dZ), axis=0)
        for l, (A, dZ) in enumerate(zip(record.A, record.dZ, strict=True), start=1)
    )
    return reduce(jnp.add, terms)


def sketch(record: Record, matrices: Sequence[tuple[Matrix, Matrix]]) -> Float[Array, "Cm Lkk"]:
    """vec((P dZ_i) (Q [A_i; 1])^T) of every layer, side by side: short rows whose inner products estimate `gram`.

    (P, Q) are the `sketch_matrices` of each layer. Choe et al. 2024 (LoGra), arXiv:2405.13954. Raises `InputError`
    unless there is one pair of matrices for each layer.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> matrices = jaxnet.readouts.sketch_matrices((2, 3, 1), 2, key=jax.random.key(1))
        >>> jaxnet.readouts.sketch(pairs, matrices).shape
        (4, 8)
    """
    check_record(record)
    if not isinstance(matrices, Sequence) or len(matrices) != len(record.A):
        raise InputError(
            f"matrices are not one pair for each of {len(record.A)} layers; pass those of `sketch_matrices`"
        )
    rows = []
    for A, dZ, (P, Q) in zip(record.A, record.dZ, matrices, strict=True):
        left, right = P @ dZ, repeated(Q[:, :-1] @ A + Q[:, -1:], dZ)
        rows.append((left[:, None, :] * right[None, :, :]).reshape(-1, dZ.shape[1]).T)
    return jnp.concatenate(rows, axis=1)


def sketch_matrices(
    layer_dims: Sequence[int], size: int, *, key: PRNGKeyArray, dtype: DTypeLike | None = None
) -> tuple[tuple[Matrix, Matrix], ...]:
    """P (size, n_l) and Q (size, n_{l-1} + 1) for every layer, normal with variance 1/size: E <s_i, s_j> is K_ij.

    Raises `InputError` for sizes that are not positive integers, and for anything but a key.

    Example:
        >>> matrices = jaxnet.readouts.sketch_matrices((2, 3, 1), 2, key=jax.random.key(1))
        >>> [(P.shape, Q.shape) for P, Q in matrices]
        [((2, 3), (2, 3)), ((2, 1), (2, 4))]
    """
    dims = checked_layer_dims(layer_dims)
    check_count("size", size)
    check_key(key)
    keys = jax.random.split(key, (len(dims) - 1, 2))

    def matrix(key, n):
        return jax.random.normal(key, (size, n), dtype or float) * size**-0.5

    return tuple(
        (matrix(for_dZ, n), matrix(for_A, n_prev + 1))
        for (for_dZ, for_A), n, n_prev in zip(keys, dims[1:], dims[:-1], strict=True)
    )
