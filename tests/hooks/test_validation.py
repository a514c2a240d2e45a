"""Validation data on the way: the right numbers, the best state, and an end in time."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import InputError, Network
from jaxnet.hooks import Validation, log, validation as room
from jaxnet.training import cost_and_score

from ..drawn import assert_same, problem


X, Y, PARAMETERS = problem([4, 3, 1], 12, dtype=np.float32)
X_VAL, Y_VAL, _ = problem([4, 3, 1], 20, seed=5, dtype=np.float32)
SGD = optax.sgd(0.1)


def train(hooks, **changes):
    return jaxnet.train(X, Y, PARAMETERS, **dict(num_iterations=40, chunk=10, optimizer=SGD) | changes, on_chunk=hooks)


@pytest.mark.parametrize("block", [4096, 7])
def test_cost_and_accuracy_are_those_of_the_state(monkeypatch, block):
    monkeypatch.setattr(room, "BLOCK", block)
    validation, states = Validation(X_VAL, Y_VAL), []
    train([validation, lambda progress: states.append(progress.state)])
    assert validation.iterations.tolist() == [10, 20, 30, 40]
    for state, cost, accuracy in zip(states, validation.costs, validation.accuracies, strict=True):
        AL, _ = jaxnet.L_model_forward(X_VAL, state.parameters)
        assert cost == pytest.approx(float(jaxnet.compute_cost(AL, Y_VAL)), rel=1e-5)
        assert accuracy == pytest.approx(np.mean(np.asarray(jaxnet.predict(X_VAL, state.parameters)) == Y_VAL))
    best = int(np.argmin(validation.costs))
    assert validation.best_iteration == 10 * (best + 1)
    assert_same(validation.best_state, states[best])
    assert_same(validation.best_parameters, states[best].parameters)


def test_amounts_have_r2(default_promotion):
    X, Y, parameters = problem([4, 3, 2], 12, "squared_error", dtype=np.float32)
    validation = Validation(X, Y)
    network = Network("tanh", "squared_error")
    trained = jaxnet.train(X, Y, parameters, num_iterations=20, optimizer=SGD, network=network, on_chunk=validation)
    error = np.asarray(jaxnet.predict(X, trained.parameters, network)) - Y
    want = np.mean(1 - (error**2).sum(axis=1) / ((Y - Y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    assert validation.accuracies[0] == pytest.approx(want, rel=1e-4)


def test_r2_keeps_its_digits_far_from_0():
    """Labels around 2000 that vary by 1, as years do: the sums of their squares have no digit left in float32."""
    generator = np.random.default_rng(0)
    Y = np.float32(generator.normal(2000, 1, (1, 400)))
    predicted = Y + np.float32(generator.normal(0, 0.5, Y.shape))
    parameters = {"W1": np.ones((1, 1), np.float32), "b1": np.zeros((1, 1), np.float32)}
    blocks = [(jnp.asarray(predicted[:, part]), jnp.asarray(Y[:, part])) for part in (slice(0, 300), slice(300, 400))]
    _, found = cost_and_score(blocks, parameters, jaxnet.Network("relu", "squared_error"))
    Y, predicted = Y.astype(float), predicted.astype(float)
    assert found == pytest.approx(1 - np.mean((Y - predicted) ** 2) / Y.var(), abs=1e-4)


def test_reduced_inputs_change_nothing(monkeypatch):
    monkeypatch.setattr("jaxnet.training.in_memory.pays", lambda *_: True)
    X, Y, parameters = problem([40, 3, 1], 12, dtype=np.float32)
    X_val, seen, ends = problem([40, 3, 1], 20, seed=5, dtype=np.float32)[0], [], []
    for reduce_inputs in (True, False):
        validation, bases = Validation(X_val, Y_VAL), []
        options = dict(num_iterations=20, chunk=10, optimizer=SGD, reduce_inputs=reduce_inputs)
        jaxnet.train(
            X, Y, parameters, **options, on_chunk=[validation, lambda p, bases=bases: bases.append(p.basis.size)]
        )
        assert (bases[0] is None) != reduce_inputs
        seen.append(validation.costs)
        ends.append(validation.best_parameters["W1"])
    np.testing.assert_allclose(*seen, rtol=1e-5)
    np.testing.assert_allclose(*ends, rtol=1e-4, atol=1e-5)


def told(monkeypatch, costs):
    """The validation costs are these."""
    given = iter(costs)
    monkeypatch.setattr(room, "cost_and_score", lambda *_: (next(given), 0.5))


NAN = float("nan")


@pytest.mark.parametrize(
    "costs, patience, end, best",
    [
        ([3, 1, 2, 2.5, 0.5, 0], 2, 40, 20),
        ([3, 1, 2, 0.5, 0.6, 0.7, 0], 2, 60, 40),
        ([1, 1, 1, 1], 3, 40, 10),  # what stands still has not fallen
        ([3, NAN, 2, NAN, NAN, 1], 2, 50, 30),
        ([NAN, NAN, NAN, NAN], 2, 30, 10),
        ([1, 2, 3, 4, 5, 6], None, 60, 10),
    ],
)
def test_a_run_that_has_stalled_is_ended_and_its_best_kept(monkeypatch, costs, patience, end, best):
    told(monkeypatch, costs)
    validation, states = Validation(X_VAL, Y_VAL, patience), {}
    trained = train([validation, lambda p: states.update({p.iteration: p.state})], num_iterations=60)
    assert trained.state.step == end and trained.ended_early == (end < 60)
    assert validation.best_iteration == best
    assert_same(validation.best_state, states[best])


def test_each_state_is_looked_at_once_whatever_the_order():
    first, last = [], []
    validation = Validation(X_VAL, Y_VAL)
    hooks = [log(lambda *row: first.append(row), validation.measured), validation]
    train([*hooks, log(lambda *row: last.append(row), validation.measured)])
    assert first == last and len(validation.costs) == 4
    steps, values = last[1]
    assert steps == 20 and list(values) == ["cost", "validation_cost", "validation_accuracy"]
    assert values["validation_cost"] == validation.costs[1]


def test_a_run_that_goes_on_is_looked_at_further():
    validation, whole = Validation(X_VAL, Y_VAL), Validation(X_VAL, Y_VAL)
    half = train(validation, num_iterations=20)
    jaxnet.train(X, Y, half.state, num_iterations=40, chunk=10, optimizer=SGD, on_chunk=validation)
    train(whole)
    np.testing.assert_array_equal(validation.costs, whole.costs)
    with pytest.raises(InputError, match="validation has seen step 40, and this run starts after 0; make a new Val"):
        train(validation)


@pytest.mark.parametrize("patience", [0, -1, 1.5, 2.0, True, "3", NAN])
def test_a_patience_that_is_none_is_refused(patience, no_shape_checks):
    with pytest.raises(InputError, match="patience is .*; expected a whole number from 1"):
        Validation(X_VAL, Y_VAL, patience)


@pytest.mark.parametrize(
    "X_val, Y_val, message",
    [
        (X_VAL[:3], Y_VAL, r"validation data: layer 1: W1 takes 4 inputs, but X has shape \(3, 20\)"),
        (X_VAL.T, Y_VAL, "validation data: layer 1: W1 takes 4 inputs"),
        (X_VAL[0], Y_VAL, r"validation data: X has shape \(20,\); expected \(n_x, m\)"),
        (X_VAL[:, :0], Y_VAL[:, :0], "validation data: X has shape .*, which is empty"),
        (np.where(X_VAL > 1, np.nan, X_VAL), Y_VAL, "validation data: .*X"),
        (np.asarray(255 * X_VAL, np.uint8), Y_VAL, "validation data: X .*for images of 0 to 255 pass X / 255"),
        (X_VAL, Y_VAL[:, 1:], "validation data: .*Y"),
        (X_VAL, 3 * Y_VAL, "validation data: labels lie between 0 and 3"),
        (X_VAL, np.full_like(Y_VAL, np.nan), "validation data: Y"),
        (X_VAL.tolist(), Y_VAL, "X is of type list; expected an array"),
        (X_VAL, None, "Y is of type NoneType; expected an array"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_any_step(no_shape_checks, X_val, Y_val, message):
    seen = []
    with pytest.raises(InputError, match=message):
        train([seen.append, Validation(X_val, Y_val)])
    assert seen == []


@pytest.mark.parametrize("name", ["best_iteration", "best_state", "best_parameters"])
def test_nothing_is_best_before_a_run(name):
    validation = Validation(X_VAL, Y_VAL)
    with pytest.raises(InputError, match="this Validation has not seen a run yet; pass it to train"):
        getattr(validation, name)
    assert len(validation.costs) == len(validation.accuracies) == len(validation.iterations) == 0
    assert repr(validation) == "Validation of 20 examples, patience=None, 0 chunks seen"


def test_a_hook_by_itself_belongs_to_no_run():
    with pytest.raises(InputError, match="has not seen a run yet"):
        train(lambda progress: Validation(X_VAL, Y_VAL)(progress))


def test_the_best_is_there_after_a_run_that_fails():
    validation = Validation(X_VAL, Y_VAL)
    schedule = optax.piecewise_constant_schedule(0.1, {25: 1e38})
    with jax.numpy_dtype_promotion("standard"), pytest.raises(jaxnet.NotFiniteError):
        train(validation, optimizer=optax.sgd(schedule))
    assert validation.iterations.tolist() == [10, 20] and validation.best_iteration in (10, 20)
