"""Runs that stop being finite: the parameters that are kept can be used, and belong to the step that is named."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Augmentation, Network, NotFiniteError

from ..drawn import assert_same, problem


SQUARED = Network("relu", "squared_error")
KOLEN_POLLACK = Network("relu", "squared_error", "kolen_pollack")
KEY = jax.random.key(0)
MINIBATCHES = {"batch_size": 4, "key": KEY}
# The name of a run that diverges: its options.
DIVERGING = {
    "a rate twenty times too large": {"optimizer": optax.sgd(2.0), "network": SQUARED},
    "in one step": {"optimizer": optax.sgd(1e30), "network": SQUARED},
    "overflow in the next forward pass": {"optimizer": optax.sgd(1e25)},
    "momentum": {"optimizer": optax.sgd(0.5, momentum=0.99), "network": SQUARED},
    "minibatches": {"optimizer": optax.sgd(2.0), "network": SQUARED, **MINIBATCHES},
    "dropout": {"optimizer": optax.sgd(2.0), "network": SQUARED, "keep_prob": 0.5, **MINIBATCHES},
    "augmentation": {
        "optimizer": optax.sgd(2.0),
        "network": SQUARED,
        "augment": Augmentation((2, 2), shift=1),
        **MINIBATCHES,
    },
    "a feedback rule": {"optimizer": optax.sgd(30.0), "network": KOLEN_POLLACK, "key": KEY},
    "the penalty alone": {"optimizer": optax.sgd(1.0), "lambd": 1e4, "network": Network("tanh")},
    "float16": {"optimizer": optax.sgd(2.0), "network": SQUARED, "dtype": "float16"},
}


def diverged(chunk=7, dims=(4, 5, 2), **options):
    network = options.get("network", Network())
    X, Y, parameters = problem(list(dims), 12, "squared_error", dtype=np.float32)
    Y = Y if network.loss == SQUARED.loss else (Y > 0).astype(np.float32)
    with pytest.raises(NotFiniteError) as raised:
        jaxnet.train(X, Y, parameters, num_iterations=2000, chunk=chunk, **options)
    return raised.value, X, Y, parameters, network


def assert_useful(error, X, Y, network):
    AL, caches = jaxnet.L_model_forward(X, error.parameters, network)
    assert np.isfinite(AL).all()
    assert np.isfinite(jnp.mean(network.loss.value(caches[-1].Z, jnp.asarray(Y, jnp.float32))))
    jaxnet.predict(X, error.parameters, network)


@pytest.mark.parametrize("chunk", [1, 7])
@pytest.mark.parametrize("name", DIVERGING)
@pytest.mark.few(3)
def test_the_parameters_that_are_kept_can_be_used(name, chunk):
    """Whether the step that fails is the first of its chunk or not."""
    error, X, Y, parameters, network = diverged(chunk, **DIVERGING[name])
    assert_useful(error, X, Y, network)
    assert error.kept <= error.iteration
    assert f"The parameters after {error.kept} steps are kept" in str(error)
    again = jaxnet.train(X, Y, parameters, num_iterations=error.kept, chunk=chunk, **DIVERGING[name])
    assert_same(dict(error.parameters), dict(again.parameters))
    assert error.state.step == error.kept and error.state.B is not None
    assert_same(jax.tree.leaves(error.state.opt_state), jax.tree.leaves(again.state.opt_state))


def test_a_chunk_that_ends_before_the_fault_changes_nothing():
    """The step that fails is the first, the second, ... of its chunk."""
    options = DIVERGING["a rate twenty times too large"]
    kept = {diverged(chunk, **options)[0].kept for chunk in (3, 4, 5)}
    assert len(kept) == 1


def test_a_fault_of_the_first_step_gives_the_start_back():
    error, X, Y, parameters, network = diverged(optimizer=optax.sgd(jnp.inf))
    assert (error.iteration, error.kept) == (0, 0)
    assert_same(dict(error.parameters), jax.tree.map(jnp.asarray, parameters))


def test_a_start_without_a_finite_cost_is_said_to_be_none():
    X, Y, parameters = problem([4, 5, 2], 12, "squared_error", dtype=np.float32)
    parameters["W2"] = np.full((2, 5), 3e38, np.float32)
    parameters["b1"] += 9
    with pytest.raises(NotFiniteError, match="No parameters with a finite cost and finite outputs are left") as raised:
        jaxnet.train(X, Y, parameters, num_iterations=3, network=SQUARED)
    assert raised.value.kept is None
    assert_same(dict(raised.value.parameters), jax.tree.map(jnp.asarray, parameters))


def test_one_layer_that_becomes_nan_is_named():
    def update(updates, count, parameters=None):
        del parameters
        faulty = {"W2": count == 9}
        return jax.tree_util.tree_map_with_path(
            lambda path, g: jnp.where(faulty.get(path[0].key, False), jnp.nan, -0.01 * g), updates
        ), count + 1

    optimizer = optax.GradientTransformation(lambda parameters: jnp.zeros((), jnp.int32), update)
    error, X, Y, _, network = diverged(optimizer=optimizer)
    assert (error.iteration, error.layer, error.kept) == (9, 2, 9) and "W2 after the update" in str(error)
    assert_useful(error, X, Y, network)


def test_reduced_inputs_keep_what_all_inputs_keep(monkeypatch):
    options = {"optimizer": optax.sgd(2.0), "network": SQUARED, "dims": (300, 5, 2)}
    want, *_ = diverged(**options, reduce_inputs=False)
    monkeypatch.setattr("jaxnet.training.in_memory.pays", lambda *sizes: True)
    error, X, Y, _, network = diverged(**options)
    assert error.parameters["W1"].shape == (5, 300)
    assert abs(error.kept - want.kept) <= 1
    assert_useful(error, X, Y, network)


@pytest.mark.parametrize(
    "options", [{"class_weight": {0: 2.0}}, {"sample_weight": np.arange(12.0)}], ids=["class", "own"]
)
@pytest.mark.parametrize("loss, n_L", [("softmax_cross_entropy", 3), ("binary_cross_entropy", 1)])
@pytest.mark.few(1)
def test_weights_are_not_taken_for_labels(loss, n_L, options):
    network = Network("relu", loss)
    X, Y, parameters = problem([4, 5, n_L], 12, loss, dtype=np.float32)
    with pytest.raises(NotFiniteError) as raised:
        jaxnet.train(X, Y, parameters, num_iterations=50, network=network, optimizer=optax.sgd(1e25), **options)
    assert raised.value.kept is not None
    assert_useful(raised.value, X, Y, network)
