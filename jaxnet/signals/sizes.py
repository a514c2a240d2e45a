"""The sizes of a network's signals, layer by layer: as measured, and as theory expects them.

A size is the root of the mean square. It is computed without squaring small or large numbers as they are, so that it
keeps its digits to the ends of the dtype's range: at depth 100 signals reach both.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..activations import Activation
from ..arguments import check_number
from ..checks import as_targets, check_parameters
from ..errors import InputError
from ..layers import linear_gradient
from ..network import COURSE, L_model_forward, Network, backward_signals
from ..parameters import checked_layer_dims
from ..types import AnyArray, Inputs, Labels, Parameters


PerLayer = Float[Array, " L"]
PerHiddenLayer = Float[Array, " L_minus_1"]
CLOSED = 1 / 20  # of its largest slope; an activation with a smaller slope is called closed


class SignalSizes(NamedTuple):
    """Numbers for the layers l = 1 ... L. Sizes are roots of mean squares over units and examples, without 1/m."""

    Z: PerLayer
    A: PerLayer  # A_L is the network's output
    spread: PerLayer  # of Z_l over the examples: its size after each unit's mean is subtracted
    dZ: PerLayer
    dA_prev: PerLayer  # dA_{l-1}, which layer l passes on
    W: PerLayer  # the norm ||W_l||_F
    dW: PerLayer  # the norm ||dW_l||_F, where dW_l is a mean over the examples
    ratio: PerLayer  # ||dW_l||_F / ||W_l||_F: by how much of itself a step of rate 1 moves W_l
    closed: PerHiddenLayer  # the share of Z_l's entries at which |g'| is below `CLOSED` of its largest
    dead: PerHiddenLayer  # the share of the units with g'(Z) = 0 for every example: see `dead_share`


def signal_sizes(X: Inputs, Y: Labels, parameters: Parameters, network: Network = COURSE) -> SignalSizes:
    """sqrt(mean of the squares) of Z_l, A_l, dZ_l and dA_{l-1}, and ||dW_l|| / ||W_l||, for l = 1 ... L.

    One forward pass and one backward; works inside `jit`. Sizes between the smallest normal number of the dtype and its
    largest are correct up to roundoff; a size of 0 has underflowed. Where the forward pass leaves that range,
    everything about the backward pass is NaN. Glorot & Bengio 2010, section 4.2. Raises `InputError` as
    `cost_and_grads` does.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> sizes = jaxnet.signal_sizes(X, Y, parameters)
        >>> sizes.Z.shape, sizes.dead.shape
        ((2,), (1,))
    """
    AL, caches = L_model_forward(X, parameters, network)
    Z = [cache.Z for cache in caches]
    A = [cache.linear_cache.A for cache in caches]  # A_0 ... A_{L-1}
    dZ, dA = backward_signals(
        network.loss.gradient(Z[-1], as_targets(Y, Z[-1], network.loss)), caches, network.by_backprop
    )
    W = stacked([norm(cache.linear_cache.W) for cache in caches])
    dW = stacked([norm(linear_gradient(dZ_l, jnp.asarray(A_prev))[0]) for dZ_l, A_prev in zip(dZ, A, strict=True)])
    # relu turns an error that meets NaN into 0, so an explosion would look like a vanishing signal.
    came_back = jnp.where(jnp.all(jnp.stack([jnp.all(jnp.isfinite(Z_l)) for Z_l in Z])), 1.0, jnp.nan).astype(dW.dtype)
    closed = [_is_closed(Z_l, network.hidden) for Z_l in Z[:-1]]
    dead = [dead_share(Z_l, network.hidden) for Z_l in Z[:-1]]
    return SignalSizes(
        Z=stacked(map(root_mean_square, Z)),
        A=stacked(map(root_mean_square, [*A[1:], AL])),
        spread=stacked(map(_spread, Z)),
        dZ=stacked(map(root_mean_square, dZ)) * came_back,
        dA_prev=stacked(map(root_mean_square, dA)) * came_back,
        W=W,
        dW=dW * came_back,
        ratio=dW / W * came_back,
        closed=stacked([jnp.mean(entries) for entries in closed]),
        dead=stacked(dead),
    )


def dead_share(Z: Float[AnyArray, "n m"], hidden: Activation) -> Float[Array, ""]:
    """The share of a layer's units with g'(z) = 0 for every example: they pass no error on, and learn nothing.

    This is the definition of a dead unit throughout jaxnet. A relu unit is dead where it is never above 0; a unit of
    leaky_relu or the identity never is. A saturated unit of tanh, sigmoid or elu is closed rather than dead, until its
    slope rounds to 0. A unit whose Z is NaN is not dead. For activations that act on each unit separately.
    """
    Z = jnp.asarray(Z)
    return jnp.mean(jnp.all((_slope(hidden, Z) == 0) & ~jnp.isnan(Z), axis=1), dtype=Z.dtype)


class ExpectedSizes(NamedTuple):
    """What theory expects of the fields of `SignalSizes` with the same names."""

    Z: PerLayer
    A: PerHiddenLayer  # A_1 ... A_{L-1}
    dZ: PerLayer


def expected_sizes(
    layer_dims: Sequence[int],
    stds: Sequence[float] | Float[AnyArray, " L"],
    network: Network = COURSE,
    *,
    X_size: float | Float[AnyArray, ""] = 1.0,
    dZL_size: float | Float[AnyArray, ""] = 1.0,
) -> ExpectedSizes:
    """z_l = sqrt(n_{l-1}) std_l a_{l-1},  a_l^2 = E g(z_l x)^2,  d_l^2 = n_{l+1} std_{l+1}^2 d_{l+1}^2 E g'(z_l x)^2.

    x is standard normal, and a_0 and d_L are the sizes of X and dZL. The theory is for wide layers with W_l ~ N(0,
    std_l^2), b_l = 0, and an error that does not depend on the weights; the part of the error that comes from AL does
    depend on them, and can make d_l twice as large. For relu both expectations are halves: under "he" sizes stay, under
    "lecun" each layer multiplies them by 1/sqrt(2) (He et al. 2015, section 2.2). For tanh the factor on small signals
    is sqrt(n_{l-1}) std_l (Glorot & Bengio 2010, eqs. 5 and 6). In general Schoenholz et al. 2017, eq. 3 and section 4.
    Works inside `jit`.

    Args:
        layer_dims: `(n_x, n_1, ..., n_L)`.
        stds: The standard deviation std_l of the weights of each of the L layers.
        network: The functions of the layers. Default: the course's network.
        X_size: The root of the mean square of X. Default: 1.
        dZL_size: The root of the mean square of dZL. Default: 1.

    Raises:
        InputError: for sizes that do not make a network, and unless there is one std from 0 per layer.

    Example:
        >>> jaxnet.expected_sizes((100, 50, 1), [0.1, 0.1]).Z
        Array([1. , 0.5], dtype=float32)
    """
    dims = checked_layer_dims(layer_dims)
    is_array = isinstance(stds, jax.Array | np.ndarray) and stds.ndim == 1
    if not is_array and (not isinstance(stds, Sequence) or isinstance(stds, str | bytes)):
        raise InputError(
            f"stds are of type {type(stds).__name__}; expected one number for each of {len(dims) - 1} layers"
        )
    if len(stds) != len(dims) - 1:
        raise InputError(f"there are {len(stds)} stds, but {len(dims) - 1} layers; expected one per layer")
    for std in stds:
        check_number("a standard deviation", std, "a number from 0", lambda std: std >= 0)
    std = jnp.asarray(stds, float)
    gains = jnp.array([math.sqrt(n_prev) for n_prev in dims[:-1]], float) * std

    def layer(A_prev, gain):
        A = _expected_size(network.hidden.forward, gain * A_prev)
        return A, (gain * A_prev, A)

    _, (Z, A) = jax.lax.scan(layer, jnp.asarray(X_size, float), gains)
    slopes = jax.vmap(lambda Z_l: _expected_size(partial(_slope, network.hidden), Z_l))(Z[:-1])
    roots = jnp.array([math.sqrt(n) for n in dims[2:]], float)
    start = jnp.asarray(dZL_size, float).reshape(1)
    dZ = jnp.cumprod(jnp.concatenate([start, jnp.flip(roots * std[1:] * slopes)]))
    return ExpectedSizes(Z, A[:-1], jnp.flip(dZ))


class Profile(NamedTuple):
    """The sizes in a network beside those that theory expects."""

    X: Float[AnyArray, ""]  # the size of the inputs
    measured: SignalSizes
    expected: ExpectedSizes


class SingularValues(NamedTuple):
    """The factors by which W_1 ... W_L stretch the directions of their inputs."""

    largest: PerLayer
    smallest: PerLayer
    condition: PerLayer  # largest / smallest
    root_mean_square: PerLayer  # ||W_l||_F / sqrt(min(n_l, n_{l-1}))


def singular_values(parameters: Parameters) -> SingularValues:
    """The singular values of every W_l: the largest, the smallest, their ratio, and the root of their mean square.

    Takes on the order of n_l n_{l-1} min(n_l, n_{l-1}) operations per layer; works inside `jit`. Raises `InputError`,
    as `layer_dims` does, for anything but parameters.

    Example:
        >>> jaxnet.singular_values({"W1": jnp.array([[3.0, 0.0], [0.0, 2.0]]), "b1": jnp.zeros((2, 1))}).condition
        Array([1.5], dtype=float32)
    """
    L = len(check_parameters(parameters)) - 1
    s = [jnp.linalg.svd(jnp.asarray(parameters[f"W{l}"]), compute_uv=False) for l in range(1, L + 1)]
    largest, smallest = stacked([s_l[0] for s_l in s]), stacked([s_l[-1] for s_l in s])
    return SingularValues(largest, smallest, largest / smallest, stacked(map(root_mean_square, s)))


def map_singular_values(
    x: Float[AnyArray, "n_x 1"], parameters: Parameters, network: Network = COURSE, *, layer: int | None = None
) -> Float[Array, " rank"]:
    """The singular values of J = dz_l / dx at one example, largest first: which directions of x reach layer l at all.

    J = W_l D_{l-1} W_{l-1} ... D_1 W_1 with D = diag(g'(z)); the unit matrix, sent backward from layer l, arrives as
    J^T. With depth the values spread, even where all W_l are drawn so that sizes stay (Saxe et al. 2014, sections 2 and
    3). Those below rank * eps times the largest are roundoff. Works inside `jit`.

    Args:
        x: One example, `(n_x, 1)`.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers. Default: the course's network.
        layer: l, from 1 to L. Default: L.

    Raises:
        InputError: for more than one example and for a layer that does not exist.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> jaxnet.map_singular_values(jnp.array([[0.5], [-0.5]]), parameters).shape
        (1,)
    """
    _, caches = L_model_forward(x, parameters, network)
    last = len(caches) if layer is None else layer
    if x.shape[1] != 1 or not 1 <= last <= len(caches):
        raise InputError(
            f"x has shape {x.shape} and layer is {layer}; expected one column and a layer from 1 to {len(caches)}"
        )
    n, dtype = caches[last - 1].Z.shape[0], caches[last - 1].Z.dtype
    repeated = [cache._replace(Z=jnp.tile(cache.Z, n)) for cache in caches[:last]]
    return jnp.linalg.svd(
        backward_signals(jnp.eye(n, dtype=dtype), repeated, network.by_backprop).dA[0], compute_uv=False
    )


def root_mean_square(A: Float[AnyArray, "..."], weights: Float[AnyArray, "..."] | None = None) -> Float[Array, ""]:
    """sqrt(mean of A^2), or sqrt(sum of weights * A^2), where no square leaves the dtype's range.

    It is inf or NaN where an entry is.
    """
    A, largest, scale = jnp.asarray(A), jnp.max(jnp.abs(A)), scale_of(A)
    squares = (A / scale) ** 2
    root = jnp.sqrt(jnp.mean(squares) if weights is None else jnp.sum(weights * squares))
    return jnp.where(jnp.isfinite(largest), scale * root, largest)


def norm(A: Float[AnyArray, "..."]) -> Float[Array, ""]:
    """||A||_F, where no square leaves the dtype's range."""
    return root_mean_square(A) * math.sqrt(A.size)


def scale_of(A: Float[AnyArray, "..."]) -> Float[Array, ""]:
    """The largest |entry|, or the nearest number to it by which A can safely be divided: then squares stay in range."""
    limits = jnp.finfo(A.dtype)
    # Its reciprocal has to be a normal number too, as a compiler may multiply by that instead.
    return jnp.clip(jnp.max(jnp.abs(A)), float(limits.tiny), float(limits.max) / 8)


def _spread(Z: Float[Array, "n m"]) -> Float[Array, ""]:
    # The sum is over Z / m, which stays in range where the sum over Z would not.
    return root_mean_square(Z - jnp.sum(Z / Z.shape[1], axis=1, keepdims=True))


def _slope(hidden: Activation, Z: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """g'(Z)."""
    return hidden.backward(jnp.ones_like(Z), Z)


def _is_closed(Z: Float[Array, "n m"], hidden: Activation) -> Bool[Array, "n m"]:
    steepest = jnp.max(jnp.abs(_slope(hidden, jnp.linspace(-10, 10, 401, dtype=Z.dtype)[None])))
    # relu_backward turns what meets NaN into 0.
    return (jnp.abs(_slope(hidden, Z)) < CLOSED * steepest) & ~jnp.isnan(Z)


# Midpoints, so that a kink at 0 falls between two of them, and enough of them to resolve the slope of a saturated tanh.
NORMAL = (np.arange(4096) + 0.5) / 256 - 8
DENSITY = np.exp(-(NORMAL**2) / 2) / np.exp(-(NORMAL**2) / 2).sum()


def _expected_size(function: Callable[[Array], Array], size: Float[Array, ""]) -> Float[Array, ""]:
    """sqrt(E function(size x)^2) for standard normal x."""
    x, density = jnp.asarray(NORMAL[None], size.dtype), jnp.asarray(DENSITY[None], size.dtype)
    return root_mean_square(function(size * x), density)


def stacked(numbers: Iterable[Float[Array, ""]]) -> Float[Array, " _"]:
    """One number per layer as an array; empty where there are none, such as for the hidden layers of a single layer."""
    numbers = list(numbers)
    return jnp.stack(numbers) if numbers else jnp.zeros(0)
