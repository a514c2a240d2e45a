"""Losses of one example, from the logits ZL: value and gradient side by side, in the forms that never become NaN.

Scale: `value` is neither summed nor averaged over the batch, and columns of `gradient` carry no 1/m.
`value_from_AL` and `gradient_from_AL` are the same two from an `AL` that somebody else made, as the course's
`compute_cost(AL, Y)` and `L_model_backward(AL, Y, caches)` need them; training never goes through `AL`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .errors import InputError
from .members import by_name, itself
from .types import PRNGKeyArray


Outputs = Float[Array, "n_L m"]
PerExample = Float[Array, " m"]


def as_they_are(AL: Outputs) -> Outputs:
    """AL, unchanged: the output of a network whose outputs are its logits, and the decision that decides nothing."""
    return AL


class Loss(NamedTuple):
    """A loss and the output it reads: AL = output(ZL).

    The first three are what training needs. `compute_cost(AL, Y)` and `L_model_backward(AL, Y, caches)` need the two
    from `AL`, and `predict` returns AL itself unless `decide` is given. The last three are for the curvature of
    `readouts`, with H the Hessian of an example's loss in its logits: column c m + i of `hessian_root` is column c of
    S for example i, where S S^T = H.
    """

    output: Callable[[Array], Array]  # ZL -> AL
    value: Callable[[Array, Array], Array]  # (ZL, Y) -> loss of each example, (m,)
    gradient: Callable[[Array, Array], Array]  # (ZL, Y) -> dZL
    value_from_AL: Callable[[Array, Array], Array] | None = None  # (AL, Y) -> loss of each example, (m,)
    gradient_from_AL: Callable[[Array, Array, Array], Array] | None = None  # (AL, Y, ZL) -> dZL = J_output(ZL)^T dAL
    decide: Callable[[Array], Array] = as_they_are  # AL -> predicted labels
    sample: Callable[[Array, Array], Array] | None = None  # (ZL, key) -> labels drawn from the model, (n_L, m)
    hessian_root: Callable[[Array, Array], Array] | None = None  # (ZL, Y) -> S, (n_L, C m)
    hessian_product: Callable[[Array, Array, Array], Array] | None = None  # (ZL, Y, RZL) -> H RZL

    __copy__ = __deepcopy__ = itself

    def __reduce__(self):
        return by_name(self, LOSSES, as_loss)


def _times_log(y: Outputs, p: Outputs) -> Outputs:
    """y log p with 0 log 0 = 0, in the value and in its derivative."""
    return jnp.where(y == 0, 0, y * jnp.log(jnp.where(y == 0, 1, p)))


def _quotient(p: Outputs, q: Outputs) -> Outputs:
    """p / q with 0 / 0 = 0."""
    return jnp.where(p == 0, 0, p / jnp.where(p == 0, 1, q))


def _equal_to_rounding(AL: Outputs, P: Outputs) -> jax.Array:
    # Two compilations of one sigmoid may differ in the last digit, which 1 - AL magnifies without bound; and AL may
    # come from a coarser type. One eps would be too much: 1 - 1e-7, a favourite to clip at, is so far from 1.
    eps = max(jnp.finfo(AL.dtype).eps, jnp.finfo(P.dtype).eps)
    return jnp.abs(AL - P) <= 0.75 * float(eps) * P


def _capped(slope: Outputs) -> Outputs:
    # Where AL is wrongly 0 or 1 the slope is infinite, and the layers below would make NaN of it, as inf - inf and
    # 0 * inf. The root of the largest number leaves them as many orders of magnitude again for products and sums.
    largest = float(jnp.finfo(slope.dtype).max) ** 0.5
    return jnp.clip(slope, -largest, largest)


# ---- binary cross-entropy: each output is a probability of its own


def bce_value(ZL: Outputs, Y: Outputs) -> PerExample:
    """sum_k  Y softplus(-ZL) + (1 - Y) softplus(ZL),  which is -Y log AL - (1 - Y) log(1 - AL)."""
    return jnp.sum(Y * jax.nn.softplus(-ZL) + (1 - Y) * jax.nn.softplus(ZL), axis=0)


def bce_gradient(ZL: Outputs, Y: Outputs) -> Outputs:
    """dZL = AL - Y, as (1 - Y) sigmoid(ZL) - Y sigmoid(-ZL), which keeps its digits where AL rounds to Y."""
    return (1 - Y) * jax.nn.sigmoid(ZL) - Y * jax.nn.sigmoid(-ZL)


def bce_value_from_AL(AL: Outputs, Y: Outputs) -> PerExample:
    """-sum_k Y log AL + (1 - Y) log(1 - AL)  with 0 log 0 = 0: infinite only where AL is surely wrong."""
    return -jnp.sum(_times_log(Y, AL) + _times_log(1 - Y, 1 - AL), axis=0)


def bce_gradient_from_AL(AL: Outputs, Y: Outputs, ZL: Outputs) -> Outputs:
    """dZL = dAL sigmoid'(ZL)  with  dAL = -(Y / AL - (1 - Y) / (1 - AL)), and AL - Y where AL is sigmoid(ZL).

    Both are one formula, since sigmoid' = AL (1 - AL); but where AL has rounded to 0 or 1 only the second has digits.
    Where the chain is 0/0, the limit: a term whose numerator is 0 is 0. Where it is infinite, a large number.
    """
    P, Q = jax.nn.sigmoid(ZL), jax.nn.sigmoid(-ZL)
    chain = _quotient((1 - Y) * P * Q, 1 - AL) - _quotient(Y * P * Q, AL)
    return jnp.where(_equal_to_rounding(AL, P), bce_gradient(ZL, Y), _capped(chain))


def bce_decide(AL: Outputs) -> Int[Array, "n_L m"]:
    """1 where AL > 1/2, else 0."""
    return jnp.asarray(AL > 0.5, int)


def bce_sample(ZL: Outputs, key: PRNGKeyArray) -> Outputs:
    """Each label 1 with probability AL, else 0."""
    return jax.random.bernoulli(key, jax.nn.sigmoid(ZL)).astype(ZL.dtype)


def bce_hessian_root(ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """S = diag(sech(ZL / 2) / 2),  which is the root of AL (1 - AL) and keeps its digits where AL rounds to 0 or 1."""
    del Y
    e = jnp.exp(jnp.abs(ZL) * -0.5)  # where cosh would be infinite, and its derivative no number
    return diagonal(e / (1 + e * e))


def bce_hessian_product(ZL: Outputs, Y: Outputs, RZL: Outputs) -> Outputs:
    """H RZL = AL (1 - AL) RZL."""
    del Y
    return jax.nn.sigmoid(ZL) * jax.nn.sigmoid(-ZL) * RZL


def diagonal(s: Outputs) -> Float[Array, "n_L Cm"]:
    """diag(s_i) of every example i: column c m + i is column c of it."""
    n_L, m = s.shape
    return (jnp.eye(n_L, dtype=s.dtype)[:, :, None] * s[:, None, :]).reshape(n_L, n_L * m)


# ---- softmax cross-entropy: the outputs of an example are one distribution


def softmax(ZL: Outputs) -> Outputs:
    """AL_k = e^{ZL_k} / sum_j e^{ZL_j}, column by column."""
    return jax.nn.softmax(ZL, axis=0)


def softmax_value(ZL: Outputs, Y: Outputs) -> PerExample:
    """-sum_k Y_k log AL_k."""
    return -jnp.sum(Y * jax.nn.log_softmax(ZL, axis=0), axis=0)


def softmax_gradient(ZL: Outputs, Y: Outputs) -> Outputs:
    """dZL = AL sum_k Y_k - Y,  which is AL - Y where the labels of an example sum to 1."""
    # In this order the compiled step needs no more memory than autodiff's; `softmax(ZL)` times the sum needs more.
    E = jnp.exp(ZL - jnp.max(ZL, axis=0, keepdims=True))
    return E * (jnp.sum(Y, axis=0, keepdims=True) / jnp.sum(E, axis=0, keepdims=True)) - Y


def softmax_value_from_AL(AL: Outputs, Y: Outputs) -> PerExample:
    """-sum_k Y_k log AL_k  with 0 log 0 = 0."""
    return -jnp.sum(_times_log(Y, AL), axis=0)


def softmax_gradient_from_AL(AL: Outputs, Y: Outputs, ZL: Outputs) -> Outputs:
    """dZL = (diag(P) - P P^T) dAL  with  dAL = -Y / AL, P = softmax(ZL), and `softmax_gradient` where AL is P."""
    P = softmax(ZL)
    ratio = jnp.where(_equal_to_rounding(AL, P), Y, _capped(_quotient(Y * P, AL)))
    return P * jnp.sum(ratio, axis=0, keepdims=True) - ratio


def softmax_decide(AL: Outputs) -> Int[Array, "1 m"]:
    """The index of the largest output of each example."""
    return jnp.argmax(AL, axis=0, keepdims=True)


def softmax_sample(ZL: Outputs, key: PRNGKeyArray) -> Outputs:
    """One class an example, drawn with the probabilities AL, as one-hot columns."""
    return jax.nn.one_hot(jax.random.categorical(key, ZL, axis=0), ZL.shape[0], dtype=ZL.dtype, axis=0)


def softmax_hessian_root(ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """S = diag(sqrt P) - P sqrt(P)^T, times the root of sum_k Y_k:  S S^T = sum_k Y_k (diag(P) - P P^T) = H."""
    n_L, m = ZL.shape
    E = jnp.exp((ZL - jnp.max(ZL, axis=0, keepdims=True)) / 2)
    root = E / jnp.sqrt(jnp.sum(E * E, axis=0, keepdims=True))  # of P, also where P is too small a number
    P = root * root
    # 1 - P as the sum of the others: where P rounds to 1 the difference has no digits.
    others = (1 - jnp.eye(n_L, dtype=ZL.dtype)) @ P
    S = jnp.where(jnp.eye(n_L, dtype=bool)[:, :, None], others[:, None, :], -P[:, None, :])
    scale = root * jnp.sqrt(jnp.sum(Y, axis=0, keepdims=True))
    return (S * scale[None, :, :]).reshape(n_L, n_L * m)


def softmax_hessian_product(ZL: Outputs, Y: Outputs, RZL: Outputs) -> Outputs:
    """H RZL = P (RZL - P^T RZL), times sum_k Y_k."""
    P = softmax(ZL)
    # H 1 = 0, so R is counted from that of the likeliest output, where 1 - P would have no digits.
    RZL = RZL - jnp.take_along_axis(RZL, jnp.argmax(P, axis=0, keepdims=True), axis=0)
    return jnp.sum(Y, axis=0, keepdims=True) * P * (RZL - jnp.sum(P * RZL, axis=0, keepdims=True))


# ---- squared error: the outputs are the logits


def squared_error_value(ZL: Outputs, Y: Outputs) -> PerExample:
    """sum_k (ZL - Y)^2 / 2."""
    return jnp.sum((ZL - Y) ** 2, axis=0) / 2


def squared_error_gradient(ZL: Outputs, Y: Outputs) -> Outputs:
    """dZL = ZL - Y."""
    return ZL - Y


def squared_error_gradient_from_AL(AL: Outputs, Y: Outputs, ZL: Outputs) -> Outputs:
    """dZL = AL - Y."""
    del ZL
    return AL - Y


def squared_error_sample(ZL: Outputs, key: PRNGKeyArray) -> Outputs:
    """ZL plus normal noise of variance 1: the model whose negative log-likelihood is the loss, up to a constant."""
    return ZL + jax.random.normal(key, ZL.shape, ZL.dtype)


def squared_error_hessian_root(ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """S = I."""
    del Y
    return diagonal(jnp.ones_like(ZL))


def squared_error_hessian_product(ZL: Outputs, Y: Outputs, RZL: Outputs) -> Outputs:
    """H RZL = RZL."""
    del ZL, Y
    return RZL


binary_cross_entropy = Loss(
    jax.nn.sigmoid,
    bce_value,
    bce_gradient,
    bce_value_from_AL,
    bce_gradient_from_AL,
    bce_decide,
    bce_sample,
    bce_hessian_root,
    bce_hessian_product,
)
softmax_cross_entropy = Loss(
    softmax,
    softmax_value,
    softmax_gradient,
    softmax_value_from_AL,
    softmax_gradient_from_AL,
    softmax_decide,
    softmax_sample,
    softmax_hessian_root,
    softmax_hessian_product,
)
squared_error = Loss(
    as_they_are,
    squared_error_value,
    squared_error_gradient,
    squared_error_value,
    squared_error_gradient_from_AL,
    as_they_are,
    squared_error_sample,
    squared_error_hessian_root,
    squared_error_hessian_product,
)

LOSSES = {
    "binary_cross_entropy": binary_cross_entropy,
    "softmax_cross_entropy": softmax_cross_entropy,
    "squared_error": squared_error,
}


def as_loss(loss: str | Loss) -> Loss:
    """The loss of that name, or the loss itself. Raises `InputError` that lists the known names."""
    if isinstance(loss, Loss):
        return loss
    if loss not in LOSSES:
        raise InputError(f"loss is {loss!r}; expected a `Loss` or one of {', '.join(LOSSES)}")
    return LOSSES[loss]
