"""The proof: the hand-written backward pass is the derivative of the cost, for networks of all sorts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import jaxnet
from jaxnet import Network, crosscheck
from jaxnet.activations import ACTIVATIONS, Activation
from jaxnet.losses import LOSSES

from . import drawn


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@given(dims=drawn.dims, m=drawn.m, seed=drawn.seeds)
def test_every_leaf_agrees_with_autodiff(hidden, loss, dims, m, seed):
    X, Y, parameters = drawn.problem(dims, m, loss, seed=seed, soft=seed % 2 == 0, scale=[0.3, 1, 3][seed % 3])
    report = jaxnet.check_backward(X, Y, parameters, Network(hidden, loss))
    assert report.agrees, f"\n{report}"


@pytest.mark.parametrize("leaf", ["dW1", "db2", "dA1", "dW3", "dA0"])
def test_a_leaf_that_is_off_by_a_billionth_disagrees_and_no_other(monkeypatch, leaf):
    right = crosscheck.L_model_backward

    def wrong(*arguments):
        grads = right(*arguments)
        return grads | {leaf: grads[leaf] * (1 + 1e-9)}

    monkeypatch.setattr(crosscheck, "L_model_backward", wrong)
    crosscheck._compare.clear_cache()
    X, Y, parameters = drawn.problem((5, 4, 3, 1), 6)
    report = jaxnet.check_backward(X, Y, parameters)
    crosscheck._compare.clear_cache()
    assert [check.name for check in report.leaves if not check.agrees] == [leaf]
    assert not report.agrees and report.worst.name == leaf and "DISAGREES" in str(report)


def test_a_gradient_of_nan_disagrees(monkeypatch):
    def wrong(AL, Y, caches, network):
        return jax.tree.map(lambda g: g * jnp.nan, jaxnet.L_model_backward(AL, Y, caches, network))

    monkeypatch.setattr(crosscheck, "L_model_backward", wrong)
    crosscheck._compare.clear_cache()
    report = jaxnet.check_backward(*drawn.problem((4, 3, 1), 5))
    crosscheck._compare.clear_cache()
    assert not any(check.agrees for check in report.leaves)


def halved_mean(dZ, cache):
    dA_prev, dW, db = jaxnet.linear_backward(dZ, cache)
    return dA_prev, dW / 2, db


def sum_over_units(dZ, cache):
    dA_prev, dW, db = jaxnet.linear_backward(dZ, cache)
    return dA_prev, dW, jnp.full_like(db, jnp.mean(jnp.sum(dZ, axis=0)))


def transposed_weights(dZ, cache):
    _, dW, db = jaxnet.linear_backward(dZ, cache)
    return cache[1] @ dZ, dW, db


@pytest.mark.parametrize(
    "wrong, disagreeing",
    [
        (halved_mean, {"dW1", "dW2", "dW3"}),
        (sum_over_units, {"db1", "db2", "db3"}),
        (transposed_weights, {"dA2", "dA1", "dA0", "dW2", "dW1", "db2", "db1"}),
    ],
)
def test_a_wrong_layer_disagrees_where_its_error_arrives_and_nowhere_else(monkeypatch, wrong, disagreeing):
    """Square layers and square batches, in which no shape betrays the error."""
    monkeypatch.setattr(jaxnet.network, "linear_backward", wrong)
    crosscheck._compare.clear_cache()
    report = jaxnet.check_backward(*drawn.problem((5, 5, 5, 5), 5))
    crosscheck._compare.clear_cache()
    assert {check.name for check in report.leaves if not check.agrees} == disagreeing


@pytest.mark.parametrize(
    "backward",
    [
        lambda dA, Z: dA * (1 + jnp.tanh(Z) ** 2),
        lambda dA, Z: dA * (1 - Z * Z),
        lambda dA, Z: dA,
        lambda dA, Z: dA * (1 - jnp.tanh(Z) ** 2) ** 2,
    ],
)
def test_a_wrong_derivative_of_the_activation_disagrees_below_it_and_not_above(backward):
    X, Y, parameters = drawn.problem((4, 3, 1), 5)
    report = jaxnet.check_backward(X, Y, parameters, Network(Activation(jnp.tanh, backward)))
    assert [check.name for check in report.leaves if not check.agrees] == ["dW1", "db1", "dA0"]


@pytest.mark.parametrize("loss", LOSSES)
def test_no_gradient_is_larger_than_the_magnitudes_it_is_measured_by(x64, loss):
    X, Y, parameters = drawn.problem((5, 4, 3), 6, loss, soft=True)
    network = Network("gelu", loss)
    grads = drawn.compiled(crosscheck.reference_grads)(X, Y, parameters, network)
    S = drawn.compiled(crosscheck.magnitudes)(X, Y, parameters, network)
    assert list(S) == list(grads)
    assert all((np.abs(grads[name]) <= S[name]).all() for name in grads)


def test_leaves_stand_in_the_order_of_the_backward_pass():
    report = jaxnet.check_backward(*drawn.problem((4, 3, 1), 5))
    assert [check.name for check in report.leaves] == ["dW2", "db2", "dA1", "dW1", "db1", "dA0"]
    assert [check.shape for check in report.leaves] == [(1, 3), (1, 1), (3, 5), (3, 4), (3, 1), (4, 5)]


def test_float32_networks_are_checked_in_float64():
    X, Y, parameters = drawn.problem((6, 5, 1), 7, dtype=np.float32)
    report = jaxnet.check_backward(X, Y[0], parameters)
    assert report.agrees and report.worst.max_error < 1e-13
