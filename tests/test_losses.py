import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.losses import Loss, as_loss

from .drawn import labels


BCE, SOFTMAX, SQUARED = "binary_cross_entropy", "softmax_cross_entropy", "squared_error"
# Compiled whole, which takes a third of the time of compiling every operation by itself.
LOSSES = {name: Loss(*map(jax.jit, loss)) for name, loss in jaxnet.losses.LOSSES.items()}
BOTH_DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)
OUTPUTS = pytest.mark.parametrize("n_L", [1, 4])


def logits_and_labels(name, n_L, scales=(0.1, 1, 10, 40)):
    """50 examples of each scale with hard labels and as many with soft ones."""
    random = np.random.default_rng(n_L)
    ZL = np.concatenate([scale * random.normal(size=(n_L, 50)) for scale in scales for _ in range(2)], axis=1)
    Y = np.concatenate([labels(random, (n_L, 50), name, soft) for _ in scales for soft in (False, True)], axis=1)
    return ZL, Y


def chain(name, AL, Y, ZL):
    """J_output(ZL)^T dAL, both factors by autodiff."""
    dAL = jax.grad(lambda AL: LOSSES[name].value_from_AL(AL, Y).sum())(AL)
    return jax.vjp(LOSSES[name].output, ZL)[1](dAL)[0], dAL


# ---- from the logits


@BOTH_DTYPES
@OUTPUTS
@EVERY_LOSS
@pytest.mark.few(6)
def test_gradient_is_the_derivative_of_value(x64, name, n_L, dtype):
    """The reference is float64 at the very points of `dtype`; its own exp(Z - softplus(Z)) rounds relative to Z."""
    ZL, Y = (jnp.asarray(array, dtype) for array in logits_and_labels(name, n_L))
    dZL = LOSSES[name].gradient(ZL, Y)
    ZL64, Y64 = ZL.astype(float), Y.astype(float)
    reference = jax.grad(lambda ZL: LOSSES[name].value(ZL, Y64).sum())(ZL64)
    units = np.abs(dZL.astype(float) - reference) / (np.finfo(dtype).eps / 2)
    assert dZL.dtype == dtype
    assert np.max(units / (4 + np.max(np.abs(ZL64), axis=0) + np.abs(Y64))) <= 1


@EVERY_LOSS
def test_gradient_for_labels_that_are_not_a_distribution(x64, name):
    random = np.random.default_rng(0)
    ZL, Y = map(jnp.asarray, (random.normal(size=(3, 20)), 3 * random.random((3, 20))))
    reference = jax.grad(lambda ZL: LOSSES[name].value(ZL, Y).sum())(ZL)
    np.testing.assert_allclose(LOSSES[name].gradient(ZL, Y), reference, rtol=0, atol=1e-14)
    AL = LOSSES[name].output(ZL)
    np.testing.assert_allclose(LOSSES[name].gradient_from_AL(AL, Y, ZL), reference, rtol=0, atol=1e-14)


@EVERY_LOSS
def test_value_is_that_of_each_example(x64, name):
    ZL, Y = map(jnp.asarray, logits_and_labels(name, 3, (1,)))
    value = LOSSES[name].value(ZL, Y)
    one_by_one = [LOSSES[name].value(ZL[:, i : i + 1], Y[:, i : i + 1])[0] for i in range(ZL.shape[1])]
    np.testing.assert_allclose(value, one_by_one, rtol=1e-14)


@EVERY_LOSS
def test_value_is_the_textbook_formula(x64, name):
    ZL, Y = logits_and_labels(name, 3, (1,))
    p, e = 1 / (1 + np.exp(-ZL)), np.exp(ZL)
    textbook = {
        BCE: -np.sum(Y * np.log(p) + (1 - Y) * np.log(1 - p), axis=0),
        SOFTMAX: -np.sum(Y * np.log(e / e.sum(axis=0)), axis=0),
        SQUARED: 0.5 * np.sum((ZL - Y) ** 2, axis=0),
    }
    np.testing.assert_allclose(LOSSES[name].value(jnp.asarray(ZL), jnp.asarray(Y)), textbook[name], rtol=1e-13)


SATURATED = [  # loss, logits and labels of one example, the float64 limits of value and gradient
    (BCE, [1000], [1], 0, [0]),
    (BCE, [1000], [0], 1000, [1]),
    (BCE, [-1000], [0], 0, [0]),
    (BCE, [-1000], [1], 1000, [-1]),
    (BCE, [1000, -1000], [0.25, 0.25], 1000, [0.75, -0.25]),
    (SOFTMAX, [1000, -1000], [1, 0], 0, [0, 0]),
    (SOFTMAX, [1000, -1000], [0, 1], 2000, [1, -1]),
    (SOFTMAX, [-1000, -1000], [0, 1], np.log(2), [0.5, -0.5]),
    (SOFTMAX, [1000, 0, -1000], [0.5, 0.25, 0.25], 750, [0.5, -0.25, -0.25]),
    (SQUARED, [1000, -1000], [0, 1], 1001000.5, [1000, -1001]),
]


@BOTH_DTYPES
@pytest.mark.parametrize("name, ZL, Y, value, gradient", SATURATED)
@pytest.mark.few(6)
def test_saturated_logits_give_the_limits(x64, name, ZL, Y, value, gradient, dtype):
    ZL, Y = (jnp.array(column, dtype)[:, None] for column in (ZL, Y))
    np.testing.assert_allclose(LOSSES[name].value(ZL, Y), [dtype(value)], rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(LOSSES[name].gradient(ZL, Y)[:, 0], gradient)
    AL = LOSSES[name].output(ZL)
    np.testing.assert_array_equal(LOSSES[name].gradient_from_AL(AL, Y, ZL)[:, 0], gradient)


# ---- from an AL that is the output


@OUTPUTS
@EVERY_LOSS
def test_from_its_own_output_value_and_gradient_are_the_same(x64, name, n_L):
    """The value only where 1 - AL keeps most digits of AL; the gradient wherever the logits lie."""
    loss = LOSSES[name]
    ZL, Y = map(jnp.asarray, logits_and_labels(name, n_L))
    np.testing.assert_allclose(loss.gradient_from_AL(loss.output(ZL), Y, ZL), loss.gradient(ZL, Y), rtol=0, atol=1e-15)
    ZL, Y = map(jnp.asarray, logits_and_labels(name, n_L, (1,)))
    np.testing.assert_allclose(loss.value_from_AL(loss.output(ZL), Y), loss.value(ZL, Y), rtol=1e-13, atol=1e-14)


@BOTH_DTYPES
@pytest.mark.parametrize("direction", [-1, 2])
@pytest.mark.parametrize("name", [BCE, SOFTMAX])
def test_an_output_off_by_its_last_digit_is_still_the_output(x64, name, direction, dtype):
    """Two compilations of one sigmoid may differ there, and 1 - AL would magnify it without bound."""
    ZL, Y = (jnp.asarray(array, dtype) for array in logits_and_labels(name, 2))
    AL = np.asarray(LOSSES[name].output(ZL))
    AL = jnp.clip(np.nextafter(AL, dtype(direction)), 0, 1)
    error = np.abs(LOSSES[name].gradient_from_AL(AL, Y, ZL) - LOSSES[name].gradient(ZL, Y))
    assert np.max(error) <= 4 * np.finfo(dtype).eps


# ---- from any other AL


@OUTPUTS
@EVERY_LOSS
@pytest.mark.few(3)
def test_gradient_from_another_AL_is_the_chain(x64, name, n_L):
    ZL, Y = map(jnp.asarray, logits_and_labels(name, n_L, (1, 5)))
    AL = LOSSES[name].output(ZL[:, ::-1])
    reference, dAL = chain(name, AL, Y, ZL)
    error = np.abs(LOSSES[name].gradient_from_AL(AL, Y, ZL) - reference)
    assert np.max(error / np.sum(np.abs(dAL), axis=0)) <= 16 * 2.0**-53


def test_cross_entropy_from_another_AL_is_the_courses(x64):
    ZL, Y = logits_and_labels(BCE, 2, (1, 5))
    AL = 1 / (1 + np.exp(-ZL[:, ::-1]))
    dAL = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL))
    s = 1 / (1 + np.exp(-ZL))
    dZL = LOSSES[BCE].gradient_from_AL(jnp.asarray(AL), jnp.asarray(Y), jnp.asarray(ZL))
    assert np.max(np.abs(dZL - dAL * s * (1 - s)) / np.abs(dAL)) <= 16 * 2.0**-53


@BOTH_DTYPES
@pytest.mark.parametrize(
    "AL, Y, ZL, dZL",
    [
        (0, 0, 0, 0.25),
        (0, 1, 0, -np.inf),
        (1, 1, 0, -0.25),
        (1, 0, 0, np.inf),
        (0, 0.5, 0, -np.inf),
        (1, 0.5, 0, np.inf),
        (0.5, 1, 1000, 0),  # sigmoid' is 0
        (0, 1, 1000, 0),  # 0/0: the limit of sigmoid' -> 0 at a fixed AL
        (1, 0, -1000, 0),
        (0, 1, -1000, -1),  # AL is sigmoid(ZL)
        (1, 0, 1000, 1),
    ],
)
def test_cross_entropy_from_an_AL_at_the_edge_is_the_limit(x64, AL, Y, ZL, dZL, dtype):
    """Where the limit is infinite, the root of the largest number: the layers below would make NaN of infinity."""
    arguments = (jnp.array([[value]], dtype) for value in (AL, Y, ZL))
    largest = float(np.finfo(dtype).max) ** 0.5
    assert LOSSES[BCE].gradient_from_AL(*arguments).item() == dtype(np.clip(dZL, -largest, largest))


@BOTH_DTYPES
@pytest.mark.parametrize("name", [BCE, SOFTMAX])
def test_no_AL_whatever_gives_nan(x64, name, dtype):
    """Every column of two outputs, from 0 to 1, under every column of two labels and of two logits."""
    tiny, eps = np.finfo(dtype).tiny, np.finfo(dtype).eps
    AL = itertools.product([0, tiny, 0.5, 1 - eps, 1], repeat=2)
    Y = [(0, 1), (1, 0), (0.25, 0.75)] + ([(0, 0), (1, 1)] if name == BCE else [])
    ZL = itertools.product([-1000, -40, 0, 40, 1000], repeat=2)
    AL, Y, ZL = (jnp.array(columns, dtype).T for columns in zip(*itertools.product(AL, Y, ZL), strict=True))
    dZL = LOSSES[name].gradient_from_AL(AL, Y, ZL)
    assert np.isfinite(dZL).all()
    assert not np.isnan(LOSSES[name].value_from_AL(AL, Y)).any()


@BOTH_DTYPES
def test_softmax_takes_nothing_from_a_right_0(x64, dtype):
    AL, Y, ZL = (jnp.array(column, dtype)[:, None] for column in ([0.5, 0.5, 0], [1, 0, 0], [0, 0, 0]))
    np.testing.assert_allclose(LOSSES[SOFTMAX].gradient_from_AL(AL, Y, ZL)[:, 0], np.array([-4, 2, 2]) / 9, rtol=1e-6)


@BOTH_DTYPES
def test_softmax_climbs_from_a_wrong_0_without_nan(x64, dtype):
    AL, Y, ZL = (jnp.array(column, dtype)[:, None] for column in ([0, 0.5, 0.5], [1, 0, 0], [0, 0, 0]))
    dZL = LOSSES[SOFTMAX].gradient_from_AL(AL, Y, ZL)[:, 0]
    assert dZL[0] < -1e19 and dZL[1] > 1e18 and dZL[2] > 1e18


@BOTH_DTYPES
@pytest.mark.parametrize("name", [BCE, SOFTMAX])
def test_value_from_an_AL_of_exactly_0_and_1_is_0_or_infinite(x64, name, dtype):
    AL = Y = jnp.array([[1], [0]], dtype)
    assert LOSSES[name].value_from_AL(AL, Y).item() == 0
    assert LOSSES[name].value_from_AL(AL[::-1], Y).item() == np.inf


# ---- decisions and names


@pytest.mark.parametrize(
    "name, AL, decision",
    [
        (BCE, [[0, 0.5, 0.500001, 1]], [[0, 0, 1, 1]]),
        (BCE, [[0.1, 0.9], [0.8, 0.7]], [[0, 1], [1, 1]]),
        (SOFTMAX, [[0.1, 0.5], [0.7, 0.5], [0.2, 0]], [[1, 0]]),
        (SQUARED, [[-1.5, 2.5]], [[-1.5, 2.5]]),
    ],
)
def test_decisions(name, AL, decision):
    AL = jnp.array(AL)
    decided = LOSSES[name].decide(AL)
    np.testing.assert_array_equal(decided, np.array(decision, decided.dtype))
    assert jnp.issubdtype(decided.dtype, jnp.floating if name == SQUARED else jnp.integer)


def test_names_and_losses_are_accepted():
    own = jaxnet.losses.squared_error._replace(decide=jnp.sign)
    assert as_loss(BCE) is jaxnet.losses.binary_cross_entropy
    assert as_loss(own) is own


def test_an_unknown_name_raises_and_lists_the_known_ones():
    with pytest.raises(jaxnet.InputError, match=f"loss is 'mse'; expected a `Loss` or one of {', '.join(LOSSES)}"):
        as_loss("mse")


# ---- an AL that somebody clipped, or computed in another type


@pytest.mark.parametrize("z, y, chain", [(30.0, 0.0, 7.8e-7), (-30.0, 1.0, -9.4e-7)])
def test_an_output_clipped_in_float32_gives_the_chain(z, y, chain):
    ZL, Y = jnp.full((1, 1), z, jnp.float32), jnp.full((1, 1), y, jnp.float32)
    AL = jnp.clip(jax.nn.sigmoid(ZL), 1e-7, 1 - 1e-7)
    assert float(LOSSES[BCE].gradient_from_AL(AL, Y, ZL)[0, 0]) == pytest.approx(chain, rel=0.05)


def test_an_output_of_coarser_type_is_still_the_output(x64, default_promotion):
    ZL, Y = jnp.full((1, 1), 17.0), jnp.zeros((1, 1))
    AL = jax.nn.sigmoid(jnp.asarray(ZL, jnp.float32))  # rounds to 1
    assert float(LOSSES[BCE].gradient_from_AL(AL, Y, ZL)[0, 0]) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("name", [BCE, SOFTMAX])
def test_the_derivative_at_a_right_0_and_1_is_finite(name):
    Y = jnp.array([[0.0, 1.0], [1.0, 0.0]])
    dAL = jax.grad(lambda AL: jnp.sum(LOSSES[name].value_from_AL(AL, Y)))(Y)
    assert np.isfinite(dAL).all()
