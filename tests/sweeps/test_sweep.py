"""`sweep`: each run is that of `train`, and none is touched by the others."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import InputError, feedback
from jaxnet.sweeps import parts, together
from jaxnet.training import loop

from ..drawn import assert_same, problem


SOFTMAX = "softmax_cross_entropy"
RATES = [0.05, 0.2]


@pytest.fixture(autouse=True)
def promotion(default_promotion):
    """As a user has it: Adam mixes floats and counts."""


def data(loss="binary_cross_entropy", n_x=6, m=20):
    X, Y, _ = problem([n_x, 1 if loss == "binary_cross_entropy" else 3], m, loss)
    return X.astype(np.float32), Y.astype(np.float32)


def dims(loss="binary_cross_entropy"):
    return (6, 5, 4, 1 if loss == "binary_cross_entropy" else 3)


def trained(X, Y, settings, optimizer, network, key=None, **options):
    """What `train` makes of the settings of a run."""
    own = jax.random.key(settings["seed"])
    start = jaxnet.initialize_parameters_deep(settings["layer_dims"], key=own, init=settings["init"])
    names = "lambd", "keep_prob", "input_keep_prob", "batch_size"
    options |= {name: settings[name] for name in names}
    return jaxnet.train(X, Y, start, optimizer=optimizer, network=network, key=own if key is None else key, **options)


# What is swept, what `train` is given besides, and how many programs there are.
SWEPT = {
    "sgd": ({"optimizer": optax.sgd, "learning_rate": RATES}, 1),
    "tanh, momentum": ({"optimizer": optax.sgd, "learning_rate": RATES, "momentum": [0.5, 0.9], "hidden": "tanh"}, 1),
    "adam": ({"learning_rate": RATES, "b1": [0.8, 0.9], "eps": 1e-6, "loss": SOFTMAX, "batch_size": 7}, 1),
    "penalty": ({"optimizer": optax.sgd, "learning_rate": 0.1, "lambd": [0.0, 0.3], "loss": "squared_error"}, 1),
    "dropout": (
        {"optimizer": optax.sgd, "learning_rate": 0.1, "keep_prob": [1.0, 0.7], "input_keep_prob": [0.9, 1.0]},
        1,
    ),
    "first weights": ({"optimizer": optax.sgd, "learning_rate": 0.1, "init": ["he", 0.5, 0.1], "hidden": "gelu"}, 1),
    "activations": ({"optimizer": optax.sgd, "learning_rate": 0.1, "hidden": ["relu", "sigmoid"]}, 2),
    "batch sizes": ({"optimizer": optax.sgd, "learning_rate": 0.1, "batch_size": [None, 5, 10]}, 3),
    "optimizers": ({"optimizer": [optax.sgd, optax.rmsprop], "learning_rate": [0.01, 0.02]}, 2),
    "cosine": ({"optimizer": optax.sgd, "learning_rate": [optax.cosine_decay_schedule(r, 20) for r in RATES]}, 1),
    "rates of a rule": (
        {
            "optimizer": optax.sgd,
            "learning_rate": 0.1,
            "feedback": [feedback.kolen_pollack(decay=0.1), feedback.kolen_pollack(decay=0.3)],
        },
        1,
    ),
}


@pytest.mark.parametrize("name", SWEPT)
@pytest.mark.few(4)
def test_a_run_is_that_of_train(name):
    given, programs = SWEPT[name]
    loss = given.get("loss", "binary_cross_entropy")
    X, Y = data(loss)
    together._compiled.cache_clear()
    swept = jaxnet.sweep(X, Y, dims(loss), seeds=[3, 4], num_iterations=10, chunk=10, **given)
    assert together._compiled.cache_info().currsize == programs
    assert swept.costs.shape == (len(swept), 10) and not any(swept.stopped_at)
    for i in range(0, len(swept), 3):
        run = swept[i]
        numbers = {
            name: run.settings[name] for name in ("learning_rate", "momentum", "b1", "eps") if name in run.settings
        }
        want = trained(X, Y, run.settings, run.settings["optimizer"](**numbers), run.network, num_iterations=10)
        np.testing.assert_allclose(run.costs, want.costs, rtol=2e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5), run.state, want.state)


def test_one_key_gives_all_runs_one_order():
    X, Y = data()
    key, options = jax.random.key(9), {"num_iterations": 10, "batch_size": 6, "keep_prob": 0.8}
    swept = jaxnet.sweep(X, Y, dims(), seeds=range(3), optimizer=optax.sgd, learning_rate=0.1, key=key, **options)
    want = trained(X, Y, swept.settings[1], optax.sgd(0.1), swept.networks[1], key, num_iterations=10)
    np.testing.assert_allclose(swept.costs[1], want.costs, rtol=2e-5)


def test_a_single_run_takes_the_path_of_train():
    X, Y = data()
    swept = jaxnet.sweep(
        X, Y, dims(), seeds=[5], optimizer=optax.sgd, learning_rate=0.1, num_iterations=6, batch_size=4
    )
    want = trained(X, Y, swept.settings[0], optax.sgd(0.1), swept.networks[0], num_iterations=6)
    np.testing.assert_array_equal(swept.costs[0], want.costs)
    assert_same(swept.states[0], want.state)


def test_an_optimizer_that_evaluates_the_cost_is_swept():
    def searching(learning_rate):
        return optax.chain(optax.sgd(learning_rate), optax.scale_by_backtracking_linesearch(3))

    X, Y = data()
    together._compiled.cache_clear()
    swept = jaxnet.sweep(X, Y, dims(), seeds=range(2), optimizer=searching, learning_rate=RATES, num_iterations=3)
    assert together._compiled.cache_info().currsize == 2  # one for each rate, which is part of the program
    want = trained(X, Y, swept.settings[3], searching(0.2), swept.networks[3], num_iterations=3)
    np.testing.assert_allclose(swept.costs[3], want.costs, rtol=2e-5)


def test_runs_are_those_in_float64_too(x64):
    X, Y = (array.astype(np.float64) for array in data())
    options = {"optimizer": optax.sgd, "learning_rate": RATES, "lambd": [0.1, 0.2], "keep_prob": 0.8}
    swept = jaxnet.sweep(X, Y, dims(), seeds=[1], num_iterations=10, batch_size=5, **options)
    want = trained(X, Y, swept.settings[3], optax.sgd(0.2), swept.networks[3], num_iterations=10)
    np.testing.assert_allclose(swept.costs[3], want.costs, rtol=1e-12)


def test_runs_in_reduced_inputs_are_those_of_train():
    X, Y = data(n_x=3000, m=4)
    settings = {"optimizer": optax.sgd, "learning_rate": [0.01, 0.02], "num_iterations": 10**6, "chunk": 5}
    together._compiled.cache_clear()
    swept = jaxnet.sweep(X, Y, (3000, 300, 1), seeds=range(2), on_chunk=lambda progress: True, **settings)
    assert swept.ended_early and swept.states[0].parameters["W1"].shape == (300, 3000)
    assert together._compiled.cache_info().currsize == 1
    run = swept[3]
    want = trained(X, Y, run.settings, optax.sgd(0.02), run.network, num_iterations=5, reduce_inputs=False)
    np.testing.assert_allclose(run.costs, want.costs, rtol=2e-5)
    np.testing.assert_allclose(run.parameters["W1"], want.parameters["W1"], rtol=1e-3, atol=1e-5)


# ---- runs that stop being finite

SQUARES = {"optimizer": optax.sgd, "loss": "squared_error", "chunk": 4}


def diverging(num_iterations=100, rates=(0.01, 50.0, 0.02), **options):
    X, Y = data("squared_error")
    return jaxnet.sweep(
        X, Y, (6, 3), seeds=[0, 1], learning_rate=list(rates), num_iterations=num_iterations, **SQUARES, **options
    )


def test_a_run_that_diverges_is_frozen_where_train_stops():
    swept = diverging()
    assert [at is None for at in swept.stopped_at] == [True, True, False, False, True, True]
    X, Y = data("squared_error")
    for i in (2, 3):
        run = swept[i]
        with pytest.raises(jaxnet.NotFiniteError) as raised:
            trained(X, Y, run.settings, optax.sgd(50.0), run.network, num_iterations=100, chunk=4)
        assert (run.stopped_at, run.state.step) == (raised.value.iteration, raised.value.kept)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3), run.parameters, raised.value.parameters)
        assert np.isfinite(run.costs[: run.stopped_at]).all() and np.isnan(run.costs[run.stopped_at :]).all()


def test_the_others_are_the_same_without_it():
    with_it, without = diverging(), diverging(rates=(0.01, 0.03, 0.02))
    for i in (0, 1, 4, 5):
        np.testing.assert_array_equal(with_it.costs[i], without.costs[i])
        assert_same(with_it.states[i], without.states[i])


def test_a_single_run_that_diverges_is_frozen_too():
    X, Y = data("squared_error")
    swept = jaxnet.sweep(X, Y, (6, 3), seeds=[0], learning_rate=50.0, num_iterations=100, **SQUARES)
    assert swept.stopped_at == diverging().stopped_at[2:3] and swept.states[0].step < swept.stopped_at[0]
    assert np.isfinite(swept.costs[0, : swept.stopped_at[0]]).all()
    with pytest.raises(InputError, match="no run has a finite final_cost"):
        swept.best()


# ---- going on, parts and progress


@pytest.mark.parametrize("memory_limit", [None, 3000])
def test_two_halves_are_one_whole_to_the_bit(memory_limit):
    options = {"rates": (0.01, 50.0, 0.02), "memory_limit": memory_limit, "batch_size": 6}
    whole, half = diverging(20, **options), diverging(12, **options)
    rest = diverging(20, start=pickle.loads(pickle.dumps(half)), **options)
    np.testing.assert_array_equal(rest.costs, whole.costs)
    np.testing.assert_array_equal(half.costs, whole.costs[:, :12])
    assert rest.stopped_at == whole.stopped_at and half[1].state.step == 12
    assert_same(list(rest.states), list(whole.states))


def test_train_goes_on_from_a_state():
    X, Y = data()
    options = {"num_iterations": 8, "batch_size": 5, "chunk": 4}
    half = jaxnet.sweep(X, Y, dims(), seeds=range(2), learning_rate=0.01, **options)
    longer = {**options, "num_iterations": 12}
    rest = jaxnet.train(X, Y, half.states[1], optimizer=optax.adam(0.01), key=jax.random.key(1), **longer)
    want = jaxnet.sweep(X, Y, dims(), seeds=range(2), learning_rate=0.01, start=half, **longer)
    np.testing.assert_allclose(rest.costs, want.costs[1, 8:], rtol=2e-5)


def test_parts_change_nothing_but_rounding():
    X, Y = data()
    options = {"seeds": range(5), "learning_rate": [0.01, 0.02], "num_iterations": 6}
    whole = jaxnet.sweep(X, Y, dims(), **options)
    states = 3 * 10 * sum(leaf.nbytes for leaf in jax.tree.leaves(whole.states[0][:2]))
    together._compiled.cache_clear()
    split = jaxnet.sweep(X, Y, dims(), memory_limit=states + 9000, **options)
    assert together._compiled.cache_info().currsize > 1  # of all runs, which did not fit, and of fewer
    np.testing.assert_allclose(split.costs, whole.costs, rtol=2e-5)
    alone = jaxnet.sweep(X, Y, dims(), memory_limit=states + 1, **options)
    np.testing.assert_allclose(alone.costs, whole.costs, rtol=2e-5)
    with pytest.raises(InputError, match="the states of 10 networks need .* GiB, and the limit is"):
        jaxnet.sweep(X, Y, dims(), memory_limit=states - 1, **options)


def test_all_parts_have_one_program(monkeypatch):
    X, Y = data()
    options = {"seeds": range(3), "learning_rate": 0.1, "lambd": [0.0, 0.1], "num_iterations": 4, "batch_size": 7}
    whole = jaxnet.sweep(X, Y, dims(), **options)
    together._compiled.cache_clear()
    monkeypatch.setattr(parts, "CACHE", 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(whole.states[0][:2])))
    lambds = [0.0, 0.1, 0.2]  # nine runs in parts of two, of which some have no penalty, and one is half filled up
    found = jaxnet.sweep(X, Y, dims(), **options | {"lambd": lambds})
    assert together._compiled.cache_info().currsize == 1
    np.testing.assert_allclose(found.costs[:6], whole.costs, rtol=2e-5)


def test_progress_has_all_runs_after_every_chunk():
    X, Y = data()
    seen = []

    def see(progress):
        seen.append(progress)
        return progress.iteration == 8

    options = {"seeds": range(2), "learning_rate": 0.01, "hidden": ["relu", "tanh"], "chunk": 4}
    swept = jaxnet.sweep(X, Y, dims(), num_iterations=20, on_chunk=[see], **options)
    assert [(progress.iteration, progress.costs.shape) for progress in seen] == [(4, (4, 4)), (8, (4, 4))]
    assert swept.ended_early and swept.costs.shape == (4, 8)
    np.testing.assert_array_equal(np.concatenate([progress.costs for progress in seen], axis=1), swept.costs)
    first = seen[0].swept  # as it was then, though it is asked for only now
    assert first.costs.shape == (4, 4) and first.states[3].step == 4
    want = jaxnet.sweep(X, Y, dims(), num_iterations=4, **options)
    assert_same(list(first.states), list(want.states))


def test_the_bar_shows_the_smallest_cost(capsys):
    X, Y = data()
    jaxnet.sweep(X, Y, dims(), seeds=range(2), learning_rate=0.01, num_iterations=2, progress=True)
    assert "cost 0." in capsys.readouterr().err


def test_no_steps_are_the_first_weights():
    X, Y = data()
    swept = jaxnet.sweep(X, Y, dims(), seeds=[7, 8], learning_rate=0.01, num_iterations=0)
    want = jaxnet.initialize_parameters_deep(dims(), key=jax.random.key(8))
    assert swept.costs.shape == (2, 0)
    assert_same(swept.parameters[1], want)


def test_no_number_compiles_a_second_program():
    X, Y = data()
    together._compiled.cache_clear()
    for rate in (0.1, 0.2):
        jaxnet.sweep(X, Y, dims(), seeds=range(3), learning_rate=[rate, 1.0], lambd=[0, rate], num_iterations=2)
    assert together._compiled.cache_info().currsize == 1
    loop.run_chunk.clear_cache()
    for seed in (1, 2):
        jaxnet.sweep(X, Y, dims(), seeds=[seed], learning_rate=1 / seed, num_iterations=2)
    assert loop.run_chunk._cache_size() == 1


# ---- mistakes

BAD = {
    "no seeds": ({"seeds": []}, "seeds is .*; expected whole numbers from 0, each once, such as range"),
    "a count of seeds": ({"seeds": 3}, "seeds is 3; expected whole numbers"),
    "a seed twice": ({"seeds": [1, 1]}, r"seeds is \[1, 1\]; expected .* each once"),
    "a seed below 0": ({"seeds": [-1]}, "a seed is -1; expected a whole number from 0"),
    "a large seed": ({"seeds": [2**32]}, r"a seed is 4294967296; expected one below 2\^32"),
    "no values": ({"learning_rate": []}, "learning_rate is empty; expected at least one value"),
    "a name": ({"optimizer": "adam"}, "optimizer is 'adam'; expected a function that makes one"),
    "an optimizer": ({"optimizer": optax.adam(0.1)}, "expected a function that makes one of a learning_rate"),
    "no optimizer": ({"optimizer": lambda learning_rate: 3}, r"is 3; expected an optimizer of optax"),
    "another's number": ({"momentum": 0.9}, "adam takes no momentum; expected some of learning_rate, b1"),
    "no rate": ({"optimizer": optax.sgd, "learning_rate": None}, r"sgd\(\) fails: TypeError: .*learning_rate"),
    "an infinite rate": ({"learning_rate": [0.1, float("nan")]}, "learning_rate is nan; expected a number"),
    "a penalty below 0": ({"lambd": [0.1, -1]}, "lambd is -1; expected a number from 0"),
    "nothing kept": ({"keep_prob": 0.0}, "keep_prob is 0.0; expected a number above 0 and up to 1"),
    "a large batch": ({"batch_size": [5, 21]}, "batch_size is 21; expected 1 to 20"),
    "other inputs": ({"layer_dims": (5, 1)}, "layer 1: W1 takes 5 inputs, but X has shape"),
    "no layers": ({"layer_dims": [(6, 1), (6,)]}, "layer_dims is .*; expected at least two positive integers"),
    "an unknown activation": ({"hidden": ["relu", "rely"]}, "rely"),
    "an unknown init": ({"init": "hee"}, "init is 'hee'; expected a number from 0 or one of lecun"),
    "settings of one": ({"settings": {"hidden": "relu"}}, "settings is .*; expected a list of dicts"),
    "a seed in settings": ({"settings": [{"seed": 1}]}, 'settings has "seed"'),
    "given twice": (
        {"settings": [{"learning_rate": 1}], "learning_rate": [1, 2]},
        "learning_rate has several values, and is in settings too",
    ),
    "an unknown setting": ({"settings": [{"hiden": "relu"}]}, "adam takes no hiden; expected some of"),
    "half of the test data": ({"X_test": np.ones((6, 2))}, "one of X_test and Y_test is None; expected both"),
    "other test data": ({"X_test": np.ones((5, 2)), "Y_test": np.ones(2)}, "test data: layer 1: W1 takes 6 inputs"),
    "no memory": ({"memory_limit": 0}, "memory_limit is 0; expected a number of bytes above 0"),
    "no start": ({"start": 3}, "start is of type int; expected what a sweep returned"),
    "no penalty": ({"lambd": None}, "lambd is None; expected a number from 0"),
    "no key": ({"key": 3}, "key is 3; expected a random key of JAX"),
    "no network": ({"network": "relu"}, "network is 'relu'; expected a `Network`"),
    "no chunk": ({"chunk": 0}, "chunk is 0; expected a whole number from 1"),
    "no steps": ({"num_iterations": -1}, "num_iterations is -1; expected a whole number from 0"),
    "nothing to call": ({"on_chunk": 3}, "on_chunk is 3; expected a callable"),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_reported_before_any_step(name, no_shape_checks):
    change, message = BAD[name]
    X, Y = data()
    seen = []
    given = {"layer_dims": dims(), "seeds": range(2), "num_iterations": 1, "learning_rate": 0.1}
    given |= {"on_chunk": seen.append} | change
    with pytest.raises(InputError, match=message):
        jaxnet.sweep(X, Y, **given)
    assert seen == []


def test_a_start_of_other_runs_is_refused():
    X, Y = data()
    options = {"learning_rate": 0.1, "chunk": 2}
    start = jaxnet.sweep(X, Y, dims(), seeds=range(2), num_iterations=4, **options)
    with pytest.raises(InputError, match="start is of runs with other settings or seeds"):
        jaxnet.sweep(X, Y, dims(), seeds=range(3), num_iterations=6, start=start, **options)
    for change in ({"learning_rate": optax.constant_schedule(0.1)}, {"key": jax.random.key(0)}, {"hidden": "tanh"}):
        with pytest.raises(InputError, match="start is of runs with other settings or seeds"):
            jaxnet.sweep(X, Y, dims(), seeds=range(2), num_iterations=6, start=start, **options | change)
    with pytest.raises(InputError, match="num_iterations is 3, but the runs have made 4 steps"):
        jaxnet.sweep(X, Y, dims(), seeds=range(2), num_iterations=3, start=start, **options)


def test_a_sweep_inside_a_transformation_is_one_line(no_shape_checks):
    X, Y = data()
    with pytest.raises(InputError, match="is a value that JAX is tracing"):
        jax.jit(lambda X: jaxnet.sweep(X, Y, dims(), seeds=range(2), num_iterations=1).costs)(jnp.asarray(X))
