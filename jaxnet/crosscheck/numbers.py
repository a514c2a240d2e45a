"""What somebody's function returned, as an array of numbers; or, in words, what it is instead."""

from typing import Any

import numpy as np

from .raised import kind_of_value


COARSE = ("bfloat16", "float8_e4m3fn", "float8_e5m2")  # numbers that NumPy does not know as such


class NotNumbers(Exception):
    """The words complete "dW is ...": "None", "a ragged list", "complex"."""


def as_numbers(value: Any) -> np.ndarray:
    """The value as an array of booleans, integers or reals. Raises `NotNumbers` for everything else.

    `np.asarray(value, float)` would drop a mask and an imaginary part, and make NaN of None and a number of a text.
    """
    if value is None:
        raise NotNumbers("None")
    if np.ma.isMaskedArray(value) and np.ma.is_masked(value):
        raise NotNumbers("a masked array with masked entries, which have no value")
    try:
        array = np.asarray(value)
    except Exception as error:  # of any kind: `__array__` is somebody's own
        if type(value) in (list, tuple):
            raise NotNumbers(f"a ragged {type(value).__name__}") from error
        words = f"of type {kind_of_value(value)}, which raised {kind_of_value(error)} when read as an array"
        raise NotNumbers(words) from error
    if array.dtype.kind in "biuf" or array.dtype.name in COARSE:
        return array
    if array.dtype.kind == "c":
        raise NotNumbers(f"complex, of dtype {array.dtype.name}")
    if type(value) in (list, tuple):
        raise NotNumbers(f"a {type(value).__name__} with entries that are not numbers")
    if isinstance(value, np.ndarray):
        words = "text" if array.dtype.kind in "US" else f"dtype {array.dtype.name}"
        raise NotNumbers(f"an array of {words}")
    raise NotNumbers(f"of type {kind_of_value(value)}")
