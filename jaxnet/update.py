"""Gradient steps: the course's update, and a compiled step with any optax optimizer."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .arguments import check_number, is_exactly
from .checks import check_floats, check_gradient, check_parameters
from .errors import InputError
from .feedback import Feedback, initialize_feedback, update_feedback
from .network import COURSE, Network, cost, cost_and_grads, parameter_grads
from .optimizer import GRADIENT_DESCENT, as_the_optimizer_takes, descend
from .parameters import FrozenDict
from .regularization import l2_cost, l2_gradient
from .types import Cost, DTypeLike, Grads, Inputs, Labels, Masks, Number, Parameters, PRNGKeyArray
from .weighting import SampleWeight


class TrainState(NamedTuple):
    """Everything that a step changes, and so everything that a run needs to go on. A pytree.

    `TrainState(parameters)` is a start: `train` makes the rest. `init_state` makes all of it at once.
    """

    parameters: Parameters
    opt_state: Any = None  # the optimizer's; None before the first step
    B: Feedback = None  # the feedback weights of the network's rule; None before the first step
    step: int | np.ndarray | jax.Array = 0  # how many steps have been made


def check_state(state: TrainState) -> None:
    """Raises `InputError` for anything but a `TrainState` and for a `step` that is not an integer."""
    if not isinstance(state, TrainState):
        raise InputError(
            f"state is of type {type(state).__name__}; expected a TrainState: pass init_state(parameters, optimizer, "
            "network), or the state of what `train` returned"
        )
    step = state.step
    is_number = isinstance(step, int | np.integer | np.ndarray | jax.Array) and not isinstance(step, bool)
    if not is_number or np.shape(step) != () or not jnp.issubdtype(jnp.result_type(step), jnp.integer):
        raise InputError(f"state.step is {step!r:.60}; expected the number of steps made, a whole number")


def init_state(
    parameters: Parameters,
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT,
    network: Network = COURSE,
    *,
    key: PRNGKeyArray | None = None,
) -> TrainState:
    """The state before the first step: `optimizer.init(parameters)`, and the first feedback weights, from `key`.

    The parameters become the kind of mapping that the optimizer's masks and labels are, `FrozenDict` or dict. All
    arrays are copies, so that a step may donate them.

    Raises:
        InputError: for an optimizer that cannot train one set of parameters, and where a rule needs a `key`.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> jaxnet.init_state(parameters, optax.adam(1e-3)).step
        0
    """
    check_parameters(parameters)
    parameters = as_the_optimizer_takes(parameters, optimizer)
    made = parameters, optimizer.init(parameters), initialize_feedback(parameters, network, key=key)
    # Arrays of its own, each once: a step that donates them takes nothing from the caller.
    return TrainState(*jax.tree.map(jnp.copy, made))


def update_parameters(parameters: Parameters, grads: Grads, learning_rate: float) -> FrozenDict:
    """W_l - alpha dW_l,  b_l - alpha db_l, as new parameters; the arguments are not changed.

    Raises `InputError`, naming the entry, for a gradient that is missing, not finite, or would broadcast.

    Example:
        >>> parameters = {"W1": jnp.array([[3.0, 4.0]]), "b1": jnp.ones((1, 1))}
        >>> grads = {"dW1": jnp.array([[1.0, 0.0]]), "db1": jnp.ones((1, 1))}
        >>> jaxnet.update_parameters(parameters, grads, learning_rate=0.5)["W1"]
        Array([[2.5, 4. ]], dtype=float32)
    """
    check_parameters(parameters)
    check_number("learning_rate", learning_rate, "a number")
    for name, value in parameters.items():
        check_gradient(f"d{name}", grads, np.shape(value))
        check_floats(f"d{name}", grads[f"d{name}"], "unit")
    return FrozenDict({name: value - learning_rate * grads[f"d{name}"] for name, value in parameters.items()})


def update(
    X: Inputs,
    Y: Labels,
    state: TrainState,
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT,
    network: Network = COURSE,
    *,
    l2: Number = 0.0,
    masks: Masks = None,
    dtype: DTypeLike | None = None,
    sample_weight: SampleWeight = None,
    key: PRNGKeyArray | None = None,
) -> tuple[TrainState, Cost]:
    """One step of `optimizer` along the hand-written gradient: the new state, and the cost before the step.

    Pure and not compiled: `make_update_step` compiles it by itself, the training loop inside its scan. Optimizers that
    look at the cost (line searches, Polyak steps, `optax.contrib.sam` with `opaque_mode=True`) receive it.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        state: Where the step starts. The new parameters have the same tree structure. Where there is no `opt_state`,
            the optimizer's first one is made.
        optimizer: Any optax transformation. Default: gradient descent at the course's rate, 0.0075.
        network: The functions of the layers. Default: the course's network.
        l2: The course's lambd / m: l2 / 2 sum ||W_l||^2 is added to the cost.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}: see `dropout_masks`.
        dtype: The compute dtype. Default: the parameter dtype.
        sample_weight: `(m,)` weights of the examples, from 0.
        key: A key for feedback rules that draw in every step.

    Raises:
        InputError: as `cost_and_grads` does, and where the optimizer fails.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> state, J = jaxnet.update(X, Y, jaxnet.init_state(parameters))
        >>> state.step, list(state.parameters), J.shape
        (1, ['W1', 'b1', 'W2', 'b2'], ())
    """
    check_state(state)
    parameters, opt_state, B, made = state
    if opt_state is None:
        opt_state = optimizer.init(parameters)
    J, grads = cost_and_grads(X, Y, parameters, network, masks=masks, B=B, dtype=dtype, sample_weight=sample_weight)
    gradient = parameter_grads(grads, parameters)
    penalised = not is_exactly(l2, 0)
    if penalised:
        J = J + l2_cost(parameters, l2, 1)
        penalty = {f"d{name}": value for name, value in l2_gradient(parameters, l2, 1).items()}
        gradient = jax.tree.map(jnp.add, gradient, parameter_grads(penalty, parameters))

    def objective(parameters):
        J = cost(X, Y, parameters, network, masks=masks, sample_weight=sample_weight)
        return J + l2_cost(parameters, l2, 1) if penalised else J

    after, opt_state = descend(optimizer, gradient, opt_state, parameters, J, objective)
    return TrainState(after, opt_state, update_feedback(B, parameters, after, network, key=key), made + 1), J


def make_update_step(
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT,
    network: Network = COURSE,
    *,
    l2: float = 0.0,
    dtype: DTypeLike | None = None,
) -> Callable[..., tuple[TrainState, Cost]]:
    """`update` as one compiled function: (X, Y, state) -> (state, cost).

    `state`, as `init_state(parameters, optimizer, network)` makes it, is donated: its buffers become the new ones, so
    use what the step returns and not what you passed. The cost is the one before the step.

    Dtypes and shapes are checked when the step is compiled. Values, such as labels beyond 1, are not checked;
    `cost_and_grads` checks them, and so does `train`.

    `l2` and `dtype` are those of `update`. `step(..., sample_weight=w)` weights the examples; `step(..., key=key)` is
    for feedback rules that draw in every step.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> step = jaxnet.make_update_step(optax.sgd(0.1))
        >>> state, J = step(X, Y, jaxnet.init_state(parameters, optax.sgd(0.1)))
        >>> int(state.step), J.shape
        (1, ())
    """
    return jax.jit(partial(update, optimizer=optimizer, network=network, l2=l2, dtype=dtype), donate_argnums=2)
