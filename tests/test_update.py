import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Network
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
        ({"dW2": 0.5}, 0.1, r"dW2 has shape \(\); expected \(1, 4\)"),
        ({"dW2": None}, 0.1, "grads have the keys dW1, db1, db2; expected a dW2 among them"),
        ({}, np.full((1, 4), 0.1), r"learning_rate has shape \(1, 4\); expected one number"),
        ({}, [0.1], r"learning_rate is \[0.1\]; expected one number"),
    ],
)
def test_no_update_broadcasts(change, learning_rate, message, no_shape_checks):
    _, _, parameters = problem([5, 4, 1], 6)
    grads = {f"d{name}": value for name, value in parameters.items()} | change
    grads = {name: value for name, value in grads.items() if value is not None}
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.update_parameters(parameters, grads, learning_rate)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_three_steps_are_optax_applied_to_autodiff(x64, default_promotion, name):
    optimizer, network = OPTIMIZERS[name], Network("tanh", SOFTMAX)
    X, Y, start = problem([6, 5, 3], 8, SOFTMAX)
    step = jaxnet.make_update_step(optimizer, network)
    ours, theirs = (jax.tree.map(jnp.array, start) for _ in range(2))
    our_state, their_state = jax.tree.map(jnp.copy, optimizer.init(ours)), optimizer.init(theirs)
    optax_update = optax.with_extra_args_support(optimizer).update

    def cost(parameters):
        return autodiff_cost(X, Y, parameters, network)

    @jax.jit
    def their_step(theirs, their_state):
        want, gradient = jax.value_and_grad(cost)(theirs)
        updates, their_state = optax_update(gradient, their_state, theirs, value=want, grad=gradient, value_fn=cost)
        return optax.apply_updates(theirs, updates), their_state, want

    for _ in range(3):
        ours, our_state, J = step(ours, our_state, X, Y)
        theirs, their_state, want = their_step(theirs, their_state)
        np.testing.assert_allclose(J, want, rtol=1e-12)
    for key in theirs:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("container", [dict, jaxnet.FrozenDict])
@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_a_step_is_traced_once_and_keeps_the_kind_of_mapping(default_promotion, name, container):
    traces = []

    def counted(Z):
        traces.append(Z.shape)
        return jax.nn.relu(Z)

    network = Network(Activation(counted, ACTIVATIONS["relu"].backward))
    X, Y, parameters = problem([4, 3, 1], 5, dtype=np.float32)
    parameters = container(jax.tree.map(jnp.array, parameters))
    opt_state = OPTIMIZERS[name].init(parameters)
    step = jaxnet.make_update_step(OPTIMIZERS[name], network)
    for _ in range(3):
        parameters, opt_state, _ = step(parameters, opt_state, X, Y)
    assert traces == [(3, 5)] and type(parameters) is container


def test_parameters_and_state_are_donated_and_data_are_not(default_promotion):
    X, Y, parameters = (jax.tree.map(jnp.array, part) for part in problem([4, 3, 1], 5, dtype=np.float32))
    optimizer = OPTIMIZERS["nesterov"]
    opt_state = optimizer.init(parameters)
    jaxnet.make_update_step(optimizer)(parameters, opt_state, X, Y)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves((parameters, opt_state)))
    assert not X.is_deleted() and not Y.is_deleted()


# ---- what the compiled step costs, beside the same step made with autodiff


def compiled_cost(step, layer_dims, m) -> tuple[float, int]:
    """FLOPs and bytes of temporary memory."""
    parameters = jax.eval_shape(
        lambda key: jaxnet.initialize_parameters_deep(layer_dims, key=key, dtype=np.float32), jax.random.key(0)
    )
    opt_state = jax.eval_shape(optax.sgd(0.0075).init, parameters)
    X, Y = (jax.ShapeDtypeStruct((n, m), np.float32) for n in (layer_dims[0], layer_dims[-1]))
    compiled = step.lower(parameters, opt_state, X, Y).compile()
    return compiled.cost_analysis()["flops"], compiled.memory_analysis().temp_size_in_bytes


def autodiff_step(network):
    optimizer = optax.sgd(0.0075)

    def step(parameters, opt_state, X, Y):
        J, gradient = jax.value_and_grad(lambda parameters: autodiff_cost(X, Y, parameters, network))(parameters)
        updates, opt_state = optimizer.update(gradient, opt_state, parameters)
        return optax.apply_updates(parameters, updates), opt_state, J

    return jax.jit(step, donate_argnums=(0, 1))


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
def test_no_activation_or_loss_costs_more_than_autodiffs(hidden, loss):
    layer_dims, m, network = (64, 32, 32, 3), 20, Network(hidden, loss)
    flops, memory = compiled_cost(jaxnet.make_update_step(network=network), layer_dims, m)
    autodiff_flops, autodiff_memory = compiled_cost(autodiff_step(network), layer_dims, m)
    assert flops <= autodiff_flops + unfolded_products(layer_dims)
    assert memory <= autodiff_memory


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_data_wider_than_the_parameters_leaves_their_type(x64, default_promotion, name):
    X, Y, parameters = problem([4, 3, 1], 5)
    narrow = {key: np.asarray(value, np.float32) for key, value in parameters.items()}
    trained = jaxnet.train(X, Y, narrow, num_iterations=3, optimizer=OPTIMIZERS[name])
    assert all(value.dtype == np.float32 for value in trained.parameters.values())
    assert all(g.dtype == np.float32 for g in jax.grad(jaxnet.cost, argnums=2)(X, Y, narrow).values())
