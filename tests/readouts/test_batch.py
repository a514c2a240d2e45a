import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import InputError, readouts

from ..one_by_one import CASES, COTANGENTS, case, cost_of, flat, reading, whole


EVERY_CASE = pytest.mark.parametrize("name", CASES)
EVERY_SEED = pytest.mark.parametrize("seed", COTANGENTS)
close = dict(rtol=0, atol=1e-13)


def means(pairs, weights):
    one_column = pairs.columns == 1 and pairs.examples > 1
    return (
        readouts.mean_gradient(pairs),
        readouts.mean_gradient(pairs, weights),
        readouts.second_moment(pairs),
        readouts.variance(pairs) if one_column else None,
    )


@EVERY_CASE
@EVERY_SEED
@pytest.mark.few(2)
def test_every_mean_over_a_batch_is_that_of_its_examples(x64, name, seed):
    given = case(name)
    rows, m = given.rows(seed), given.X.shape[1]
    weights = np.random.default_rng(0).normal(size=len(rows))
    mean, weighted, moment, variance = reading(means, given.network)(*given[:3], given.columns(seed), weights)
    np.testing.assert_allclose(flat(mean), rows.sum(axis=0) / m, **close)
    np.testing.assert_allclose(flat(weighted), weights @ rows / m, **close)
    np.testing.assert_allclose(flat(moment), (rows**2).sum(axis=0) / m, **close)
    if variance is not None:
        np.testing.assert_allclose(flat(variance), rows.var(axis=0, ddof=1), **close)


@EVERY_CASE
@pytest.mark.few(3)
def test_the_mean_of_the_losses_gradients_is_the_gradient(x64, name):
    given = case(name)

    @jax.jit
    def both(X, Y, parameters):
        _, grads = jaxnet.cost_and_grads(X, Y, parameters, given.network)
        mean = readouts.mean_gradient(readouts.record(X, Y, parameters, given.network))
        return mean, jaxnet.parameter_grads(grads, parameters)

    mean, gradient = both(*given[:3])
    np.testing.assert_allclose(flat(mean), flat(gradient), **close)
    np.testing.assert_allclose(flat(mean), jax.jit(jax.grad(cost_of(given)))(flat(given.parameters)), **close)


@pytest.mark.parametrize("name", ["one logit", "several logits", "softmax"])
def test_enumerated_labels_make_the_sampled_moment_exact(x64, name):
    """The expectation over the model's labels, summed up instead of sampled: no tolerance but rounding's."""
    given = case(name)
    loss, (n_L, m) = given.network.loss, given.ZL.shape
    AL = np.asarray(loss.output(jnp.asarray(given.ZL)))
    if name == "softmax":
        labels = [np.tile(np.eye(n_L)[:, [k]], m) for k in range(n_L)]
        chances = [AL[k] for k in range(n_L)]
    else:
        labels = [np.tile(np.array([[j >> k & 1] for k in range(n_L)], float), m) for j in range(2**n_L)]
        chances = [np.prod(np.where(Y == 1, AL, 1 - AL), axis=0) for Y in labels]
    gradients = [np.asarray(loss.gradient(jnp.asarray(given.ZL), jnp.asarray(Y))) for Y in labels]
    dZL = np.concatenate([np.sqrt(p) * D for p, D in zip(chances, gradients, strict=True)], axis=1)
    read = reading(moment_and_factors, given.network)
    enumerated, exact = (read(*given[:3], columns) for columns in (dZL, given.columns("exact")))
    np.testing.assert_allclose(flat(enumerated[0]), flat(exact[0]), rtol=0, atol=1e-15)
    for G, G_exact in zip(enumerated[1].G, exact[1].G, strict=True):
        np.testing.assert_allclose(G, G_exact, rtol=0, atol=1e-15)


def moment_and_factors(pairs):
    return readouts.ggn_diagonal(pairs), readouts.kronecker_factors(pairs)


def test_what_does_not_fit_is_refused(x64, no_shape_checks):
    one, given = case("one example"), case("softmax")
    alone, exact = (
        reading(whole, at.network)(*at[:3], at.columns(seed)) for at, seed in ((one, "loss"), (given, "exact"))
    )
    for call, words in [
        (lambda: readouts.variance(alone), "the record holds 1 example, whose gradient has no spread"),
        (lambda: readouts.variance(exact), "the record has 3 columns per example; expected one"),
        (lambda: readouts.mean_gradient(exact, jnp.ones(7)), r"weights have shape \(7,\); expected \(21,\)"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
