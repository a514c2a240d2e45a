"""jaxnet: `train`, whole chunks of steps in one compiled scan, and `make_update_step`, called once a step."""

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Semaphore, Thread

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet

from ..problem import LEARNING_RATE, Problem
from .stepping import repeat


OPTIMIZER = optax.sgd(LEARNING_RATE)


def prepare_train(problem: Problem, reduce_inputs: bool = True) -> Callable[[int], Callable[[], float]]:
    """All examples: each run is a call of `train` from the first weights. Minibatches: one call that goes on."""
    return partial(_train_anew, problem, reduce_inputs) if problem.order is None else _train_on(problem)


def _train_on(problem: Problem) -> Callable[[int], Callable[[], float]]:
    """A single call, in a thread, that waits between turns: what a call begins with counts once in a long training.

    Data of few batches stand for such as have examples in all directions, so no inputs are reduced.
    """
    wanted, made = Semaphore(0), SimpleQueue()

    def wait(progress: jaxnet.Progress) -> None:
        made.put(progress)
        wanted.acquire()

    def train() -> None:
        try:
            wanted.acquire()
            jaxnet.train(
                jnp.asarray(problem.X),
                jnp.asarray(problem.Y),
                problem.parameters,
                num_iterations=10**9,
                chunk=problem.case.unit,
                on_chunk=wait,
                optimizer=OPTIMIZER,
                network=jaxnet.Network(loss=problem.case.loss),
                batch_size=problem.case.m,
                key=jax.random.key(0),
                reduce_inputs=False,
            )
        except BaseException as failure:
            made.put(failure)

    Thread(target=train, daemon=True).start()

    def run(n: int) -> Callable[[], float]:
        for _ in range(n):
            wanted.release()
            progress = made.get()
            if isinstance(progress, BaseException):
                raise progress
        jax.block_until_ready(progress.parameters)
        return lambda: problem.cost(jax.tree.map(np.asarray, dict(progress.parameters)))

    return run


def prepare_unreduced(problem: Problem) -> Callable[[int], Callable[[], float]]:
    return prepare_train(problem, reduce_inputs=False)


def _train_anew(problem: Problem, reduce_inputs: bool, n: int) -> Callable[[], float]:
    trained = jaxnet.train(
        problem.X,
        problem.Y,
        problem.parameters,
        num_iterations=n * problem.case.unit,
        optimizer=OPTIMIZER,
        network=jaxnet.Network(loss=problem.case.loss),
        reduce_inputs=reduce_inputs,
    )
    jax.block_until_ready(trained.parameters)
    return lambda: problem.cost(jax.tree.map(np.asarray, dict(trained.parameters)))


def prepare_step(problem: Problem) -> Callable[[int], Callable[[], float]]:
    step = jaxnet.make_update_step(OPTIMIZER, jaxnet.Network(loss=problem.case.loss))
    parameters = jaxnet.FrozenDict(jax.tree.map(jnp.asarray, problem.parameters))
    return repeat(step, jaxnet.init_state(parameters, OPTIMIZER), problem)
