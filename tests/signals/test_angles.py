"""Angles and norms of what a rule sends back, beside plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import InputError, Network, initialize_feedback
from jaxnet.losses import LOSSES
from jaxnet.signals.angles import decided_rightly

from ..drawn import compiled, problem


BCE, SOFTMAX, SQUARED = LOSSES
alignment, angle = compiled(jaxnet.alignment), jax.jit(jaxnet.angle)
U = np.array([[3.0, -1.0], [2.0, 0.5]])


def turned(radians):
    """U turned in a plane that it lies in."""
    V = np.array([[1.0, 3.0], [0.5, -2.0]])  # <U, V> = 0, and as long
    return np.cos(radians) * U + np.sin(radians) * V


@pytest.mark.parametrize(
    "B, degrees",
    [(U, 0), (7 * U, 0), (-0.1 * U, 180), (turned(np.pi / 2), 90), (turned(1.0), np.degrees(1.0))],
    ids=["itself", "parallel", "opposite", "orthogonal", "one radian"],
)
def test_angles_in_degrees(x64, B, degrees):
    np.testing.assert_allclose(angle(jnp.asarray(U), jnp.asarray(B)), degrees, rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize("radians", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("side", [1, -1], ids=["parallel", "opposite"])
def test_small_angles_keep_their_digits(x64, radians, side):
    """Where arccos has a resolution of 1e-8."""
    found = np.radians(float(angle(jnp.asarray(U), jnp.asarray(side * turned(radians)))))
    np.testing.assert_allclose(found, radians if side == 1 else np.pi - radians, rtol=0, atol=1e-15)


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_vanishing_and_exploding_errors_are_seen(size):
    """Their squares are 0 or infinity in float32; layers 1 of deep networks are sent such errors."""
    A = jnp.array([[size, 0.0]], jnp.float32)
    B = jnp.array([[1.0, 1.0]], jnp.float32)
    np.testing.assert_allclose(angle(A, B), 45, rtol=1e-6)
    np.testing.assert_allclose(angle(A, size * B), 45, rtol=1e-6)


def test_the_angle_to_nothing_is_nan_and_no_warning():
    assert np.isnan(angle(jnp.zeros(3), jnp.ones(3))) and np.isnan(angle(jnp.ones(3), jnp.zeros(3)))


def test_arrays_of_two_shapes_have_no_angle():
    with pytest.raises(InputError, match=r"A has shape \(2, 3\) and B \(3, 2\); expected one shape"):
        jaxnet.angle(jnp.ones((2, 3)), jnp.ones((3, 2)))


# ---- alignment


def given(name, dims=(5, 6, 4, 3), loss=SOFTMAX):
    X, Y, parameters = problem(dims, 9, loss)
    network = Network("tanh", loss, name)
    return X, Y, parameters, network, initialize_feedback(parameters, network, key=jax.random.key(1))


def by_numpy(A, B):
    A, B = np.asarray(A), np.asarray(B)
    return np.degrees(np.arccos(np.sum(A * B) / np.linalg.norm(A) / np.linalg.norm(B)))


@pytest.mark.parametrize("name", ["feedback_alignment", "direct_feedback_alignment", "direct_random_target"])
@pytest.mark.few(2)
def test_alignment_is_what_its_fields_say(x64, name):
    X, Y, parameters, network, B = given(name)
    record = compiled(jaxnet.readouts.record)
    pairs = record(X, Y, parameters, network=network, B=B)
    ideal = record(X, Y, parameters, network=network.by_backprop)
    found = alignment(X, Y, parameters, network=network, B=B)
    W2, W3 = parameters["W2"], parameters["W3"]
    instead = {"feedback_alignment": (W2.T, W3.T), "direct_feedback_alignment": (W2.T @ W3.T, W3.T)}.get(name)
    Bs = B["B2"], B["B3"]
    AL = np.asarray(jaxnet.L_model_forward(X, parameters, network)[0])
    nothing = [np.nan, np.nan]
    want = {
        "cost": np.mean(pairs.loss),
        "accuracy": np.mean(np.argmax(AL, axis=0) == np.argmax(Y, axis=0)),
        "angle_dZ": [by_numpy(a, b) for a, b in zip(pairs.dZ[:2], ideal.dZ[:2], strict=True)],
        "norm_dZ": [np.linalg.norm(a) / 3 for a in pairs.dZ[:2]],
        "backprop_norm_dZ": [np.linalg.norm(a) / 3 for a in ideal.dZ[:2]],
        "angle_B": nothing if instead is None else [by_numpy(a, b) for a, b in zip(Bs, instead, strict=True)],
        "norm_B": nothing if instead is None else [np.linalg.norm(a) for a in Bs],
        "norm_W": [np.linalg.norm(W2), np.linalg.norm(W3)],
    }
    assert list(want) == list(found._fields)
    for field, value in found._asdict().items():
        np.testing.assert_allclose(value, want[field], rtol=1e-9, err_msg=field)


def test_backpropagation_is_aligned_with_itself():
    X, Y, parameters, network, _ = given("backprop")
    found = alignment(*(np.float32(part) for part in (X, Y)), jax.tree.map(np.float32, parameters), network=network)
    np.testing.assert_array_equal(found.angle_dZ, [0, 0])
    np.testing.assert_array_equal(found.norm_dZ, found.backprop_norm_dZ)
    assert np.all(np.isnan(found.angle_B)) and np.all(np.isnan(found.norm_B)) and np.all(found.norm_W > 0)


def test_with_the_transposes_every_angle_is_0(x64):
    X, Y, parameters, network, _ = given("kolen_pollack")
    found = alignment(X, Y, parameters, network=network, B=network.feedback.transport(parameters))
    np.testing.assert_allclose(found.angle_dZ, 0, atol=1e-12)
    np.testing.assert_allclose(found.angle_B, 0, atol=1e-12)
    np.testing.assert_allclose(found.norm_B, found.norm_W, rtol=1e-14)


def test_dropped_units_are_dropped_for_both(x64):
    X, Y, parameters, network, B = given("feedback_alignment")
    masks = jaxnet.dropout_masks([5, 6, 4, 3], 9, 0.5, key=jax.random.key(2), dtype=np.float64)
    record = compiled(jaxnet.readouts.record)
    a = record(X, Y, parameters, network=network, B=B, masks=masks)
    b = record(X, Y, parameters, network=network.by_backprop, masks=masks)
    found = alignment(X, Y, parameters, network=network, B=B, masks=masks)
    want = [by_numpy(*both) for both in zip(a.dZ[:2], b.dZ[:2], strict=True)]
    np.testing.assert_allclose(found.angle_dZ, want, rtol=1e-9)


def test_a_network_of_one_layer_has_no_angles():
    X, Y, parameters, network, B = given("feedback_alignment", (5, 3))
    found = jaxnet.alignment(X, Y, parameters, network, B=B)
    assert found.angle_dZ.shape == found.norm_W.shape == (0,) and found.cost.shape == ()


def test_a_rule_without_its_weights_is_told():
    X, Y, parameters, network, _ = given("feedback_alignment")
    with pytest.raises(InputError, match="pass B=initialize_feedback"):
        jaxnet.alignment(X, Y, parameters, network)


@pytest.mark.parametrize(
    "AL, Y, right",
    [
        ([[0.2, 0.9, 0.5, 0.6]], [[0, 1, 1, 0]], [[1, 1, 0, 0]]),
        ([[0.2, 0.1, 0.4], [0.7, 0.05, 0.6]], [[0, 1, 1], [1, 0, 0]], [1, 1, 0]),
    ],
    ids=["one output", "several"],
)
def test_what_is_decided_rightly(AL, Y, right):
    found = decided_rightly(jnp.array(AL), jnp.array(Y, jnp.float32))
    np.testing.assert_array_equal(found, np.array(right, bool))


def test_layers_are_in_order_whatever_the_mappings_is(x64):
    """From ten layers on, a plain dict that JAX has mapped has W10 before W2."""
    dims = (3,) * 13
    X, Y, parameters = problem(dims, 5)
    network = Network("tanh", "binary_cross_entropy", "feedback_alignment")
    B = initialize_feedback(parameters, network, key=jax.random.key(0))
    mixed = jax.tree.map(jnp.asarray, dict(parameters))
    assert list(mixed) != list(parameters)
    seen = jaxnet.alignment(X, Y, jaxnet.FrozenDict(parameters), network, B=B)
    for a, b in zip(jaxnet.alignment(X, Y, mixed, network, B=B), seen, strict=True):
        np.testing.assert_array_equal(a, b)
    norms = [np.linalg.norm(parameters[f"W{l}"]) for l in range(2, 13)]
    np.testing.assert_allclose(seen.norm_W, norms, rtol=1e-14)
