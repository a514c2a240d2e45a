from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import InputError, readouts

from ..one_by_one import CASES, COTANGENTS, SQUARED, case, made, reading, whole


close = dict(rtol=0, atol=1e-12)
EVERY_CASE = pytest.mark.parametrize("name", CASES)


@EVERY_CASE
@pytest.mark.few(3)
def test_tracin_adds_inner_products_over_checkpoints(x64, name):
    """Two checkpoints, of which the second stands for a test batch at the first one too."""
    here, there, rates = case(name), case(name, seed=1), (0.1, 0.03)
    training, test = [here, there], [there, here]
    records = [reading(whole, here.network)(*at[:3], at.columns("loss")) for at in training]
    tracin = jax.jit(partial(readouts.tracin, rates=rates))(records, records[::-1])
    alone = jax.jit(partial(readouts.self_influence, rates=rates))(records)
    m = here.X.shape[1]
    expected, expected_alone = np.zeros((m, m)), np.zeros(m)
    for rate, a, b in zip(rates, training, test, strict=True):
        for i, g in enumerate(a.rows("loss")):
            expected[i] += [rate * g @ other for other in b.rows("loss")]
            expected_alone[i] += rate * g @ g
    np.testing.assert_allclose(tracin, expected, **close)
    np.testing.assert_allclose(alone, expected_alone, **close)


@EVERY_CASE
@pytest.mark.few(2)
def test_influence_goes_through_an_inverse_matrix(x64, name):
    """Formed and inverted here: the empirical Fisher matrix, a sampled one, and the exact GGN."""
    given, test, damping = case(name), case(name, seed=1), 0.05
    seeds = ["loss", "sample", "exact"]

    @jax.jit
    def read(at, at_test):
        training, others = readouts.record(*at, given.network), readouts.record(*at_test, given.network)
        curvatures = [readouts.record(*at, given.network, cotangent=COTANGENTS[seed]) for seed in seeds]
        through = [readouts.influence(training, others, damping, curvature) for curvature in curvatures]
        return readouts.influence(training, others, damping), dict(zip(seeds, through, strict=True))

    empirical, through = read(given[:3], test[:3])
    g, g_test, m = given.rows("loss"), test.rows("loss"), given.X.shape[1]
    for seed in seeds:
        S = given.rows(seed)
        F = S.T @ S / m + damping * np.eye(S.shape[1])
        np.testing.assert_allclose(through[seed], g @ np.linalg.solve(F, g_test.T), **close)
    np.testing.assert_allclose(empirical, through["loss"], **close)
    GGN = given.ggn() + damping * np.eye(len(given.ggn()))
    np.testing.assert_allclose(through["exact"], g @ np.linalg.solve(GGN, g_test.T), **close)


def test_over_m_it_is_leaving_an_example_out(x64):
    """Linear least squares with a penalty, whose minimum for any weights of the examples is one linear solve."""
    m, damping = 60, 0.1
    given, test = made([3, 2], m, SQUARED, "relu"), made([3, 2], 5, SQUARED, "relu", seed=1)
    inputs, test_inputs = (jnp.concatenate([at.X, jnp.ones((1, at.X.shape[1]))]) for at in (given, test))

    def minimum(weights):
        matrix = (inputs * weights[None, :]) @ inputs.T / m + damping * jnp.eye(4)
        return jnp.linalg.solve(matrix, (inputs * weights[None, :]) @ given.Y.T / m).T

    def test_losses(weights):
        return ((minimum(weights) @ test_inputs - test.Y) ** 2).sum(axis=0) / 2

    @jax.jit
    def rises(everyone):
        theta = minimum(everyone)
        parameters = {"W1": theta[:, :3], "b1": theta[:, 3:]}
        training = readouts.record(given.X, given.Y, parameters, given.network)
        exact = readouts.record(given.X, given.Y, parameters, given.network, cotangent=readouts.hessian_root)
        others = readouts.record(test.X, test.Y, parameters, test.network)
        left_out = jax.vmap(test_losses)(1 - jnp.eye(m)) - test_losses(everyone)[None, :]
        return readouts.influence(training, others, damping, exact) / m, jax.jacobian(test_losses)(everyone), left_out

    rise, slope, left_out = rises(jnp.ones(m))
    np.testing.assert_allclose(rise, -slope.T, **close)
    assert np.corrcoef(rise.ravel(), left_out.ravel())[0, 1] > 0.99
    assert jnp.abs(rise - left_out).max() < 0.3 * jnp.abs(left_out).max()


def test_what_does_not_fit_is_refused(x64, no_shape_checks):
    given, other = case("softmax"), case("several logits")
    pairs, others, exact = (
        reading(whole, at.network)(*at[:3], at.columns(seed))
        for at, seed in [(given, "loss"), (other, "loss"), (given, "exact")]
    )
    for call, words in [
        (lambda: readouts.influence(exact, pairs, 0.1), "the record has 3 columns per example"),
        (lambda: readouts.influence(pairs, exact, 0.1), "the record has 3 columns per example"),
        (lambda: readouts.influence(pairs, others, 0.1), r"units; expected the same"),
        (lambda: readouts.influence(pairs, pairs, 0.1, others), r"units; expected the same"),
        (lambda: readouts.tracin([], [], []), "checkpoints are 0 and 0 and 0; expected the same number, 1 or more"),
        (lambda: readouts.tracin([pairs], [pairs], [0.1, 0.1]), "the numbers of checkpoints are 1 and 1 and 2"),
        (lambda: readouts.self_influence([pairs], []), "the numbers of checkpoints are 1 and 0"),
        (lambda: readouts.self_influence(pairs, [0.1]), "got one record; expected a list of them"),
        (lambda: readouts.influence(pairs, pairs, 0.0), "damping is 0.0; expected a number above 0"),
        (lambda: readouts.tracin([pairs], [others], [0.1]), "expected the same"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
