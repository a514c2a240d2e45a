"""The temporary memory of jaxnet's compiled step and of autodiff's, in bytes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

import jaxnet

from ..problem import Problem
from . import autodiff, jaxnet as ours


def prepare(problem: Problem) -> Callable[[int], Callable[[], list[int]]]:
    network = jaxnet.Network(loss=problem.case.loss)
    steps = {
        jaxnet.FrozenDict: jaxnet.make_update_step(ours.OPTIMIZER, network),
        dict: autodiff.autodiff_step(ours.OPTIMIZER, problem.case.loss),
    }
    X, Y = (jnp.asarray(data[:, : problem.case.m]) for data in (problem.X, problem.Y))

    def run(n: int) -> Callable[[], list[int]]:
        found = []
        for container, step in steps.items():
            parameters = container(jax.tree.map(jnp.asarray, problem.parameters))
            compiled = step.lower(parameters, ours.OPTIMIZER.init(parameters), X, Y).compile()
            found.append(compiled.memory_analysis().temp_size_in_bytes)
        return lambda: found

    return run
