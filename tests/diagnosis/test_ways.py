"""The ways of signals through the layers, and the init that keeps them alive."""

import math

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import Network
from jaxnet.diagnosis import Remedy, Setup, best_init, signal_remedies, vanishing, way_of
from jaxnet.signals import signal_sizes


@pytest.mark.parametrize(
    "sizes, share, factor, lost, state",
    [
        ([2.0, 1.0, 0.5], 0.25, 0.5, None, "alive"),
        ([1.0, 1e-2, 1e-4], 1e-4, 1e-2, None, "vanishes"),
        ([1.0, 1e2, 1e4], 1e4, 1e2, None, "explodes"),
        ([1.0, 0.1, 0.0, 0.0], 0, 0.1, 2, "vanishes"),
        ([1.0, 10.0, math.inf, math.nan], math.inf, 10, 2, "explodes"),
        ([1.0, 10.0, math.nan], math.inf, 10, 2, "explodes"),
        ([1.0, 0.0], 0, math.nan, 1, "vanishes"),
        ([math.nan, math.nan], math.nan, math.nan, 0, "-"),
        ([3.0], 1, math.nan, None, "alive"),
    ],
)
def test_a_way_is_known_by_its_ends_and_its_factor(sizes, share, factor, lost, state):
    way = way_of(sizes)
    assert way.lost == lost and way.state == state
    np.testing.assert_allclose(way[:2], (share, factor), rtol=1e-12)


@pytest.mark.parametrize("activation, init", [("relu", "he"), ("tanh", "xavier"), ("identity", "xavier")])
@pytest.mark.few(1)
def test_the_init_that_is_advised_is_the_one_of_the_papers(activation, init):
    best = best_init(1.0, [50] * 101, Network(activation))
    assert best is not None and best.init == init
    assert 0.95 < best.forward < 1.01 and 0.95 < best.backward < 1.01


@pytest.mark.parametrize(
    "best, setup, remedies",
    [
        ("he", Setup(), [Remedy("init", "he")]),
        ("he", Setup(init=0.01, learning_rate=0.1), [Remedy("init", "he")]),
        ("he", Setup(init="he"), []),
        ("he", Setup(init="he", learning_rate=0.0075), [Remedy("learning_rate", 0.001)]),
        (None, Setup(init="he"), [Remedy("shallower"), Remedy("hidden", "relu")]),
    ],
)
def test_what_was_done_already_is_not_advised(best, setup, remedies):
    made = None if best is None else best_init(1.0, [8] * 5, Network("relu"))
    assert list(signal_remedies(made, setup)) == remedies


@pytest.mark.parametrize("init, is_found", [("he", False), (0.01, True)])
def test_errors_that_vanish_are_measured(init, is_found):
    dims, network = (5, 6, 6, 6, 1), Network()
    X = jax.random.normal(jax.random.key(0), (5, 20))
    parameters = jaxnet.initialize_parameters_deep(dims, key=jax.random.key(1), init=init)
    sizes = jax.jit(signal_sizes)(X, X[:1] > 0, parameters, network)
    found = vanishing(sizes, 1.0, dims, network, Setup(init=init))
    assert (found is not None) == is_found
    if found is not None:
        assert found.layer == 1 and found.value < 1e-3 * found.reference and found.remedies == (Remedy("init", "he"),)
        assert vanishing(sizes._replace(dead=np.array([0, 1, 0])), 1.0, dims, network, Setup()) is None
