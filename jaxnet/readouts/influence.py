"""Which training examples moved the loss of which others."""

from collections.abc import Sequence
from functools import reduce
from itertools import chain

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..arguments import check_number
from ..errors import InputError
from .examples import gram, squared_norms
from .pairs import Record, check_one_column, check_positive


def tracin(
    training: Sequence[Record], test: Sequence[Record], rates: Sequence[float | Float[Array, ""]]
) -> Float[Array, "m k"]:
    """sum_t alpha_t <g_i(t), g_j(t)>: by how much steps on example i lowered the loss of example j, to first order.

    From records of both batches at some checkpoints t, and the learning rates there. TracInCP of Pruthi et al. 2020,
    arXiv:2002.08484. Raises `InputError` where the three are not equally long, or there is no checkpoint.
    """
    _check_checkpoints(rates, training, test)
    terms = (rate * gram(record, other) for record, other, rate in zip(training, test, rates, strict=True))
    return reduce(jnp.add, terms)


def self_influence(training: Sequence[Record], rates: Sequence[float | Float[Array, ""]]) -> Float[Array, " m"]:
    """sum_t alpha_t ||g_i(t)||^2,  the diagonal of `tracin`: high for the rare, the hard and the mislabelled.

    Pruthi et al. 2020. No matrix product beyond the records'.
    """
    _check_checkpoints(rates, training)
    return reduce(jnp.add, (rate * squared_norms(record) for record, rate in zip(training, rates, strict=True)))


def influence(
    training: Record, test: Record, damping: float | Float[Array, ""], curvature: Record | None = None
) -> Float[Array, "m k"]:
    """<g_i, (F + damping I)^{-1} g_j>  for example i of the training batch and j of the test batch.

    Divided by m it is, to first order, how much the loss of j would rise if i were left out of the mean. Koh & Liang
    2017, arXiv:1703.04730, section 2.1, with the GGN or the Fisher matrix in place of the Hessian.

    F is the empirical Fisher matrix of the training batch, then the result is (K / m + damping I)^{-1} K_ij; or it is
    the matrix of the record `curvature`, say from `hessian_root` on the training batch: then, by Woodbury's identity,
    (K_ij - K_iS (K_SS / m + damping I)^{-1} K_Sj / m) / damping. Nothing is as large as a gradient squared; a small
    damping asks for float64. Raises `InputError` where the records are not of one network.
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
    return jax.scipy.linalg.solve(K / m + damping * jnp.eye(len(K), dtype=K.dtype), right, assume_a="pos")


def _check_checkpoints(rates: Sequence, *batches: Sequence[Record]) -> None:
    if any(isinstance(batch, Record) for batch in batches):
        raise InputError("got one record; expected a list of them, one for each checkpoint: [record]")
    if not all(isinstance(given, Sequence) for given in (rates, *batches)):
        raise InputError("expected a list of records, and as many learning rates, one for each checkpoint")
    counts = [*map(len, batches), len(rates)]
    if len(set(counts)) != 1 or counts[0] == 0:
        raise InputError(f"of checkpoints there are {' and '.join(map(str, counts))}; expected one number, 1 or more")
    for record in chain(*batches):
        check_one_column(record)
    for rate in rates:
        check_number("a learning rate", rate, "a number")
