"""The proof: the hand-written backward pass is the derivative of the cost, for networks of all sorts. And the checker
that says so: it sees what is wrong, where it is made, and nothing where nothing is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import jaxnet
from jaxnet import Network, Verdict
from jaxnet.activations import ACTIVATIONS, Activation
from jaxnet.losses import LOSSES

from ... import course_numpy as course, drawn


DIMS, M = (5, 4, 3, 1), 6  # one shape for most: a shape is compiled once


def check(backward, dims=DIMS, m=M, network=None, **options):
    X, Y, parameters = drawn.problem(dims, m)
    network = Network() if network is None else network
    return jaxnet.check_backward(X, Y, parameters, network, backward=backward, thorough=False, **options)


def spoiled(**changes):
    """The course's backward pass in NumPy, with some of its grads changed afterwards."""

    def backward(AL, Y, caches):
        grads = course.backward(AL, Y, caches)
        return grads | {name: change(grads[name]) for name, change in changes.items()}

    return backward


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@given(dims=drawn.dims, m=drawn.m, seed=drawn.seeds)
@pytest.mark.few(2)
def test_every_leaf_agrees_with_autodiff(hidden, loss, dims, m, seed):
    X, Y, parameters = drawn.problem(dims, m, loss, seed=seed, soft=seed % 2 == 0, scale=[0.3, 1, 3][seed % 3])
    report = jaxnet.check_backward(X, Y, parameters, Network(hidden, loss), thorough=False)
    assert report.agrees, f"\n{report}"


@pytest.mark.parametrize("leaf", ["dW1", "db2", "dA1", "dW3", "dA0"])
def test_only_the_leaf_off_by_a_billionth_disagrees(leaf):
    report = check(spoiled(**{leaf: lambda g: g * (1 + 1e-9)}))
    at_fault = {leaf.name for leaf in report.leaves if not leaf.agrees and not leaf.carried}
    assert leaf in at_fault and report.first_bad == leaf
    assert report.verdict is Verdict.DISAGREE and "DISAGREES" in str(report)


def test_a_gradient_of_nan_disagrees():
    report = check(spoiled(dW2=lambda g: g * np.nan))
    assert [leaf.name for leaf in report.leaves if not leaf.agrees] == ["dW2"]
    assert report.findings[0].code == "not-finite"


def test_several_errors_are_all_found_in_one_run():
    """The two that a notebook of the course plants: dW2 doubled, and db1 divided by 4 / m."""
    report = check(spoiled(dW2=lambda g: 2 * g, db1=lambda g: 4 * g))
    assert [(finding.place, finding.code) for finding in report.findings] == [("dW2", "twice"), ("db1", "factor")]


def halved_mean(dZ, A_prev):
    dW, db = jaxnet.layers.linear_gradient(dZ, A_prev)
    return dW / 2, db


def sum_over_units(dZ, A_prev):
    dW, db = jaxnet.layers.linear_gradient(dZ, A_prev)
    return dW, jnp.full_like(db, jnp.mean(jnp.sum(dZ, axis=0)))


def transposed_weights(dZ, W):
    return W @ dZ


@pytest.mark.parametrize(
    "name, wrong, code, places",
    [
        ("linear_gradient", halved_mean, "half", ["dW3", "dW2", "dW1"]),
        ("linear_gradient", sum_over_units, "all-summed", ["db3", "db2", "db1"]),
        ("linear_transpose", transposed_weights, "not-transposed", ["dA2", "dA1", "dA0"]),
    ],
)
def test_this_librarys_own_loop_is_seen_to_be_wrong(monkeypatch, name, wrong, code, places):
    """Square layers and square batches, in which no shape betrays the error."""

    def backward(AL, Y, caches):
        for module in (jaxnet.network, jaxnet.feedback):
            monkeypatch.setattr(module, name, wrong, raising=False)
        try:
            return jaxnet.L_model_backward(AL, Y, caches)
        finally:
            monkeypatch.undo()

    report = check(backward, (5, 5, 5, 5), 5)
    assert [(finding.place, finding.code) for finding in report.findings] == [(place, code) for place in places]


@pytest.mark.parametrize(
    "backward, code",
    [
        (lambda dA, Z: dA * (1 + jnp.tanh(Z) ** 2), "A-for-slope-1+A2"),
        (lambda dA, Z: dA * (1 - Z * Z), "Z-for-slope-1-Z2"),
        (lambda dA, Z: dA, "slope-missing"),
        (lambda dA, Z: dA * (1 - jnp.tanh(Z) ** 2) ** 2, "slope-twice"),
    ],
)
@pytest.mark.few(1)
def test_a_wrong_slope_is_named_in_every_layer_below(backward, code):
    report = check(None, network=Network(Activation(jnp.tanh, backward)))
    assert [(finding.place, finding.code) for finding in report.findings] == [("dZ2", code), ("dZ1", code)]
    assert [leaf.name for leaf in report.leaves if leaf.agrees] == ["dW3", "db3", "dA2"]


def test_the_gradient_that_training_uses_is_checked_too():
    """It goes through the logits, and so through other functions of the loss than `L_model_backward` does."""
    right = LOSSES["binary_cross_entropy"]
    wrong = right._replace(gradient=lambda ZL, Y: 2 * (jax.nn.sigmoid(ZL) - Y), gradient_from_AL=right.gradient_from_AL)
    report = check(None, network=Network(loss=wrong))
    assert all(leaf.agrees for leaf in report.leaves) and not report.agrees
    assert "dW3" in str(report) and "`cost_and_grads`, which training uses" in str(report)


def test_a_yardstick_that_overflows_decides_nothing():
    X, Y, parameters = drawn.problem(DIMS, M)
    report = jaxnet.check_backward(X, Y, {k: 1e160 * v for k, v in parameters.items()}, Network("tanh"), thorough=False)
    assert report.verdict is Verdict.INCONCLUSIVE and "choose smaller parameters" in report.reason


def test_leaves_stand_in_the_order_of_the_backward_pass():
    report = check(course.backward)
    assert [leaf.name for leaf in report.leaves] == [f"d{name}" for name in "W3 b3 A2 W2 b2 A1 W1 b1 A0".split()]
    assert [leaf.shape for leaf in report.leaves[:3]] == [(1, 3), (1, 1), (3, 6)]


# ---- as other people write it


def older_keys(AL, Y, caches):
    grads = course.backward(AL, Y, caches)
    return {f"dA{int(name[2:]) + 1}" if name[1] == "A" else name: g for name, g in grads.items()}


def with_the_mean_in_dA(AL, Y, caches):
    grads = course.backward(AL, Y, caches)
    return {name: g / Y.shape[1] if name[1] == "A" else g for name, g in grads.items()}


@pytest.mark.parametrize(
    "backward, note", [(older_keys, "the older notebooks number dA_prev"), (with_the_mean_in_dA, "carry the 1/m")]
)
def test_other_conventions_are_named_and_no_error(backward, note):
    report = check(backward)
    assert report.agrees and len(report.conventions) == 1 and note in report.conventions[0]


def test_grads_of_parameters_alone_are_enough():
    def backward(AL, Y, caches):
        grads = course.backward(AL, Y, caches)
        return {name: g for name, g in grads.items() if name[1] != "A"} | {"dW2": 3 * grads["dW2"]}

    report = check(backward)
    assert len(report.leaves) == 6 and [finding.place for finding in report.findings] == ["dW2"]


@pytest.mark.parametrize("slope, word", [(1.0, "the one from the right"), (0.5, "half of both")])
def test_the_slope_at_an_exact_zero_is_a_convention(slope, word):
    X, Y, parameters = drawn.problem(DIMS, M)
    parameters["W1"][0] = parameters["b1"][0] = 0  # a unit that is dead for every example

    def backward(AL, Y, caches):
        """relu's derivative at 0 is `slope`, as autodiff of `jnp.maximum` has it."""
        grads, dA = {}, None
        for l in range(3, 0, -1):
            (A_prev, W, _), Z = caches[l - 1]
            dZ = AL - Y if l == 3 else dA * np.where(Z == 0, slope, Z > 0)
            grads |= {f"dW{l}": dZ @ A_prev.T / Y.shape[1], f"db{l}": dZ.mean(axis=1, keepdims=True)}
            grads[f"dA{l - 1}"] = dA = W.T @ dZ
        return grads

    report = jaxnet.check_backward(X, Y, parameters, backward=backward, thorough=False)
    assert report.agrees and word in report.conventions[0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_code_of_lower_precision_is_judged_by_its_own_rounding(dtype):
    report = check(None, dtype=dtype)
    assert report.agrees and report.worst.max_error > 1e-10
    assert not check(spoiled(dW1=lambda g: 2 * g), dtype=dtype).agrees


def test_a_cast_on_the_way_is_seen_in_float64():
    report = check(lambda AL, Y, caches: course.backward(AL.astype(np.float32).astype(np.float64), Y, caches))
    assert not report.agrees and report.first_bad == "dZ3"


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda AL, Y, caches: [1], "returned list; expected a dict with dW1"),
        (lambda AL, Y, caches: {"weights": AL}, "returned the keys weights; expected dW1, db1"),
    ],
)
def test_an_answer_that_is_none_is_told(answer, message):
    with pytest.raises(jaxnet.InputError, match=message):
        check(answer)


def test_an_error_inside_the_backward_pass_is_passed_on():
    def backward(AL, Y, caches):
        raise ZeroDivisionError("in my code")

    with pytest.raises(ZeroDivisionError, match="in my code"):
        check(backward)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"dtype": "int8"}, "dtype is 'int8'; expected one of float64"),
        ({"dims": (4, 1)}, r"X has shape \(4, 6\); expected \(5, m\)"),
    ],
)
def test_a_point_that_does_not_fit_is_told(change, message, no_shape_checks):
    X, Y, _ = drawn.problem(change.pop("dims", DIMS), M)
    _, _, parameters = drawn.problem(DIMS, M)
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.check_backward(X, Y, parameters, **change)


# ---- the protocol


def protocol(backward):
    X, Y, parameters = drawn.problem(DIMS, M)
    report = jaxnet.check_backward(X, Y, parameters, backward=backward)
    return {check.name: check.verdict for check in report.protocol}, report


def test_the_librarys_own_backward_has_every_property():
    held, report = protocol(None)
    assert set(held) == {
        "structure",
        "deterministic",
        "inputs unchanged",
        "jit",
        "vmap",
        "additive over the batch",
        "training's gradient",
    }
    assert report.agrees and [t.leaf for t in report.three_way] == ["dW1", "db1", "dW2", "db2", "dW3", "db3"]
    for t in report.three_way:
        assert abs(t.hand - t.differences) <= 10 * t.error_bar
        (h, first), (smaller, second) = t.taylor[2:4]
        assert second < 0.05 * first and h == 10 * smaller  # of second order


def test_code_that_numpy_widens_keeps_its_properties():
    """float32 times a Python number stays float32 in JAX, but float64 factors make it float64 in NumPy."""
    X, Y, parameters = drawn.problem(DIMS, M, dtype=np.float32)
    assert jaxnet.check_backward(X, Y, parameters, backward=course.backward, dtype="float32").agrees


def writes_into_its_cache(AL, Y, caches):
    grads = course.backward(AL, Y, caches)
    caches[0][1][:] = 0
    return grads


def counts_its_calls():
    calls = []

    def backward(AL, Y, caches):
        calls.append(1)
        grads = course.backward(AL, Y, caches)
        return grads | {"dW1": grads["dW1"] * (1 + 1e-13 * len(calls))}

    return backward


def subtracts_the_batch_mean(AL, Y, caches):
    grads = course.backward(AL, Y, caches)
    return grads | {"dW3": grads["dW3"] - np.mean(AL) * grads["dW3"]}


@pytest.mark.parametrize(
    "leaf, value, text",
    [
        ("dW2", "a word", "dW2 is of type str; expected an array of shape (3, 4)"),
        ("dW2", None, "dW2 is None; expected an array of shape (3, 4)"),
        ("db1", [[1.0], [2.0, 3.0]], "db1 is a ragged list; expected an array of shape (4, 1)"),
        ("db3", {}, "db3 is of type dict; expected an array of shape (1, 1)"),
        ("dA1", np.ones((4, M)) * 1j, "dA1 is complex, of dtype complex128; expected an array of shape (4, 6)"),
        ("dW3", np.ma.masked_array(np.ones((1, 3)), [[0, 1, 0]]), "dW3 is a masked array with masked entries"),
        ("dA1", None, None),
        ("more", None, None),
        (("a", 1), "a word", None),
    ],
)
def test_what_is_no_array_of_numbers_is_a_finding(leaf, value, text):
    report = check(lambda *given: course.backward(*given) | {leaf: value})
    assert report.agrees if text is None else [f.place for f in report.findings] == [leaf]
    assert text is None or (text in report.findings[0].text and "reproduces" not in str(report))


def test_a_backward_that_returns_nothing_of_use_is_a_report():
    X, Y, parameters = drawn.problem(DIMS, M)
    report = jaxnet.check_backward(
        X, Y, parameters, backward=lambda *given: dict.fromkeys(course.backward(*given)), thorough=True
    )
    assert [f.place for f in report.findings] == ["dW3", "db3", "dW2", "db2", "dW1", "db1"]
    assert report.verdict is Verdict.DISAGREE and "dW3 is None" in str(report) and report.first_bad == "dW3"


def without_db1(AL, Y, caches):
    grads = course.backward(AL, Y, caches)
    del grads["db1"]
    return grads


@pytest.mark.parametrize(
    "backward, failing",
    [
        (writes_into_its_cache, "inputs unchanged"),
        (counts_its_calls(), "deterministic"),
        (subtracts_the_batch_mean, "additive over the batch"),
        (without_db1, "structure"),
    ],
)
def test_a_property_that_fails_is_named(backward, failing):
    held, report = protocol(backward)
    assert held[failing] is Verdict.DISAGREE and report.verdict is Verdict.DISAGREE and failing in str(report)


def test_a_wrong_forward_is_not_blamed_on_the_backward():
    """Autodiff believes the rule inside the activation; finite differences do not."""

    @jax.custom_jvp
    def halved(Z):
        return jnp.tanh(Z)

    halved.defjvp(lambda primals, tangents: (jnp.tanh(*primals), 0.5 * (1 - jnp.tanh(*primals) ** 2) * tangents[0]))
    network = Network(Activation(halved, lambda dA, Z: dA * (1 - jnp.tanh(Z) ** 2)))
    X, Y, parameters = drawn.problem(DIMS, M)
    report = jaxnet.check_backward(X, Y, parameters, network)
    assert any("is not the derivative of its values" in leaf.reason for leaf in report.leaves)
    assert {leaf.name: leaf.verdict for leaf in report.leaves}["dW1"] is Verdict.INCONCLUSIVE


@pytest.mark.thorough
def test_a_random_backward_is_reported_first():
    random = np.random.default_rng(0)

    def dropped(AL, Y, caches):
        grads = dict(jaxnet.L_model_backward(AL, Y, caches))
        return grads | {"dW1": grads["dW1"] * random.uniform(1, 2)}

    for thorough in (True, False):
        report = jaxnet.check_backward(
            *jaxnet.good_point((3, 4, 1), key=jax.random.key(0)), backward=dropped, thorough=thorough
        )
        assert report.verdict is Verdict.DISAGREE
        assert report.reason.startswith(
            "called twice with the same arguments, dW1 differ: does it draw random numbers?"
        )
        assert report.protocol[0].name == "deterministic" and report.protocol[0].verdict is Verdict.DISAGREE


@pytest.mark.parametrize("name", ["X", "Y", "W1"])
def test_points_that_are_not_finite_are_refused(name, no_shape_checks):
    X, Y, parameters = jaxnet.good_point((3, 4, 1), key=jax.random.key(0))
    given = {"X": X, "Y": Y, "W1": parameters["W1"]}
    given[name] = given[name] * np.nan
    with pytest.raises(jaxnet.InputError, match=f"{name} has .*entries that are not finite"):
        jaxnet.check_backward(given["X"], given["Y"], parameters | {"W1": given["W1"]})


# ---- weights of the examples, and losses of one's own


def weighted_backward(AL, Y, caches, sample_weight):
    """The course's, in NumPy, of the weighted cost: its chain is linear in dAL, which the weights multiply."""
    grads, m = {}, Y.shape[1]
    for l in range(len(caches), 0, -1):
        (A_prev, W, _), Z = caches[l - 1]
        dZ = (AL - Y) * sample_weight[None] if l == len(caches) else grads[f"dA{l}"] * (Z > 0)
        grads[f"dW{l}"], grads[f"db{l}"] = dZ @ A_prev.T / m, dZ.sum(axis=1, keepdims=True) / m
        grads[f"dA{l - 1}"] = W.T @ dZ
    return grads


def weights_forgotten(AL, Y, caches, sample_weight):
    return course.backward(AL, Y, caches)


def test_a_weighted_backward_is_held_against_its_cost():
    X, Y, parameters = jaxnet.good_point(DIMS, key=jax.random.key(0), m=M)
    w = np.array([0.5, 2, 0, 1, 3, 1])
    for backward in (None, weighted_backward):
        report = jaxnet.check_backward(X, Y, parameters, backward=backward, sample_weight=w)
        assert report.agrees, f"\n{report}"
    report = jaxnet.check_backward(X, Y, parameters, backward=weights_forgotten, thorough=False, sample_weight=w)
    assert report.verdict is Verdict.DISAGREE and report.first_bad == "dZ3"
    assert report.findings[0].remedy == "dZ3 = (A3 - Y) * sample_weight"


def test_a_backward_pass_that_takes_no_weights_is_told():
    with pytest.raises(jaxnet.InputError, match=r"takes no argument of that name.*backward\(AL, Y, caches, sample_wei"):
        check(course.backward, sample_weight=np.ones(M))


def test_the_line_of_a_loss_of_ones_own_is_not_that_of_another():
    bce = LOSSES["binary_cross_entropy"]
    network = Network("relu", bce._replace(value=lambda ZL, Y: 3 * bce.value(ZL, Y)))
    assert check(None, network=network).agrees
    report = check(course.backward, network=network)
    assert report.verdict is Verdict.DISAGREE
    assert report.findings[0].remedy == "dZ3 = (the derivative of each example's loss with respect to Z3)"
