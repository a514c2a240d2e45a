import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.activations import ACTIVATIONS

from .drawn import assert_close, assert_same, copies


@pytest.fixture
def layer(x64):
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape) for name, shape in {"A": (5, 7), "W": (3, 5), "b": (3, 1)}.items()}


@pytest.fixture
def signal(x64):
    return np.random.default_rng(1).normal(size=(3, 7))


def test_linear_forward_is_WA_plus_b_with_the_courses_cache(layer):
    Z, cache = jaxnet.linear_forward(**layer)
    assert_close(Z, layer["W"] @ layer["A"] + layer["b"], 8)
    A, W, b = cache
    assert_same((A, W, b), (layer["A"], layer["W"], layer["b"]))
    assert_same((cache.A, cache.W, cache.b), (A, W, b))


def test_linear_backward_is_the_vjp_of_linear_forward(layer, signal):
    _, cache = jaxnet.linear_forward(**layer)
    _, transpose = jax.vjp(lambda A, W, b: jaxnet.linear_forward(A, W, b)[0], *map(jnp.asarray, layer.values()))
    dA, dW, db = transpose(jnp.asarray(signal))
    assert_close(jaxnet.linear_backward(signal, cache), (dA, dW / 7, db / 7), 8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_linear_activation_backward_is_the_vjp(layer, signal, activation):
    def forward(A, W, b):
        return jaxnet.linear_activation_forward(A, W, b, activation)

    A, cache = forward(*layer.values())
    reference, transpose = jax.vjp(lambda *arguments: forward(*arguments)[0], *map(jnp.asarray, layer.values()))
    dA_prev, dW, db = transpose(jnp.asarray(signal))
    assert_close(A, reference, 0)
    assert_close(jaxnet.linear_activation_backward(signal, cache, activation), (dA_prev, dW / 7, db / 7), 16)


def test_the_cache_of_a_layer_unpacks_as_the_courses(layer):
    A, cache = jaxnet.linear_activation_forward(*layer.values(), "relu")
    linear_cache, Z = cache
    A_prev, W, b = linear_cache
    assert_same((A_prev, W, b), tuple(layer.values()))
    assert_close(Z, W @ A_prev + b, 8)
    assert_same(A, jax.nn.relu(Z))


def test_hand_built_caches_of_numpy_arrays_serve_as_well(layer, signal):
    A, W, b = layer.values()
    Z, cache = jaxnet.linear_forward(A, W, b)
    assert_same(jaxnet.linear_backward(signal, (A, W, b)), jaxnet.linear_backward(signal, cache))
    by_hand = jaxnet.linear_activation_backward(signal, ((A, W, b), np.asarray(Z)), "tanh")
    assert_same(by_hand, jaxnet.linear_activation_backward(signal, (cache, Z), "tanh"))


def test_arguments_are_not_touched(layer, signal):
    A, W, b = layer.values()
    cache = ((A, W, b), W @ A + b)
    before = copies((cache, signal))
    jaxnet.linear_forward(A, W, b)
    jaxnet.linear_activation_forward(A, W, b, "elu")
    jaxnet.linear_backward(signal, cache[0])
    jaxnet.linear_activation_backward(signal, cache, "elu")
    assert_same((cache, signal), before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(layer, signal, dtype):
    A, W, b, dA = (array.astype(dtype) for array in (*layer.values(), signal))
    out, cache = jaxnet.linear_activation_forward(A, W, b, "gelu")
    grads = jaxnet.linear_activation_backward(dA, cache, "gelu")
    assert {leaf.dtype for leaf in jax.tree.leaves((out, cache, grads))} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "A, W, b",
    [
        ((5, 7), (3, 4), (3, 1)),
        ((5, 7), (3, 5), (3,)),
        ((5, 7), (3, 5), (1, 3)),
        ((5,), (3, 5), (3, 1)),
        ((5, 7), (5,), (1, 1)),
    ],
)
def test_shapes_that_do_not_fit_never_broadcast(A, W, b, no_shape_checks):
    with pytest.raises(jaxnet.InputError) as error:
        jaxnet.linear_forward(np.ones(A), np.ones(W), np.ones(b))
    expected = r"expected (n_prev, m), (n, n_prev) and (n, 1)"
    assert str(error.value) == f"A has shape {A}, W {W} and b {b}; {expected}"


@pytest.mark.parametrize(
    "dZ, A, W",
    [
        ((3, 1), (5, 7), (3, 5)),
        ((1, 7), (5, 7), (3, 5)),
        ((3,), (5, 7), (3, 5)),
        ((), (5, 7), (3, 5)),
        ((3, 7), (5, 1), (3, 5)),
        ((3, 7), (5, 7), (3, 4)),
    ],
)
def test_no_signal_broadcasts_on_its_way_back(dZ, A, W, no_shape_checks):
    with pytest.raises(jaxnet.InputError) as error:
        jaxnet.linear_backward(np.ones(dZ), (np.ones(A), np.ones(W), np.ones((3, 1))))
    expected = "expected (n, m), (n_prev, m) and (n, n_prev)"
    assert str(error.value) == f"dZ has shape {dZ}, and in the cache A_prev {A} and W {W}; {expected}"


@pytest.mark.parametrize("dA, Z", [((3, 1), (3, 7)), ((3, 7), (3, 1)), ((7,), (3, 7)), ((), (3, 7))])
def test_no_signal_broadcasts_on_its_way_through_an_activation(layer, dA, Z, no_shape_checks):
    for call in (
        lambda: jaxnet.relu_backward(np.ones(dA), np.ones(Z)),
        lambda: jaxnet.sigmoid_backward(np.ones(dA), np.ones(Z)),
        lambda: jaxnet.linear_activation_backward(np.ones(dA), (tuple(layer.values()), np.ones(Z)), "tanh"),
    ):
        with pytest.raises(jaxnet.InputError) as error:
            call()
        assert str(error.value).startswith(f"dA has shape {dA} and Z {Z}; expected one shape, (n, m)")


def test_an_unknown_activation_raises(layer):
    with pytest.raises(jaxnet.InputError, match="activation is 'sofplus'"):
        jaxnet.linear_activation_forward(*layer.values(), "sofplus")
