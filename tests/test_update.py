from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Network, TrainState
from jaxnet.activations import ACTIVATIONS, Activation
from jaxnet.losses import LOSSES

from . import course_numpy as course
from .drawn import assert_close, assert_same, autodiff_cost, copies, problem


SOFTMAX = "softmax_cross_entropy"
OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "nesterov": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.01),
    "adamw": optax.adamw(0.01),
    "rmsprop": optax.rmsprop(0.01),
    "lion": optax.lion(0.01),
    "clipped": optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(0.1)),
    "adafactor": optax.adafactor(0.01),
    "polyak": optax.polyak_sgd(),
    "lbfgs": optax.lbfgs(),
    "schedule_free": optax.contrib.schedule_free_sgd(0.1),
}


def test_update_parameters_is_the_courses_and_touches_nothing(x64):
    X, Y, parameters = problem([5, 4, 1], 6)
    grads = course.backward(course.forward(X, parameters)[0], Y, course.forward(X, parameters)[1])
    before = copies((parameters, grads))
    updated = jaxnet.update_parameters(parameters, grads, 0.3)
    assert_same((parameters, grads), before)
    assert_close(dict(updated), course.update(parameters, grads, 0.3), 2)


@pytest.mark.parametrize(
    "change, learning_rate, message",
    [
        ({"db1": np.ones(4)}, 0.1, r"db1 has shape \(4,\); expected \(4, 1\), that of b1"),
        ({"dW2": np.ones((1, 1))}, 0.1, r"dW2 has shape \(1, 1\); expected \(1, 4\), that of W2"),
        ({"dW2": 0.5}, 0.1, "dW2 is of type float; expected an array"),
        ({"dW2": None}, 0.1, "grads have the keys dW1, db1, db2; expected a dW2 among them"),
        ({}, np.full((1, 4), 0.1), r"learning_rate has shape \(1, 4\); expected a number"),
        ({}, [0.1], r"learning_rate is \[0.1\]; expected a number"),
    ],
)
def test_no_update_broadcasts(change, learning_rate, message, no_shape_checks):
    _, _, parameters = problem([5, 4, 1], 6)
    grads = {f"d{name}": value for name, value in parameters.items()} | change
    grads = {name: value for name, value in grads.items() if value is not None}
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.update_parameters(parameters, grads, learning_rate)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.few(4)
def test_three_steps_are_optax_applied_to_autodiff(x64, default_promotion, name):
    optimizer, network = OPTIMIZERS[name], Network("tanh", SOFTMAX)
    X, Y, start = problem([6, 5, 3], 8, SOFTMAX)
    step = jaxnet.make_update_step(optimizer, network)
    theirs = jax.tree.map(jnp.array, start)
    state, their_state = jaxnet.init_state(theirs, optimizer), optimizer.init(theirs)
    optax_update = optax.with_extra_args_support(optimizer).update

    def cost(parameters):
        return autodiff_cost(X, Y, parameters, network)

    @jax.jit
    def their_step(theirs, their_state):
        want, gradient = jax.value_and_grad(cost)(theirs)
        updates, their_state = optax_update(gradient, their_state, theirs, value=want, grad=gradient, value_fn=cost)
        return optax.apply_updates(theirs, updates), their_state, want

    for _ in range(3):
        state, J = step(X, Y, state)
        theirs, their_state, want = their_step(theirs, their_state)
        np.testing.assert_allclose(J, want, rtol=1e-12)
    for key in theirs:
        np.testing.assert_allclose(state.parameters[key], theirs[key], rtol=1e-9, atol=1e-12)
    assert state.step == 3


@pytest.mark.parametrize("container", [dict, jaxnet.FrozenDict])
@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
@pytest.mark.few(3)
def test_a_step_is_traced_once_and_keeps_the_kind_of_mapping(default_promotion, name, container):
    traces = []

    def counted(Z):
        traces.append(Z.shape)
        return jax.nn.relu(Z)

    network = Network(Activation(counted, ACTIVATIONS["relu"].backward))
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    parameters = container(jax.tree.map(jnp.array, parameters))
    state = jaxnet.init_state(parameters, OPTIMIZERS[name], network)
    step = jaxnet.make_update_step(OPTIMIZERS[name], network)
    for _ in range(3):
        state, _ = step(X, Y, state)
    assert traces == [(3, 5)] and type(state.parameters) is container


def test_parameters_and_state_are_donated_and_data_are_not(default_promotion):
    X, Y, parameters = (jax.tree.map(jnp.array, part) for part in problem([4, 3, 1], 5, dtype=np.float32))
    optimizer = OPTIMIZERS["nesterov"]
    state = jaxnet.init_state(parameters, optimizer)
    jaxnet.make_update_step(optimizer)(X, Y, state)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves((state.parameters, state.opt_state)))
    assert not X.is_deleted() and not Y.is_deleted()


def test_the_callers_parameters_outlive_a_donating_step():
    X, Y, parameters = (jax.tree.map(jnp.array, part) for part in problem([4, 3, 1], 5, dtype=np.float32))
    for optimizer in (optax.sgd(0.1), optax.lbfgs(0.1)):
        state, _ = jaxnet.make_update_step(optimizer)(X, Y, jaxnet.init_state(parameters, optimizer))
        jaxnet.predict(X, parameters)
    assert state.step == 1


def test_a_compiled_step_has_the_penalty_and_the_compute_dtype():
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    options = {"l2": 0.1, "dtype": "bfloat16"}
    state = jaxnet.init_state(parameters)
    got, J = jaxnet.make_update_step(**options)(X, Y, jax.tree.map(jnp.copy, state))
    want, want_J = jaxnet.update(X, Y, state, **options)
    np.testing.assert_allclose(J, want_J, rtol=1e-2)
    for name in parameters:
        np.testing.assert_allclose(got.parameters[name], want.parameters[name], rtol=1e-2, atol=1e-4)


# ---- optimizers with masks and labels, and those that ask for more than the gradient


NAMES = ("W1", "b1", "W2", "b2")
WEIGHTS = {name: name[0] == "W" for name in NAMES}
LABELS = {name: "slow" if name == "W1" else "fast" for name in NAMES}
RATES = {"slow": optax.sgd(0.01), "fast": optax.sgd(0.1)}
MASKED = {
    "masked": lambda kind: optax.masked(optax.sgd(0.1), kind(WEIGHTS)),
    "partition": lambda kind: optax.partition(RATES, kind(LABELS)),
    "decay": lambda kind: optax.chain(optax.add_decayed_weights(0.1, mask=kind(WEIGHTS)), optax.sgd(0.1)),
}


def by_name(name, parameters, gradient):
    """What the optimizers above make of a gradient, written out."""
    weight = name[0] == "W"
    return {
        "masked": parameters - 0.1 * gradient if weight else parameters + gradient,  # optax passes the others on
        "partition": parameters - (0.01 if name == "W1" else 0.1) * gradient,
        "decay": parameters - 0.1 * (gradient + 0.1 * parameters * weight),
    }


@pytest.mark.parametrize("kind", [dict, jaxnet.FrozenDict])
@pytest.mark.parametrize("given", [dict, jaxnet.FrozenDict])
@pytest.mark.parametrize("name", MASKED)
@pytest.mark.few(3)
def test_masks_and_labels_of_either_mapping_train_either(x64, name, given, kind):
    X, Y, start = problem([4, 3, 1], 6)
    optimizer, start = MASKED[name](kind), given(start)
    trained = jaxnet.train(X, Y, start, num_iterations=2, optimizer=optimizer, chunk=1)
    want = dict(start)
    for _ in range(2):
        grads = course.backward(course.forward(X, want)[0], Y, course.forward(X, want)[1])
        want = {key: by_name(key, value, grads[f"d{key}"])[name] for key, value in want.items()}
    assert_close(dict(trained.parameters), want, 64)
    assert type(trained.parameters) is kind
    again = jaxnet.train(X, Y, trained.state, num_iterations=3, optimizer=optimizer, chunk=1)
    whole = jaxnet.train(X, Y, start, num_iterations=3, optimizer=optimizer, chunk=1)
    assert_same(again.parameters, whole.parameters)


@pytest.mark.parametrize("name", MASKED)
def test_a_step_takes_masks_of_its_parameters_mapping(x64, name):
    X, Y, start = problem([4, 3, 1], 6)
    optimizer, start = MASKED[name](dict), jax.tree.map(jnp.array, start)
    state = jaxnet.init_state(start, optimizer)
    after, _ = jaxnet.make_update_step(optimizer)(X, Y, jax.tree.map(jnp.copy, state))
    want, _ = jaxnet.update(X, Y, state, optimizer)
    assert_close(after.parameters, want.parameters, 16)


def test_parameters_come_back_in_the_mapping_given():
    X, Y, start = problem([4, 3, 1], 6, dtype=np.float32)
    for kind in (dict, jaxnet.FrozenDict):
        assert type(jaxnet.train(X, Y, kind(start), num_iterations=1).parameters) is kind


def test_sharpness_aware_steps_use_the_moved_point(x64):
    """Foret et al. 2021, eq. 2 and 3."""
    X, Y, start = problem([4, 3, 1], 6)
    rho = 0.05
    move = optax.chain(optax.contrib.normalize(), optax.sgd(rho))
    optimizer = optax.contrib.sam(optax.sgd(0.1), move, opaque_mode=True)

    def gradient(p):
        grads = course.backward(course.forward(X, p)[0], Y, course.forward(X, p)[1])
        return {name: grads[f"d{name}"] for name in p}

    g = gradient(start)
    norm = np.sqrt(sum(np.sum(value**2) for value in g.values()))
    moved = {name: value + rho / norm * g[name] for name, value in start.items()}
    want = {name: value - 0.1 * gradient(moved)[name] for name, value in start.items()}
    trained = jaxnet.train(X, Y, start, num_iterations=1, optimizer=optimizer)
    assert_close(dict(trained.parameters), want, 64)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.lbfgs(),
        optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(5)),
        optax.polyak_sgd(),
        optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
        optax.contrib.schedule_free_sgd(0.5, warmup_steps=1),
    ],
)
@pytest.mark.few(3)
def test_optimizers_that_look_at_the_cost_train(default_promotion, optimizer):
    X, Y, start = problem([4, 3, 1], 6, dtype=np.float32)
    trained = jaxnet.train(X, Y, start, num_iterations=30, optimizer=optimizer, chunk=30)
    assert trained.costs[-1] < 0.9 * trained.costs[0]


@pytest.mark.parametrize(
    "optimizer, message",
    [
        ("adam", "optimizer is 'adam'; expected one of optax, such as optax.adam"),
        (optax.adam, "optimizer is <function adam"),
        (None, "optimizer is None"),
        (
            optax.masked(optax.sgd(0.1), {"W1": True}),
            "cannot start from parameters W1, b1, W2, b2: .*; masks and labels",
        ),
        (optax.partition(RATES, {name: "other" for name in NAMES}), "cannot start from parameters W1, b1, W2, b2"),
        (optax.lookahead(optax.sgd(0.1), 5, 0.5), "optax.lookahead moves two sets of parameters"),
        (optax.chain(optax.lookahead(optax.sgd(0.1), 5, 0.5)), "optax.lookahead moves two sets of parameters"),
        (optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.1)), "pass opaque_mode=True"),
        (optax.contrib.differentially_private_aggregate(1.0, 1.0, 0), "fails on the gradient.*ValueError"),
    ],
)
def test_optimizers_that_cannot_train_say_why_before_any_step(optimizer, message, no_shape_checks):
    X, Y, start = problem([4, 3, 1], 6, dtype=np.float32)
    seen = []
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.train(X, Y, start, num_iterations=3, optimizer=optimizer, chunk=1, on_chunk=seen.append)
    assert seen == []


def test_a_state_of_another_optimizer_is_refused():
    X, Y, start = problem([4, 3, 1], 6, dtype=np.float32)
    for state in (optax.adam(0.1).init(start), optax.sgd(0.1, momentum=0.9).init({"W1": np.ones(3)})):
        with pytest.raises(jaxnet.InputError, match="opt_state is not a state of this optimizer"):
            jaxnet.train(X, Y, TrainState(start, state), num_iterations=3, optimizer=optax.sgd(0.1, momentum=0.9))


# ---- what the compiled step costs, beside the same step made with autodiff


def compiled_cost(step, layer_dims, m) -> tuple[float, int]:
    """FLOPs and bytes of temporary memory."""
    parameters = jax.eval_shape(
        lambda key: jaxnet.initialize_parameters_deep(layer_dims, key=key, dtype=np.float32), jax.random.key(0)
    )
    state = jax.eval_shape(partial(jaxnet.init_state, optimizer=optax.sgd(0.0075)), parameters)
    X, Y = (jax.ShapeDtypeStruct((n, m), np.float32) for n in (layer_dims[0], layer_dims[-1]))
    compiled = step.lower(X, Y, state).compile()
    return compiled.cost_analysis()["flops"], compiled.memory_analysis().temp_size_in_bytes


def autodiff_step(network):
    optimizer = optax.sgd(0.0075)

    def step(X, Y, state):
        parameters, opt_state, B, made = state
        J, gradient = jax.value_and_grad(lambda parameters: autodiff_cost(X, Y, parameters, network))(parameters)
        updates, opt_state = optimizer.update(gradient, opt_state, parameters)
        return TrainState(optax.apply_updates(parameters, updates), opt_state, B, made + 1), J

    return jax.jit(step, donate_argnums=2)


def unfolded_products(layer_dims) -> int:
    """A multiplication a parameter where this XLA does not make `c1 * (c2 * x)` one product, as newer ones do not:
    there the 1/m of a mean gradient and the learning rate stay two."""
    scaled = jax.jit(lambda x: 0.3 * (0.7 * x)).lower(jax.ShapeDtypeStruct((100,), np.float32)).compile()
    folds = scaled.cost_analysis()["flops"] <= 100
    return 0 if folds else sum((n_prev + 1) * n for n_prev, n in zip(layer_dims[:-1], layer_dims[1:], strict=True))


@pytest.mark.parametrize(
    "layer_dims, m, loss",
    [
        ((12288, 20, 7, 5, 1), 209, "binary_cross_entropy"),
        ((784, 512, 512, 10), 128, SOFTMAX),
        ((784, 128, 64, 10), 32, SOFTMAX),
        ((2048, 2048, 2048, 2048, 10), 512, SOFTMAX),
    ],
)
def test_a_step_costs_no_more_than_autodiffs(layer_dims, m, loss):
    network = Network(loss=loss)
    flops, memory = compiled_cost(jaxnet.make_update_step(network=network), layer_dims, m)
    autodiff_flops, autodiff_memory = compiled_cost(autodiff_step(network), layer_dims, m)
    assert flops <= autodiff_flops + unfolded_products(layer_dims)
    assert memory <= autodiff_memory


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.few(4)
def test_no_activation_or_loss_costs_more_than_autodiffs(hidden, loss):
    layer_dims, m, network = (64, 32, 32, 3), 20, Network(hidden, loss)
    flops, memory = compiled_cost(jaxnet.make_update_step(network=network), layer_dims, m)
    autodiff_flops, autodiff_memory = compiled_cost(autodiff_step(network), layer_dims, m)
    assert flops <= autodiff_flops + unfolded_products(layer_dims)
    assert memory <= autodiff_memory


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.few(1)
def test_data_wider_than_the_parameters_leaves_their_type(x64, default_promotion, name):
    X, Y, parameters = problem([4, 3, 1], 5)
    narrow = {key: np.asarray(value, np.float32) for key, value in parameters.items()}
    trained = jaxnet.train(X, Y, narrow, num_iterations=3, optimizer=OPTIMIZERS[name])
    assert all(value.dtype == np.float32 for value in trained.parameters.values())
    assert all(g.dtype == np.float32 for g in jax.grad(jaxnet.cost, argnums=2)(X, Y, narrow).values())
