"""A check is about the formulas: products are not rounded before they are multiplied, whatever is set around it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet


X, Y, PARAMETERS = jaxnet.good_point((5, 4, 1), key=jax.random.key(0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_backward_pass_is_called_in_full_precision(dtype):
    """An algorithm of products of bfloat16 numbers, which is none for float64, or on this device."""
    seen = set()

    def backward(AL, Y, caches):
        seen.add(jax.config.jax_default_matmul_precision)
        return jaxnet.L_model_backward(AL, Y, caches)

    with jax.default_matmul_precision("BF16_BF16_F32"):
        assert jaxnet.check_backward(X, Y, PARAMETERS, backward=backward, dtype=dtype, thorough=False).agrees
        assert jax.config.jax_default_matmul_precision == "BF16_BF16_F32"
    assert seen == {"highest"}


def test_a_gradient_is_called_in_full_precision():
    A = np.float32([[1, 2], [3, 4], [5, 6]])

    def grad(x):
        assert jax.config.jax_default_matmul_precision == "highest"
        return 2 * (A.T @ (A @ x))

    with jax.default_matmul_precision("bfloat16"):
        jaxnet.assert_gradient(lambda x: jnp.sum((A @ x) ** 2), grad, args=(np.float32([0.5, -1]),))


def test_on_a_cpu_nothing_is_compiled_anew():
    seen = []
    jaxnet.check_gradient(
        lambda x: jnp.sum(x**2), lambda x: (seen.append(jax.config.jax_default_matmul_precision), 2 * x)[1], args=(X,)
    )
    assert set(seen) == {None}
