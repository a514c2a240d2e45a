"""`train`: the loop over examples that are in memory."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from ..checks import as_targets, check_tree
from ..errors import InputError
from ..feedback import Feedback, backprop, initialize_feedback
from ..network import COURSE, Network, outputs_like
from ..optimizer import GRADIENT_DESCENT, NOT_TRACED, as_the_optimizer_takes
from ..parameters import FrozenDict, layer_dims
from ..programs import let_go
from ..types import AnyArray, Inputs, Labels, Parameters, PRNGKeyArray
from ..update import TrainState, check_state
from ..weighting import ClassWeight, SampleWeight, example_weights
from .augmentation import Augmentation
from .batches import Feed, resident, with_weights
from .checkpoints import Checkpoints
from .identity import identity
from .input_basis import ALL_INPUTS, InputBasis, directions, pays, reduce
from .loop import FIRST_FEEDBACK, Hook, StepConfig, Trained, run_steps
from .placement import Placement, check_placement, placement_of, to_be_placed
from .progress import bar_of, shown
from .resuming import Resumable, Start, begin_hooks
from .rotation import commutes_with_rotation
from .validation import check_augmentation, check_data, check_regularization, check_schedule


def train(
    X: Inputs,
    Y: Labels,
    state: TrainState | Parameters,
    *,
    num_iterations: int,
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT,
    network: Network = COURSE,
    batch_size: int | None = None,
    lambd: float = 0.0,
    keep_prob: float = 1.0,
    input_keep_prob: float = 1.0,
    augment: Augmentation | None = None,
    dtype: str | None = None,
    key: PRNGKeyArray | None = None,
    record_every: int | None = None,
    chunk: int = 100,
    on_chunk: Hook | Sequence[Hook] = (),
    reduce_inputs: bool = True,
    sample_weight: SampleWeight = None,
    class_weight: ClassWeight = None,
    checkpoints: Checkpoints | None = None,
    progress: bool = False,
    placement: Placement | None = None,
) -> Trained:
    """Steps of `optimizer` from `state`, which is not touched, until `num_iterations` are made.

    All examples in every step, or minibatches of `batch_size` in an order drawn anew from `key` in each epoch; the
    examples left over at the end of an epoch sit it out. To go on with a run, pass its `trained.state` and a larger
    `num_iterations`: every step depends on its number alone, so with the same `chunk` the end is the same to the last
    bit, or, in reduced inputs, to within rounding. With `checkpoints` a script that is started again goes on by itself,
    to the same bits in both cases.

    What is compiled is one program for each chunk length. Numbers are its arguments: the learning rate and the other
    numbers of an optimizer, `lambd` and the probabilities. So `optax.sgd(0.1)` and then `optax.sgd(0.2)` compile once.
    What compiles anew are other shapes, functions (network, kind of optimizer), dtypes and batch sizes; a penalty or
    dropout where there was none; an exponent or a divisor in an optimizer, such as the length of a schedule, and what
    stands in a branch of it; and every optimizer object that uses the cost, such as a line search.

    Where the examples have fewer directions than inputs, the same steps are made in as many inputs as there are
    directions, if that pays and is proven, from the optimizer's own program, to be exact for all steps and values: see
    `input_basis` and `rotation`.

    Args:
        X: Inputs, `(n_x, m)` finite floats, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`, and under softmax also one row of class indices.
        state: The parameters to start from, or a `TrainState`. Parameters come back as the kind of mapping that was
            given, dict or `FrozenDict`; where the optimizer has masks or labels of the other kind, as that.
        num_iterations: How many steps have been made at the end, those of `state.step` among them.
        optimizer: Any optax transformation. Under `optax.contrib.schedule_free` evaluate with
            `schedule_free_eval_params(trained.state.opt_state, trained.parameters)`.
        network: The functions of the layers. Under a feedback rule, `state.B` are its first weights; without them
            they are drawn from `key`.
        batch_size: Examples in a step, 1 to m. Default: all.
        lambd: The course's L2 penalty, `lambd` / (2 m) sum ||W_l||^2, where m is the number of examples.
        keep_prob: The probability with which dropout keeps a unit of a hidden layer.
        input_keep_prob: The probability with which dropout keeps an input.
        augment: How the images of every step are moved and mirrored, such as `Augmentation((64, 64, 3))`.
        dtype: The compute dtype, such as "bfloat16"; parameters and cost keep their own.
        key: A key for everything that is drawn: minibatches, dropout, augmentation, feedback weights.
        record_every: Before step 0 and every so many steps, the `alignment` of the step's own examples is recorded.
        chunk: Steps in one call of the compiled program.
        on_chunk: A callable, or several, called after every chunk with its `Progress`. The training ends where one
            returns True, and goes on after None or False; anything else is an error.
        reduce_inputs: False makes every step in all inputs, which changes nothing but rounding.
        sample_weight: `(m,)` numbers from 0 that multiply loss and gradient of each example, as in `cost_and_grads`.
        class_weight: The same by class, 0 and 1 or the index of a softmax's output: a mapping, in which a class that
            is left out has weight 1, or "balanced", m / (number of classes * examples of the class). Where both are
            given, they multiply. The costs are those of the weighted loss.
        checkpoints: A folder, `jaxnet.Checkpoints("run")`, in which the run is kept on its way. Where it holds
            checkpoints of this run already, the run goes on from the newest, and returns what it would have returned.
        progress: Whether to show a bar with the steps made and the cost, by `tqdm.auto`.
        placement: The devices that share the examples of every step, see `Placement`. Default: those over which X is
            sharded by example, or else one. What the hooks are given and what is returned is on one device.

    Raises:
        InputError: before any work, for arguments that do not fit each other, and for checkpoints of another run.
        NotFiniteError: at the first cost or parameter that is not finite, with the last useful state.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> trained = jaxnet.train(X, Y, parameters, num_iterations=200)
        >>> bool(trained.costs[-1] < trained.costs[0])
        True
        >>> longer = jaxnet.train(X, Y, trained.state, num_iterations=300)
        >>> int(longer.state.step), len(longer.costs)
        (300, 100)
    """
    check_not_traced((X, Y, state, key, lambd, keep_prob, input_keep_prob, sample_weight))
    let_go()
    if isinstance(state, Trained):
        raise InputError("state is of type Trained; expected parameters or a TrainState: pass its .state")
    state = state if isinstance(state, TrainState) else TrainState(state)
    check_state(state)
    hooks, bar = as_hooks(on_chunk), bar_of(progress)
    if checkpoints is not None and not isinstance(checkpoints, Checkpoints):
        raise InputError(f'checkpoints is {checkpoints!r:.60}; expected jaxnet.Checkpoints("run") or None')
    check_data(X, Y, state.parameters, network)
    placement = placement_of(X) if placement is None else placement
    X = to_be_placed(X, placement)
    n_L, m = layer_dims(state.parameters)[-1], X.shape[1]
    start = int(state.step)
    if start < 0:
        raise InputError(f"state.step is {start}; expected the number of steps made, from 0")
    if isinstance(num_iterations, int) and 0 <= num_iterations < start:
        raise InputError(
            f"num_iterations is {num_iterations}, but the state has made {start} steps; expected how many "
            "there are to be at the end"
        )
    check_schedule(m, num_iterations, batch_size, key, chunk)
    check_placement(placement, batch_size, m)
    check_regularization(lambd, keep_prob, input_keep_prob, key)
    check_augmentation(augment, X.shape[0], key)
    if record_every is not None and not (isinstance(record_every, int) and record_every >= 1):
        raise InputError(f"record_every is {record_every!r}; expected a number of steps, or None to record nothing")
    state = complete(state, optimizer, network, key)
    Y = as_targets(Y, outputs_like(X, state.parameters, n_L), network.loss)
    weight = example_weights(Y, network.loss.output, sample_weight, class_weight)
    keep, input_keep = float(keep_prob), float(input_keep_prob)
    config = StepConfig(
        optimizer, network, float(lambd) / m, keep, input_keep, dtype, record_every, weight is not None, augment
    )
    begin_hooks(hooks, state, network)
    fewest = partial(in_fewest_inputs, X, state, config, batch_size or m)
    given, labels = Start(X, state, ALL_INPUTS), with_weights(np.asarray(Y), weight)
    reduced = cache(lambda steps: Start(*fewest(steps)) if reduce_inputs else given)
    if checkpoints is None:
        begin = reduced(num_iterations - start)
        feed = resident(begin.X, labels, batch_size, key, placement)
        return _steps(feed, begin, config, num_iterations, key, chunk, hooks, bar, placement)
    settings = {"batch_size": batch_size, "chunk": chunk, "reduce_inputs": reduce_inputs}
    if placement is not None and placement.mesh.size > 1:
        settings["placement"] = placement.mesh.size
    found = identity(X, labels, state, config, key, settings)
    run = Resumable(checkpoints, found, config, hooks, start, chunk, num_iterations)
    begin = run.resume(given, reduced)
    feed = resident(begin.X, labels, batch_size, key, placement)
    with checkpoints:
        return run.whole(_steps(feed, begin, config, run.num_iterations, key, chunk, [run.after_chunk], bar, placement))


def check_not_traced(arguments: Any) -> None:
    """Raises `InputError` inside jit, and where an argument is a value that JAX is tracing."""
    leaves = [*jax.tree.leaves(arguments), jnp.negative(0)]  # which jit traces, as it does all that is computed in it
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        raise InputError(f"an argument is a value that JAX is tracing, or all are; {NOT_TRACED}")


def _steps(
    feed: Feed,
    begin: Start,
    config: StepConfig,
    num_iterations: int,
    key: PRNGKeyArray | None,
    chunk: int,
    hooks: Sequence[Hook],
    bar: Callable[..., Any] | None,
    placement: Placement | None,
) -> Trained:
    """The steps from `begin`, in its inputs, shown by `bar`."""
    with shown(bar, int(begin.state.step), num_iterations) as bars:
        return run_steps(
            feed,
            begin.state,
            config,
            num_iterations,
            key=key,
            chunk=chunk,
            basis=begin.basis,
            on_chunk=[*bars, *hooks],
            placement=placement,
        )


def as_hooks(on_chunk: Hook | Sequence[Hook]) -> Sequence[Hook]:
    """Raises `InputError` for what is neither a callable nor a sequence of callables."""
    hooks = (on_chunk,) if callable(on_chunk) else on_chunk
    if not isinstance(hooks, Sequence) or not all(map(callable, hooks)):
        raise InputError(
            f"on_chunk is {on_chunk!r:.60}; expected a callable or a sequence of callables, or leave it out"
        )
    return hooks


def complete(
    state: TrainState, optimizer: optax.GradientTransformation, network: Network, key: PRNGKeyArray | None
) -> TrainState:
    """The state with arrays of JAX, in the kind of mapping that the optimizer takes, and with feedback weights."""
    given = state.parameters
    given = dict(given) if isinstance(given, dict) else FrozenDict(given)
    parameters = as_the_optimizer_takes(jax.tree.map(jnp.asarray, given), optimizer, state.opt_state)
    if state.B is not None:
        return state._replace(parameters=parameters, B=_as_feedback(state.B, parameters, network))
    if int(state.step) > 0 and network.feedback != backprop:
        raise InputError(
            f"the run goes on from step {int(state.step)} without its feedback weights; pass the whole trained.state"
        )
    return state._replace(parameters=parameters, B=first_feedback(parameters, network, key))


def in_fewest_inputs(
    X: Inputs, state: TrainState, config: StepConfig, batch_size: int, steps: float
) -> tuple[AnyArray, TrainState, InputBasis]:
    """X and the state in as many inputs as the examples have directions, where that is exact and pays; else as given.

    Why the conditions: an input that is dropped is not a direction of the examples, and inputs that are rounded to the
    compute dtype, or moved, span other directions than before.
    """
    n_1, n_x = state.parameters["W1"].shape
    tree = state.parameters, state.opt_state
    worth = (
        pays(n_x, n_1, X.shape[1], batch_size, steps)
        and config.input_keep_prob == 1
        and config.augment is None
        and config.dtype is None
        and jnp.result_type(X) == jnp.result_type(state.parameters["W1"]) in (jnp.float32, jnp.float64)
        and commutes_with_rotation(config.optimizer, state.parameters, directions(X, tree))
    )
    if not worth:
        return X, state, ALL_INPUTS
    X, (parameters, opt_state), basis = reduce(X, tree)
    return X, state._replace(parameters=parameters, opt_state=opt_state), basis


def first_feedback(parameters: Parameters, network: Network, key: PRNGKeyArray | None) -> Feedback:
    """The feedback weights that a run with this key starts from. Raises `InputError` where they need one."""
    if network.feedback == backprop:
        return initialize_feedback(parameters, network)
    own_key = None if key is None else jax.random.fold_in(key, FIRST_FEEDBACK)
    return _initialize_feedback(parameters, network, key=own_key)


# One compilation instead of one for every shape that is drawn.
_initialize_feedback = jax.jit(initialize_feedback)


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
