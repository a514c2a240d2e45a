"""The training loop: chunks of steps, each one compiled `lax.scan`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .network import COURSE, L_model_forward, Network, as_targets, check_is_array, outputs_like
from .parameters import FrozenDict, initialize_parameters_deep, layer_dims
from .types import AnyArray, Inputs, Labels, Parameters, PRNGKeyArray
from .update import GRADIENT_DESCENT, LEARNING_RATE, gradient_descent, update
from .validation import check_data, check_parameters, check_schedule, check_sizes


class Progress(NamedTuple):
    """Where a run stands after a chunk of steps: what `on_chunk` is given."""

    iteration: int  # steps made
    costs: np.ndarray  # of the chunk's steps, each before its update
    parameters: Parameters


class Trained(NamedTuple):
    """The end of a run."""

    parameters: Parameters
    opt_state: Any
    costs: np.ndarray  # of every step, before its update


class NotFiniteError(FloatingPointError):
    """The cost or a parameter stopped being a finite number.

    `iteration` is the step, `layer` the first layer at fault, `parameters` the last finite ones, from before that step.
    """

    def __init__(self, iteration: int, layer: int, culprit: str, parameters: Parameters):
        super().__init__(iteration, layer, culprit, parameters)
        self.iteration, self.layer, self.culprit, self.parameters = iteration, layer, culprit, parameters

    def __str__(self) -> str:
        return (
            f"training stopped at iteration {self.iteration}: {self.culprit} is not finite, layer {self.layer} is the "
            "first at fault; try a smaller learning rate. The last finite parameters are kept"
        )


def train(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    *,
    num_iterations: int,
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT,
    network: Network = COURSE,
    batch_size: int | None = None,
    key: PRNGKeyArray | None = None,
    chunk: int = 100,
    on_chunk: Callable[[Progress], None] | None = None,
) -> Trained:
    """`num_iterations` steps of `optimizer` from `parameters`, which are not touched.

    All examples in every step, or minibatches of `batch_size` in an order drawn anew from `key` in each epoch; the
    examples left over at the end of an epoch sit it out. After every `chunk` steps `on_chunk` is told the progress.
    Raises `InputError` before any work, `NotFiniteError` at the first cost or parameter that is not finite.
    """
    n_L = layer_dims(parameters)[-1]
    parameters = FrozenDict(jax.tree.map(jnp.asarray, dict(parameters)))
    check_data(X, Y, n_L, network)
    check_parameters(parameters, X)
    check_schedule(X.shape[1], num_iterations, batch_size, key, chunk)
    Y = as_targets(Y, outputs_like(X, parameters, n_L))
    # Minibatches gather examples, which is fast where an example is a row of memory.
    examples = (jnp.asarray(X), Y) if batch_size is None else (jnp.asarray(X).T, Y.T)

    opt_state, costs = optimizer.init(parameters), []
    for start in range(0, num_iterations, chunk):
        length = min(chunk, num_iterations - start)
        batches = None
        if batch_size is not None and key is not None:
            batches = batch_indices(key, len(examples[0]), batch_size, start, length)
        before = (parameters, opt_state)
        parameters, opt_state, chunk_costs = run_chunk(
            *before, *examples, batches, length=length, optimizer=optimizer, network=network
        )
        costs.append(np.asarray(chunk_costs))
        if not (np.isfinite(costs[-1]).all() and _all_finite(parameters)):
            raise _blame(start, before, examples, batches, length, optimizer, network)
        if on_chunk is not None:
            on_chunk(Progress(start + length, costs[-1], parameters))
    return Trained(parameters, opt_state, np.concatenate(costs) if costs else np.empty(0))


@partial(jax.jit, static_argnames=("length", "optimizer", "network"))
def run_chunk(
    parameters: Parameters,
    opt_state: Any,
    X: AnyArray,
    Y: AnyArray,
    batches: jax.Array | None,
    *,
    length: int,
    optimizer: optax.GradientTransformation,
    network: Network,
) -> tuple[Parameters, Any, jax.Array]:
    """`length` updates in one scan, and the cost before each.

    `batches` is None, and X and Y have columns; or row i holds the examples of step i, and X and Y have rows.
    Nothing is donated: the state before the chunk is what a run that fails goes back to.
    """

    def step(state, batch):
        X_batch, Y_batch = (X, Y) if batch is None else (X[batch].T, Y[batch].T)
        parameters, opt_state, J = update(state[0], state[1], X_batch, Y_batch, optimizer, network)
        return (parameters, opt_state), J

    (parameters, opt_state), costs = jax.lax.scan(step, (parameters, opt_state), batches, length=length)
    return parameters, opt_state, costs


def batch_indices(key: PRNGKeyArray, m: int, batch_size: int, start: int, length: int) -> jax.Array:
    """The examples of the steps start, ..., start + length - 1: a function of the step alone, (length, batch_size).

    Each epoch is a permutation drawn from `fold_in(key, epoch)`, cut into whole batches.
    """
    per_epoch = m // batch_size
    epochs = range(start // per_epoch, (start + length - 1) // per_epoch + 1)
    orders = [jax.random.permutation(jax.random.fold_in(key, epoch), m)[: per_epoch * batch_size] for epoch in epochs]
    first = start - epochs[0] * per_epoch
    return jnp.concatenate(orders).reshape(-1, batch_size)[first : first + length]


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

    Starts from `parameters`, or from W_l ~ N(0, 1/n_{l-1}) drawn from `key` (that of seed 1 unless given).
    Costs are those before the update of their iteration.
    """
    check_is_array(X)
    if parameters is None:
        dtype = jnp.result_type(X)
        dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else None  # `train` says what is wrong with X
        parameters = initialize_parameters_deep(layer_dims, key=jax.random.key(1) if key is None else key, dtype=dtype)
    check_sizes(parameters, layer_dims)
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
        chunk=every,
        on_chunk=show if print_cost else None,
    )
    return trained.parameters, trained.costs[shown].tolist()


@jax.jit
def _all_finite(parameters: Parameters) -> jax.Array:
    return jnp.stack([jnp.isfinite(value).all() for value in jax.tree.leaves(parameters)]).all()


def _blame(start, before, examples, batches, length, optimizer, network) -> NotFiniteError:
    """Replays a chunk that failed, step by step, to the first cost or parameter that is not finite."""
    state = before
    for i in range(length):
        batch = None if batches is None else batches[i : i + 1]
        *after, J = run_chunk(*state, *examples, batch, length=1, optimizer=optimizer, network=network)
        if not np.isfinite(J[0]):
            columns = examples[0] if batch is None else examples[0][batch[0]].T
            layer, culprit = _first_not_finite_signal(columns, state[0], network)
            return NotFiniteError(start + i, layer, culprit, state[0])
        for name, value in after[0].items():
            if not jnp.isfinite(value).all():
                return NotFiniteError(start + i, int(name[1:]), f"{name} after the update", state[0])
        state = tuple(after)
    last = len(before[0]) // 2
    return NotFiniteError(start, last, f"a number in the {length} steps from here", before[0])


def _first_not_finite_signal(X: AnyArray, parameters: Parameters, network: Network) -> tuple[int, str]:
    _, caches = L_model_forward(X, parameters, network)
    for l, ((A_prev, _, _), Z) in enumerate(caches, start=1):
        if not jnp.isfinite(A_prev).all():
            return l - 1, f"A{l - 1} in the forward pass"
        if not jnp.isfinite(Z).all():
            return l, f"Z{l} in the forward pass"
    return len(caches), "the cost"
