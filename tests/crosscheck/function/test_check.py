"""Any function and its gradient, in JAX or NumPy."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Verdict, check_gradient


random = np.random.default_rng(0)
X, Y = random.normal(size=(4, 7)), random.normal(size=(3, 7))
P = {"W": random.normal(size=(3, 4)), "b": random.normal(size=(3, 1))}


def cost(np_):
    return lambda P, X, Y: np_.mean(np_.sum((np_.tanh(P["W"] @ X + P["b"]) - Y) ** 2, axis=0))


def gradient(np_, W=1.0, b=1.0):
    def grad(P, X, Y):
        A = np_.tanh(P["W"] @ X + P["b"])
        dZ = 2 * (A - Y) * (1 - A * A)
        return {"W": W * dZ @ X.T / X.shape[1], "b": b * np_.mean(dZ, axis=1, keepdims=True)}

    return grad


BOTH = pytest.mark.parametrize("np_", [np, jnp], ids=["NumPy", "JAX"])


@BOTH
def test_a_right_gradient_agrees(np_):
    report = check_gradient(cost(np_), gradient(np_), args=(P, X, Y))
    assert report.agrees and not report.findings and [leaf.name for leaf in report.leaves] == ["P['W']", "P['b']"]
    assert all(leaf.units < 4 for leaf in report.leaves)


@BOTH
@pytest.mark.parametrize("factor, words", [(7, "7 is the length of an axis"), (-1, "its sign is wrong"), (1.01, "")])
@pytest.mark.few(3)
def test_a_wrong_leaf_disagrees_and_is_explained(np_, factor, words):
    report = check_gradient(cost(np_), gradient(np_, W=factor), args=(P, X, Y))
    assert {leaf.name: leaf.agrees for leaf in report.leaves} == {"P['W']": False, "P['b']": True}
    (finding,) = report.findings
    assert (finding.place, finding.code) == ("P['W']", "factor") and words in finding.text
    assert report.first_bad == "P['W']"


@pytest.mark.parametrize("dtype, factor", [(jnp.float32, 1.001), (jnp.bfloat16, 1.5)])
@pytest.mark.few(1)
def test_lower_precision_is_judged_by_its_own_rounding(dtype, factor):
    args = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (P, X, Y))
    assert check_gradient(cost(jnp), gradient(jnp), args=args, thorough=False).agrees
    assert not check_gradient(cost(jnp), gradient(jnp, W=factor), args=args, thorough=False).agrees


@pytest.mark.parametrize("code, wrong", [
    ("swapped", lambda A, B: (B, A)),
    ("transposed", lambda A, B: (A.T, B)),
    ("regulariser", lambda A, B: (A + 0.3 * X[:, :4], B)),
    ("entries", lambda A, B: (A + np.eye(4)[:1].T * np.eye(4)[:1], B)),
    ("zero", lambda A, B: (0 * A, B)),
    ("clipped", lambda A, B: (np.clip(A, -1, 1), B)),
    ("precision", lambda A, B: (A.astype(np.float32).astype(float), B)),
])  # fmt: skip
def test_what_is_wrong_is_named(code, wrong):
    M, N = X[:, :4], X[:, 3:]

    def f(M, N):
        return np.sum(M @ N * N) + np.sum(M**2)

    def grad(M, N):
        return wrong(N @ N.T + 2 * M, (M + M.T) @ N)

    report = check_gradient(f, grad, args=(M, N), wrt=(0, 1))
    assert report.findings[0].code == code, str(report)


def test_a_function_of_vectors_needs_a_cotangent():
    ct = random.normal(size=3)
    W, x = P["W"], X[:, 0]
    assert check_gradient(lambda x: jnp.asarray(W) @ x, lambda x: W.T @ ct, args=(x,), cotangent=ct).agrees
    with pytest.raises(jaxnet.InputError, match=r"fun returns shapes \[\(3,\)\]; expected one number, or cotangent="):
        check_gradient(lambda x: W @ x, lambda x: W.T @ ct, args=(x,))


# ---- jax.custom_vjp


def product(rule):
    @jax.custom_vjp
    def f(x, y):
        return x**2 * y

    f.defvjp(lambda x, y: (x**2 * y, (x, y)), rule)
    return f


@pytest.mark.parametrize(
    "rule, verdict, code",
    [
        (lambda r, ct: (2 * r[0] * r[1] * ct, r[0] ** 2 * ct), Verdict.AGREE, None),
        (lambda r, ct: (2 * r[0] * r[1], r[0] ** 2 * ct), Verdict.DISAGREE, "cotangent-ignored"),
        (lambda r, ct: (r[0] * r[1] * ct, r[0] ** 2 * ct), Verdict.DISAGREE, "factor"),
    ],
)
def test_the_rule_of_a_custom_vjp_is_held_against_its_primal(rule, verdict, code):
    report = check_gradient(product(rule), args=(X, X + 1), wrt=(0, 1))
    assert report.verdict is verdict and [finding.code for finding in report.findings] == ([code] if code else [])
    properties = {check.name: check.verdict for check in report.protocol}
    assert properties["primal unchanged"] is Verdict.AGREE
    assert (properties["linear in the cotangent"] is Verdict.DISAGREE) == (code == "cotangent-ignored")


def test_a_rule_may_have_arguments_that_are_not_differentiated():
    @partial(jax.custom_vjp, nondiff_argnums=(0,))
    def power(n, x):
        return x**n

    power.defvjp(lambda n, x: (x**n, x), lambda n, x, ct: (n * x ** (n - 1) * ct,))
    assert check_gradient(power, args=(3, X), wrt=1).agrees


def test_a_rule_that_changes_the_value_is_told():
    @jax.custom_vjp
    def f(x):
        return jnp.sum(x**2)

    f.defvjp(lambda x: (jnp.sum(x**2) + 1, x), lambda x, ct: (2 * x * ct,))
    report = check_gradient(f, args=(X,))
    assert not report.agrees and "primal unchanged" in report.reason


# ---- kinks, and references that cannot tell


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("fun", [lambda x: np.sum(np.maximum(x, 0)), lambda x: jnp.sum(jnp.maximum(x, 0))])
def test_a_slope_between_the_two_of_a_kink_is_a_convention(fun, slope):
    z = np.array([1.0, -1.0, 0.0, 2.0])
    report = check_gradient(fun, lambda z: np.where(z == 0, slope, z > 0), args=(z,), thorough=False)
    assert report.agrees and "a convention, not an error" in report.conventions[0]


@pytest.mark.parametrize("slope", [-0.2, 1.2])
def test_a_slope_outside_of_the_two_of_a_kink_is_wrong(slope):
    z = np.array([1.0, -1.0, 0.0, 2.0])
    report = check_gradient(
        lambda z: np.sum(np.maximum(z, 0)), lambda z: np.where(z == 0, slope, z > 0), args=(z,), thorough=False
    )
    assert report.verdict is Verdict.DISAGREE


@pytest.mark.parametrize("factor, sides", [(2, "with the differences"), (1, "with autodiff"), (3, "with neither")])
def test_autodiff_that_contradicts_values_decides_nothing(factor, sides):
    def fun(x):
        return jnp.sum(jax.lax.stop_gradient(x) * x)

    report = check_gradient(fun, lambda x: factor * x, args=(X,), thorough=False)
    assert (
        report.verdict is Verdict.INCONCLUSIVE
        and f"sides {sides}" in report.reason
        and "stop_gradient" in report.reason
    )


@pytest.mark.parametrize("digits", [4, 7])
def test_a_noisy_function_is_not_held_against_a_right_gradient(digits):
    def fun(x):
        return round(float(np.sum(x**2)), digits)

    report = check_gradient(fun, lambda x: 2 * x, args=(X,), thorough=False)
    assert report.verdict is not Verdict.DISAGREE
    assert check_gradient(fun, lambda x: 3 * x, args=(X,), thorough=False).verdict is Verdict.DISAGREE


@pytest.mark.parametrize("factor", [2.0, 2.05])
def test_what_noise_hides_is_inconclusive(factor):
    def fun(x):
        return round(float(np.sum(x**2)), 1)

    report = check_gradient(fun, lambda x: factor * x, args=(X,), thorough=False)
    assert report.verdict is Verdict.INCONCLUSIVE and "too wide to tell" in report.reason


def test_large_leaves_of_numpy_are_looked_at_in_places():
    x = random.normal(size=(30, 30))
    report = check_gradient(lambda x: np.sum(np.exp(x)), np.exp, args=(x,), thorough=False)
    assert report.agrees
    wrong = check_gradient(lambda x: np.sum(np.exp(x)), lambda x: 1.1 * np.exp(x), args=(x,), thorough=False)
    assert wrong.verdict is Verdict.DISAGREE


# ---- the protocol


def test_properties_of_a_gradient_are_checked():
    def writes(x):
        x += 1
        return 2 * (x - 1)

    calls = []

    def counts(x):
        calls.append(1)
        return 2 * x * (1 + 1e-15 * len(calls))

    def untraceable_under_vmap(x):
        return 2 * x if x.ndim == 1 else 3 * x

    for gradient, broken in ((writes, "inputs unchanged"), (counts, "deterministic")):
        report = check_gradient(lambda x: np.sum(x**2), gradient, args=(X[0].copy(),))
        assert {c.name: c.verdict for c in report.protocol}[broken] is Verdict.DISAGREE
    report = check_gradient(lambda x: jnp.sum(x**2), untraceable_under_vmap, args=(jnp.asarray(X[0], jnp.float32),))
    assert {c.name for c in report.protocol} == {"deterministic", "inputs unchanged", "jit", "vmap"} and report.agrees


def test_a_gradient_of_another_structure_is_told():
    report = check_gradient(cost(np), lambda P, X, Y: {"W": P["W"]}, args=(P, X, Y))
    assert report.verdict is Verdict.DISAGREE and "expected those of args[wrt]: ['W'], ['b']" in report.reason
    report = check_gradient(cost(np), lambda P, X, Y: None, args=(P, X, Y))
    assert "the gradient has the leaves none" in report.reason
    report = check_gradient(cost(np), lambda P, X, Y: P | {"b": P["b"].ravel()}, args=(P, X, Y))
    assert "shape (3,); expected (3, 1)" in str(report.leaves[1].reason)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"args": X}, "args is ndarray; expected a tuple of the arguments"),
        ({"args": (X,), "wrt": 1}, "wrt is 1, but there are 1 args"),
        ({"args": (np.arange(3),)}, "x is int64; expected floats"),
        ({"args": (X[:0],)}, r"x has shape \(0, 7\), which is empty"),
        ({"args": (X * np.nan,)}, "x has entries that are not finite"),
        ({"args": (X,), "cotangent": np.ones(3)}, r"cotangent has shapes \[\(3,\)\]; expected those of fun's value"),
    ],
)
def test_arguments_that_cannot_be_differentiated_are_told(options, message, no_shape_checks):
    with pytest.raises(jaxnet.InputError, match=message):
        check_gradient(lambda x: np.sum(x), lambda x: np.ones_like(x), **options)


def test_without_a_gradient_a_rule_is_needed():
    with pytest.raises(jaxnet.InputError, match="fun must be a jax.custom_vjp"):
        check_gradient(lambda x: x, args=(1.0,))


# ---- the report


def test_a_report_has_no_truth_value_and_an_assertion_has():
    right = check_gradient(cost(np), gradient(np), args=(P, X, Y), thorough=False)
    with pytest.raises(TypeError, match="three verdicts and no truth value"):
        bool(right)
    jaxnet.assert_gradient(cost(np), gradient(np), args=(P, X, Y), thorough=False)
    with pytest.raises(jaxnet.GradientMismatch, match="7 is the length of an axis") as raised:
        jaxnet.assert_gradient(cost(np), gradient(np, W=7.0), args=(P, X, Y), thorough=False)
    assert raised.value.report.first_bad == "P['W']" and isinstance(raised.value, AssertionError)


def test_a_report_is_json():
    report = check_gradient(cost(np), gradient(np, W=np.nan), args=(P, X, Y))
    content = json.loads(report.to_json())
    assert content["verdict"] == "disagree" and content["leaves"][0]["max_error"] == "inf"
    assert content["leaves"][0]["name"] == "P['W']" and content["findings"][0]["code"] == "not-finite"


# ---- right code where digits are lost


def confident(loss, gradient, z, *, dtype=np.float64, conv=lambda x: x):
    """Logistic regression with logits of size z, as the labels have it: cost and gradient from `loss` of A and Y."""
    x = conv(np.array([[0.6, -0.59, 0.61, -0.6]], dtype))
    y, w = (x > 0) * x.dtype.type(1), np.array([[z]], dtype) / x.dtype.type(0.6)

    def A(w):
        return 1 / (1 + np.exp(-conv(w) @ x))

    def check(factor):
        with np.errstate(all="ignore"):
            return check_gradient(lambda w: loss(A(w), y), lambda w: factor * gradient(A(w), y) @ x.T, args=(w,))

    report = check(1.0)
    assert report.verdict is not Verdict.DISAGREE, str(report)
    assert check(1.3).verdict is Verdict.DISAGREE or not report.agrees
    return report


def bce(A, Y):
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def residual(A, Y):
    return (A - Y) / Y.size


def chain(A, Y):
    return -(Y / A - (1 - Y) / (1 - A)) * A * (1 - A) / Y.size


@pytest.mark.parametrize("z", [0.01, 7, 16, 25, 33, 45])
@pytest.mark.parametrize("gradient", [residual, chain])
@pytest.mark.parametrize("conv", [lambda x: x, np.array], ids=["", "stripped"])
@pytest.mark.few(3)
def test_the_courses_own_cost_is_not_accused(z, gradient, conv):
    report = confident(bce, gradient, z, conv=conv)
    assert report.agrees == (z < 30)
    if z == 33 and conv is not np.array:
        assert "loses its digits here: " in report.reason
        assert any(place in report.reason for place in ("1 - A", "A - Y")), report.reason


@pytest.mark.parametrize("z", [0.01, 7, 16, 45])
def test_float32_is_judged_by_the_digits_it_has_here(z):
    assert confident(bce, residual, z, dtype=np.float32).agrees == (z < 10)


@pytest.mark.parametrize("factor, verdict", [(1.0, Verdict.INCONCLUSIVE), (1.3, Verdict.DISAGREE)])
def test_a_guard_that_the_gradient_leaves_out_is_named(factor, verdict):
    x, Y, w = np.array([[0.6, -0.5, 0.4]]), np.array([[0.0, 0.0, 1.0]]), np.array([[33.0]])  # 19.8, wrongly

    def cost(w):
        A = np.clip(1 / (1 + np.exp(-w @ x)), 1e-7, 1 - 1e-7)
        return bce(A, Y)

    report = check_gradient(cost, lambda w: factor * residual(1 / (1 + np.exp(-w @ x)), Y) @ x.T, args=(w,))
    assert report.verdict is verdict
    assert verdict is Verdict.DISAGREE or "without np.clip(" in report.reason


@pytest.mark.parametrize(
    "cost, slope",
    [(np.abs, np.sign), (lambda z: np.logaddexp(0, z), lambda z: 1 / (1 + np.exp(-z))), (np.linalg.norm, None)],
    ids=["abs", "logaddexp", "norm"],
)
def test_the_complex_step_goes_through(cost, slope):
    slope = slope or (lambda z: z / np.linalg.norm(z))
    report = check_gradient(lambda z: np.sum(cost(z) * np.ones(7)), slope, args=(X[0],), thorough=False)
    assert report.environment["reference"] == "complex step"


def right_or_on(slope_at_zero, factor=1.0):
    """A deep network whose Z are all exactly 0 for one example, with an L2 term; every unit on, or off, there."""
    random = np.random.default_rng(3)
    P = [random.normal(size=shape) for shape in ((4, 3), (5, 4), (3, 5), (1, 3))]
    B = [np.zeros((len(W), 1)) for W in P]
    X = random.normal(size=(3, 4)) * [0, 1, 1, 1]

    def forward(P, B):
        A, caches = X, []
        for l, (W, b) in enumerate(zip(P, B, strict=True)):
            Z = W @ A + b
            caches.append((A, Z))
            A = np.maximum(Z, 0) if l < 3 else Z
        return A, caches

    def cost(P, B):
        return np.mean((forward(P, B)[0] - 1) ** 2) + 0.5 * sum(np.sum(W**2) for W in P)

    def grad(P, B):
        A, caches = forward(P, B)
        dZ, grads = 2 * (A - 1) / A.size, []
        for l in (3, 2, 1, 0):
            A, Z = caches[l]
            if l < 3:
                dZ = (P[l + 1].T @ dZ) * np.where(Z == 0, slope_at_zero, Z > 0)
            grads.insert(0, (factor * dZ @ A.T + P[l], np.sum(dZ, axis=1, keepdims=True)))
        return [dW for dW, _ in grads], [db for _, db in grads]

    return check_gradient(cost, grad, args=(P, B), wrt=(0, 1), thorough=False)


@pytest.mark.parametrize("slope", [0.0, 1.0])
@pytest.mark.few(1)
def test_a_deep_network_with_all_z_at_0_is_not_accused(slope):
    assert right_or_on(slope).agrees
    assert right_or_on(slope, factor=1.01).verdict is Verdict.DISAGREE
