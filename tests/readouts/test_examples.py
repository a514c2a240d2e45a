import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import InputError, readouts

from ..one_by_one import CASES, COTANGENTS, case, flat, reading, whole


EVERY_CASE = pytest.mark.parametrize("name", CASES)
EVERY_SEED = pytest.mark.parametrize("seed", COTANGENTS)
close = dict(rtol=0, atol=1e-12)


def everything(pairs, others, direction, matrices):
    return (
        readouts.per_example_gradients(pairs),
        readouts.squared_norms(pairs),
        readouts.gram(pairs),
        readouts.gram(pairs, others),
        readouts.projection(pairs, direction),
        readouts.sketch(pairs, matrices),
    )


@EVERY_CASE
@EVERY_SEED
@pytest.mark.few(2)
def test_every_readout_of_examples_is_that_of_gradients(x64, name, seed):
    given, other = case(name), case(name, seed=1)
    rows, other_rows = given.rows(seed), other.rows("loss")
    others = reading(whole, given.network)(*other[:3], other.columns("loss"))
    direction = np.random.default_rng(0).normal(size=rows.shape[1])
    matrices = readouts.sketch_matrices(CASES[name][0], 2, key=jax.random.key(0))
    gradients, squares, gram, across, projection, sketch = reading(everything, given.network)(
        *given[:3], given.columns(seed), others, given.tree(direction), matrices
    )
    each = [flat(jax.tree.map(lambda leaf: leaf[i], gradients)) for i in range(len(rows))]  # noqa: B023
    np.testing.assert_allclose(each, rows, **close)
    np.testing.assert_allclose(squares, (rows**2).sum(axis=1), **close)
    np.testing.assert_allclose(gram, rows @ rows.T, **close)
    np.testing.assert_allclose(across, rows @ other_rows.T, **close)
    np.testing.assert_allclose(projection, rows @ direction, **close)
    np.testing.assert_allclose(sketch, [sketched(given.tree(row), matrices) for row in rows], **close)


def sketched(g, matrices):
    """P [dW, db] Q^T of every layer, row by row."""
    return np.concatenate(
        [
            (P @ jnp.concatenate([g[f"W{l}"], g[f"b{l}"]], axis=1) @ Q.T).ravel()
            for l, (P, Q) in enumerate(matrices, start=1)
        ]
    )


def test_sketches_keep_inner_products_on_average(x64):
    """The mean over 4,000 pairs of matrices, which is off by the last factor of their standard deviations."""
    given = case("softmax")
    pairs, rows = reading(whole, given.network)(*given[:3], given.columns("loss")), given.rows("loss")

    @jax.jit
    @jax.vmap
    def products(key):
        short = readouts.sketch(pairs, readouts.sketch_matrices(pairs.layer_dims, 3, key=key))
        return short @ short.T

    drawn = np.asarray(products(jax.random.split(jax.random.key(0), 4000)))
    assert (np.abs(drawn.mean(axis=0) - rows @ rows.T) <= 5 * drawn.std(axis=0) / 4000**0.5).all()


def test_norms_are_the_diagonal_of_the_gram(x64):
    given = case("several logits")
    pairs = reading(whole, given.network)(*given[:3], given.columns("exact"))
    squares, K = readouts.squared_norms(pairs), readouts.gram(pairs)
    np.testing.assert_allclose(squares, np.diag(K), rtol=1e-13)
    moment = flat(readouts.second_moment(pairs)).sum() * pairs.examples
    np.testing.assert_allclose([moment, np.trace(K)], [squares.sum()] * 2, rtol=1e-13)


def test_what_does_not_fit_is_refused(x64, no_shape_checks):
    given, other = case("softmax"), case("several logits")
    pairs, others = (reading(whole, at.network)(*at[:3], at.columns("loss")) for at in (given, other))
    for call, words in [
        (lambda: readouts.gram(pairs, others), r"\(4, 6, 5, 3\) and \(4, 5, 3\) units; expected the same"),
        (lambda: readouts.projection(pairs, other.parameters), r"the direction has layers with \(4, 5, 3\) units"),
        (lambda: readouts.sketch_matrices([4, 3], 0, key=jax.random.key(0)), "size is 0; expected"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
