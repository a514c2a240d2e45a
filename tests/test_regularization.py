"""Dropout and the L2 penalty, against autodiff of the same network written plainly."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Network
from jaxnet.activations import ACTIVATIONS
from jaxnet.regularization import dropout_masks, l2_cost, l2_gradient

from .drawn import assert_close, compiled, problem


DIMS, M = [6, 5, 4, 3], 9
cost_and_grads = compiled(jaxnet.cost_and_grads)
KEEPS = pytest.mark.parametrize("keep_prob, input_keep_prob", [(0.6, 1.0), (1.0, 0.7), (0.5, 0.8)])


def drawn_masks(keep_prob, input_keep_prob, seed=0):
    return dropout_masks(
        DIMS, M, keep_prob, key=jax.random.key(seed), input_keep_prob=input_keep_prob, dtype=np.float64
    )


def plain_cost(X, Y, parameters, network, masks):
    """The cost with masks in plain JAX, for autodiff: nothing of the hand-written backward."""
    A = X if masks[0] is None else X * masks[0]
    for l in range(1, len(DIMS) - 1):
        A = network.hidden.forward(parameters[f"W{l}"] @ A + parameters[f"b{l}"])
        A = A if masks[l] is None else A * masks[l]
    L = len(DIMS) - 1
    return jnp.mean(network.loss.value(parameters[f"W{L}"] @ A + parameters[f"b{L}"], jnp.asarray(Y)))


@KEEPS
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.few(4)
def test_backward_with_masks_is_autodiffs(x64, hidden, keep_prob, input_keep_prob):
    X, Y, parameters = problem(DIMS, M, "softmax_cross_entropy")
    network, masks = Network(hidden, "softmax_cross_entropy"), drawn_masks(keep_prob, input_keep_prob)
    J, (dX, want) = jax.jit(jax.value_and_grad(lambda X, p: plain_cost(X, Y, p, network, masks), (0, 1)))(X, parameters)
    cost, grads = jax.jit(lambda X, p: jaxnet.cost_and_grads(X, Y, p, network, masks=masks))(X, parameters)
    assert_close(cost, J, 100)
    assert_close({name: grads[f"d{name}"] for name in parameters}, want, 1000)
    assert_close(grads["dA0"], M * dX, 1000)


def test_three_ways_to_the_gradient_are_one(x64):
    X, Y, parameters = problem(DIMS, M, "softmax_cross_entropy")
    network, masks = Network("tanh", "softmax_cross_entropy"), drawn_masks(0.5, 0.8)

    @jax.jit
    def ways(parameters):
        AL, caches = jaxnet.L_model_forward(X, parameters, network, masks=masks)
        from_AL = jaxnet.L_model_backward(AL, Y, caches, network, masks=masks)
        _, from_logits = jaxnet.cost_and_grads(X, Y, parameters, network, masks=masks)
        return from_AL, from_logits, jax.grad(jaxnet.cost, argnums=2)(X, Y, parameters, network, masks=masks)

    from_AL, from_logits, from_vjp = ways(parameters)
    assert_close(from_AL, from_logits, 1000)
    assert_close(from_vjp, {name: from_logits[f"d{name}"] for name in parameters}, 1000)


@pytest.mark.thorough
def test_the_crosscheck_agrees_with_dropout_and_l2(x64):
    X, Y, parameters = problem(DIMS, M, "softmax_cross_entropy")
    network, masks = Network("gelu", "softmax_cross_entropy"), drawn_masks(0.5, 0.8)

    @jax.jit
    def objective(parameters):
        return jaxnet.cost(X, Y, parameters, network, masks=masks) + l2_cost(parameters, 0.7, M)

    @jax.jit
    def gradient(parameters):
        _, grads = jaxnet.cost_and_grads(X, Y, parameters, network, masks=masks)
        penalty = l2_gradient(parameters, 0.7, M)
        return {name: grads[f"d{name}"] + penalty[name] for name in parameters}

    report = jaxnet.check_gradient(objective, gradient, args=(parameters,))
    assert report.verdict == "agree", report

    @jax.jit
    def forgetful(parameters):
        _, grads = jaxnet.cost_and_grads(X, Y, parameters, network)
        return {name: grads[f"d{name}"] for name in parameters}

    assert jaxnet.check_gradient(objective, forgetful, args=(parameters,)).verdict == "disagree"


def test_dA_is_that_of_the_course_where_a_unit_was_dropped(x64):
    """The course masks dA_l before g': a dropped unit passes nothing back."""
    X, Y, parameters = problem(DIMS, M, "softmax_cross_entropy")
    masks = drawn_masks(0.5, 0.8)
    network = Network("relu", "softmax_cross_entropy")
    _, grads = cost_and_grads(X, Y, parameters, network=network, masks=masks)
    for l in range(len(DIMS) - 1):
        assert not np.any(np.asarray(grads[f"dA{l}"])[np.asarray(masks[l]) == 0])
        assert np.any(np.asarray(grads[f"dA{l}"]) != 0)


def test_masks_keep_the_mean_and_the_share(x64):
    masks = dropout_masks((400, 300, 200, 1), 50, 0.8, key=jax.random.key(0), input_keep_prob=0.5, dtype=np.float64)
    for mask, n, keep in zip(masks, (400, 300, 200), (0.5, 0.8, 0.8), strict=True):
        assert mask.shape == (n, 50) and set(np.unique(mask)) == {0, 1 / keep}
        assert abs(np.mean(mask) - 1) < 4 * np.sqrt((1 - keep) / keep / mask.size)
    assert not np.array_equal(masks[1][:200], masks[2])
    assert dropout_masks((4, 3, 1), 5, 1.0, key=jax.random.key(0)) == (None, None)


@pytest.mark.parametrize("keep_prob, input_keep_prob", [(0.0, 1.0), (1.0, 1.5), (float("nan"), 1.0), (-0.1, 1.0)])
def test_a_probability_that_is_none_is_refused(keep_prob, input_keep_prob):
    with pytest.raises(jaxnet.InputError, match="expected a number above 0 and up to 1"):
        dropout_masks((4, 3, 1), 5, keep_prob, key=jax.random.key(0), input_keep_prob=input_keep_prob)


def test_l2_is_the_courses_and_its_gradient_autodiffs(x64):
    _, _, parameters = problem(DIMS, M)
    want = 0.7 / (2 * M) * sum(np.sum(parameters[f"W{l}"] ** 2) for l in (1, 2, 3))
    assert_close(l2_cost(parameters, 0.7, M), want, 100)
    assert_close(dict(l2_gradient(parameters, 0.7, M)), jax.grad(l2_cost)(parameters, 0.7, M), 100)


@pytest.mark.thorough
def test_an_update_goes_down_the_penalised_cost(x64):
    X, Y, parameters = problem(DIMS, M, "softmax_cross_entropy")
    network, masks = Network("tanh", "softmax_cross_entropy"), drawn_masks(0.5, 0.8)

    def objective(p):
        return plain_cost(X, Y, p, network, masks) + 0.3 / 2 * sum(jnp.sum(p[f"W{l}"] ** 2) for l in (1, 2, 3))

    J, gradient = jax.jit(jax.value_and_grad(objective))(parameters)
    optimizer = optax.sgd(0.1)
    state = jaxnet.init_state(parameters, optimizer)
    after, cost = jaxnet.update(X, Y, state, optimizer, network, l2=0.3, masks=masks)
    assert_close(cost, J, 100)
    assert_close(dict(after.parameters), {name: parameters[name] - 0.1 * gradient[name] for name in parameters}, 1000)
    seen = {}

    def look(updates, state, params=None, *, value, value_fn, **_):
        seen.update(value=value, again=value_fn(params))
        return updates, state

    nosy = optax.GradientTransformationExtraArgs(optimizer.init, look)
    jaxnet.update(X, Y, jaxnet.init_state(parameters, nosy), nosy, network, l2=0.3, masks=masks)
    assert_close(seen["again"], seen["value"], 100)


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.few(1)
def test_training_draws_new_masks_every_step(batch_size):
    X, Y, parameters = problem(DIMS, M, "softmax_cross_entropy", dtype=np.float32)
    settings = dict(
        network=Network("relu", "softmax_cross_entropy"),
        optimizer=optax.sgd(0.01, momentum=0.9),
        batch_size=batch_size,
        keep_prob=0.7,
        input_keep_prob=0.9,
        lambd=0.1,
        key=jax.random.key(3),
        chunk=5,
    )
    seen = []
    whole = jaxnet.train(X, Y, parameters, num_iterations=15, on_chunk=seen.append, **settings)
    still = jaxnet.train(X, Y, parameters, num_iterations=15, **settings | {"optimizer": optax.sgd(0.0)})
    if batch_size is None:
        assert len(set(still.costs.tolist())) > 10  # the same parameters and examples, other masks
    half = seen[1]
    assert half.iteration == 10
    rest = jaxnet.train(X, Y, half.state, num_iterations=15, **settings)
    np.testing.assert_array_equal(rest.costs, whole.costs[10:])
    for name in parameters:
        np.testing.assert_array_equal(rest.parameters[name], whole.parameters[name])


def test_on_chunk_ends_the_training():
    X, Y, parameters = problem([4, 3, 1], 8, dtype=np.float32)
    trained = jaxnet.train(
        X, Y, parameters, num_iterations=50, chunk=10, on_chunk=lambda progress: progress.iteration == 20
    )
    assert len(trained.costs) == 20


def test_bfloat16_layers_under_float32_parameters():
    X, _, parameters = problem([12, 9, 7, 1], 30, dtype=np.float32)
    Y, network = X[:1] > 0, Network("tanh")
    J, grads = cost_and_grads(X, Y, parameters, network=network)
    low_J, low = jax.jit(lambda p: jaxnet.cost_and_grads(X, Y, p, network, dtype="bfloat16"))(parameters)
    assert low_J.dtype == np.float32 and low["dW1"].dtype == jnp.bfloat16
    assert abs(float(J - low_J)) < 0.02
    for name in parameters:
        error = np.linalg.norm(np.asarray(low[f"d{name}"], np.float32) - grads[f"d{name}"])
        assert error < 0.05 * np.linalg.norm(grads[f"d{name}"]), name
    trained = jaxnet.train(X, Y, parameters, num_iterations=30, optimizer=optax.sgd(0.1), dtype="bfloat16")
    assert trained.parameters["W1"].dtype == np.float32 and trained.costs.dtype == np.float32
    assert trained.costs[-1] < trained.costs[0]
    HLO = jax.jit(lambda p: jaxnet.cost_and_grads(X, Y, p, dtype="bfloat16")).lower(parameters).as_text()
    products = [line for line in HLO.splitlines() if "dot_general" in line]
    assert products and all("bf16" in line and "f32" not in line for line in products)


def test_regularization_that_is_none_is_refused():
    X, Y, parameters = problem([4, 3, 1], 8, dtype=np.float32)
    for wrong, said in [
        ({"lambd": -1.0}, "lambd is -1.0"),
        ({"keep_prob": 0.0}, "keep_prob is 0.0"),
        ({"input_keep_prob": 2.0}, "input_keep_prob is 2.0"),
        ({"keep_prob": 0.5}, "pass key=jax.random.key"),
    ]:
        with pytest.raises(jaxnet.InputError, match=said):
            jaxnet.train(X, Y, parameters, num_iterations=1, **wrong)
