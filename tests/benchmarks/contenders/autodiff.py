"""The step as anybody would write it in JAX: `jax.value_and_grad`, jitted and donated, of a plain dict."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

import jaxnet

from ..problem import LEARNING_RATE, Problem
from .stepping import repeat


def prepare(problem: Problem) -> Callable[[int], Callable[[], float]]:
    optimizer = optax.sgd(LEARNING_RATE)
    parameters = jax.tree.map(jnp.asarray, dict(problem.parameters))
    return repeat(autodiff_step(optimizer, problem.case.loss), (parameters, optimizer.init(parameters)), problem)


def autodiff_step(optimizer: optax.GradientTransformation, loss: str) -> Callable:
    """The forward pass and the loss are jaxnet's, the backward pass is JAX's."""
    network = jaxnet.Network(loss=loss)

    def cost(parameters, X, Y):
        _, caches = jaxnet.L_model_forward(X, parameters, network)
        return jnp.mean(network.loss.value(caches[-1].Z, Y))

    def step(X, Y, state):
        parameters, opt_state = state
        J, gradient = jax.value_and_grad(cost)(parameters, X, Y)
        updates, opt_state = optimizer.update(gradient, opt_state, parameters)
        return (optax.apply_updates(parameters, updates), opt_state), J

    return jax.jit(step, donate_argnums=2)
