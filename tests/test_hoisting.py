"""The numbers of an optimizer are arguments of the compiled steps: another rate compiles nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet.hoisting import NotHoistedError, hoist
from jaxnet.training import loop

from .drawn import assert_same, problem


# Each of a learning rate, and of its other numbers.
FACTORIES = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=1 - rate, nesterov=True),
    "adam": lambda rate: optax.adam(rate, b1=1 - rate, eps=rate / 100),
    "adamw": lambda rate: optax.adamw(rate, weight_decay=rate),
    "rmsprop": optax.rmsprop,
    "clipped": lambda rate: optax.chain(optax.clip_by_global_norm(rate), optax.sgd(rate)),
    "cosine": lambda rate: optax.sgd(optax.cosine_decay_schedule(rate, 100)),
    "joined": lambda rate: optax.adam(
        optax.join_schedules([optax.linear_schedule(0.0, rate, 5), optax.exponential_decay(rate, 10, 0.5)], [5])
    ),
    "injected": lambda rate: optax.inject_hyperparams(optax.sgd)(learning_rate=rate),
}
# A new object every time, of which nobody can say that it is the one before.
EVALUATING = {
    "line search": lambda rate: optax.chain(optax.sgd(rate), optax.scale_by_backtracking_linesearch(3)),
    "polyak": optax.polyak_sgd,
}


def run(optimizer, **options):
    X, Y, parameters = problem([4, 3, 1], 6, dtype=np.float32)
    return jaxnet.train(X, Y, parameters, num_iterations=6, chunk=3, optimizer=optimizer, **options)


def programs_of(runs) -> int:
    """How many programs of steps they compile."""
    loop.run_chunk.clear_cache()
    for run in runs:
        run()
    return loop.run_chunk._cache_size()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.few(5)
def test_another_rate_compiles_nothing(name, default_promotion):
    assert programs_of([lambda rate=rate: run(FACTORIES[name](rate)) for rate in (0.1, 0.2, 1.0)]) == 1


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.few(5)
def test_a_number_that_is_an_argument_is_the_same(name, default_promotion, monkeypatch):
    """To the bit, but where XLA makes one product of two with numbers that it sees."""
    found = tuple(run(FACTORIES[name](0.1)))[:2]
    monkeypatch.setattr(loop, "with_numbers_as_arguments", lambda optimizer, *_: optimizer)
    want = tuple(run(FACTORIES[name](0.1)))[:2]
    if name in ("sgd", "momentum", "rmsprop", "clipped"):
        assert_same(found, want)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), found, want)


@pytest.mark.parametrize("name", EVALUATING)
def test_an_optimizer_that_evaluates_the_cost_trains_as_before(name, default_promotion):
    rates = (0.1, 0.2)
    ends = [run(EVALUATING[name](rate)).costs[-1] for rate in rates]
    assert np.all(np.isfinite(ends)) and ends[0] != ends[1]


def test_penalty_and_dropout_are_arguments_too():
    key, sgd = jax.random.key(0), optax.sgd(0.1)
    numbers = [{"lambd": 0.1, "keep_prob": 0.9}, {"lambd": 0.2, "keep_prob": 0.5}]
    assert programs_of([lambda given=given: run(sgd, key=key, **given) for given in numbers]) == 1
    costs = [run(sgd, key=key, **given).costs for given in numbers]
    assert not np.any(costs[0] == costs[1])


def test_optimizers_that_differ_in_more_than_numbers_are_two(default_promotion):
    makes = [optax.sgd, optax.adam, lambda rate: optax.sgd(rate, momentum=0.9), optax.sign_sgd]
    assert programs_of([lambda make=make: run(make(0.1)) for make in makes]) == 4


def test_masks_are_part_of_the_program(default_promotion):
    def run_masked(name):
        masks = {"W1": False, "b1": False, "W2": False, "b2": False} | {name: True}
        return run(optax.masked(optax.sgd(0.5), masks))

    assert not np.array_equal(run_masked("W1").parameters["W1"], run_masked("W2").parameters["W1"])


def test_constants_that_are_arrays_are_part_of_the_program():
    def scaled(by) -> optax.GradientTransformation:
        by = np.asarray(by, np.float32)

        def update(updates, state, params=None):
            return jax.tree.map(lambda g: -g * jnp.asarray(by)[: len(g), None], updates), state

        return optax.GradientTransformation(lambda params: (), update)

    ends = [run(scaled(by)).parameters["W1"] for by in ([0.1, 0.2, 0.3], [0.1, 0.2, 0.4], [0.1, 0.2, 0.3])]
    np.testing.assert_array_equal(ends[0], ends[2])
    assert not np.array_equal(ends[0][2], ends[1][2])


@pytest.mark.parametrize(
    "function",
    [
        lambda x, unused: x + unused,
        lambda x, unused: (x, unused),
        lambda x, unused: jax.pure_callback(np.sin, jax.ShapeDtypeStruct((), np.float32), x),
    ],
)
def test_what_cannot_be_known_by_its_text_is_not_hoisted(function):
    with pytest.raises(NotHoistedError):
        hoist(function, jnp.float32(1), unused=jnp.float32(2))


@pytest.mark.parametrize(
    "call",
    [
        lambda X, Y, start: jax.jit(lambda X: jaxnet.train(X, Y, start, num_iterations=1).costs)(X),
        lambda X, Y, start: jax.jit(lambda: jaxnet.train(X, Y, start, num_iterations=1).costs)(),
        lambda X, Y, start: jax.vmap(lambda X: jaxnet.train(X, Y, start, num_iterations=1).costs)(np.stack([X, X])),
        lambda X, Y, start: jax.vmap(
            lambda rate: jaxnet.train(X, Y, start, num_iterations=1, optimizer=optax.sgd(rate)).costs
        )(jnp.array([0.1, 0.2], jnp.float32)),
        lambda X, Y, start: jax.vmap(lambda lambd: jaxnet.train(X, Y, start, num_iterations=1, lambd=lambd).costs)(
            jnp.array([0.1, 0.2], jnp.float32)
        ),
        lambda X, Y, start: jax.grad(lambda start: jaxnet.train(X, Y, start, num_iterations=1).costs[0])(start),
    ],
)
def test_train_inside_a_transformation_is_one_clear_line(call, no_shape_checks):
    X, Y, start = problem([4, 3, 1], 6, dtype=np.float32)
    with pytest.raises(jaxnet.InputError, match="that JAX is tracing.*use jaxnet.sweep for many networks at once"):
        call(X, Y, start)
