import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Network
from jaxnet.training import batch_indices

from . import course_numpy as course
from .drawn import assert_same, copies, problem


def test_training_is_the_courses_step_by_step(x64):
    X, Y, parameters = problem([6, 5, 3, 1], 20)
    before = copies((X, Y, parameters))
    trained = jaxnet.train(X, Y, parameters, num_iterations=130, optimizer=optax.sgd(0.05), chunk=50)
    assert_same((X, Y, parameters), before)
    want, costs = course.train(X, Y, parameters, 0.05, 130)
    np.testing.assert_allclose(trained.costs, costs, rtol=1e-11)
    for name in want:
        np.testing.assert_allclose(trained.parameters[name], want[name], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("batch_size", [None, 6])
def test_the_length_of_a_chunk_changes_nothing(x64, batch_size):
    X, Y, parameters = problem([6, 5, 1], 20)
    runs = [
        jaxnet.train(X, Y, parameters, num_iterations=23, batch_size=batch_size, key=jax.random.key(0), chunk=chunk)
        for chunk in (4, 23, 100)
    ]
    for run in runs[1:]:
        np.testing.assert_allclose(run.costs, runs[0].costs, rtol=1e-12)
        for name in parameters:
            np.testing.assert_allclose(run.parameters[name], runs[0].parameters[name], rtol=1e-11)


def test_minibatches_are_steps_on_the_examples_they_name(x64):
    X, Y, parameters = problem([6, 5, 1], 20)
    trained = jaxnet.train(X, Y, parameters, num_iterations=5, batch_size=6, key=jax.random.key(3))
    opt_state, costs = optax.sgd(0.0075).init(parameters), []
    for batch in batch_indices(jax.random.key(3), 20, 6, 0, 5):
        batch = np.asarray(batch)
        parameters, opt_state, J = jaxnet.update(parameters, opt_state, X[:, batch], Y[:, batch])
        costs.append(float(J))
    np.testing.assert_allclose(trained.costs, costs, rtol=1e-12)
    np.testing.assert_allclose(trained.parameters["W1"], parameters["W1"], rtol=1e-12)


def test_an_epoch_shows_every_example_at_most_once_and_the_next_another_order():
    batches = np.asarray(batch_indices(jax.random.key(0), 20, 6, 0, 6))  # two epochs of three batches
    first, second = batches[:3].ravel(), batches[3:].ravel()
    assert len(set(first)) == len(set(second)) == 18 and not np.array_equal(first, second)


@pytest.mark.parametrize("start, length", [(0, 1), (2, 3), (4, 7), (9, 1)])
def test_a_batch_is_a_function_of_its_step(start, length):
    every = np.asarray(batch_indices(jax.random.key(1), 20, 6, 0, 12))
    np.testing.assert_array_equal(batch_indices(jax.random.key(1), 20, 6, start, length), every[start : start + length])


def test_progress_is_told_after_every_chunk():
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    told = []
    trained = jaxnet.train(X, Y, parameters, num_iterations=25, chunk=10, on_chunk=told.append)
    assert [progress.iteration for progress in told] == [10, 20, 25]
    np.testing.assert_array_equal(np.concatenate([progress.costs for progress in told]), trained.costs)
    np.testing.assert_array_equal(told[-1].parameters["W1"], trained.parameters["W1"])


def test_no_steps_change_nothing():
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    trained = jaxnet.train(X, Y, parameters, num_iterations=0)
    assert len(trained.costs) == 0
    np.testing.assert_array_equal(trained.parameters["W1"], parameters["W1"])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float64])
@pytest.mark.parametrize("shape", [(1, -1), (-1,), (-1, 1)])
def test_labels_of_any_kind_train_the_same_parameters(dtype, shape):
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    want = jaxnet.train(X, Y, parameters, num_iterations=2)
    assert_same(jaxnet.train(X, Y.astype(dtype).reshape(shape), parameters, num_iterations=2), want)


@pytest.mark.parametrize("num_iterations, shown", [(250, [0, 100, 200, 249]), (101, [0, 100]), (1, [0]), (0, [])])
def test_L_layer_model_gives_and_prints_every_hundredth_cost_and_the_last(x64, capsys, num_iterations, shown):
    X, Y, parameters = problem([6, 5, 1], 20)
    trained, costs = jaxnet.L_layer_model(X, Y, [6, 5, 1], 0.05, num_iterations, True, parameters=parameters)
    want, every_cost = course.train(X, Y, parameters, 0.05, num_iterations)
    np.testing.assert_allclose(costs, [every_cost[i] for i in shown], rtol=1e-10)
    np.testing.assert_allclose(trained["W2"], want["W2"], rtol=1e-9)
    assert capsys.readouterr().out == "".join(
        f"Cost after iteration {i}: {cost}\n" for i, cost in zip(shown, costs, strict=True)
    )


def test_L_layer_model_draws_its_weights_from_the_key(capsys):
    X, Y, _ = problem([6, 5, 1], 20, dtype=np.float32)
    drawn = [
        jaxnet.L_layer_model(X, Y, [6, 5, 1], num_iterations=1, **key)[1]
        for key in ({}, {}, {"key": jax.random.key(1)}, {"key": jax.random.key(2)})
    ]
    assert drawn[0] == drawn[1] == drawn[2] != drawn[3]
    assert capsys.readouterr().out == ""


def test_a_parameter_that_overflows_is_named_with_its_step_and_the_last_finite_ones_are_kept():
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    with pytest.raises(jaxnet.NotFiniteError, match="W1 after the update is not finite, layer 1") as raised:
        jaxnet.train(X, Y, parameters, num_iterations=30, optimizer=overflows_at(13), chunk=10)
    assert (raised.value.iteration, raised.value.layer) == (13, 1)
    assert all(np.isfinite(value).all() for value in raised.value.parameters.values())


def test_an_error_that_was_pickled_is_the_same():
    error = jaxnet.NotFiniteError(3, 2, "Z2", {"W1": 1.0})
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.layer, copy.parameters) == (str(error), 2, {"W1": 1.0})


@pytest.mark.parametrize("learning_rate", [np.float32(0.05), np.array(0.05)])
def test_a_learning_rate_may_be_an_array_of_one_number(learning_rate, no_shape_checks):
    X, Y, parameters = problem([6, 5, 1], 20, dtype=np.float32)
    trained = [jaxnet.L_layer_model(X, Y, [6, 5, 1], a, 2, parameters=parameters)[1] for a in (0.05, learning_rate)]
    np.testing.assert_allclose(*trained, rtol=1e-6)


def test_the_layer_whose_signal_overflows_is_named():
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    parameters["W2"] = np.full((1, 3), 3e38, np.float32)
    with pytest.raises(jaxnet.NotFiniteError, match="Z2 in the forward pass is not finite, layer 2") as raised:
        jaxnet.train(X, Y, parameters | {"b1": np.full((3, 1), 9, np.float32)}, num_iterations=3)
    assert raised.value.iteration == 0


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_run_that_diverges_is_stopped_at_its_first_infinite_cost(batch_size):
    """Gradient descent on squares, twenty times too fast: the cost grows by a factor until float32 ends."""
    X, Y, parameters = problem([3, 2], 6, "squared_error", dtype=np.float32)
    options = {"optimizer": optax.sgd(50.0), "network": Network(loss="squared_error"), "chunk": 4}
    minibatches = {} if batch_size is None else {"batch_size": batch_size, "key": jax.random.key(0)}
    with pytest.raises(jaxnet.NotFiniteError, match="the cost is not finite, layer 1") as raised:
        jaxnet.train(X, Y, parameters, num_iterations=100, **options, **minibatches)
    error = raised.value
    assert error.iteration > 4
    to_there = jaxnet.train(X, Y, parameters, num_iterations=error.iteration, **options, **minibatches)
    assert_same(error.parameters, to_there.parameters)


@pytest.mark.parametrize(
    "schedule, message",
    [
        ({"num_iterations": -1}, "num_iterations is -1; expected at least 0"),
        ({"num_iterations": 5, "chunk": 0}, "chunk is 0; expected at least 1"),
        ({"num_iterations": 5, "batch_size": 0, "key": jax.random.key(0)}, "batch_size is 0; expected 1 to 5"),
        ({"num_iterations": 5, "batch_size": 6, "key": jax.random.key(0)}, "batch_size is 6; expected 1 to 5"),
        ({"num_iterations": 5, "batch_size": 2}, "drawn at random: pass key"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_told_before_the_first_step(schedule, message):
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    told = []
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.train(X, Y, parameters, **schedule, on_chunk=told.append)
    assert told == []


def overflows_at(step: int) -> optax.GradientTransformation:
    """Gradient descent that adds infinity to everything in one step."""

    def update(updates, count, parameters=None):
        del parameters
        return jax.tree.map(lambda g: jnp.where(count == step, jnp.inf, -0.01 * g), updates), count + 1

    return optax.GradientTransformation(lambda parameters: jnp.zeros((), jnp.int32), update)
