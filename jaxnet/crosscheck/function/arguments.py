"""What the arguments and the value of somebody's function may be, and their types: floats, keys and all else."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ..compare import ROUNDOFF


def fresh(args: tuple) -> tuple:
    """The arguments, NumPy arrays as copies, so that code that writes into them spoils nothing."""
    return jax.tree.map(lambda leaf: np.array(leaf) if isinstance(leaf, np.ndarray) else leaf, args)


def dtype_of(leaf: Any) -> Any:
    """The dtype of any leaf, keys of `jax.random.key` included; `object` where it is nothing like a number."""
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return leaf.dtype
    try:
        return np.asarray(leaf).dtype
    except Exception:  # of whatever kind: an object of the user's own
        return np.dtype(object)


def has_derivative(leaf: Any) -> bool:
    """Floats that are not empty have one; integers, flags, keys and all else are passed through as they are."""
    return str(dtype_of(leaf)) in ROUNDOFF and np.size(leaf) > 0


def check_arguments(named: Sequence[list[tuple[str, Any]]], positions: Sequence[int]) -> None:
    """Raises `InputError` where the leaves of the arguments cannot be differentiated by, those at `positions`."""
    for pairs in named:
        for name, leaf in pairs:
            if jnp.issubdtype(dtype_of(leaf), jnp.complexfloating):
                raise InputError(
                    f"{name} is {dtype_of(leaf)}; expected real numbers: pass its real and imaginary parts as two "
                    "arrays of floats"
                )
    selected = [pair for i in positions for pair in named[i]]
    for name, leaf in selected:
        dtype = dtype_of(leaf)
        if jnp.issubdtype(dtype, jnp.floating) and str(dtype) not in ROUNDOFF:
            raise InputError(f"{name} is {dtype}; expected one of {', '.join(ROUNDOFF)}")
        if has_derivative(leaf) and not np.isfinite(np.asarray(leaf, np.float64)).all():
            raise InputError(f"{name} has entries that are not finite; choose another point")
    if not any(has_derivative(leaf) for _, leaf in selected):
        if not selected:
            raise InputError("args[wrt] holds no array; expected floats to differentiate by")
        name, leaf = selected[0]
        if jnp.issubdtype(dtype_of(leaf), jnp.floating):
            raise InputError(f"{name} has shape {np.shape(leaf)}, which is empty; expected entries to differentiate by")
        raise InputError(f"{name} is {dtype_of(leaf)}; expected floats: nothing else has a derivative")


def check_value(value: Any, cotangent: Any) -> None:
    """Raises `InputError` where the value of a function has no derivative, or the cotangent is not one of it."""
    parts, given = jax.tree.leaves(value), jax.tree.leaves(cotangent)
    for part in parts:
        if jnp.issubdtype(dtype_of(part), jnp.complexfloating):
            raise InputError(f"fun returns {dtype_of(part)}; expected real numbers: return its real part or its square")
        if not jnp.issubdtype(dtype_of(part), jnp.floating):
            raise InputError(f"fun returns {dtype_of(part)}; expected floats: nothing else has a derivative")
    shapes, given_shapes = [np.shape(part) for part in parts], [np.shape(ct) for ct in given]
    if cotangent is None and (len(shapes) != 1 or math.prod(shapes[0]) != 1):
        raise InputError(f"fun returns shapes {shapes}; expected one number, or cotangent=... of those shapes")
    if cotangent is not None and given_shapes != shapes:
        raise InputError(f"cotangent has shapes {given_shapes}; expected those of fun's value, {shapes}")
    for ct in given:
        if not (dtype_of(ct).kind in "biuf" or str(dtype_of(ct)) in ROUNDOFF):
            raise InputError(f"cotangent is {dtype_of(ct)}; expected real numbers")
        if not np.isfinite(np.asarray(ct, np.float64)).all():
            raise InputError("cotangent has entries that are not finite; expected finite numbers")


def is_array(leaf: Any) -> bool:
    """Whether it is an array, of NumPy or of JAX."""
    return isinstance(leaf, jax.Array | np.ndarray)


def cast(leaf: Any, dtype: Any) -> Any:
    """Floats to `dtype`, the rest as it is. NumPy arrays are copied, so that a NumPy function may write into them."""
    if isinstance(leaf, jax.Array):
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
    return np.array(leaf, jnp.dtype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else None)


def cast64(leaf: Any) -> Any:
    """Arrays of floats to float64."""
    return cast(leaf, np.float64) if is_array(leaf) else leaf


def in_precision_of(args: tuple) -> AbstractContextManager:
    """float64 for code that is given float64, which JAX would otherwise cut to float32."""
    return jax.enable_x64(any(str(getattr(leaf, "dtype", "")) == "float64" for leaf in jax.tree.leaves(args)))
