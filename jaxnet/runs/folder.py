"""The folder of a run: what is in it, and how it gets there."""

import csv
import dataclasses
import hashlib
import importlib.util
import io
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Images
from ..errors import InputError
from ..model import Model, load_model, replace_file, save_model
from ..parameters import layer_dims
from ..training import DAMAGED, SUFFIX
from ..types import Parameters
from .history import History
from .run import Run
from .settings import FILE


RUNS = Path("runs")
CHECKPOINTS = "checkpoints"
LOCK = ".lock"
INITIAL = "initial.safetensors"  # the model that a run starts from, if it does
WRITTEN = ("model.safetensors", "history.csv", "alignment.csv", "report.html", "predictions.png", "alignment.png")


def open_folder(out: Path | None, overwrite: bool) -> Path:
    """A folder to write to, made now, so that a run cannot fail at its end for want of one. What it holds stays."""
    try:
        folder = _folder_of_now() if out is None else _chosen_folder(out, overwrite)
    except OSError as error:
        raise InputError(f"{out or RUNS} cannot be made: {error}; choose another --out") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written to; choose another --out")
    return folder


def _chosen_folder(out: Path, overwrite: bool) -> Path:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; expected a folder to write the run to: choose another --out")
    if out.is_dir() and any(path.name != LOCK for path in out.iterdir()) and not overwrite:
        resume = f"; `jaxnet train --resume --out {out}` goes on with its run" if (out / FILE).is_file() else ""
        raise InputError(
            f"{out} exists and is not empty; choose another --out, or pass --overwrite to replace it{resume}"
        )
    in_the_way = [name for name in (*WRITTEN, FILE, INITIAL) if (out / name).is_dir()]
    if in_the_way:
        raise InputError(f"{out / in_the_way[0]} is a folder, where a file is to be written; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _folder_of_now() -> Path:
    """runs/<time>, and runs/<time>-2, ... for other runs that start in the same second."""
    RUNS.mkdir(parents=True, exist_ok=True)
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder, numbers = RUNS / now, itertools.count(2)
    while True:
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            folder = RUNS / f"{now}-{next(numbers)}"


def latest_folder() -> Path:
    """The newest folder in runs/."""
    folders = [path for path in RUNS.glob("*") if (path / FILE).is_file()]
    if not folders:
        raise InputError(f"there is no run in {RUNS}; expected --out DIR, the folder of the run to resume")
    return max(folders, key=lambda path: (path / FILE).stat().st_mtime)


def write(folder: Path, run: Run, parameters: Parameters, history: History) -> list[str]:
    """model.safetensors, history.csv, alignment.csv: the names of what was written. They replace an older run's."""
    save_model(folder / "model.safetensors", run.model(parameters))
    for name in WRITTEN[1:]:
        (folder / name).unlink(missing_ok=True)
    columns = history.columns(run.score)
    header = [name.replace("watched", run.watched_name) for name in columns]
    _write_table(folder / "history.csv", header, zip(*(column.tolist() for column in columns.values()), strict=True))
    if not history.alignment:
        return ["model.safetensors", "history.csv"]
    rows = [list(row.values()) for row in history.alignment]
    _write_table(folder / "alignment.csv", list(history.alignment[0]), rows)
    return ["model.safetensors", "history.csv", "alignment.csv"]


def read_history(folder: Path) -> dict[str, np.ndarray] | None:
    """The columns of history.csv. None where there is none, or not as `write` leaves it."""
    try:
        text = (folder / "history.csv").read_text(encoding="utf-8")
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        columns = {name: np.array(column, float) for name, column in zip(header, zip(*rows, strict=True), strict=True)}
    except (OSError, ValueError, csv.Error):
        return None
    is_whole = all(name in columns and np.isfinite(columns[name]).all() for name in ("iteration", "cost"))
    shares = [column for name, column in columns.items() if name.startswith("dead_share_")]
    return columns if is_whole and all(((0 <= share) & (share <= 1)).all() for share in shares) else None


def _write_table(path: Path, header: list[str], rows: Iterable[Sequence[float]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    replace_file(path, text.getvalue().encode())


def test_probabilities(run: Run, parameters: Parameters) -> np.ndarray:
    """(classes, m) for the test examples; of a regression the outputs, (n_L, m), in the units of the labels."""
    model = run.model(parameters)
    model = model._replace(preprocessing=model.preprocessing.without_features)
    return model.probabilities(run.seen.test.rows)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else trains in the folder meanwhile. Raises `InputError` where somebody does."""
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(folder / LOCK, blocking=False).acquire()
    except Timeout as error:
        raise InputError(f"another process trains in {folder}; wait for it, or choose another --out") from error
    with lock:
        _remove_halves(folder)
        yield


def _remove_halves(folder: Path) -> None:
    """Removes what was being written when a process was killed: see `durable.replacing`."""
    half = re.compile(r"\..+\.\d+")
    names = {f".{name}" for name in (*WRITTEN, FILE, INITIAL)}
    for path in [*folder.glob(".*"), *(folder / CHECKPOINTS).glob(f".*{SUFFIX}.*")]:
        if half.fullmatch(path.name) and (path.parent.name == CHECKPOINTS or path.name.rpartition(".")[0] in names):
            path.unlink(missing_ok=True)


def remove_checkpoints(folder: Path) -> None:
    """Removes the checkpoints of an older run, which would be taken for this one's."""
    there = folder / CHECKPOINTS
    if not there.is_dir():
        return
    own = re.compile(rf"\d+({re.escape(SUFFIX)}({re.escape(DAMAGED)})?)?")
    if not (folder / FILE).is_file() or not all(own.fullmatch(path.name) for path in there.iterdir()):
        raise InputError(f"{there} is not of a run of jaxnet, and would be replaced; choose another --out")
    shutil.rmtree(there)


def keep_initial(folder: Path, model: Model | None) -> dict[str, str]:
    """A copy of the model that a run starts from, as that may change; its hash, for the settings."""
    path = folder / INITIAL
    if model is None:
        path.unlink(missing_ok=True)
        return {}
    save_model(path, model)
    return {"initial": _hash(path)}


def read_initial(folder: Path, so_far: dict[str, Any]) -> Model | None:
    """The model that the run started from. Raises `InputError` where its file is missing or was changed."""
    if "initial" not in so_far:
        return None
    path = folder / INITIAL
    if not path.is_file() or _hash(path) != so_far["initial"]:
        raise InputError(f"{path}, which the run started from, is missing or was changed; train anew with --init-from")
    return load_model(path)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def draw(
    folder: Path,
    run: Run,
    parameters: Parameters,
    history: History,
    probabilities: np.ndarray,
    check: str,
    verdicts: Sequence[str] = (),
) -> list[str]:
    """report.html and predictions.png, where matplotlib is there: the names of what was drawn."""
    if importlib.util.find_spec("matplotlib") is None or importlib.util.find_spec("jinja2") is None:
        return []  # they belong to the extra `photos`
    from .plots import plot_alignment, plot_predictions
    from .report import Record, write_report

    dataset, drawn = run.dataset, ["report.html"]
    labels, images = dataset.test.labels, None
    if len(dataset.input_shape) > 1:
        images = Images(dataset.test.rows, dataset.input_shape)
    if images is not None and dataset.classes:
        predicted, certainty = np.argmax(probabilities, axis=0), probabilities.max(axis=0)
        plot_predictions(folder / "predictions.png", images, labels, predicted, certainty, dataset.classes)
        drawn.append("predictions.png")
    record = Record(
        title=folder.resolve().name,
        settings={name: value for name, value in dataclasses.asdict(run.settings).items() if value is not None},
        versions={name: version(name) for name in ("jaxnet", "jax", "jaxlib", "optax", "numpy")},
        costs=np.asarray(history.costs),
        history=history.columns(run.score),
        watched=run.watched_name,
        labels=labels,
        probabilities=probabilities,
        images=images,
        check=check,
        verdicts=tuple(verdicts),
        **_about(run, parameters, history),
    )
    write_report(folder / "report.html", record)
    if history.alignment:
        plot_alignment(folder / "alignment.png", history.alignment, run.settings.feedback.replace("_", " "))
        drawn.append("alignment.png")
    return drawn


def _about(run: Run, parameters: Parameters, history: History) -> dict[str, Any]:
    """What the network was trained on, and what it is."""
    dataset, W1 = run.dataset, np.asarray(parameters["W1"])
    return {
        "summary": (
            ("data", dataset.description),
            ("examples", f"{len(run.train.labels)} to train on, {len(dataset.test.labels)} to test on"),
            ("network", "-".join(map(str, layer_dims(parameters)))),
            ("training", f"{len(history.costs)} steps of {run.settings.optimizer}"),
        ),
        "classes": dataset.classes,
        "input_shape": dataset.input_shape if run.preprocessing.features is None else (W1.shape[1],),
        "names": dataset.test.names,
        "W1": W1,
        "outputs": run.outputs,
    }
