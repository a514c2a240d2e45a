"""Checks of single arguments: numbers, counts and JAX keys. They add nothing to a traced program."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .errors import InputError


def check_number(name: str, value: Any, expected: str, fits: Callable[[Any], bool] = lambda number: True) -> None:
    """Raises `InputError` unless the value is one finite real number that fits; a tracer only for its shape."""
    if isinstance(value, jax.Array | np.ndarray) and value.shape != ():
        raise InputError(f"{name} has shape {value.shape}; expected {expected}")
    if isinstance(value, Tracer):
        return
    # To Python a boolean is an int, but whoever passes one does not mean a number.
    if _is_boolean(value) or not (isinstance(value, numbers.Real) or _is_real_scalar(value)):
        raise InputError(f"{name} is {_shown(value)}; expected {expected}")
    if not (_is_finite(value) and fits(value)):
        raise InputError(f"{name} is {value!s:.60}; expected {expected}")


def is_exactly(value: Any, number: float) -> bool:
    """Whether a value is this number, and is known to be: False for a value that is being traced."""
    return not isinstance(value, Tracer) and value == number


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raises `InputError` unless the value is a whole number from `least` that fits in 63 bits."""
    expected = f"a whole number from {least}"
    if isinstance(value, float) and value.is_integer():
        raise InputError(f"{name} is {value}; expected {expected}: pass {int(value)}")
    if _is_boolean(value) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} is {_shown(value)}; expected {expected}")
    if not least <= value < 2**63:
        raise InputError(f"{name} is {value!s:.60}; expected {expected}{', below 2^63' if value >= least else ''}")


def check_key(key: Any) -> None:
    """Raises `InputError` unless the key is one of JAX's: typed, or two or four raw uint32."""
    is_array = isinstance(key, jax.Array | np.ndarray)
    if is_array and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
        return
    if is_array and key.dtype == np.uint32 and key.shape in ((2,), (4,)):
        return
    seed = key if isinstance(key, int) and not isinstance(key, bool) else 0
    raise InputError(f"key is {_shown(key)}; expected a random key of JAX: pass jax.random.key({seed})")


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond all floats
        return False


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_real_scalar(value: Any) -> bool:
    is_array = isinstance(value, jax.Array | np.ndarray) and not np.ma.isMaskedArray(value)
    return (
        is_array
        and value.shape == ()
        and any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer))
    )


def _shown(value: Any) -> str:
    """A short value as it is written, any other by its type and shape."""
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    is_plain = isinstance(value, str | bytes | bool | np.bool_ | numbers.Number | list | tuple | dict | None)
    text = repr(value) if is_plain else ""
    return text if 0 < len(text) <= 60 and "\n" not in text else f"of type {type(value).__name__}"
