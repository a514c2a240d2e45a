"""Functions of a loss that are derived from its other functions by JAX's autodiff, where they are not given.

Each is a value that holds the functions it is derived from: equal where those are equal, and hashable where they are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .errors import InputError


Outputs = Float[Array, "n_L m"]
PerExample = Float[Array, " m"]
Function = Callable[..., Array]


def as_they_are(AL: Outputs) -> Outputs:
    """AL, unchanged: the output function of a network whose outputs are its logits, and the default decision.

    Example:
        >>> jaxnet.losses.as_they_are(jnp.array([[0.2, 0.7]]))
        Array([[0.2, 0.7]], dtype=float32)
    """
    return AL


def logit(AL: Outputs) -> Outputs:
    """ZL = log AL - log(1 - AL), the inverse of sigmoid; a large number at AL = 0 and 1, since inf * 0 would be NaN."""
    return capped(jnp.log(AL) - jnp.log1p(-AL))


# Softmax has none: it does not depend on what is added to all logits, while a loss may.
INVERSES: dict[Function, Function] = {as_they_are: as_they_are, jax.nn.sigmoid: logit}


def capped(slope: Outputs) -> Outputs:
    """The slope, with a large number in place of an infinite one."""
    # Where AL is wrongly 0 or 1 the slope is infinite, which the layers below would turn into NaN, by inf - inf and
    # 0 * inf. The root of the largest number leaves them as many orders of magnitude again for products and sums.
    largest = float(jnp.finfo(slope.dtype).max) ** 0.5
    return jnp.clip(slope, -largest, largest)


def equal_to_rounding(AL: Outputs, P: Outputs, units: float | Array = 0.75) -> Array:
    """|AL - P| <= units eps P, entry by entry."""
    # Two compilations of one sigmoid may differ in the last digit, which 1 - AL magnifies without bound; and AL may
    # come from a coarser type. One eps would be too much: 1 - 1e-7, a popular value to clip at, is that far from 1.
    eps = max(jnp.finfo(AL.dtype).eps, jnp.finfo(P.dtype).eps)
    return jnp.abs(AL - P) <= units * float(eps) * jnp.abs(P)


def per_example(value: Function, ZL: Outputs, Y: Outputs) -> PerExample:
    """value(ZL, Y). Raises `InputError` unless it is one floating-point number for each example."""
    losses = value(ZL, Y)
    if not isinstance(losses, jax.Array | np.ndarray):
        raise InputError(f"the loss's value is of type {type(losses).__name__}; expected an array, a loss per example")
    shape, dtype, m = jnp.shape(losses), jnp.result_type(losses), ZL.shape[1]
    if shape != (m,) or not jnp.issubdtype(dtype, jnp.floating):
        hint = "; neither summed nor averaged over the examples" if shape == () else ""
        hint = "; sum over the outputs, axis 0" if m > 1 and shape in [(1, m), (m, 1), ZL.shape] else hint
        raise InputError(
            f"the loss's value has shape {shape} and dtype {dtype}; expected {(m,)} and floats, the loss of each "
            f"example{hint}"
        )
    return losses


@dataclass(frozen=True)
class Gradient:
    """dZL = the derivative of `value`, in reverse mode, at about the cost of `value` itself."""

    value: Function

    def __call__(self, ZL: Outputs, Y: Outputs) -> Outputs:
        losses, transpose = jax.vjp(lambda ZL: per_example(self.value, ZL, Y), ZL)
        return transpose(jnp.ones_like(losses))[0]


@dataclass(frozen=True)
class HessianProduct:
    """H RZL = the derivative of `gradient`, times RZL, at two or three times the cost of `gradient`."""

    gradient: Function

    def __call__(self, ZL: Outputs, Y: Outputs, RZL: Outputs) -> Outputs:
        # Reverse mode, since it also works for a `jax.custom_vjp`; H is symmetric.
        return jax.vjp(lambda ZL: self.gradient(ZL, Y), ZL)[1](RZL)[0]


@dataclass(frozen=True)
class HessianRoot:
    """S = U sqrt(D) with H = U D U^T, from n_L Hessian-vector products and the eigenvalues of H for each example.

    A loss that is not convex in the logits has an H with negative eigenvalues, which has no real root: `InputError`, or
    NaN under `jit`.
    """

    product: Function

    def __call__(self, ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
        return self.by_example(ZL, Y).swapaxes(1, 2).reshape(len(ZL), -1)

    def by_example(self, ZL: Outputs, Y: Outputs) -> Float[Array, "n_L m C"]:
        """S of every example i, as [:, i]."""
        n_L = len(ZL)
        H = self._hessians(ZL, Y)
        D, U = jnp.linalg.eigh((H + H.swapaxes(1, 2)) / 2)
        # At confident logits all of H may be lost in the roundoff of numbers as large as those at logits of 0.
        size = jnp.maximum(jnp.max(jnp.abs(D)), jnp.max(jnp.abs(self._hessians(jnp.zeros_like(ZL), Y))))
        negative = D < -16 * n_L * float(jnp.finfo(D.dtype).eps) * size
        if not isinstance(negative, Tracer) and negative.any():
            i = int(jnp.argmax(jnp.any(negative, axis=1)))
            raise InputError(
                f"the loss is not convex in the logits: its Hessian has the eigenvalue {float(D[i].min()):.3g} for "
                f"example {i}, and so no real root; use hessian_vector_product, or give a root of what should take "
                "its place: loss._replace(hessian_root=...)"
            )
        S = U * jnp.where(negative, jnp.nan, jnp.sqrt(jnp.maximum(D, 0)))[:, None, :]
        return S.swapaxes(0, 1)

    def _hessians(self, ZL: Outputs, Y: Outputs) -> Float[Array, "m n_L n_L"]:
        directions, ones = jnp.eye(len(ZL), dtype=ZL.dtype), jnp.ones_like(ZL)  # as sharded as ZL
        return jax.vmap(lambda e: self.product(ZL, Y, e[:, None] * ones))(directions).T


@dataclass(frozen=True)
class ValueFromAL:
    """value(ZL, Y) at the ZL whose output is AL. It has as many digits as AL has: few near 1."""

    value: Function
    inverse: Function

    def __call__(self, AL: Outputs, Y: Outputs) -> PerExample:
        return per_example(self.value, self.inverse(AL), Y)


@dataclass(frozen=True)
class GradientFromAL:
    """gradient(ZL, Y) where AL is output(ZL) up to roundoff, else J_output(ZL)^T dAL with dAL that of `value_from_AL`.

    Without `value_from_AL` the slope dAL is unknown: `InputError` for another AL, or NaN under `jit`.
    """

    output: Function
    gradient: Function
    value_from_AL: Function | None

    def __call__(self, AL: Outputs, Y: Outputs, ZL: Outputs) -> Outputs:
        P, transpose = jax.vjp(self.output, ZL)
        if self.value_from_AL is not None:
            dAL = capped(Gradient(self.value_from_AL)(AL, Y))
            same = jnp.all(equal_to_rounding(AL, P), axis=0, keepdims=True)
            return jnp.where(same, self.gradient(ZL, Y), transpose(dAL.astype(P.dtype))[0])
        # ZL may have been rounded since, which moves P by a number of units proportional to ZL.
        same = equal_to_rounding(AL, P, 16 + 4 * jnp.max(jnp.abs(ZL), axis=0, keepdims=True))
        same = jnp.all(same, axis=0, keepdims=True)
        if not isinstance(same, Tracer) and not same.all():
            raise InputError(
                f"AL is not the output of the cached ZL, first for example {int(jnp.argmin(same[0]))}, and this loss "
                "has no derivative there; give it: loss._replace(value_from_AL=...), or use "
                "`cost_and_grads`"
            )
        return jnp.where(same, self.gradient(ZL, Y), jnp.nan)


# What each is made from, in an order in which sources come first. `decide` and `sample` cannot be derived.
SOURCES = {
    "gradient": ("value",),
    "value_from_AL": ("output", "value"),
    "gradient_from_AL": ("output", "gradient", "value_from_AL"),
    "decide": ("output",),
    "sample": ("value",),
    "hessian_product": ("gradient",),
    "hessian_root": ("hessian_product",),
}


def outdated(replaced: Iterable[str]) -> set[str]:
    """The members that were made from a replaced one and are not replaced themselves."""
    given, changed = set(replaced), set(replaced)
    for name, sources in SOURCES.items():
        changed |= {name} if changed & set(sources) else set()
    return changed - given


def derived(members: dict[str, Any]) -> dict[str, Any]:
    """The members of a loss, where each None that can be derived is replaced by what follows from the others."""
    output, value = members["output"], members["value"]
    gradient = members["gradient"] or Gradient(value)
    product = members["hessian_product"] or HessianProduct(gradient)
    value_from_AL = members["value_from_AL"]
    if value_from_AL is None and output in INVERSES:
        value_from_AL = ValueFromAL(value, INVERSES[output])
    return members | {
        "gradient": gradient,
        "value_from_AL": value_from_AL,
        "gradient_from_AL": members["gradient_from_AL"] or GradientFromAL(output, gradient, value_from_AL),
        "hessian_root": members["hessian_root"] or HessianRoot(product),
        "hessian_product": product,
    }
