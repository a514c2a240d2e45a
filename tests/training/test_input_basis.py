import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, strategies as st

import jaxnet
from jaxnet import FrozenDict
from jaxnet.errors import InputError
from jaxnet.feedback import RULES
from jaxnet.training import NotFiniteError, train
from jaxnet.training.input_basis import directions, pays, reduce

from ..drawn import assert_close, problem
from ..optimizers import COMMUTING, LATE


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # optax's schedules mix them
        yield


@pytest.fixture
def always(monkeypatch):
    """Reductions that are exact are made, whether they pay or not."""
    monkeypatch.setattr("jaxnet.training.in_memory.pays", lambda *_: True)


def duplicated(X):
    return np.concatenate([X, X[:, :3], np.zeros((len(X), 1)), X[:, :2] + X[:, 1:3]], axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("change", [lambda X: X, duplicated, lambda X: 1e-20 * X], ids=["full", "dependent", "tiny"])
def test_what_is_reduced_is_what_was_given_in_a_basis(change, dtype):
    X, _, parameters = problem((60, 4, 3, 1), 9, dtype=dtype)
    X = change(X).astype(dtype)
    small, V, basis = reduce(X, parameters)
    Q = basis.Q
    n, r = 4, X.shape[1] + 4
    assert small.shape == (r, X.shape[1]) and V["W1"].shape == (n, r) and Q.shape == (60, r)
    assert {a.dtype for a in (small, V["W1"], Q)} == {np.dtype(dtype)}
    assert_close(Q.T @ Q, np.eye(r), 60)
    assert_close(Q @ small, X, 100)
    assert_close(basis.columns(X), small, 100)
    assert_close(basis.expand(V), parameters, 100)
    assert_close(basis.project(parameters)["W1"], V["W1"], 200)


def test_more_examples_than_inputs_leave_as_many_inputs():
    X, _, parameters = problem((6, 4, 1), 9)
    small, V, basis = reduce(X, parameters)
    assert small.shape == (6, 9) and basis.Q.shape == (6, 6)
    assert_close(basis.expand(V), parameters, 100)


def test_all_under_the_key_W1_is_reduced_and_no_more():
    X, _, parameters = problem((60, 4, 60, 1), 5)
    parameters = FrozenDict(parameters)
    state = optax.sgd(0.1, momentum=0.9).init(parameters)
    memory = optax.scale_by_lbfgs(memory_size=3).init(parameters)
    number = {"W1": jnp.ones(())}
    _, (V, V_state, V_memory, V_number), basis = reduce(X, (parameters, state, memory, number))
    r = basis.size
    assert r == directions(X, (parameters, state, memory, number))
    assert V["W2"].shape == (60, 4) and V["b1"].shape == (4, 1)
    assert V_state[0].trace["W1"].shape == (4, r)
    assert V_memory.diff_params_memory["W1"].shape == (3, 4, r)
    assert V_number["W1"].shape == ()


def test_a_W1_that_does_not_take_X_is_refused():
    X, _, parameters = problem((6, 4, 1), 3)
    with pytest.raises(InputError, match=r"W1 takes 6 inputs, but X has shape \(5, 3\)"):
        reduce(X[:5], parameters)


@given(n_x=st.integers(1, 20000), n_1=st.integers(1, 500), m=st.integers(1, 3000), steps=st.integers(0, 10**6))
def test_what_pays_takes_fewer_flops(n_x, n_1, m, steps):
    r = m + n_1
    if pays(n_x, n_1, m, m, steps):
        assert r < n_x
        assert 4 * n_1 * m * r * steps + 4 * n_x * r**2 < 4 * n_1 * m * n_x * steps
        assert pays(n_x, n_1, m, m, steps + 1)


def test_the_course_pays_and_digits_do_not():
    assert pays(12288, 20, 209, 209, 2500)
    assert not pays(12288, 20, 209, 209, 10)
    assert not pays(784, 128, 60000, 128, 10**6)


@pytest.mark.parametrize("name", COMMUTING)
@pytest.mark.few(2)
def test_2500_steps_in_reduced_inputs_are_those_in_all_of_them(name, always):
    X, Y, parameters = problem((300, 5, 4, 1), 12, soft=True, scale=0.5)
    arguments = {"num_iterations": 2500, "optimizer": COMMUTING[name], "chunk": 2500}
    want = train(X, Y, parameters, **arguments, reduce_inputs=False)
    got = train(X, Y, parameters, **arguments)
    assert np.abs(got.costs - want.costs).max() <= 1e-12
    largest = {key: float(jnp.abs(value - want.parameters[key]).max()) for key, value in got.parameters.items()}
    assert max(largest.values()) <= 1e-12, largest
    assert np.any(got.parameters["W1"] != want.parameters["W1"])  # so it was another computation


@pytest.mark.parametrize("name", LATE)
@pytest.mark.few(2)
def test_what_changes_its_kind_late_is_the_same_run(name, always):
    X, Y, parameters = problem((60, 4, 1), 9, soft=True, scale=0.5)
    arguments = {"num_iterations": 510, "optimizer": LATE[name], "chunk": 510}
    want = train(X, Y, parameters, **arguments, reduce_inputs=False)
    got = train(X, Y, parameters, **arguments)
    np.testing.assert_array_equal(got.costs, want.costs)


@pytest.mark.parametrize("how", [{"batch_size": 5}, {"lambd": 0.3}, {"keep_prob": 0.8}], ids=str)
@pytest.mark.few(1)
def test_so_are_batches_penalty_and_dropout(how, always):
    X, Y, parameters = problem((300, 5, 4, 1), 12, soft=True, scale=0.5)
    arguments = {"num_iterations": 300, "key": jax.random.key(3), **how}
    want = train(X, Y, parameters, **arguments, reduce_inputs=False)
    got = train(X, Y, parameters, **arguments)
    assert np.abs(got.costs - want.costs).max() <= 1e-12
    assert_close(got.parameters, want.parameters, 2000)
    assert np.any(got.parameters["W1"] != want.parameters["W1"])


@pytest.mark.parametrize("name", [name for name in RULES if name != "backprop"])
@pytest.mark.few(2)
def test_so_is_every_feedback_rule_and_what_is_recorded_of_one(name, always):
    X, Y, parameters = problem((300, 5, 4, 1), 12, soft=True, scale=0.5)
    network, key = jaxnet.Network("tanh", feedback=name), jax.random.key(3)
    arguments = {"num_iterations": 100, "batch_size": 5, "key": key, "network": network}
    arguments |= {"record_every": 25} if name == "kolen_pollack" else {}
    want = train(X, Y, parameters, **arguments, reduce_inputs=False)
    got = train(X, Y, parameters, **arguments)
    assert np.abs(got.costs - want.costs).max() <= 1e-12
    assert_close((got.parameters, got.state.B), (want.parameters, want.state.B), 2000)
    assert np.any(got.parameters["W1"] != want.parameters["W1"])
    for a, b in zip(jax.tree.leaves(got.alignment), jax.tree.leaves(want.alignment), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "how",
    [
        {"reduce_inputs": False},
        {"input_keep_prob": 0.8, "key": jax.random.key(3)},
        {"dtype": "bfloat16"},
        {"optimizer": optax.adam(0.001)},
    ],
    ids=lambda how: next(iter(how)),
)
def test_where_it_would_not_be_the_same_run_nothing_is_reduced(how, always, monkeypatch):
    def refuse(*_):
        raise AssertionError("reduced")

    X, Y, parameters = problem((300, 5, 4, 1), 12)
    monkeypatch.setattr("jaxnet.training.in_memory.reduce", refuse)
    train(X, Y, parameters, num_iterations=2, **how)
    with pytest.raises(AssertionError, match="reduced"):
        train(X, Y, parameters, num_iterations=2)


def test_in_float32_the_reduced_run_is_as_near_as_the_plain(always):
    X, Y, parameters = problem((3000, 5, 4, 1), 40, soft=True, scale=0.5, dtype=np.float32)
    wide = {name: value.astype(np.float64) for name, value in parameters.items()}
    exact = train(X.astype(np.float64), Y, wide, num_iterations=500, reduce_inputs=False)
    runs = [train(X, Y, parameters, num_iterations=500, reduce_inputs=reduced) for reduced in (False, True)]
    plain, reduced = (np.abs(run.costs - exact.costs).max() for run in runs)
    assert {value.dtype for value in runs[1].parameters.values()} == {np.dtype(np.float32)}
    assert reduced <= 4 * plain and reduced <= 1e-6


def test_the_expanded_network_predicts_images_it_has_not_seen(always):
    X, Y, parameters = problem((300, 5, 4, 1), 12, soft=True)
    unseen = np.random.default_rng(5).normal(size=(300, 40))
    want = train(X, Y, parameters, num_iterations=400, reduce_inputs=False).parameters
    got = train(X, Y, parameters, num_iterations=400).parameters
    assert_close(jaxnet.L_model_forward(unseen, got)[0], jaxnet.L_model_forward(unseen, want)[0], 2000)


def test_on_the_way_the_state_is_that_of_all_inputs(always):
    X, Y, parameters = problem((300, 5, 4, 1), 12, soft=True, scale=0.5)
    told, optimizer = [], optax.sgd(0.01, momentum=0.9)
    arguments = {"optimizer": optimizer, "chunk": 50}
    want = train(X, Y, parameters, num_iterations=200, **arguments, reduce_inputs=False)

    def stop(progress):
        told.append(progress)
        return progress.iteration == 100

    half = train(X, Y, parameters, num_iterations=200, **arguments, on_chunk=stop)
    assert [progress.iteration for progress in told] == [50, 100] and len(half.costs) == 100
    for where in (told[-1], half):
        assert where.parameters["W1"].shape == where.state.opt_state[0].trace["W1"].shape == (5, 300)
    rest = train(X, Y, half.state, num_iterations=200, **arguments)
    assert_close(np.concatenate([half.costs, rest.costs]), want.costs, 1000)
    assert_close(rest.parameters, want.parameters, 2000)


@pytest.mark.thorough
def test_a_failed_run_keeps_parameters_of_all_inputs(always):
    X, Y, parameters = problem((300, 5, 4, 1), 12)
    arguments = {"num_iterations": 50, "optimizer": optax.sgd(1e200)}
    with pytest.raises(NotFiniteError) as want:
        train(X, Y, parameters, **arguments, reduce_inputs=False)
    with pytest.raises(NotFiniteError) as got:
        train(X, Y, parameters, **arguments)
    assert str(got.value) == str(want.value)
    assert_close(got.value.parameters, want.value.parameters, 1000)


def test_the_arguments_are_not_touched(always):
    X, Y, parameters = problem((300, 5, 4, 1), 12)
    before = (X.copy(), Y.copy(), {name: value.copy() for name, value in parameters.items()})
    train(X, Y, parameters, num_iterations=3)
    jax.tree.map(np.testing.assert_array_equal, (X, Y, parameters), before)
