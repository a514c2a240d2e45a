import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import InputError, readouts
from jaxnet.losses import LOSSES

from ..drawn import assert_close, problem
from ..one_by_one import BCE, CASES, COTANGENTS, SOFTMAX, case, flat, logits
from ..test_losses import logits_and_labels


EVERY_CASE = pytest.mark.parametrize("name", CASES)


@EVERY_CASE
@pytest.mark.few(2)
def test_a_columns_pair_is_its_gradient(x64, name):
    given = case(name)
    records = jax.jit(
        lambda *at: {kind: readouts.record(*at, given.network, cotangent=made) for kind, made in COTANGENTS.items()}
    )
    m, n_L = given.X.shape[1], len(given.ZL)
    for kind, pairs in records(*given[:3]).items():
        C = pairs.columns
        assert C == (1 if kind in ("loss", "sample") else n_L)
        assert pairs.examples == m and list(pairs.layer_dims) == CASES[name][0]
        np.testing.assert_allclose(outer_products(pairs), given.rows(kind), rtol=0, atol=1e-13)
        loss = given.network.loss.value(jnp.asarray(given.ZL), given.Y)
        np.testing.assert_allclose(pairs.loss, loss, rtol=1e-12)


def outer_products(pairs):
    """dZ A^T and dZ of every column, flat."""
    gradients = {}
    for l, (A, dZ) in enumerate(zip(pairs.A, pairs.dZ, strict=True), start=1):
        gradients[f"W{l}"] = np.asarray(dZ)[:, None, :] * np.tile(A, pairs.columns)
        gradients[f"b{l}"] = np.asarray(dZ)[:, None, :]
    columns = range(pairs.columns * pairs.examples)
    return [flat({name: g[..., column] for name, g in gradients.items()}) for column in columns]


@pytest.mark.parametrize("name", ["one logit", "softmax"])
@pytest.mark.few(1)
def test_dropped_units_are_dropped_for_their_example(x64, name):
    """An example's pairs are those of a network of its own, whose weights are 0 where the example drops a unit."""
    given = case(name)
    network, (dims, m) = given.network, CASES[name][:2]
    masks = jaxnet.dropout_masks(dims, m, 0.5, key=jax.random.key(5), input_keep_prob=0.8)
    records = jax.jit(
        lambda *at: [readouts.record(*at, network, cotangent=made, masks=masks) for made in COTANGENTS.values()]
    )
    jacobian = jax.jit(jax.jacrev(lambda parameters, x: (logits(x, parameters, network),) * 2, has_aux=True))
    thinned = [dict(given.parameters) for _ in range(m)]
    for i, l in itertools.product(range(m), range(1, len(dims))):
        thinned[i][f"W{l}"] *= masks[l - 1][:, i][None, :]
    jacobians = [jacobian(thinned[i], given.X[:, i]) for i in range(m)]
    for pairs in records(*given[:3]):
        for column in range(pairs.columns * m):
            J, zL = jacobians[column % m]
            top = given.parameters[f"W{len(dims) - 1}"] @ pairs.A[-1][:, column % m]
            np.testing.assert_allclose(top, zL - given.parameters[f"b{len(dims) - 1}"][:, 0], rtol=0, atol=1e-13)
            for l, dZ in enumerate(pairs.dZ, start=1):
                expected = pairs.dZ[-1][:, column] @ J[f"b{l}"][:, :, 0]
                np.testing.assert_allclose(dZ[:, column], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("loss, n_L", [(BCE, 1), (SOFTMAX, 3)])
@pytest.mark.parametrize("rule", ["feedback_alignment", "direct_random_target"])
@pytest.mark.few(2)
def test_under_a_rule_the_pairs_are_what_the_rule_sends(x64, rule, loss, n_L):
    """Contracted they are its gradients; and from several columns an example, each column is sent by itself."""
    X, Y, parameters = problem([5, 4, 6, n_L], 7, loss)
    network = jaxnet.Network("tanh", loss, rule)
    B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(1))
    masks = jaxnet.dropout_masks([5, 4, 6, n_L], 7, 0.7, key=jax.random.key(5))
    columns = readouts.hessian_root if n_L > 1 else readouts.output_jacobian

    @jax.jit
    def both():
        pairs = readouts.record(X, Y, parameters, network, masks=masks, B=B)
        grads = jaxnet.cost_and_grads(X, Y, parameters, network, masks=masks, B=B)[1]
        wide = readouts.record(X, Y, parameters, network, cotangent=columns, masks=masks, B=B)
        single = [
            readouts.record(
                X,
                Y,
                parameters,
                network,
                masks=masks,
                B=B,
                cotangent=lambda loss, ZL, Y, c=c: columns(loss, ZL, Y)[:, c],
            ).dZ
            for c in [slice(7 * c, 7 * (c + 1)) for c in range(n_L)]
        ]
        return pairs, readouts.mean_gradient(pairs), jaxnet.parameter_grads(grads, parameters), wide, single

    pairs, mean, gradient, wide, single = both()
    assert_close(dict(mean), gradient, 64)
    assert_close(tuple(wide.dZ), tuple(jnp.concatenate(dZ, axis=1) for dZ in zip(*single, strict=True)), 64)
    assert pairs.columns == 1 and wide.columns == n_L


# ---- the cotangents


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_L", [1, 4])
def test_the_roots_columns_give_the_hessian(x64, loss, n_L):
    ZL, Y = logits_and_labels(loss, n_L, scales=(0.1, 1, 10))
    m = ZL.shape[1]
    S = np.asarray(jax.jit(LOSSES[loss].hessian_root)(ZL, Y)).reshape(n_L, -1, m)
    value = LOSSES[loss].value
    H = jax.jit(jax.vmap(jax.hessian(lambda z, y: value(z[:, None], y[:, None])[0]), (1, 1)))(ZL, Y)
    np.testing.assert_allclose(np.einsum("kci,jci->ikj", S, S), H, rtol=0, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_L", [1, 4])
def test_the_hessians_product_is_that_of_its_root(x64, loss, n_L):
    ZL, Y = logits_and_labels(loss, n_L)
    m = ZL.shape[1]
    V = np.random.default_rng(0).normal(size=ZL.shape)
    S = np.asarray(jax.jit(LOSSES[loss].hessian_root)(ZL, Y)).reshape(n_L, -1, m)
    product = jax.jit(LOSSES[loss].hessian_product)(ZL, Y, V)
    np.testing.assert_allclose(product, np.einsum("kci,jci,ji->ki", S, S, V), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("loss, n_L", [(BCE, 1), (BCE, 3), (SOFTMAX, 3)])
def test_the_root_keeps_its_digits_at_outputs_0_and_1(loss, n_L):
    """AL (1 - AL) is 1 % off at a logit of 12 there, and 0 from 17 on."""
    wide = np.linspace(-60, 60, 49)
    ZL = np.stack([wide * (1 if k == 0 else 0.1 * k) for k in range(n_L)])
    Y = np.eye(n_L)[:, np.zeros(49, int)]
    narrow = jax.jit(LOSSES[loss].hessian_root)(jnp.asarray(ZL, jnp.float32), jnp.asarray(Y, jnp.float32))
    with jax.enable_x64(True):
        root = np.asarray(jax.jit(LOSSES[loss].hessian_root)(ZL, Y))
    np.testing.assert_allclose(narrow, root, rtol=3e-5, atol=0)


@pytest.mark.parametrize("loss, n_L", [(BCE, 1), (BCE, 3), (SOFTMAX, 3)])
def test_sampled_labels_are_drawn_from_the_model(loss, n_L):
    z = np.array([[0.3], [-1.0], [1.5]], np.float32)[:n_L]
    count = 20_000
    drawn = np.asarray(LOSSES[loss].sample(jnp.tile(z, count), jax.random.key(0)))
    assert set(np.unique(drawn)) == {0, 1}
    if loss == SOFTMAX:
        assert (drawn.sum(axis=0) == 1).all()
    probability = np.asarray(LOSSES[loss].output(jnp.asarray(z)))[:, 0]
    np.testing.assert_allclose(drawn.mean(axis=1), probability, rtol=0, atol=4 * 0.5 / np.sqrt(count))


def test_targets_of_squared_error_are_drawn_normal():
    drawn = LOSSES["squared_error"].sample(jnp.full((2, 10_000), 3.0), jax.random.key(0))
    np.testing.assert_allclose(np.asarray(drawn).mean(), 3, atol=0.03)
    np.testing.assert_allclose(np.asarray(drawn).std(), 1, atol=0.03)


# ---- what is refused


def test_a_mistake_is_told_before_anything_is_computed(x64, no_shape_checks):
    given = case("softmax")
    X, Y, parameters, network = given.X, given.Y, given.parameters, given.network
    bare = jaxnet.Network("tanh", jaxnet.Loss(*network.loss[:3]))
    for call, words in [
        (
            lambda: readouts.record(X, Y, parameters, network, cotangent="exact"),
            "cotangent is 'exact'; expected a function",
        ),
        (
            lambda: readouts.record(X, Y, parameters, network, cotangent=lambda loss, ZL, Y: ZL[:, :3]),
            r"dZL of shape \(3, 3\); expected \(3, C \* 7\)",
        ),
        (
            lambda: readouts.record(X, Y, parameters, bare, cotangent=readouts.sampled_labels(jax.random.key(0))),
            "this loss has no sample, which cannot be derived; give it",
        ),
        (lambda: readouts.record(X, Y.T, parameters, network), "pass Y.T"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
