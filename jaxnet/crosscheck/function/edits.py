"""The gradients of a traced function with one error in its chain rule: a slope missing, doubled, or of the wrong value.

A program of JAX is a list of operations; each that has a slope, such as tanh, is given another in turn.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


SLOPED = {
    "tanh": "tanh",
    "logistic": "sigmoid",
    "max": "relu",
    "exp": "exp",
    "log": "log",
    "sin": "sin",
    "cos": "cos",
    "sqrt": "sqrt",
    "log1p": "log1p",
    "square": "the square",
    "integer_pow": "the power",
    "erf": "erf",
}
MOST = 24  # operations with a slope that are looked at
Slope = Callable[[Callable, jax.Array, jax.Array], jax.Array]  # (f, x, f(x)) -> the value f(x) with another slope


class Edit(NamedTuple):
    """An error, in words, and the gradient with it."""

    code: str
    text: str
    grads: list[np.ndarray]


def _slope(f: Callable, x: jax.Array) -> jax.Array:
    return jax.lax.stop_gradient(jax.vjp(f, x)[1](jnp.ones_like(x))[0])


def _with(slope: Any, x: jax.Array, value: jax.Array) -> jax.Array:
    return jax.lax.stop_gradient(value) + slope * (x - jax.lax.stop_gradient(x))


SLIPS: dict[str, tuple[str, Slope]] = {
    "slope-missing": ("is missing", lambda f, x, y: _with(1.0, x, y)),
    "slope-doubled": ("is multiplied in twice", lambda f, x, y: _with(_slope(f, x) ** 2, x, y)),
    "slope-at-output": ("is taken at its output, not at its input", lambda f, x, y: _with(_slope(f, y), x, y)),
    "slope-negative": ("has the wrong sign", lambda f, x, y: _with(-_slope(f, x), x, y)),
}


def slope_edits(program: Any, leaves: Sequence[Any], others: Sequence[Any]) -> Iterator[Edit]:
    """The gradient with respect to the leaves for each error at each operation, and at all of one kind."""
    names = list(_sloped(program.jaxpr))
    if len(names) > MOST:
        return
    places = [({k}, name) for k, name in enumerate(names)]
    places += [({k for k, n in enumerate(names) if n == name}, name) for name in dict.fromkeys(names)]
    done = []
    for which, name in places:
        if which in done:
            continue
        done.append(which)
        for code, (words, slip) in SLIPS.items():
            value = _Edited(program, which, slip)
            with np.errstate(all="ignore"):
                grads = jax.grad(lambda leaves, value=value: value([*leaves, *others]))(list(leaves))
            yield Edit(
                code, f"the derivative of {name}{_which(which, name, names)} {words}", list(map(np.asarray, grads))
            )


def _which(which: set[int], name: str, names: Sequence[str]) -> str:
    """Which of the operations of a kind, in the order of the forward pass."""
    alike = [k for k, n in enumerate(names) if n == name]
    if len(alike) == len(which):
        return "" if len(alike) == 1 else f", all {len(alike)} of them,"
    return f", number {alike.index(next(iter(which))) + 1} of {len(alike)},"


class _Edited:
    """A program run anew, with another slope where the operations with a slope have these numbers."""

    def __init__(self, program: Any, which: set[int], slip: Slope):
        self.program, self.which, self.slip, self.count = program, which, slip, 0

    def __call__(self, inputs: Sequence[Any]) -> jax.Array:
        self.count = 0
        return self._run(self.program.jaxpr, self.program.consts, inputs)[0]

    def _run(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

        def read(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else known[atom]

        for eqn in jaxpr.eqns:
            values = [read(atom) for atom in eqn.invars]
            inner = _inner(eqn)
            if inner is not None:
                outputs = self._run(inner.jaxpr, inner.consts, values)
            else:
                bound = eqn.primitive.get_bind_params(eqn.params)
                functions, options = bound if isinstance(bound, tuple) else ([], bound)  # older JAX has both
                outputs = eqn.primitive.bind(*functions, *values, **options)
                outputs = list(outputs) if eqn.primitive.multiple_results else [outputs]
                if _has_slope(eqn):
                    outputs = [self._edited(eqn, values, outputs[0])]
            known |= dict(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _edited(self, eqn: Any, values: list[Any], output: Any) -> Any:
        number, self.count = self.count, self.count + 1
        if number not in self.which:
            return output
        at = next(i for i, atom in enumerate(eqn.invars) if not hasattr(atom, "val"))
        return self.slip(
            lambda x: eqn.primitive.bind(*values[:at], x, *values[at + 1 :], **eqn.params), values[at], output
        )


def _inner(eqn: Any) -> Any:
    """The program that an operation calls, if that is all it does."""
    if eqn.primitive.name not in ("pjit", "jit", "closed_call", "custom_jvp_call", "remat2", "checkpoint"):
        return None
    inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
    return inner if hasattr(inner, "consts") else None


def _has_slope(eqn: Any) -> bool:
    """Whether it is a known function of one array of floats, of the same shape."""
    free = [atom for atom in eqn.invars if not hasattr(atom, "val")]
    if eqn.primitive.name not in SLOPED or len(free) != 1:
        return False
    return free[0].aval.shape == eqn.outvars[0].aval.shape and free[0].aval.dtype.kind == "f"


def _sloped(jaxpr: Any) -> Iterator[str]:
    for eqn in jaxpr.eqns:
        inner = _inner(eqn)
        if inner is not None:
            yield from _sloped(inner.jaxpr)
        elif _has_slope(eqn):
            yield SLOPED[eqn.primitive.name]
