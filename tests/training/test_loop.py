import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import FrozenDict, InputError, Network, TrainState, initialize_feedback
from jaxnet.feedback import RULES, kolen_pollack
from jaxnet.training import batch_indices

from .. import course_numpy as course
from ..drawn import assert_same, compiled, copies, problem


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
    state, costs = jaxnet.init_state(parameters, optax.sgd(0.0075)), []
    for batch in batch_indices(jax.random.key(3), 20, 6, 0, 5):
        batch = np.asarray(batch)
        state, J = jaxnet.update(X[:, batch], Y[:, batch], state)
        costs.append(float(J))
    np.testing.assert_allclose(trained.costs, costs, rtol=1e-12)
    np.testing.assert_allclose(trained.parameters["W1"], state.parameters["W1"], rtol=1e-12)


def test_an_epoch_shows_every_example_at_most_once():
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


@pytest.mark.parametrize("on_chunk", [None, 3, [print, None], "print"])
def test_hooks_that_cannot_be_called_are_refused(on_chunk, no_shape_checks):
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    with pytest.raises(InputError, match="on_chunk is .*; expected a callable or a sequence of callables"):
        jaxnet.train(X, Y, parameters, num_iterations=1, on_chunk=on_chunk)


def test_several_hooks_are_called_and_any_may_end():
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    first, last = [], []
    hooks = [first.append, lambda progress: progress.iteration == 4, last.append]
    trained = jaxnet.train(X, Y, parameters, num_iterations=9, chunk=2, on_chunk=hooks)
    assert [progress.iteration for progress in first] == [progress.iteration for progress in last] == [2, 4]
    assert trained.state.step == 4 and trained.ended_early
    assert not jaxnet.train(X, Y, parameters, num_iterations=2, chunk=2, on_chunk=lambda progress: True).ended_early


@pytest.mark.parametrize("end", [True, np.True_, jnp.array(True), 1, "yes", np.ones(2), [True], 0])
def test_only_true_ends_the_training(end):
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    options = dict(num_iterations=9, chunk=2, on_chunk=lambda progress: end)
    if isinstance(end, bool | np.bool_ | jax.Array):
        assert jaxnet.train(X, Y, parameters, **options).state.step == 2
    else:
        with pytest.raises(InputError, match="a hook in on_chunk returned .*; expected True to end the training"):
            jaxnet.train(X, Y, parameters, **options)


@pytest.mark.parametrize(
    "start, message",
    [
        (lambda run: run, "state is of type Trained; .* pass its .state"),
        (lambda run: run.state._replace(step=-1), "state.step is -1; expected the number of steps made, from 0"),
        (lambda run: run.state._replace(step=7), "num_iterations is 3, but the state has made 7 steps"),
        (lambda run: run.state._replace(step=1.5), "state.step is 1.5; expected .* a whole number"),
    ],
)
def test_states_that_are_none_are_refused(start, message, no_shape_checks):
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    run = jaxnet.train(X, Y, parameters, num_iterations=1)
    with pytest.raises(InputError, match=message):
        jaxnet.train(X, Y, start(run), num_iterations=3)
    with pytest.raises(InputError, match="state is of type FrozenDict; expected a TrainState: pass init_state"):
        jaxnet.update(X, Y, FrozenDict(parameters))


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
def test_L_layer_model_gives_every_hundredth_cost(x64, capsys, num_iterations, shown):
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


def test_a_parameter_that_overflows_is_named_with_its_step():
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    with pytest.raises(jaxnet.NotFiniteError, match="W1 after the update is not finite, layer 1") as raised:
        jaxnet.train(X, Y, parameters, num_iterations=30, optimizer=overflows_at(13), chunk=10)
    assert (raised.value.iteration, raised.value.layer) == (13, 1)
    assert all(np.isfinite(value).all() for value in raised.value.parameters.values())


def test_an_error_that_was_pickled_is_the_same():
    error = jaxnet.NotFiniteError(3, 2, "Z2", jaxnet.TrainState({"W1": 1.0}), 2)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.layer, copy.parameters, copy.kept) == (str(error), 2, {"W1": 1.0}, 2)


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
def test_a_run_stops_at_its_first_infinite_cost(batch_size):
    """Gradient descent on squares, twenty times too fast: the cost grows by a factor until float32 ends."""
    X, Y, parameters = problem([3, 2], 6, "squared_error", dtype=np.float32)
    options = {"optimizer": optax.sgd(50.0), "network": Network(loss="squared_error"), "chunk": 4}
    minibatches = {} if batch_size is None else {"batch_size": batch_size, "key": jax.random.key(0)}
    with pytest.raises(jaxnet.NotFiniteError, match="the cost is not finite, layer 1") as raised:
        jaxnet.train(X, Y, parameters, num_iterations=100, **options, **minibatches)
    error = raised.value
    assert error.iteration > 4 and error.kept < error.iteration
    to_there = jaxnet.train(X, Y, parameters, num_iterations=error.kept, **options, **minibatches)
    assert_same(error.parameters, to_there.parameters)


@pytest.mark.parametrize(
    "schedule, message",
    [
        ({"num_iterations": -1}, "num_iterations is -1; expected a whole number from 0"),
        ({"num_iterations": 5, "chunk": 0}, "chunk is 0; expected a whole number from 1"),
        (
            {"num_iterations": 5, "batch_size": 0, "key": jax.random.key(0)},
            "batch_size is 0; expected a whole",
        ),
        ({"num_iterations": 5, "batch_size": 6, "key": jax.random.key(0)}, "batch_size is 6; expected 1 to 5"),
        ({"num_iterations": 5, "batch_size": 2}, "drawn at random: pass key"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_told_first(schedule, message):
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    told = []
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.train(X, Y, parameters, **schedule, on_chunk=told.append)
    assert told == []


# ---- under a feedback rule


SOFTMAX = "softmax_cross_entropy"
RULE_RUN = {"batch_size": 6, "key": jax.random.key(3), "optimizer": optax.sgd(0.2, momentum=0.9), "chunk": 5}
alignment = compiled(jaxnet.alignment)


def under(rule, loss=SOFTMAX, hidden="tanh"):
    """X, Y, parameters, and the network as an option of `train`."""
    dims = [6, 5, 4, 1 if loss == "binary_cross_entropy" else 3]
    return *problem(dims, 20, loss, dtype=np.float32), {"network": Network(hidden, loss, rule)}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.few(3)
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(name):
    X, Y, parameters, network = under(name)
    options = RULE_RUN | network | {"record_every": 4}
    whole = jaxnet.train(X, Y, parameters, num_iterations=20, **options)
    told = []

    def stop(progress):
        told.append(progress)
        return progress.iteration == 10

    half = jaxnet.train(X, Y, parameters, num_iterations=20, **options, on_chunk=stop)
    rest = jaxnet.train(X, Y, half.state, num_iterations=20, **options)
    assert_same(rest.state, whole.state)
    np.testing.assert_array_equal(np.concatenate([half.costs, rest.costs]), whole.costs)
    seen = [half.alignment, rest.alignment]
    assert [part.iteration.tolist() for part in (*seen, whole.alignment)] == [[0, 4, 8], [12, 16], [0, 4, 8, 12, 16]]
    assert_same(jax.tree.map(lambda *rows: np.concatenate(rows), *seen), whole.alignment)
    assert_same(told[1].alignment, jax.tree.map(lambda row: row[2:], half.alignment))
    moved = [np.any(np.asarray(value) != np.asarray(half.state.B[b])) for b, value in whole.state.B.items()]
    if name in ("kolen_pollack", "weight_mirror", "batch_random_sign"):
        assert all(moved)
    elif "sign" not in name:  # signs may turn, or not
        assert not any(moved)


@pytest.mark.parametrize("name", ["backprop", "direct_feedback_alignment", "batch_random_sign"])
@pytest.mark.few(1)
def test_recording_changes_no_bit_of_the_run(name):
    X, Y, parameters, network = under(name)
    whole, not_recorded = (
        jaxnet.train(X, Y, parameters, num_iterations=20, **RULE_RUN, **network, record_every=every)
        for every in (4, None)
    )
    assert not_recorded.alignment.values is None and len(not_recorded.alignment.iteration) == 0
    assert_same(tuple(not_recorded)[:2], tuple(whole)[:2])


@pytest.mark.parametrize(
    "name, batch_size, keep_prob",
    [("kolen_pollack", 6, 0.6), ("direct_random_target", None, 1.0)],
)
@pytest.mark.thorough
def test_the_scan_records_the_alignment_of_its_examples(x64, name, batch_size, keep_prob):
    X, Y, parameters = problem([6, 5, 4, 3], 20, SOFTMAX)
    network, key = Network("tanh", SOFTMAX, name), jax.random.key(3)
    options = {"network": network, "batch_size": batch_size, "keep_prob": keep_prob, "key": key, "record_every": 3}
    states = {0: jaxnet.train(X, Y, parameters, num_iterations=0, network=network, key=key)}

    def keep(progress):
        states[progress.iteration] = progress

    run = jaxnet.train(X, Y, parameters, num_iterations=8, **options, chunk=1, on_chunk=keep)
    longer = jaxnet.train(X, Y, parameters, num_iterations=8, **options, chunk=8)
    assert run.alignment.iteration.tolist() == longer.alignment.iteration.tolist() == [0, 3, 6]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), run.alignment, longer.alignment)
    for row, iteration in enumerate([0, 3, 6]):
        before = states[iteration]
        columns = slice(None) if batch_size is None else np.asarray(batch_indices(key, 20, 6, iteration, 1)[0])
        masks = None
        if keep_prob < 1:
            mask_key = jax.random.fold_in(jax.random.fold_in(key, 2**32 - 1), iteration)
            m = X[:, columns].shape[1]
            masks = jaxnet.dropout_masks([6, 5, 4, 3], m, keep_prob, key=mask_key, dtype=np.float64)
        x, y = X[:, columns], Y[:, columns]
        want = alignment(x, y, before.parameters, network=network, B=before.state.B, masks=masks)
        assert len(want.angle_dZ) == 2 and run.alignment.values.cost[row] == pytest.approx(run.costs[iteration])
        for field, value in want._asdict().items():
            found = getattr(run.alignment.values, field)[row]
            np.testing.assert_allclose(found, value, rtol=1e-8, atol=1e-8, err_msg=field)


@pytest.mark.parametrize("name", ["kolen_pollack", "direct_random_target"])
@pytest.mark.few(1)
def test_rules_train_in_bfloat16_with_dropout(name):
    X, Y, parameters, network = under(name, loss="binary_cross_entropy", hidden="relu")
    options = RULE_RUN | network | {"keep_prob": 0.8, "dtype": "bfloat16", "record_every": 5}
    trained = jaxnet.train(X, Y, parameters, num_iterations=5, **options)
    assert np.all(np.isfinite(trained.costs)) and np.all(np.isfinite(trained.alignment.values.norm_dZ))
    assert {value.dtype for value in (*trained.parameters.values(), *trained.state.B.values())} == {
        np.dtype(np.float32)
    }
    assert all(np.any(trained.parameters[name] != parameters[name]) for name in parameters)


@pytest.mark.parametrize("change", [dict, lambda B: jax.tree.map(lambda value: np.asarray(value, np.float64), B)])
def test_feedback_in_any_mapping_and_dtype_is_taken(change):
    """The rule's update makes a `FrozenDict` in the parameters' dtype, and a scan ends with what it starts with."""
    X, Y, parameters, network = under("kolen_pollack")
    B = initialize_feedback(parameters, **network, key=jax.random.key(9))
    starts = (TrainState(parameters, B=b) for b in (B, change(B)))
    runs = [jaxnet.train(X, Y, start, num_iterations=5, **RULE_RUN, **network) for start in starts]
    assert_same(tuple(runs[1])[:2], tuple(runs[0])[:2])


def test_the_layer_at_fault_is_named_under_a_rule_too():
    X, Y, parameters, network = under("kolen_pollack")
    with pytest.raises(jaxnet.NotFiniteError, match="W1 after the update is not finite, layer 1") as raised:
        options = RULE_RUN | network | {"optimizer": overflows_at(7), "record_every": 2}
        jaxnet.train(X, Y, parameters, num_iterations=30, **options)
    assert raised.value.iteration == 7
    assert all(np.isfinite(value).all() for value in raised.value.parameters.values())


def test_L_layer_model_draws_a_rule_s_feedback_from_its_key():
    X, Y, parameters = problem([6, 5, 1], 20, dtype=np.float32)
    network = Network(feedback="feedback_alignment")
    costs = [
        jaxnet.L_layer_model(X, Y, [6, 5, 1], 0.5, 20, parameters=parameters, network=network, key=key)[1][-1]
        for key in (None, jax.random.key(1), jax.random.key(2))
    ]
    assert costs[0] == costs[1] != costs[2]


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("feedback_alignment", {"key": None, "batch_size": None}, r"pass key=jax.random.key\(0\)"),
        ("feedback_alignment", {"B": {"B2": np.ones((5, 4))}}, r"B has the shapes .*; expected .*'B3': \(4, 3\)"),
        ("feedback_alignment", {"B": {"B2": np.ones((5, 4)), "B3": np.ones((3, 4))}}, r"expected .*'B3': \(4, 3\)"),
        ("feedback_alignment", {"B": 3.0}, r"B has the shapes \(\); expected"),
        ("backprop", {"B": {"B2": np.ones((5, 4)), "B3": np.ones((4, 3))}}, r"expected FrozenDict\({}\)"),
        ("backprop", {"record_every": 0}, "record_every is 0; expected a number of steps, or None to record nothing"),
        ("backprop", {"record_every": -1}, "record_every is -1; expected a number"),
    ],
)
def test_mistakes_with_feedback_are_told_before_any_work(name, options, message):
    X, Y, parameters, network = under(name)
    with pytest.raises(InputError, match=message):
        options = RULE_RUN | network | options
        jaxnet.train(X, Y, TrainState(parameters, B=options.pop("B", None)), num_iterations=3, **options)


@pytest.mark.thorough
def test_kolen_pollack_s_B_nears_the_transpose_in_training(x64):
    X, Y, parameters = problem([6, 5, 4, 3], 20, SOFTMAX)
    network = Network("tanh", SOFTMAX, kolen_pollack(decay=0.1))
    B = initialize_feedback(parameters, network, key=jax.random.key(9))
    optimizer = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.2))
    options = RULE_RUN | {"network": network, "optimizer": optimizer, "chunk": 40}
    trained = jaxnet.train(X, Y, TrainState(parameters, B=B), num_iterations=40, **options)
    for l in (2, 3):
        apart = trained.state.B[f"B{l}"] - trained.parameters[f"W{l}"].T
        np.testing.assert_allclose(apart, 0.9**40 * (B[f"B{l}"] - parameters[f"W{l}"].T), rtol=0, atol=1e-14)


def overflows_at(step: int) -> optax.GradientTransformation:
    """Gradient descent that adds infinity to everything in one step."""

    def update(updates, count, parameters=None):
        del parameters
        return jax.tree.map(lambda g: jnp.where(count == step, jnp.inf, -0.01 * g), updates), count + 1

    return optax.GradientTransformation(lambda parameters: jnp.zeros((), jnp.int32), update)
