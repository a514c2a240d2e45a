"""Weights of examples and classes: exact against autodiff of the weighted mean, wherever a cost or gradient is made."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import InputError, Network, readouts
from jaxnet.activations import ACTIVATIONS
from jaxnet.weighting import as_sample_weight, class_weights, classes_of

from . import course_numpy as course
from .drawn import assert_close, assert_same, labels, problem
from .one_by_one import BCE, COTANGENTS, SOFTMAX, SQUARED, flat, made


W = np.array([0.5, 2.0, 0.0, 1.0, 3.0])


def weighted_cost(X, Y, parameters, network, w):
    """(1/m) sum_i w_i loss_i, in plain JAX."""
    L, A = len(parameters) // 2, X
    for l in range(1, L):
        A = network.hidden.forward(parameters[f"W{l}"] @ A + parameters[f"b{l}"])
    losses = network.loss.value(parameters[f"W{L}"] @ A + parameters[f"b{L}"], Y)
    return jnp.sum(w * losses) / len(losses)


@partial(jax.jit, static_argnames="network")
def all_costs_and_gradients(X, Y, parameters, network, w):
    """What the library makes, and autodiff, side by side."""
    AL, caches = jaxnet.L_model_forward(X, parameters, network)
    J, grads = jaxnet.cost_and_grads(X, Y, parameters, network, sample_weight=w)
    by_course = jaxnet.L_model_backward(AL, Y, caches, network, sample_weight=w)
    through = jax.grad(lambda *at: jaxnet.cost(*at[:3], network, sample_weight=at[3]), argnums=(0, 1, 2, 3))
    plain = jax.grad(lambda *at: weighted_cost(*at[:3], network, at[3]), argnums=(0, 1, 2, 3))
    at, m = (X, Y, parameters, w), X.shape[1]
    wanted = plain(*at)
    ours = {
        "J": J,
        "course": jaxnet.compute_cost(AL, Y, network, sample_weight=w),
        "cost": jaxnet.cost(X, Y, parameters, network, sample_weight=w),
        "grads": jaxnet.parameter_grads(grads, parameters),
        "backward": jaxnet.parameter_grads(by_course, parameters),
        "dA0": grads["dA0"],
        "through": through(*at),
    }
    J = weighted_cost(*at[:3], network, w)
    return ours, {
        "J": J,
        "course": J,
        "cost": J,
        "grads": wanted[2],
        "backward": wanted[2],
        "dA0": m * wanted[0],
        "through": wanted,
    }


@pytest.mark.parametrize("hidden, loss", [*((g, SOFTMAX) for g in ACTIVATIONS), ("tanh", BCE), ("relu", SQUARED)])
@pytest.mark.few(3)
def test_costs_and_gradients_are_autodiffs(x64, hidden, loss):
    X, Y, parameters = jax.tree.map(jnp.asarray, problem([4, 3, 2], 5, loss, soft=True))
    assert_close(*all_costs_and_gradients(X, Y, parameters, Network(hidden, loss), jnp.asarray(W)), 256)


@pytest.mark.parametrize("loss, n_L", [(BCE, 1), (SOFTMAX, 3)])
def test_weights_of_1_change_no_bit_of_gradients_and_training(loss, n_L):
    """XLA adds the losses up in another order where nothing stands between the two sums, so the cost may."""
    X, Y, parameters = problem([5, 4, n_L], 5, loss, dtype=np.float32)
    network, ones = Network("tanh", loss), np.ones(5)
    run = jax.jit(lambda X, Y, w: jaxnet.cost_and_grads(X, Y, parameters, network, sample_weight=w))
    (J, grads), (J_plain, grads_plain) = run(X, Y, ones), run(X, Y, None)
    assert_same(grads, grads_plain)
    np.testing.assert_allclose(J, J_plain, rtol=1e-6)
    train = partial(jaxnet.train, X, Y, parameters, num_iterations=7, network=network, batch_size=2)
    plain = train(key=jax.random.key(0))
    for weights in ({"sample_weight": ones}, {"class_weight": {int(classes_of(Y)[0]): 1}}):
        trained = train(key=jax.random.key(0), **weights)
        assert_same(trained[:2], plain[:2])
        np.testing.assert_allclose(trained.costs, plain.costs, rtol=1e-6)


@pytest.mark.parametrize("rule", ["backprop", "kolen_pollack", "direct_random_target"])
@pytest.mark.few(2)
def test_weights_are_examples_given_as_often(x64, rule):
    """Up to the 1/m, under every way back."""
    X, Y, parameters = problem([5, 4, 6, 3], 4, SOFTMAX)
    network, w = Network("tanh", SOFTMAX, rule), np.array([2, 0, 1, 3])
    B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(1))
    again = np.repeat(np.arange(4), w)
    run = jax.jit(lambda X, Y, w: jaxnet.cost_and_grads(X, Y, parameters, network, B=B, sample_weight=w))
    J, grads = run(X, Y, w)
    J_again, grads_again = run(X[:, again], Y[:, again], None)
    np.testing.assert_allclose(4 * J, 6 * J_again, rtol=1e-13)
    repeated, scaled = ({n: g * k for n, g in of.items() if n[1] != "A"} for of, k in ((grads, 4), (grads_again, 6)))
    assert_close(repeated, scaled, 64)


def test_a_weight_is_for_a_whole_example_under_any_rule(x64):
    """A rule that sends the sign of the error would not see a weight in dZL."""
    sign = jaxnet.feedback.uniform_sign()
    rule = sign._replace(propagate=lambda B, crossing: B[f"B{crossing.l}"] @ jnp.sign(crossing.dZ))
    X, Y, parameters = problem([5, 4, 3], 5, SOFTMAX)
    network = Network("tanh", SOFTMAX, rule)
    B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(1))
    weighted = readouts.record(X, Y, parameters, network, B=B, sample_weight=W)
    plain = readouts.record(X, Y, parameters, network, B=B)
    assert_close(weighted.dZ, tuple(dZ * W[None] for dZ in plain.dZ), 8)
    grads = jaxnet.cost_and_grads(X, Y, parameters, network, B=B, sample_weight=W)[1]
    assert_close(dict(readouts.mean_gradient(weighted)), dict(jaxnet.parameter_grads(grads, parameters)), 64)


def test_in_bfloat16_the_weight_itself_is_not_rounded():
    X, Y, parameters = problem([5, 4, 1], 5, dtype=np.float32)
    w = np.full(5, 1 + 2**-10)
    run = jax.jit(lambda w: jaxnet.cost_and_grads(X, Y, parameters, dtype="bfloat16", sample_weight=w)[1]["dA1"])
    np.testing.assert_array_equal(run(1024 * w)[:, :], run(np.full(5, 1025.0)))


# ---- steps


@pytest.mark.parametrize("batch_size", [None, 3])
def test_training_makes_the_weighted_steps_of_plain_numpy(x64, batch_size):
    X, Y, start = problem([5, 4, 1], 8)
    w, key, parameters = np.arange(8) / 4, jax.random.key(0), start
    by_class = np.where(Y[0] == 1, 0.5, 3.0)
    trained = jaxnet.train(
        X, Y, start, num_iterations=4, optimizer=optax.sgd(0.3), batch_size=batch_size, key=key,
        sample_weight=w, class_weight={0: 3, 1: 0.5},
    )  # fmt: skip
    batches = [slice(None)] * 4
    if batch_size is not None:
        batches = jaxnet.training.batch_indices(key, 8, batch_size, 0, 4)
    for batch, J in zip(batches, trained.costs, strict=True):
        x, y, factor = X[:, batch], Y[:, batch], (w * by_class)[batch]
        AL, caches = course.forward(x, parameters)
        losses = -(y * np.log(AL) + (1 - y) * np.log(1 - AL))
        np.testing.assert_allclose(J, np.mean(factor * losses), rtol=1e-12)
        # The course's backward is linear in its start, so weighting the examples is adding up theirs.
        one_by_one = [course.backward(*of_one(AL, y, caches, i)) for i in range(y.shape[1])]
        grads = {n: np.mean([f * g[n] for f, g in zip(factor, one_by_one, strict=True)], axis=0) for n in
                 (f"d{name}" for name in parameters)}  # fmt: skip
        parameters = course.update(parameters, grads, 0.3)
    assert_close(dict(trained.parameters), parameters, 256)


def of_one(AL, Y, caches, i):
    """AL, Y and caches of example i alone."""
    one = slice(i, i + 1)
    return AL[:, one], Y[:, one], [((A[:, one], W, b), Z[:, one]) for (A, W, b), Z in caches]


def test_weights_follow_their_examples_into_reduced_inputs(x64):
    X, Y, parameters = problem([400, 3, 1], 8)
    train = partial(jaxnet.train, X, Y, parameters, num_iterations=20, sample_weight=np.arange(8), lambd=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxnet.training.in_memory.pays", lambda *sizes: True)
        reduced = train()
    assert_close(dict(reduced.parameters), dict(train(reduce_inputs=False).parameters), 4096)


def test_line_searches_are_given_the_weighted_cost(x64):
    def look(updates, state, params=None, *, value, value_fn, grad):
        del state, grad
        return updates, (value, value_fn(params))

    optimizer = optax.GradientTransformationExtraArgs(lambda params: (0.0, 0.0), look)
    X, Y, parameters = jax.tree.map(jnp.asarray, problem([4, 3, 1], 5))
    start = jaxnet.init_state(parameters, optimizer)
    state, J = jax.jit(partial(jaxnet.update, optimizer=optimizer))(X, Y, start, sample_weight=W)
    np.testing.assert_allclose([*state.opt_state, J], float(weighted_cost(X, Y, parameters, Network(), W)), rtol=1e-13)


def test_recorded_alignment_is_that_of_the_weighted_step(x64):
    X, Y, parameters = problem([5, 4, 3], 5, SOFTMAX)
    network = Network("tanh", SOFTMAX, "feedback_alignment")
    B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(1))
    start = jaxnet.TrainState(parameters, B=B)
    trained = jaxnet.train(X, Y, start, num_iterations=1, network=network, record_every=1, sample_weight=W)
    seen = jaxnet.alignment(X, Y, parameters, network, B=B, sample_weight=W)
    assert_close(jax.tree.map(lambda rows: rows[0], trained.alignment.values), seen, 64)
    np.testing.assert_allclose(seen.cost, trained.costs[0], rtol=1e-14)


# ---- readouts


@pytest.mark.parametrize("loss, n_L", [(BCE, 1), (SOFTMAX, 3), (SQUARED, 2)])
@pytest.mark.few(1)
def test_readouts_are_those_of_the_weighted_losses(x64, loss, n_L):
    given = made([4, 3, n_L], 5, loss, "tanh", soft=True)
    network, V = given.network, np.random.default_rng(0).normal(size=given.J.shape[2])

    @jax.jit
    def read(X, Y, parameters, V):
        pairs = {
            name: readouts.record(X, Y, parameters, network, cotangent=made, sample_weight=W)
            for name, made in COTANGENTS.items()
        }
        return (
            {name: readouts.per_example_gradients(of) for name, of in pairs.items()},
            pairs["loss"].loss,
            readouts.mean_gradient(pairs["loss"]),
            readouts.ggn_diagonal(pairs["exact"]),
            readouts.ggn_vector_product(X, Y, parameters, V, network, sample_weight=W),
            readouts.hessian_vector_product(X, Y, parameters, V, network, sample_weight=W),
        )

    each, losses, mean, diagonal, product, curved = read(*given[:3], given.tree(V))
    factors = {"loss": W, "sample": np.sqrt(W), "exact": np.sqrt(W), "output": np.ones(5)}
    for name, gradients in each.items():
        rows = np.stack([flat(jax.tree.map(lambda g, i=i: g[i], gradients)) for i in range(len(gradients["b1"]))])
        scale = np.tile(factors[name], len(rows) // 5)[:, None]
        np.testing.assert_allclose(rows, scale * given.rows(name), atol=1e-13)
    np.testing.assert_allclose(losses, W * network.loss.value(jnp.asarray(given.ZL), given.Y), rtol=1e-12)
    np.testing.assert_allclose(flat(mean), (W[:, None] * given.rows("loss")).mean(axis=0), atol=1e-13)
    GGN = np.mean([w * J.T @ H @ J for w, J, H in zip(W, given.J, given.H, strict=True)], axis=0)
    np.testing.assert_allclose(flat(diagonal), np.diag(GGN), atol=1e-13)
    np.testing.assert_allclose(flat(product), GGN @ V, atol=1e-13)

    def gradient(parameters):
        return jax.grad(weighted_cost, argnums=2)(*given[:2], parameters, network, W)

    expected = jax.jit(lambda p, V: jax.jvp(gradient, (p,), (V,))[1])(given.parameters, given.tree(V))
    np.testing.assert_allclose(flat(curved), flat(expected), atol=1e-13)


@pytest.mark.parametrize("loss", [BCE, SOFTMAX])
def test_kronecker_factors_are_of_examples_given_as_often(x64, loss):
    """One of weight 0, such as padding, is in none of them. G has the 1/m of the cost."""
    X, Y, parameters = problem([4, 3, 2], 4, loss)
    network, w = Network("tanh", loss), np.array([2, 0, 1, 3])

    @jax.jit
    def factors(X, Y, w):
        pairs = readouts.record(X, Y, parameters, network, cotangent=readouts.hessian_root, sample_weight=w)
        return readouts.kronecker_factors(pairs), readouts.kfra_factors(X, Y, parameters, network, sample_weight=w)

    again = np.repeat(np.arange(4), w)
    for weighted, repeated in zip(factors(X, Y, w), factors(X[:, again], Y[:, again], None), strict=True):
        assert_close(weighted.A, repeated.A, 64)
        assert_close(tuple(4 * G for G in weighted.G), tuple(6 * G for G in repeated.G), 64)


def test_a_cotangent_of_ones_own_weights_its_columns_itself(x64):
    X, Y, parameters = problem([4, 3], 5, SOFTMAX)

    def own(loss, ZL, Y):
        return loss.gradient(ZL, Y)

    with pytest.raises(InputError, match="it is not known how the cotangent own depends on it; multiply its columns"):
        readouts.record(X, Y, parameters, Network("relu", SOFTMAX), cotangent=own, sample_weight=W)


# ---- what is taken, and what is refused


@pytest.mark.parametrize(
    "weight",
    [W[None], W.astype(np.float32), np.array([0, 1, 2, 3, 4]), W > 0, jnp.asarray(W > 0), W.astype(np.float16)],
)
def test_weights_of_any_number_type_and_both_shapes(weight):
    taken = as_sample_weight(weight, jax.ShapeDtypeStruct((1, 5), np.float32))
    assert taken.shape == (5,) and taken.dtype == np.float32
    np.testing.assert_array_equal(taken, np.ravel(weight).astype(np.float32))


REFUSED = [
    (W[:4], r"shape \(4,\); expected \(5,\), a weight for each example"),
    (W[:, None], r"shape \(5, 1\); expected \(5,\).*pass sample_weight.ravel\(\)"),
    (np.ones((5, 5)), r"shape \(5, 5\)"),
    (np.array(2.0), r"shape \(\)"),
    (2.0, "of type float; expected an array"),
    ([1, 2, 3, 4, 5], "of type list; expected an array"),
    ("balanced", "of type str; expected an array"),
    (np.ma.masked_equal(W, 0), "of type MaskedArray; expected an array"),
    (np.array(list("12345")), "dtype <U1; expected numbers"),
    (W.astype(object), "dtype object; expected numbers"),
    (W + 0j, "dtype complex128; expected numbers"),
    (np.where(W == 0, np.nan, W), r"1 entries that are negative or not finite, the first is sample_weight\[2\] = nan"),
    (np.where(W == 0, np.inf, W), r"sample_weight\[2\] = inf"),
    (W - 1, r"2 entries that are negative or not finite, the first is sample_weight\[0\] = -0.5"),
    (np.where(W == 0, 1e300, W), r"sample_weight\[2\] = inf"),  # in float32
    (0 * W, "is 0 for every example"),
    (W < -1, "is 0 for every example"),
]


@pytest.mark.parametrize("weight, message", REFUSED, ids=[message[:20] for _, message in REFUSED])
def test_weights_that_are_none_are_refused_everywhere(no_shape_checks, weight, message):
    X, Y, parameters = problem([4, 1], 5, dtype=np.float32)
    AL, caches = jaxnet.L_model_forward(X, parameters)
    V = parameters
    calls = [
        lambda: jaxnet.cost(X, Y, parameters, sample_weight=weight),
        lambda: jaxnet.cost_and_grads(X, Y, parameters, sample_weight=weight),
        lambda: jaxnet.compute_cost(AL, Y, sample_weight=weight),
        lambda: jaxnet.L_model_backward(AL, Y, caches, sample_weight=weight),
        lambda: jaxnet.train(X, Y, parameters, num_iterations=1, sample_weight=weight),
        lambda: jaxnet.layer_signals(X, Y, parameters, sample_weight=weight),
        lambda: jaxnet.alignment(X, Y, parameters, sample_weight=weight),
        lambda: readouts.record(X, Y, parameters, sample_weight=weight),
        lambda: readouts.kfra_factors(X, Y, parameters, sample_weight=weight),
        lambda: readouts.ggn_vector_product(X, Y, parameters, V, sample_weight=weight),
        lambda: readouts.hessian_vector_product(X, Y, parameters, V, sample_weight=weight),
    ]
    if "inf" not in message:  # the checker looks in float64, where 1e300 is a number
        calls.append(lambda: jaxnet.check_backward(X, Y, parameters, sample_weight=weight))
    for call in calls:
        with pytest.raises(InputError, match=message):
            call()


# ---- classes


def test_balanced_weights_are_scikit_learns():
    np.testing.assert_array_equal(class_weights("balanced", [30, 10], range(2)), [40 / 60, 40 / 20])
    np.testing.assert_array_equal(class_weights("balanced", [1, 2, 5], "abc"), [8 / 3, 8 / 6, 8 / 15])


def test_a_mapping_of_weights_leaves_out_what_has_weight_1():
    np.testing.assert_array_equal(class_weights({"b": 2}, [1, 1, 1], ("a", "b", "c")), [1, 2, 1])
    np.testing.assert_array_equal(class_weights({np.int64(1): np.float32(0.5), 2: 3}, [1, 1, 1], range(3)), [1, 0.5, 3])


def test_class_weights_train_as_the_weights_of_their_examples():
    for loss, n_L in ((BCE, 1), (SOFTMAX, 3)):
        X, Y, parameters = problem([4, 3, n_L], 12, loss, dtype=np.float32)
        classes = classes_of(Y)
        network, n = Network("tanh", loss), max(n_L, 2)
        train = partial(jaxnet.train, X, Y, parameters, num_iterations=3, network=network)
        by_class = 12 / (n * np.bincount(classes, minlength=n))
        assert_same(tuple(train(class_weight="balanced")[:3]), tuple(train(sample_weight=by_class[classes])[:3]))


Y2, Y3 = np.array([[0.0, 1, 1, 0, 1]]), np.eye(3)[:, [0, 1, 1, 0, 1]]
WRONG_CLASSES = [
    (Y2, {2: 1.0}, "class_weight has the class 2; expected one of 0, 1"),
    (Y2, {"1": 1.0}, "class_weight has the class '1'; expected one of 0, 1"),
    (Y2, {1: -1.0}, "the weight of class 1 is -1.0; expected a finite number from 0"),
    (Y2, {1: np.nan}, "the weight of class 1 is nan"),
    (Y2, {1: "2"}, "the weight of class 1 is '2'"),
    (Y2, {1: None}, "the weight of class 1 is None"),
    (Y2, {1: 10**400}, "the weight of class 1 is 1000"),
    (Y2, {1: 1j}, "the weight of class 1 is 1j"),
    (Y2, {0: 0, 1: 0.0}, "class_weight is 0 for every class"),
    (Y2, "balance", "class_weight is 'balance'; expected 'balanced' or a mapping .* the classes are 0, 1"),
    (Y2, [1.0, 2.0], r"class_weight is \[1.0, 2.0\]; expected 'balanced' or a mapping"),
    (0 * Y2, "balanced", "'balanced', but class 1 has no examples"),
    (Y3, "balanced", "'balanced', but class 2 has no examples"),
    (Y3, {2: 5.0}, "a weight for class 2, which has no examples"),
    (0.5 * Y2, "balanced", r"a class for each example, but example 1 has the label \[0.5\]"),
    (0.5 * Y3 + 1 / 6, {0: 2.0}, r"but example 0 has the label"),
]


@pytest.mark.parametrize("Y, class_weight, message", WRONG_CLASSES, ids=[m[:30] for *_, m in WRONG_CLASSES])
def test_class_weights_that_are_none_are_refused_before_work(no_shape_checks, Y, class_weight, message):
    X, _, parameters = problem([4, len(Y)], 5, dtype=np.float32)
    network = Network(loss=BCE if len(Y) == 1 else SOFTMAX)
    with pytest.raises(InputError, match=message):
        jaxnet.train(X, Y, parameters, num_iterations=1, network=network, class_weight=class_weight)


def test_several_sigmoid_outputs_have_no_one_class(no_shape_checks):
    X, Y, parameters = problem([4, 3], 5, BCE, dtype=np.float32)
    with pytest.raises(InputError, match="each of the 3 sigmoid outputs is a label of its own.*pass sample_weight"):
        jaxnet.train(X, Y, parameters, num_iterations=1, class_weight="balanced")


def test_classes_of_labels():
    np.testing.assert_array_equal(classes_of(Y2), [0, 1, 1, 0, 1])
    np.testing.assert_array_equal(classes_of(Y3), [0, 1, 1, 0, 1])
    for soft in (labels(np.random.default_rng(0), (3, 4), SOFTMAX, True), np.ones((2, 3)), np.zeros((2, 3))):
        with pytest.raises(InputError, match="a class for each example"):
            classes_of(soft)
