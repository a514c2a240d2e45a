"""Arguments that are not all floats, and functions that nothing can be held against: keys, flags, complex numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Verdict, check_gradient


KEY = jax.random.key(0)
x = np.array([1.0, 2.0, 3.0])


def noisy(x, key):
    return jnp.sum(x * jax.random.normal(key, x.shape))


@pytest.mark.parametrize("key", [KEY, jax.random.PRNGKey(0)], ids=["typed", "raw"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.few(1)
def test_a_key_is_passed_through(key, dtype, factor):
    report = check_gradient(
        noisy, lambda x, key: factor * jax.grad(noisy)(x, key), args=(jnp.asarray(x.astype(dtype)), key)
    )
    assert report.agrees == (factor == 1), str(report)
    assert {check.name for check in report.protocol if check.verdict is Verdict.AGREE} >= {"jit", "vmap"}


OTHERS = {
    "a power": (lambda x, n: jnp.sum(x**n), lambda x, n: n * x ** (n - 1), 3),
    "a power, NumPy": (lambda x, n: np.sum(x**n), lambda x, n: n * x ** (n - 1), 3),
    "a flag": (lambda x, f: jnp.sum(x**2 if f else x), lambda x, f: 2 * x, True),
    "a mask": (lambda x, m: jnp.sum(x[m] ** 2), lambda x, m: np.where(m, 2 * x, 0.0), x > 1),
    "indices": (lambda x, i: jnp.sum(x[i] ** 2), lambda x, i: np.bincount(i, 2 * x[i], 3), np.array([0, 2])),
    "an empty array": (lambda x, e: jnp.sum(x**2) + jnp.sum(e), lambda x, e: 2 * x, np.zeros((0, 3))),
    "a name": (lambda x, s: jnp.sum(getattr(jnp, s)(x)), lambda x, s: jnp.cos(x), "sin"),
    "a function": (lambda x, f: jnp.sum(f(x)), lambda x, f: jnp.cos(x), jnp.sin),
    "None": (lambda x, _: jnp.sum(x**2), lambda x, _: 2 * x, None),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.few(4)
def test_other_arguments_are_passed_through(name):
    fun, grad, other = OTHERS[name]
    report = check_gradient(fun, grad, args=(x, other))
    assert report.agrees, str(report)
    wrong = check_gradient(fun, lambda *args: 1.01 * grad(*args), args=(x, other), thorough=False)
    assert wrong.verdict is Verdict.DISAGREE


def test_a_function_may_write_into_its_arguments():
    def fun(x, y):
        y -= 1
        x *= 2
        return np.sum(x * y)

    report = check_gradient(fun, lambda x, y: 2 * (y - 1), args=(x.copy(), x + 1))
    assert report.agrees, str(report)


@pytest.mark.parametrize("write", [lambda p: p["x"].__imul__(2), lambda p: p.update(cache=p["x"])])
def test_a_gradient_that_writes_spoils_nothing_but_fails(write):
    def grad(p):
        right = 2 * p["x"]
        write(p)
        return {"x": right}

    report = check_gradient(lambda p: np.sum(p["x"] ** 2), grad, args=({"x": x.copy()},))
    assert report.reason == "the values are right, but this fails: inputs unchanged"


@pytest.mark.parametrize("wrt", [(1, 0), [1, 0]])
def test_arguments_in_another_order(wrt):
    report = check_gradient(lambda a, b: jnp.sum(a * b**2), lambda a, b: [2 * a * b, b**2], args=(x, x + 1), wrt=wrt)
    assert report.agrees and [leaf.name for leaf in report.leaves] == ["b", "a"]


def called(*_):
    raise AssertionError("work was begun")


@pytest.mark.parametrize(
    "fun, options, message",
    [
        (lambda x: abs(x).sum(), {"args": (x * 1j,)}, "x is complex128; expected real numbers: pass its real and"),
        (lambda x, c: abs(x * c).sum(), {"args": (x, 1j)}, "c is complex128; expected real numbers"),
        (lambda x: (x * 1j).sum(), {"args": (x,)}, "fun returns complex128; expected real numbers"),
        (lambda x: x, {"args": (x,), "cotangent": 1j * x}, "cotangent is complex128; expected real numbers"),
        (lambda x: x, {"args": (x,), "cotangent": np.nan * x}, "cotangent has entries that are not finite"),
        (lambda x: int(x.sum()), {"args": (x,)}, "fun returns int64; expected floats"),
        (lambda x: "3", {"args": (x,)}, "fun returns <U1; expected floats"),
        (lambda x: None, {"args": (x,)}, r"fun returns shapes \[\]; expected one number"),
        (noisy, {"args": (x, KEY), "wrt": 1}, "key is key<fry>; expected floats: nothing else has a derivative"),
        (lambda x: 1.0, {"args": ({},)}, r"args\[wrt\] holds no array"),
        (lambda x: x.sum(), {"args": (x.astype(np.longdouble),)}, "x is float128; expected one of float64, float32"),
        (lambda x: x.sum(), {"args": (x,), "wrt": (0, 0)}, r"wrt is \(0, 0\); expected every argument once"),
    ],
)
def test_what_has_no_derivative_is_refused_before_work(fun, options, message, no_shape_checks):
    with pytest.raises(jaxnet.InputError, match=message):
        check_gradient(fun, called, **options)


# ---- not the same twice


def test_a_random_function_is_reported_first():
    random = np.random.default_rng(0)
    report = check_gradient(lambda x: np.sum(x**2) + random.normal(), lambda x: 3 * x, args=(x,), thorough=False)
    assert report.verdict is Verdict.INCONCLUSIVE and not report.findings
    assert report.reason.startswith("called twice with the same arguments, fun returns 1")
    assert [(check.name, check.verdict) for check in report.protocol] == [("deterministic", Verdict.DISAGREE)]


def test_a_random_gradient_is_reported_first():
    random = np.random.default_rng(0)
    report = check_gradient(lambda x: jnp.sum(x**2), lambda x: x * random.normal(), args=(x,), thorough=False)
    assert report.verdict is Verdict.DISAGREE
    assert report.reason.startswith(
        "called twice with the same arguments, the gradient returns two things; besides, x:"
    )
    calls = []
    report = check_gradient(lambda p: jnp.sum(p["x"] ** 2), lambda p: calls.append(1) or {"x": p["x"]} | dict.fromkeys(
        ["y"] if len(calls) > 1 else [], 1.0), args=({"x": x},))  # fmt: skip
    assert report.verdict is Verdict.DISAGREE and "returns two things" in report.reason
