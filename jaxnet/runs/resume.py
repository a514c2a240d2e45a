"""A run that was stopped goes on: its checkpoints, and what they have to be of."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from ..training import STATE, Checkpoints, Saved, in_basis, portable
from ..types import Parameters
from ..update import TrainState
from .chunks import ends_row
from .history import History, Row
from .run import Run


BEST = "best parameters"


def first_state(run: Run) -> TrainState:
    """The state before the first step, in the inputs that the steps are made in."""
    state = run.start.state
    return state._replace(opt_state=run.config.optimizer.init(state.parameters))


def save(checkpoints: Checkpoints, run: Run, history: History) -> None:
    """A checkpoint of where `history` stands."""
    rows = [row._asdict() for row in history.rows]
    saved = {"run": identity(run), "costs": [*history.costs], "rows": rows, "alignment": [*history.alignment]}
    trees = portable(run.basis, _trees(history.state, history.best_parameters))
    checkpoints.save(Saved(history.steps, trees, saved | {"basis": run.basis.digest}))


def restore(checkpoints: Checkpoints, run: Run, skipped: Callable[[str], None]) -> tuple[Run, History]:
    """The run, and its history at the newest checkpoint that can be used; an empty one where there is none.

    Those that are damaged are named in calls of `skipped`. A run that was not in reduced inputs stays so. One that goes
    on to more steps than it had goes on from where the longer one would have been: its last chunk may have been
    shorter, and the row at its end one that the longer run does not have.

    Raises `InputError` for checkpoints of another run.
    """

    def as_saved(basis: str) -> Run:
        return run if basis else run.in_all_inputs()

    def like(history: dict[str, Any]) -> dict[str, Any] | None:
        if history.get("run") != identity(run):
            raise InputError(
                f"{checkpoints} are of a run with other data or settings, or of another version of jaxnet; remove "
                "them, or train anew"
            )
        if not _is_on_the_way(run, history):
            return None
        saved = as_saved(history["basis"])
        state = first_state(saved)
        return portable(saved.basis, _trees(state, None if run.settings.early_stopping is None else state.parameters))

    saved = checkpoints.latest(like, skipped)
    if saved is None:
        return run, History()
    run = as_saved(saved.history["basis"])
    rows = [
        Row(**row | {name: tuple(row[name]) for name in ("gradient_norms", "dead_shares")})
        for row in saved.history["rows"]
    ]
    here = in_basis(run.basis, saved, saved.history["basis"])
    return run, History(saved.history["costs"], rows, saved.history["alignment"], here[STATE], here.get(BEST))


def _is_on_the_way(run: Run, history: dict[str, Any]) -> bool:
    """Whether the run passes through this state, with these rows."""
    steps, rows = len(history["costs"]), history["rows"]
    return steps == run.num_iterations or (steps % run.chunk == 0 and (not rows or ends_row(rows[-1]["iteration"])))


def identity(run: Run) -> str:
    """A hash of all that its steps depend on, but for how many there are and for where the data lies."""
    settings = dataclasses.replace(run.settings, data=None, num_iterations=None, epochs=None)
    return hashlib.sha256(repr((run.dataset.fingerprint, settings, run.batch_size)).encode()).hexdigest()


def _trees(state: TrainState | None, best: Parameters | None) -> dict[str, Any]:
    """What a checkpoint keeps: the state and, of a run that may end early, the best parameters so far."""
    return {STATE: state} if best is None else {STATE: state, BEST: best}
