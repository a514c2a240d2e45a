"""Curves of costs, healthy and sick."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.diagnosis import constant_cost
from jaxnet.diagnosis.costs import entropy, falling, is_at, rose
from jaxnet.losses import LOSSES, Loss, binary_cross_entropy, softmax_cross_entropy


H = float(np.log(2))
n = np.arange(1000)
NOISE = np.random.default_rng(0).normal(size=1000)
HEALTHY = {
    "exponential": 0.7 * np.exp(-n / 150),
    "power": 0.7 / (1 + n / 50),
    "noisy": 0.7 / (1 + n / 50) * (1 + 0.3 * NOISE.clip(-2, 2)),
    "large at first": 50 * np.exp(-n / 100) + 0.02,
    "spikes near 0": np.where(n % 300 == 299, 1e-2, 1e-5) + 0.7 * np.exp(-n / 40),
    "noise of labels": 0.55 + 0.15 * np.exp(-n / 100) + 0.05 * NOISE,
    "jumped and came back": 0.7 * np.exp(-n / 150) + 100.0 * (n == 3),
    "restarts": 0.01 + 0.6 * np.exp(-(n % 250) / 40),
}
BLOWN = np.where(n < 700, 0.7 * np.exp(-n / 100), 90.0)
STANDS = H + 0.08 * np.exp(-n / 30)


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_curves_say_nothing(name):
    assert rose(HEALTHY[name]) is None
    assert entropy(HEALTHY[name], H) is None
    assert falling(HEALTHY[name], H) is None


@pytest.mark.parametrize(
    "costs, value, reference, step",
    [
        (BLOWN, 90, 0.7 * np.exp(-6.99), 700),
        (np.where(n < 3, 0.7, 1e3), 1e3, 0.7, 3),
        (0.7 + 500 * np.exp(-((n - 40) ** 2) / 100) + 4 * (n > 40), 500, 0.7, 40),  # and comes back to seven times it
    ],
)
def test_a_cost_that_rose_is_seen_with_its_step(costs, value, reference, step):
    found = rose(costs)
    assert found is not None and found.step == step
    np.testing.assert_allclose([found.value, found.reference], [value, reference], rtol=0.02)


def test_steps_of_a_rise_may_be_given():
    found = rose([0.7, 0.01, 3.0, 5.0], [0, 100, 200, 300], tail=2)
    assert found is not None and (found.step, found.value, found.reference) == (300, 5.0, 0.01)
    assert rose([0.7, 0.01, 0.02, 5.0], tail=2) is None  # one row alone


@pytest.mark.parametrize("few", [[], [1.0], [1.0, 2.0], [0.0, 0.0, 5.0]])
def test_too_little_to_say_anything(few):
    assert rose(few) is None and entropy(few, H) is None and falling(few, H) is None


@pytest.mark.parametrize(
    "costs, penalty, since",
    [
        (STANDS, 0.0, 50),
        (STANDS + 0.05 * NOISE, 0.0, None),
        (STANDS + 0.3, 0.3, 50),
        (np.full(1000, H), 0.0, 0),
        (np.full(1000, 0.9), 0.0, 0),  # worse than the best constant answer, and it stays so
    ],
)
def test_a_cost_that_stands_where_nothing_is_learnt(costs, penalty, since):
    found = entropy(costs, H, penalty)
    assert found is not None and found.reference == H
    assert since is None or found.step == pytest.approx(since, abs=15)


def test_a_later_start_counts_its_steps():
    found = entropy(STANDS, H, first_step=4000)
    assert found is not None and found.step is not None and 4000 < found.step < 4100


@pytest.mark.parametrize(
    "costs", [H * (1 - 0.02 * n / 1000), H + 0.3 - 0.25 * n / 1000, STANDS + 0.3], ids=["learns", "falls", "penalty"]
)
def test_a_cost_that_moves_or_is_below_is_no_standstill(costs):
    found = entropy(costs, H)
    assert found is None or found.value > 1.4 * H  # the last: a penalty that is not known stands above


@pytest.mark.parametrize("noise", [0, 0.03])
def test_a_cost_that_still_falls(noise):
    found = falling(0.7 - 0.0004 * n + noise * NOISE, H)
    assert found is not None and found.step == 1000
    assert found.value == pytest.approx(0.32, abs=0.02) and found.reference == pytest.approx(0.36, abs=0.02)
    assert falling(0.5 - 0.0001 * n + 0.3 * NOISE, H) is None  # which may be the noise of batches


def test_costs_are_compared_with_the_first_where_no_other_is_known():
    assert falling(0.7 - 0.0004 * n) is not None
    assert falling(10 * np.exp(-n / 200)) is None


# ---- the best constant answer


def inverse_output(p, loss):
    if loss == binary_cross_entropy:
        return np.log(p / (1 - p))
    return np.log(p) if loss == softmax_cross_entropy else p


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [False, True])
def test_the_best_constant_answer_costs_what_its_loss_says(x64, name, weights):
    loss, draw = LOSSES[name], np.random.default_rng(1)
    Y = draw.integers(0, 2, (3, 40)).astype(float) if name != "squared_error" else draw.normal(size=(3, 40))
    if name == "softmax_cross_entropy":
        Y = np.eye(3)[draw.integers(0, 3, 40)].T
    w = draw.uniform(size=40) if weights else np.ones(40)
    mean = (Y * w).sum(axis=1) / w.sum()

    def cost(Z):
        return float(np.mean(w * np.asarray(loss.value(jnp.tile(Z[:, None], 40), jnp.asarray(Y)))))

    best = inverse_output(mean, loss)
    assert constant_cost(Y, loss, w if weights else None) == pytest.approx(cost(best), rel=1e-12)
    assert all(cost(best) < cost(best + draw.normal(size=3) / 10) for _ in range(5))


@pytest.mark.parametrize(
    "Y, loss",
    [
        (np.ones((1, 5)), binary_cross_entropy),
        (np.ones((2, 5)), Loss(lambda ZL: ZL, lambda ZL, Y: (ZL - Y).sum(axis=0))),
    ],
    ids=["one class", "a loss of one's own"],
)
def test_there_may_be_no_constant_answer_to_compare_with(Y, loss):
    assert constant_cost(Y, loss) is None


def test_entropy_of_the_courses_cats():
    constant = constant_cost(np.array([[1.0] * 72 + [0.0] * 137]), binary_cross_entropy)
    assert constant is not None and constant == pytest.approx(0.644, abs=1e-3)
    assert is_at(0.644, constant) and not is_at(0.63, constant)
