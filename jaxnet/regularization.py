"""What keeps a network from learning its examples by heart: small weights and dropped units, as in the course.

Dropout is a factor on the activations, `D / keep_prob`, drawn once a step and used on the way forward and back:
`L_model_forward` and `backpropagate` take such factors as `masks`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .arguments import check_count, check_key, check_number
from .checks import check_floats
from .parameters import FrozenDict, checked_layer_dims, layer_dims
from .types import DTypeLike, Parameters, PRNGKeyArray


def dropout_masks(
    layer_dims: Sequence[int],
    m: int,
    keep_prob: float,
    *,
    key: PRNGKeyArray,
    input_keep_prob: float = 1.0,
    dtype: DTypeLike | None = None,
) -> tuple[Float[Array, "n m"] | None, ...]:
    """D_l / keep_prob for A_0, ..., A_{L-1}, where the entries of D_l are 1 with probability `keep_prob`, else 0.

    Inverted dropout (Srivastava et al. 2014, section 10): the mean of a masked activation is the activation, so that
    nothing is scaled when predicting. A_0 is X, of which `input_keep_prob` is kept; None where all is.
    Raises `InputError` for a probability outside (0, 1].
    """
    dims = checked_layer_dims(layer_dims)[:-1]
    keeps = [input_keep_prob, *[keep_prob] * (len(dims) - 1)]
    check_count("m", m)
    for name, keep in (("keep_prob", keep_prob), ("input_keep_prob", input_keep_prob)):
        check_number(name, keep, "a number above 0 and up to 1", lambda keep: 0 < keep <= 1)
    check_key(key)
    keys = jax.random.split(key, len(dims))
    return tuple(
        None if keep == 1 else jax.random.bernoulli(key, keep, (n, m)).astype(dtype or float) / keep
        for key, keep, n in zip(keys, keeps, dims, strict=True)
    )


def l2_cost(parameters: Parameters, lambd: float, m: int) -> Float[Array, ""]:
    """lambd / (2 m) sum_l ||W_l||_F^2, which the course adds to the cost; biases are free.

    Raises `InputError` for a `lambd` below 0 and an `m` that is not a count.
    """
    _check_penalty(parameters, lambd, m)
    return lambd / (2 * m) * jnp.sum(jnp.stack([jnp.sum(W**2) for name, W in parameters.items() if name[0] == "W"]))


def l2_gradient(parameters: Parameters, lambd: float, m: int) -> FrozenDict:
    """The derivative of `l2_cost`: lambd / m W_l, and 0 for the biases."""
    _check_penalty(parameters, lambd, m)
    return FrozenDict(
        {name: lambd / m * value if name[0] == "W" else jnp.zeros_like(value) for name, value in parameters.items()}
    )


def _check_penalty(parameters: Parameters, lambd: float, m: int) -> None:
    layer_dims(parameters)
    check_number("lambd", lambd, "a number from 0", lambda lambd: lambd >= 0)
    check_count("m", m)
    for name, value in parameters.items():
        check_floats(name, value, "unit")
