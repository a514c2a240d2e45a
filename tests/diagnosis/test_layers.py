"""Layers with dead units, and gradients that make one look closer."""

import numpy as np
import pytest

from jaxnet.diagnosis import dead, is_suspect


STEPS = [100, 200, 300, 400]
PHOTOS = [0.57, 0.67, 0.78, 0.86]  # of the README's photo recipe at a rate that is too large


@pytest.mark.parametrize(
    "shares, rows, layer, step",
    [
        (np.transpose([PHOTOS]), 1, 1, 300),
        (np.transpose([PHOTOS]), 2, 1, 300),
        (np.transpose([[0.1] * 4, [1.0] * 4]), 1, 2, 100),
        (np.transpose([[0.9] * 4, [0.8] * 4]), 1, 1, 100),
        (np.transpose([[0.8, 0.9, 0.2, 0.9]]), 1, 1, 400),
    ],
)
def test_the_layer_and_the_step_are_named(shares, rows, layer, step):
    found = dead(shares, STEPS, rows)
    assert found is not None and (found.layer, found.step) == (layer, step)
    assert found.value == shares[-1, layer - 1]


@pytest.mark.parametrize(
    "shares, rows",
    [
        (np.transpose([[0.0, 0.05, 0.05, 0.05], [0.14, 0.29, 0.29, 0.29], [0.0, 0.2, 0.2, 0.4]]), 1),  # the course's
        (np.transpose([PHOTOS]), 3),
        (np.transpose([[0.8, 0.9, 0.9, 0.1]]), 1),
        (np.zeros((4, 0)), 1),
        (np.zeros((0, 2)), 1),
    ],
    ids=["course", "not for long", "alive again", "no hidden layer", "no row"],
)
def test_layers_that_are_not_dead(shares, rows):
    assert dead(shares, STEPS[: len(shares)], rows) is None


@pytest.mark.parametrize(
    "norms, suspect",
    [
        ([0.3, 0.1, 0.1, 0.2], False),
        ([5.7, 0.2, 0.05, 0.05], False),
        ([1e-4, 1e-2, 1], True),
        ([1], False),
        ([], False),
    ],
)
def test_gradients_that_make_one_look_closer(norms, suspect):
    assert is_suspect(norms) == suspect
