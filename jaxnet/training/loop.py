"""The one loop of training: chunks of steps, each one compiled `lax.scan`, and what is called after each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..arguments import is_exactly
from ..diagnosis import Diagnosis, Evidence, Setup, diagnosis_of
from ..errors import InputError
from ..optimizer import with_numbers_as_arguments
from ..parameters import layer_dims
from ..regularization import dropout_masks
from ..signals import Alignment, alignment
from ..types import AnyArray, Masks, Parameters, PRNGKeyArray
from ..update import TrainState, update
from .batches import Feed
from .config import StepConfig
from .failure import NotFiniteError, failure_of, feedback_weights
from .input_basis import ALL_INPUTS, InputBasis
from .placement import Placement, on_every_device, on_one_device, over
from .trace import Recorded, joined, recorded


# What is folded into the run's key: for the masks, for the first feedback weights, for their changes, and for the
# augmentation. The examples' order has the key itself.
DROPOUT, FIRST_FEEDBACK, FEEDBACK, AUGMENT = 2**32 - 1, 2**32 - 2, 2**32 - 3, 2**32 - 4


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a run stands after a chunk of steps: what `on_chunk` is given."""

    iteration: int  # steps made
    costs: np.ndarray  # of the chunk's steps, each before its update
    alignment: Recorded  # of the chunk's steps
    basis: InputBasis  # the inputs in which the steps are made
    state_in_basis: TrainState

    @cached_property
    def state(self) -> TrainState:
        """The state in all inputs, which `train` goes on from."""
        return self.basis.expand(self.state_in_basis)

    @property
    def parameters(self) -> Parameters:
        """The parameters in all inputs."""
        return self.state.parameters


class Trained(NamedTuple):
    """The end of a run. `train` goes on from its `state`."""

    state: TrainState
    costs: np.ndarray  # of every step, before its update
    alignment: Recorded  # of all steps that were recorded
    ended_early: bool = False  # by a hook, before all steps were made

    @property
    def parameters(self) -> Parameters:
        """The trained parameters."""
        return self.state.parameters

    @property
    def diagnosis(self) -> Diagnosis:
        """What the costs say by themselves: whether they rose, or still fall. `diagnose` looks at the data too."""
        step = int(self.state.step)
        found = diagnosis_of(Evidence(self.costs, step - len(self.costs)), Setup(num_iterations=step))
        return replace(found, of_costs_only=True)


Hook: TypeAlias = Callable[[Progress], bool | None]  # True ends the training
P = TypeVar("P")


def run_steps(
    feed: Feed,
    state: TrainState,
    config: StepConfig,
    num_iterations: int,
    *,
    key: PRNGKeyArray | None,
    chunk: int,
    basis: InputBasis = ALL_INPUTS,
    on_chunk: Sequence[Hook] = (),
    placement: Placement | None = None,
) -> Trained:
    """Steps from `state`, in the inputs of `basis`, until `num_iterations` are made, with examples from `feed`.

    After every `chunk` steps each of `on_chunk` is called, in this order; the training ends where one of them returns
    True. What they are given and what is returned is on one device. Raises `NotFiniteError`, with parameters in all
    inputs, where a cost or a parameter is not finite.
    """
    steps = Steps(feed, state, config, key, basis, placement)
    costs, records = [], []
    for progress in chunks(steps.advance, int(state.step), num_iterations, chunk, on_chunk):
        costs.append(progress.costs)
        records.append(progress.alignment)
    all_costs = np.concatenate(costs) if costs else np.empty(0)
    state = on_one_device(steps.state, placement)
    return Trained(basis.expand(state), all_costs, joined(records), int(state.step) < num_iterations)


def chunks(
    advance: Callable[[int, int], P], start: int, num_iterations: int, chunk: int, on_chunk: Sequence[Callable]
) -> Iterator[P]:
    """What `advance(first step, number of steps)` returns for each chunk, once all of `on_chunk` have seen it.

    It ends where one of them returns True.
    """
    for begin in range(start, num_iterations, chunk):
        progress = advance(begin, min(chunk, num_iterations - begin))
        ended = any([ends(hook, progress) for hook in on_chunk])  # a list: one that ends it silences no other
        yield progress
        if ended:
            return


class Steps:
    """A run on its way: `state` is where it stands, in the inputs of `basis`, on every device of `placement`."""

    def __init__(
        self,
        feed: Feed,
        state: TrainState,
        config: StepConfig,
        key: PRNGKeyArray | None,
        basis: InputBasis,
        placement: Placement | None = None,
    ):
        self._first = before_steps(state, config.optimizer)
        optimizer = with_numbers_as_arguments(config.optimizer, self._first.parameters, self._first.opt_state)
        self._config = replace(config, optimizer=optimizer)
        self._feed, self._basis, self._placement = feed, basis, placement
        self.state, self._key = on_every_device((self._first, key), placement)
        self._previous: tuple[Segment, int] | None = None
        self.costs = np.empty(0)  # of the last chunk, also where it failed

    def advance(self, begin: int, length: int) -> Progress:
        """Makes a chunk of steps. Raises `NotFiniteError`, with parameters in all inputs."""
        iteration, seen, self.costs = begin, [], np.empty(0)
        for rows, Y_rows, batches in self._feed(begin, length):
            made = length if batches is None else len(batches)
            segment = Segment(self.state, rows, Y_rows, batches)
            with over(self._placement):
                self.state, J, aligned, finite = run_chunk(*segment, self._key, self._config, length=made)
            self.costs = np.concatenate([self.costs, J]) if seen else np.asarray(J)
            if not finite:
                raise self._failure(segment, made)
            seen.append(recorded(aligned, iteration, made, self._config.record_every))
            iteration, self._previous = iteration + made, (segment, made)
        return Progress(iteration, self.costs, joined(seen), self._basis, on_one_device(self.state, self._placement))

    def _failure(self, segment: "Segment", length: int) -> NotFiniteError:
        with over(self._placement):
            found = blame(segment, length, self._previous, self._first, self._key, self._config)
        return found.with_state(self._basis.expand(on_one_device(found.state, self._placement)))


def before_steps(state: TrainState, optimizer: optax.GradientTransformation) -> TrainState:
    """The state with an optimizer's, and in the dtypes that steps keep."""
    opt_state = optimizer.init(state.parameters) if state.opt_state is None else state.opt_state
    return state._replace(opt_state=opt_state, step=jnp.asarray(int(state.step), jnp.int32))


def ends(hook: Callable[[Any], bool | None], progress: Any) -> bool:
    """Whether the hook returns True. Raises `InputError` for what could be meant otherwise, such as a count."""
    end = hook(progress)
    if end is None:
        return False
    if (
        isinstance(end, bool | np.bool_ | np.ndarray | jax.Array)
        and np.shape(end) == ()
        and np.asarray(end).dtype == "?"
    ):
        return bool(end)
    raise InputError(f"a hook in on_chunk returned {end!r:.60}; expected True to end the training, or None to go on")


class Segment(NamedTuple):
    """What some steps in one scan are made from: the first arguments of `run_chunk`."""

    state: TrainState
    rows: AnyArray
    Y_rows: AnyArray
    batches: jax.Array | None


@partial(jax.jit, static_argnames="length")
def run_chunk(
    state: TrainState,
    rows: AnyArray,
    Y_rows: AnyArray,
    batches: jax.Array | None,
    key: PRNGKeyArray | None,
    config: StepConfig,
    *,
    length: int,
) -> tuple[TrainState, jax.Array, Alignment | None, jax.Array]:
    """The next `length` updates in one scan, the cost before each, and: are these all finite?

    Row i of `batches` holds the examples of step i, rows of `rows` and `Y_rows`; where it is None, that is all of them.
    Nothing is donated: the state before the chunk is what a run that fails goes back to.
    """

    def make_step(state, given):
        iteration, batch = given
        X, Y = _inputs(iteration, rows, batch, key, config), Y_rows.T if batch is None else Y_rows[batch].T
        Y, weight = (Y[:-1], Y[-1]) if config.weighted else (Y, None)
        masks = _masks(iteration, X, state.parameters, key, config)
        aligned = _aligned(iteration, X, Y, state, masks, weight, config)
        state, J = update(
            X,
            Y,
            state,
            config.optimizer,
            config.network,
            l2=config.l2,
            masks=masks,
            dtype=config.dtype,
            sample_weight=weight,
            key=_feedback_key(iteration, key),
        )
        return state, (J, aligned)

    iterations = state.step + jnp.arange(length, dtype=jnp.int32)
    state, (costs, aligned) = jax.lax.scan(make_step, state, (iterations, batches))
    numbers = [costs, *jax.tree.leaves(state.parameters), *feedback_weights(state.B).values()]
    return state, costs, aligned, jnp.stack([jnp.isfinite(value).all() for value in numbers]).all()


def _inputs(
    iteration: jax.Array, rows: AnyArray, batch: jax.Array | None, key: PRNGKeyArray | None, config: StepConfig
) -> jax.Array:
    """X of a step: its examples, augmented."""
    chosen = jnp.asarray(rows) if batch is None else rows[batch]
    if config.augment is not None and key is not None:
        chosen = config.augment(chosen, key=jax.random.fold_in(jax.random.fold_in(key, AUGMENT), iteration))
    return chosen.T


def _feedback_key(iteration: jax.Array, key: PRNGKeyArray | None) -> PRNGKeyArray | None:
    """The key for a step's change of the feedback weights."""
    return None if key is None else jax.random.fold_in(jax.random.fold_in(key, FEEDBACK), iteration)


def _aligned(iteration, X, Y, state: TrainState, masks, weight, config: StepConfig) -> Alignment | None:
    """The alignment of a step that is recorded; for the others, zeros that cost nothing."""
    if config.record_every is None:
        return None

    def look():
        return alignment(X, Y, state.parameters, config.network, masks=masks, B=state.B, sample_weight=weight)

    def pass_by():
        return jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), jax.eval_shape(look))

    return jax.lax.cond(iteration % config.record_every == 0, look, pass_by)


def _masks(
    iteration: jax.Array, X: AnyArray, parameters: Parameters, key: PRNGKeyArray | None, config: StepConfig
) -> Masks:
    keep, input_keep = config.keep_prob, config.input_keep_prob
    if key is None or (is_exactly(keep, 1) and is_exactly(input_keep, 1)):
        return None
    key = jax.random.fold_in(jax.random.fold_in(key, DROPOUT), iteration)
    return dropout_masks(layer_dims(parameters), X.shape[1], keep, key=key, input_keep_prob=input_keep, dtype=X.dtype)


def blame(
    segment: Segment,
    length: int,
    previous: tuple[Segment, int] | None,
    first: TrainState,
    key: PRNGKeyArray | None,
    config: StepConfig,
) -> NotFiniteError:
    """Replays the steps of a scan that failed, to the first cost or parameter that is not finite."""

    _, rows, Y_rows, batches = segment

    def given(i: int, state: TrainState) -> tuple[jax.Array, Masks]:
        iteration = jnp.asarray(state.step)
        X = _inputs(iteration, rows, None if batches is None else batches[i], key, config)
        return X, _masks(iteration, X, state.parameters, key, config)

    before = () if previous is None else _replayed(*previous, key, config)
    labels = Y_rows[:, :-1] if config.weighted else Y_rows
    steps = _replayed(segment, length, key, config)
    return failure_of(steps, before, first, rows[:, : first.parameters["W1"].shape[1]], labels, config.network, given)


def _replayed(
    segment: Segment, length: int, key: PRNGKeyArray | None, config: StepConfig
) -> Iterator[tuple[TrainState, jax.Array, TrainState]]:
    """The state before every step, its cost, and the state after it."""
    state = segment.state
    for i in range(length):
        batch = None if segment.batches is None else segment.batches[i : i + 1]
        one = segment._replace(state=state, batches=batch)
        after, J, _, _ = run_chunk(*one, key, config, length=1)
        yield state, J[0], after
        state = after
