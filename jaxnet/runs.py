"""A run: a dataset, a network and the steps to make, and the folder that keeps what came of it."""

import csv
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .data import PIXEL_SCALE, Dataset, Examples, targets
from .errors import InputError
from .model import Model, save_model
from .network import L_model_forward, Network
from .parameters import FrozenDict, initialize_parameters_deep
from .training import Progress, train
from .types import Parameters
from .validation import check_memory, check_schedule


FULL_BATCH = 2048  # up to so many examples, every step sees all of them; beyond, minibatches of MINIBATCH
MINIBATCH = 128
RUNS = Path("runs")
WRITTEN = ("model.safetensors", "history.csv", "history.png", "predictions.png")


class Settings(NamedTuple):
    """What a user chooses of a run."""

    hidden_sizes: tuple[int, ...]
    activation: str
    scaling: str
    learning_rate: float
    iterations: int
    batch_size: int | None  # None: all examples where they are few
    seed: int


class Row(NamedTuple):
    """A line of history.csv: after `iteration` steps, the cost before the last of them."""

    iteration: int
    cost: float
    train_accuracy: float
    test_accuracy: float


@dataclass
class History:
    """What was seen on the way: the cost of every step, a row after every chunk of them, and where the last one led."""

    costs: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    parameters: Parameters | None = None


class Run(NamedTuple):
    """A network about to be trained."""

    dataset: Dataset
    network: Network
    parameters: FrozenDict
    batch_size: int | None
    key: jax.Array


def prepare(dataset: Dataset, settings: Settings) -> Run:
    """The network for a dataset, drawn from the seed: one sigmoid for two classes, softmax for more."""
    outputs, loss = (1, "binary_cross_entropy")
    if len(dataset.classes) > 2:
        outputs, loss = len(dataset.classes), "softmax_cross_entropy"
    weights_key, batches_key = jax.random.split(jax.random.key(settings.seed))
    n_x, m = dataset.train.X.shape
    layer_dims = (n_x, *settings.hidden_sizes, outputs)
    check_memory(layer_dims, m)
    # One compilation instead of one for every operation.
    draw = jax.jit(initialize_parameters_deep, static_argnames=("layer_dims", "scaling"))
    parameters = draw(layer_dims=layer_dims, key=weights_key, scaling=settings.scaling)
    batch_size = settings.batch_size or (None if m <= FULL_BATCH else MINIBATCH)
    check_schedule(m, settings.iterations, batch_size, batches_key)
    return Run(dataset, Network(settings.activation, loss), parameters, batch_size, batches_key)


def execute(run: Run, settings: Settings, history: History, on_row: Callable[[Row], None]) -> Parameters:
    """Trains. After every chunk of steps `history` grows, also that of a run that fails, and `on_row` is called."""

    def record(progress: Progress) -> None:
        costs = progress.costs.tolist()
        accuracies = [accuracy(part, progress.parameters, run) for part in (run.dataset.train, run.dataset.test)]
        row = Row(progress.iteration, costs[-1], *accuracies)
        # Ctrl-C is looked for in calls and loops, so it cannot part these three.
        history.costs += costs
        history.rows += [row]
        history.parameters = progress.parameters
        on_row(row)

    return train(
        run.dataset.train.X,
        targets(run.dataset.train.labels, run.dataset.classes),
        run.parameters,
        num_iterations=settings.iterations,
        optimizer=optax.sgd(settings.learning_rate),
        network=run.network,
        batch_size=run.batch_size,
        key=run.key,
        on_chunk=record,
    ).parameters


def accuracy(examples: Examples, parameters: Parameters, run: Run) -> float:
    """The share of examples whose predicted label is right."""
    predicted = np.argmax(class_probabilities(examples.X, parameters, run.network), axis=0)
    return float(np.mean(predicted == examples.labels))


def class_probabilities(X: np.ndarray, parameters: Parameters, network: Network) -> np.ndarray:
    """The probability of every class, (classes, m); of both classes where the network has one sigmoid."""
    AL = np.asarray(_forward(X, parameters, network))
    return np.concatenate([1 - AL, AL]) if len(AL) == 1 else AL


@partial(jax.jit, static_argnames="network")
def _forward(X, parameters, network):
    return L_model_forward(jnp.asarray(X), parameters, network)[0]


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
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError(f"{out} exists and is not empty; choose another --out, or pass --overwrite to replace it")
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


def write(folder: Path, run: Run, parameters: Parameters, history: History) -> list[str]:
    """model.safetensors, history.csv and, where matplotlib is there, pictures: the names of what was written.

    They replace those of an older run, of which nothing stays.
    """
    dataset = run.dataset
    save_model(
        folder / "model.safetensors", Model(parameters, run.network, dataset.input_shape, dataset.classes, PIXEL_SCALE)
    )
    for name in WRITTEN[1:]:
        (folder / name).unlink(missing_ok=True)
    with open(folder / "history.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)
        writer.writerows(history.rows)
    return ["model.safetensors", "history.csv", *(_draw(folder, run, parameters, history) if history.rows else [])]


def _draw(folder: Path, run: Run, parameters: Parameters, history: History) -> list[str]:
    try:
        from .plots import plot_history, plot_predictions
    except ImportError:  # matplotlib belongs to the extra `demo`
        return []
    iterations, _, train_accuracy, test_accuracy = zip(*history.rows, strict=True)
    plot_history(folder / "history.png", np.asarray(history.costs), iterations, train_accuracy, test_accuracy)
    X, labels = run.dataset.test
    if len(run.dataset.input_shape) == 1:
        return ["history.png"]
    images = X.T.reshape(-1, *run.dataset.input_shape)
    probabilities = class_probabilities(X, parameters, run.network)
    predicted = np.argmax(probabilities, axis=0)
    plot_predictions(
        folder / "predictions.png", images, labels, predicted, probabilities.max(axis=0), run.dataset.classes
    )
    return ["history.png", "predictions.png"]
