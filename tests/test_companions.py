"""Losses of one's own: what is derived from their value is right, and nothing outlives what it was derived from."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import InputError, Loss, Network, readouts
from jaxnet.companions import Gradient, HessianProduct, HessianRoot, as_they_are
from jaxnet.losses import LOSSES, binary_cross_entropy as bce, softmax, softmax_cross_entropy, squared_error

from .drawn import assert_close, autodiff_cost, problem
from .one_by_one import BCE, SOFTMAX, SQUARED, made


def of(Y):
    """Weights that the label chooses, as those of a class do."""
    return 1 + 2 * Y[0]


def value(ZL, Y):
    return bce.value(ZL, Y) * of(Y)


def gradient(ZL, Y):
    return bce.gradient(ZL, Y) * of(Y)[None, :]


def tanh_error(ZL, Y):
    """Not convex in the logits."""
    return jnp.sum((jnp.tanh(ZL) - Y) ** 2, axis=0)


BARE = {name: Loss(loss.output, loss.value) for name, loss in LOSSES.items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.few(3)
def test_what_is_derived_is_what_is_written_by_hand(x64, name, dtype):
    X, Y, _ = problem([3, 3], 5, name, dtype=dtype)
    ZL, V = jnp.asarray(X), jnp.asarray(X[::-1])
    bare, loss, Y = BARE[name], LOSSES[name], jnp.asarray(Y)

    def everything(loss, ZL, Y):
        S, AL = loss.hessian_root(ZL, Y).reshape(3, -1, 5), loss.output(ZL)
        H = jnp.einsum("kci,jci->kji", S, S)
        return loss.gradient(ZL, Y), loss.gradient_from_AL(AL, Y, ZL), loss.hessian_product(ZL, Y, V), H

    derived, written = (jax.jit(everything, static_argnums=0)(loss, ZL, Y) for loss in (bare, loss))
    assert_close(derived, written, 64)
    assert all(array.dtype == dtype for array in derived)


@pytest.mark.parametrize("name, n_L", [(BCE, 1), (SOFTMAX, 3), (SQUARED, 2)])
@pytest.mark.few(1)
def test_a_value_is_enough_for_training_and_readouts(x64, name, n_L):
    given = made([4, 3, n_L], 5, name, "silu")
    V = given.tree(np.random.default_rng(0).normal(size=given.J.shape[2]))

    @partial(jax.jit, static_argnames="network")
    def read(X, Y, parameters, V, network):
        AL, caches = jaxnet.L_model_forward(X, parameters, network)
        J, grads = jaxnet.cost_and_grads(X, Y, parameters, network)
        pairs = readouts.record(X, Y, parameters, network, cotangent=readouts.hessian_root)
        return {
            "cost": J,
            "grads": dict(grads),
            "backward": dict(jaxnet.L_model_backward(AL, Y, caches, network)),
            "diagonal": dict(readouts.ggn_diagonal(pairs)),
            "product": dict(readouts.ggn_vector_product(X, Y, parameters, V, network)),
            "curved": dict(readouts.hessian_vector_product(X, Y, parameters, V, network)),
            "G": readouts.kfra_factors(X, Y, parameters, network).G,
        }

    bare = Network("silu", BARE[name])
    assert_close(read(*given[:3], V, bare), read(*given[:3], V, Network("silu", name)), 256)
    trained = jaxnet.train(*given[:3], num_iterations=1, network=bare)
    np.testing.assert_allclose(trained.costs[0], autodiff_cost(*given[:3], bare), rtol=1e-14)


def test_a_replaced_value_takes_all_made_from_it_along(x64):
    """The class-weighted loss of `_replace(value=..., gradient=...)`, against autodiff of its value."""
    network = Network("tanh", bce._replace(value=value, gradient=gradient))
    X, Y, parameters = jax.tree.map(jnp.asarray, problem([3, 4, 1], 6))
    V = jax.tree.map(jnp.ones_like, parameters)

    @jax.jit
    def read(X, Y, parameters):
        AL, caches = jaxnet.L_model_forward(X, parameters, network)
        at = X, Y, parameters
        pairs = readouts.record(*at, network, cotangent=readouts.hessian_root)
        weighted = readouts.record(*at, Network("tanh"), cotangent=readouts.hessian_root, sample_weight=of(Y))
        grads = jaxnet.L_model_backward(AL, Y, caches, network)
        found = {
            "cost": jaxnet.compute_cost(AL, Y, network),
            "gradient": dict(jaxnet.parameter_grads(grads, parameters)),
            "hessian": dict(readouts.hessian_vector_product(*at, V, network)),
            "G": readouts.kronecker_factors(pairs).G,
        }
        J, gradient = jax.value_and_grad(autodiff_cost, argnums=2)(*at, network)
        hessian = jax.jvp(jax.grad(lambda p: autodiff_cost(X, Y, p, network)), (parameters,), (V,))[1]
        G = readouts.kronecker_factors(weighted).G
        return found, {"cost": J, "gradient": gradient, "hessian": hessian, "G": G}

    assert_close(*read(X, Y, parameters), 256)
    assert jaxnet.check_backward(X, Y, parameters, network, thorough=False).agrees
    with pytest.raises(InputError, match="this loss has no sample, which cannot be derived"):
        readouts.record(X, Y, parameters, network, cotangent=readouts.sampled_labels(jax.random.key(0)))


def clipped(ZL):
    return jnp.clip(jax.nn.sigmoid(ZL), 0.1, 0.9)


@pytest.mark.parametrize(
    "replaced, stay, derived, gone",
    [
        ({"value": value}, "output decide", "gradient value_from_AL gradient_from_AL hessian_root", "sample"),
        ({"gradient": gradient}, "value value_from_AL decide sample", "gradient_from_AL hessian_root", ""),
        ({"output": clipped}, "value gradient sample hessian_root", "gradient_from_AL", "value_from_AL decide"),
        ({"output": as_they_are}, "value gradient sample", "value_from_AL gradient_from_AL", "decide"),
        ({"value_from_AL": value}, "value gradient hessian_root", "gradient_from_AL", ""),
        ({"hessian_product": lambda ZL, Y, R: R}, "value gradient sample value_from_AL", "hessian_root", ""),
        ({"hessian_root": None}, "hessian_product gradient", "hessian_root", ""),
        ({"value": value, "sample": bce.sample}, "sample output decide", "gradient hessian_product", ""),
        ({"decide": jnp.sign}, "value gradient sample hessian_root gradient_from_AL", "", ""),
    ],
)
def test_what_a_replaced_function_takes_along(replaced, stay, derived, gone):
    for loss in (bce._replace(**replaced), bce.__replace__(**replaced)):
        assert all(getattr(loss, name) is getattr(bce, name) for name in stay.split())
        assert all(type(getattr(loss, name)).__module__ == "jaxnet.companions" for name in derived.split())
        assert all(getattr(loss, name) is None for name in gone.split())
        assert all(getattr(loss, name) == member for name, member in replaced.items() if member is not None)


def test_losses_of_the_same_functions_compile_once():
    first, second = (bce._replace(value=value) for _ in range(2))
    assert first == second and hash(first) == hash(second) and first is not second
    assert first != bce and first != bce._replace(value=value, gradient=gradient)
    assert Loss(*bce) == bce and bce._replace() == bce
    assert first.gradient == Gradient(value)
    assert first.hessian_root == HessianRoot(HessianProduct(Gradient(value)))


# ---- from AL


def test_another_AL_gives_the_chain_through_an_inverse(x64):
    X, Y, _ = problem([2, 2], 6, BCE, soft=True)
    ZL, Y = jnp.asarray(X), jnp.asarray(Y)
    AL = jax.nn.sigmoid(ZL[:, ::-1])
    for bare, loss in [(BARE[BCE], bce), (BARE[SQUARED], squared_error)]:
        at = AL if loss is bce else ZL[:, ::-1]
        assert_close(bare.value_from_AL(at, Y), loss.value_from_AL(at, Y), 64)
        assert_close(bare.gradient_from_AL(at, Y, ZL), loss.gradient_from_AL(at, Y, ZL), 256)


def test_an_AL_of_0_and_1_has_a_cost_that_is_not_nan():
    Y = jnp.array([[0.0, 1.0, 0.0, 1.0]])
    cost = BARE[BCE].value_from_AL(jnp.array([[0.0, 1.0, 1.0, 0.0]]), Y)
    np.testing.assert_array_equal(cost[:2], 0)
    assert (cost[2:] > 1e18).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.few(1)
def test_an_AL_without_a_derivative_is_refused(x64, dtype):
    X, Y, parameters = problem([4, 3], 6, SOFTMAX, dtype=dtype)
    network = Network("relu", BARE[SOFTMAX])
    AL, caches = jaxnet.L_model_forward(X, parameters, network)
    backward = jax.jit(lambda AL: dict(jaxnet.L_model_backward(AL, Y, caches, network)))
    assert_close(backward(AL), dict(jaxnet.cost_and_grads(X, Y, parameters, Network("relu", SOFTMAX))[1]), 64)
    other = AL.at[:, 2].set(AL[::-1, 2])
    assert np.isnan(backward(other)["dW1"]).all()
    with pytest.raises(InputError, match="AL is not the output of the cached ZL, first for example 2"):
        jaxnet.L_model_backward(other, Y, caches, network)
    with pytest.raises(InputError, match="no value_from_AL, and its value reads the logits.*use `cost`"):
        jaxnet.compute_cost(AL, Y, network)


def test_a_new_output_leaves_no_old_decision():
    ones = jnp.ones((1, 1))
    network = Network("relu", bce._replace(output=jnp.tanh))
    with pytest.raises(InputError, match="this loss has no decide for its new output; give it"):
        jaxnet.predict(ones, {"W1": ones, "b1": ones}, network)
    assert jaxnet.predict(ones, {"W1": ones, "b1": ones}, Network(loss=Loss(jnp.tanh, value))) == jnp.tanh(2.0)


# ---- what no Hessian root, or no loss, can be made of


@pytest.mark.thorough
def test_a_loss_that_is_not_convex_has_no_root(x64):
    ZL, Y = jnp.array([[0.1, 2.0]]), jnp.array([[0.0, -1.0]])
    loss = Loss(jnp.tanh, tanh_error)
    with pytest.raises(InputError, match="not convex in the logits: .* eigenvalue -.* for example 1"):
        loss.hessian_root(ZL, Y)
    root = jax.jit(loss.hessian_root)(ZL, Y)
    assert np.isfinite(root[0, 0]) and np.isnan(root[0, 1])
    H = jax.hessian(lambda z: tanh_error(z, Y).sum())(ZL)
    np.testing.assert_allclose(loss.hessian_product(ZL, Y, jnp.ones((1, 2))), H.sum(axis=(2, 3)), rtol=1e-13)


@pytest.mark.parametrize("scale", [0.0, 40.0])
def test_a_root_at_saturated_logits_is_not_negative(scale):
    """All of H is below the rounding of its terms there."""
    Y = jnp.eye(5, dtype=np.float32)
    assert np.isfinite(BARE[SOFTMAX].hessian_root(scale * Y, Y)).all()


@pytest.mark.parametrize(
    "value, message",
    [
        (lambda ZL, Y: jnp.mean((ZL - Y) ** 2), r"has shape \(\) .* expected \(5,\).* neither summed nor averaged"),
        (lambda ZL, Y: (ZL - Y) ** 2, r"has shape \(3, 5\) .* expected \(5,\).* sum over the outputs, axis 0"),
        (lambda ZL, Y: jnp.sum((ZL - Y) ** 2, 0, keepdims=True), r"has shape \(1, 5\)"),
        (lambda ZL, Y: jnp.sum((ZL - Y) ** 2, 0)[:, None], r"has shape \(5, 1\)"),
        (lambda ZL, Y: [0.0] * 5, "is of type list; expected an array"),
        (lambda ZL, Y: jnp.sum((ZL - Y) ** 2, 1), r"has shape \(3,\)"),
        (lambda ZL, Y: jnp.sum((ZL > 0) != (Y > 0), 0), "dtype int.*; expected .* floats"),
    ],
    ids=["mean", "by output", "row", "column", "list", "axis", "integer"],
)
def test_a_value_of_another_shape_is_refused(no_shape_checks, value, message):
    X, Y, parameters = problem([4, 3], 5, SQUARED, dtype=np.float32)
    network = Network("relu", Loss(as_they_are, value))
    by_hand = Network("relu", squared_error._replace(value=value, gradient=squared_error.gradient))
    AL, caches = jaxnet.L_model_forward(X, parameters, network)
    for call in (
        lambda: jaxnet.cost(X, Y, parameters, network),
        lambda: jax.jit(lambda *at: jaxnet.cost_and_grads(*at, by_hand))(X, Y, parameters),
        lambda: jaxnet.compute_cost(AL, Y, network),
        lambda: jaxnet.L_model_backward(AL, Y, caches, network),
        lambda: readouts.record(X, Y, parameters, by_hand),
        lambda: jaxnet.train(X, Y, parameters, num_iterations=1, network=network),
        lambda: jaxnet.check_backward(X, Y, parameters, by_hand),
        lambda: jaxnet.alignment(X, Y, parameters, by_hand),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_a_gradient_that_would_broadcast_is_refused(no_shape_checks):
    X, Y, parameters = problem([4, 3], 5, SOFTMAX, dtype=np.float32)
    wrong = softmax_cross_entropy._replace(gradient=lambda ZL, Y: (ZL - Y)[:1])
    for function in (jaxnet.cost_and_grads, jaxnet.signal_sizes, jaxnet.alignment, readouts.record):
        with pytest.raises(InputError, match=r"dZL (has|of) shape \(1, 5\)"):
            function(X, Y, parameters, Network("relu", wrong))


@pytest.mark.parametrize(
    "members, message",
    [
        (("sigmoid", value), "the loss's output is 'sigmoid'; expected a function"),
        ((softmax, None), "the loss's value is None; expected a function"),
        ((softmax, value, 3.0), "the loss's gradient is 3.0; expected a function"),
    ],
)
def test_members_that_are_no_functions_are_refused(members, message, no_shape_checks):
    with pytest.raises(InputError, match=message):
        Loss(*members)
