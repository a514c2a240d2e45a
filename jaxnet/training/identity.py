"""What the steps of a run depend on, as short texts: where they are equal, a run that is started again is the same."""

import dataclasses
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from ..hoisting import constants_of, digest_of
from ..optimizer import GRADIENT_DESCENT, descend
from ..types import AnyArray, Inputs, PRNGKeyArray
from ..update import TrainState, update
from .loop import StepConfig, before_steps


PROGRAMS = "network", "optimizer"  # what is known by its program, as the same version of JAX and optax writes it


def identity(
    X: Inputs, Y: AnyArray, first: TrainState, config: StepConfig, key: PRNGKeyArray | None, settings: dict[str, Any]
) -> dict[str, str]:
    """By the name of each argument of `train`, a digest or the value itself.

    Networks and optimizers are functions, which have no name of their own: they are known by the programs that they
    trace to, with every constant in them. Nothing is compiled.
    """
    first = before_steps(first, config.optimizer)
    own = {field.name: repr(getattr(config, field.name)) for field in dataclasses.fields(config)}
    return {
        "X": digest_of([X]),
        "Y, sample_weight or class_weight": digest_of([Y]),
        "state, which is where it starts": digest_of(jax.tree.leaves(first)),
        "key": "" if key is None else digest_of([jax.random.key_data(key)]),
        **{("lambd" if name == "l2" else name): value for name, value in own.items() if name != "weighted"},
        **{name: repr(value) for name, value in settings.items()},
        "network": _network(first, config),
        "optimizer": _optimizer(first, config),
    }


def differences(before: dict[str, str], now: dict[str, str], same_versions: bool) -> list[str]:
    """The names of what differs."""
    names = {*before, *now} - (set() if same_versions else set(PROGRAMS))
    return sorted(name for name in names if before.get(name) != now.get(name))


def versions() -> str:
    """Of what writes the programs."""
    return f"jax {version('jax')}, optax {version('optax')}"


def _network(first: TrainState, config: StepConfig) -> str:
    """The program of a step by gradient descent: activation, loss and feedback rule."""
    n_L, n_x = len(first.parameters[f"b{len(first.parameters) // 2}"]), first.parameters["W1"].shape[1]
    X, Y = (jax.ShapeDtypeStruct((n, 1), first.parameters["W1"].dtype) for n in (n_x, n_L))
    state = before_steps(first._replace(opt_state=None), GRADIENT_DESCENT)

    def step(X, Y, state, key):
        return update(X, Y, state, GRADIENT_DESCENT, config.network, key=key)

    return _program(step, X, Y, state, jax.eval_shape(lambda: jax.random.key(0)))


def _optimizer(first: TrainState, config: StepConfig) -> str:
    """The program of a step along some gradient."""

    def step(gradient, opt_state, parameters, J):
        return descend(config.optimizer, gradient, opt_state, parameters, J, lambda parameters: J)

    J = jax.ShapeDtypeStruct((), first.parameters["W1"].dtype)
    return _program(step, first.parameters, first.opt_state, first.parameters, J)


def _program(step: Callable, *arguments: Any) -> str:
    program = jax.make_jaxpr(step)(*arguments)
    text = re.sub(r"0x[0-9a-f]+", "", str(program))  # where functions lie in memory
    return digest_of([np.frombuffer(text.encode(), np.uint8), *constants_of(program)])
