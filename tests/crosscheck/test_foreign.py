"""What is an array of numbers, and what is not, in words."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.crosscheck.foreign import NotNumbers, as_numbers


class Raises:
    def __array__(self, *args, **options):
        raise RuntimeError("\x1b[31m")


@pytest.mark.parametrize(
    "value, dtype",
    [
        (np.ones((2, 3)), "float64"),
        (np.ones(2, np.float16), "float16"),
        (jnp.ones(2, jnp.bfloat16), "bfloat16"),
        (np.array([True]), "bool"),
        ([[1, 2], [3, 4]], "int64"),
        (3.5, "float64"),
        (np.ma.masked_array([1.0, 2.0]), "float64"),
    ],
    ids=["array", "float16", "bfloat16", "bool", "list", "scalar", "nothing masked"],
)
def test_numbers(value, dtype):
    array = as_numbers(value)
    assert type(array) is np.ndarray and array.dtype.name == dtype


@pytest.mark.parametrize(
    "value, words",
    [
        (None, "None"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), "a masked array with masked entries, which have no value"),
        ([[1, 2], [3]], "a ragged list"),
        ([None, 1.0], "a list with entries that are not numbers"),
        (["1.0", "2.0"], "a list with entries that are not numbers"),
        (np.array([None, 1.0]), "an array of dtype object"),
        (np.array(["1.0"]), "an array of text"),
        (np.array(["2020-01-01"], "M8[D]"), "an array of dtype datetime64[D]"),
        (np.ones(2) + 0j, "complex, of dtype complex128"),
        ({"dW": 1.0}, "of type dict"),
        ("1.0", "of type str"),
        (Raises(), "of type Raises, which raised RuntimeError when read as an array"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_what_is_not_numbers(value, words):
    with pytest.raises(NotNumbers) as caught:
        as_numbers(value)
    assert str(caught.value) == words
