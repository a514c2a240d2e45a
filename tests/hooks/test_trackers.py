"""What is logged is read back by the trackers themselves, where they are installed."""

import json
import sys
import warnings

import numpy as np
import pytest

import jaxnet
from jaxnet.errors import InputError
from jaxnet.hooks import log, tensorboard
from jaxnet.hooks.trackers import TRACKERS, tracker_of

from ..drawn import problem


X, Y, PARAMETERS = problem([4, 3, 1], 12, dtype=np.float32)


def train(*hooks, num_iterations=20):
    return jaxnet.train(X, Y, PARAMETERS, num_iterations=num_iterations, chunk=10, on_chunk=hooks)


def installed(name):
    """The package, whose own warnings are none of jaxnet's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed")


# ---- any function


def of_position(steps, values):
    return steps, values


def of_wandb(data, step=None, commit=None):
    return step, data


def of_mlflow(metrics, step=None, synchronous=None, **more):
    return step, metrics


def by_keyword(values, *, step):
    return step, values


def step_first(step, values):
    return step, values


@pytest.mark.parametrize("f", [of_position, of_wandb, of_mlflow, by_keyword, step_first])
def test_a_function_is_called_as_it_takes_it(f):
    from functools import wraps

    seen = []

    @wraps(f)
    def written(*args, **kwargs):
        seen.append(f(*args, **kwargs))

    trained = train(log(written, lambda progress: {"size": np.float32(progress.iteration), "one": True}))
    assert [steps for steps, _ in seen] == [10, 20]
    for i, (steps, values) in enumerate(seen):
        assert values == {"cost": float(trained.costs[10 * i + 9]), "size": steps, "one": 1}
        assert all(type(value) is float for value in values.values())


def test_a_function_without_a_signature_takes_two(capsys):
    seen = {}
    train(log(seen.__setitem__), num_iterations=10)
    assert list(seen) == [10] and list(seen[10]) == ["cost"]


@pytest.mark.parametrize(
    "hook, message",
    [
        (lambda: log(3), "3 is not a function; expected one such as wandb's run.log"),
        (lambda: log(print, {"a": 1}), "is not a function; expected what takes a Progress"),
        (lambda: log(lambda *_: None, lambda progress: 3), "a measure returned 3; expected numbers by their names"),
        (lambda: log(lambda *_: None, lambda progress: {"a": "b"}), "was given .*'a': 'b'.*; expected numbers"),
        (lambda: log(lambda *_: None, lambda progress: {"a": np.ones(2)}), "expected numbers by their names"),
    ],
)
def test_what_cannot_be_logged_is_refused(hook, message, no_shape_checks):
    with pytest.raises(InputError, match=message):
        train(hook())


# ---- TensorBoard


def read(folder) -> dict[str, list[tuple[int, float]]]:
    installed("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what TensorBoard itself imports
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        events = accumulator.EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_scalars_are_read_back(tmp_path):
    folder, validation = tmp_path / "new" / "log", jaxnet.hooks.Validation(X, Y)
    with tensorboard(folder, validation.measured) as board:
        trained = train(validation, board)
        board.write(30, {"cost": np.nan, "norm": np.inf})
    seen = read(folder)
    assert seen["cost"][:2] == [(10, trained.costs[9]), (20, trained.costs[19])] and np.isnan(seen["cost"][2][1])
    assert seen["norm"] == [(30, np.inf)]
    np.testing.assert_allclose([cost for _, cost in seen["validation_cost"]], validation.costs, rtol=1e-6)


def test_what_was_written_before_an_error_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt), tensorboard(tmp_path) as board:
        board.write(1, {"cost": 2.0})
        raise KeyboardInterrupt
    assert read(tmp_path) == {"cost": [(1, 2.0)]}


def test_a_file_is_not_a_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="cannot be written to"):
        tensorboard(file)


# ---- by name


@pytest.mark.parametrize("name", TRACKERS)
def test_without_its_package_there_is_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, TRACKERS[name].package, None)
    with pytest.raises(InputError, match=rf"the tracker {name} needs the package .*: pip install 'jaxnet\[{name}\]'"):
        tracker_of(name, tmp_path, {})


@pytest.mark.parametrize("name", ["", "WandB", "comet", "tensorboardX"])
def test_unknown_names_list_the_known(tmp_path, name):
    with pytest.raises(InputError, match=f"the tracker is '{name}'; expected one of tensorboard, wandb, mlflow"):
        tracker_of(name, tmp_path, {})


SETTINGS = {"layers": (3, 2), "learning_rate": None, "seed": 1}


def test_wandb_writes_a_run_offline(tmp_path, monkeypatch):
    installed("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with tracker_of("wandb", tmp_path, SETTINGS) as tracker:
            trained = train(tracker)
            tracker.write(30, {"cost": np.nan})
    [file] = tmp_path.glob("wandb/offline-run-*/*.wandb")
    rows = history_of(file)
    assert [row["_step"] for row in rows] == [10, 20, 30]
    assert [row["cost"] for row in rows[:2]] == [trained.costs[9], trained.costs[19]]


def history_of(file):
    """The rows of a run: wandb's file is a header of 7 bytes, and records in blocks as LevelDB's log has them."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, position, rows, parts = file.read_bytes(), 7, [], b""
    while position + 7 <= len(content):
        if position % 2**15 > 2**15 - 7:  # no header fits into the rest of the block
            position += 2**15 - position % 2**15
            continue
        length, kind = int.from_bytes(content[position + 4 : position + 6], "little"), content[position + 6]
        parts += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record, parts = Record.FromString(parts), b""
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                rows.append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in items})
    return rows


def test_mlflow_writes_a_run_to_files(tmp_path, monkeypatch):
    mlflow = installed("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with tracker_of("mlflow", tmp_path / "cats", SETTINGS) as tracker:
                trained = train(tracker, log(mlflow.log_metrics, lambda progress: {"own": 2.0}))
            with pytest.raises(KeyboardInterrupt), tracker_of("mlflow", tmp_path / "dogs", SETTINGS):
                raise KeyboardInterrupt
            client = mlflow.MlflowClient()
            runs = {run.info.run_name: run for run in client.search_runs(["0"])}
            found = client.get_metric_history(runs["cats"].info.run_id, "cost")
    finally:
        mlflow.set_tracking_uri(before)
    assert {run.info.status for run in runs.values()} == {"FINISHED", "FAILED"}
    assert runs["cats"].data.params == {"layers": "(3, 2)", "learning_rate": "None", "seed": "1"}
    assert runs["cats"].data.metrics["own"] == 2.0
    costs = {(metric.step, metric.value) for metric in found}
    assert {(10, float(trained.costs[9])), (20, float(trained.costs[19]))} <= costs


def test_a_tracker_that_cannot_start_is_one_line(tmp_path, monkeypatch):
    mlflow = installed("mlflow")

    def fail(**_):
        raise OSError("no\nserver")

    monkeypatch.setattr(mlflow, "start_run", fail)
    with pytest.raises(InputError, match="^mlflow cannot start: no server; MLFLOW_TRACKING_URI says where"):
        tracker_of("mlflow", tmp_path, {})
