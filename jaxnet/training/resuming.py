"""A run of `train` that is started again: from its newest checkpoint, to the same bits as if it had not been ended."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from ..errors import InputError
from ..network import Network
from ..signals import Alignment
from ..types import AnyArray
from ..update import TrainState
from .checkpoints import STATE, Checkpoints, Saved, classes, in_basis, portable, warn
from .identity import differences, versions
from .input_basis import InputBasis
from .loop import Hook, Progress, StepConfig, Trained, before_steps, ends
from .trace import Recorded, joined


@runtime_checkable
class StatefulHook(Protocol):
    """A hook that a run which is started again has to find as it was, such as `hooks.Validation`."""

    def __call__(self, progress: Progress, /) -> bool | None: ...

    def begin(self, state: TrainState, network: Network) -> None:
        """Called before any work. Raises `InputError` where the hook does not fit the run."""

    def saved(self) -> tuple[dict[str, Any], TrainState | None]:
        """What JSON can hold; and a state, in the inputs that the steps are made in."""
        ...

    def resume(self, saved: dict[str, Any], state: TrainState | None, basis: InputBasis) -> None:
        """Puts back what `saved` returned. Raises `InputError` where it is of another hook."""


def begin_hooks(hooks: Sequence[Hook], state: TrainState, network: Network) -> None:
    """Before any work, tells the hooks that have a state of what run they are."""
    for hook in hooks:
        if isinstance(hook, StatefulHook):
            hook.begin(state, network)


class Start(NamedTuple):
    """Where the steps of this process begin."""

    X: AnyArray
    state: TrainState
    basis: InputBasis


class Resumable:
    """A run with checkpoints: what was made before this process, and the hooks with one more, which saves."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        identity: dict[str, str],
        config: StepConfig,
        hooks: Sequence[Hook],
        first: int,
        chunk: int,
        num_iterations: int,
    ):
        checkpoints.prepare()
        self._checkpoints, self._identity, self._config, self._hooks = checkpoints, identity, config, hooks
        self._first, self._chunk, self._asked, self._last = first, chunk, num_iterations, num_iterations
        self._stateful = [hook for hook in hooks if isinstance(hook, StatefulHook)]
        used = [type(hook).__name__ for hook in self._stateful if hook.saved()[1] is not None]
        if used:  # whose state may be in other inputs than this run's
            raise InputError(
                f"the {used[0]} in on_chunk has seen another run; with checkpoints, make a new one for each run"
            )
        self._costs: list[np.ndarray] = []  # of the chunks
        self._records: list[Recorded] = []
        self._saved_at = time.monotonic()

    def resume(self, all_inputs: Start, reduced: Callable[[float], Start]) -> Start:
        """Where the newest checkpoint stands; `reduced(steps)`, if so many steps pay for that, where there is none.

        A run goes on in the inputs that it was in, whether or not that pays for the steps asked for now.
        """

        def as_saved(history: dict[str, Any]) -> Start:
            return reduced(math.inf) if history["basis"] else all_inputs

        def like(history: dict[str, Any]) -> dict[str, Any] | None:
            self._check(history)
            steps = history["steps"]
            if steps > self._last:
                raise InputError(
                    f"num_iterations is {self._last}, but {self._checkpoints} have made {steps} steps; expected how "
                    "many there are to be at the end"
                )
            if steps < self._last and (steps - self._first) % self._chunk:
                return None  # the end of a shorter run, where this one has no chunk's end
            start = as_saved(history)
            state = before_steps(start.state, self._config.optimizer)
            best = {f"hook {i}": state for i, saved in enumerate(history["hooks"]) if saved["has state"]}
            return portable(start.basis, {STATE: state} | best)

        saved = self._checkpoints.latest(like, warn)
        if saved is None:
            return reduced(self._asked - self._first)
        start = as_saved(saved.history)
        trees = in_basis(start.basis, saved, saved.history["basis"])
        self._costs, self._records = [_read(saved.history["costs"])], [_recorded(saved.history["alignment"])]
        for i, (hook, words) in enumerate(zip(self._stateful, saved.history["hooks"], strict=True)):
            hook.resume(words["saved"], trees.get(f"hook {i}"), start.basis)
        start = start._replace(state=trees[STATE])
        if saved.history["ended"] and any([ends(hook, self._progress(start)) for hook in self._hooks]):
            self._last = int(start.state.step)  # they are asked again, as they may have other limits now
        return start

    @property
    def num_iterations(self) -> int:
        """How many steps there are at the end: fewer than asked for where a hook has ended the run before."""
        return self._last

    def after_chunk(self, progress: Progress) -> bool:
        """Calls all hooks, and saves where it is time, before the last chunk if it is a short one, and at the end."""
        self._costs.append(progress.costs)
        self._records.append(progress.alignment)
        ended = any([ends(hook, progress) for hook in self._hooks])  # a list: one that ends it silences no other
        is_last = ended or progress.iteration + self._chunk > self._last
        if is_last or time.monotonic() - self._saved_at >= self._checkpoints.seconds:
            self._save(progress, ended)
            self._saved_at = time.monotonic()
        return ended

    def whole(self, trained: Trained) -> Trained:
        """The end of the run with all its steps, those before this process among them."""
        costs = np.concatenate(self._costs) if self._costs else trained.costs
        return Trained(trained.state, costs, joined(self._records), int(trained.state.step) < self._asked)

    def _save(self, progress: Progress, ended: bool) -> None:
        words, trees = [], {STATE: progress.state_in_basis}
        for i, hook in enumerate(self._stateful):
            saved, state = hook.saved()
            words.append({"kind": type(hook).__name__, "saved": saved, "has state": state is not None})
            trees |= {} if state is None else {f"hook {i}": state}
        self._costs, self._records = [np.concatenate(self._costs)], [joined(self._records)]
        history = {
            "run": self._identity,
            "versions": versions(),
            "opt_state": classes(progress.state_in_basis.opt_state),
            "basis": progress.basis.digest,
            "steps": progress.iteration,
            "ended": ended,
            "costs": _written(self._costs[0]),
            "alignment": [_written(np.asarray(values)) for values in jax.tree.leaves(self._records[0])],
            "hooks": words,
        }
        self._checkpoints.save(Saved(progress.iteration, portable(progress.basis, trees), history))

    def _check(self, history: dict[str, Any]) -> None:
        """Raises `InputError` for a checkpoint of another run."""
        if not isinstance(history.get("run"), dict):
            raise InputError(f"{self._checkpoints} are not those of a run of `train`; expected another folder")
        other = differences(history["run"], self._identity, history["versions"] == versions())
        if other:
            raise InputError(
                f"{self._checkpoints} are of a run with another {'; another '.join(other)}. Pass what that run was "
                "started with, or another folder; `Checkpoints.restore` returns its state, from which a run in another "
                "folder can start"
            )
        kinds = [saved["kind"] for saved in history["hooks"]]
        if kinds != [type(hook).__name__ for hook in self._stateful]:
            raise InputError(
                f"{self._checkpoints} are of a run whose on_chunk has the state of: {', '.join(kinds) or 'nothing'}; "
                "expected the same hooks in this order, or another folder"
            )

    def _progress(self, start: Start) -> Progress:
        """What the hooks were given after the chunk that was the last."""
        steps, costs, record = int(start.state.step), self._costs[0], self._records[0]
        length = (steps - self._first - 1) % self._chunk + 1
        seen = record.iteration >= steps - length
        record = jax.tree.map(lambda values: values[seen], record)
        return Progress(steps, costs[-length:], record, start.basis, start.state)


def _written(array: np.ndarray) -> dict[str, Any]:
    """An array as what JSON can hold, without loss."""
    return {"dtype": array.dtype.name, "shape": array.shape, "values": array.ravel().tolist()}


def _read(written: dict[str, Any]) -> np.ndarray:
    return np.array(written["values"], written["dtype"]).reshape(written["shape"])


def _recorded(written: list[dict[str, Any]]) -> Recorded:
    iteration, *values = map(_read, written)
    return Recorded(iteration, Alignment._make(values) if values else None)
