import jax
import numpy as np
import pytest

from jaxnet import readouts

from ..one_by_one import BCE, CASES, COTANGENTS, SOFTMAX, SQUARED, case, made, reading


EVERY_CASE = pytest.mark.parametrize("name", CASES)
close = dict(rtol=0, atol=1e-13)


def layer(given, matrix, l):
    """The block of [W_l, b_l] in a matrix over parameters, with [W, b] column by column, as A (x) G has it."""
    index = given.tree(np.arange(len(matrix), dtype=float))
    order = np.concatenate([index[f"W{l}"], index[f"b{l}"]], axis=1).ravel(order="F").astype(int)
    return matrix[np.ix_(order, order)]


def rows_of(given, seed):
    """[A; 1] and dZ of every layer, from the gradients of single examples: db is dZ, and X the first A."""
    trees = [given.tree(row) for row in given.rows(seed)]
    L = len(given.parameters) // 2
    return [np.concatenate([tree[f"b{l}"] for tree in trees], axis=1) for l in range(1, L + 1)]


@EVERY_CASE
@pytest.mark.parametrize("seed", COTANGENTS)
@pytest.mark.few(4)
def test_factors_are_means_of_outer_products(x64, name, seed):
    given = case(name)
    m = given.X.shape[1]
    factors = reading(readouts.kronecker_factors, given.network)(*given[:3], given.columns(seed))
    for G, dZ in zip(factors.G, rows_of(given, seed), strict=True):
        np.testing.assert_allclose(G, dZ @ dZ.T / m, **close)
    A = np.asarray(given.X)
    for l, factor in enumerate(factors.A, start=1):
        ones = np.concatenate([A, np.ones((1, m))])
        np.testing.assert_allclose(factor, ones @ ones.T / m, **close)
        A = np.asarray(given.network.hidden.forward(given.parameters[f"W{l}"] @ A + given.parameters[f"b{l}"]))


@pytest.mark.parametrize("loss", [BCE, SOFTMAX, SQUARED])
@pytest.mark.few(1)
def test_at_one_example_exact_factors_are_the_ggns_block(x64, loss):
    """KFRA with several logits of binary cross-entropy among them, which BackPACK refuses."""
    given = made([3, 4, 2], 1, loss, "gelu")
    kflr = reading(readouts.kronecker_factors, given.network)(*given[:3], given.columns("exact"))
    kfra = jax.jit(readouts.kfra_factors, static_argnums=3)(*given[:3], given.network)
    for factors in (kflr, kfra):
        for l, (A, G) in enumerate(zip(factors.A, factors.G, strict=True), start=1):
            np.testing.assert_allclose(np.kron(A, G), layer(given, given.ggn(), l), **close)


def test_in_a_linear_network_KFLR_is_the_ggns_block(x64):
    given = made([3, 4, 4, 2], 6, SQUARED, "identity")
    factors = reading(readouts.kronecker_factors, given.network)(*given[:3], given.columns("exact"))
    for l, (A, G) in enumerate(zip(factors.A, factors.G, strict=True), start=1):
        np.testing.assert_allclose(np.kron(A, G), layer(given, given.ggn(), l), **close)


@pytest.mark.parametrize("name", ["softmax", "several logits", "one logit"])
@pytest.mark.few(1)
def test_KFRA_is_its_recursion(x64, name):
    """Written out with means over examples of whole matrices: G_{l-1} = mean of F_i W^T G W F_i, F_i a diagonal."""
    given = case(name)
    m, L = given.X.shape[1], len(given.parameters) // 2
    Z, A = {}, given.X
    for l in range(1, L + 1):
        Z[l] = given.parameters[f"W{l}"] @ A + given.parameters[f"b{l}"]
        A = given.network.hidden.forward(Z[l])
    G = {L: given.H.mean(axis=0)}
    slope = jax.vmap(jax.vmap(jax.grad(lambda z: given.network.hidden.forward(z[None, None])[0, 0])))
    for l in range(L, 1, -1):
        F = np.asarray(slope(Z[l - 1]))
        W = np.asarray(given.parameters[f"W{l}"])
        G[l - 1] = np.mean([np.diag(F[:, i]) @ W.T @ G[l] @ W @ np.diag(F[:, i]) for i in range(m)], axis=0)
    factors = jax.jit(readouts.kfra_factors, static_argnums=3)(*given[:3], given.network)
    for l, factor in enumerate(factors.G, start=1):
        np.testing.assert_allclose(factor, G[l], **close)


def with_ekfac(pairs):
    factors = readouts.kronecker_factors(pairs)
    return factors, readouts.ekfac(pairs, factors)


@pytest.mark.parametrize("seed", ["loss", "exact"])
def test_ekfacs_eigenvalues_are_the_eigenbasis_diagonal(x64, seed):
    given = case("softmax")
    rows, m = given.rows(seed), given.X.shape[1]
    factors, corrected = reading(with_ekfac, given.network)(*given[:3], given.columns(seed))
    for l, (U_A, U_G, s) in enumerate(zip(*corrected, strict=True), start=1):
        for U, factor in ((U_A, factors.A[l - 1]), (U_G, factors.G[l - 1])):
            np.testing.assert_allclose(U @ np.diag(np.diag(U.T @ factor @ U)) @ U.T, factor, **close)
        basis = np.kron(U_A, U_G)
        rotated = basis.T @ layer(given, rows.T @ rows / m, l) @ basis
        np.testing.assert_allclose(np.asarray(s).ravel(order="F"), np.diag(rotated), **close)
