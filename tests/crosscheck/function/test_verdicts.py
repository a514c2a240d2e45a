"""Where autodiff is NaN or infinite, what is known is compared, and what is not is never agreed with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import Verdict, check_backward, check_gradient, good_point
from jaxnet.activations import Activation
from jaxnet.crosscheck.function.differences import derivative, growth
from jaxnet.network import Network


AGREE, DISAGREE, INCONCLUSIVE = Verdict
Z = np.array([0.0, 1.0, 2.0, -1.0])  # one entry at the edge of the branch, one beyond it
INSIDE = np.array([-2.0, 1.0, 2.0, -1.0])


def masked(function):
    return lambda x: jnp.sum(jnp.where(x > 0, function(x), 0.0))


def root_slope(x):
    return np.where(x > 0, 0.5 / np.sqrt(np.where(x > 0, x, 1.0)), 0.0)


def changed(entry, by):
    return lambda x: root_slope(x) + by * (np.arange(x.size) == entry)


def sinc(x):
    return jnp.sum(jnp.where(x != 0, jnp.sin(x) / x, 1.0))


def sinc_slope(x):
    safe = np.where(x != 0, x, 1.0)
    return np.where(x != 0, (x * np.cos(x) - np.sin(x)) / safe**2, 0.0)


def log_sum_exp(x):
    return jnp.log(jnp.sum(jnp.exp(jnp.where(jnp.arange(x.size) < 2, x, -jnp.inf))))


def soft(x):
    e = np.exp(x) * (np.arange(x.size) < 2)
    return e / e.sum()


def quotient(x):
    return jnp.sum(jnp.where(x != 0, 1 / x, 0.0))


CASES = {
    "masked log, a constant": (masked(jnp.log), lambda x: 100 + 0 * x, Z, DISAGREE),
    "masked log, right": (masked(jnp.log), lambda x: (x > 0) / np.where(x > 0, x, 1), Z, INCONCLUSIVE),
    "masked log, autodiff": (masked(jnp.log), jax.grad(masked(jnp.log)), Z, INCONCLUSIVE),
    "masked root, right": (masked(jnp.sqrt), root_slope, INSIDE, AGREE),
    "masked root, autodiff": (masked(jnp.sqrt), jax.grad(masked(jnp.sqrt)), INSIDE, DISAGREE),
    "masked root, wrong where NaN": (masked(jnp.sqrt), changed(3, 0.01), INSIDE, DISAGREE),
    "masked root, wrong elsewhere": (masked(jnp.sqrt), changed(1, 0.01), INSIDE, DISAGREE),
    "masked root at the edge": (masked(jnp.sqrt), root_slope, Z, INCONCLUSIVE),
    "masked root at the edge, wrong": (masked(jnp.sqrt), changed(1, 0.01), Z, DISAGREE),
    "masked power, zeros": (masked(lambda x: x**0.5), np.zeros_like, Z, DISAGREE),
    "nothing but NaN, right": (masked(jnp.sqrt), np.zeros_like, -1 - Z**2, AGREE),
    "nothing but NaN, wrong": (masked(jnp.sqrt), lambda x: 0 * x + 1e-3, -1 - Z**2, DISAGREE),
    "float32": (masked(jnp.sqrt), root_slope, INSIDE.astype(np.float32), AGREE),
    "one number": (masked(jnp.sqrt), np.zeros_like, np.array(-1.0), AGREE),
    "sin x / x, right": (sinc, sinc_slope, Z, AGREE),
    "sin x / x, wrong": (sinc, lambda x: sinc_slope(x) + 0.01 * (x == 0), Z, DISAGREE),
    "-inf in log-sum-exp, right": (log_sum_exp, soft, Z, AGREE),
    "-inf in log-sum-exp, wrong": (log_sum_exp, lambda x: soft(x) + 0.01, Z, DISAGREE),
    "quotient, right": (quotient, lambda x: -1.0 * (x != 0) / np.where(x != 0, x, 1) ** 2, Z, INCONCLUSIVE),
    "quotient, wrong": (quotient, lambda x: 0 * x + 3, Z, DISAGREE),
    "norm at 0, zeros": (jnp.linalg.norm, np.zeros_like, 0 * Z, AGREE),
    "norm at 0, autodiff": (jnp.linalg.norm, jax.grad(jnp.linalg.norm), 0 * Z, INCONCLUSIVE),
    "norm at 0, wrong": (jnp.linalg.norm, lambda x: 0 * x + 5, 0 * Z, DISAGREE),
    "one number at a kink, autodiff": (
        lambda x: jnp.sqrt(x * x),
        jax.grad(lambda x: jnp.sqrt(x * x)),
        Z[0],
        INCONCLUSIVE,
    ),
    "one number at a kink, zero": (lambda x: jnp.sqrt(x * x), np.zeros_like, Z[0], AGREE),
    "one number at a kink, wrong": (lambda x: jnp.sqrt(x * x), lambda x: x + 2, Z[0], DISAGREE),
    "a value that is NaN": (lambda x: jnp.sum(jnp.log(x)), lambda x: 1 / x, INSIDE, INCONCLUSIVE),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.few(4)
def test_a_nan_of_autodiff_hides_nothing(name):
    fun, grad, x, verdict = CASES[name]
    report = check_gradient(fun, grad, args=(x,), thorough=False)
    assert report.verdict is verdict, str(report)


def test_the_entries_and_the_usual_cause_are_named():
    report = check_gradient(masked(jnp.log), lambda x: (x > 0) / np.where(x > 0, x, 1), args=(Z,), thorough=False)
    assert "nothing can judge 1 of 4 entries ([0]): autodiff is not finite there" in report.reason
    (note,) = report.conventions
    assert "x: autodiff gives NaN or inf at 1 of 4 entries ([0]); finite differences decide 0 of them" in note
    assert "a `where` around a function that is infinite or undefined in the branch not taken" in note
    report = check_gradient(masked(jnp.sqrt), changed(3, 0.01), args=(INSIDE,), thorough=False)
    (leaf,) = report.leaves
    assert (leaf.wrong_entries, leaf.worst, leaf.want) == (1, (3,), 0.0) and "at 2 of 4 entries" in report.conventions[
        0
    ]


@pytest.mark.parametrize("off, verdict", [(0.0, AGREE), (-5.0, DISAGREE)])
@pytest.mark.few(1)
def test_a_rule_of_norms_with_a_row_of_zeros(off, verdict):
    @jax.custom_vjp
    def norms(X):
        return jnp.sum(jnp.sqrt(jnp.sum(X * X, axis=1)))

    def backward(X, ct):
        size = jnp.sqrt(jnp.sum(X * X, axis=1, keepdims=True))
        return (ct * (X / jnp.where(size > 0, size, 1) + off),)

    norms.defvjp(lambda X: (norms(X), X), backward)
    report = check_gradient(norms, args=(jnp.array([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]]),))
    assert report.verdict is verdict, str(report)


@pytest.mark.parametrize("leaf, factor, verdict", [("a", 1, AGREE), ("a", 1.1, DISAGREE), ("b", 1.1, DISAGREE)])
def test_a_nan_in_one_leaf_switches_off_no_other(leaf, factor, verdict):
    args = ({"a": INSIDE, "b": Z + 3},)

    def grad(p):
        right = {"a": root_slope(p["a"]), "b": 2 * p["b"]}
        return right | {leaf: factor * right[leaf]}

    report = check_gradient(lambda p: masked(jnp.sqrt)(p["a"]) + jnp.sum(p["b"] ** 2), grad, args=args, thorough=False)
    assert report.verdict is verdict, str(report)


def test_arctan2_at_the_origin_cannot_be_judged():
    zero = np.array(0.0)
    report = check_gradient(jnp.arctan2, lambda y, x: (y, x), args=(zero, zero), wrt=(0, 1), thorough=False)
    assert report.verdict is INCONCLUSIVE and "its one entry" in report.reason


@pytest.mark.parametrize("wrong, verdict", [((), AGREE), ((7, 7), DISAGREE), ((20, 3), DISAGREE)])
@pytest.mark.few(1)
def test_more_entries_than_are_looked_at_one_by_one(wrong, verdict):
    X = np.random.default_rng(0).normal(size=(40, 30))
    off = np.zeros_like(X)
    off[wrong] = 0.5 if wrong else 0.0
    report = check_gradient(masked(jnp.sqrt), lambda x: root_slope(x) + off, args=(X,), thorough=False)
    assert report.verdict is verdict, str(report)


@pytest.mark.parametrize("entry, verdict", [(None, AGREE), (1, DISAGREE)])
def test_a_wrong_entry_of_a_large_leaf_in_numpy_shows(entry, verdict):
    X = np.random.default_rng(0).normal(size=(30, 30))

    def grad(x):
        g = np.exp(x)
        g[0, entry or 0] *= 1.5 if entry else 1.0
        return g

    report = check_gradient(lambda x: np.sum(np.exp(x)), grad, args=(X,), thorough=False)
    assert report.verdict is verdict, str(report)
    assert entry is None or "that were not looked at one by one" in report.reason


@pytest.mark.parametrize("np_", [np, jnp], ids=["NumPy", "JAX"])
@pytest.mark.parametrize("size", [1, 100, 900])
@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.few(2)
def test_one_wrong_entry_shows_among_kinks(np_, size, share):
    x = np.where(np.arange(size) < share * size, 1.0, 0.0)

    def fun(x):
        return np_.sum(np_.maximum(x, 0.0))

    assert check_gradient(fun, lambda x: 1.0 * (x > 0), args=(x,), thorough=False).agrees
    for entry in {size // 4, size // 2 + 1} & set(range(size)):
        off = 1.5 * (np.arange(size) == entry)
        report = check_gradient(fun, lambda x, off=off: (x > 0) + off, args=(x,), thorough=False)
        known = np_ is jnp or size < 900  # of so many entries NumPy's are compared together, and a kink blurs that
        assert report.verdict is DISAGREE or (not known and report.verdict is INCONCLUSIVE), str(report)


def test_a_gradient_of_zeros_at_kinks_in_numpy():
    for x in (np.zeros(100), np.array(0.0)):
        assert check_gradient(lambda x: np.sum(np.abs(x)), np.sign, args=(x,), thorough=False).agrees
        wrong = check_gradient(lambda x: np.sum(np.abs(x)), lambda x: 1.2 + 0 * x, args=(x,), thorough=False)
        assert wrong.verdict is DISAGREE, str(wrong)


# ---- infinite gradients


INFINITE = {
    "sqrt": lambda x: jnp.sum(jnp.sqrt(x)),
    "log": lambda x: jnp.sum(jnp.log(x)),
    "cube root": lambda x: jnp.sum(jnp.cbrt(x)),
}


@pytest.mark.parametrize("name", INFINITE)
@pytest.mark.few(1)
def test_an_infinite_gradient_that_is_right_agrees(name):
    fun, x = INFINITE[name], jnp.array([0.0, 1.0])
    report = check_gradient(fun, jax.grad(fun), args=(x,))
    assert report.agrees and {check.name for check in report.protocol} >= {"jit", "vmap"}, str(report)
    for wrong in (lambda g: g * jnp.array([-1.0, 1.0]), lambda g: g + jnp.array([0.0, 0.1]), jnp.nan_to_num):
        report = check_gradient(fun, lambda x, wrong=wrong: wrong(jax.grad(fun)(x)), args=(x,), thorough=False)
        assert report.verdict is DISAGREE, str(report)


def test_numpy_gradients_that_are_infinite():
    x = np.array([0.0, 1.0])
    assert check_gradient(lambda x: np.sum(np.sqrt(x)), lambda x: 0.5 / np.sqrt(x), args=(x,)).agrees
    wrong = check_gradient(lambda x: np.sum(np.sqrt(x)), lambda x: 0.6 / np.sqrt(x), args=(x,))
    assert wrong.verdict is DISAGREE and wrong.leaves[0].worst == (1,)
    report = check_gradient(lambda x: np.sum(np.log(x)), lambda x: 1 / x, args=(x,))
    assert report.verdict is INCONCLUSIVE and "fun is -inf here" in report.reason


@pytest.mark.parametrize("np_", [np, jnp], ids=["NumPy", "JAX"])
def test_what_float32_cannot_hold_is_inf(np_):
    x = np_.asarray([100.0, 1.0], np_.float32)

    def fun(x):
        return np_.sum(np_.exp(x))

    assert check_gradient(fun, np_.exp, args=(x,)).agrees
    for off in ([0.0, 0.1], [-np.inf, 0.0]):
        report = check_gradient(fun, lambda x, off=off: np_.exp(x) + np_.asarray(off, np_.float32), args=(x,))
        assert report.verdict is DISAGREE, str(report)


@pytest.mark.parametrize("factor, verdict", [(1.0, INCONCLUSIVE), (1.1, DISAGREE)])
def test_what_is_nan_in_float32_and_right_in_float64(factor, verdict):
    x, factors = np.array([100.0, 1.0], np.float32), np.array([1.0, factor], np.float32)

    def grad(x):
        return factors * np.exp(x) / (1 + np.exp(x))

    report = check_gradient(lambda x: np.sum(np.logaddexp(0, x)), grad, args=(x,), thorough=False)
    assert report.verdict is verdict, str(report)


def test_a_gradient_for_one_type_or_point_is_judged():
    def grad(x):
        if x.dtype != np.float32 or x[0] != 1:
            raise RuntimeError
        return 1.1 * np.exp(x)

    x = np.array([1.0, 2.0], np.float32)
    report = check_gradient(lambda x: np.sum(np.exp(x)), grad, args=(x,), thorough=False)
    assert report.verdict is DISAGREE, str(report)


@pytest.mark.parametrize("factor, verdict", [(1.0, AGREE), (1.1, DISAGREE)])
def test_a_rule_that_is_infinite_is_linear(factor, verdict):
    @jax.custom_vjp
    def root(x):
        return jnp.sqrt(x)

    root.defvjp(lambda x: (root(x), x), lambda x, ct: (factor * ct * 0.5 / jnp.sqrt(x),))
    report = check_gradient(root, args=(jnp.array([0.0, 1.0]),))
    assert report.verdict is verdict, str(report)
    assert {check.name for check in report.protocol if check.verdict is AGREE} >= {"linear in the cotangent"}


def test_a_bound_that_hides_everything_is_no_agreement():
    def fun(x, large):  # in float32 nothing is left of x
        return jnp.sum(((large + x) - large) ** 2)

    args = (jnp.linspace(0.1, 0.9, 5), jnp.float32(1e9))
    for factor in (2.0, 0.0, 7.0):
        report = check_gradient(fun, lambda x, _, c=factor: c * x, args=args, thorough=False)
        assert report.verdict is INCONCLUSIVE and "rounding alone moves autodiff of fun by 2 here" in report.reason


# ---- what differences tell


@pytest.mark.parametrize("f, value", [
    (lambda t: np.sin(t), 1.0),
    (lambda t: 5.0, 0.0),
    (abs, 0.0),  # between its two slopes
    (np.cbrt, np.inf),
    (np.sqrt, np.inf),
    (lambda t: -np.sqrt(t), -np.inf),
    (np.log, np.inf),
    (lambda t: np.sqrt(abs(t)), np.nan),
    (np.sign, np.nan),
    (lambda t: 1 / t if t else 0.0, np.nan),
    (lambda t: np.log(t) if t > 0 else 0.0, np.nan),
    (lambda t: np.nan, np.nan),
    (lambda t: np.sin(t) if t else np.inf, np.nan),
])  # fmt: skip
def test_a_derivative_from_values_is_known_or_nan(f, value):
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(derivative(lambda t: float(f(t))).value, value, atol=1e-9)


def test_noise_does_not_grow():
    assert growth(lambda t: round(np.exp(t), 3)) == 0 == growth(lambda t: 1e9 + t**2)


# ---- the backward pass of a network


def rooted(Z):
    return jnp.where(Z > 0, jnp.sqrt(Z) + Z, 0.0)


def rooted_backward(dA, Z):
    return dA * jnp.where(Z > 0, 0.5 / jnp.sqrt(jnp.where(Z > 0, Z, 1.0)) + 1, 0.0)


@pytest.mark.parametrize("factor, verdict", [(1.0, AGREE), (1.01, DISAGREE)])
@pytest.mark.few(1)
def test_an_activation_of_which_autodiff_is_nan(factor, verdict):
    network = Network(Activation(rooted, lambda dA, Z: factor * rooted_backward(dA, Z)))
    report = check_backward(*good_point((3, 4, 1), key=jax.random.key(0)), network, thorough=False)
    assert report.verdict is verdict, str(report)
    assert "finite differences decide" in report.conventions[0] and "entries" in report.conventions[0]
    assert factor == 1 or report.first_bad == "dZ1"


def test_slopes_that_nothing_tells_are_not_agreed_with():
    X, Y, parameters = good_point((3, 4, 1), key=jax.random.key(0))
    network = Network(Activation(masked_log, lambda dA, Z: dA * jnp.where(Z > 0, 1 / jnp.where(Z > 0, Z, 1), 0.0)))
    parameters = parameters | {"W1": 0 * parameters["W1"], "b1": 0 * parameters["b1"]}  # every Z1 is at the jump
    report = check_backward(X, Y, parameters, network)
    assert report.verdict is INCONCLUSIVE and not report.findings, str(report)
    by_name = {leaf.name: leaf.verdict for leaf in report.leaves}
    assert by_name["dW2"] is AGREE and by_name["dA0"] is INCONCLUSIVE


def masked_log(Z):
    return jnp.where(Z > 0, jnp.log(Z), 0.0)
