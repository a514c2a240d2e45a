"""Steps down the gradient: the course's update, and the compiled one with any optax optimizer."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .arguments import check_number
from .errors import InputError
from .feedback import Feedback
from .network import COURSE, Network, cost, cost_and_grads, parameter_grads
from .parameters import FrozenDict, layer_dims
from .regularization import l2_cost, l2_gradient
from .types import Cost, DTypeLike, Grads, Inputs, Labels, Masks, Parameters
from .weighting import SampleWeight


LEARNING_RATE = 0.0075  # the course's
# One optimizer a rate: a function that has it as a static argument is compiled anew for every new one.
gradient_descent = lru_cache(maxsize=64)(optax.sgd)
GRADIENT_DESCENT = gradient_descent(LEARNING_RATE)


def update_parameters(parameters: Parameters, grads: Grads, learning_rate: float) -> FrozenDict:
    """W_l - alpha dW_l,  b_l - alpha db_l, as new parameters; the arguments are not touched.

    Raises `InputError`, naming the entry, for a gradient that is missing or would broadcast.
    """
    layer_dims(parameters)
    check_number("learning_rate", learning_rate, "one number")
    for name, value in parameters.items():
        _check_gradient(name, np.shape(value), grads)
    return FrozenDict({name: value - learning_rate * grads[f"d{name}"] for name, value in parameters.items()})


def _check_gradient(name: str, shape: tuple[int, ...], grads: Grads) -> None:
    if f"d{name}" not in grads:
        raise InputError(f"grads have the keys {', '.join(grads) or 'none'}; expected a d{name} among them")
    if np.shape(grads[f"d{name}"]) != shape:
        raise InputError(f"d{name} has shape {np.shape(grads[f'd{name}'])}; expected {shape}, that of {name}")


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
    """One step of `optimizer` along the hand-written gradient: new parameters, new state, and the cost before it.

    Pure and not compiled: `make_update_step` compiles it alone, the training loop inside its scan. `parameters` keep
    their tree structure. Optimizers that look at the cost (line searches, Polyak steps) are given it.
    `l2` is the course's lambd / m: l2 / 2 sum ||W_l||^2 is added to the cost. `masks`, `B`, `dtype` and `sample_weight`
    are those of `cost_and_grads`.
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
    """New parameters and new state: what an optimizer makes of a gradient, the cost, and the cost as a function."""
    updates, opt_state = optax.with_extra_args_support(optimizer).update(
        gradient, opt_state, parameters, value=J, grad=gradient, value_fn=objective
    )
    return cast(Parameters, optax.apply_updates(parameters, updates)), opt_state


def make_update_step(
    optimizer: optax.GradientTransformation = GRADIENT_DESCENT, network: Network = COURSE
) -> Callable[[Parameters, Any, Inputs, Labels], tuple[Parameters, Any, Cost]]:
    """`update` as one jitted function: (parameters, opt_state, X, Y) -> (parameters, opt_state, cost).

    `parameters` and `opt_state = optimizer.init(parameters)` are donated: their buffers become the new ones, so use
    what the step returns and not what you passed. The cost is the one before the step.

    A buffer can be donated once: where an optimizer's first state holds an array twice (L-BFGS, Prodigy, ...),
    start from `jax.tree.map(jnp.copy, optimizer.init(parameters))`.

    `step(..., sample_weight=w)` weights the examples. A network with a feedback rule needs its weights,
    `step(..., B=B)`. For those that learn too use `train`: what `update_feedback` compares with the new parameters is
    donated here.
    """
    return jax.jit(partial(update, optimizer=optimizer, network=network), donate_argnums=(0, 1))
