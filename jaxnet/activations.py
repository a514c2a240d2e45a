"""Activations A = g(Z): each forward beside the backward dZ = g'(Z) * dA.

`backward` takes the cached `Z` rather than `A`, as the course does. Inside `jit` the compiler finds that, say,
`jax.nn.sigmoid(Z)` is the `A` it already has.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .checks import check_same_shape
from .errors import InputError
from .members import by_name, itself
from .types import AnyArray


class Activation(NamedTuple):
    """A = g(Z) and its transpose dZ = J_g(Z)^T dA, a pair of pure functions."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]  # (dA, Z) -> dZ

    __copy__ = __deepcopy__ = itself

    def __reduce__(self):
        return by_name(self, ACTIVATIONS | STRAIGHT_THROUGH, as_activation)


Units = Float[Array, "n m"]


def relu_backward(dA: Float[AnyArray, "n m"], Z: Float[AnyArray, "n m"]) -> Units:
    """dZ = dA where Z > 0, else 0. At Z = 0 the derivative is 0, as in `jax.nn.relu`."""
    check_same_shape(dA, Z)
    return jnp.where(Z > 0, dA, 0)


def leaky_relu_forward(Z: Units) -> Units:
    """A = Z where Z >= 0, else Z / 100."""
    return jax.nn.leaky_relu(Z, negative_slope=0.01)


def leaky_relu_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA where Z >= 0, else dA / 100. At Z = 0 the derivative is 1, as in `jax.nn.leaky_relu`."""
    return jnp.where(Z >= 0, dA, 0.01 * dA)


def sigmoid_backward(dA: Float[AnyArray, "n m"], Z: Float[AnyArray, "n m"]) -> Units:
    """dZ = dA A (1 - A) with A = sigmoid(Z)."""
    check_same_shape(dA, Z)
    A = jax.nn.sigmoid(Z)
    return A * (1 - A) * dA


def tanh_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA (1 - A^2) with A = tanh(Z)."""
    A = jnp.tanh(Z)
    return dA * (1 - A * A)


def gelu_forward(Z: Units) -> Units:
    """A = Z Phi(Z) with Phi the normal distribution function: the exact one, not its tanh approximation.

    Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2.
    """
    return Z * _normal_distribution(Z)


def gelu_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA (Phi(Z) + Z phi(Z)) with phi = Phi' the normal density."""
    phi = jnp.exp(Z * Z * -0.5) * (2 * jnp.pi) ** -0.5
    return dA * (_normal_distribution(Z) + Z * phi)


def _normal_distribution(Z: Units) -> Units:
    # erfc keeps the digits of the lower tail, which 1 + erf would cancel.
    return 0.5 * jax.lax.erfc(-(0.5**0.5) * Z)


def silu_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA S (1 + Z (1 - S)) with S = sigmoid(Z);  A = Z S."""
    S = jax.nn.sigmoid(Z)
    return dA * (S * (1 + Z * (1 - S)))


def softplus_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA sigmoid(Z);  A = log(1 + e^Z)."""
    return dA * jax.nn.sigmoid(Z)


def elu_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA where Z > 0, else dA e^Z;  A = Z where Z > 0, else e^Z - 1."""
    return dA * jnp.exp(jnp.minimum(Z, 0))


def identity_forward(Z: Units) -> Units:
    """A = Z."""
    return Z


def identity_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA."""
    del Z
    return dA


def sign_forward(Z: Units) -> Units:
    """A = 1 where Z >= 0, else -1."""
    return jnp.where(Z == 0, 1, jnp.sign(Z))  # of NaN it is NaN


def sign_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA where |Z| <= 1, else 0: the straight-through estimator, the derivative of clip(Z, -1, 1).

    That of sign itself is 0, and nothing would learn. Bengio, Leonard & Courville 2013, "Estimating or propagating
    gradients through stochastic neurons", section 4; Hubara et al. 2016, "Binarized neural networks", eq. 4.
    """
    return jnp.where(jnp.abs(Z) <= 1, dA, 0)


relu = Activation(jax.nn.relu, relu_backward)
leaky_relu = Activation(leaky_relu_forward, leaky_relu_backward)
sigmoid = Activation(jax.nn.sigmoid, sigmoid_backward)
tanh = Activation(jnp.tanh, tanh_backward)
gelu = Activation(gelu_forward, gelu_backward)
silu = Activation(jax.nn.silu, silu_backward)
softplus = Activation(jax.nn.softplus, softplus_backward)
elu = Activation(jax.nn.elu, elu_backward)
identity = Activation(identity_forward, identity_backward)
sign = Activation(sign_forward, sign_backward)

ACTIVATIONS = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "gelu": gelu,
    "silu": silu,
    "softplus": softplus,
    "elu": elu,
    "identity": identity,
}


# Their backward is no derivative of their forward, so that no gradient check holds for them.
STRAIGHT_THROUGH = {"sign": sign}


def as_activation(activation: str | Activation) -> Activation:
    """The activation of that name, or the activation itself. Raises `InputError` that lists the known names."""
    if isinstance(activation, Activation):
        return activation
    known = ACTIVATIONS | STRAIGHT_THROUGH
    if not isinstance(activation, str) or activation not in known:
        raise InputError(f"activation is {activation!r:.60}; expected an `Activation` or one of {', '.join(known)}")
    return known[activation]
