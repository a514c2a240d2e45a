"""The plain formulas of the derivatives, which somebody's are compared with."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.activations import ACTIVATIONS
from jaxnet.crosscheck.backprop import slopes


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slopes_in_plain_numpy_are_the_librarys(x64, name):
    Z = np.linspace(-6, 6, 41)[None] + 0.01
    ours = ACTIVATIONS[name].backward(jnp.ones_like(Z), jnp.asarray(Z))
    np.testing.assert_allclose(slopes.SLOPES[name](Z), ours, rtol=1e-12, atol=1e-15)
    assert name in slopes.LINES
