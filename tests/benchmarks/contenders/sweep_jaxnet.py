"""jaxnet: `sweep`, and `train` in a loop, here and in processes of joblib."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

import jaxnet

from ..sweep import RATES, STEPS, Problem


def prepare(problem: Problem) -> Callable[[int], float]:
    return _sweep(problem, None)


def prepare_one_key(problem: Problem) -> Callable[[int], Callable[[], None]]:
    sweep = _sweep(problem, jax.random.key(0))

    def run(n: int) -> Callable[[], None]:
        sweep(n)
        return lambda: None  # other examples in each step, and other costs

    return run


def _sweep(problem: Problem, key: Any) -> Callable[[int], float]:
    def run(n: int) -> float:
        del n
        swept = jaxnet.sweep(
            problem.X,
            problem.Y,
            problem.case.layer_dims,
            seeds=range(len(problem.seeds) // len(RATES)),
            learning_rate=list(RATES),
            optimizer=optax.sgd,
            loss=problem.case.loss,
            batch_size=problem.case.batch_size,
            num_iterations=STEPS,
            key=key,
        )
        jax.block_until_ready(swept.parameters[0])
        return float(np.mean(swept.costs[:, -1]))

    return run


def prepare_loop(problem: Problem) -> Callable[[int], float]:
    def run(n: int) -> float:
        del n
        return float(np.mean([train(problem, i) for i in range(len(problem.seeds))]))

    return run


def train(problem: Problem, i: int) -> float:
    """The last cost of one network."""
    trained = jaxnet.train(
        problem.X,
        problem.Y,
        {name: value[i] for name, value in problem.parameters.items()},
        num_iterations=STEPS,
        optimizer=optax.sgd(float(problem.rates[i])),
        network=jaxnet.Network(loss=problem.case.loss),
        batch_size=problem.case.batch_size,
        key=jax.random.key(int(problem.seeds[i])),
    )
    jax.block_until_ready(trained.parameters)
    return float(trained.costs[-1])


def prepare_joblib(problem: Problem) -> Callable[[int], float]:
    import joblib

    processes = joblib.Parallel(n_jobs=joblib.cpu_count())
    some = np.array_split(np.arange(len(problem.seeds)), joblib.cpu_count())

    def run(n: int) -> float:
        del n
        found = processes(joblib.delayed(_train_some)(problem, which.tolist()) for which in some)
        return float(np.mean(np.concatenate(list(found))))

    return run


def _train_some(problem: Problem, which: list[int]) -> list[float]:
    return [train(problem, i) for i in which]
