import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.activations import ACTIVATIONS, STRAIGHT_THROUGH, as_activation


# Dense where the functions bend, sparse where they are straight, and the points where they may break.
Z = np.concatenate([np.linspace(-40, 40, 4001), [-1e3, 1e3, -0.0, -1e-8, 1e-8, -1e-300, 1e-300]])[None]
dA = np.cos(np.arange(Z.size))[None]

# g' at -1000, 0 and 1000; at the kinks as `jax.nn` has it.
SLOPES = {
    "relu": (0, 0, 1),
    "leaky_relu": (0.01, 1, 1),
    "sigmoid": (0, 0.25, 0),
    "tanh": (0, 1, 0),
    "gelu": (0, 0.5, 1),
    "silu": (0, 0.5, 1),
    "softplus": (0, 0.5, 1),
    "elu": (0, 1, 1),
    "identity": (1, 1, 1),
}

VALUES = {  # g at -1 and 1, from the definitions
    "relu": (0, 1),
    "leaky_relu": (-0.01, 1),
    "sigmoid": (1 / (1 + np.e), 1 / (1 + 1 / np.e)),
    "tanh": (-0.7615941559557649, 0.7615941559557649),
    "gelu": (-0.15865525393145707, 0.8413447460685429),
    "silu": (-1 / (1 + np.e), 1 / (1 + 1 / np.e)),
    "softplus": (np.log(1 + 1 / np.e), np.log(1 + np.e)),
    "elu": (1 / np.e - 1, 1),
    "identity": (-1, 1),
}


def vjp(name, dA, Z):
    return jax.vjp(ACTIVATIONS[name].forward, Z)[1](dA)[0]


def test_the_tables_of_the_tests_are_complete():
    assert set(SLOPES) == set(VALUES) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.few(9)
def test_backward_is_the_vjp_of_forward(x64, name, dtype):
    """The reference is float64 at the very points of `dtype`; slopes such as 1 - A, times Z, round relative to Z."""
    Z_, dA_ = jnp.asarray(Z, dtype), jnp.asarray(dA, dtype)
    dZ = ACTIVATIONS[name].backward(dA_, Z_)
    reference = vjp(name, dA_.astype(float), Z_.astype(float))
    units = np.abs(np.asarray(dZ, float) - reference) / np.abs(dA_) / (np.finfo(dtype).eps / 2)
    assert dZ.dtype == dtype
    assert np.max(units / (8 + np.abs(Z_))) <= 1


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.few(9)
def test_slopes_at_the_ends_and_at_zero_are_exact(x64, name, dtype):
    points = jnp.array([[-1000, 0, 1000]], dtype)
    for differentiate in (ACTIVATIONS[name].backward, lambda dA, Z: vjp(name, dA, Z)):
        np.testing.assert_array_equal(differentiate(jnp.ones_like(points), points)[0], np.array(SLOPES[name], dtype))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_forward_is_the_function_of_that_name(x64, name):
    A = ACTIVATIONS[name].forward(jnp.array([[-1.0, 1.0]]))
    np.testing.assert_allclose(A[0], VALUES[name], rtol=1e-15)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_backward_is_linear_in_dA(x64, name):
    backward = ACTIVATIONS[name].backward
    Z_, dA_ = jnp.asarray(Z), jnp.asarray(dA)
    np.testing.assert_array_equal(backward(-2 * dA_, Z_), -2 * backward(dA_, Z_))


@pytest.mark.parametrize("name", ["gelu", "silu", "sigmoid", "softplus", "elu"])
def test_the_lower_tail_keeps_its_digits_in_float32(x64, name):
    tail = np.linspace(-8, -1, 500, dtype=np.float32)[None]
    A = ACTIVATIONS[name].forward(jnp.asarray(tail))
    np.testing.assert_allclose(A, ACTIVATIONS[name].forward(jnp.asarray(tail, float)), rtol=1e-5)


def test_names_and_activations_are_accepted():
    own = jaxnet.Activation(jnp.sin, lambda dA, Z: dA * jnp.cos(Z))
    assert as_activation("relu") is ACTIVATIONS["relu"]
    assert as_activation(own) is own


@pytest.mark.parametrize("name", ["Relu", "softmax", ""])
def test_an_unknown_name_raises_and_lists_the_known_ones(name):
    with pytest.raises(jaxnet.InputError, match=f"activation is '{name}'; expected .*{', '.join(ACTIVATIONS)}"):
        as_activation(name)


def test_the_courses_functions_are_public():
    assert jaxnet.relu_backward is ACTIVATIONS["relu"].backward
    assert jaxnet.sigmoid_backward is ACTIVATIONS["sigmoid"].backward


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sign_goes_back_as_the_clipped_identity(x64, dtype):
    """Hubara et al. 2016, eq. 4: g_r = g_q 1(|r| <= 1). Autodiff, of the step, makes 0."""
    Z = jnp.array([[-np.inf, -1.5, -1, -0.5, -0.0, 0, 1e-30, 1, 1.25, np.inf]], dtype)
    sign = STRAIGHT_THROUGH["sign"]
    assert as_activation("sign") is sign and "sign" not in ACTIVATIONS
    A, dZ = sign.forward(Z), sign.backward(jnp.full_like(Z, 3), Z)
    assert A.dtype == dZ.dtype == dtype
    np.testing.assert_array_equal(A[0], [-1, -1, -1, -1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(dZ[0], [0, 0, 3, 3, 3, 3, 3, 3, 0, 0])
    np.testing.assert_array_equal(jax.vjp(sign.forward, Z)[1](jnp.ones_like(Z))[0], np.zeros_like(Z))
