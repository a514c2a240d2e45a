"""The training loop: chunks of steps, each one compiled `lax.scan`."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from ..arguments import check_count, check_number
from ..checks import as_targets, check_array, check_tree
from ..errors import InputError
from ..feedback import Feedback, backprop, initialize_feedback, update_feedback
from ..network import COURSE, Network, outputs_like
from ..parameters import FrozenDict, initialize_parameters_deep, layer_dims
from ..programs import let_go
from ..regularization import dropout_masks
from ..signals import Alignment, alignment
from ..types import AnyArray, Inputs, Labels, Masks, Parameters, PRNGKeyArray
from ..update import GRADIENT_DESCENT, LEARNING_RATE, as_the_optimizer_takes, gradient_descent, update
from ..weighting import ClassWeight, SampleWeight, example_weights
from .failure import NotFiniteError, first_not_finite_signal, newest_useful
from .reduction import directions, expand, pays, reduce
from .rotation import commutes_with_rotation
from .trace import Recorded, joined, recorded
from .validation import check_data, check_regularization, check_schedule, check_sizes


# What is folded into the run's key: for the masks, for the first feedback weights, and for their changes. The
# examples' order has the key itself.
DROPOUT, FIRST_FEEDBACK, FEEDBACK = 2**32 - 1, 2**32 - 2, 2**32 - 3


class Progress(NamedTuple):
    """Where a run stands after a chunk of steps: what `on_chunk` is given."""

    iteration: int  # steps made
    costs: np.ndarray  # of the chunk's steps, each before its update
    parameters: Parameters
    opt_state: Any
    B: Feedback  # of the network's feedback rule
    alignment: Recorded  # of the chunk's steps


class Trained(NamedTuple):
    """The end of a run."""

    parameters: Parameters
    opt_state: Any
    costs: np.ndarray  # of every step, before its update
    B: Feedback  # of the network's feedback rule
    alignment: Recorded  # of all steps


class Step(NamedTuple):
    """What all steps of a run have in common; hashable, so one static argument under `jit`."""

    optimizer: optax.GradientTransformation = GRADIENT_DESCENT
    network: Network = COURSE
    l2: float = 0.0
    keep_prob: float = 1.0
    input_keep_prob: float = 1.0
    dtype: str | None = None
    record_every: int | None = None
    weighted: bool = False  # the last entry of every row of labels is the weight of the example: see `with_weights`


# (start, length) -> pieces of those steps: examples and labels as rows, and which of them are in each step; or None,
# and all are in every step.
Feed = Callable[[int, int], Iterable[tuple[AnyArray, AnyArray, jax.Array | None]]]


def train(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    *,
    num_iterations: int,
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT,
    network: Network = COURSE,
    batch_size: int | None = None,
    lambd: float = 0.0,
    keep_prob: float = 1.0,
    input_keep_prob: float = 1.0,
    dtype: str | None = None,
    key: PRNGKeyArray | None = None,
    start: int = 0,
    opt_state: Any = None,
    B: Feedback = None,
    record_every: int | None = None,
    chunk: int = 100,
    on_chunk: Callable[[Progress], bool | None] | None = None,
    reduce_inputs: bool = True,
    sample_weight: SampleWeight = None,
    class_weight: ClassWeight = None,
) -> Trained:
    """Steps of `optimizer` from `parameters`, which are not touched, until `num_iterations` are made.

    Parameters come back as the kind of mapping that was given, plain dict or `FrozenDict`; where the optimizer has
    masks or labels of the other kind, as that. Under `optax.contrib.schedule_free` evaluate with
    `schedule_free_eval_params(trained.opt_state, trained.parameters)`.

    All examples in every step, or minibatches of `batch_size` in an order drawn anew from `key` in each epoch; the
    examples left over at the end of an epoch sit it out. After every `chunk` steps `on_chunk` is told the progress,
    and ends the training if it returns True. Regularization is the course's: `lambd` / (2 m) sum ||W_l||^2 is added
    to the cost, where m is the number of examples, and dropout keeps units with probability `keep_prob`. With `dtype`,
    such as "bfloat16", layers are computed in it; parameters and cost keep their own.

    Where the examples have fewer directions than inputs, the same steps are made in as many inputs as there are
    directions, if that pays and is proven, from the optimizer's own program, to be exact for all steps and values: see
    `reduction` and `rotation`. It changes roundings and nothing else; `reduce_inputs=False` makes every step in all
    inputs.

    `sample_weight`, (m,) numbers from 0, multiplies the loss and the gradient of each example, as in `cost_and_grads`;
    `class_weight` does by class, 0 and 1 or the index of a softmax's output: a mapping, in which a class that is left
    out has weight 1, or "balanced", m / (number of classes * examples of the class). Both together multiply. The costs
    are those of the weighted loss.

    Under a feedback rule, `B` are its first weights, drawn from `key` unless given. Before step 0 and every
    `record_every` steps on, the `alignment` of the step's own examples is recorded.

    To go on with a run: its `parameters`, `opt_state`, `B`, and `start`, the number of steps made; every step depends
    on its number alone, so with the same `chunk` the end is the same to the last bit, or, in reduced inputs, to
    rounding.
    Raises `InputError` before any work, `NotFiniteError` at the first cost or parameter that is not finite.
    """
    let_go()
    check_data(X, Y, parameters, network)
    n_L = layer_dims(parameters)[-1]
    given = dict(parameters) if isinstance(parameters, dict) else FrozenDict(parameters)
    parameters = as_the_optimizer_takes(jax.tree.map(jnp.asarray, given), optimizer, opt_state)
    m = X.shape[1]
    check_schedule(m, num_iterations, batch_size, key, chunk)
    check_regularization(lambd, keep_prob, input_keep_prob, key)
    if record_every is not None and not (isinstance(record_every, int) and record_every >= 1):
        raise InputError(f"record_every is {record_every!r}; expected a number of steps, or None to record nothing")
    if B is None and start > 0 and network.feedback != backprop:
        raise InputError(f"the run goes on from step {start} without its feedback weights; pass B=trained.B")
    B = first_feedback(parameters, network, key) if B is None else _as_feedback(B, parameters, network)
    Y = as_targets(Y, outputs_like(X, parameters, n_L), network.loss)
    weight = example_weights(Y, network.loss.output, sample_weight, class_weight)
    keep, input_keep = float(keep_prob), float(input_keep_prob)
    step = Step(optimizer, network, float(lambd) / m, keep, input_keep, dtype, record_every, weight is not None)
    Q = None
    if reduce_inputs and worth_reducing(X, parameters, opt_state, step, batch_size or m, num_iterations - start):
        X, (parameters, opt_state), Q = reduce(X, (parameters, opt_state))
    feed = resident(X, with_weights(np.asarray(Y), weight), batch_size, key)
    told = None if on_chunk is None else lambda progress: on_chunk(_in_all_inputs(progress, Q))
    try:
        trained = make_steps(feed, parameters, opt_state, B, step, start, num_iterations, chunk, key, told)
    except NotFiniteError as error:
        raise error.with_parameters(in_all_inputs(error.parameters, Q)) from None
    return _in_all_inputs(trained, Q)


def with_weights(Y: Float[np.ndarray, "n_L m"], weight: AnyArray | None) -> Float[np.ndarray, "_ m"]:
    """Y, with a last row of the examples' weights where they have any: so they go wherever labels go."""
    return Y if weight is None else np.concatenate([Y, np.asarray(weight, Y.dtype)[None]])


_expand = jax.jit(expand)


def in_all_inputs(tree: Any, Q: AnyArray | None) -> Any:
    """Parameters and states of a run in reduced inputs, as those of all inputs; Q is None where nothing is reduced."""
    return tree if Q is None else _expand(tree, Q)


def worth_reducing(
    X: AnyArray, parameters: Parameters, opt_state: Any, step: Step, batch_size: int, steps: int
) -> bool:
    """Is the run the same in reduced inputs, and are its steps worth the reduction?"""
    n_1, n_x = parameters["W1"].shape
    return (
        pays(n_x, n_1, X.shape[1], batch_size, steps)
        and step.input_keep_prob == 1  # an input that is dropped is no direction of the examples
        and step.dtype is None  # rounded inputs span other directions than those that are rounded later
        and jnp.result_type(X) == jnp.result_type(parameters["W1"]) in (jnp.float32, jnp.float64)
        and commutes_with_rotation(step.optimizer, parameters, directions(X, (parameters, opt_state)))
    )


def _in_all_inputs(run: Any, Q: AnyArray | None) -> Any:
    """The same for a `Progress` or a `Trained`, whose numbers stay NumPy's."""
    parameters, opt_state = in_all_inputs((run.parameters, run.opt_state), Q)
    return run._replace(parameters=parameters, opt_state=opt_state)


def make_steps(
    feed: Feed,
    parameters: Parameters,
    opt_state: Any,
    B: Feedback,
    step: Step,
    start: int,
    num_iterations: int,
    chunk: int,
    key: PRNGKeyArray | None,
    on_chunk: Callable[[Progress], bool | None] | None,
) -> Trained:
    """The loop of `train`, for examples that `feed` brings from wherever they are."""
    if opt_state is None:
        opt_state = step.optimizer.init(parameters)
    given, previous = parameters, None
    costs, records = [], []
    for first in range(start, num_iterations, chunk):
        length, iteration, chunk_costs, seen = min(chunk, num_iterations - first), first, [], []
        for rows, Y_rows, batches in feed(first, length):
            made = length if batches is None else len(batches)
            piece = Piece((parameters, opt_state, B), rows, Y_rows, batches, iteration)
            (parameters, opt_state, B), J, aligned, finite = run_chunk(*piece, key, length=made, step=step)
            chunk_costs.append(np.asarray(J))
            if not finite:
                raise _blame(piece, made, previous, (start, given), key, step)
            seen.append(recorded(aligned, iteration, made, step.record_every))
            iteration, previous = iteration + made, (piece, made)
        costs += chunk_costs
        records += seen
        progress = Progress(iteration, np.concatenate(chunk_costs), parameters, opt_state, B, joined(seen))
        if on_chunk is not None and on_chunk(progress):
            break
    all_costs = np.concatenate(costs) if costs else np.empty(0)
    return Trained(parameters, opt_state, all_costs, B, joined(records))


def first_feedback(parameters: Parameters, network: Network, key: PRNGKeyArray | None) -> Feedback:
    """The feedback weights that a run with this key starts from. Raises `InputError` where they need one."""
    if network.feedback == backprop:
        return initialize_feedback(parameters, network)
    own_key = None if key is None else jax.random.fold_in(key, FIRST_FEEDBACK)
    return _initialize_feedback(parameters, network, key=own_key)


# One compilation instead of one for every shape that is drawn.
_initialize_feedback = jax.jit(initialize_feedback, static_argnums=1)


def _as_feedback(B: Feedback, parameters: Parameters, network: Network) -> Feedback:
    """B as the rule itself makes it. Raises `InputError` for feedback weights that are not those of this network."""
    check_tree("B", B)
    own = jax.eval_shape(lambda: initialize_feedback(parameters, network, key=jax.random.key(0)))
    if isinstance(own, FrozenDict) and isinstance(B, Mapping) and set(B) == set(own):
        B = FrozenDict({name: B[name] for name in own})
    got, expected = (jax.tree.map(jnp.shape, tree) for tree in (B, own))
    if got != expected:
        raise InputError(
            f"B has the shapes {got!s:.200}; expected {expected!s:.200}, as initialize_feedback makes them"
        )
    return jax.tree.map(lambda value, like: jnp.asarray(value, like.dtype), B, own)


def resident(X: AnyArray, Y: AnyArray, batch_size: int | None, key: PRNGKeyArray | None) -> Feed:
    """The feed of columns that stay where they are."""
    # An example is a row of memory: fast to gather, and W1 X and dZ1 X^T are matrix products without a transpose.
    rows, Y_rows = jax.device_put((X.T, Y.T))
    if batch_size is None or key is None:
        return lambda start, length: [(rows, Y_rows, None)]
    return lambda start, length: [(rows, Y_rows, jnp.asarray(batch_indices(key, len(rows), batch_size, start, length)))]


State: TypeAlias = tuple[Parameters, Any, Feedback]  # parameters, optimizer state, feedback weights


class Piece(NamedTuple):
    """What some steps in one scan are made from: the first arguments of `run_chunk`."""

    before: State
    rows: AnyArray
    Y_rows: AnyArray
    batches: jax.Array | None
    start: int


@partial(jax.jit, static_argnames=("length", "step"))
def run_chunk(
    state: State,
    rows: AnyArray,
    Y_rows: AnyArray,
    batches: jax.Array | None,
    start: int | jax.Array,
    key: PRNGKeyArray | None,
    *,
    length: int,
    step: Step,
) -> tuple[State, jax.Array, Alignment | None, jax.Array]:
    """The updates start, ..., start + length - 1 in one scan, the cost before each, and: are these all finite?

    Row i of `batches` holds the examples of step i, rows of `rows` and `Y_rows`; where it is None, that is all of them.
    Nothing is donated: the state before the chunk is what a run that fails goes back to.
    """

    def make_step(state, given):
        iteration, batch = given
        X, Y = (rows.T, Y_rows.T) if batch is None else (rows[batch].T, Y_rows[batch].T)
        Y, weight = (Y[:-1], Y[-1]) if step.weighted else (Y, None)
        before, opt_state, B = state
        masks = _masks(iteration, X, before, key, step)
        aligned = _aligned(iteration, X, Y, before, B, masks, weight, step)
        parameters, opt_state, J = update(
            before,
            opt_state,
            X,
            Y,
            step.optimizer,
            step.network,
            l2=step.l2,
            masks=masks,
            B=B,
            dtype=step.dtype,
            sample_weight=weight,
        )
        B = update_feedback(B, before, parameters, step.network, key=_feedback_key(iteration, key))
        return (parameters, opt_state, B), (J, aligned)

    iterations = start + jnp.arange(length)
    state, (costs, aligned) = jax.lax.scan(make_step, state, (iterations, batches))
    numbers = [costs, *jax.tree.leaves(state[0]), *_feedback_weights(state[2]).values()]
    return state, costs, aligned, jnp.stack([jnp.isfinite(value).all() for value in numbers]).all()


def _feedback_weights(B: Feedback) -> dict[str, jax.Array]:
    """B2, ..., BL among what a rule keeps."""
    return {name: value for name, value in B.items() if name[1:].isdecimal()} if isinstance(B, Mapping) else {}


def _feedback_key(iteration: jax.Array, key: PRNGKeyArray | None) -> PRNGKeyArray | None:
    """That of a step's change of the feedback weights."""
    return None if key is None else jax.random.fold_in(jax.random.fold_in(key, FEEDBACK), iteration)


def _aligned(iteration, X, Y, parameters, B, masks, weight, step: Step) -> Alignment | None:
    """The alignment of a step that is recorded; of the others, zeros that cost nothing."""
    if step.record_every is None:
        return None

    def look():
        return alignment(X, Y, parameters, step.network, masks=masks, B=B, sample_weight=weight)

    def pass_by():
        return jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), jax.eval_shape(look))

    return jax.lax.cond(iteration % step.record_every == 0, look, pass_by)


def _masks(iteration: jax.Array, X: AnyArray, parameters: Parameters, key: PRNGKeyArray | None, step: Step) -> Masks:
    if key is None or step.keep_prob == step.input_keep_prob == 1:
        return None
    key = jax.random.fold_in(jax.random.fold_in(key, DROPOUT), iteration)
    dims = layer_dims(parameters)
    return dropout_masks(dims, X.shape[1], step.keep_prob, key=key, input_keep_prob=step.input_keep_prob, dtype=X.dtype)


def batch_indices(
    key: PRNGKeyArray, m: int, batch_size: int, start: int, length: int
) -> Int[np.ndarray, "length batch_size"]:
    """The examples of the steps start, ..., start + length - 1: a function of the step alone.

    Each epoch is a permutation drawn from the key and the epoch's number, cut into whole batches.
    """
    per_epoch = m // batch_size
    epochs = range(start // per_epoch, (start + length - 1) // per_epoch + 1)
    seed = tuple(np.asarray(jax.random.key_data(key)).tolist())
    orders = [_order(seed, epoch, m)[: per_epoch * batch_size] for epoch in epochs]
    first = start - epochs[0] * per_epoch
    return np.concatenate(orders).reshape(-1, batch_size)[first : first + length]


# By NumPy: to permute 60,000 examples, 1.4 ms; JAX sorts, for 37 ms. Kept, since an epoch is many chunks of steps long.
@lru_cache(maxsize=4)
def _order(seed: tuple[int, ...], epoch: int, m: int) -> Int[np.ndarray, " m"]:
    return np.random.default_rng((*seed, epoch)).permutation(m).astype(np.int32)


def L_layer_model(
    X: Inputs,
    Y: Labels,
    layer_dims: Sequence[int],
    learning_rate: float = LEARNING_RATE,
    num_iterations: int = 3000,
    print_cost: bool = False,
    *,
    parameters: Parameters | None = None,
    key: PRNGKeyArray | None = None,
    network: Network = COURSE,
) -> tuple[Parameters, list[float]]:
    """Gradient descent on all examples: the trained parameters, and the costs of every 100th and the last iteration.

    Starts from `parameters`, or from W_l ~ N(0, 1/n_{l-1}) drawn from `key` (that of seed 1 unless given), from which
    a feedback rule's weights are drawn too.
    Costs are those before the update of their iteration.
    """
    check_array("X", X, ", (n_x, m)")
    key = jax.random.key(1) if key is None else key
    if parameters is None:
        is_float = jnp.issubdtype(X.dtype, jnp.floating)
        dtype = jnp.result_type(X) if is_float else None  # `train` reports what is wrong with X
        parameters = initialize_parameters_deep(layer_dims, key=key, dtype=dtype)
    check_sizes(parameters, layer_dims)
    check_count("num_iterations", num_iterations, 0)
    check_number("learning_rate", learning_rate, "a number")
    every = 100
    shown = sorted({*range(0, num_iterations, every), num_iterations - 1}) if num_iterations else []

    def show(progress: Progress) -> None:
        first = progress.iteration - len(progress.costs)
        for iteration in shown:
            if first <= iteration < progress.iteration:
                print(f"Cost after iteration {iteration}: {progress.costs[iteration - first]}")

    trained = train(
        X,
        Y,
        parameters,
        num_iterations=num_iterations,
        optimizer=gradient_descent(float(learning_rate)),
        network=network,
        key=key,
        chunk=every,
        on_chunk=show if print_cost else None,
    )
    return trained.parameters, trained.costs[shown].tolist()


RECENT = 8  # of the steps before one that fails, so many are asked for parameters that can be used


def _blame(
    piece: Piece,
    length: int,
    previous: tuple[Piece, int] | None,
    given: tuple[int, Parameters],
    key: PRNGKeyArray | None,
    step: Step,
) -> NotFiniteError:
    """Replays the steps of a scan that failed, to the first cost or parameter that is not finite.

    The parameters to keep are of the last steps before it, in this scan or the previous one, or those `given`.
    """
    L = len(piece.before[0]) // 2
    iteration, layer, culprit = piece.start, L, f"a number in the {length} steps from here"
    costly = []  # (steps made, parameters), of finite cost
    for iteration, state, J, after in _replayed(piece, length, key, step):
        if not np.isfinite(J):
            X = piece.rows.T if piece.batches is None else piece.rows[piece.batches[iteration - piece.start]].T
            masks = _masks(jnp.asarray(iteration), X, state[0], key, step)
            layer, culprit = first_not_finite_signal(X, state[0], step.network, masks)
            break
        costly = [*costly[-RECENT:], (iteration, state[0])]
        changed = [*FrozenDict(after[0]).items(), *_feedback_weights(after[2]).items()]
        bad = [name for name, value in changed if not jnp.isfinite(value).all()]
        if bad:
            layer, culprit = int(bad[0][1:]), f"{bad[0]} after the update"
            break
    else:
        iteration = piece.start
    examples = piece.rows, piece.Y_rows
    found = newest_useful(costly, *examples, step.network)
    if found is None and previous is not None:
        replay = _replayed(*previous, key, step)
        earlier = deque(((iteration, state[0]) for iteration, state, _, _ in replay), maxlen=RECENT)
        found = newest_useful(earlier, *examples, step.network)
    found = newest_useful([given], *examples, step.network) if found is None else found
    kept, parameters = (None, given[1]) if found is None else found
    return NotFiniteError(iteration, layer, culprit, parameters, kept)


def _replayed(
    piece: Piece, length: int, key: PRNGKeyArray | None, step: Step
) -> Iterator[tuple[int, State, jax.Array, State]]:
    """Of every step its number, the state before it, its cost and the state after it."""
    state = piece.before
    for i in range(length):
        batch = None if piece.batches is None else piece.batches[i : i + 1]
        one = piece._replace(before=state, batches=batch, start=piece.start + i)
        after, J, _, _ = run_chunk(*one, key, length=1, step=step)
        yield one.start, state, J[0], after
        state = after
