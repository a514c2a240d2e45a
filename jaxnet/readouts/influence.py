"""Influence: which training examples changed the loss of which other examples."""

from collections.abc import Sequence
from functools import reduce
from itertools import chain

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..arguments import check_number
from ..errors import InputError
from .examples import gram, on_every_device, squared_norms
from .pairs import Record, check_one_column, check_positive


def tracin(
    training: Sequence[Record], test: Sequence[Record], rates: Sequence[float | Float[Array, ""]]
) -> Float[Array, "m k"]:
    """sum_t alpha_t <g_i(t), g_j(t)>: how much steps on example i lowered the loss of example j, to first order.

    `training` and `test` hold one record per checkpoint t, and `rates` the learning rates alpha_t. TracInCP of Pruthi
    et al. 2020, arXiv:2002.08484. Raises `InputError` where the three differ in length, or there is no checkpoint.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> jaxnet.readouts.tracin([pairs], [pairs], rates=[0.1]).shape
        (4, 4)
    """
    _check_checkpoints(rates, training, test)
    terms = (rate * gram(record, other) for record, other, rate in zip(training, test, rates, strict=True))
    return reduce(jnp.add, terms)


def self_influence(training: Sequence[Record], rates: Sequence[float | Float[Array, ""]]) -> Float[Array, " m"]:
    """sum_t alpha_t ||g_i(t)||^2,  the diagonal of `tracin`: high for rare, hard and mislabelled examples.

    Pruthi et al. 2020. It needs no matrix product beyond those of the records. Raises `InputError` as `tracin` does.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> jaxnet.readouts.self_influence([pairs], rates=[0.1]).shape
        (4,)
    """
    _check_checkpoints(rates, training)
    return reduce(jnp.add, (rate * squared_norms(record) for record, rate in zip(training, rates, strict=True)))


def influence(
    training: Record, test: Record, damping: float | Float[Array, ""], curvature: Record | None = None
) -> Float[Array, "m k"]:
    """<g_i, (F + damping I)^{-1} g_j>  for example i of the training batch and j of the test batch.

    Divided by m it is, to first order, how much the loss of j would rise if i were left out of the mean. Koh & Liang
    2017, arXiv:1703.04730, section 2.1, with the GGN or the Fisher matrix in place of the Hessian.

    F is the empirical Fisher matrix of the training batch, and the result (K / m + damping I)^{-1} K_ij; or else the
    matrix of the record `curvature`, and the result, by Woodbury's identity, (K_ij - K_iS (K_SS / m + damping I)^{-1}
    K_Sj / m) / damping. Nothing as large as a squared gradient is formed; a small damping calls for float64.

    Args:
        training: The record of the training batch, one column per example.
        test: The record of the test batch, one column per example.
        damping: Above 0.
        curvature: A record for F, say from `hessian_root` on the training batch. Default: `training`.

    Raises:
        InputError: where the records have different architectures or the damping is not above 0.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> jaxnet.readouts.influence(pairs, pairs, damping=0.1).shape
        (4, 4)
    """
    check_one_column(training)
    check_one_column(test)
    check_positive("damping", damping)
    K = gram(training, test)
    if curvature is None:
        return _solve(gram(training), training.examples, damping, K)
    inner = _solve(gram(curvature), curvature.examples, damping, gram(curvature, test))
    return (K - gram(training, curvature) @ inner / curvature.examples) / damping


def _solve(
    K: Float[Array, "n n"], m: int, damping: float | Float[Array, ""], right: Float[Array, "n k"]
) -> Float[Array, "n k"]:
    """(K / m + damping I)^{-1} right."""
    K, right = on_every_device(K), on_every_device(right)
    return jax.scipy.linalg.solve(K / m + damping * jnp.eye(len(K), dtype=K.dtype), right, assume_a="pos")


def _check_checkpoints(rates: Sequence, *batches: Sequence[Record]) -> None:
    if any(isinstance(batch, Record) for batch in batches):
        raise InputError("got one record; expected a list of them, one for each checkpoint: [record]")
    if not all(isinstance(given, Sequence) for given in (rates, *batches)):
        raise InputError("expected a list of records, and as many learning rates, one for each checkpoint")
    counts = [*map(len, batches), len(rates)]
    if len(set(counts)) != 1 or counts[0] == 0:
        raise InputError(
            f"the numbers of checkpoints are {' and '.join(map(str, counts))}; expected the same number, 1 or more"
        )
    for record in chain(*batches):
        check_one_column(record)
    for rate in rates:
        check_number("a learning rate", rate, "a number")
