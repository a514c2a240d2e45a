"""The protocol of a gradient of any function, and of a `jax.custom_vjp`: what holds whatever the values are."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..compare import ROUNDOFF
from ..properties import close, promise, same
from ..report import ProtocolCheck, Verdict
from .arguments import dtype_of, fresh
from .function import Function


ROUNDINGS = 1e3  # of the largest entry, that two evaluations may differ by


class Steady(NamedTuple):
    """Whether the function and its gradient are the same twice."""

    of_function: bool
    check: ProtocolCheck


def in_precision_of(args: tuple) -> AbstractContextManager:
    """float64 for code that is given float64, which JAX would otherwise cut to float32."""
    return jax.enable_x64(any(str(getattr(leaf, "dtype", "")) == "float64" for leaf in jax.tree.leaves(args)))


def called_twice(gradient: Callable[..., Any], function: Function) -> tuple[Any, Steady]:
    """The gradient, and whether it and the function give the same twice for fresh copies of the same arguments."""
    with in_precision_of(function.args):
        values = [_arrays(function.fun(*fresh(function.args))) for _ in range(2)]
        gradients = [gradient(*fresh(function.args)) for _ in range(2)]
    of_function, of_gradient = _same(*values), _same(*map(_arrays, gradients))
    found = [f"fun returns {' and '.join(map(_shown, values))}"] * (not of_function)
    found += ["the gradient returns two things"] * (not of_gradient)
    text = f"called twice with the same arguments, {', and '.join(found)}"
    if not of_function:
        text += ": make it a function of its arguments alone (pass the key, the mask or the seed)"
    return gradients[0], Steady(of_function, promise("deterministic", of_function and of_gradient, text))


def gradient_protocol(gradient: Callable[..., Any], function: Function) -> list[ProtocolCheck]:
    """Arguments unchanged, and, for JAX code, the same under `jit` and `vmap`."""
    args = fresh(function.args)
    with in_precision_of(args):
        first = _arrays(gradient(*args))
        untouched = jax.tree.structure(args) == jax.tree.structure(function.args)
        untouched = untouched and _same(_arrays(args), _arrays(function.args))
        return [
            promise("inputs unchanged", untouched, "it writes into its arguments"),
            *_transformed(gradient, fresh(function.args), first),
        ]


def _transformed(gradient: Callable[..., Any], args: tuple, first: list[np.ndarray]) -> list[ProtocolCheck]:
    try:
        compiled = _arrays(jax.jit(gradient)(*args))
    except Exception:  # of whatever kind: NumPy code, which does not promise it
        return []
    jit = promise("jit", _all_close(compiled, first), "compiled, it returns something else")
    try:
        axes = jax.tree.map(lambda leaf: None if isinstance(leaf, int) else 0, args)
        mapped = _arrays(jax.jit(jax.vmap(gradient, axes))(*jax.tree.map(_doubled, args)))
    except Exception as error:
        return [jit, ProtocolCheck("vmap", Verdict.INCONCLUSIVE, f"it cannot be mapped: {type(error).__name__}")]
    holds = _all_close([a[1, ...] for a in mapped], first)
    return [jit, promise("vmap", holds, "mapped over two copies of the arguments, it returns something else")]


def rule_protocol(fun: jax.custom_vjp, function: Function) -> list[ProtocolCheck]:
    """The primal unchanged, and the rule linear in its cotangent."""
    with in_precision_of(function.args):
        value, transpose = jax.vjp(
            lambda *selected: fun(*function.with_selected(function.args, selected)), *function.selected
        )
        primal = _all_close(_arrays(value), _arrays(fun.fun(*function.args)))
        one = jax.tree.map(jnp.ones_like, value)
        other = jax.tree.map(lambda ct, part: jnp.asarray(ct, part.dtype), function.cotangent, value)
        both = jax.tree.map(lambda a, b: 3 * a - 2 * b, one, other)
        of_one, of_other, of_both = (_arrays(transpose(ct)) for ct in (one, other, both))
        of_zero = _arrays(transpose(jax.tree.map(jnp.zeros_like, value)))
    linear = all(map(_linear, of_one, of_other, of_both, of_zero))
    return [
        promise("primal unchanged", primal, "under the rule the function has another value than without it"),
        promise("linear in the cotangent", linear, "twice the cotangent is not twice the gradient"),
    ]


def _linear(of_one: np.ndarray, of_other: np.ndarray, of_both: np.ndarray, of_zero: np.ndarray) -> bool:
    """Is it, where the gradient is finite? Infinite it is for other cotangents too, and inf - inf and 0 inf are NaN."""
    if not (of_one.shape == of_other.shape == of_both.shape == of_zero.shape):
        return False
    a, b, both, zero = (array.astype(np.float64) for array in (of_one, of_other, of_both, of_zero))
    finite = np.isfinite(a) & np.isfinite(b)
    infinite = ~np.isfinite(a) & ~np.isfinite(b)
    if np.any(zero[finite]) or np.isfinite(both[infinite]).any():
        return False
    room = _room(of_both, (np.abs(a) + np.abs(b))[finite])
    return close((3 * a - 2 * b)[finite], both[finite], room)


def _arrays(tree: Any) -> list[np.ndarray]:
    """The leaves that are numbers, as NumPy arrays; keys as their bits."""
    leaves = [jax.random.key_data(x) if _is_key(x) else x for x in jax.tree.leaves(tree)]
    arrays = [np.asarray(leaf) for leaf in leaves if dtype_of(leaf) != jax.dtypes.float0]
    return [a for a in arrays if a.dtype.kind in "biufc" or str(a.dtype) in ROUNDOFF]


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _doubled(leaf: Any) -> Any:
    """Two copies; numbers of Python that are static in most code, its integers and flags, stay as they are."""
    if isinstance(leaf, int):
        return leaf
    return jnp.stack([leaf] * 2) if _is_key(leaf) else np.stack([np.asarray(leaf)] * 2)


def _shown(value: list[np.ndarray]) -> str:
    return f"{float(value[0].ravel()[0]):.9g}" + (", ..." if sum(part.size for part in value) > 1 else "")


def _same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(map(same, a, b))


def _all_close(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(close(x, y, _room(y, y)) for x, y in zip(a, b, strict=True))


def _room(array: np.ndarray, size: np.ndarray) -> float:
    """How far rounding takes two evaluations apart: of the largest entry that is finite."""
    magnitude = np.abs(size.astype(np.float64))
    eps = float(jnp.finfo(array.dtype).eps) if jnp.issubdtype(array.dtype, jnp.floating) else 0.0
    return ROUNDINGS * eps * float(np.max(magnitude[np.isfinite(magnitude)], initial=0.0))
