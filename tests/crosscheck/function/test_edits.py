"""Wrong slopes in gradients of plain functions, in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.crosscheck.function.function import Function


X, Y = (np.random.default_rng(n).normal(size=(n, 7)) for n in (3, 2))
P = {name: np.random.default_rng(shape).normal(size=shape) for name, shape in (("V", (4, 3)), ("W", (2, 4)))}


def fun(p):
    A = jax.nn.relu(p["V"] @ X)
    return jnp.mean(jnp.sum((jnp.tanh(p["W"] @ A) - Y) ** 2, 0))


def grad(p, *, relu=lambda Z: Z > 0, tanh=lambda A: 1 - A**2, m=7):
    Z = p["V"] @ X
    A = np.maximum(Z, 0)
    AL = np.tanh(p["W"] @ A)
    dZ = 2 * (AL - Y) * tanh(AL)
    return {"V": p["W"].T @ dZ * relu(Z) @ X.T / m, "W": dZ @ A.T / m}


@pytest.mark.parametrize(
    "slip, leaves, text",
    [
        ({"relu": lambda Z: 1}, ["V"], "the derivative of relu is missing"),
        ({"tanh": lambda A: 1}, ["V", "W"], "the derivative of tanh is missing"),
        ({"tanh": lambda A: (1 - A**2) ** 2}, ["V", "W"], "the derivative of tanh is multiplied in twice"),
        ({"tanh": lambda A: 1 - np.tanh(A) ** 2}, ["V", "W"], "the derivative of tanh is taken at its output"),
        ({"m": 1}, ["V", "W"], "7 is the length of an axis of an array that fun uses: does a sum stand where a mean"),
    ],
    ids=["relu", "missing", "twice", "at output", "m"],
)
@pytest.mark.few(2)
def test_a_wrong_slope_is_named(slip, leaves, text):
    report = jaxnet.check_gradient(fun, lambda p: grad(p, **slip), args=(P,))
    assert [finding.place for finding in report.findings] == [f"p['{leaf}']" for leaf in leaves]
    assert all(text in finding.text for finding in report.findings), report


def test_operations_of_one_kind_are_numbered():
    def chain(x):
        return jnp.sum(jnp.tanh(2 * jnp.tanh(3 * x)))

    slips = Function(chain, (np.linspace(-1, 1, 5),), 0).slips
    texts = [slip.text for slip in slips if slip.code == "slope-missing"]
    which = ["number 1 of 2", "number 2 of 2", "all 2 of them"]
    assert texts == [f"the derivative of tanh, {words}, is missing" for words in which]
    inner = np.tanh(3 * np.linspace(-1, 1, 5))
    np.testing.assert_allclose(slips[0].grads[0], 6 * (1 - np.tanh(2 * inner) ** 2), rtol=1e-12)


def test_numpy_code_has_no_program():
    assert Function(lambda x: np.sum(np.tanh(np.asarray(x))), (np.ones(2),), 0).slips == []
