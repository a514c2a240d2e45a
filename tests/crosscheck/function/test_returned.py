"""What a gradient function may return for arguments that have no derivative, and what is no gradient at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import Verdict, check_gradient


KEY = jax.random.key(0)
x = np.array([1.0, 2.0, 3.0])
ARGUMENT = {"x": x, "key": KEY, "n": jnp.int32(3), "flag": True, "empty": np.zeros((0, 4))}


def fun(p):
    return jnp.sum(p["x"] ** 2 * jax.random.uniform(p["key"], p["x"].shape)) * p["n"].astype(p["x"].dtype)


def right(p):
    return 2 * p["x"] * jax.random.uniform(p["key"], p["x"].shape) * p["n"].astype(p["x"].dtype)


@pytest.mark.parametrize("others", [
    {},
    dict.fromkeys(["key", "n", "flag", "empty"]),
    {"key": np.zeros((), jax.dtypes.float0), "n": 0, "flag": False, "empty": np.zeros((0, 4))},
])  # fmt: skip
@pytest.mark.few(1)
def test_what_has_no_derivative_may_be_zeros_or_none(others):
    report = check_gradient(fun, lambda p: {"x": right(p)} | others, args=(ARGUMENT,))
    assert report.agrees and [leaf.name for leaf in report.leaves] == ["p['x']"], str(report)


@pytest.mark.parametrize("name, value", [("n", 1.0), ("flag", True), ("key", KEY), ("n", "word")])
def test_anything_else_is_a_finding(name, value):
    report = check_gradient(fun, lambda p: {"x": right(p), name: value}, args=(ARGUMENT,))
    assert report.verdict is Verdict.DISAGREE and report.first_bad == f"p['{name}']"
    assert "has no derivative, is" in report.reason and "expected zeros, float0 or None" in report.reason


def test_the_gradient_of_jax_for_integers_is_right():
    p = {name: leaf for name, leaf in ARGUMENT.items() if name != "flag"}
    assert check_gradient(fun, jax.grad(fun, allow_int=True), args=(p,)).agrees


def test_a_rule_may_have_keys_and_integers():
    @jax.custom_vjp
    def f(x, key, n):
        return jnp.sum(x * jax.random.uniform(key, x.shape)) * n.astype(x.dtype)

    def backward(args, ct):
        x, key, n = args
        return ct * jax.random.uniform(key, x.shape) * n.astype(x.dtype), None, None

    f.defvjp(lambda *args: (f(*args), args), backward)
    for wrt in (0, (0, 1, 2)):
        assert check_gradient(f, args=(x, KEY, jnp.int32(2)), wrt=wrt).agrees


@pytest.mark.parametrize("wrong, message", [
    (lambda g: g.astype(object), "the gradient by x is object; expected an array of floats"),
    (lambda g: g.astype(str), "the gradient by x is <U32; expected an array of floats"),
    (lambda g: "2 x", "the gradient by x is <U3; expected an array of floats"),
    (lambda g: g + 0j, "the gradient by x is complex128; expected an array of floats"),
    (lambda g: np.array(["2020-01-01"] * 3, "M8[D]"), r"the gradient by x is datetime64\[D\]"),
    (lambda g: KEY, "the gradient by x is key<fry>; expected an array of floats"),
    (lambda g: print, "the gradient by x is object; expected an array of floats"),
    (list, r"the gradient has the leaves [0], [1], [2]; expected those of args[wrt]: one array"),
    (lambda g: {"x": g}, "the gradient has the leaves ['x']; expected those of args[wrt]: one array"),
    (lambda g: None, "the gradient has the leaves none; expected those of args[wrt]: one array"),
])  # fmt: skip
def test_what_is_no_gradient_is_a_finding(wrong, message):
    report = check_gradient(lambda x: np.sum(x**2), lambda x: wrong(2 * x), args=(x,))
    assert report.verdict is Verdict.DISAGREE and report.findings[0].text == report.reason
    assert message.replace("\\", "") in report.reason and report.reason in str(report)


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (1,), (), (2,), (0,), (3, 3)])
def test_another_shape_is_a_finding(shape):
    report = check_gradient(lambda x: np.sum(x**2), lambda x: np.ones(shape), args=(x,))
    assert report.verdict is Verdict.DISAGREE and report.reason == f"x: shape {shape}; expected (3,)"
    assert report.findings


def test_integers_are_judged_by_their_numbers_with_a_note():
    report = check_gradient(lambda x: np.sum(x**2), lambda x: (2 * x).astype(int), args=(x,))
    assert report.agrees and "x: the gradient is int64, which holds no fractions: return floats" in report.conventions
    report = check_gradient(lambda x: np.sum(x**3) / 2, lambda x: (1.5 * x**2).astype(int), args=(x,))
    assert report.verdict is Verdict.DISAGREE and "holds no fractions" in str(report)
