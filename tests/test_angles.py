"""Angles to full precision, and what is recorded of a rule beside backpropagation, inside a run and outside."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import InputError
from jaxnet.training import Step, run_chunk

from .drawn import assert_close, assert_same, problem


DIMS, M = (6, 5, 4, 3), 12


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 1e-3, 30.0, 90.0, 135.0, 180.0 - 1e-7, 180.0])
def test_an_angle_keeps_its_digits(degrees, x64):
    """Near 0 and 180 the arc cosine of a float64 knows nothing below 1e-6 degrees."""
    a = np.array([[3.0, 0.0], [0.0, 4.0]])
    across = np.array([[0.0, -2.0], [5.0, 0.0]])
    b = np.cos(np.deg2rad(degrees)) * a / 5 + np.sin(np.deg2rad(degrees)) * across / np.sqrt(29)
    got = float(jaxnet.angle(1e3 * a, 1e-3 * b))
    assert got == pytest.approx(degrees, rel=1e-8, abs=1e-13)
    assert np.isnan(jaxnet.angle(a, np.zeros_like(a)))
    tiny, huge = (np.float32(1e-30) * np.float32(a), np.float32(1e30) * np.float32(b))
    assert float(jaxnet.angle(tiny, huge)) == pytest.approx(degrees, abs=1e-4)
    with pytest.raises(InputError, match=r"of one shape; got \(2, 2\) and \(2, 1\)"):
        jaxnet.angle(a, a[:, :1])


def numpy_angle(a, b):
    return np.rad2deg(np.arccos(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b))))


@pytest.mark.parametrize("name", ["feedback_alignment", "direct_feedback_alignment"])
def test_an_alignment_is_that_of_the_two_ways_back(name, x64):
    network = jaxnet.Network("tanh", "softmax_cross_entropy", name)
    X, Y, parameters = problem(DIMS, M, "softmax_cross_entropy")
    B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(0))
    seen = jaxnet.alignment(X, Y, parameters, network, B=B)
    AL, caches = jaxnet.L_model_forward(X, parameters, network)
    ours, theirs = (
        jaxnet.network.backward_signals(AL - Y, caches, network, B=B).dZ,
        jaxnet.network.backward_signals(AL - Y, caches, network.by_backprop).dZ,
    )
    W2, W3 = (parameters[f"W{l}"] for l in (2, 3))
    stands_for = [W2.T @ W3.T if name.startswith("direct") else W2.T, W3.T]
    wanted = {
        "cost": jaxnet.compute_cost(AL, Y, network),
        "accuracy": np.mean(np.argmax(AL, axis=0) == np.argmax(Y, axis=0)),
        "angle_dZ": [numpy_angle(a, b) for a, b in zip(ours[:2], theirs[:2], strict=True)],
        "norm_dZ": [np.linalg.norm(a) / np.sqrt(M) for a in ours[:2]],
        "backprop_norm_dZ": [np.linalg.norm(a) / np.sqrt(M) for a in theirs[:2]],
        "angle_B": [numpy_angle(B[f"B{l}"], W) for l, W in zip((2, 3), stands_for, strict=True)],
        "norm_B": [np.linalg.norm(B[f"B{l}"]) for l in (2, 3)],
        "norm_W": [np.linalg.norm(W2), np.linalg.norm(W3)],
    }
    assert_close(seen._asdict(), {name: np.asarray(value) for name, value in wanted.items()}, 200)


def test_backpropagation_is_no_degree_from_itself(x64):
    X, Y, parameters = problem(DIMS, M)
    seen = jaxnet.alignment(X, Y, parameters)
    assert (np.asarray(seen.angle_dZ) == 0).all() and np.isnan(seen.angle_B).all()
    assert jaxnet.alignment(X, Y[:1], {name: parameters[name][:1] for name in ("W1", "b1")}).angle_dZ.shape == (0,)


def test_recording_is_free_where_it_is_off(x64):
    """FLOPs of a scan's step, counted once by XLA whatever its length."""
    X, Y, parameters = (jax.tree.map(jnp.asarray, value) for value in problem((40, 64, 64, 10), 32))
    network = jaxnet.Network("tanh", "binary_cross_entropy")
    flops = []
    for every in (None, 7):
        step = Step(optax.sgd(0.1), network, record_every=every)
        state = (jaxnet.FrozenDict(parameters), optax.sgd(0.1).init(jaxnet.FrozenDict(parameters)), jaxnet.FrozenDict())
        program = run_chunk.lower(state, X.T, Y.T, None, 0, None, length=10, step=step).compile()
        flops.append(program.cost_analysis()["flops"])
    products = 2 * 32 * (3 * (40 * 64 + 64 * 64 + 64 * 10) - 40 * 64)
    assert products < flops[0] < 1.1 * products < flops[1]


def test_layers_are_in_their_order_whatever_that_of_a_mapping_is(x64):
    """From ten layers on, a plain dict that JAX has mapped has W10 before W2."""
    dims = tuple(range(15, 2, -1))
    X, Y, parameters = problem(dims, 5)
    network = jaxnet.Network("tanh", "binary_cross_entropy", "feedback_alignment")
    B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(0))
    mixed = jax.tree.map(jnp.asarray, dict(parameters))
    assert list(mixed) != list(parameters)
    seen = jaxnet.alignment(X, Y, jaxnet.FrozenDict(parameters), network, B=B)
    assert_same(jaxnet.alignment(X, Y, mixed, network, B=B), seen)
    assert_close(seen.norm_W, np.array([np.linalg.norm(parameters[f"W{l}"]) for l in range(2, 13)]), 20)
