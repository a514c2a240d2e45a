"""Sizes by layer against plain NumPy and autodiff, theory against integrals, and the course's collapse."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import jaxnet
from jaxnet.activations import ACTIVATIONS, STRAIGHT_THROUGH, Activation
from jaxnet.losses import LOSSES
from jaxnet.signals.diagnosis import layer_signals
from jaxnet.signals.sizes import CLOSED, dead_share, root_mean_square, signal_sizes

from ..drawn import compiled, problem


DIMS = [4, 6, 3, 2]
sizes_of = compiled(signal_sizes)


def plain_forward(X, parameters, network, offsets):
    """Z_1 ... Z_L and A_1 ... A_{L-1}, with something added to every Z_l by which autodiff can differentiate."""
    Z, A = [], [X]
    L = len(parameters) // 2
    for l in range(1, L + 1):
        Z.append(jnp.asarray(parameters[f"W{l}"] @ A[-1] + parameters[f"b{l}"] + offsets[l - 1]))
        if l < L:
            A.append(network.hidden.forward(Z[-1]))
    return Z, A[1:]


def rms(A):
    return np.sqrt(np.mean(np.square(np.asarray(A, np.float64))))


@pytest.mark.parametrize(
    "hidden, loss", [*((name, "squared_error") for name in ACTIVATIONS), *(("tanh", n) for n in LOSSES)]
)
@pytest.mark.few(3)
def test_sizes_are_those_of_autodiff(x64, hidden, loss):
    network = jaxnet.Network(hidden, loss)
    X, Y, parameters = problem(DIMS, 5, loss)
    zeros = [np.zeros((n, 5)) for n in DIMS[1:]]

    def losses(offsets, X, parameters):
        return jnp.sum(network.loss.value(plain_forward(X, parameters, network, offsets)[0][-1], jnp.asarray(Y)))

    dZ, dX, dparameters = jax.jit(jax.grad(losses, argnums=(0, 1, 2)))(zeros, X, parameters)
    Z, A = plain_forward(X, parameters, network, zeros)
    sizes = sizes_of(X, Y, parameters, network=network)
    close = {"rtol": 1e-10, "atol": 0}
    np.testing.assert_allclose(sizes.Z, [rms(z) for z in Z], **close)
    np.testing.assert_allclose(sizes.A, [*map(rms, A), rms(network.loss.output(Z[-1]))], **close)
    np.testing.assert_allclose(sizes.spread, [np.sqrt(np.mean(np.var(z, axis=1))) for z in Z], **close)
    np.testing.assert_allclose(sizes.dZ, [rms(d) for d in dZ], **close)
    handed_down = [dX, *(parameters[f"W{l}"].T @ dZ[l - 1] for l in (2, 3))]
    np.testing.assert_allclose(sizes.dA_prev, [rms(d) for d in handed_down], **close)
    norms = np.array([np.linalg.norm(dparameters[f"W{l}"]) / 5 for l in (1, 2, 3)])
    W = np.array([np.linalg.norm(parameters[f"W{l}"]) for l in (1, 2, 3)])
    for field, expected in (("dW", norms), ("W", W), ("ratio", norms / W)):
        np.testing.assert_allclose(getattr(sizes, field), expected, **close)


@pytest.mark.parametrize(
    "hidden, below, above",  # z at which the slope is just below and just above a twentieth of its largest
    [
        ("relu", -1e-9, 1e-9),
        ("leaky_relu", -1e-9, 1e-9),
        ("tanh", 2.19, 2.17),  # 1 - tanh^2 = 1/20 at 2.178
        ("sigmoid", 4.37, 4.35),  # s (1 - s) = 1/80 at 4.357
        ("elu", -3.0, -2.99),  # e^z = 1/20 at -2.9957
        ("identity", None, 100.0),
    ],
)
@pytest.mark.few(3)
def test_closed_entries_are_counted(x64, hidden, below, above):
    """Unit 1 is closed for both examples, unit 2 for one of them, unit 3 for none; closed is dead for relu alone."""
    closed = 0 if below is None else below
    Z = np.array([[closed, closed], [closed, above], [above, above]])
    parameters = {"W1": np.eye(3), "b1": np.zeros((3, 1)), "W2": np.ones((1, 3)), "b2": np.zeros((1, 1))}
    sizes = sizes_of(Z, np.ones((1, 2)), parameters, network=jaxnet.Network(hidden))
    expected = (0 if below is None else 1 / 2, 1 / 3 if hidden == "relu" else 0)
    np.testing.assert_allclose((sizes.closed[0], sizes.dead[0]), expected, rtol=1e-6)
    assert CLOSED == 1 / 20


# Activation: z where the slope is 0 in float32, or None; and z where it is not, though the unit may be saturated.
SLOPES = {
    "relu": (0.0, 1e-30),
    "leaky_relu": (None, -1e30),
    "sigmoid": (20.0, 8.0),  # A (1 - A) is 0 where A rounds to 1
    "tanh": (20.0, 4.0),
    "gelu": (-20.0, -8.0),
    "silu": (-200.0, -20.0),
    "softplus": (-200.0, -20.0),
    "elu": (-200.0, -20.0),
    "identity": (None, 0.0),
    "sign": (1.5, -1.0),  # of the straight-through estimator
}


@pytest.mark.parametrize("hidden", ACTIVATIONS | STRAIGHT_THROUGH)
@pytest.mark.few(2)
def test_dead_is_a_slope_of_zero_for_report_and_inspect(hidden):
    """Unit 1 has slope 0 for both examples, unit 2 for one, unit 3 for none, and unit 4 is NaN, which is not dead."""
    zero, other = SLOPES[hidden]
    dead = other if zero is None else zero
    Z = np.array([[dead, dead], [dead, other], [other, other], [np.nan, np.nan]], np.float32)
    expected = 0 if zero is None else 1 / 4
    network = jaxnet.Network(hidden)
    assert dead_share(Z, network.hidden) == expected
    Z[3] = other
    parameters = {"W1": np.eye(4), "b1": np.zeros((4, 1)), "W2": np.ones((1, 4)), "b2": np.zeros((1, 1))}
    parameters = {name: value.astype(np.float32) for name, value in parameters.items()}
    Y = np.ones((1, 2))
    assert sizes_of(Z, Y, parameters, network=network).dead.tolist() == [expected]
    assert layer_signals(Z, Y, parameters, network).dead_shares.tolist() == [expected]


def test_an_explosion_is_neither_closed_nor_dead():
    """In float32: relu's backward would make 0 of what meets NaN."""
    sizes = sizes_of(np.ones((8, 3), np.float32), np.ones((8, 3), np.float32), deep(1e10, 8))
    assert np.isnan(sizes.Z[-2]) and sizes.closed[-1] == sizes.dead[-1] == 0


def test_a_network_of_one_layer_has_no_hidden_sizes():
    X, Y, parameters = problem([4, 1], 5, dtype=np.float32)
    sizes = sizes_of(X, Y, parameters)
    assert sizes.closed.shape == sizes.dead.shape == (0,) and sizes.Z.shape == sizes.dZ.shape == (1,)
    expected = jaxnet.expected_sizes([4, 1], [0.5], dZL_size=3.0)
    assert expected.A.shape == (0,)
    np.testing.assert_allclose([*expected.Z, *expected.dZ], [1, 3], rtol=1e-6)


@pytest.mark.parametrize("scale", [0, 1e-37, 1e-25, 1.0, 1e25, 1e37, 1.1e38, np.inf, np.nan])
def test_a_size_keeps_its_digits_at_the_ends_of_the_range(scale):
    A = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]])
    with np.errstate(invalid="ignore"):
        scaled = (A * scale).astype(np.float32)
    for size in (root_mean_square, jax.jit(root_mean_square)):
        np.testing.assert_allclose(size(scaled), rms(A) * np.float64(scale), rtol=3e-7)


def test_a_size_with_an_infinity_or_no_number_in_it_is_one():
    assert root_mean_square(np.float32([1, -np.inf])) == np.inf
    assert np.isnan(root_mean_square(np.float32([1, np.nan, np.inf])))


def deep(std, L, width=8):
    return jaxnet.initialize_parameters_deep([width] * (L + 1), key=jax.random.key(0), init=std)


def test_an_explosion_is_no_signal_that_vanished():
    """In float32: relu would make 0 of what comes back through NaN."""
    X, Y = np.ones((8, 3), np.float32), np.ones((8, 3), np.float32)
    sizes = sizes_of(X, Y, deep(1e10, 6))
    finite = np.isfinite(sizes.Z)
    assert finite[:3].all() and not finite[-1]
    for field in ("dZ", "dA_prev", "dW", "ratio"):
        assert np.isnan(getattr(sizes, field)).all(), field


def test_an_underflow_is_below_the_smallest_number():
    X, Y = np.ones((8, 3), np.float32), np.ones((8, 3), np.float32)
    sizes = sizes_of(X, Y, deep(1e-10, 6), network=jaxnet.Network("tanh"))
    expected = jaxnet.expected_sizes([8] * 7, [1e-10] * 6, jaxnet.Network("tanh"))
    assert (np.asarray(sizes.Z) > 0).tolist() == [True, True, True, False, False, False]
    np.testing.assert_allclose(np.log10(sizes.Z[:3]), np.log10(expected.Z[:3]), atol=0.5)


def test_labels_that_do_not_fit_are_refused():
    X, Y, parameters = problem([4, 1], 5, dtype=np.float32)
    with pytest.raises(jaxnet.InputError, match="Y has shape"):
        signal_sizes(X, Y[:, :4], parameters)


# ---- theory

FORMULAS = {
    "relu": (lambda z: max(z, 0), lambda z: float(z > 0)),
    "leaky_relu": (lambda z: z if z > 0 else z / 100, lambda z: 1 if z > 0 else 0.01),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: (1 + np.tanh(z / 2)) / 2, lambda z: (1 - np.tanh(z / 2) ** 2) / 4),
    "softplus": (lambda z: np.logaddexp(0, z), lambda z: (1 + np.tanh(z / 2)) / 2),
    "identity": (lambda z: z, lambda z: 1),
}


def integral(function, size):
    """sqrt(E function(size x)^2), by adaptive quadrature on both sides of the kink."""
    halves = [
        quad(
            lambda x: function(size * x) ** 2 * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
            *ends,
            epsrel=1e-9,
            epsabs=0,
            limit=200,
        )
        for ends in ((-9, 0), (0, 9))
    ]
    return np.sqrt(halves[0][0] + halves[1][0])


@pytest.mark.parametrize("hidden", FORMULAS)
@pytest.mark.parametrize("scale", [0.01, 1.0, 20.0])
@pytest.mark.few(9)
def test_expected_sizes_are_the_integrals(x64, hidden, scale):
    dims, (g, slope) = [5, 8, 3, 2], FORMULAS[hidden]
    stds = [scale / np.sqrt(n_prev) for n_prev in dims[:-1]]
    expected = jaxnet.expected_sizes(dims, stds, jaxnet.Network(hidden), X_size=0.7, dZL_size=0.3)
    Z, A = [scale * 0.7], []
    for _ in (2, 3):
        A.append(integral(g, Z[-1]))
        Z.append(scale * A[-1])
    dZ = [0.3]
    for l in (2, 1):
        dZ.insert(0, np.sqrt(dims[l + 1]) * stds[l] * dZ[0] * integral(slope, Z[l - 1]))
    for actual, desired in zip(expected, (Z, A, dZ), strict=True):
        np.testing.assert_allclose(actual, desired, rtol=1e-6)


@pytest.mark.parametrize("init, factor", [("he", 1), ("lecun", 0.5**0.5), ("xavier", 0.5**0.5)])
def test_relu_multiplies_by_what_the_papers_say(init, factor):
    dims = [100] * 51
    stds = [jaxnet.parameters.INITS[init](100, 100)] * 50
    expected = jax.jit(lambda stds: jaxnet.expected_sizes(dims, stds))(jnp.array(stds))
    np.testing.assert_allclose(expected.Z[1:] / expected.Z[:-1], factor, rtol=1e-5)
    np.testing.assert_allclose(expected.dZ[:-1] / expected.dZ[1:], factor, rtol=1e-5)


def test_small_signals_of_tanh_grow_by_the_root_of_width():
    expected = jaxnet.expected_sizes([25] * 5, [0.1] * 4, jaxnet.Network("tanh"), X_size=1e-4)
    np.testing.assert_allclose(expected.Z[1:] / expected.Z[:-1], 0.5, rtol=1e-5)
    np.testing.assert_allclose(expected.dZ[:-1] / expected.dZ[1:], 0.5, rtol=1e-5)


@pytest.mark.parametrize("hidden", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("init", ["he", "lecun", 0.3])
@pytest.mark.few(1)
def test_wide_networks_do_what_theory_expects(hidden, init):
    """With labels so large that the error does not depend on the weights."""
    dims, network = [600, 500, 400, 300, 200], jaxnet.Network(hidden, "squared_error")
    parameters = jaxnet.initialize_parameters_deep(dims, key=jax.random.key(2), init=init)
    X = jax.random.normal(jax.random.key(3), (600, 50))
    Y = 1e6 * jax.random.normal(jax.random.key(4), (200, 50))
    measured = sizes_of(X, Y, parameters, network=network)
    stds = [float(np.std(parameters[f"W{l}"])) for l in (1, 2, 3, 4)]
    expected = jaxnet.expected_sizes(dims, stds, network, X_size=root_mean_square(X), dZL_size=measured.dZ[-1])
    np.testing.assert_allclose(measured.Z, expected.Z, rtol=0.1)
    np.testing.assert_allclose(measured.dZ, expected.dZ, rtol=0.1)


def test_an_activation_of_ones_own_has_a_theory_too(x64):
    square = Activation(lambda Z: Z * Z, lambda dA, Z: 2 * Z * dA)
    expected = jaxnet.expected_sizes([4, 4, 4], [0.5, 0.5], jaxnet.Network(square))
    np.testing.assert_allclose(expected.A, [3**0.5], rtol=1e-9)  # E x^4 = 3
    np.testing.assert_allclose(expected.dZ, [2, 1], rtol=1e-9)  # E (2x)^2 = 4


@pytest.mark.parametrize("dims, stds, said", [([4], [], "at least two"), ([4, 3, 1], [0.1], "1 stds, but 2 layers")])
def test_sizes_that_are_no_networks_are_refused(dims, stds, said, no_shape_checks):
    with pytest.raises(jaxnet.InputError, match=said):
        jaxnet.expected_sizes(dims, stds)


# ---- singular values


def test_singular_values_are_those_of_numpy(x64):
    _, _, parameters = problem(DIMS, 5)
    values = jax.jit(jaxnet.singular_values)(parameters)
    exact = [np.linalg.svd(parameters[f"W{l}"], compute_uv=False) for l in (1, 2, 3)]
    np.testing.assert_allclose(values.largest, [s[0] for s in exact], rtol=1e-12)
    np.testing.assert_allclose(values.smallest, [s[-1] for s in exact], rtol=1e-12)
    np.testing.assert_allclose(values.condition, [s[0] / s[-1] for s in exact], rtol=1e-12)
    norms = [np.linalg.norm(parameters[f"W{l}"]) / np.sqrt(min(d)) for l, d in enumerate(itertools.pairwise(DIMS), 1)]
    np.testing.assert_allclose(values.root_mean_square, norms, rtol=1e-12)


@pytest.mark.parametrize("hidden", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("layer", [None, 1, 2, 3])
@pytest.mark.few(2)
def test_singular_values_are_of_autodiffs_jacobian(x64, hidden, layer):
    network = jaxnet.Network(hidden)
    X, _, parameters = problem(DIMS, 1)
    last = 3 if layer is None else layer
    zeros = [np.zeros((n, 1)) for n in DIMS[1:]]
    J = jax.jacobian(lambda x: plain_forward(x[:, None], parameters, network, zeros)[0][last - 1][:, 0])(X[:, 0])
    values = jax.jit(lambda x: jaxnet.map_singular_values(x, parameters, network, layer=layer))(X)
    np.testing.assert_allclose(values, np.linalg.svd(J, compute_uv=False), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("m, layer", [(2, None), (1, 0), (1, 4)])
def test_examples_and_layers_not_there_are_refused(m, layer, no_shape_checks):
    X, _, parameters = problem(DIMS, m, dtype=np.float32)
    with pytest.raises(jaxnet.InputError, match="expected one column and a layer from 1 to 3"):
        jaxnet.map_singular_values(X, parameters, layer=layer)


# ---- the course's collapse


@pytest.mark.thorough
def test_small_weights_learn_one_answer(shared_data):
    from examples import course_collapse

    data = course_collapse.read(shared_data / "course")
    said = course_collapse.collapse(data, 0.01)
    entropy = course_collapse.entropy(72 / 209)
    assert round(entropy, 3) == 0.644
    # Before: what X does to Z_4 is lost in its digits, and what comes back to layer 1 is a millionth.
    assert said["Z"][3] < 1e-4 * said["Z"][0] and said["spread"] < 1e-4
    assert said["dZ"][0] < 1e-5 * said["dZ"][3]
    # After: the share of cats, whatever the image.
    assert abs(said["cost"] - entropy) < 1e-4
    assert said["AL"] == pytest.approx((72 / 209, 72 / 209), abs=5e-3) and said["spread after"] < 1e-4
    assert said["called cats"] == 0 and said["test accuracy"] == 17 / 50


@pytest.mark.thorough
def test_weights_that_keep_sizes_learn(shared_data):
    from examples import course_collapse

    said = course_collapse.collapse(course_collapse.read(shared_data / "course"), "he")
    assert min(said["Z"]) > 0.1 and min(said["dZ"]) > 0.01
    assert said["cost"] < 0.1 and said["test accuracy"] >= 0.7
