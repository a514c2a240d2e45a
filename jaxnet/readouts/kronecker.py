"""Kronecker-factored curvature: in every layer, GGN of [W, b] ~ A (x) G with A over [A_{l-1}; 1] and G over dZ_l.

The matrix acts on [dW, db], vectorised column by column. K-FAC: Martens & Grosse 2015, arXiv:1503.05671, section 3.
"""

from itertools import pairwise
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..checks import as_targets
from ..layers import summed_products
from ..network import COURSE, L_model_forward, Network
from ..types import Inputs, Labels, Parameters
from ..weighting import SampleWeight, as_sample_weight, weighted
from .batch import summed_by_example
from .pairs import Record, flat, hessian_roots, repeated


Symmetric = Float[Array, "k k"]


class KroneckerFactors(NamedTuple):
    """A_l (n_{l-1} + 1, n_{l-1} + 1), the last row and column of which are the bias's, and G_l (n_l, n_l), by layer."""

    A: tuple[Symmetric, ...]
    G: tuple[Symmetric, ...]


class EKFAC(NamedTuple):
    """For every layer the eigenvectors U_A and U_G of A and G, as columns, and s (n_l, n_{l-1} + 1)."""

    U_A: tuple[Symmetric, ...]
    U_G: tuple[Symmetric, ...]
    s: tuple[Float[Array, "n n_prev_plus_1"], ...]


def kronecker_factors(record: Record) -> KroneckerFactors:
    """A = [A_{l-1}; 1] [A_{l-1}; 1]^T / m,  G = dZ dZ^T / m, over all columns.

    The result is empirical K-FAC for a record from `loss_gradient`, Monte Carlo K-FAC from `sampled_labels`, and KFLR
    (Botev et al. 2017, arXiv:1706.03662) from `hessian_root`. With sample weights, A is the weighted mean, by w_i / sum
    w.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> factors = jaxnet.readouts.kronecker_factors(pairs)
        >>> [A.shape for A in factors.A], [G.shape for G in factors.G]
        ([(3, 3), (4, 4)], [(3, 3), (1, 1)])
    """
    m = record.examples
    inputs = tuple(_input_factor(A, record.sample_weight) for A in record.A)
    columns = map(flat, record.by_example)
    return KroneckerFactors(inputs, tuple(summed_products(dZ, dZ) / m for dZ in columns))


def kfra_factors(
    X: Inputs, Y: Labels, parameters: Parameters, network: Network = COURSE, *, sample_weight: SampleWeight = None
) -> KroneckerFactors:
    """G_L = mean of H_i,  G_{l-1} = (W^T G_l W) * (F F^T / m)  with F = g'(Z_{l-1}); A as in `kronecker_factors`.

    One matrix per layer is carried down, whatever the number of logits; it holds for activations that act on each unit
    separately. Botev et al. 2017, arXiv:1706.03662.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers. Default: the course's network.
        sample_weight: `(m,)` weights w_i of the examples, from 0: H_i becomes w_i H_i, and the mean of F F^T is
            weighted as that of A is.

    Raises:
        InputError: as `cost_and_grads` does.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> factors = jaxnet.readouts.kfra_factors(X, Y, parameters)
        >>> [A.shape for A in factors.A], [G.shape for G in factors.G]
        ([(3, 3), (4, 4)], [(3, 3), (1, 1)])
    """
    _, caches = L_model_forward(X, parameters, network)
    ZL = caches[-1].Z
    m = ZL.shape[1]
    weight, Y = as_sample_weight(sample_weight, ZL), as_targets(Y, ZL, network.loss)
    S = flat(hessian_roots(network.loss, ZL, Y))
    if weight is not None:
        S = weighted(S, repeated(jnp.sqrt(weight)[None], S.shape[1] // m)[0])
    G = [summed_products(S, S) / m]
    for below, above in reversed(list(pairwise(caches))):
        W, Z = above.linear_cache.W, below.Z
        F = network.hidden.backward(jnp.ones_like(Z), Z)
        G.append((W.T @ G[-1] @ W) * _mean_product(F, weight))
    inputs = tuple(_input_factor(cache.linear_cache.A, weight) for cache in caches)
    return KroneckerFactors(inputs, tuple(reversed(G)))


def ekfac(record: Record, factors: KroneckerFactors) -> EKFAC:
    """s = (U_G^T dZ)^2 ((U_A^T [A; 1])^2)^T / m:  the second moments of the columns in the eigenbasis of the factors.

    Of all diagonal matrices in that basis, this is the closest to the record's matrix. George et al. 2018,
    arXiv:1806.03884.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> basis = jaxnet.readouts.ekfac(pairs, jaxnet.readouts.kronecker_factors(pairs))
        >>> [s.shape for s in basis.s]
        [(3, 3), (1, 4)]
    """
    U_A = tuple(jnp.linalg.eigh(A)[1] for A in factors.A)
    U_G = tuple(jnp.linalg.eigh(G)[1] for G in factors.G)
    s = []
    for U, G, A, D in zip(U_A, U_G, record.A, record.by_example, strict=True):
        rotated = jnp.tensordot(G.T, D, 1)
        squares = summed_by_example(rotated, rotated)
        s.append(summed_products(squares, (U.T @ with_ones(A)) ** 2) / record.examples)
    return EKFAC(U_A, U_G, tuple(s))


def with_ones(A: Float[Array, "n m"]) -> Float[Array, "n+1 m"]:
    """[A; 1]: the inputs of the weights, and below them the input of the bias."""
    return jnp.concatenate([A, jnp.ones_like(A[:1])])


def _input_factor(A: Float[Array, "n m"], weight: Float[Array, " m"] | None) -> Symmetric:
    return _mean_product(with_ones(A), weight)


def _mean_product(F: Float[Array, "n m"], weight: Float[Array, " m"] | None) -> Symmetric:
    """F F^T / m, or, weighted, sum_i w_i f_i f_i^T / sum_i w_i."""
    if weight is None:
        return summed_products(F, F) / F.shape[1]
    return summed_products(weighted(F, weight / jnp.sum(weight)), F)
