import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import InputError, readouts
from jaxnet.activations import ACTIVATIONS

from ..drawn import problem
from ..one_by_one import BCE, CASES, SOFTMAX, case, cost_of, flat, made


EVERY_CASE = pytest.mark.parametrize("name", CASES)
close = dict(rtol=0, atol=1e-13)


@EVERY_CASE
@pytest.mark.few(3)
def test_diagonal_trace_spectrum_and_products_are_the_ggns(x64, name):
    given = case(name)
    GGN = given.ggn()
    V = np.random.default_rng(0).normal(size=len(GGN))

    @jax.jit
    def read(X, Y, parameters, V):
        pairs = readouts.record(X, Y, parameters, given.network, cotangent=readouts.hessian_root)
        return (
            readouts.ggn_diagonal(pairs),
            readouts.ggn_trace(pairs),
            readouts.ggn_spectrum(pairs),
            readouts.ggn_vector_product(X, Y, parameters, V, given.network),
            readouts.mean_gradient(pairs, readouts.projection(pairs, V)),
        )

    diagonal, trace, spectrum, product, by_columns = read(*given[:3], given.tree(V))
    np.testing.assert_allclose(flat(diagonal), np.diag(GGN), **close)
    np.testing.assert_allclose(trace, np.trace(GGN), **close)
    eigenvalues = np.linalg.eigvalsh(GGN)
    shared = min(len(spectrum), len(eigenvalues))
    np.testing.assert_allclose(spectrum[-shared:], eigenvalues[-shared:], **close)
    np.testing.assert_allclose([*spectrum[:-shared], *eigenvalues[:-shared]], 0, atol=1e-13)
    np.testing.assert_allclose(flat(product), GGN @ V, **close)
    np.testing.assert_allclose(flat(by_columns), GGN @ V, **close)


@EVERY_CASE
@pytest.mark.few(3)
def test_the_hessians_product_is_autodiffs(x64, name):
    given = case(name)
    start = jax.flatten_util.ravel_pytree(given.parameters)[0]
    V = np.random.default_rng(0).normal(size=start.shape)
    expected = jax.jit(lambda start, V: jax.jvp(jax.grad(cost_of(given)), (start,), (V,))[1])(start, V)
    product = jax.jit(lambda *at: readouts.hessian_vector_product(*at, given.network))(*given[:3], given.tree(V))
    np.testing.assert_allclose(flat(product), expected, **close)


@pytest.mark.parametrize(
    "hidden, loss", [*((hidden, BCE) for hidden in ACTIVATIONS if hidden not in ("tanh", "silu")), ("relu", SOFTMAX)]
)
@pytest.mark.few(3)
def test_other_activations_have_products_and_diagonal(x64, hidden, loss):
    """BackPACK's second order ends at a few activations and at one logit of binary cross-entropy."""
    given = made([3, 4, 2], 5, loss, hidden)
    V = np.random.default_rng(0).normal(size=given.J.shape[2])

    @jax.jit
    def read(X, Y, parameters, V):
        pairs = readouts.record(X, Y, parameters, given.network, cotangent=readouts.hessian_root)
        return (
            readouts.ggn_diagonal(pairs),
            readouts.ggn_vector_product(X, Y, parameters, V, given.network),
            readouts.hessian_vector_product(X, Y, parameters, V, given.network),
        )

    diagonal, product, curved = read(*given[:3], given.tree(V))
    start = jax.flatten_util.ravel_pytree(given.parameters)[0]
    hessian = jax.jit(jax.hessian(cost_of(given)))(start)
    np.testing.assert_allclose(flat(diagonal), np.diag(given.ggn()), **close)
    np.testing.assert_allclose(flat(product), given.ggn() @ V, **close)
    np.testing.assert_allclose(flat(curved), np.asarray(hessian) @ V, **close)
    if hidden in ("relu", "leaky_relu", "identity"):
        np.testing.assert_allclose(np.diag(hessian), np.diag(given.ggn()), **close)


def test_products_go_through_dropped_units(x64):
    given = case("softmax")
    dims, m = CASES["softmax"][:2]
    masks = jaxnet.dropout_masks(dims, m, 0.5, key=jax.random.key(5), input_keep_prob=0.8)
    V = given.tree(np.random.default_rng(0).normal(size=given.J.shape[2]))

    @jax.jit
    def read(X, Y, parameters, V):
        def gradient(parameters):
            _, grads = jaxnet.cost_and_grads(X, Y, parameters, given.network, masks=masks)
            return jaxnet.parameter_grads(grads, parameters)

        pairs = readouts.record(X, Y, parameters, given.network, cotangent=readouts.hessian_root, masks=masks)
        return (
            readouts.ggn_vector_product(X, Y, parameters, V, given.network, masks=masks),
            readouts.mean_gradient(pairs, readouts.projection(pairs, V)),
            readouts.hessian_vector_product(X, Y, parameters, V, given.network, masks=masks),
            jax.jvp(gradient, (parameters,), (V,))[1],
        )

    product, by_columns, curved, expected = read(*given[:3], V)
    np.testing.assert_allclose(flat(product), flat(by_columns), **close)
    np.testing.assert_allclose(flat(curved), flat(expected), **close)


@pytest.mark.parametrize("loss, n_L", [(BCE, 1), (BCE, 3), (SOFTMAX, 3)])
def test_curvature_keeps_its_digits_at_outputs_0_and_1(loss, n_L):
    """One example each, at logits up to 80: AL (1 - AL) would be 1 % off at 12, and 0 from 17 on."""
    network, w = jaxnet.Network("relu", loss), np.array([[1.0], [0.0625], [-0.03125]], np.float32)[:n_L]
    z, V = np.linspace(-80, 80, 65, dtype=np.float32), np.array([[1.0], [0.5], [-0.25]], np.float32)[:n_L]
    Y, b = np.eye(n_L, 1, dtype=np.float32), np.zeros_like(w)

    @jax.jit
    @jax.vmap
    def curvature(z):
        at = z.reshape(1, 1), Y, {"W1": w, "b1": b}
        pairs = readouts.record(*at, network, cotangent=readouts.hessian_root)
        product = readouts.ggn_vector_product(*at, {"W1": b, "b1": V}, network)
        return readouts.ggn_diagonal(pairs)["b1"], readouts.ggn_trace(pairs), product["b1"]

    H = np.array([hessian_with_all_digits(loss, w[:, 0].astype(float) * float(point)) for point in z])
    diagonal, trace, product = curvature(z)
    np.testing.assert_allclose(diagonal[..., 0], H.diagonal(axis1=1, axis2=2), rtol=1e-5)
    np.testing.assert_allclose(trace, np.trace(H, axis1=1, axis2=2) * (1 + z.astype(float) ** 2), rtol=1e-5)
    np.testing.assert_allclose(product, H @ V, rtol=1e-5)


def hessian_with_all_digits(loss, zL):
    """In float64, without a difference of large numbers: rows of softmax's Hessian sum to 0."""
    if loss == BCE:
        return np.diag(0.25 / np.cosh(zL / 2) ** 2)
    P = np.exp(zL - zL.max()) / np.exp(zL - zL.max()).sum()
    apart = np.outer(P, P) * (1 - np.eye(len(P)))
    return np.diag(apart.sum(axis=1)) - apart


@pytest.mark.parametrize("product", [readouts.ggn_vector_product, readouts.hessian_vector_product])
def test_a_direction_of_another_network_is_refused(x64, no_shape_checks, product):
    given, other = case("softmax"), case("several logits")
    with pytest.raises(InputError, match=r"layers with \(4, 5, 3\) units, the network with \(4, 6, 5, 3\)"):
        product(*given[:3], other.parameters, given.network)


@pytest.mark.parametrize("product", [readouts.ggn_vector_product, readouts.hessian_vector_product])
@pytest.mark.few(1)
def test_a_direction_takes_the_dtype_of_the_parameters(x64, product):
    given = case("softmax")
    V = jax.tree.map(np.ones_like, given.parameters)
    narrow = jax.tree.map(lambda value: value.astype("int32"), V)
    expected = product(*given[:3], V, given.network)
    np.testing.assert_array_equal(flat(product(*given[:3], narrow, given.network)), flat(expected))


def test_products_pass_activations_without_a_diagonal(x64):
    """Units that look at their neighbour: the Jacobian is not symmetric either."""

    def forward(Z):
        return jax.numpy.tanh(Z) * jax.numpy.roll(Z, 1, axis=0)

    def backward(dA, Z):
        return jax.vjp(forward, Z)[1](dA)[0]

    given = made([3, 4, 2], 5, SOFTMAX, jaxnet.activations.Activation(forward, backward))
    V = np.random.default_rng(0).normal(size=given.J.shape[2])
    product = readouts.ggn_vector_product(*given[:3], given.tree(V), given.network)
    np.testing.assert_allclose(flat(product), given.ggn() @ V, **close)
    start = jax.flatten_util.ravel_pytree(given.parameters)[0]
    curved = readouts.hessian_vector_product(*given[:3], given.tree(V), given.network)
    expected = jax.jit(lambda start: jax.jvp(jax.grad(cost_of(given)), (start,), (V,))[1])(start)
    np.testing.assert_allclose(flat(curved), expected, **close)


@pytest.mark.parametrize("loss, scale", [(BCE, 400.0), (SOFTMAX, 200.0)])
def test_the_trace_has_a_derivative_where_outputs_are_0(loss, scale):
    given = jax.tree.map(lambda value: np.asarray(value, np.float32), problem([3, 4, 2], 5, loss, scale=scale))
    X, Y, parameters = given

    def trace(parameters):
        network = jaxnet.Network("tanh", loss)
        return readouts.ggn_trace(readouts.record(X, Y, parameters, network, cotangent=readouts.hessian_root))

    assert np.isfinite(flat(jax.jit(jax.grad(trace))(parameters))).all()
