"""Single arguments: what is a number, a count, a key, an array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.arguments import check_count, check_key, check_number
from jaxnet.errors import InputError


MASKED = np.ma.masked_array(1.0, True)


@pytest.mark.parametrize(
    "value", [0, 0.5, np.float32(0.5), np.int8(1), np.array(0.5), jnp.float32(0.5), jnp.bfloat16(1)]
)
def test_a_number_passes(value):
    check_number("rate", value, "a number from 0", lambda x: x >= 0)


@pytest.mark.parametrize(
    "value, message",
    [
        (None, "rate is None; expected a number from 0"),
        (True, "rate is True; expected"),
        (np.True_, "rate is np.True_; expected"),
        ("0.1", "rate is '0.1'; expected"),
        (1j, "rate is 1j; expected"),
        (-1, "rate is -1; expected"),
        (np.nan, "rate is nan; expected"),
        (np.inf, "rate is inf; expected"),
        pytest.param(10**400, r"rate is 10{59}; expected", id="beyond floats"),
        ([0.1], r"rate is \[0.1\]; expected"),
        ([], r"rate is \[\]; expected"),
        ([1, [2]], r"rate is \[1, \[2\]\]; expected"),
        (np.ones((1, 2)), r"rate has shape \(1, 2\); expected"),
        (np.array("0.1"), r"rate is an array of shape \(\) and dtype <U3; expected"),
        (MASKED, r"rate is an array of shape \(\) and dtype float64; expected"),
        (object(), "rate is of type object; expected"),
        (np.datetime64("2020-01-01"), "rate is of type datetime64; expected"),
    ],
)
def test_what_is_not_a_number_is_refused(value, message):
    with pytest.raises(InputError, match=message):
        check_number("rate", value, "a number from 0", lambda x: x >= 0)


def test_of_a_tracer_only_the_shape_is_known():
    def f(x):
        check_number("rate", x, "a number above 0", lambda x: x > 0)
        return x

    assert jax.jit(f)(-1.0) == -1
    with pytest.raises(InputError, match=r"rate has shape \(2,\); expected a number above 0"):
        jax.jit(f)(jnp.ones(2))


@pytest.mark.parametrize("value", [1, np.int64(3), np.uint8(3)])
def test_a_count_passes(value):
    check_count("steps", value)


@pytest.mark.parametrize(
    "value, message",
    [
        (0, "steps is 0; expected a whole number from 1"),
        (2.5, "steps is 2.5; expected a whole number from 1"),
        (1e3, "steps is 1000.0; expected a whole number from 1: pass 1000"),
        (np.inf, "steps is inf; expected a whole number from 1"),
        ("3", "steps is '3'; expected"),
        (True, "steps is True; expected"),
        (None, "steps is None; expected"),
        (jnp.ones(2, int), r"steps is an array of shape \(2,\) and dtype int32; expected"),
    ],
)
def test_what_is_not_a_count_is_refused(value, message):
    with pytest.raises(InputError, match=message):
        check_count("steps", value)


@pytest.mark.parametrize("key", [jax.random.key(0), jax.random.PRNGKey(0), np.zeros(2, np.uint32)])
def test_a_key_passes(key):
    check_key(key)


@pytest.mark.parametrize(
    "key, message",
    [
        (7, r"key is 7; expected a random key of JAX: pass jax.random.key\(7\)"),
        (None, r"key is None; expected a random key of JAX: pass jax.random.key\(0\)"),
        (np.zeros(2), r"key is an array of shape \(2,\) and dtype float64"),
        (jax.random.split(jax.random.key(0)), r"key is an array of shape \(2,\) and dtype key<fry>"),
        (np.random.default_rng(0), "key is of type Generator"),
    ],
)
def test_what_is_not_a_key_is_refused(key, message):
    with pytest.raises(InputError, match=message):
        check_key(key)
