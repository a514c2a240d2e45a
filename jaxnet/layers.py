"""One layer, each forward function beside its backward.

The caches are what JAX calls residuals. They are tuples that unpack as the course's do, `((A_prev, W, b), Z)`, and
hand-built tuples of NumPy arrays work as well.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from .activations import Activation, as_activation
from .checks import check_array, check_finite, check_floats, check_layer_cache, check_linear_cache, check_same_shape
from .errors import InputError
from .types import AnyArray


class LinearCache(NamedTuple):
    """What `linear_forward` leaves for `linear_backward`: (A_prev, W, b)."""

    A: Float[Array, "n_prev m"]
    W: Float[Array, "n n_prev"]
    b: Float[Array, "n 1"]


class LayerCache(NamedTuple):
    """What a layer leaves for its backward pass: (linear_cache, Z)."""

    linear_cache: LinearCache
    Z: Float[Array, "n m"]


def linear_forward(
    A: Float[AnyArray, "n_prev m"], W: Float[AnyArray, "n n_prev"], b: Float[AnyArray, "n 1"]
) -> tuple[Float[Array, "n m"], LinearCache]:
    """Z = W A + b, and the cache (A, W, b).

    Raises `InputError` where an argument is not an array of finite floats or the shapes do not fit; in particular, a
    `b` of shape (n,) would broadcast along the examples.

    Example:
        >>> Z, cache = jaxnet.linear_forward(jnp.eye(2), jnp.array([[1.0, 2.0]]), jnp.array([[0.5]]))
        >>> Z
        Array([[1.5, 2.5]], dtype=float32)
    """
    _check_layer(A, W, b)
    return affine(A, W, b)


def affine(
    A: Float[AnyArray, "n_prev m"], W: Float[AnyArray, "n n_prev"], b: Float[AnyArray, "n 1"]
) -> tuple[Float[Array, "n m"], LinearCache]:
    """`linear_forward` without its checks."""
    A, W, b = jnp.asarray(A), jnp.asarray(W), jnp.asarray(b)
    return W @ A + b, LinearCache(A, W, b)


def _check_layer(A: AnyArray, W: AnyArray, b: AnyArray) -> None:
    for name, value in (("A", A), ("W", W), ("b", b)):
        check_array(name, value)
    if W.ndim != 2 or A.ndim != 2 or W.shape[1] != A.shape[0] or b.shape != (W.shape[0], 1):
        raise InputError(
            f"A has shape {A.shape}, W {W.shape} and b {b.shape}; expected (n_prev, m), (n, n_prev) and (n, 1)"
        )
    for name, value in (("A", A), ("W", W), ("b", b)):
        check_floats(name, value)


def linear_backward(
    dZ: Float[AnyArray, "n m"], cache: tuple
) -> tuple[Float[Array, "n_prev m"], Float[Array, "n n_prev"], Float[Array, "n 1"]]:
    """dA_prev = W^T dZ,  dW = dZ A_prev^T / m,  db = mean of the columns of dZ.

    The transpose of `linear_forward`. Columns of `dZ` and `dA_prev` belong to single examples; `dW` and `db` are means
    over the examples. Raises `InputError` where an argument is not an array of finite floats or the shapes do not fit.

    Example:
        >>> _, cache = jaxnet.linear_forward(jnp.eye(2), jnp.array([[1.0, 2.0]]), jnp.array([[0.5]]))
        >>> dA_prev, dW, db = jaxnet.linear_backward(jnp.array([[3.0, 4.0]]), cache)
        >>> dW, db
        (Array([[1.5, 2. ]], dtype=float32), Array([[3.5]], dtype=float32))
    """
    check_linear_cache(cache)
    A_prev, W, _ = cache
    named = {"dZ": dZ, "A_prev": A_prev, "W": W}
    for name, value in named.items():
        check_array(name, value)
    if A_prev.ndim != 2 or W.shape != (*dZ.shape[:1], A_prev.shape[0]) or dZ.shape[1:] != A_prev.shape[1:]:
        raise InputError(
            f"dZ has shape {dZ.shape}, and in the cache A_prev {A_prev.shape} and W {W.shape}; expected (n, m), "
            "(n_prev, m) and (n, n_prev)"
        )
    for name, value in named.items():
        check_floats(name, value)
    dZ, A_prev, W = map(jnp.asarray, named.values())
    return linear_transpose(dZ, W), *linear_gradient(dZ, A_prev)


def linear_transpose(dZ: Float[Array, "n m"], W: Float[Array, "n n_prev"]) -> Float[Array, "n_prev m"]:
    """dA_prev = W^T dZ."""
    return W.T @ dZ


def linear_gradient(
    dZ: Float[Array, "n m"], A_prev: Float[Array, "n_prev m"]
) -> tuple[Float[Array, "n n_prev"], Float[Array, "n 1"]]:
    """dW = dZ A_prev^T / m,  db = mean of the columns of dZ: the one place where a gradient is divided by m."""
    m = A_prev.shape[1]
    return (1 / m) * summed_products(dZ, A_prev), (1 / m) * jnp.sum(dZ, axis=1, keepdims=True)


def summed_products(F: Float[Array, "n m"], G: Float[Array, "k m"]) -> Float[Array, "n k"]:
    """F G^T = sum over the columns of f_i g_i^T, with rows sharded as those of F and of G."""
    of_F, of_G = jax.typeof(F).sharding, jax.typeof(G).sharding
    # Over explicit axes of a mesh, JAX asks how a sum over sharded examples is sharded.
    return jnp.matmul(F, G.T, out_sharding=NamedSharding(of_F.mesh, PartitionSpec(of_F.spec[0], of_G.spec[0])))


def linear_activation_forward(
    A_prev: Float[AnyArray, "n_prev m"],
    W: Float[AnyArray, "n n_prev"],
    b: Float[AnyArray, "n 1"],
    activation: str | Activation,
) -> tuple[Float[Array, "n m"], LayerCache]:
    """A = g(W A_prev + b), and the cache ((A_prev, W, b), Z).

    `activation` is a name such as `"relu"`, or an `Activation`. Raises `InputError` as `linear_forward` does, and for
    an unknown activation.

    Example:
        >>> A, cache = jaxnet.linear_activation_forward(jnp.eye(2), jnp.array([[1.0, -2.0]]), jnp.zeros((1, 1)), "relu")
        >>> A
        Array([[1., 0.]], dtype=float32)
    """
    g = as_activation(activation)
    Z, linear_cache = linear_forward(A_prev, W, b)
    return g.forward(Z), LayerCache(linear_cache, Z)


def linear_activation_backward(
    dA: Float[AnyArray, "n m"], cache: tuple, activation: str | Activation
) -> tuple[Float[Array, "n_prev m"], Float[Array, "n n_prev"], Float[Array, "n 1"]]:
    """dZ = g'(Z) * dA, then `linear_backward`: dA_prev, dW, db.

    `activation` is a name such as `"relu"`, or an `Activation`. Raises `InputError` as `linear_backward` does, and for
    an unknown activation.

    Example:
        >>> _, cache = jaxnet.linear_activation_forward(jnp.eye(2), jnp.array([[1.0, -2.0]]), jnp.zeros((1, 1)), "relu")
        >>> dA_prev, dW, db = jaxnet.linear_activation_backward(jnp.ones((1, 2)), cache, "relu")
        >>> dW, db
        (Array([[0.5, 0. ]], dtype=float32), Array([[0.5]], dtype=float32))
    """
    g = as_activation(activation)
    check_layer_cache(cache)
    linear_cache, Z = cache
    check_same_shape(dA, Z)
    check_finite("dA", dA)
    check_finite("Z", Z)
    dZ = g.backward(jnp.asarray(dA), jnp.asarray(Z))
    return linear_backward(dZ, linear_cache)
