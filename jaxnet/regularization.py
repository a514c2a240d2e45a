"""Regularization as in the course: an L2 penalty on the weights, and dropout.

Dropout is a factor on the activations, `D / keep_prob`, drawn once per step and used both forward and backward:
`L_model_forward` and `backpropagate` take such factors as `masks`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .arguments import check_count, check_key, check_number, is_exactly
from .checks import check_floats
from .parameters import FrozenDict, checked_layer_dims, layer_dims
from .types import DTypeLike, Number, Parameters, PRNGKeyArray


def dropout_masks(
    layer_dims: Sequence[int],
    m: int,
    keep_prob: Number,
    *,
    key: PRNGKeyArray,
    input_keep_prob: Number = 1.0,
    dtype: DTypeLike | None = None,
) -> tuple[Float[Array, "n m"] | None, ...]:
    """D_l / keep_prob for A_0, ..., A_{L-1}, where the entries of D_l are 1 with probability `keep_prob`, else 0.

    Inverted dropout (Srivastava et al. 2014, section 10): the expected value of a masked activation is the activation,
    so nothing has to be rescaled when predicting.

    Args:
        layer_dims: `(n_x, n_1, ..., n_L)`.
        m: The number of examples.
        keep_prob: The probability with which a hidden unit is kept, above 0 and up to 1.
        key: A random key of JAX; use another one for each step.
        input_keep_prob: The same for the entries of X, which is A_0. Default: 1, all are kept.
        dtype: Of the masks. Default: JAX's default float.

    Returns:
        One mask of shape `(n_l, m)` for each of A_0, ..., A_{L-1}, or None where everything is kept.

    Raises:
        InputError: for a probability outside (0, 1].

    Example:
        >>> masks = jaxnet.dropout_masks((2, 3, 1), 4, 0.5, key=jax.random.key(0))
        >>> masks[0], masks[1].shape, sorted(set(masks[1].ravel().tolist()))
        (None, (3, 4), [0.0, 2.0])
    """
    dims = checked_layer_dims(layer_dims)[:-1]
    keeps = [input_keep_prob, *[keep_prob] * (len(dims) - 1)]
    check_count("m", m)
    for name, keep in (("keep_prob", keep_prob), ("input_keep_prob", input_keep_prob)):
        check_number(name, keep, "a number above 0 and up to 1", lambda keep: 0 < keep <= 1)
    check_key(key)
    keys = jax.random.split(key, len(dims))
    return tuple(
        None
        if is_exactly(keep, 1)
        else jax.random.bernoulli(key, keep, (n, m)).astype(dtype or float) / jnp.asarray(keep, dtype or float)
        for key, keep, n in zip(keys, keeps, dims, strict=True)
    )


def l2_cost(parameters: Parameters, lambd: Number, m: int) -> Float[Array, ""]:
    """lambd / (2 m) sum_l ||W_l||_F^2, which the course adds to the cost; biases are not penalised.

    Raises `InputError` for a `lambd` below 0 and for an `m` that is not a count.

    Example:
        >>> parameters = {"W1": jnp.array([[3.0, 4.0]]), "b1": jnp.ones((1, 1))}
        >>> jaxnet.l2_cost(parameters, lambd=0.1, m=5)
        Array(0.25, dtype=float32)
    """
    _check_penalty(parameters, lambd, m)
    return lambd / (2 * m) * jnp.sum(jnp.stack([jnp.sum(W**2) for name, W in parameters.items() if name[0] == "W"]))


def l2_gradient(parameters: Parameters, lambd: Number, m: int) -> FrozenDict:
    """The derivative of `l2_cost`: lambd / m W_l for the weights, and 0 for the biases.

    It has the keys of `parameters`. Raises `InputError` as `l2_cost` does.

    Example:
        >>> parameters = {"W1": jnp.array([[3.0, 4.0]]), "b1": jnp.ones((1, 1))}
        >>> jaxnet.l2_gradient(parameters, lambd=0.1, m=5)["W1"]
        Array([[0.06, 0.08]], dtype=float32)
    """
    _check_penalty(parameters, lambd, m)
    return FrozenDict(
        {name: lambd / m * value if name[0] == "W" else jnp.zeros_like(value) for name, value in parameters.items()}
    )


def _check_penalty(parameters: Parameters, lambd: Number, m: int) -> None:
    layer_dims(parameters)
    check_number("lambd", lambd, "a number from 0", lambda lambd: lambd >= 0)
    check_count("m", m)
    for name, value in parameters.items():
        check_floats(name, value, "unit")
