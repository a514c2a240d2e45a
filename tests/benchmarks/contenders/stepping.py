"""A Python loop around a step of JAX, (X, Y, state) -> (state, cost), where state[0] are the parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..problem import Problem


def repeat(step: Callable, state: Any, problem: Problem) -> Callable[[int], Callable[[], float]]:
    """`step` from this state; the gather of a batch is compiled into it, and the state donated."""
    done = 0
    X, Y = jnp.asarray(problem.X), jnp.asarray(problem.Y)
    if problem.order is not None:
        X, Y = jnp.asarray(X.T), jnp.asarray(Y.T)  # gathering is fast where an example is a row of memory
        gathering = jax.jit(lambda X, Y, state, batch: step(X[batch].T, Y[batch].T, state), donate_argnums=2)

    def run(n: int) -> Callable[[], float]:
        nonlocal state, done
        for batch in problem.examples(done, n * problem.case.unit):
            if batch is None:
                state, _ = step(X, Y, state)
            else:
                state, _ = gathering(X, Y, state, batch)
        done += n * problem.case.unit
        jax.block_until_ready(state)
        parameters = jax.tree.map(np.asarray, dict(state[0]))
        return lambda: problem.cost(parameters)

    return run
