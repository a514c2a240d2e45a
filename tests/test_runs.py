"""Preparing, executing and writing a run."""

import csv
import os
from datetime import datetime

import numpy as np
import pytest

from jaxnet import runs, validation
from jaxnet.data import load_dataset
from jaxnet.errors import InputError
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


def test_a_run_folder_is_named_after_the_time_and_never_shared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "datetime", Noon)
    folders = [runs.open_folder(None, overwrite=overwrite) for overwrite in (False, False, True)]
    assert all(folder.is_dir() for folder in folders)
    assert [str(folder) for folder in folders] == [f"runs/2026-01-02_12-00-00{suffix}" for suffix in ("", "-2", "-3")]
    assert runs.open_folder(tmp_path / "new" / "deep", overwrite=False).is_dir()


class Noon(datetime):
    @classmethod
    def now(cls):
        return cls(2026, 1, 2, 12)


@pytest.mark.parametrize("name", ["a file", "dangling"])
def test_no_folder_named_after_the_time_where_runs_is_none(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("") if name == "a file" else (tmp_path / "runs").symlink_to("nowhere")
    with pytest.raises(InputError, match="runs cannot be made"):
        runs.open_folder(None, overwrite=False)


def test_a_folder_that_may_not_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="cannot be written to; choose another --out"):
        runs.open_folder(tmp_path / "run", overwrite=False)


def test_an_older_run_stays_until_there_is_something_to_write_and_then_goes(tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    for name in (*runs.WRITTEN, "notes.txt"):
        (out / name).write_text("older")
    assert runs.open_folder(out, overwrite=True) == out
    assert all(path.read_text() == "older" for path in out.iterdir()) and len(list(out.iterdir())) == 5
    run = runs.prepare(drawn_dataset(tmp_path), SETTINGS)
    assert runs.write(out, run, run.parameters, runs.History()) == ["model.safetensors", "history.csv"]
    assert {path.name for path in out.iterdir()} == {"model.safetensors", "history.csv", "notes.txt"}
    assert (out / "history.csv").read_text().splitlines() == [",".join(runs.Row._fields)]


@pytest.mark.parametrize("calls, steps", [(0, None), (1, None), (2, 100), (3, 100)])
def test_whenever_a_run_is_interrupted_its_history_and_parameters_are_of_one_step(tmp_path, monkeypatch, calls, steps):
    """Each of two chunks measures two accuracies; Ctrl-C comes in the one after so many."""
    accuracy, told, history = runs.accuracy, [], runs.History()

    def interrupted(examples, parameters, run):
        told.append(parameters)
        if len(told) > calls:
            raise KeyboardInterrupt
        return accuracy(examples, parameters, run)

    monkeypatch.setattr(runs, "accuracy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runs.execute(runs.prepare(drawn_dataset(tmp_path), SETTINGS), SETTINGS, history, lambda row: None)
    assert [row.iteration for row in history.rows] == ([] if steps is None else [steps])
    assert len(history.costs) == (steps or 0)
    assert history.parameters is (None if steps is None else told[0])


@pytest.mark.parametrize("memory, fits", [(4 * 1003, True), (4 * 1003 - 1, False), (None, True)])
def test_a_network_that_the_machine_cannot_hold_is_refused(monkeypatch, memory, fits):
    """5 * 50 + 51 = 301 parameters three times, and 50 units for two examples, are 1003 numbers."""
    monkeypatch.setattr(validation, "_machine_memory", lambda: memory)
    if fits:
        return validation.check_memory((4, 50, 1), 2)
    with pytest.raises(InputError, match="layers of 4, 50, 1 units need at least 0.0 GiB for 2 examples"):
        validation.check_memory((4, 50, 1), 2)


@pytest.mark.parametrize("answer", [-1, ValueError, OSError, AttributeError])
def test_a_machine_that_does_not_tell_its_memory_is_not_asked_again(monkeypatch, answer):
    def sysconf(name):
        if answer == -1:
            return answer
        raise answer

    monkeypatch.setattr(os, "sysconf", sysconf)
    validation.check_memory((10**9, 10**9), 10**9)
