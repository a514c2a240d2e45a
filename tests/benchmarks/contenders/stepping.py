"""A Python loop around a step of JAX, (parameters, opt_state, X, Y) -> (parameters, opt_state, cost)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..problem import Problem


def repeat(
    step: Callable, optimizer: optax.GradientTransformation, problem: Problem, container: type
) -> Callable[[int], Callable[[], float]]:
    """`step` from the problem's weights; the gather of a batch is compiled into it, and the state donated."""
    parameters = container(jax.tree.map(jnp.asarray, problem.parameters))
    opt_state, done = optimizer.init(parameters), 0
    X, Y = jnp.asarray(problem.X), jnp.asarray(problem.Y)
    if problem.order is not None:
        X, Y = jnp.asarray(X.T), jnp.asarray(Y.T)  # gathering is fast where an example is a row of memory
        gathering = jax.jit(lambda p, s, X, Y, batch: step(p, s, X[batch].T, Y[batch].T), donate_argnums=(0, 1))

    def run(n: int) -> Callable[[], float]:
        nonlocal parameters, opt_state, done
        for batch in problem.examples(done, n * problem.case.unit):
            if batch is None:
                parameters, opt_state, _ = step(parameters, opt_state, X, Y)
            else:
                parameters, opt_state, _ = gathering(parameters, opt_state, X, Y, batch)
        done += n * problem.case.unit
        jax.block_until_ready(parameters)
        return lambda: problem.cost(jax.tree.map(np.asarray, dict(parameters)))

    return run
