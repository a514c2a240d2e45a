"""Gradient steps: the course's update, and a compiled step with any optax optimizer."""

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .arguments import check_number
from .checks import check_floats, check_gradient, check_parameters
from .errors import InputError
from .feedback import Feedback
from .network import COURSE, Network, cost, cost_and_grads, parameter_grads
from .parameters import FrozenDict
from .regularization import l2_cost, l2_gradient
from .types import Cost, DTypeLike, Grads, Inputs, Labels, Masks, Parameters
from .weighting import SampleWeight


LEARNING_RATE = 0.0075  # the course's


class _GradientDescent(optax.GradientTransformationExtraArgs):
    """`optax.sgd`, pickled by its learning rate: its functions are closures, which Python cannot pickle."""

    learning_rate: float

    def __reduce__(self):
        return gradient_descent, (self.learning_rate,)


@lru_cache(maxsize=64)  # where the optimizer is a static argument, a new object would mean a new compilation
def gradient_descent(learning_rate: float) -> optax.GradientTransformationExtraArgs:
    """The `optax.sgd` with this learning rate, and the same object every time."""
    optimizer = _GradientDescent(*optax.sgd(learning_rate))
    optimizer.learning_rate = learning_rate
    return optimizer


GRADIENT_DESCENT = gradient_descent(LEARNING_RATE)


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
    parameters: Parameters,
    opt_state: Any,
    X: Inputs,
    Y: Labels,
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT,
    network: Network = COURSE,
    *,
    l2: float = 0.0,
    masks: Masks = None,
    B: Feedback = None,
    dtype: DTypeLike | None = None,
    sample_weight: SampleWeight = None,
) -> tuple[Parameters, Any, Cost]:
    """One step of `optimizer` along the hand-written gradient: new parameters, new optimizer state, and the cost before
       it.

    Pure and not compiled: `make_update_step` compiles it by itself, the training loop inside its scan. Optimizers that
    look at the cost (line searches, Polyak steps, `optax.contrib.sam` with `opaque_mode=True`) receive it.

    Args:
        parameters: `W1, b1, ..., WL, bL`; the new ones have the same tree structure.
        opt_state: The state of `optimizer`, at first `optimizer.init(parameters)`.
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        optimizer: Any optax transformation. Default: gradient descent at the course's rate, 0.0075.
        network: The functions of the layers. Default: the course's network.
        l2: The course's lambd / m: l2 / 2 sum ||W_l||^2 is added to the cost.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}: see `dropout_masks`.
        B: The feedback weights of the network's rule; None for backpropagation.
        dtype: The compute dtype. Default: the parameter dtype.
        sample_weight: `(m,)` weights of the examples, from 0.

    Raises:
        InputError: as `cost_and_grads` does, and where the optimizer fails.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> optimizer = optax.sgd(0.1)
        >>> parameters, opt_state, J = jaxnet.update(parameters, optimizer.init(parameters), X, Y, optimizer)
        >>> list(parameters), J.shape
        (['W1', 'b1', 'W2', 'b2'], ())
    """
    J, grads = cost_and_grads(X, Y, parameters, network, masks=masks, B=B, dtype=dtype, sample_weight=sample_weight)
    gradient = parameter_grads(grads, parameters)
    if l2:
        J = J + l2_cost(parameters, l2, 1)
        penalty = {f"d{name}": value for name, value in l2_gradient(parameters, l2, 1).items()}
        gradient = jax.tree.map(jnp.add, gradient, parameter_grads(penalty, parameters))

    def objective(parameters):
        J = cost(X, Y, parameters, network, masks=masks, sample_weight=sample_weight)
        return J + l2_cost(parameters, l2, 1) if l2 else J

    parameters, opt_state = descend(optimizer, gradient, opt_state, parameters, J, objective)
    return parameters, opt_state, J


def descend(
    optimizer: optax.GradientTransformation,
    gradient: Parameters,
    opt_state: Any,
    parameters: Parameters,
    J: Cost,
    objective: Callable[[Parameters], Cost],
) -> tuple[Parameters, Any]:
    """The new parameters and state that `optimizer` makes of a gradient, the cost J, and the cost as a function."""
    updates, opt_state = _optimizer_step(optimizer, gradient, opt_state, parameters, J, objective)
    return cast(Parameters, optax.apply_updates(parameters, updates)), opt_state


def _optimizer_step(
    optimizer: optax.GradientTransformation,
    gradient: Parameters,
    opt_state: Any,
    parameters: Parameters,
    J: Cost,
    objective: Callable[[Parameters], Cost],
) -> tuple[Any, Any]:
    """The optimizer's updates and state, from the gradient and what else it asks for. `InputError` where it fails."""
    check_optimizer(optimizer)
    optimizer = optax.with_extra_args_support(optimizer)
    extra = {"value": J, "grad": gradient, "value_fn": objective}
    taken = inspect.signature(optimizer.update).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        # Line searches refuse names that they do not know, so this one is passed only to those that ask for it.
        extra["grad_fn"] = lambda parameters, _: jax.grad(objective)(parameters)
        extra = {name: value for name, value in extra.items() if name in taken}
    try:
        return optimizer.update(gradient, opt_state, parameters, **extra)
    except InputError:
        raise
    except Exception as error:  # foreign code may raise anything
        raise InputError(
            f"the optimizer fails on the gradient, its state, the parameters and {', '.join(extra)}: "
            f"{type(error).__name__}: {first_line(error)}. Its state must be that of these parameters, as "
            "optimizer.init(parameters) makes it, and masks and labels the same kind of mapping; an optimizer that "
            "needs more than this needs a step of your own, with the gradient of `cost_and_grads`"
        ) from error


def first_line(error: Exception) -> str:
    """The message of an error, without the explanations that JAX appends."""
    return f"{error}".strip().split("\n")[0][:200]


def check_optimizer(optimizer: optax.GradientTransformation) -> None:
    """Raises `InputError` for anything but an optimizer, such as a name or a function that makes one."""
    if not callable(getattr(optimizer, "init", None)) or not callable(getattr(optimizer, "update", None)):
        raise InputError(f"optimizer is {optimizer!r:.60}; expected one of optax, such as optax.adam(1e-3)")


def as_the_optimizer_takes(
    parameters: Parameters, optimizer: optax.GradientTransformation, opt_state: Any = None
) -> Parameters:
    """The parameters as the kind of mapping that the optimizer accepts, a `FrozenDict` or a dict; unchanged if it takes
       both.

    An optimizer's masks and labels are trees of one kind, and so is its state, where there is one. Raises `InputError`
    where neither kind fits, and for optimizers that move other parameters than the network's.
    """
    check_optimizer(optimizer)
    frozen, plain = FrozenDict(parameters), dict(parameters)
    errors = []
    for tree in (plain, frozen) if isinstance(parameters, dict) else (frozen, plain):
        try:
            state = jax.eval_shape(optimizer.init, tree)
        except Exception as error:  # foreign code may raise anything
            errors.append(f"{type(error).__name__}: {first_line(error)}")
            continue
        _check_one_set_of_parameters(state)
        if opt_state is None or jax.tree.map(jnp.shape, opt_state) == jax.tree.map(jnp.shape, state):
            return tree
    if len(errors) == 2:
        raise InputError(
            f"the optimizer cannot start from parameters {', '.join(frozen)}: {errors[-1]}; masks and labels are "
            'mappings of these names, such as {"W1": True, "b1": False, ...}, or functions that make one'
        )
    raise InputError(
        "opt_state is not a state of this optimizer for these parameters; pass None, optimizer.init(parameters), or "
        "the opt_state that a run with them returned"
    )


def _check_one_set_of_parameters(state: Any) -> None:
    kinds = optax.LookaheadState, optax.contrib.SAMState
    for part in jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kinds)):
        if isinstance(part, optax.LookaheadState):
            raise InputError(
                "optax.lookahead moves two sets of parameters, LookaheadParams(fast, slow), and a network has one; "
                "make a step of your own: the gradient of `cost_and_grads` at parameters.fast, optimizer.update and "
                "optax.apply_updates"
            )
        if isinstance(part, optax.contrib.SAMState) and part.cache is not None:
            raise InputError(
                "optax.contrib.sam takes every other step from perturbed parameters, with which a run could end; pass "
                "opaque_mode=True, and it takes both steps in one"
            )


def make_update_step(
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT, network: Network = COURSE
) -> Callable[[Parameters, Any, Inputs, Labels], tuple[Parameters, Any, Cost]]:
    """`update` as one jitted function: (parameters, opt_state, X, Y) -> (parameters, opt_state, cost).

    `parameters` and `opt_state = optimizer.init(parameters)` are donated: their buffers become the new ones, so use
    what the step returns and not what you passed. The cost is the one before the step.

    Dtypes and shapes are checked when the step is compiled. Values, such as labels beyond 1, are not checked;
    `cost_and_grads` checks them, and so does `train`.

    A buffer can be donated only once: where an optimizer's first state holds the same array twice (L-BFGS, Prodigy,
    ...), start from `jax.tree.map(jnp.copy, optimizer.init(parameters))`.

    `step(..., sample_weight=w)` weights the examples. A network with a feedback rule needs its weights, `step(...,
    B=B)`. For rules whose weights are learnt, use `train`: `update_feedback` needs the old parameters, which are
    donated here.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> optimizer = optax.sgd(0.1)
        >>> step = jaxnet.make_update_step(optimizer)
        >>> parameters, opt_state, J = step(parameters, optimizer.init(parameters), X, Y)
        >>> list(parameters), J.shape
        (['W1', 'b1', 'W2', 'b2'], ())
    """
    return jax.jit(partial(update, optimizer=optimizer, network=network), donate_argnums=(0, 1))
