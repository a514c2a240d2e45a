"""The temporary memory of jaxnet's compiled step and of autodiff's, in bytes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

import jaxnet

from ..problem import Problem
from . import autodiff, jaxnet as ours


def prepare(problem: Problem) -> Callable[[int], Callable[[], list[int]]]:
    network = jaxnet.Network(loss=problem.case.loss)
    parameters = jax.tree.map(jnp.asarray, dict(problem.parameters))
    state = jaxnet.init_state(jaxnet.FrozenDict(parameters), ours.OPTIMIZER)
    steps = [
        (jaxnet.make_update_step(ours.OPTIMIZER, network), state),
        (autodiff.autodiff_step(ours.OPTIMIZER, problem.case.loss), (parameters, ours.OPTIMIZER.init(parameters))),
    ]
    X, Y = (jnp.asarray(data[:, : problem.case.m]) for data in (problem.X, problem.Y))

    def run(n: int) -> Callable[[], list[int]]:
        found = []
        for step, state in steps:
            compiled = step.lower(X, Y, state).compile()
            found.append(compiled.memory_analysis().temp_size_in_bytes)
        return lambda: found

    return run
