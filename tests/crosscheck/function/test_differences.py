"""Derivatives from values alone: right within their own error bars, which are narrow where they can be."""

import math

import numpy as np
import pytest

from jaxnet.crosscheck.function.differences import along, complex_step, one_sided


SMOOTH = {
    "exp": (lambda t: math.exp(t), 1.0),
    "tanh": (lambda t: math.tanh(3 * t + 0.3), 3 * (1 - math.tanh(0.3) ** 2)),
    "quintic": (lambda t: (1 + t) ** 5, 5.0),
    "constant": (lambda t: 3.0, 0.0),
    "even": (lambda t: math.cos(t), 0.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_differences_are_right_within_a_narrow_error_bar(name):
    f, derivative = SMOOTH[name]
    value, error_bar = along(f)
    assert abs(value - derivative) <= error_bar < 1e-10


def test_a_large_value_widens_the_error_bar():
    value, error_bar = along(lambda t: 1e8 + math.sin(t))
    assert abs(value - 1) <= error_bar and error_bar > 1e-8


@pytest.mark.parametrize("kink", [1e-3, 1e-2])
def test_a_kink_nearby_is_stepped_over(kink):
    value, error_bar = along(lambda t: max(t + kink, 0.0) + t)
    assert abs(value - 2) <= error_bar < 1e-8


def test_a_rounded_function_has_an_error_bar_of_its_grain():
    value, error_bar = along(lambda t: round(math.exp(t), 3))
    assert abs(value - 1) <= error_bar and error_bar > 1e-3


def test_a_function_that_is_not_finite_has_no_derivative():
    value, error_bar = along(lambda t: math.nan)
    assert math.isnan(value) and error_bar == math.inf


@pytest.mark.parametrize("f, left, right", [(abs, -1, 1), (lambda t: max(t, 0.0), 0, 1), (math.sin, 1, 1)])
def test_one_sided_slopes(f, left, right):
    np.testing.assert_allclose(one_sided(f), (left, right), atol=1e-8)


def test_the_complex_step_is_exact_or_says_it_cannot_be():
    assert complex_step(lambda t: np.exp(2 * t)) == pytest.approx(2, rel=1e-15)
    assert math.isnan(complex_step(lambda t: np.abs(1 + t)))
