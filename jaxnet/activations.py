"""Activations A = g(Z), each forward function beside its backward, dZ = g'(Z) * dA.

`backward` takes the cached `Z` rather than `A`, as in the course. Inside `jit` the compiler recognises that, for
example, `jax.nn.sigmoid(Z)` is the `A` that was already computed.
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
    """A = g(Z) and its vector-Jacobian product dZ = J_g(Z)^T dA, as a pair of pure functions.

    Args:
        forward: `Z -> A`, both `(n, m)`.
        backward: `(dA, Z) -> dZ`, where column i depends on column i alone.

    Example:
        >>> square = jaxnet.Activation(lambda Z: Z**2, lambda dA, Z: 2 * Z * dA)
        >>> square.backward(jnp.ones((1, 2)), jnp.array([[1.0, 3.0]]))
        Array([[2., 6.]], dtype=float32)
    """

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]  # (dA, Z) -> dZ

    __copy__ = __deepcopy__ = itself

    def __reduce__(self):
        return by_name(self, ACTIVATIONS | STRAIGHT_THROUGH, as_activation)


Units = Float[Array, "n m"]


def relu_backward(dA: Float[AnyArray, "n m"], Z: Float[AnyArray, "n m"]) -> Units:
    """dZ = dA where Z > 0, else 0. At Z = 0 the derivative is 0, as in `jax.nn.relu`.

    Raises `InputError` unless `dA` and `Z` are arrays of floats of one shape.

    Example:
        >>> jaxnet.relu_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[0., 0., 1.]], dtype=float32)
    """
    check_same_shape(dA, Z)
    return jnp.where(Z > 0, dA, 0)


def leaky_relu_forward(Z: Units) -> Units:
    """A = Z where Z >= 0, else Z / 100.

    Example:
        >>> jaxnet.activations.leaky_relu_forward(jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[-0.01,  0.  ,  2.  ]], dtype=float32)
    """
    return jax.nn.leaky_relu(Z, negative_slope=0.01)


def leaky_relu_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA where Z >= 0, else dA / 100. At Z = 0 the derivative is 1, as in `jax.nn.leaky_relu`.

    Example:
        >>> jaxnet.activations.leaky_relu_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[0.01, 1.  , 1.  ]], dtype=float32)
    """
    return jnp.where(Z >= 0, dA, 0.01 * dA)


def sigmoid_backward(dA: Float[AnyArray, "n m"], Z: Float[AnyArray, "n m"]) -> Units:
    """dZ = dA A (1 - A) with A = sigmoid(Z).

    Raises `InputError` unless `dA` and `Z` are arrays of floats of one shape.

    Example:
        >>> jaxnet.sigmoid_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[0.197, 0.25 , 0.105]], dtype=float32)
    """
    check_same_shape(dA, Z)
    A = jax.nn.sigmoid(Z)
    return A * (1 - A) * dA


def tanh_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA (1 - A^2) with A = tanh(Z).

    Example:
        >>> jaxnet.activations.tanh_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[0.42 , 1.   , 0.071]], dtype=float32)
    """
    A = jnp.tanh(Z)
    return dA * (1 - A * A)


def gelu_forward(Z: Units) -> Units:
    """A = Z Phi(Z), where Phi is the standard normal distribution function.

    This is the exact GELU rather than its tanh approximation. Hendrycks & Gimpel 2016, "Gaussian Error Linear Units",
    section 2.

    Example:
        >>> jaxnet.activations.gelu_forward(jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[-0.159,  0.   ,  1.954]], dtype=float32)
    """
    return Z * _normal_distribution(Z)


def gelu_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA (Phi(Z) + Z phi(Z)), where phi = Phi' is the standard normal density.

    Example:
        >>> jaxnet.activations.gelu_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[-0.083,  0.5  ,  1.085]], dtype=float32)
    """
    phi = jnp.exp(Z * Z * -0.5) * (2 * jnp.pi) ** -0.5
    return dA * (_normal_distribution(Z) + Z * phi)


def _normal_distribution(Z: Units) -> Units:
    # erfc keeps the digits of the lower tail, which 1 + erf would cancel.
    return 0.5 * jax.lax.erfc(-(0.5**0.5) * Z)


def silu_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA S (1 + Z (1 - S)) with S = sigmoid(Z), for A = Z S.

    Example:
        >>> jaxnet.activations.silu_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[0.072, 0.5  , 1.091]], dtype=float32)
    """
    S = jax.nn.sigmoid(Z)
    return dA * (S * (1 + Z * (1 - S)))


def softplus_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA sigmoid(Z), for A = log(1 + e^Z).

    Example:
        >>> jaxnet.activations.softplus_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[0.269, 0.5  , 0.881]], dtype=float32)
    """
    return dA * jax.nn.sigmoid(Z)


def elu_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA where Z > 0, else dA e^Z, for A = Z where Z > 0, else e^Z - 1.

    Example:
        >>> jaxnet.activations.elu_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[0.368, 1.   , 1.   ]], dtype=float32)
    """
    return dA * jnp.exp(jnp.minimum(Z, 0))


def identity_forward(Z: Units) -> Units:
    """A = Z.

    Example:
        >>> jaxnet.activations.identity_forward(jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[-1.,  0.,  2.]], dtype=float32)
    """
    return Z


def identity_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA.

    Example:
        >>> jaxnet.activations.identity_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[1., 1., 1.]], dtype=float32)
    """
    del Z
    return dA


def sign_forward(Z: Units) -> Units:
    """A = 1 where Z >= 0, else -1.

    Example:
        >>> jaxnet.activations.sign_forward(jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[-1.,  1.,  1.]], dtype=float32)
    """
    return jnp.where(Z == 0, 1, jnp.sign(Z))  # NaN stays NaN


def sign_backward(dA: Units, Z: Units) -> Units:
    """dZ = dA where |Z| <= 1, else 0: the straight-through estimator, which is the derivative of clip(Z, -1, 1).

    The derivative of sign itself is 0, with which nothing would learn. Bengio, Leonard & Courville 2013, "Estimating
    or propagating gradients through stochastic neurons", section 4; Hubara et al. 2016, "Binarized neural networks",
    eq. 4.

    Example:
        >>> jaxnet.activations.sign_backward(jnp.ones((1, 3)), jnp.array([[-1.0, 0.0, 2.0]]))
        Array([[1., 1., 0.]], dtype=float32)
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


# Here backward is not the derivative of forward, so a gradient check is bound to fail.
STRAIGHT_THROUGH = {"sign": sign}


def as_activation(activation: str | Activation) -> Activation:
    """The activation with that name, or the activation itself.

    Raises `InputError`, with a list of the known names, for anything else.

    Example:
        >>> jaxnet.activations.as_activation("relu") == jaxnet.activations.relu
        True
    """
    if isinstance(activation, Activation):
        return activation
    known = ACTIVATIONS | STRAIGHT_THROUGH
    if not isinstance(activation, str) or activation not in known:
        raise InputError(f"activation is {activation!r:.60}; expected an `Activation` or one of {', '.join(known)}")
    return known[activation]
