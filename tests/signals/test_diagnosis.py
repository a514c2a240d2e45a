"""Norms of gradients and units that are dead, against autodiff and on purpose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.losses import LOSSES
from jaxnet.signals.diagnosis import layer_signals

from ..drawn import compiled, problem


DIMS = [4, 6, 3, 2]
signals = compiled(layer_signals)


def autodiff_cost(X, Y, parameters, network):
    """The cost through the forward pass alone, so that JAX differentiates it and not the library."""
    _, caches = jaxnet.L_model_forward(X, parameters, network)
    return jnp.mean(network.loss.value(caches[-1].Z, jnp.asarray(Y)))


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_norms_are_those_of_autodiff(x64, loss):
    network = jaxnet.Network("tanh", loss)
    X, Y, parameters = problem(DIMS, 5, loss)
    grads = jax.jit(jax.grad(lambda parameters: autodiff_cost(X, Y, parameters, network)))(parameters)
    expected = [np.linalg.norm(grads[f"W{l}"]) for l in (1, 2, 3)]
    actual = signals(X, Y, parameters, network=network)
    np.testing.assert_allclose(actual.gradient_norms, expected, rtol=1e-12)
    assert actual.dead_shares.tolist() == [0, 0]


def test_units_made_dead_are_counted_and_learn_nothing(x64):
    X, Y, parameters = problem(DIMS, 5)
    parameters["W2"] = np.abs(parameters["W2"])
    for l in (1, 2):
        parameters[f"b{l}"][:] = 1000.0  # all awake
    assert signals(X, Y, parameters).dead_shares.tolist() == [0, 0]
    parameters["b1"][[0, 2, 5]] = parameters["b2"][1] = -1e6
    np.testing.assert_allclose(signals(X, Y, parameters).dead_shares, [1 / 2, 1 / 3], rtol=1e-6)
    parameters["b2"][:] = -1e6
    dead = signals(X, Y, parameters)
    assert dead.dead_shares[1] == 1 and dead.gradient_norms[:2].tolist() == [0, 0]


def test_a_unit_that_one_example_wakes_is_alive(x64):
    parameters = {
        "W1": np.array([[1.0], [-1.0]]),
        "b1": np.zeros((2, 1)),
        "W2": np.ones((1, 2)),
        "b2": np.zeros((1, 1)),
    }
    Y = np.array([[1.0, 0.0]])
    assert signals(np.array([[1.0, 2.0]]), Y, parameters).dead_shares.tolist() == [0.5]
    assert signals(np.array([[1.0, -2.0]]), Y, parameters).dead_shares.tolist() == [0]


def test_a_network_of_one_layer_has_no_hidden_units():
    X, Y, parameters = problem([4, 1], 5, dtype=np.float32)
    gradient_norms, dead_shares = signals(X, Y, parameters)
    assert gradient_norms.shape == (1,) and dead_shares.shape == (0,)


def test_labels_that_do_not_fit_are_refused():
    X, Y, parameters = problem([4, 1], 5, dtype=np.float32)
    with pytest.raises(jaxnet.InputError, match="Y has shape"):
        layer_signals(X, Y[:, :4], parameters)
