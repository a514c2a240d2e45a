"""The runs of a sweep on their way, chunk by chunk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ..update import TrainState
from .grid import Settings
from .members import Member
from .parts import parts_of
from .swept import Examples, Lazily, Swept
from .together import Alone, Stopped, Together


@dataclass(frozen=True, eq=False)
class SweepProgress:
    """Where a sweep stands after a chunk of steps: what `on_chunk` is given."""

    iteration: int  # steps made
    costs: np.ndarray  # (K, steps of the chunk), each before its update
    _swept: Callable[[], Swept]

    @cached_property
    def swept(self) -> Swept:
        """What the sweep would return if it ended here."""
        return self._swept()


class Running:
    """All runs, in parts of which each is made by one program."""

    def __init__(
        self,
        runs: Sequence[Settings],
        members: Sequence[Member],
        examples: dict[str, Examples],
        start: Swept | None,
        chunk: int,
        memory_limit: float | None,
    ):
        self._runs, self._members, self._examples = runs, members, examples
        self._costs = [] if start is None else [start.costs]
        self._parts: list[tuple[list[int], Alone | Together]] = []
        stopped = {} if start is None else _stopped(start)
        for indices, plan in parts_of(members, chunk, memory_limit):
            its_stopped = {k: stopped[i] for k, i in enumerate(indices) if i in stopped}
            together = [members[i] for i in indices]
            part = Alone(together[0], its_stopped) if len(together) == 1 else Together(together, plan, its_stopped)
            self._parts.append((indices, part))

    def advance(self, begin: int, length: int) -> SweepProgress:
        """Makes a chunk of steps of all runs."""
        costs = np.full((len(self._runs), length), np.nan)
        for _, part in self._parts:  # all begin before the first is waited for
            part.launch(begin, length)
        for indices, part in self._parts:
            costs[indices] = part.finish()
        self._costs.append(costs)
        # As they are now, whenever it is asked for.
        return SweepProgress(begin + length, costs, partial(self._swept, *self._now(), True))

    def swept(self, num_iterations: int) -> Swept:
        """Where the runs stand, of which so many steps were asked for."""
        costs, stopped_at, states = self._now()
        made = sum(part.shape[1] for part in costs)
        return self._swept(costs, stopped_at, states, made < num_iterations)

    def _now(self) -> tuple[list[np.ndarray], dict[int, int], dict[int, Callable[[], TrainState]]]:
        stopped_at, states = {}, {}
        for indices, part in self._parts:
            state = part.snapshot()
            states |= {i: partial(state, k) for k, i in enumerate(indices)}
            stopped_at |= {indices[k]: stopped.at for k, stopped in part.stopped.items()}
        return list(self._costs), stopped_at, states

    def _swept(
        self,
        costs: list[np.ndarray],
        stopped_at: dict[int, int],
        states: dict[int, Callable[[], TrainState]],
        ended_early: bool,
    ) -> Swept:
        K = len(self._runs)
        return Swept(
            tuple(self._runs),
            tuple(member.identity for member in self._members),
            tuple(member.network for member in self._members),
            np.concatenate(costs, axis=1) if costs else np.empty((K, 0)),
            tuple(stopped_at.get(i) for i in range(K)),
            Lazily(K, lambda i: states[i]()),
            ended_early,
            self._examples,
        )


def _stopped(start: Swept) -> dict[int, Stopped]:
    return {i: Stopped(at, start.states[i]) for i, at in enumerate(start.stopped_at) if at is not None}
