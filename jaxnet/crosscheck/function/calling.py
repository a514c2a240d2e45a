"""Calls a gradient of any function, or the rule of a `jax.custom_vjp`, and looks at the properties that need no
reference."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..properties import (
    Answer,
    arguments_unchanged,
    close,
    is_key,
    judged,
    linear,
    numbers_in,
    of_two_copies,
    under_jit,
    unlike,
)
from ..report import Property
from .arguments import fresh, in_precision_of
from .function import Function


UNITS = 1e3  # of roundoff, of the largest entry, that two evaluations may differ by


class Called(NamedTuple):
    """A gradient at the point, and whether it and the function are the same twice."""

    gradient: Any
    function_is_steady: bool
    deterministic: Property


def called_twice(gradient: Callable[..., Any], function: Function) -> Called:
    """The gradient, and whether it and the function give the same twice for fresh copies of the same arguments."""
    with in_precision_of(function.args):
        values = [numbers_in(function.fun(*fresh(function.args))) for _ in range(2)]
        gradients = [gradient(*fresh(function.args)) for _ in range(2)]
    steady, same_gradient = not unlike(*values), not unlike(*map(numbers_in, gradients))
    found = [] if steady else [f"fun returns {' and '.join(map(_shown, values))}"]
    found += [] if same_gradient else ["the gradient returns two things"]
    text = f"called twice with the same arguments, {', and '.join(found)}"
    if not steady:
        text += ": make it a function of its arguments alone (pass the key, the mask or the seed)"
    return Called(gradients[0], steady, judged("deterministic", not found, text))


def gradient_protocol(gradient: Callable[..., Any], function: Function) -> list[Property]:
    """Arguments unchanged, and, for JAX code, the same under `jit` and `vmap`."""
    args = fresh(function.args)
    with in_precision_of(args):
        plain = numbers_in(gradient(*args))
        unchanged = arguments_unchanged(numbers_in(function.args), numbers_in(args))
        args = fresh(function.args)
        try:
            compiled = numbers_in(jax.jit(gradient)(*args))
        except Exception:  # of whatever kind: NumPy code, which need not be compiled
            return [unchanged]
        axes = jax.tree.map(lambda leaf: None if isinstance(leaf, int) else 0, args)

        def mapped(copies: tuple) -> Answer:
            return numbers_in(jax.jit(jax.vmap(gradient, axes))(*copies))

        jit = under_jit(compiled, plain, _differ)
        return [unchanged, jit, of_two_copies(mapped, jax.tree.map(_doubled, args), plain, _differ)]


def rule_protocol(fun: jax.custom_vjp, function: Function) -> list[Property]:
    """The primal unchanged, and the rule linear in its cotangent."""
    with in_precision_of(function.args):
        value, transpose = jax.vjp(
            lambda *selected: fun(*function.with_selected(function.args, selected)), *function.selected
        )
        primal = not _differ(numbers_in(value), numbers_in(fun.fun(*function.args)))
        other = jax.tree.map(lambda ct, part: jnp.asarray(ct, part.dtype), function.cotangent, value)
        return [
            judged("primal unchanged", primal, "under the rule the function has another value than without it"),
            linear(lambda ct: numbers_in(transpose(ct)), jax.tree.map(jnp.ones_like, value), other, _room),
        ]


def _doubled(leaf: Any) -> Any:
    """Two copies; numbers of Python that are static in most code, its integers and flags, stay as they are."""
    if isinstance(leaf, int):
        return leaf
    return jnp.stack([leaf] * 2) if is_key(leaf) else np.stack([np.asarray(leaf)] * 2)


def _shown(value: Answer) -> str:
    first = next(iter(value.values()))
    return f"{float(first.ravel()[0]):.9g}" + (", ..." if sum(part.size for part in value.values()) > 1 else "")


def _differ(a: Answer, b: Answer) -> list[str]:
    """The arrays in which two answers differ by more than rounding, or that one of them lacks."""
    names = dict.fromkeys([*a, *b])
    return [n for n in names if n not in a or n not in b or not close(a[n], b[n], _room(b[n], b[n]))]


def _room(array: np.ndarray, size: np.ndarray) -> float:
    """How far rounding takes two evaluations apart: of the largest entry that is finite."""
    magnitude = np.abs(size.astype(np.float64))
    eps = float(jnp.finfo(array.dtype).eps) if jnp.issubdtype(array.dtype, jnp.floating) else 0.0
    return UNITS * eps * float(np.max(magnitude[np.isfinite(magnitude)], initial=0.0))
