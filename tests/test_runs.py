"""Preparing, executing and writing a run."""

import csv

import numpy as np
import pytest

from jaxnet import runs
from jaxnet.data import load_dataset
from jaxnet.losses import binary_cross_entropy, softmax_cross_entropy
from jaxnet.model import load_model
from jaxnet.network import L_model_forward

from .pictures import drawn_pictures, write_npz


SETTINGS = runs.Settings((4,), "relu", "he", 0.1, 150, None, 0)


def drawn_dataset(tmp_path, **kwargs):
    images, labels = drawn_pictures(60, **kwargs)
    return load_dataset(write_npz(tmp_path / "a.npz", X=images, Y=labels), test_fraction=0.25, seed=0)


@pytest.mark.parametrize(
    "classes, outputs, loss", [(2, 1, binary_cross_entropy), (3, 3, softmax_cross_entropy)], ids=["two", "three"]
)
def test_classes_choose_the_head(tmp_path, classes, outputs, loss):
    run = runs.prepare(drawn_dataset(tmp_path, classes=classes), SETTINGS)
    assert run.parameters["W2"].shape == (outputs, 4) and run.network.loss is loss and run.batch_size is None


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_run_learns_and_writes_what_it_learned(tmp_path, classes, batch_size):
    dataset = drawn_dataset(tmp_path, classes=classes)
    settings = SETTINGS._replace(batch_size=batch_size)
    run, seen = runs.prepare(dataset, settings), []
    history = runs.History()
    parameters = runs.execute(run, settings, history, seen.append)
    assert seen == history.rows and [row.iteration for row in seen] == [100, 150] and len(history.costs) == 150
    assert history.rows[-1].test_accuracy > 0.9 and history.rows[-1].cost < history.costs[0]

    written = runs.write(tmp_path, run, parameters, history)
    assert written == ["model.safetensors", "history.csv", "history.png", "predictions.png"]
    assert all((tmp_path / name).stat().st_size > 0 for name in written)
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == [100, 150]
    assert float(rows[-1]["test_accuracy"]) == history.rows[-1].test_accuracy

    model = load_model(tmp_path)
    AL, _ = L_model_forward(dataset.test.X, model.parameters, model.network)
    probabilities = runs.class_probabilities(dataset.test.X, parameters, run.network)
    assert probabilities.shape == (classes, dataset.test.X.shape[1])
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[-1], AL[-1], rtol=1e-5)


def test_many_examples_are_trained_on_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "FULL_BATCH", 10)
    monkeypatch.setattr(runs, "MINIBATCH", 20)
    assert runs.prepare(drawn_dataset(tmp_path), SETTINGS).batch_size == 20


def test_a_run_folder_is_named_after_the_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = runs.open_folder(None, overwrite=False)
    assert folder.is_dir() and folder.parent.name == "runs"
    assert runs.open_folder(tmp_path / "new" / "deep", overwrite=False).is_dir()
