"""What a check could have seen at a point, and the points at which it sees everything."""

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import Network, good_point
from jaxnet.crosscheck.backprop.bugs import hypotheses
from jaxnet.crosscheck.backprop.power import measure_power
from jaxnet.crosscheck.backprop.reference import make_reference
from jaxnet.losses import LOSSES

from ... import drawn


DIMS = (5, 4, 3, 1)


def power_at(X, Y, parameters, network=None):
    return measure_power(make_reference(X, Y, parameters, Network() if network is None else network))


@pytest.mark.parametrize("loss, outputs", [*((loss, 3) for loss in LOSSES), ("binary_cross_entropy", 1)])
@pytest.mark.parametrize("hidden", ["relu", "tanh", "gelu"])
@pytest.mark.few(3)
def test_a_good_point_sees_every_known_error(hidden, loss, outputs):
    network = Network(hidden, loss)
    X, Y, parameters = good_point((5, 4, 3, outputs), network, key=jax.random.key(0))
    power = power_at(X, Y, parameters, network)
    assert power.seen == power.total > 100 and power.invisible == ()
    assert X.shape == (5, 7) and Y.shape == (outputs, 7) and all(np.all(b != 0) for b in parameters.values())


def test_a_good_point_is_a_function_of_its_key():
    first, again, other = (good_point((3, 2, 1), key=jax.random.key(k)) for k in (0, 0, 1))
    drawn.assert_same(first, again)
    assert not np.array_equal(first[0], other[0])


@pytest.mark.thorough
def test_equal_sizes_turn_shape_errors_into_number_errors():
    X, Y, parameters = good_point((4, 4, 4, 1), key=jax.random.key(0), m=4)
    step = make_reference(X, Y, parameters, Network()).step(2)
    codes = {bug.code for bug in hypotheses("dA", step) if bug.value is not None and bug.value.shape == (4, 4)}
    assert X.shape == (4, 4) and "not-transposed" in codes


@pytest.mark.parametrize("m", [0, -3])
def test_a_point_needs_an_example(m):
    with pytest.raises(jaxnet.InputError, match=f"m is {m}; expected at least one example"):
        good_point((3, 1), key=jax.random.key(0), m=m)


@pytest.mark.parametrize("dims", [(3,), (3, 0)])
def test_a_point_needs_layers(dims):
    with pytest.raises(jaxnet.InputError, match="expected at least two positive integers"):
        good_point(dims, key=jax.random.key(0))


def test_a_batch_of_one_hides_every_mean_and_says_so():
    power = power_at(*drawn.problem(DIMS, 1))
    hidden = " ".join(power.invisible)
    assert power.seen < power.total and "dW: mean-missing (layer 3, 2, 1)" in hidden and "db: mean-twice" in hidden
    assert "use more than one example" in power.advice and "invisible here" in str(power)


def test_units_never_negative_hide_the_activation():
    X, Y, parameters = drawn.problem(DIMS, 6)
    positive = {name: np.abs(value) + 0.1 for name, value in parameters.items()}
    power = power_at(np.abs(X), Y, positive)
    assert any(code.startswith("dZ: slope-missing") for code in power.invisible)
    assert "let every layer have Z of both signs" in power.advice


def test_dead_units_hide_what_is_below_them():
    X, Y, parameters = drawn.problem(DIMS, 6)
    dead = parameters | {"b2": parameters["b2"] - 100}
    power = power_at(X, Y, dead)
    assert power.seen < power.total and any("layer 1" in code or ", 1" in code for code in power.invisible)
