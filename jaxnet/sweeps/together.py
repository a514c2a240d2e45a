"""Runs whose steps are made by one program: `run_chunk`, mapped over their states, keys and numbers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..training import NUMBERS, NotFiniteError, Segment, Steps, blame, feed_of_rows, run_chunk
from ..update import TrainState
from .members import Member


class Stopped(NamedTuple):
    """A run that stopped being finite in a step, and its last useful state, in all inputs."""

    at: int
    state: TrainState


class Alone:
    """One run, on the plain path of `train`."""

    def __init__(self, member: Member, stopped: dict[int, Stopped]):
        self._basis, self._chunk = member.basis, (0, 0)
        feed = feed_of_rows(member.rows, member.Y_rows, member.order)
        self._steps = Steps(feed, member.state, member.config, member.key, member.basis)
        self.stopped = stopped

    def launch(self, begin: int, length: int) -> None:
        """Begins a chunk of steps."""
        self._chunk = begin, length

    def finish(self) -> np.ndarray:
        """Its costs, `(1, length)`, NaN from where the run stopped being finite."""
        begin, length = self._chunk
        if self.stopped:
            return np.full((1, length), np.nan)
        try:
            self._steps.advance(begin, length)
        except NotFiniteError as error:
            self.stopped[0] = Stopped(error.iteration, error.state)
            return _until(error.iteration - begin, self._steps.costs, length)[None]
        return self._steps.costs[None]

    def snapshot(self) -> Callable[[int], TrainState]:
        """The state of the run, in all inputs, as it is now."""
        stopped, state = dict(self.stopped), self._steps.state
        return lambda i: stopped[i].state if i in stopped else self._basis.expand(state)


class Together:
    """Several runs of one group, of which those in `stopped` are looked at no more.

    They stay in the program, so that it is the same for the others, to the bit.
    """

    def __init__(self, members: Sequence[Member], plan: "Plan", stopped: dict[int, Stopped]):
        self._members, self._axes, self.stopped = members, plan.axes, stopped
        self._orders = [member.order for member in (members if self._axes.key == 0 else members[:1])]
        arguments = [arguments_of(member, plan) for member in members]
        self._arguments = Arguments(*map(_joined, zip(*arguments, strict=True), self._axes))
        self._chunk = int(members[0].state.step), 0
        self._before: tuple[Arguments, int] | None = None  # the chunk before this one, and its length

    def launch(self, begin: int, length: int) -> None:
        """Begins a chunk of steps, and returns while they are made."""
        batches = [None if order is None else order(begin, length) for order in self._orders]
        given = self._arguments._replace(
            batches=_joined(batches, self._axes.batches), step=jnp.asarray(begin, jnp.int32)
        )
        self._given, self._chunk = given, (begin, length)
        self._made = program(given, self._axes, length)(*given)

    def finish(self) -> np.ndarray:
        """The costs of each run, `(K, length)`, NaN from where it stopped being finite."""
        begin, length = self._chunk
        kept, costs, finite = self._made
        costs, finite = np.array(costs), np.asarray(finite)
        for i in range(len(self._members)):
            if i in self.stopped:
                costs[i] = np.nan
            elif not finite[i]:
                self.stopped[i] = self._stopped(i, length)
                costs[i] = _until(self.stopped[i].at - begin, costs[i], length)
        self._before, self._arguments = (self._given, length), self._given._replace(kept=kept)
        return costs

    def snapshot(self) -> Callable[[int], TrainState]:
        """The state of run i, in all inputs, as it is now."""
        stopped, kept, step = dict(self.stopped), self._arguments.kept, jnp.asarray(sum(self._chunk), jnp.int32)

        def state(i: int) -> TrainState:
            if i in stopped:
                return stopped[i].state
            return self._members[i].basis.expand(_state(_one(kept, i), step))

        return state

    def _stopped(self, i: int, length: int) -> Stopped:
        """Where a run stopped, found as `train` does."""
        member = self._members[i]

        def segment(given: Arguments) -> Segment:
            batches = given.batches if given.batches is None or self._axes.key is None else given.batches[i]
            return Segment(_state(_one(given.kept, i), given.step), member.rows, member.Y_rows, batches)

        before = None if self._before is None else (segment(self._before[0]), self._before[1])
        error = blame(segment(self._given), length, before, member.state, member.key, member.config)
        return Stopped(error.iteration, member.basis.expand(error.state))


def _until(last: int, costs: np.ndarray, length: int) -> np.ndarray:
    """The costs up to that of the step in which a run stopped; NaN after it, and where one is infinite."""
    found = np.full(length, np.nan)
    found[: last + 1] = costs[: last + 1]
    return np.where(np.isfinite(found), found, np.nan)


class Arguments(NamedTuple):
    """Those of the program of a chunk: of one run, of several, or the axes along which these are several."""

    kept: Any  # parameters, optimizer state and feedback weights
    step: Any
    rows: Any
    Y_rows: Any
    batches: Any
    key: Any
    config: Any


def kept_of(state: TrainState) -> tuple[Any, Any, Any]:
    """What a step changes, but for its number, which is that of all runs."""
    return state.parameters, state.opt_state, state.B


def _state(kept: tuple[Any, Any, Any], step: Any) -> TrainState:
    parameters, opt_state, B = kept
    return TrainState(parameters, opt_state, B, step)


def group_of(member: Member) -> Any:
    """Equal for runs whose steps can be made by one program, which differ in numbers alone."""
    shapes = jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), kept_of(member.state))
    shapes = jax.tree.structure(shapes), str(shapes)
    program = jax.tree.structure(replace(member.config, **NUMBERS))
    return program, shapes, member.batch_size, member.rows.shape, id(member.Y_rows)


class Plan(NamedTuple):
    """What the programs of a group are made for, however its runs are divided."""

    axes: Arguments  # 0 where each run has its own; None where they share
    numbers: tuple[str, ...]  # of `NUMBERS`, those that are not none in all runs


def plan_of(group: Sequence[Member]) -> Plan:
    """That of the runs of a group."""
    first = group[0]
    rows = None if all(member.rows is first.rows for member in group) else 0
    key = None if all(member.key is first.key for member in group) else 0
    axes = Arguments(0, None, rows, None, None if first.batch_size is None else key, key, 0)
    used = [name for name, none in NUMBERS.items() if any(getattr(member.config, name) != none for member in group)]
    return Plan(axes, tuple(used))


def arguments_of(member: Member, plan: Plan, length: int = 1) -> Arguments:
    """Those of one run, with its numbers as arrays."""
    dtype = member.state.parameters["W1"].dtype
    dtypes = {"l2": dtype, "keep_prob": float, "input_keep_prob": float}  # as probabilities are drawn
    numbers = {name: jnp.asarray(getattr(member.config, name), dtypes[name]) for name in plan.numbers}
    config = jax.tree.map(
        lambda number: jnp.asarray(number, dtype) if isinstance(number, float) else number,
        replace(member.config, **numbers),
    )
    batches = None if member.batch_size is None else np.zeros((length, member.batch_size), np.int32)
    return Arguments(kept_of(member.state), np.int32(0), member.rows, member.Y_rows, batches, member.key, config)


def _joined(values: Sequence[Any], axis: int | None) -> Any:
    return values[0] if axis is None else jax.tree.map(_stacked, *values)


def _stacked(*leaves: Any) -> jax.Array:
    if jnp.issubdtype(jnp.result_type(leaves[0]), jax.dtypes.prng_key):
        return jnp.stack(leaves)
    return jax.device_put(np.stack(leaves))  # which, of any number of arrays, compiles nothing


@jax.jit
def _one(tree: Any, i: int | jax.Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], tree)


def program(arguments: Arguments, axes: Arguments, length: int) -> jax.stages.Compiled:
    """The program of a chunk for arguments like these, compiled once."""
    leaves, structure = jax.tree.flatten(arguments)
    shapes = tuple(jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    return _compiled(structure, shapes, axes, length, jax.config.read("jax_enable_x64"))


@lru_cache(maxsize=32)
def _compiled(structure: Any, shapes: tuple, axes: Arguments, length: int, x64: bool) -> jax.stages.Compiled:
    del x64  # which the program depends on

    def make_chunk(kept, step, rows, Y_rows, batches, key, config):
        state, costs, _, finite = run_chunk(_state(kept, step), rows, Y_rows, batches, key, config, length=length)
        return kept_of(state), costs, finite

    mapped = jax.jit(jax.vmap(make_chunk, in_axes=tuple(axes)))
    return mapped.lower(*jax.tree.unflatten(structure, shapes)).compile()
