"""Runs of a regression: standardised inside, in the units of the labels outside."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxnet import Network, initialize_parameters_deep, load_model, runs
from jaxnet.data import load_dataset, load_table
from jaxnet.errors import InputError
from jaxnet.network import L_model_forward
from jaxnet.runs import folder as run_folder, streaming as feeds
from jaxnet.runs.settings import Settings
from jaxnet.runs.target_scale import TargetScale, fit_target_scale

from ..tables import write_csv, write_regression


SETTINGS = Settings(layers=(4,), learning_rate=0.02, num_iterations=150, optimizer="momentum", seed=0)


def regression(tmp_path, **kwargs):
    return load_dataset(write_regression(tmp_path / "a.npz", **kwargs), test_fraction=0.25, seed=0)


def r2(labels, predicted):
    """The mean over the outputs, as scikit-learn's r2_score."""
    return np.mean(1 - np.square(predicted - labels).sum(axis=0) / np.square(labels - labels.mean(axis=0)).sum(axis=0))


@pytest.mark.parametrize("L", [1, 3])
def test_leaving_the_units_is_the_same_network(x64, L):
    dims = (3, *[4] * (L - 1), 2)
    parameters = initialize_parameters_deep(dims, key=jax.random.key(0), dtype="float64")
    scale = TargetScale(np.array([1e3, -5.0]), np.array([200.0, 1e-3]))
    X = np.random.default_rng(0).normal(size=(3, 6))
    network = Network(loss="squared_error")
    inside, outside = (np.asarray(L_model_forward(X, p, network)[0]).T for p in (parameters, scale.restore(parameters)))
    np.testing.assert_allclose(outside, inside * scale.std + scale.mean, rtol=1e-13)
    np.testing.assert_allclose(scale.standardise_labels(outside), inside, rtol=1e-9)
    back = scale.standardise(scale.restore(parameters))
    for name, value in parameters.items():
        np.testing.assert_allclose(back[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.few(1)
def test_a_regression_learns_and_measures_r2(tmp_path, outputs):
    dataset = regression(tmp_path, outputs=outputs)
    run, history = runs.prepare(dataset, SETTINGS), runs.History()
    np.testing.assert_allclose(run.train.labels.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(run.train.labels.std(axis=0), 1)
    assert run.score == "r2" and run.outputs == (("y",) if outputs == 1 else ("y1", "y2"))
    parameters = runs.execute(run, history)
    predicted = run_folder.test_probabilities(run, parameters).T
    last = history.rows[-1]
    assert (
        last.watched_accuracy == pytest.approx(r2(dataset.test.labels, predicted), abs=1e-4)
        and last.watched_accuracy > 0.8
    )
    half = np.square(run.target_scale.standardise_labels(predicted - 0.0) - run.watched.labels).sum(axis=1).mean() / 2
    assert last.watched_cost == pytest.approx(half, rel=1e-3)
    written = run_folder.write(tmp_path, run, parameters, history)
    written += run_folder.draw(tmp_path, run, parameters, history, predicted.T, "")
    assert written == ["model.safetensors", "history.csv", "report.html"]
    assert (tmp_path / "history.csv").read_text().startswith("iteration,cost,train_r2,test_cost,test_r2,gradient")
    model = load_model(tmp_path)
    assert model.classes == () and model.output_names == run.outputs
    np.testing.assert_array_equal(model.probabilities(dataset.test.rows), predicted.T)


def test_a_run_from_a_model_starts_where_it_ended(tmp_path):
    dataset = regression(tmp_path)
    run = runs.prepare(dataset, SETTINGS)
    model = run.model(runs.execute(run, runs.History()))
    again = runs.prepare(dataset, SETTINGS, model)
    for name, value in again.model(again.first.parameters).parameters.items():
        np.testing.assert_allclose(value, model.parameters[name], rtol=1e-5, atol=1e-4)


def test_tables_are_standardised_unless_otherwise_said(tmp_path):
    dataset = load_table(write_csv(tmp_path / "a.csv"), labels=["price"], test_fraction=0.25, seed=0)
    run = runs.prepare(dataset, SETTINGS)
    X = run.preprocessing.columns(run.train.rows)
    np.testing.assert_allclose(X.mean(axis=1), 0, atol=1e-5)
    assert run.model(run.first.parameters).table == dataset.table
    plain = runs.prepare(dataset, dataclasses.replace(SETTINGS, standardise=False))
    assert plain.preprocessing.mean is None
    other = load_table(
        write_csv(tmp_path / "a.csv"), labels=["price"], test_fraction=0.25, seed=0, categories=["rooms"]
    )
    with pytest.raises(InputError, match="has input_shape .* bring data of that shape"):
        runs.prepare(other, SETTINGS, run.model(run.first.parameters))
    renamed = dataset._replace(table=dataset.table._replace(labels=("rent",)))
    with pytest.raises(InputError, match="has table .* bring a table with the same columns, categories and labels"):
        runs.prepare(renamed, SETTINGS, run.model(run.first.parameters))


def test_targets_read_from_disk_change_nothing_else(tmp_path, monkeypatch):
    dataset = regression(tmp_path)
    settings = dataclasses.replace(SETTINGS, batch_size=6, num_iterations=100, validation_fraction=0.2)
    want = runs.execute(runs.prepare(dataset, settings), runs.History())
    monkeypatch.setattr(feeds, "RESIDENT_BYTES", 0)
    got = runs.execute(runs.prepare(dataset, settings), runs.History())
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("spread, offset", [(0, 3.0), (1e-31, 0.0), (1e-3, 1e6)])
def test_labels_that_hardly_vary_are_refused(spread, offset):
    labels = spread * np.arange(8.0)[:, None] + offset
    with pytest.raises(
        InputError, match="the label price is .* with a standard deviation of .*; expected one that varies"
    ):
        fit_target_scale(labels, ("price",))


def test_weights_of_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match="--class-weight is of classes, but the labels are regression targets"):
        runs.prepare(regression(tmp_path), dataclasses.replace(SETTINGS, class_weight="balanced"))
    with pytest.raises(
        InputError, match="--class-weight is of classes, and --loss squared_error of regression targets"
    ):
        dataclasses.replace(SETTINGS, class_weight="balanced", loss="squared_error")


@pytest.mark.thorough
def test_the_alignment_of_a_regression_has_no_accuracy(tmp_path):
    settings = dataclasses.replace(SETTINGS, feedback="feedback_alignment", record_every=50, num_iterations=100)
    run, history = runs.prepare(regression(tmp_path), settings), runs.History()
    parameters = runs.execute(run, history)
    assert len(history.alignment) == 2 and "accuracy" not in history.alignment[0] and "cost" in history.alignment[0]
    drawn = run_folder.draw(tmp_path, run, parameters, history, run_folder.test_probabilities(run, parameters), "")
    assert drawn == ["report.html", "alignment.png"]
