"""Losses as functions of one example's logits ZL: value and gradient side by side, in forms that never become NaN.

Scale: `value` is neither summed nor averaged over the batch, and the columns of `gradient` carry no 1/m.
`value_from_AL` and `gradient_from_AL` compute the same from an `AL` that was made elsewhere, which is what the course's
`compute_cost(AL, Y)` and `L_model_backward(AL, Y, caches)` need; training never goes through `AL`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .companions import Outputs, PerExample, as_they_are as as_they_are, capped, derived, equal_to_rounding, outdated
from .errors import InputError
from .members import by_name, itself
from .types import PRNGKeyArray


class _LossFields(NamedTuple):
    output: Callable[[Array], Array]  # ZL -> AL
    value: Callable[[Array, Array], Array]  # (ZL, Y) -> loss of each example, (m,)
    gradient: Callable[[Array, Array], Array]  # (ZL, Y) -> dZL
    value_from_AL: Callable[[Array, Array], Array] | None  # (AL, Y) -> loss of each example, (m,)
    gradient_from_AL: Callable[[Array, Array, Array], Array]  # (AL, Y, ZL) -> dZL = J_output(ZL)^T dAL
    decide: Callable[[Array], Array] | None  # AL -> predicted labels
    sample: Callable[[Array, Array], Array] | None  # (ZL, key) -> labels drawn from the model, (n_L, m)
    hessian_root: Callable[[Array, Array], Array]  # (ZL, Y) -> S, (n_L, C m)
    hessian_product: Callable[[Array, Array, Array], Array]  # (ZL, Y, RZL) -> H RZL


class Loss(_LossFields):
    """A loss, together with the output function that it reads: AL = output(ZL). `Loss(output, value)` is enough.

    `compute_cost(AL, Y)` and `L_model_backward(AL, Y, caches)` use the two functions of `AL`; `predict` returns AL
    itself unless `decide` is given. The last three are for the curvature in `readouts`, where H denotes the derivative
    of `gradient`, which is the Hessian of an example's loss in its logits.

    What is not given is derived by autodiff, see `companions`. None of it is expensive beside the layers unless there
    are many outputs; but a formula of your own may keep digits that autodiff loses, above all where 1 - AL has none.

    `_replace` derives anew, or drops, whatever was made from a function that it replaces: a new `value` takes
    `gradient`, `sample`, the two functions of AL and the Hessians with it, a new `gradient` the Hessians, and a new
    `output` takes `decide`, unless they are given in the same call.

    Args:
        output: `ZL -> AL`, both `(n_L, m)`.
        value: `(ZL, Y) ->` the loss of each example, `(m,)`.
        gradient: `(ZL, Y) -> dZL`, `(n_L, m)`. Derived from `value`.
        value_from_AL: `(AL, Y) ->` the loss of each example. Derived where `output` is `as_they_are` or
            `jax.nn.sigmoid`.
        gradient_from_AL: `(AL, Y, ZL) -> dZL = J_output(ZL)^T dAL`. Derived; without `value_from_AL` only for the AL
            that is `output(ZL)`.
        decide: `AL ->` predicted labels. Default: AL itself.
        sample: `(ZL, key) ->` labels drawn from the model, `(n_L, m)`. Cannot be derived; `readouts.sampled_labels`
            needs it.
        hessian_root: `(ZL, Y) -> S`, `(n_L, C m)`, where column c m + i is column c of S for example i, and S S^T = H.
            Derived from n_L Hessian-vector products and the eigenvalues of H for each example.
        hessian_product: `(ZL, Y, RZL) -> H RZL`. Derived from `gradient`, at two or three times its cost.

    Raises:
        InputError: where one of them is not a function.

    Example:
        >>> absolute = jaxnet.Loss(output=lambda ZL: ZL, value=lambda ZL, Y: jnp.sum(jnp.abs(ZL - Y), axis=0))
        >>> absolute.gradient(jnp.array([[3.0, -2.0]]), jnp.zeros((1, 2)))
        Array([[ 1., -1.]], dtype=float32)
    """

    __slots__ = ()

    def __new__(
        cls,
        output: Callable[[Array], Array],
        value: Callable[[Array, Array], Array],
        gradient: Callable[[Array, Array], Array] | None = None,
        value_from_AL: Callable[[Array, Array], Array] | None = None,
        gradient_from_AL: Callable[[Array, Array, Array], Array] | None = None,
        decide: Callable[[Array], Array] | None = as_they_are,
        sample: Callable[[Array, Array], Array] | None = None,
        hessian_root: Callable[[Array, Array], Array] | None = None,
        hessian_product: Callable[[Array, Array, Array], Array] | None = None,
    ):
        given = (
            output, value, gradient, value_from_AL, gradient_from_AL, decide, sample, hessian_root, hessian_product,
        )  # fmt: skip
        members = dict(zip(cls._fields, given, strict=True))
        for name, member in members.items():
            if not callable(member) and (member is not None or name in ("output", "value")):
                raise InputError(f"the loss's {name} is {member!r:.60}; expected a function, see `jaxnet.Loss`")
        return super().__new__(cls, **derived(members))

    def _replace(self, **members: Any) -> "Loss":  # pyright: ignore[reportIncompatibleMethodOverride]
        kept: dict[str, Any] = self._asdict() | dict.fromkeys(outdated(members))
        return Loss(**kept | members)

    __replace__ = _replace  # of `copy.replace`
    __copy__ = __deepcopy__ = itself

    def __reduce__(self):
        return by_name(self, LOSSES, as_loss)


def loss_function(loss: Loss, name: str) -> Callable:
    """The function `name` of the loss.

    Raises `InputError` where it was not given and cannot be derived.

    Example:
        >>> jaxnet.losses.loss_function(jaxnet.losses.squared_error, "decide")(jnp.ones((1, 2)))
        Array([[1., 1.]], dtype=float32)
    """
    function = getattr(loss, name)
    if function is None:
        reason = {
            "value_from_AL": ", and its value reads the logits, which AL does not determine; use `cost`, or",
            "decide": " for its new output;",
        }.get(name, ", which cannot be derived;")
        raise InputError(f"this loss has no {name}{reason} give it: loss._replace({name}=...), see `jaxnet.Loss`")
    return function


def _times_log(y: Outputs, p: Outputs) -> Outputs:
    """y log p with 0 log 0 = 0, both in its value and in its derivative."""
    return jnp.where(y == 0, 0, y * jnp.log(jnp.where(y == 0, 1, p)))


def _quotient(p: Outputs, q: Outputs) -> Outputs:
    """p / q with 0 / 0 = 0."""
    return jnp.where(p == 0, 0, p / jnp.where(p == 0, 1, q))


# ---- binary cross-entropy: each output is a probability of its own


def bce_value(ZL: Outputs, Y: Outputs) -> PerExample:
    """sum_k  Y softplus(-ZL) + (1 - Y) softplus(ZL),  which is -Y log AL - (1 - Y) log(1 - AL).

    Example:
        >>> jaxnet.losses.bce_value(jnp.array([[0.0, 3.0, 1000.0]]), jnp.array([[1.0, 1.0, 0.0]]))
        Array([   0.693,    0.049, 1000.   ], dtype=float32)
    """
    return jnp.sum(Y * jax.nn.softplus(-ZL) + (1 - Y) * jax.nn.softplus(ZL), axis=0)


def bce_gradient(ZL: Outputs, Y: Outputs) -> Outputs:
    """dZL = AL - Y, as (1 - Y) sigmoid(ZL) - Y sigmoid(-ZL), which keeps its digits where AL rounds to Y.

    Example:
        >>> jaxnet.losses.bce_gradient(jnp.array([[0.0, 3.0, 1000.0]]), jnp.array([[1.0, 1.0, 0.0]]))
        Array([[-0.5  , -0.047,  1.   ]], dtype=float32)
    """
    return (1 - Y) * jax.nn.sigmoid(ZL) - Y * jax.nn.sigmoid(-ZL)


def bce_value_from_AL(AL: Outputs, Y: Outputs) -> PerExample:
    """-sum_k Y log AL + (1 - Y) log(1 - AL)  with 0 log 0 = 0: infinite only where AL is certain and wrong.

    Example:
        >>> jaxnet.losses.bce_value_from_AL(jnp.array([[0.5, 1.0, 1.0]]), jnp.array([[1.0, 1.0, 0.0]]))
        Array([ 0.693, -0.   ,    inf], dtype=float32)
    """
    return -jnp.sum(_times_log(Y, AL) + _times_log(1 - Y, 1 - AL), axis=0)


def bce_gradient_from_AL(AL: Outputs, Y: Outputs, ZL: Outputs) -> Outputs:
    """dZL = dAL sigmoid'(ZL)  with  dAL = -(Y / AL - (1 - Y) / (1 - AL)), and AL - Y where AL is sigmoid(ZL).

    The two agree, since sigmoid' = AL (1 - AL); but where AL has rounded to 0 or 1 only the second has digits. Where
    the chain is 0/0 the result is its limit: a term whose numerator is 0 is 0. Where it is infinite, a large number.

    Example:
        >>> ZL, Y = jnp.array([[0.0, 3.0]]), jnp.array([[1.0, 0.0]])
        >>> jaxnet.losses.bce_gradient_from_AL(jax.nn.sigmoid(ZL), Y, ZL)
        Array([[-0.5  ,  0.953]], dtype=float32)
    """
    P, Q = jax.nn.sigmoid(ZL), jax.nn.sigmoid(-ZL)
    chain = _quotient((1 - Y) * P * Q, 1 - AL) - _quotient(Y * P * Q, AL)
    return jnp.where(equal_to_rounding(AL, P), bce_gradient(ZL, Y), capped(chain))


def bce_decide(AL: Outputs) -> Int[Array, "n_L m"]:
    """1 where AL > 1/2, else 0.

    Example:
        >>> jaxnet.losses.bce_decide(jnp.array([[0.2, 0.5, 0.9]]))
        Array([[0, 0, 1]], dtype=int32)
    """
    return jnp.asarray(AL > 0.5, int)


def bce_sample(ZL: Outputs, key: PRNGKeyArray) -> Outputs:
    """Labels that are 1 with probability AL, else 0.

    Example:
        >>> jaxnet.losses.bce_sample(jnp.array([[-1000.0, 1000.0]]), jax.random.key(0))
        Array([[0., 1.]], dtype=float32)
    """
    return jax.random.bernoulli(key, jax.nn.sigmoid(ZL)).astype(ZL.dtype)


def bce_hessian_root(ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """S = diag(sech(ZL / 2) / 2), the root of AL (1 - AL), which keeps its digits where AL rounds to 0 or 1.

    Example:
        >>> jaxnet.losses.bce_hessian_root(jnp.array([[0.0, 3.0]]), jnp.zeros((1, 2)))
        Array([[0.5  , 0.213]], dtype=float32)
    """
    del Y
    e = jnp.exp(jnp.abs(ZL) * -0.5)  # cosh would overflow, and its derivative would be NaN
    return diagonal(e / (1 + e * e))


def bce_hessian_product(ZL: Outputs, Y: Outputs, RZL: Outputs) -> Outputs:
    """H RZL = AL (1 - AL) RZL.

    Example:
        >>> jaxnet.losses.bce_hessian_product(jnp.array([[0.0, 3.0]]), jnp.zeros((1, 2)), jnp.ones((1, 2)))
        Array([[0.25 , 0.045]], dtype=float32)
    """
    del Y
    return jax.nn.sigmoid(ZL) * jax.nn.sigmoid(-ZL) * RZL


def diagonal(s: Outputs) -> Float[Array, "n_L Cm"]:
    """diag(s_i) for every example i: column c m + i of the result is column c of the matrix of example i.

    Example:
        >>> jaxnet.losses.diagonal(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
        Array([[1., 2., 0., 0.],
               [0., 0., 3., 4.]], dtype=float32)
    """
    n_L, m = s.shape
    return (jnp.eye(n_L, dtype=s.dtype)[:, :, None] * s[:, None, :]).reshape(n_L, n_L * m)


# ---- softmax cross-entropy: the outputs of an example are one distribution


def softmax(ZL: Outputs) -> Outputs:
    """AL_k = e^{ZL_k} / sum_j e^{ZL_j}, column by column.

    Example:
        >>> jaxnet.losses.softmax(jnp.array([[0.0, 1000.0], [0.0, 0.0]]))
        Array([[0.5, 1. ],
               [0.5, 0. ]], dtype=float32)
    """
    return jax.nn.softmax(ZL, axis=0)


def softmax_value(ZL: Outputs, Y: Outputs) -> PerExample:
    """-sum_k Y_k log AL_k.

    Example:
        >>> jaxnet.losses.softmax_value(jnp.array([[0.0, 1000.0], [0.0, 0.0]]), jnp.eye(2))
        Array([   0.693, 1000.   ], dtype=float32)
    """
    return -jnp.sum(Y * jax.nn.log_softmax(ZL, axis=0), axis=0)


def softmax_gradient(ZL: Outputs, Y: Outputs) -> Outputs:
    """dZL = AL sum_k Y_k - Y,  which is AL - Y where the labels of an example sum to 1.

    Example:
        >>> jaxnet.losses.softmax_gradient(jnp.array([[0.0, 1000.0], [0.0, 0.0]]), jnp.eye(2))
        Array([[-0.5,  1. ],
               [ 0.5, -1. ]], dtype=float32)
    """
    # In this order the compiled step needs no more memory than autodiff's; `softmax(ZL)` times the sum needs more.
    E = jnp.exp(ZL - jnp.max(ZL, axis=0, keepdims=True))
    return E * (jnp.sum(Y, axis=0, keepdims=True) / jnp.sum(E, axis=0, keepdims=True)) - Y


def softmax_value_from_AL(AL: Outputs, Y: Outputs) -> PerExample:
    """-sum_k Y_k log AL_k  with 0 log 0 = 0.

    Example:
        >>> jaxnet.losses.softmax_value_from_AL(jnp.array([[0.5, 0.0], [0.5, 1.0]]), jnp.eye(2))
        Array([ 0.693, -0.   ], dtype=float32)
    """
    return -jnp.sum(_times_log(Y, AL), axis=0)


def softmax_gradient_from_AL(AL: Outputs, Y: Outputs, ZL: Outputs) -> Outputs:
    """dZL = (diag(P) - P P^T) dAL  with  dAL = -Y / AL, P = softmax(ZL), and `softmax_gradient` where AL is P.

    Example:
        >>> ZL = jnp.array([[0.0, 1000.0], [0.0, 0.0]])
        >>> jaxnet.losses.softmax_gradient_from_AL(jaxnet.losses.softmax(ZL), jnp.eye(2), ZL)
        Array([[-0.5,  1. ],
               [ 0.5, -1. ]], dtype=float32)
    """
    P = softmax(ZL)
    ratio = jnp.where(equal_to_rounding(AL, P), Y, capped(_quotient(Y * P, AL)))
    return P * jnp.sum(ratio, axis=0, keepdims=True) - ratio


def softmax_decide(AL: Outputs) -> Int[Array, "1 m"]:
    """The index of the largest output of each example, `(1, m)`.

    Example:
        >>> jaxnet.losses.softmax_decide(jnp.array([[0.9, 0.2], [0.1, 0.8]]))
        Array([[0, 1]], dtype=int32)
    """
    return jnp.argmax(AL, axis=0, keepdims=True)


def softmax_sample(ZL: Outputs, key: PRNGKeyArray) -> Outputs:
    """One class per example, drawn with the probabilities AL, as one-hot columns.

    Example:
        >>> jaxnet.losses.softmax_sample(jnp.array([[1000.0, 0.0], [0.0, 1000.0]]), jax.random.key(0))
        Array([[1., 0.],
               [0., 1.]], dtype=float32)
    """
    return jax.nn.one_hot(jax.random.categorical(key, ZL, axis=0), ZL.shape[0], dtype=ZL.dtype, axis=0)


def softmax_hessian_root(ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """S = diag(sqrt P) - P sqrt(P)^T, times the root of sum_k Y_k:  S S^T = sum_k Y_k (diag(P) - P P^T) = H.

    Example:
        >>> S = jaxnet.losses.softmax_hessian_root(jnp.zeros((2, 1)), jnp.array([[1.0], [0.0]]))
        >>> S @ S.T
        Array([[ 0.25, -0.25],
               [-0.25,  0.25]], dtype=float32)
    """
    n_L, m = ZL.shape
    E = jnp.exp((ZL - jnp.max(ZL, axis=0, keepdims=True)) / 2)
    root = E / jnp.sqrt(jnp.sum(E * E, axis=0, keepdims=True))  # of P, even where P itself underflows
    P = root * root
    # 1 - P as the sum of the others: where P rounds to 1 the difference has no digits.
    others = (1 - jnp.eye(n_L, dtype=ZL.dtype)) @ P
    S = jnp.where(jnp.eye(n_L, dtype=bool)[:, :, None], others[:, None, :], -P[:, None, :])
    scale = root * jnp.sqrt(jnp.sum(Y, axis=0, keepdims=True))
    return (S * scale[None, :, :]).reshape(n_L, n_L * m)


def softmax_hessian_product(ZL: Outputs, Y: Outputs, RZL: Outputs) -> Outputs:
    """H RZL = P (RZL - P^T RZL), times sum_k Y_k.

    Example:
        >>> ZL, Y, RZL = jnp.zeros((2, 1)), jnp.array([[1.0], [0.0]]), jnp.array([[1.0], [0.0]])
        >>> jaxnet.losses.softmax_hessian_product(ZL, Y, RZL)
        Array([[ 0.25],
               [-0.25]], dtype=float32)
    """
    P = softmax(ZL)
    # Since H 1 = 0, RZL may be measured from the likeliest output, where 1 - P would have no digits.
    RZL = RZL - jnp.take_along_axis(RZL, jnp.argmax(P, axis=0, keepdims=True), axis=0)
    return jnp.sum(Y, axis=0, keepdims=True) * P * (RZL - jnp.sum(P * RZL, axis=0, keepdims=True))


# ---- squared error: the outputs are the logits


def squared_error_value(ZL: Outputs, Y: Outputs) -> PerExample:
    """sum_k (ZL - Y)^2 / 2.

    Example:
        >>> jaxnet.losses.squared_error_value(jnp.array([[3.0, 1.0]]), jnp.array([[1.0, 1.0]]))
        Array([2., 0.], dtype=float32)
    """
    return jnp.sum((ZL - Y) ** 2, axis=0) / 2


def squared_error_gradient(ZL: Outputs, Y: Outputs) -> Outputs:
    """dZL = ZL - Y.

    Example:
        >>> jaxnet.losses.squared_error_gradient(jnp.array([[3.0, 1.0]]), jnp.array([[1.0, 1.0]]))
        Array([[2., 0.]], dtype=float32)
    """
    return ZL - Y


def squared_error_gradient_from_AL(AL: Outputs, Y: Outputs, ZL: Outputs) -> Outputs:
    """dZL = AL - Y.

    Example:
        >>> ZL = jnp.array([[3.0, 1.0]])
        >>> jaxnet.losses.squared_error_gradient_from_AL(ZL, jnp.array([[1.0, 1.0]]), ZL)
        Array([[2., 0.]], dtype=float32)
    """
    del ZL
    return AL - Y


def squared_error_sample(ZL: Outputs, key: PRNGKeyArray) -> Outputs:
    """ZL plus standard normal noise: the model whose negative log-likelihood is this loss, up to a constant.

    Example:
        >>> jaxnet.losses.squared_error_sample(jnp.zeros((1, 2)), jax.random.key(0)).shape
        (1, 2)
    """
    return ZL + jax.random.normal(key, ZL.shape, ZL.dtype)


def squared_error_hessian_root(ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """S = I.

    Example:
        >>> jaxnet.losses.squared_error_hessian_root(jnp.zeros((1, 2)), jnp.zeros((1, 2)))
        Array([[1., 1.]], dtype=float32)
    """
    del Y
    return diagonal(jnp.ones_like(ZL))


def squared_error_hessian_product(ZL: Outputs, Y: Outputs, RZL: Outputs) -> Outputs:
    """H RZL = RZL.

    Example:
        >>> jaxnet.losses.squared_error_hessian_product(jnp.zeros((1, 2)), jnp.zeros((1, 2)), jnp.ones((1, 2)))
        Array([[1., 1.]], dtype=float32)
    """
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
    """The loss with that name, or the loss itself.

    Raises `InputError`, with a list of the known names, for anything else.

    Example:
        >>> jaxnet.losses.as_loss("squared_error") == jaxnet.losses.squared_error
        True
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise InputError(f"loss is {loss!r:.60}; expected a `Loss` or one of {', '.join(LOSSES)}")
    return LOSSES[loss]
