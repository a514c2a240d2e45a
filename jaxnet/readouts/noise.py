"""How far the gradients of single examples scatter around their mean, and the batch size that this suggests."""

from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..parameters import FrozenDict
from .batch import check_examples, mean_gradient, variance
from .examples import projection, squared_norms
from .pairs import Record


Number = Float[Array, ""]


class NoiseScale(NamedTuple):
    """Unbiased estimates from one batch. Average each of the two over many steps before taking `batch_size`."""

    trace: Number  # tr S, of the covariance of single examples' gradients
    squared_gradient: Number  # |G|^2, of the gradient over all data; in a small batch it can be negative

    @property
    def batch_size(self) -> Array | np.floating:
        """B_simple = tr S / |G|^2: far below it, doubling the batch halves the steps; far above, it gains nothing."""
        return self.trace / self.squared_gradient


class BatchTests(NamedTuple):
    """Errors of the batch's mean gradient g, relative to it; the batch is large enough where they are below a bound."""

    norm: Number  # sqrt(sum_i ||g_i - g||^2 / (m (m-1))) / ||g||, against theta
    inner_product: Number  # sqrt(variance of <g_i, g> / m) / ||g||^2, against theta
    orthogonality: Number  # sqrt(sum_i ||g_i - <g_i, g> g / ||g||^2||^2 / (m (m-1))) / ||g||, against nu


def noise_scale(record: Record) -> NoiseScale:
    """tr S = (sum_i n_i - m ||g||^2) / (m - 1),  |G|^2 = (m ||g||^2 - mean n_i) / (m - 1),  n_i = ||g_i||^2.

    These are the estimators of McCandlish et al. 2018, arXiv:1812.06162, appendix A.1, with batches of 1 and m; they
    need no pass beyond the gradient's. Raises `InputError` for a single example, and for more than one column per
    example.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> estimates = jaxnet.readouts.noise_scale(pairs)
        >>> bool(estimates.batch_size == estimates.trace / estimates.squared_gradient)
        True
    """
    m = check_examples(record)
    mean_of_squares = jnp.mean(squared_norms(record))
    square_of_mean = _squared_norm(mean_gradient(record))
    return NoiseScale(
        m * (mean_of_squares - square_of_mean) / (m - 1), (m * square_of_mean - mean_of_squares) / (m - 1)
    )


def batch_tests(record: Record) -> BatchTests:
    """The norm test (Byrd et al. 2012), the inner-product test and the orthogonality test (Bollapragada et al. 2018).

    Each is returned as the left side of its condition over the right, so that the condition is `value <= theta`, or `<=
    nu`; Bollapragada's arXiv:1710.11258 has all three. Where one fails, a batch value^2 / theta^2 times as large would
    pass. They are not finite where the batch's gradient is 0. Raises `InputError` for a single example, and for more
    than one column per example.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> [float(error) > 0 for error in jaxnet.readouts.batch_tests(pairs)]
        [True, True, True]
    """
    m = check_examples(record)
    g = mean_gradient(record)
    n, p, square = squared_norms(record), projection(record, g), _squared_norm(g)
    return BatchTests(
        norm=_root(jnp.sum(n - square) / (m * (m - 1))) / jnp.sqrt(square),
        inner_product=_root(jnp.sum((p - square) ** 2) / (m * (m - 1))) / square,
        orthogonality=_root(jnp.sum(n - p**2 / square) / (m * (m - 1))) / jnp.sqrt(square),
    )


def gsnr(record: Record) -> FrozenDict:
    """(mean of g_i)^2 / variance of g_i,  entry by entry: the gradient's signal-to-noise ratio, 0 where the mean is 0.

    It is infinite where all examples agree on a mean other than 0. Liu et al. 2020, arXiv:2001.07384. Raises
    `InputError` for a single example, and for more than one column per example.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> jaxnet.readouts.gsnr(pairs)["W1"].shape
        (3, 2)
    """
    return jax.tree.map(
        lambda mean, spread: jnp.where(mean == 0, 0, mean**2 / spread), mean_gradient(record), variance(record)
    )


def _squared_norm(g: FrozenDict) -> Number:
    return reduce(jnp.add, (jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(g)))


def _root(square: Number) -> Number:
    # Differences of sums, which rounding can leave below 0 where all examples agree.
    return jnp.sqrt(jnp.maximum(square, 0))
