"""A sweep with checkpoints: where the newest stands, and when the next is written."""

import time
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..hoisting import digest_of
from ..training import Checkpoints, Saved, warn
from ..types import Inputs
from .grid import Settings, without_addresses
from .members import Member
from .running import SweepProgress
from .swept import Swept


COSTS = "costs"


class Saving:
    """Reads the checkpoints of a sweep, and, as a hook, writes them: of all runs, in all inputs."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        runs: Sequence[Settings],
        members: Sequence[Member],
        X: Inputs,
        chunk: int,
        num_iterations: int,
    ):
        if not isinstance(checkpoints, Checkpoints):
            raise InputError(f'checkpoints is {checkpoints!r:.60}; expected jaxnet.Checkpoints("sweep") or None')
        checkpoints.prepare()
        self._checkpoints, self._runs, self._members = checkpoints, runs, members
        self._chunk, self._last = chunk, num_iterations
        settings = without_addresses(repr(list(runs)))
        labels = {id(member.Y_rows): member.Y_rows for member in members}  # and the weights of the examples
        data = digest_of([X, *labels.values()])
        self._identity = {"data": data, "settings": settings, "runs": [member.identity for member in members]}
        self._saved_at, self._written = time.monotonic(), -1

    def latest(self) -> Swept | None:
        """Where the newest checkpoint stands. Raises `InputError` for those of another sweep, or of a longer one."""
        first = {f"run {i:06d}": member.basis.expand(member.state) for i, member in enumerate(self._members)}

        def like(history: dict[str, Any]) -> dict[str, Any] | None:
            self._check(history)
            steps = history["steps"]
            if steps < self._last and steps % self._chunk:
                return None  # the end of a shorter sweep, where this one has no chunk's end
            return {**first, COSTS: jnp.zeros((len(first), steps), float)}

        saved = self._checkpoints.latest(like, warn)
        if saved is None:
            return None
        return Swept(
            tuple(self._runs),
            tuple(self._identity["runs"]),
            tuple(member.network for member in self._members),
            np.asarray(saved.trees[COSTS], float),
            tuple(saved.history["stopped_at"]),
            [saved.trees[name] for name in first],
        )

    def __call__(self, progress: SweepProgress) -> None:
        """Saves where it is time, before the last chunk if it is a short one, and at the end."""
        is_last = progress.iteration + self._chunk > self._last
        if is_last or time.monotonic() - self._saved_at >= self._checkpoints.seconds:
            self.save(progress.swept)

    def save(self, swept: Swept) -> None:
        """Writes a checkpoint, unless there is one of this step."""
        steps = swept.costs.shape[1]
        if steps in (0, self._written):
            return
        self._written, self._saved_at = steps, time.monotonic()
        history = {**self._identity, "steps": steps, "stopped_at": list(swept.stopped_at)}
        trees = {f"run {i:06d}": state for i, state in enumerate(swept.states)}
        self._checkpoints.save(Saved(steps, {**trees, COSTS: swept.costs}, history))

    def _check(self, history: dict[str, Any]) -> None:
        other = [name for name, value in self._identity.items() if history.get(name) != value]
        if other:
            raise InputError(
                f"{self._checkpoints} are not those of this sweep: other {', '.join(other)}; expected what it was "
                "started with, or another folder"
            )
        if history["steps"] > self._last:
            raise InputError(
                f"num_iterations is {self._last}, but {self._checkpoints} have made {history['steps']} steps; expected "
                "how many there are to be at the end"
            )
