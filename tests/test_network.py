import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jaxnet
from jaxnet import Network
from jaxnet.activations import ACTIVATIONS
from jaxnet.losses import LOSSES
from jaxnet.parameters import FrozenDict

from . import course_numpy as course
from .drawn import assert_close, assert_same, autodiff_cost, compiled, copies, problem


BCE, SOFTMAX, SQUARED = LOSSES
DEPTHS = pytest.mark.parametrize(
    "dims, m", [([6, 1], 5), ([4, 3, 1], 1), ([12, 7, 5, 1], 30), ([9, 8, 7, 6, 5, 4, 3, 2, 1], 17), ([5, 6, 3], 8)]
)
EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES)
BOTH_DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

SMALL = [4, 3, 2]  # the layers of every test that needs no others: equal shapes are compiled once
forward, backward = compiled(jaxnet.L_model_forward), compiled(jaxnet.L_model_backward)
cost_and_grads = compiled(jaxnet.cost_and_grads)


# ---- the course's network, from NumPy arrays in plain dicts, against its arithmetic in NumPy


@DEPTHS
def test_forward_and_cost_are_the_courses(x64, dims, m):
    X, Y, parameters = problem(dims, m)
    AL, caches = forward(X, parameters)
    AL_course, caches_course = course.forward(X, parameters)
    assert_close(AL, AL_course, 100)
    assert_close(jaxnet.compute_cost(AL, Y), np.array(course.cost(AL_course, Y)), 100)
    for ((A_prev, W, b), Z), cache in zip(caches, caches_course, strict=True):
        assert_close(((A_prev, W, b), Z), cache, 100)


@DEPTHS
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_backward_from_the_courses_caches_is_the_courses(x64, dims, m, soft):
    X, Y, parameters = problem(dims, m, soft=soft)
    AL, caches = course.forward(X, parameters)
    assert_close(backward(AL, Y, caches), course.backward(AL, Y, caches), 1000)


@DEPTHS
def test_backward_from_another_AL_is_the_courses_chain(x64, dims, m):
    X, Y, parameters = problem(dims, m)
    AL = np.random.default_rng(1).random(Y.shape)
    _, caches = course.forward(X, parameters)
    assert_close(backward(AL, Y, caches), course.backward(AL, Y, caches), 1000)


def test_backward_from_saturated_logits_is_AL_minus_Y(x64):
    """Where the course's own chain is 0/0 or 0 times infinity."""
    X, Y = np.array([[1000.0, 1000.0, -1000.0, -1000.0]]), np.array([[0.0, 1.0, 0.0, 1.0]])
    AL, caches = forward(X, {"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))})
    grads = backward(AL, Y, caches)
    assert grads["dA0"].tolist() == [[1, 0, 0, -1]]
    assert grads["db1"].item() == 0 and grads["dW1"].item() == 500


@pytest.mark.parametrize("loss", [BCE, SOFTMAX])
@BOTH_DTYPES
def test_backward_from_an_AL_that_is_wrongly_0_or_1_has_no_nan(x64, loss, dtype):
    """The signal is as large as the type lets it be while sums of several, of both signs, stay finite below."""
    network = Network("tanh", loss)
    X, _, parameters = problem([4, 3, 2], 6, dtype=dtype)
    _, caches = forward(X, parameters, network)
    AL = np.array([[0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0]], dtype)
    grads = backward(AL, 1 - AL, caches, network)
    assert np.max(np.abs(grads["dW2"])) > 1e17
    assert all(np.isfinite(value).all() for value in grads.values())


@pytest.mark.parametrize(
    "AL, Y, cost",
    [
        ([[1.0, 0.0]], [[1.0, 0.0]], 0),
        ([[1.0, 0.0]], [[0.0, 0.0]], np.inf),
        ([[0.5, 0.0]], [[0.5, 1.0]], np.inf),
        ([[0.5, 0.5]], [[0.0, 1.0]], np.log(2)),
        ([[0.8, 0.9, 0.4]], [[1, 1, 0]], 0.2797765635793422),
    ],
)
@BOTH_DTYPES
def test_cost_of_outputs_of_exactly_0_and_1_is_0_or_infinite(x64, AL, Y, cost, dtype):
    J = jaxnet.compute_cost(np.array(AL, dtype), np.array(Y))
    assert J.shape == () and J.dtype == dtype
    np.testing.assert_allclose(J, cost, rtol=1e-6)


# ---- grads and caches


@pytest.mark.parametrize("dims", [[3, 2], [3, 4, 2], [2] * 12])
def test_grads_have_the_courses_keys_and_shapes(dims):
    X, Y, parameters = problem(dims, 5, SOFTMAX)
    AL, caches = forward(X, parameters, Network(loss=SOFTMAX))
    grads = backward(AL, Y, caches, Network(loss=SOFTMAX))
    L = len(dims) - 1
    keys = [name for l in range(1, L) for name in (f"dA{l}", f"dW{l}", f"db{l}")]
    assert list(grads) == ["dA0", *keys, f"dW{L}", f"db{L}"]
    assert isinstance(grads, FrozenDict)
    assert {name: grads["d" + name].shape for name in parameters} == {n: p.shape for n, p in parameters.items()}
    assert [grads[f"dA{l}"].shape for l in range(L)] == [(n, 5) for n in dims[:-1]]


def test_a_single_layer_is_logistic_regression(x64):
    X, Y, parameters = problem([4, 1], 9)
    J, grads = cost_and_grads(X, Y, parameters)
    P = 1 / (1 + np.exp(-(parameters["W1"] @ X + parameters["b1"])))
    expected = {"dA0": parameters["W1"].T @ (P - Y), "dW1": (P - Y) @ X.T / 9, "db1": np.mean(P - Y, keepdims=True)}
    assert_close(grads, expected, 32)
    assert_close(J, np.mean(-Y * np.log(P) - (1 - Y) * np.log(1 - P)), 32)


@EVERY_LOSS
def test_cost_and_grads_are_those_of_the_course_functions(x64, loss):
    network = Network("tanh", loss)
    X, Y, parameters = problem(SMALL, 6, loss, soft=True)
    AL, caches = forward(X, parameters, network)
    J, grads = cost_and_grads(X, Y, parameters, network)
    assert_close(J, jaxnet.compute_cost(AL, Y, network), 64)
    assert_close(grads, backward(AL, Y, caches, network), 64)


@EVERY_LOSS
def test_dA0_is_m_times_the_derivative_in_X(x64, loss):
    network = Network("gelu", loss)
    X, Y, parameters = problem(SMALL, 6, loss)
    _, grads = cost_and_grads(X, Y, parameters, network)
    by_autodiff = jax.jit(jax.grad(autodiff_cost), static_argnums=3)(X, Y, parameters, network)
    assert_close(grads["dA0"], 6 * by_autodiff, 64)
    assert_close(
        grads["dA0"], 6 * jax.jit(jax.grad(jaxnet.cost), static_argnums=3)(jnp.asarray(X), Y, parameters, network), 8
    )


@EVERY_LOSS
@pytest.mark.few(1)
def test_grads_of_a_batch_are_means_over_its_pieces(x64, loss):
    network = Network("silu", loss)
    X, Y, parameters = problem(SMALL, 6, loss)
    pieces = [slice(0, 3), slice(3, 4), slice(4, 6)]
    J, grads = cost_and_grads(X, Y, parameters, network)
    Js, parts = zip(*(cost_and_grads(X[:, s], Y[:, s], parameters, network) for s in pieces), strict=True)
    means = {
        name: sum(w * part[name] for w, part in zip((3 / 6, 1 / 6, 2 / 6), parts, strict=True))
        for name in grads
        if name[1] != "A"
    }
    columns = {name: np.concatenate([part[name] for part in parts], axis=1) for name in ("dA0", "dA1")}
    assert_close(J, (3 * Js[0] + Js[1] + 2 * Js[2]) / 6, 32)
    assert_close(grads, means | columns, 32)


def test_hidden_units_may_change_places(x64):
    """A symmetry of the network: nothing outside of the layer notices."""
    X, Y, parameters = problem([5, 4, 1], 6)
    order = [2, 0, 3, 1]
    moved = parameters | {
        "W1": parameters["W1"][order],
        "b1": parameters["b1"][order],
        "W2": parameters["W2"][:, order],
    }
    J, grads = cost_and_grads(X, Y, parameters)
    J_moved, grads_moved = cost_and_grads(X, Y, moved)
    rows = {name: grads[name][jnp.array(order)] for name in ("dW1", "db1", "dA1")}
    assert_close(J_moved, J, 32)
    assert_close(grads_moved, grads | rows | {"dW2": grads["dW2"][:, jnp.array(order)]}, 32)


def test_backpropagate_is_the_transpose_from_any_cotangent(x64):
    network = Network("elu")
    X, _, parameters = problem([5, 4, 3, 2], 6)
    _, caches = forward(X, parameters, network)
    seed = np.random.default_rng(1).normal(size=(2, 6))

    def logits(X, parameters):
        return forward(X, parameters, network)[1][-1].Z

    dX, dparameters = jax.jit(lambda *primals: jax.vjp(logits, *primals)[1](jnp.asarray(seed)))(X, parameters)
    grads = compiled(jaxnet.backpropagate)(jnp.asarray(seed), caches, network)
    assert_close(grads["dA0"], dX, 64)
    assert_close(jaxnet.parameter_grads(grads, parameters), {name: d / 6 for name, d in dparameters.items()}, 64)


@pytest.mark.parametrize("mapping", [dict, FrozenDict])
def test_parameter_grads_have_the_parameters_structure(mapping):
    X, Y, parameters = problem([2] * 12, 3, SQUARED)
    parameters = mapping(parameters)
    _, grads = cost_and_grads(X, Y, parameters, Network(loss=SQUARED))
    projected = jaxnet.parameter_grads(grads, parameters)
    assert jax.tree.structure(projected) == jax.tree.structure(parameters)
    assert all(projected[name] is grads[f"d{name}"] for name in parameters)


# ---- `cost`, which JAX differentiates through the hand-written backward


@pytest.mark.parametrize(
    "hidden, loss",
    [
        ("sigmoid", BCE),
        ("tanh", SOFTMAX),
        ("gelu", SQUARED),
        ("silu", BCE),
        ("softplus", SOFTMAX),
        ("identity", SQUARED),
    ],
)
@pytest.mark.few(3)
def test_finite_differences_agree_with_the_rule(x64, hidden, loss):
    """With respect to X, Y and the parameters, along a random direction, where the activation is smooth."""
    network = Network(hidden, loss)
    X, Y, parameters = problem(SMALL, 6, loss, soft=True)
    arguments = jax.tree.map(jnp.asarray, (X, Y, FrozenDict(parameters)))
    check_grads(jax.jit(lambda *arguments: jaxnet.cost(*arguments, network)), arguments, order=1, modes=["rev"])


@EVERY_LOSS
@pytest.mark.parametrize("mapping", [dict, FrozenDict])
@pytest.mark.few(3)
def test_derivatives_of_cost_are_the_grads(x64, loss, mapping):
    network = Network("relu", loss)
    X, Y, parameters = problem(SMALL, 6, loss)
    parameters = mapping(parameters)
    differentiate = jax.jit(jax.value_and_grad(lambda p, factor: factor * jaxnet.cost(X, Y, p, network)))
    J, gradient = differentiate(parameters, -3.0)
    expected_J, grads = cost_and_grads(X, Y, parameters, network)
    assert_close(J, -3 * expected_J, 16)
    assert_close(dict(gradient), {name: -3 * grads[f"d{name}"] for name in parameters}, 16)
    assert jax.tree.structure(gradient) == jax.tree.structure(parameters)


@EVERY_LOSS
def test_the_derivative_of_cost_in_Y_is_autodiffs(x64, loss):
    network = Network("relu", loss)
    X, Y, parameters = problem(SMALL, 6, loss, soft=True)
    reference = jax.jit(jax.grad(autodiff_cost, argnums=1), static_argnums=3)(X, jnp.asarray(Y), parameters, network)
    assert_close(
        jax.jit(jax.grad(jaxnet.cost, argnums=1), static_argnums=3)(X, jnp.asarray(Y), parameters, network),
        reference,
        16,
    )


@EVERY_LOSS
@BOTH_DTYPES
def test_saturated_networks_have_finite_costs_and_gradients(x64, loss, dtype):
    network = Network("relu", loss)
    X, Y, parameters = problem(SMALL, 6, loss, scale=1000, dtype=dtype)
    differentiate = jax.jit(jax.value_and_grad(jaxnet.cost, argnums=(0, 1, 2)), static_argnums=3)
    J, gradient = differentiate(X, Y, parameters, network)
    _, caches = forward(X, parameters, network)
    assert np.max(np.abs(caches[-1].Z)) > 1000
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((J, gradient)))


# ---- arrays as they come


@EVERY_LOSS
@BOTH_DTYPES
@pytest.mark.parametrize("dims", [[3, 2], [3, 4, 2]])
def test_dtypes_are_kept_from_end_to_end(x64, dims, dtype, loss):
    network = Network("softplus", loss)
    X, Y, parameters = problem(dims, 5, loss, dtype=dtype)

    def everything(X, Y, parameters):
        AL, caches = jaxnet.L_model_forward(X, parameters, network)
        grads = jaxnet.L_model_backward(AL, Y, caches, network)
        by_jax = jax.value_and_grad(jaxnet.cost, argnums=(0, 1, 2))(X, Y, parameters, network)
        costs = jaxnet.compute_cost(AL, Y, network), jaxnet.cost_and_grads(X, Y, parameters, network)
        return AL, caches, grads, costs, by_jax, jaxnet.update_parameters(parameters, grads, 0.1)

    assert {leaf.dtype for leaf in jax.tree.leaves(jax.eval_shape(everything, X, Y, parameters))} == {np.dtype(dtype)}


def test_arguments_are_not_touched():
    X, Y, parameters = problem([3, 2, 1], 4)
    AL, caches = course.forward(X, parameters)
    grads = course.backward(AL, Y, caches)
    arguments = (X, Y, parameters, AL, caches, grads)
    before = copies(arguments)
    jaxnet.L_model_forward(X, parameters)
    jaxnet.compute_cost(AL, Y)
    jaxnet.L_model_backward(AL, Y, caches)
    jaxnet.backpropagate(jnp.asarray(AL - Y), caches)
    jaxnet.parameter_grads(grads, parameters)
    jaxnet.cost_and_grads(X, Y, parameters)
    jax.grad(jaxnet.cost, argnums=2)(X, Y, parameters)
    jaxnet.predict(X, parameters)
    assert_same(arguments, before)


@pytest.mark.parametrize("dtype", [bool, np.uint8, int, np.float32])
@pytest.mark.parametrize("shape", [(1, 4), (4,), (4, 1)])
def test_labels_of_one_output_may_be_flat_of_any_dtype(shape, dtype):
    X, _, parameters = problem([3, 2, 1], 4)
    Y = np.array([[1, 0, 0, 1]])
    reference = jaxnet.cost_and_grads(X, Y.astype(float), parameters)
    assert_same(jaxnet.cost_and_grads(X, Y.astype(dtype).reshape(shape), parameters), reference)


@pytest.mark.parametrize(
    "shape, n_L, hint",
    [
        ((5,), 1, ", one column per example$"),
        ((4, 2), 2, "examples are columns: pass Y.T"),
        ((4,), 2, r"for class indices pass jax.nn.one_hot\(Y.ravel\(\), 2\).T"),
        ((1, 4), 3, r"for class indices pass jax.nn.one_hot\(Y.ravel\(\), 3\).T"),
        ((4, 1), 3, r"for class indices pass jax.nn.one_hot\(Y.ravel\(\), 3\).T"),
        ((), 1, ", one column per example$"),
    ],
)
def test_labels_of_another_shape_are_told_what_to_do(shape, n_L, hint):
    """Reshaping them would mix the examples."""
    X, _, parameters = problem([3, n_L], 4)
    AL, caches = course.forward(X, parameters)
    Y = np.zeros(shape)
    for call in (
        lambda: jaxnet.compute_cost(AL, Y),
        lambda: jaxnet.L_model_backward(AL, Y, caches),
        lambda: jaxnet.cost_and_grads(X, Y, parameters),
        lambda: jaxnet.cost(X, Y, parameters),
    ):
        with pytest.raises(jaxnet.InputError, match=hint) as error:
            call()
        assert str(error.value).startswith(f"Y has shape {shape}; expected {(n_L, 4)}")


@pytest.mark.parametrize(
    "X, message",
    [
        (np.ones((4, 3)), r"X has shape \(4, 3\), but W1 takes 3 inputs; expected \(3, m\); .* pass X.T"),
        (np.ones((5, 4)), r"layer 1: X has shape \(5, 4\), but W1 takes 3 inputs; expected \(3, m\)$"),
        (np.ones(3), r"layer 1: X has shape \(3,\)"),
        (np.ones((3, 4), int), "X is int.*; expected floats: for images of 0 to 255 pass X / 255"),
    ],
)
def test_inputs_that_do_not_fit_are_told_everywhere(X, message, no_shape_checks):
    _, Y, parameters = problem([3, 2, 1], 4)
    for call in (
        lambda: jaxnet.L_model_forward(X, parameters),
        lambda: jaxnet.predict(X, parameters),
        lambda: jaxnet.cost_and_grads(X, Y, parameters),
        lambda: jaxnet.cost(X, Y, parameters),
    ):
        with pytest.raises(jaxnet.InputError, match=message):
            call()


@pytest.mark.parametrize("l, entry, shape", [(1, "Z", (1, 4)), (1, "Z", (3, 1)), (2, "A", (1, 4)), (2, "W", (1, 2))])
def test_caches_that_would_broadcast_are_told_with_their_layer(l, entry, shape, no_shape_checks):
    X, Y, parameters = problem([2, 3, 1], 4)
    AL, caches = course.forward(X, parameters)
    (A, W, b), Z = caches[l - 1]
    arrays = {"A": A, "W": W, "Z": Z} | {entry: np.ones(shape)}
    caches[l - 1] = (arrays["A"], arrays["W"], b), arrays["Z"]
    for call in (
        lambda: jaxnet.L_model_backward(AL, Y, caches),
        lambda: jaxnet.backpropagate(jnp.asarray(AL - Y), caches),
        lambda: jax.eval_shape(jaxnet.L_model_backward, AL, Y, caches),
    ):
        with pytest.raises(
            jaxnet.InputError, match=rf"layer {l}: the cache holds .*\({shape[0]}, {shape[1]}\).*; expected"
        ):
            call()


def test_an_AL_of_another_shape_than_the_last_cache_is_told():
    X, Y, parameters = problem([3, 2], 4)
    AL, caches = course.forward(X, parameters)
    with pytest.raises(jaxnet.InputError, match=r"AL has shape \(1, 4\), .* ZL of shape \(2, 4\)"):
        jaxnet.L_model_backward(AL[:1], Y, caches)


# ---- predictions and networks


@pytest.mark.parametrize(
    "loss, labels", [(BCE, [[0, 1, 1], [0, 0, 1]]), (SOFTMAX, [[1, 0, 1]]), (SQUARED, [[-2, 3, 1], [-1, -1, 2]])]
)
def test_predictions(loss, labels):
    X = np.array([[-2.0, 3.0, 1.0], [-1.0, -1.0, 2.0]])
    predicted = jaxnet.predict(X, {"W1": np.eye(2), "b1": np.zeros((2, 1))}, Network(loss=loss))
    assert predicted.tolist() == labels


def test_the_default_network_is_the_courses():
    assert Network() == Network("relu", BCE) == Network(ACTIVATIONS["relu"], LOSSES[BCE])
    assert hash(Network()) == hash(Network("relu", BCE))
    assert Network("tanh") != Network("relu") != Network("relu", SOFTMAX)


@pytest.mark.parametrize("arguments", [("rleu",), ("relu", "bce")])
def test_unknown_names_raise(arguments):
    with pytest.raises(jaxnet.InputError, match="expected"):
        Network(*arguments)


def test_functions_of_ones_own_make_a_network(x64):
    sine = jaxnet.Activation(jnp.sin, lambda dA, Z: dA * jnp.cos(Z))
    network = Network(sine, LOSSES[SQUARED])
    X, Y, parameters = problem(SMALL, 6, SQUARED)
    _, grads = cost_and_grads(X, Y, parameters, network)
    gradient = jax.jit(jax.grad(autodiff_cost, argnums=2), static_argnums=3)(X, Y, parameters, network)
    assert_close(jaxnet.parameter_grads(grads, parameters), gradient, 64)


def test_compiled_and_mapped_it_is_the_same(x64):
    X, Y, parameters = problem([3, 2, 1], 4)
    J, grads = jaxnet.cost_and_grads(X, Y, parameters)
    assert_close(cost_and_grads(X, Y, parameters), (J, grads), 64)
    by_example = jax.jit(jax.vmap(lambda x, y: jaxnet.cost_and_grads(x[:, None], y[:, None], parameters), (1, 1)))
    Js, per_example = by_example(X, Y)
    assert_close(jnp.mean(Js), J, 64)
    assert_close(per_example["dA0"][:, :, 0].T, grads["dA0"], 64)
