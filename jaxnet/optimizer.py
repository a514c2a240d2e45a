"""What is asked of an optax optimizer: its state, one step, and whether it can train one set of parameters."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

from .errors import InputError
from .parameters import FrozenDict
from .types import Cost, Parameters


LEARNING_RATE = 0.0075  # the course's


class _GradientDescent(optax.GradientTransformationExtraArgs):
    """`optax.sgd`, pickled by its learning rate: its functions are closures, which Python cannot pickle."""

    learning_rate: float

    def __reduce__(self):
        return gradient_descent, (self.learning_rate,)

    def __repr__(self) -> str:
        return f"gradient_descent({self.learning_rate})"


@lru_cache(maxsize=64)  # where the optimizer is a static argument, a new object would mean a new compilation
def gradient_descent(learning_rate: float) -> optax.GradientTransformationExtraArgs:
    """The `optax.sgd` with this learning rate, and the same object every time."""
    optimizer = _GradientDescent(*optax.sgd(learning_rate))
    optimizer.learning_rate = learning_rate
    return optimizer


GRADIENT_DESCENT = gradient_descent(LEARNING_RATE)


def descend(
    optimizer: optax.GradientTransformation,
    gradient: Parameters,
    opt_state: Any,
    parameters: Parameters,
    J: Cost,
    objective: Callable[[Parameters], Cost],
) -> tuple[Parameters, Any]:
    """The new parameters and state that `optimizer` makes of a gradient, the cost J, and the cost as a function.

    Raises `InputError` where the optimizer fails.
    """
    check_optimizer(optimizer)
    optimizer = optax.with_extra_args_support(optimizer)
    extra = {"value": J, "grad": gradient, "value_fn": objective}
    taken = inspect.signature(optimizer.update).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        # Line searches refuse names that they do not know, so this one is passed only to those that ask for it.
        extra["grad_fn"] = lambda parameters, _: jax.grad(objective)(parameters)
        extra = {name: value for name, value in extra.items() if name in taken}
    try:
        updates, opt_state = optimizer.update(gradient, opt_state, parameters, **extra)
    except InputError:
        raise
    except Exception as error:  # foreign code may raise anything
        raise InputError(
            f"the optimizer fails on the gradient, its state, the parameters and {', '.join(extra)}: "
            f"{type(error).__name__}: {first_line(error)}. Its state must be that of these parameters, as "
            "optimizer.init(parameters) makes it, and masks and labels the same kind of mapping; an optimizer that "
            "needs more than this needs a step of your own, with the gradient of `cost_and_grads`"
        ) from error
    return cast(Parameters, optax.apply_updates(parameters, updates)), opt_state


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
