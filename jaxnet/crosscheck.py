"""Is the hand-written backward pass the derivative of the cost? Held against `jax.grad`, in float64, leaf by leaf.

Hand and reference evaluate one chain of products in different orders, so they differ by rounding, and by how much is
known beforehand: for a leaf g at most about (L + log2 n) u S, where u is the unit roundoff, n the longest sum and S
the same backward pass with every number replaced by its magnitude (running error analysis: Higham, *Accuracy and
Stability of Numerical Algorithms*, 2nd ed., section 3.3). Errors are therefore counted in units of u S, entry by
entry: where terms cancel, S is larger than |g| and the bound relaxes, there and nowhere else.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .activations import Activation
from .network import COURSE, L_model_backward, L_model_forward, Network, as_targets
from .parameters import FrozenDict, layer_dims
from .types import Inputs, Labels, Parameters


ROUNDOFF = 2.0**-53  # u of float64
SAFETY = 16  # 269 drawn networks of correct code stayed within 0.61 (L + log2 n) u S


class LeafCheck(NamedTuple):
    """One gradient, hand-written against autodiff."""

    name: str
    shape: tuple[int, ...]
    max_error: float  # the largest |hand - reference|
    units: float  # the largest |hand - reference| / (u S)
    bound: float  # the units that rounding may explain

    @property
    def agrees(self) -> bool:
        return self.units <= self.bound  # False for NaN


class BackwardCheck(NamedTuple):
    """The leaves of a backward pass in the order in which it makes them, from the output down."""

    leaves: tuple[LeafCheck, ...]

    @property
    def agrees(self) -> bool:
        return all(leaf.agrees for leaf in self.leaves)

    @property
    def worst(self) -> LeafCheck:
        return max(self.leaves, key=lambda leaf: np.nan_to_num(leaf.units, nan=np.inf))

    def __str__(self) -> str:
        rows = [f"{'':6}{'shape':>14}{'largest error':>16}{'in roundings':>15}{'bound':>8}"]
        for leaf in self.leaves:
            shape = "x".join(map(str, leaf.shape))
            verdict = "agrees" if leaf.agrees else "DISAGREES"
            rows.append(f"{leaf.name:6}{shape:>14}{leaf.max_error:16.1e}{leaf.units:15.2g}{leaf.bound:8.0f}  {verdict}")
        return "\n".join(rows)


def check_backward(X: Inputs, Y: Labels, parameters: Parameters, network: Network = COURSE) -> BackwardCheck:
    """|hand - autodiff| / (u S) of every leaf of `L_model_backward`: dW_l, db_l, and dA_l for l = 0 ... L - 1.

    Everything is cast to float64, exactly, and computed there, whatever precision it came in.
    """
    dims = layer_dims(parameters)
    L, longest = len(dims) - 1, max(*dims, X.shape[1])
    bound = SAFETY * (L + np.log2(longest))
    with jax.enable_x64(True):
        X64 = np.asarray(X, np.float64)
        Y64 = np.asarray(as_targets(np.asarray(Y), jax.ShapeDtypeStruct((dims[-1], X.shape[1]), np.float64)))
        parameters64 = FrozenDict({name: np.asarray(value, np.float64) for name, value in parameters.items()})
        hand, reference, S = jax.device_get(_compare(X64, Y64, parameters64, network))
    leaves = []
    for name in (name for l in reversed(range(1, L + 1)) for name in (f"dW{l}", f"db{l}", f"dA{l - 1}")):
        error = np.abs(hand[name] - reference[name])
        # Below the smallest normal number nothing has digits.
        units = error / np.maximum(ROUNDOFF * S[name], np.finfo(np.float64).tiny)
        leaves.append(LeafCheck(name, error.shape, float(error.max()), float(units.max()), float(bound)))
    return BackwardCheck(tuple(leaves))


@partial(jax.jit, static_argnames="network")
def _compare(X, Y, parameters, network):
    AL, caches = L_model_forward(X, parameters, network)
    hand = L_model_backward(AL, Y, caches, network)
    return hand, reference_grads(X, Y, parameters, network), magnitudes(X, Y, parameters, network)


def reference_grads(X: jax.Array, Y: jax.Array, parameters: Parameters, network: Network) -> FrozenDict:
    """The grads that `L_model_backward` should return, by `jax.grad` of the cost, sharing none of its code.

    dA_l comes from zeros that are added to A_l, and is m times the derivative, since columns of dA carry no 1/m.
    """
    dims, m = layer_dims(parameters), X.shape[1]
    L = len(dims) - 1
    zeros = {f"A{l}": jnp.zeros((dims[l], m), X.dtype) for l in range(L)}

    def cost(parameters, zeros):
        A = X + zeros["A0"]
        for l in range(1, L):
            A = network.hidden.forward(parameters[f"W{l}"] @ A + parameters[f"b{l}"]) + zeros[f"A{l}"]
        ZL = parameters[f"W{L}"] @ A + parameters[f"b{L}"]
        return jnp.mean(network.loss.value(ZL, Y))

    by_parameters, by_zeros = jax.grad(cost, argnums=(0, 1))(dict(parameters), zeros)
    return FrozenDict(
        {f"d{name}": g for name, g in by_parameters.items()} | {f"d{name}": m * g for name, g in by_zeros.items()}
    )


def magnitudes(X: jax.Array, Y: jax.Array, parameters: Parameters, network: Network) -> FrozenDict:
    """S of every leaf: forward and backward with each number replaced by its magnitude, differences by sums.

    |Z_l| <= |W_l| A_{l-1} + |b_l| is also how far, in roundings, Z_l may be off; through g'' that reaches the slopes
    of the backward pass, and through the loss's second derivative its seed.
    """
    L, m = len(layer_dims(parameters)) - 1, X.shape[1]
    W = {l: jnp.abs(parameters[f"W{l}"]) for l in range(1, L + 1)}
    b = {l: jnp.abs(parameters[f"b{l}"]) for l in range(1, L + 1)}
    A, A_size, slope_size = X, {0: jnp.abs(X)}, {}
    for l in range(1, L):
        A, slope, curvature = _derivatives(network.hidden, parameters[f"W{l}"] @ A + parameters[f"b{l}"])
        Z_size = W[l] @ A_size[l - 1] + b[l]
        A_size[l] = jnp.abs(A) + jnp.abs(slope) * Z_size
        # The 1 is for slopes such as A (1 - A), which round relative to 1.
        slope_size[l] = 1 + jnp.abs(slope) + jnp.abs(curvature) * Z_size
    Z = parameters[f"W{L}"] @ A + parameters[f"b{L}"]
    Z_size = W[L] @ A_size[L - 1] + b[L]
    # One example at a time: d dZL_j / d ZL_k.
    hessian = jax.vmap(jax.jacfwd(lambda z, y: network.loss.gradient(z[:, None], y[:, None])[:, 0]), 1, 2)(Z, Y)
    dZ = jnp.abs(network.loss.output(Z)) + jnp.abs(Y) + jnp.einsum("jkm,km->jm", jnp.abs(hessian), Z_size)
    # Autodiff of softplus and of log-softmax makes its slope as exp(Z - softplus(Z)), which rounds relative to Z.
    dZ = dZ + jnp.abs(Z * network.loss.gradient(Z, Y))
    S = {}
    for l in reversed(range(1, L + 1)):
        S[f"dA{l - 1}"] = W[l].T @ dZ
        S[f"dW{l}"] = dZ @ A_size[l - 1].T / m
        S[f"db{l}"] = jnp.sum(dZ, axis=1, keepdims=True) / m
        if l > 1:
            dZ = slope_size[l - 1] * S[f"dA{l - 1}"]
    return FrozenDict(S)


def _derivatives(g: Activation, Z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """g(Z), g'(Z), g''(Z), entry by entry."""
    ones = jnp.ones_like(Z)

    def slope(Z):
        return jax.jvp(g.forward, (Z,), (ones,))[1]

    return g.forward(Z), *jax.jvp(slope, (Z,), (ones,))
