"""Networks and their members, copied and pickled: equal, compiled once, and saved as what they are."""

import copy
import pickle
import subprocess
import sys

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Activation, FrozenDict, Loss, Network, feedback
from jaxnet.activations import ACTIVATIONS, STRAIGHT_THROUGH
from jaxnet.feedback import RULES
from jaxnet.losses import LOSSES
from jaxnet.optimizer import GRADIENT_DESCENT, gradient_descent
from jaxnet.training.loop import StepConfig

from .drawn import assert_same, problem


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "oldest pickle": lambda value: pickle.loads(pickle.dumps(value, 0)),
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),
}
MADE = {
    "decay": feedback.kolen_pollack(decay=0.1),
    "mirror": feedback.weight_mirror(rate=0.02, warm_up=3),
    "magnitude": feedback.uniform_sign(0.5),
    "draw": feedback.feedback_alignment(jax.nn.initializers.ones),
}
MEMBERS = {
    **ACTIVATIONS,
    **STRAIGHT_THROUGH,
    **LOSSES,
    **{f"rule {name}": make() for name, make in RULES.items()},
    **MADE,
    "network": Network("tanh", "softmax_cross_entropy", feedback.kolen_pollack(0.1)),
    "optimizer": gradient_descent(0.3),
    "step": StepConfig(network=Network("gelu"), record_every=3),
}


def cosine_backward(dA, Z):
    return -jnp.sin(Z) * dA


def cosine_forward(Z):
    return jnp.cos(Z)


def cubic_value(ZL, Y):
    return jnp.sum(jnp.abs(ZL - Y) ** 3, axis=0)


@pytest.mark.parametrize("duplicate", COPIES)
@pytest.mark.parametrize("name", MEMBERS)
def test_a_copy_is_the_same_member(name, duplicate):
    member = MEMBERS[name]
    other = COPIES[duplicate](member)
    assert type(other) is type(member) and other == member and hash(other) == hash(member)
    if name in ACTIVATIONS | STRAIGHT_THROUGH | LOSSES:
        assert other is member


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_copy_compiles_nothing_and_can_be_saved(duplicate, tmp_path):
    network = Network("tanh", "binary_cross_entropy", "kolen_pollack")
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    compiled = jax.jit(jaxnet.L_model_forward, static_argnames="network")
    compiled(X, parameters, network=network)
    programs = compiled._cache_size()
    other = COPIES[duplicate](network)
    compiled(X, parameters, network=other)
    assert compiled._cache_size() == programs
    model = jaxnet.Model(FrozenDict(parameters), other.by_backprop, (4,), ("a", "b"))
    jaxnet.save_model(tmp_path / "m.safetensors", COPIES[duplicate](model))
    assert jaxnet.load_model(tmp_path / "m.safetensors").network == network.by_backprop


def test_a_rule_is_known_by_its_arguments():
    assert feedback.kolen_pollack() == feedback.kolen_pollack(0.0) == feedback.kolen_pollack(decay=0)
    assert feedback.kolen_pollack(0.1) != feedback.kolen_pollack(0.2)
    assert feedback.feedback_alignment() != feedback.fixed_random_sign() != feedback.batch_random_sign()


def test_a_network_means_the_same_in_another_process():
    network = Network("gelu", "softmax_cross_entropy", feedback.weight_mirror(rate=0.02))
    code = (
        "import pickle, sys; from jaxnet import Network, feedback; network = pickle.load(sys.stdin.buffer);"
        "made = Network('gelu', 'softmax_cross_entropy', feedback.weight_mirror(rate=0.02));"
        "assert network == made and hash(network) == hash(made)"
    )
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(network), check=True)


@pytest.mark.parametrize("duplicate", COPIES)
def test_members_of_ones_own_are_pickled_as_python_does(duplicate):
    for member in (Activation(cosine_forward, cosine_backward), Loss(cosine_forward, cubic_value, cubic_value)):
        other = COPIES[duplicate](member)
        assert type(other) is type(member) and other == member
        network = Network(hidden=member) if isinstance(member, Activation) else Network(loss=member)
        assert COPIES[duplicate](network) == network


def test_a_lambda_is_not_pickled_and_copied_as_itself():
    network = Network(Activation(lambda Z: Z, lambda dA, Z: dA))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(network)
    assert copy.deepcopy(network) is network is copy.copy(network)


def test_what_a_run_returns_can_be_copied():
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    seen = []
    options = {
        "optimizer": optax.sgd(0.1, momentum=0.9),
        "network": Network(feedback="kolen_pollack"),
        "key": jax.random.key(0),
    }
    run = jaxnet.train(X, Y, parameters, num_iterations=3, record_every=2, on_chunk=seen.append, **options)
    report = jaxnet.check_backward(X, Y, parameters)
    for duplicate in COPIES.values():
        for value in (run, duplicate(seen[0]).state, run.parameters):
            assert_same(duplicate(value), value)
            assert jax.tree.structure(duplicate(value)) == jax.tree.structure(value)
        assert str(duplicate(report)) == str(report) and duplicate(report).verdict is report.verdict
    assert COPIES["pickle"](GRADIENT_DESCENT) is GRADIENT_DESCENT
