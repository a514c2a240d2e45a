import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import InputError, readouts

from ..drawn import problem
from ..one_by_one import CASES, SQUARED, case, flat, made, reading, whole


close = dict(rtol=0, atol=1e-13)


def clipped(rows, max_norm):
    """The mean of the rows, each shortened by itself, one after the other."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        norm = np.sqrt((row**2).sum())
        total += row * min(1, max_norm / norm) if norm > 0 else row
    return total / len(rows)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.few(3)
def test_it_is_the_mean_of_the_clipped_gradients(x64, name):
    given = case(name)
    rows = given.rows("loss")
    norms = np.sqrt((rows**2).sum(axis=1))
    clip = reading(readouts.clipped_gradient, given.network)
    for max_norm in (norms.min() / 2, np.median(norms), 2 * norms.max()):
        gradient = clip(*given[:3], given.columns("loss"), max_norm)
        np.testing.assert_allclose(flat(gradient), clipped(rows, max_norm), **close)
    np.testing.assert_allclose(flat(gradient), rows.mean(axis=0), **close)


def test_dropped_units_are_dropped_before_clipping(x64):
    given = case("softmax")
    dims, m = CASES["softmax"][:2]
    masks = jaxnet.dropout_masks(dims, m, 0.5, key=jax.random.key(5))

    @jax.jit
    def read(X, Y, parameters):
        pairs = readouts.record(X, Y, parameters, given.network, masks=masks)
        return readouts.clipped_gradient(pairs, 0.3), readouts.per_example_gradients(pairs)

    gradient, gradients = read(*given[:3])
    rows = [flat(jax.tree.map(lambda leaf: leaf[i], gradients)) for i in range(m)]  # noqa: B023
    np.testing.assert_allclose(flat(gradient), clipped(np.array(rows), 0.3), **close)


def test_a_gradient_of_0_stays_0(x64):
    given = made([3, 2], 4, SQUARED, "relu")
    given = given._replace(Y=np.where(np.arange(4) == 1, given.ZL, given.Y))
    rows = given.rows("loss")
    assert not rows[1].any()
    gradient = reading(readouts.clipped_gradient, given.network)(*given[:3], given.columns("loss"), 0.1)
    np.testing.assert_allclose(flat(gradient), clipped(rows, 0.1), **close)


def test_a_gradient_whose_square_is_0_is_not_shortened():
    pairs = readouts.Record((jnp.ones((1, 2)),), (jnp.full((1, 2), 1e-30),), jnp.zeros(2))
    np.testing.assert_allclose(flat(readouts.clipped_gradient(pairs, 0.1)), np.float32(1e-30), rtol=1e-6)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e30], ids=["nan", "inf", "overflow"])
@pytest.mark.parametrize("place", ["X", "Y"])
def test_an_example_without_a_finite_norm_is_left_out(wrong, place):
    """In float32, where the square of 1e30 is infinite. The others are as they were, and the mean is over all m."""
    X, Y, parameters = problem([4, 3, 2], 6, SQUARED, dtype=np.float32)
    network, left = jaxnet.Network("relu", SQUARED), [0, 1, 3, 5]
    read = jax.jit(lambda X, Y: readouts.clipped_gradient(readouts.record(X, Y, parameters, network), 0.5))
    others = jax.tree.map(lambda leaf: np.asarray(leaf) * 4 / 6, read(X[:, left], Y[:, left]))
    {"X": X, "Y": Y}[place][:, [2, 4]] = wrong
    np.testing.assert_allclose(flat(read(X, Y)), flat(others), rtol=0, atol=1e-7)


# ---- the noise


WIDE = [300, 200, 100]


def test_the_noise_is_normal_of_its_size_in_every_array():
    m, max_norm, noise_multiplier = 4, 0.5, 3.0
    X, Y, parameters = problem(WIDE, m, SQUARED, dtype=np.float32)

    @jax.jit
    def noise(key, noise_multiplier):
        pairs = readouts.record(X, Y, parameters, jaxnet.Network("relu", SQUARED))
        noisy = readouts.clipped_gradient(pairs, max_norm, noise_multiplier, key=key)
        return jax.tree.map(jnp.subtract, noisy, readouts.clipped_gradient(pairs, max_norm))

    drawn = noise(jax.random.key(0), noise_multiplier)
    assert {name: leaf.shape for name, leaf in drawn.items()} == {name: leaf.shape for name, leaf in parameters.items()}
    deviation = noise_multiplier * max_norm / m
    for leaf in drawn.values():
        assert abs(leaf.std() / deviation - 1) < 4 / np.sqrt(2 * leaf.size)
        assert abs(leaf.mean()) < 4 * deviation / np.sqrt(leaf.size)
    assert abs(np.corrcoef(drawn["W1"].ravel()[:20_000], drawn["W2"].ravel())[0, 1]) < 4 / np.sqrt(20_000)
    again, another = noise(jax.random.key(0), noise_multiplier), noise(jax.random.key(1), noise_multiplier)
    np.testing.assert_array_equal(flat(again), flat(drawn))
    assert (flat(another) != flat(drawn)).mean() > 0.99
    assert not flat(noise(jax.random.key(0), 0.0)).any()


def test_what_does_not_fit_is_refused(x64, no_shape_checks):
    given = case("softmax")
    pairs, exact = (reading(whole, given.network)(*given[:3], given.columns(seed)) for seed in ("loss", "exact"))
    for call, words in [
        (lambda: readouts.clipped_gradient(exact, 1.0), "the record has 3 columns per example; expected one"),
        (lambda: readouts.clipped_gradient(pairs, 1.0, 2.0), "noise_multiplier is 2.0 but key is None; pass key="),
        (lambda: readouts.clipped_gradient(pairs, 1.0, jnp.zeros(())), "but key is None"),
        (
            lambda: readouts.clipped_gradient(pairs, 1.0, -1.0, key=jax.random.key(0)),
            "is -1.0; expected a num",
        ),
        (lambda: readouts.clipped_gradient(pairs, 0), "max_norm is 0; expected a number above 0"),
        (lambda: readouts.clipped_gradient(pairs, -1.0), "max_norm is -1.0; expected a number above 0"),
        (lambda: readouts.clipped_gradient(pairs, float("nan")), "max_norm is nan; expected a number above 0"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
