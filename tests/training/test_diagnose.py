"""`diagnose` and `trained.diagnosis`: nothing of a healthy training, and what ails made sick ones."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Network
from jaxnet.network import COURSE


X, X_test = (jax.random.normal(jax.random.key(i), (2, 100)) for i in (0, 5))
Y, Y_test = X[:1] * X[1:] > 0, X_test[:1] * X_test[1:] > 0
NOISE, NOISE_test = (jax.random.bernoulli(jax.random.key(i), 0.5, (1, 100)) for i in (8, 9))


def trained(X=X, Y=Y, dims=(2, 16, 1), rate=0.2, num_iterations=1500, init: Any = "he", network=COURSE, **options):
    parameters = jaxnet.initialize_parameters_deep(dims, key=jax.random.key(1), init=init)
    return jaxnet.train(
        X, Y, parameters, num_iterations=num_iterations, optimizer=optax.sgd(rate), network=network, **options
    )


@pytest.mark.parametrize(
    "options", [{}, {"class_weight": "balanced"}, {"lambd": 0.01}], ids=["plain", "weighted", "penalised"]
)
@pytest.mark.few(1)
def test_a_healthy_training_has_nothing(options):
    run = trained(**options)
    found = jaxnet.diagnose(X, Y, run, X_test=X_test, Y_test=Y_test, **options)
    assert found.healthy and run.diagnosis.healthy, found
    assert found.tested is not None and found.tested.low > found.tested.guessing
    assert str(found).startswith("test 0.9") and "is above guessing" in str(found)
    assert ("weighted by class" in str(found)) == found.tested.is_weighted == ("class_weight" in options)
    assert str(run.diagnosis) == "nothing wrong was found in the costs; jaxnet.diagnose looks at the data too"


@pytest.mark.parametrize("lambd", [0.0, 1.0])
@pytest.mark.thorough
def test_weights_of_a_hundredth_learn_nothing(lambd):
    run = trained(dims=(2, 9, 9, 9, 1), init=0.01, num_iterations=300, lambd=lambd)
    found = jaxnet.diagnose(X, Y, run, X_test=X_test, Y_test=Y_test, lambd=lambd)
    assert [symptom.code for symptom in found.symptoms] == ["guessing", "vanishing", "entropy"]
    assert found.symptoms[1].remedies == (jaxnet.Remedy("init", "he"),)
    assert str(found).splitlines()[1].endswith('of it reaches layer 1: try init="he"')


@pytest.mark.thorough
def test_steps_too_large_leave_dead_units():
    run = trained(dims=(2, 8, 4, 1), rate=30.0, num_iterations=100)
    found = jaxnet.diagnose(X, Y, run)
    [dead] = [symptom for symptom in found.symptoms if symptom.code == "dead"]
    assert dead.layer == 2 and dead.step is None and dead.remedies == (jaxnet.Remedy("smaller_rate"),)
    assert "vanishing" not in [symptom.code for symptom in found.symptoms]


def test_labels_of_noise_are_learnt_by_heart():
    many, many_test = (jax.random.normal(jax.random.key(i), (60, 100)) for i in (2, 3))
    run = trained(many, NOISE, dims=(60, 16, 1), num_iterations=300)
    found = jaxnet.diagnose(many, NOISE, run, X_test=many_test, Y_test=NOISE_test)
    assert [symptom.code for symptom in found.symptoms] == ["guessing", "overfitting"]
    assert str(found).endswith("try keep_prob=0.5, lambd=1, or more examples")


def test_a_training_that_ends_too_early():
    run = trained(num_iterations=20, rate=0.03)
    for found in (run.diagnosis, jaxnet.diagnose(X, Y, run)):
        assert [symptom.code for symptom in found.symptoms] == ["falling"]
        assert str(found).endswith("try num_iterations=40 from trained.state")


def test_a_cost_that_rises_late():
    run = trained(num_iterations=200)
    costs = np.where(np.arange(200) < 150, run.costs, 50.0)
    [symptom] = run._replace(costs=costs).diagnosis.symptoms
    assert (symptom.code, symptom.step, symptom.value) == ("rose", 150, 50.0)


@pytest.mark.parametrize("init, codes", [("he", []), (1e-4, ["vanishing", "constant"])])
def test_regression_has_no_classes(init, codes):
    network, Y = Network("relu", "squared_error"), X[:1] * X[1:]
    run = trained(Y=Y, dims=(2, 16, 16, 1), rate=0.05, num_iterations=600, init=init, network=network)
    found = jaxnet.diagnose(X, Y, run, network, X_test=X_test, Y_test=X_test[:1] * X_test[1:])
    assert [symptom.code for symptom in found.symptoms] == codes and found.tested is None


def test_softmax_and_soft_labels():
    network, both = Network("relu", "softmax_cross_entropy"), jnp.concatenate([~Y, Y]).astype(float)
    run = trained(Y=both, dims=(2, 16, 2), network=network)
    found = jaxnet.diagnose(X, both, run, network, X_test=X_test, Y_test=jnp.concatenate([~Y_test, Y_test]))
    assert found.healthy and found.tested is not None and found.tested.value > 0.9
    assert jaxnet.diagnose(X, both * 0.8 + 0.1, run, network).tested is None


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"trained": "run"}, "trained is of type str; expected what `train` returned"),
        ({"X_test": X_test}, "only one of X_test and Y_test is given"),
        ({"X_test": X_test[:1], "Y_test": Y_test}, "W1 takes 2 inputs, but X has shape"),
        ({"X_test": X_test, "Y_test": jnp.full((1, 100), 0.5)}, "Y_test has labels that name no single class"),
        ({"X": X[:1]}, "W1 takes 2 inputs, but X has shape"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message, no_shape_checks):
    given = {"X": X, "Y": Y, "trained": trained(num_iterations=2)} | arguments
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.diagnose(**given)
