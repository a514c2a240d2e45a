"""What a sweep has found: the table, the best run, and the spread over seeds."""

import jax
import numpy as np
import optax
import pytest
import scipy.stats

import jaxnet
from jaxnet.sweeps.grid import is_many, runs_of
from jaxnet.sweeps.swept import SAMPLE, sample_of, spread

from ..drawn import problem


X, Y = (array.astype(np.float32) for array in problem([4, 1], 30)[:2])
PARTS = {"X_validation": X[:, :9], "Y_validation": Y[:, :9], "X_test": X[:, 9:15], "Y_test": Y[:, 9:15]}


@pytest.fixture(scope="module")
def swept():
    with jax.numpy_dtype_promotion("standard"):
        return jaxnet.sweep(
            X[:, 15:], Y[:, 15:], (4, 3, 1), seeds=range(4), learning_rate=[0.01, 0.3], num_iterations=20, **PARTS
        )


def test_a_row_has_every_setting_and_number(swept):
    row = swept.table[5]
    settings = {
        "run": 5,
        "learning_rate": 0.3,
        "seed": 1,
        "optimizer": "adam",
        "hidden": "relu",
        "feedback": "backprop",
    }
    assert {name: row[name] for name in settings} == settings and row["stopped_at"] is None
    assert row["final_cost"] == swept.costs[5, -1]
    evaluation = {
        "": (X[:, 15:], Y[:, 15:]),
        "validation_": (X[:, :9], Y[:, :9]),
        "test_": (X[:, 9:15], Y[:, 9:15]),
    }
    for name, (x, y) in evaluation.items():
        right = np.mean(np.asarray(jaxnet.predict(x, swept.parameters[5])) == y)
        assert row[f"{name}accuracy"] == pytest.approx(right)
        if name:
            assert row[f"{name}cost"] == pytest.approx(float(jaxnet.cost(x, y, swept.parameters[5])), rel=1e-5)


def test_the_best_run_has_the_smallest_validation_cost(swept):
    costs = [row["validation_cost"] for row in swept.table]
    best = swept.best()
    assert best.number == int(np.argmin(costs)) and list(range(8))[best] == best.number
    assert "learning_rate" in repr(best) and "8 runs of 20 steps" in repr(swept)


def test_a_summary_is_over_the_seeds_of_a_setting(swept):
    rows = swept.summary()
    assert [(row["learning_rate"], row["runs"], row["stopped"]) for row in rows] == [(0.01, 4, 0), (0.3, 4, 0)]
    accuracies = [row["test_accuracy"] for row in swept.table[4:]]
    assert rows[1]["test_accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert rows[1]["test_accuracy_std"] == pytest.approx(np.std(accuracies, ddof=1))
    assert "seed" not in rows[0] and "run_mean" not in rows[0]


def test_the_interval_is_students():
    values = [1.0, 2.0, 4.0, 7.0]
    mean, std, low, high = spread(values)
    want = scipy.stats.t.interval(0.95, 3, np.mean(values), scipy.stats.sem(values))
    assert (low, high) == pytest.approx(want) and mean == 3.5 and std == pytest.approx(np.std(values, ddof=1))
    assert np.isnan(spread([1.0])[1:]).all() and spread([1.0])[0] == 1.0 and np.isnan(spread([])).all()


def test_runs_are_a_sequence(swept):
    assert len(swept) == 8 and swept[-1].number == 7 and [run.number for run in swept[2:4]] == [2, 3]
    assert [run.number for run in swept] == list(range(8)) and len(swept.states[1:3]) == 2
    with pytest.raises(IndexError):
        swept[8]


def test_the_average_of_all_seeds_is_a_model(swept):
    models = [jaxnet.Model(run.parameters, run.network, (4,), ("a", "b")) for run in swept[4:]]
    assert jaxnet.layer_dims(jaxnet.average(models).parameters) == (4, 12, 1)


def test_settings_meet_every_seed_and_combination():
    runs = runs_of({"a": [1, 2], "b": 3}, [{"b": 4}, {"b": 5, "c": 6}], [0, 1])
    assert len(runs) == 8
    assert runs[0] == {"a": 1, "b": 4, "seed": 0} and runs[1]["seed"] == 1
    assert runs[7] == {"a": 2, "b": 5, "c": 6, "seed": 1}


@pytest.mark.parametrize(
    "name, value, many",
    [
        ("hidden", jaxnet.activations.relu, False),
        ("feedback", jaxnet.feedback.kolen_pollack(), False),
        ("hidden", [jaxnet.activations.relu], True),
        ("layer_dims", (4, 3, 1), False),
        ("layer_dims", [(4, 3, 1), (4, 1)], True),
        ("learning_rate", np.logspace(-3, 0, 4), True),
        ("learning_rate", np.float32(0.1), False),
        ("batch_size", range(2, 4), True),
    ],
)
def test_what_is_one_value_and_what_are_many(name, value, many):
    assert is_many(name, value) == many


def test_accuracies_are_of_a_sample_of_many_examples():
    m = 2 * SAMPLE
    for labels in (np.arange(m), np.arange(m)[None], np.arange(m)[:, None]):
        sample = sample_of(np.arange(m, dtype=np.float32)[None], labels)
        assert sample.X.shape == (1, SAMPLE)
        np.testing.assert_array_equal(np.ravel(sample.Y), sample.X[0].astype(int))
    two = sample_of(np.ones((1, m), np.float32), np.stack([np.arange(m), -np.arange(m)]))
    assert two.Y.shape == (2, SAMPLE)


def test_a_run_that_stopped_is_not_in_the_mean(default_promotion):
    squares = {"optimizer": optax.sgd, "loss": "squared_error", "num_iterations": 100}
    swept = jaxnet.sweep(X, X[:2], (4, 2), seeds=[0, 1], learning_rate=[0.01, 90.0], **squares)
    rows = swept.summary()
    assert [row["stopped"] for row in rows] == [0, 2] and np.isnan(rows[1]["final_cost_mean"])
    assert swept.best().settings["learning_rate"] == 0.01
