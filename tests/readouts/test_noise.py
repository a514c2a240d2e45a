import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import InputError, readouts

from ..one_by_one import CASES, SQUARED, case, flat, made, reading, whole


SEVERAL_EXAMPLES = pytest.mark.parametrize("name", [name for name in CASES if name != "one example"])


@SEVERAL_EXAMPLES
@pytest.mark.few(2)
def test_noise_scale_tests_and_ratio_are_of_examples(x64, name):
    given = case(name)
    rows = given.rows("loss")
    m, g = len(rows), rows.mean(axis=0)
    noise, batch_size, tests, gsnr = reading(spread, given.network)(*given[:3], given.columns("loss"))
    K = rows @ rows.T
    trace, squared_gradient = rows.var(axis=0, ddof=1).sum(), K[~np.eye(m, dtype=bool)].mean()
    np.testing.assert_allclose(noise, (trace, squared_gradient), rtol=0, atol=1e-13)
    np.testing.assert_allclose(batch_size, trace / squared_gradient, rtol=1e-12)
    np.testing.assert_allclose(tests, expected_tests(rows, g), rtol=1e-12)
    variance = rows.var(axis=0, ddof=1)
    expected = np.where(g == 0, 0, g**2 / np.where(variance == 0, 1, variance))
    np.testing.assert_allclose(flat(gsnr), expected, rtol=1e-9)


def spread(pairs):
    noise = readouts.noise_scale(pairs)
    return noise, noise.batch_size, readouts.batch_tests(pairs), readouts.gsnr(pairs)


def expected_tests(rows, g):
    """Errors of the mean, by loops over the examples: of all of it, along it, and across it."""
    m, length = len(rows), np.linalg.norm(g)
    along = [row @ g for row in rows]
    across = [row - (row @ g) / length**2 * g for row in rows]
    return (
        np.sqrt(sum(np.linalg.norm(row - g) ** 2 for row in rows) / (m * (m - 1))) / length,
        np.sqrt(np.var(along, ddof=1) / m) / length**2,
        np.sqrt(sum(np.linalg.norm(row) ** 2 for row in across) / (m * (m - 1))) / length,
    )


def of_outputs(Y):
    """The record of a linear unit of one input 1 at 0, where an example's gradient is -Y in W and in b."""
    given = made([1, 1], len(Y), SQUARED, "relu")
    zeros = jax.tree.map(jnp.zeros_like, given.parameters)
    return reading(whole, given.network)(np.ones((1, len(Y))), np.array([Y]), zeros, -np.array([Y]))


def test_contradicting_examples_make_the_square_negative(x64):
    """As an unbiased estimate of 0 has to be, sometimes: hence averaged over steps before it divides."""
    noise = readouts.noise_scale(of_outputs([1.0, -1.0]))
    np.testing.assert_allclose(noise, (4, -2), rtol=1e-15)
    assert noise.batch_size == -2


def test_examples_that_agree_have_no_noise(x64):
    pairs = of_outputs([3.0] * 7)
    assert readouts.noise_scale(pairs).trace == 0
    assert readouts.batch_tests(pairs) == (0, 0, 0)
    assert np.isinf(flat(readouts.gsnr(pairs))).all()


@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, 3.3])
def test_rounding_below_0_is_no_nan(x64, value):
    """Differences of sums that are equal but for rounding, of either sign."""
    np.testing.assert_allclose(readouts.batch_tests(of_outputs([value] * 5)), 0, atol=1e-7)


def test_where_the_mean_is_0_so_is_the_ratio(x64):
    assert not flat(readouts.gsnr(of_outputs([0.0, 0.0]))).any()
    assert not flat(readouts.gsnr(of_outputs([1.0, -1.0]))).any()


@pytest.mark.parametrize("readout", [readouts.noise_scale, readouts.batch_tests, readouts.gsnr])
def test_one_example_and_several_columns_are_refused(x64, readout):
    one, given = case("one example"), case("softmax")
    alone, exact = (
        reading(whole, at.network)(*at[:3], at.columns(seed)) for at, seed in ((one, "loss"), (given, "exact"))
    )
    with pytest.raises(InputError, match="holds 1 example, whose gradient has no spread; expected 2 or more"):
        readout(alone)
    with pytest.raises(InputError, match="the record has 3 columns per example; expected one"):
        readout(exact)
