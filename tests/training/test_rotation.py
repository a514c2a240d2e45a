import jax
import numpy as np
import optax
import optax.contrib
import pytest

from jaxnet import FrozenDict
from jaxnet.optimizer import descend
from jaxnet.runs.settings import Settings, make_optimizer
from jaxnet.training.input_basis import ReducedInputs
from jaxnet.training.rotation import commutes_with_rotation

from ..optimizers import COMMUTING, LATE, REFUSED, STRANGE, UNREAD, no_W1


SCALES = (1e-4, 1.0, 1e4)  # of parameters and gradients: optimizers clip, and add small numbers to denominators
# Sizes on both sides of 128, from where some optimizers treat a matrix as a product of two vectors.
N_X, DIRECTIONS, UNITS = 300, 100, 3


@pytest.fixture(autouse=True)
def as_users_have_it(default_promotion):
    pass


def drawn(*leading, dtype=np.float64):
    generator = np.random.default_rng(len(leading))
    shapes = {"W1": (UNITS, DIRECTIONS), "b1": (UNITS, 1), "W2": (1, UNITS), "b2": (1, 1)}
    return FrozenDict({name: generator.normal(size=(*leading, *shape)).astype(dtype) for name, shape in shapes.items()})


def in_all_inputs(dtype=np.float32):
    return drawn(dtype=dtype) | {"W1": np.ones((UNITS, N_X), dtype)}


def tried(optimizers, steps=64):
    """For each and at every scale: how far the parameters go, and how far from each other both ways end.

    The cost is <G, p> + ||p||^2 / 20, for another G in each step: both terms stay what they are under a rotation.
    """
    basis = ReducedInputs(np.linalg.qr(np.random.default_rng(0).normal(size=(N_X, DIRECTIONS)))[0])

    def walk(optimizer, parameters, forces):
        def step(state, G):
            def objective(p):
                return optax.tree.vdot(G, p) + optax.tree.norm(p, squared=True) / 20

            J, gradient = jax.value_and_grad(objective)(state[0])
            return descend(optimizer, gradient, state[1], state[0], J, objective), None

        (parameters, _), _ = jax.lax.scan(step, (parameters, optimizer.init(parameters)), forces)
        return parameters

    def compare(optimizer, begin, forces):
        end, other = walk(optimizer, begin, forces), walk(optimizer, basis.expand(begin), basis.expand(forces))
        return optax.tree.norm(optax.tree.sub(end, begin)), optax.tree.norm(optax.tree.sub(other, basis.expand(end)))

    @jax.jit  # one program for all
    def compare_all(scale):
        begin, forces = jax.tree.map(lambda value: scale * value, (drawn(), drawn(steps)))
        return {name: compare(optimizer, begin, forces) for name, optimizer in optimizers.items()}

    with jax.enable_x64(True):
        ends = [jax.device_get(compare_all(scale)) for scale in SCALES]
    return {name: np.array([end[name] for end in ends]).T for name in optimizers}


@pytest.mark.parametrize("name", COMMUTING | STRANGE)
def test_these_optimizers_commute_with_a_rotation(name):
    assert commutes_with_rotation((COMMUTING | STRANGE)[name], in_all_inputs(), DIRECTIONS)


@pytest.mark.thorough
def test_so_they_do_when_tried():
    for name, (ways, errors) in tried(STRANGE).items():
        assert np.all(errors <= 1e-8 * ways) and np.all(np.isfinite(ways)), name


@pytest.mark.parametrize("name", REFUSED | UNREAD)
@pytest.mark.few(20)
def test_these_are_refused(name):
    assert not commutes_with_rotation((REFUSED | UNREAD)[name], in_all_inputs(), DIRECTIONS)


@pytest.mark.parametrize("name", LATE)
def test_what_changes_its_kind_late_is_refused(name):
    assert not commutes_with_rotation(LATE[name], in_all_inputs(), DIRECTIONS)


@pytest.mark.thorough
def test_it_differs_late():
    assert all(np.any(errors > 1e-8 * ways) for ways, errors in tried(LATE, steps=550).values())


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_what_the_command_line_makes(optimizer, schedule):
    every = 10 if schedule == "step" else None
    decay = None if optimizer == "adam" else 0.01
    settings = Settings(optimizer=optimizer, schedule=schedule, step_every=every, weight_decay=decay, warm_up=5)
    made = make_optimizer(settings, 100)
    with jax.numpy_dtype_promotion("standard"):
        assert commutes_with_rotation(made, in_all_inputs(), DIRECTIONS) == (optimizer in ("sgd", "momentum"))


def test_it_is_a_question_of_dtype_and_sizes():
    single = optax.trace(0.9, accumulator_dtype="float32")
    several = optax.MultiSteps(optax.sgd(0.1), 100).gradient_transformation()  # added up in float32
    factored = optax.adafactor(0.1, min_dim_size_to_factor=200)
    with jax.enable_x64(True):
        for optimizer in (single, several):
            assert commutes_with_rotation(optimizer, in_all_inputs(np.float32), DIRECTIONS)
            assert not commutes_with_rotation(optimizer, in_all_inputs(np.float64), DIRECTIONS)
    assert not commutes_with_rotation(factored, in_all_inputs(), DIRECTIONS)
    assert not commutes_with_rotation(optax.sgd(0.1), in_all_inputs(), N_X)  # nothing is reduced


@pytest.mark.parametrize("rest", [optax.adam(0.1), optax.lion(0.1), optax.noisy_sgd(0.1, key=0), optax.rprop(0.1)])
def test_what_other_layers_do_is_their_own(rest):
    own = optax.partition({True: rest, False: optax.sgd(0.1)}, no_W1)
    assert commutes_with_rotation(own, in_all_inputs(), DIRECTIONS)
    swapped = optax.partition({False: rest, True: optax.sgd(0.1)}, no_W1)
    assert not commutes_with_rotation(swapped, in_all_inputs(), DIRECTIONS)
