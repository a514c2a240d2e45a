"""Readouts about single examples, from g_i = (dZ_i A_i^T, dZ_i), the gradient of example i in every layer.

Nothing here carries a 1/m, and only `per_example_gradients` takes the memory of m gradients.
"""

from collections.abc import Sequence
from functools import reduce
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from ..arguments import check_count, check_key
from ..errors import InputError
from ..parameters import FrozenDict, checked_layer_dims
from ..types import DTypeLike, Parameters, PRNGKeyArray
from .pairs import Record, check_direction, check_record, check_same_layers, flat, reshaped, side_by_side


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
    for l, (A, D) in enumerate(zip(record.A, record.by_example, strict=True), start=1):
        dZ, A_prev = side_by_side(D).T, side_by_side(jnp.broadcast_to(A[:, :, None], (*A.shape, record.columns))).T
        gradients[f"W{l}"], gradients[f"b{l}"] = dZ[:, :, None] * A_prev[:, None, :], dZ[:, :, None]
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
    return side_by_side(squared_norms_by_example(record))


def squared_norms_by_example(record: Record) -> Float[Array, "m C"]:
    """`squared_norms` by example."""
    terms = (
        jnp.sum(D * D, axis=0) * (jnp.sum(A * A, axis=0)[:, None] + 1)
        for A, D in zip(record.A, record.by_example, strict=True)
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
    shape = (record.examples, record.columns, other.examples, other.columns)
    examples = jax.typeof(record.A[0]).sharding.spec[1]
    terms = (
        reshaped(_inner_products(flat(D), flat(D_other)), shape, examples, None, None, None)
        * (_inner_products(A, A_other) + 1)[:, None, :, None]
        for A, D, A_other, D_other in zip(record.A, record.by_example, other.A, other.by_example, strict=True)
    )
    m, C, k, D = shape
    return reshaped(reduce(jnp.add, terms).transpose(1, 0, 3, 2), (C * m, D * k), examples, None)


def _inner_products(F: Float[Array, "n m"], G: Float[Array, "n k"]) -> Float[Array, "m k"]:
    """F^T G, each row where the column of F is."""
    sharding = jax.typeof(F).sharding
    return jnp.matmul(F.T, G, out_sharding=NamedSharding(sharding.mesh, PartitionSpec(sharding.spec[1], None)))


def on_every_device(K: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """The whole matrix, as factorisations ask for it over explicit axes of a mesh, and see to it over others."""
    sharding = jax.typeof(K).sharding
    return jax.reshard(K, NamedSharding(sharding.mesh, PartitionSpec())) if any(sharding.spec) else K


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
        jnp.sum(D * (direction[f"W{l}"] @ A + direction[f"b{l}"])[:, :, None], axis=0)
        for l, (A, D) in enumerate(zip(record.A, record.by_example, strict=True), start=1)
    )
    return side_by_side(reduce(jnp.add, terms))


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
    for A, D, (P, Q) in zip(record.A, record.by_example, matrices, strict=True):
        left, right = jnp.tensordot(P, D, 1), Q[:, :-1] @ A + Q[:, -1:]
        rows.append((left[:, None] * right[None, :, :, None]).reshape(-1, *D.shape[1:]))
    return side_by_side(jnp.concatenate(rows)).T


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
