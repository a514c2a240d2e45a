"""The protocol of a gradient of any function, and of a `jax.custom_vjp`: what holds whatever the values are."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .functions import Function
from .protocol import promise
from .report import ProtocolCheck, Verdict


ROUNDINGS = 1e3  # of the largest entry, that two evaluations may differ by


def in_precision_of(args: tuple) -> AbstractContextManager:
    """float64 for code that is given float64, which JAX would otherwise cut to float32."""
    return jax.enable_x64(any(str(getattr(leaf, "dtype", "")) == "float64" for leaf in jax.tree.leaves(args)))


def gradient_protocol(gradient: Callable[..., Any], function: Function) -> list[ProtocolCheck]:
    """Deterministic, arguments unchanged, and, for JAX code, the same under `jit` and `vmap`."""
    args = jax.tree.map(lambda leaf: np.array(leaf) if isinstance(leaf, np.ndarray) else leaf, function.args)
    with in_precision_of(args):
        first, second = _arrays(gradient(*args)), _arrays(gradient(*args))
        same = all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))
        pairs = zip(_arrays(args), _arrays(function.args), strict=True)
        untouched = all(a.tobytes() == b.tobytes() for a, b in pairs)
        return [
            promise("deterministic", same, "called twice, it returns two things"),
            promise("inputs unchanged", untouched, "it writes into its arguments"),
            *_transformed(gradient, args, first),
        ]


def _transformed(gradient: Callable[..., Any], args: tuple, first: list[np.ndarray]) -> list[ProtocolCheck]:
    try:
        compiled = _arrays(jax.jit(gradient)(*args))
    except Exception:  # of whatever kind: NumPy code, which does not promise it
        return []
    same = all(_close(a, b) for a, b in zip(compiled, first, strict=True))
    jit = promise("jit", same, "compiled, it returns something else")
    try:
        mapped = _arrays(
            jax.jit(jax.vmap(gradient))(*jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * 2), args))
        )
    except Exception as error:
        return [jit, ProtocolCheck("vmap", Verdict.INCONCLUSIVE, f"it cannot be mapped: {type(error).__name__}")]
    same = all(_close(a[1], b) for a, b in zip(mapped, first, strict=True))
    return [jit, promise("vmap", same, "mapped over two copies of the arguments, it returns something else")]


def rule_protocol(fun: jax.custom_vjp, function: Function) -> list[ProtocolCheck]:
    """The primal unchanged, and the rule linear in its cotangent."""
    with in_precision_of(function.args):
        value, transpose = jax.vjp(
            lambda *selected: fun(*function.with_selected(function.args, selected)), *function.selected
        )
        primal = all(_close(a, b) for a, b in zip(_arrays(value), _arrays(fun.fun(*function.args)), strict=True))
        one = jax.tree.map(jnp.ones_like, value)
        other = jax.tree.map(lambda ct, part: jnp.asarray(ct, part.dtype), function.cotangent, value)
        both = jax.tree.map(lambda a, b: 3 * a - 2 * b, one, other)
        of_one, of_other, of_both = (_arrays(transpose(ct)) for ct in (one, other, both))
        of_zero = _arrays(transpose(jax.tree.map(jnp.zeros_like, value)))
    sizes = [np.abs(a) + np.abs(b) for a, b in zip(of_one, of_other, strict=True)]
    sums = [3 * a - 2 * b for a, b in zip(of_one, of_other, strict=True)]
    linear = all(map(_close, sums, of_both, sizes)) and not any(np.any(g) for g in of_zero)
    return [
        promise("primal unchanged", primal, "under the rule the function has another value than without it"),
        promise("linear in the cotangent", linear, "twice the cotangent is not twice the gradient"),
    ]


def _arrays(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def _close(a: np.ndarray, b: np.ndarray, size: np.ndarray | None = None) -> bool:
    if a.shape != b.shape:
        return False
    scale = np.max(np.abs(np.asarray(b if size is None else size, np.float64)), initial=0)
    eps = float(jnp.finfo(b.dtype).eps) if jnp.issubdtype(b.dtype, jnp.floating) else 0.0
    return bool(np.all(np.abs(a.astype(np.float64) - b.astype(np.float64)) <= ROUNDINGS * eps * scale))
