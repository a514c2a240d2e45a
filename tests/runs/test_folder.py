"""The folder of a run: made, and written to."""

import csv
import dataclasses
import os
from datetime import datetime

import numpy as np
import pytest

from jaxnet import runs
from jaxnet.errors import InputError
from jaxnet.model import load_model
from jaxnet.model.prediction import class_probabilities
from jaxnet.runs import folder as run_folder

from .test_run import SETTINGS, drawn_dataset


def test_a_run_folder_is_named_after_the_time_and_never_shared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_folder, "datetime", Noon)
    folders = [run_folder.open_folder(None, overwrite=overwrite) for overwrite in (False, False, True)]
    assert all(folder.is_dir() for folder in folders)
    assert [str(folder) for folder in folders] == [f"runs/2026-01-02_12-00-00{suffix}" for suffix in ("", "-2", "-3")]
    assert run_folder.open_folder(tmp_path / "new" / "deep", overwrite=False).is_dir()


class Noon(datetime):
    @classmethod
    def now(cls):
        return cls(2026, 1, 2, 12)


@pytest.mark.parametrize("name", ["a file", "dangling"])
def test_no_folder_named_after_the_time_where_runs_is_none(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("") if name == "a file" else (tmp_path / "runs").symlink_to("nowhere")
    with pytest.raises(InputError, match="runs cannot be made"):
        run_folder.open_folder(None, overwrite=False)


def test_a_folder_that_may_not_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="cannot be written to; choose another --out"):
        run_folder.open_folder(tmp_path / "run", overwrite=False)


def test_an_older_run_stays_until_there_is_a_newer(tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    for name in (*run_folder.WRITTEN, "notes.txt"):
        (out / name).write_text("older")
    assert run_folder.open_folder(out, overwrite=True) == out
    assert (
        all(path.read_text() == "older" for path in out.iterdir())
        and len(list(out.iterdir())) == len(run_folder.WRITTEN) + 1
    )
    run = runs.prepare(drawn_dataset(tmp_path), SETTINGS)
    assert run_folder.write(out, run, run.first.parameters, runs.History()) == ["model.safetensors", "history.csv"]
    assert {path.name for path in out.iterdir()} == {"model.safetensors", "history.csv", "notes.txt"}
    assert len((out / "history.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("changes, watched", [({}, "test"), ({"validation_fraction": 0.2}, "validation")])
@pytest.mark.few(1)
def test_what_is_written_is_what_was_learned(tmp_path, changes, watched):
    dataset = drawn_dataset(tmp_path)
    run = runs.prepare(dataset, dataclasses.replace(SETTINGS, standardise=True, **changes))
    history = runs.History()
    parameters = runs.execute(run, history)
    written = run_folder.write(tmp_path, run, parameters, history)
    probabilities = run_folder.test_probabilities(run, parameters)
    written += run_folder.draw(tmp_path, run, parameters, history, probabilities, "the check")
    assert written == ["model.safetensors", "history.csv", "report.html", "predictions.png"]
    assert all((tmp_path / name).stat().st_size > 0 for name in written)
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == [100, 150]
    assert float(rows[-1][f"{watched}_accuracy"]) == history.rows[-1].watched_accuracy
    assert float(rows[-1]["gradient_norm_2"]) == history.rows[-1].gradient_norms[1]
    model = load_model(tmp_path)
    X = model.preprocessing.columns(dataset.test.rows)
    np.testing.assert_array_equal(class_probabilities(X, model.parameters, model.network), probabilities)


def test_the_newest_run_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no run in runs"):
        run_folder.latest_folder()
    for i, name in enumerate(("b", "a")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "settings.toml").write_text("")
        os.utime(tmp_path / "runs" / name / "settings.toml", (i, i))
    assert run_folder.latest_folder().name == "a"
