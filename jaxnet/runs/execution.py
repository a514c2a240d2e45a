"""A run from where its history stands: the loop with a row of the history and checkpoints after its chunks."""

import time
from collections.abc import Sequence

import numpy as np

from ..data import targets
from ..training import Feed, Hook, Progress, resident, run_steps, with_weights
from ..types import Parameters
from .checkpoint import Checkpoints
from .evaluation import measure
from .history import History, Row
from .resume import first_state, save
from .run import Run
from .settings import Settings
from .streaming import Columns, feed_of


def execute(
    run: Run,
    history: History,
    on_chunk: Sequence[Hook] = (),
    checkpoints: Checkpoints | None = None,
    seconds: float = 10.0,
) -> Parameters:
    """Trains, from where `history` stands, and returns the parameters to keep: the best, or the last.

    After every chunk of steps `history` grows, also that of a run that fails, each of `on_chunk` is called, and, where
    `seconds` have passed since the last one, a checkpoint is made. So it is after the last whole chunk, from where the
    run can be continued.
    """
    state = first_state(run) if history.state is None else history.state
    if run.settings.early_stopping is not None and history.best_parameters is None:
        history.best_parameters = state.parameters
    hooks = [_recording(run, history), *on_chunk]
    if checkpoints is not None:
        hooks.append(_saving(checkpoints, run, history, seconds))
    hooks.append(lambda progress: is_over(history, run.settings))
    if not (history.rows and is_over(history, run.settings)):
        run_steps(
            _feed(run),
            state,
            run.config,
            run.num_iterations,
            key=run.key,
            chunk=run.chunk,
            basis=run.basis,
            on_chunk=hooks,
        )
    return kept(run, history)


def _recording(run: Run, history: History) -> Hook:
    """After every chunk, a row of the history."""
    measured = measure(run.train, run.watched, run.network, run.columns, run.dataset.classes, run.dtype, run.by_class)

    def record(progress: Progress) -> None:
        costs, aligned, state = progress.costs.tolist(), progress.alignment.rows(), progress.state_in_basis
        row = Row(progress.iteration, costs[-1], *measured(state.parameters))
        is_best = History(rows=[*history.rows, row]).best_row() == len(history.rows)
        best = state.parameters if is_best and history.best_parameters is not None else history.best_parameters
        # Ctrl-C is looked for in calls and loops, so it cannot part these.
        history.costs += costs
        history.rows += [row]
        history.alignment += aligned
        history.state, history.best_parameters = state, best

    return record


def _saving(checkpoints: Checkpoints, run: Run, history: History, seconds: float) -> Hook:
    """A checkpoint when `seconds` have passed since the last one, and after the last whole chunk."""
    saved_at = time.monotonic()

    def save_in_time(progress: Progress) -> None:
        nonlocal saved_at
        is_last = progress.iteration + run.chunk > run.num_iterations
        if is_last or time.monotonic() - saved_at >= seconds:
            save(checkpoints, run, history)
            saved_at = time.monotonic()

    return save_in_time


def _feed(run: Run) -> Feed:
    Y = targets(run.train.labels, run.dataset.classes, run.dtype)
    Y = with_weights(Y, None if run.by_class is None else run.by_class[run.train.labels])
    if run.start.X is not None:
        return resident(run.start.X, Y, run.batch_size, run.key)
    return feed_of(run.seen.fed, Y, _columns_of_views(run), run.batch_size, run.key, run.dtype)


def _columns_of_views(run: Run) -> Columns:
    """Rows of all views of an example as columns of all views."""
    if run.seen.views == 1:
        return run.columns

    def columns(rows: np.ndarray, dtype: str) -> np.ndarray:
        return np.concatenate([run.columns(view, dtype) for view in np.split(rows, run.seen.views, axis=1)])

    return columns


def kept(run: Run, history: History) -> Parameters:
    """The parameters that a run is for, in all inputs: the best of one that may end early, else the last."""
    state = first_state(run) if history.state is None else history.state
    return run.basis.expand(state.parameters if history.best_parameters is None else history.best_parameters)


def is_over(history: History, settings: Settings) -> bool:
    """Whether the watched cost has not fallen for as many rows as early stopping waits."""
    patience = settings.early_stopping
    return patience is not None and len(history.rows) - 1 - history.best_row() >= patience
