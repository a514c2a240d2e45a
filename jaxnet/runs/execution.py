"""A run from where its history stands: the loop with rows of the history and checkpoints after its chunks."""

import time
from collections.abc import Sequence

import numpy as np

from ..data import targets
from ..training import Checkpoints, Feed, Hook, Progress, has_stalled, resident, run_steps, with_weights
from ..types import Parameters
from .chunks import ends_row
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
) -> Parameters:
    """Trains, from where `history` stands, and returns the parameters to keep: the best, or the last.

    After every chunk of steps `history` grows, also that of a run that fails, and each of `on_chunk` is called. A
    checkpoint is made where `checkpoints.seconds` have passed since the last one, after the last step, and where a
    longer run goes on from.
    """
    state = first_state(run) if history.state is None else history.state
    if run.settings.early_stopping is not None and history.best_parameters is None:
        history.best_parameters = state.parameters
    hooks = [_recording(run, history), *on_chunk]
    if checkpoints is not None:
        hooks.append(_saving(checkpoints, run, history))
    hooks.append(lambda progress: is_over(history, run.settings))
    if not is_over(history, run.settings):
        run_steps(
            _feed(run),
            state,
            run.config,
            run.num_iterations,
            key=run.key,
            chunk=run.chunk,
            basis=run.basis,
            on_chunk=hooks,
            placement=run.placement,
        )
    return kept(run, history)


def _recording(run: Run, history: History) -> Hook:
    """After every chunk, its costs and state; after every ROW steps and at the end, a row."""
    measured = measure(run.train, run.watched, run.network, run.columns, run.dataset.classes, run.dtype, run.by_class)

    def record(progress: Progress) -> None:
        costs, aligned, state = progress.costs.tolist(), progress.alignment.rows(), progress.state_in_basis
        if run.target_scale is not None:  # no class is decided
            aligned = [{name: value for name, value in row.items() if name != "accuracy"} for row in aligned]
        rows, best = [], history.best_parameters
        if ends_row(progress.iteration) or progress.iteration == run.num_iterations:
            rows = [Row(progress.iteration, costs[-1], *measured(state.parameters))]
            is_best = History(rows=history.rows + rows).best_row() == len(history.rows)
            best = state.parameters if is_best and best is not None else best
        # Ctrl-C is looked for in calls and loops, so it cannot part these.
        history.costs += costs
        history.rows += rows
        history.alignment += aligned
        history.state, history.best_parameters = state, best

    return record


def _saving(checkpoints: Checkpoints, run: Run, history: History) -> Hook:
    """A checkpoint when `checkpoints.seconds` have passed since the last one, and after the last step.

    And before the last chunk, where a longer run would not pass through this one's end: see `restore`.
    """
    saved_at = time.monotonic()

    def save_in_time(progress: Progress) -> None:
        nonlocal saved_at
        left = run.num_iterations - progress.iteration
        is_last = left == 0 or (left <= run.chunk and not ends_row(run.num_iterations))
        if is_last or is_over(history, run.settings) or time.monotonic() - saved_at >= checkpoints.seconds:
            save(checkpoints, run, history)
            saved_at = time.monotonic()

    return save_in_time


def _feed(run: Run) -> Feed:
    Y = targets(run.train.labels, run.dataset.classes, run.dtype)
    Y = with_weights(Y, None if run.by_class is None else run.by_class[run.train.labels])
    if run.start.X is not None:
        return resident(run.start.X, Y, run.batch_size, run.key, run.placement)
    return feed_of(run.seen.fed, Y, _columns_of_views(run), run.batch_size, run.key, run.dtype, run.placement)


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
    return has_stalled([row.watched_cost for row in history.rows], settings.early_stopping)
