"""Each rule against its paper's equation, written out in NumPy; and backpropagation where its feedback is W^T."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import InputError, feedback

from .drawn import assert_close, assert_same, compiled, problem


DEEP, SHALLOW = (6, 5, 4, 3), (6, 5, 3)
KEY = 5
DIRECT = {"direct_feedback_alignment", "direct_random_target"}
LAYERED = sorted(set(feedback.RULES) - DIRECT - {"backprop"})


def case(rule, dims=DEEP, hidden="tanh", m=7, seed=0):
    network = jaxnet.Network(hidden, "binary_cross_entropy", rule)
    X, Y, parameters = problem(dims, m, seed=seed)
    B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(KEY))
    return X, Y, parameters, network, B


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def numpy_backward(X, Y, parameters, error):
    """dW_l, db_l of a tanh network under ten sigmoids whose layer l hears error(l, dZ_{l+1}, dZL) before its tanh'."""
    L, m = len(parameters) // 2, X.shape[1]
    A = [X]
    for l in range(1, L + 1):
        Z = parameters[f"W{l}"] @ A[-1] + parameters[f"b{l}"]
        A.append(np.tanh(Z) if l < L else sigmoid(Z))
    dZL = dZ = A[L] - Y
    grads = {}
    for l in range(L, 0, -1):
        grads[f"dW{l}"], grads[f"db{l}"] = dZ @ A[l - 1].T / m, dZ.mean(axis=1, keepdims=True)
        if l > 1:
            dZ = error(l - 1, dZ, dZL) * (1 - A[l - 1] ** 2)
    return grads


def equation(name, parameters, B, Y):
    """What layer l hears, as the paper has it."""
    if name == "backprop":
        return lambda l, dZ, dZL: parameters[f"W{l + 1}"].T @ dZ
    if name == "direct_feedback_alignment":
        return lambda l, dZ, dZL: B[f"B{l + 1}"] @ dZL
    if name == "direct_random_target":
        return lambda l, dZ, dZL: B[f"B{l + 1}"] @ Y
    if name.endswith("sign"):
        return lambda l, dZ, dZL: (np.abs(B[f"B{l + 1}"]) * np.sign(parameters[f"W{l + 1}"].T)) @ dZ
    return lambda l, dZ, dZL: B[f"B{l + 1}"] @ dZ


def weights_of(grads):
    return {name: value for name, value in grads.items() if name[:2] in ("dW", "db")}


@pytest.mark.parametrize("name", feedback.RULES)
def test_a_rule_is_the_equation_of_its_paper(name, x64):
    X, Y, parameters, network, B = case(name)
    wanted = numpy_backward(X, Y, parameters, equation(name, parameters, jax.tree.map(np.asarray, dict(B)), Y))
    _, grads = compiled(jaxnet.cost_and_grads)(X, Y, parameters, network=network, B=B)
    assert_close(weights_of(grads), wanted, 200)
    AL, caches = jaxnet.L_model_forward(X, parameters, network)
    assert_close(weights_of(jaxnet.L_model_backward(AL, Y, caches, network, B=B)), wanted, 200)


@pytest.mark.parametrize("name", ["backprop", *LAYERED])
@pytest.mark.parametrize("dims", [(6, 3), SHALLOW, (6, 5, 4, 5, 3)])
def test_with_W_transposed_a_rule_is_backpropagation(name, dims, x64):
    X, Y, parameters, network, _ = case(name, dims)
    run = compiled(jaxnet.cost_and_grads)
    _, grads = run(X, Y, parameters, network=network, B=network.feedback.transport(parameters))
    assert_close(grads, run(X, Y, parameters, network=network.by_backprop)[1], 50)


@pytest.mark.parametrize("dims, hidden", [(SHALLOW, "tanh"), ((6, 5, 4, 5, 3), "identity")])
def test_with_the_product_of_all_W_above_a_direct_rule_is_backpropagation(dims, hidden, x64):
    """Past one hidden layer, or past any number of layers without activations."""
    X, Y, parameters, network, _ = case("direct_feedback_alignment", dims, hidden)
    run = compiled(jaxnet.cost_and_grads)
    _, grads = run(X, Y, parameters, network=network, B=network.feedback.transport(parameters))
    assert_close(grads, run(X, Y, parameters, network=network.by_backprop)[1], 50)


def test_a_target_is_never_the_error():
    assert feedback.direct_random_target().transport is None


def test_with_one_hidden_layer_direct_feedback_is_feedback_alignment(x64):
    X, Y, parameters, network, B = case("feedback_alignment", SHALLOW)
    direct = network._replace(feedback=feedback.direct_feedback_alignment())
    assert_same(jaxnet.initialize_feedback(parameters, direct, key=jax.random.key(KEY)), B)
    given = {"num_iterations": 20, "B": B, "optimizer": optax.sgd(0.5)}
    ends = [jaxnet.train(X, Y, parameters, network=each, **given) for each in (network, direct)]
    assert_close(ends[0].parameters, ends[1].parameters, 50)
    assert ends[0].costs[-1] < ends[0].costs[0]


def stepped(parameters, network, B, steps=4):
    """Parameters and B after every one of some steps that random numbers stand for."""
    random = np.random.default_rng(1)
    for i in range(steps):
        new = {name: value + 0.3 * random.normal(size=value.shape) for name, value in parameters.items()}
        B = jaxnet.update_feedback(B, parameters, new, network, key=jax.random.key(i))
        yield parameters, new, B
        parameters = new


@pytest.mark.parametrize("name", ["backprop", "feedback_alignment", *sorted(DIRECT)])
def test_fixed_feedback_stays(name, x64):
    _, _, parameters, network, B = case(name)
    for _, _, after in stepped(parameters, network, B):
        assert_same(after, B)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_kolen_pollack_changes_B_as_W_changes(decay, x64):
    """Eqs. 16 and 17 of the paper: both take the same step, and both decay. So their difference decays too."""
    X, Y, parameters, network, B = case(feedback.kolen_pollack(decay))
    rate = 0.5
    for _ in range(3):
        AL, caches = jaxnet.L_model_forward(X, parameters, network)
        grads = jaxnet.L_model_backward(AL, Y, caches, network, B=B)
        new = {
            name: (1 - decay if name[0] == "W" else 1) * value - rate * np.asarray(grads["d" + name])
            for name, value in parameters.items()
        }
        wanted = {f"B{l}": (1 - decay) * B[f"B{l}"] - rate * grads[f"dW{l}"].T for l in (2, 3)}
        gap = {f"B{l}": (1 - decay) * (B[f"B{l}"] - parameters[f"W{l}"].T) for l in (2, 3)}
        B, parameters = jaxnet.update_feedback(B, parameters, new, network), new
        assert_close(dict(B), wanted, 20)
        assert_close({f"B{l}": B[f"B{l}"] - parameters[f"W{l}"].T for l in (2, 3)}, gap, 20)


def test_a_weight_mirror_hears_the_layer(x64):
    """Eq. 7 of the paper, with the noise that JAX draws from the layer's key; the output layer has its sigmoid."""
    rule = feedback.weight_mirror(rate=0.2, amplitude=0.4, examples=9, decay=0.1, warm_up=0)
    _, _, parameters, network, B = case(rule)
    for i, (_, new, after) in enumerate(stepped(parameters, network, B)):
        for l, g in ((2, np.tanh), (3, sigmoid)):
            W, key = new[f"W{l}"], jax.random.fold_in(jax.random.key(i), l)
            noise = 0.4 * (np.asarray(jax.random.uniform(key, (W.shape[1], 9), jnp.float64)) - 0.5)
            wanted = 0.9 * B[f"B{l}"] + 0.2 * noise @ g(W @ noise + new[f"b{l}"]).T
            assert_close({"B": after[f"B{l}"]}, {"B": wanted}, 100)
        B = after


def test_a_weight_mirror_turns_towards_W(x64):
    """Where no unit saturates: E[Xi (W Xi)^T] is W^T times the variance of the noise."""
    rules = [feedback.weight_mirror(rate=0.1, amplitude=1.0, warm_up=n) for n in (0, 20, 500)]
    parameters = problem((6, 5, 4, 3), 1)[2]
    angles = []
    for rule in rules:
        B = jaxnet.initialize_feedback(
            parameters, jaxnet.Network("identity", "squared_error", rule), key=jax.random.key(0)
        )
        angles.append([float(jaxnet.angle(B[f"B{l}"], parameters[f"W{l}"].T)) for l in (2, 3)])
    assert (np.diff(angles, axis=0) < 0).all() and max(angles[-1]) < 10 < 40 < min(angles[0])


@pytest.mark.parametrize("name", ["uniform_sign", "fixed_random_sign", "batch_random_sign"])
def test_signs_are_those_of_W_after_every_step(name, x64):
    _, _, parameters, network, first = case(name)
    before = first
    for _, new, B in stepped(parameters, network, first):
        for l in (2, 3):
            magnitude = np.abs(B[f"B{l}"])
            assert (np.sign(B[f"B{l}"]) == np.sign(new[f"W{l}"].T)).all() and (magnitude > 0).all()
            kept = (magnitude == np.abs(before[f"B{l}"])).all()
            assert kept == (name != "batch_random_sign")
            if name == "uniform_sign":
                assert_close({"c": magnitude}, {"c": np.full_like(magnitude, new[f"W{l}"].shape[1] ** -0.5)}, 1)
        before = B


def test_weights_of_zero_do_not_end_sign_symmetric_feedback(x64):
    parameters = jax.tree.map(lambda value: np.copysign(np.zeros_like(value), -1.0), problem(DEEP, 1)[2])
    network = jaxnet.Network("tanh", feedback="fixed_random_sign")
    B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(0))
    assert all((B[f"B{l}"] > 0).all() for l in (2, 3))


@pytest.mark.parametrize("name", [*LAYERED, *sorted(DIRECT)])
def test_feedback_is_drawn_in_the_shapes_and_sizes_of_its_place(name):
    dims = (30, 200, 300, 10)
    parameters = jaxnet.initialize_parameters_deep(dims, key=jax.random.key(0))
    B = jaxnet.initialize_feedback(parameters, jaxnet.Network("tanh", feedback=name), key=jax.random.key(1))
    shapes = {"B2": (200, 10), "B3": (300, 10)} if name in DIRECT else {"B2": (200, 300), "B3": (300, 10)}
    assert {key: value.shape for key, value in B.items()} == shapes
    for value in B.values():
        assert value.dtype == jnp.float32
        warmed_up = 0.2 if name == "weight_mirror" else 0.05  # with some of W in it
        assert float(jnp.sqrt(jnp.mean(value**2)) * len(value) ** 0.5) == pytest.approx(1, abs=warmed_up)


@pytest.mark.parametrize("name", feedback.RULES)
def test_W1_is_crossed_by_no_rule(name, x64):
    """dA0 is W_1^T dZ_1; and a network of one layer learns as by backpropagation, but for needing no feedback."""
    X, Y, parameters, network, B = case(name)
    AL, caches = jaxnet.L_model_forward(X, parameters, network)
    signals = jaxnet.network.backward_signals(jnp.asarray(AL - Y), caches, network, B=B, Y=Y)
    assert_close({"dA0": signals.dA[0]}, {"dA0": parameters["W1"].T @ signals.dZ[0]}, 20)
    X, Y, parameters, network, B = case(name, (6, 3))
    assert dict(B) == {}
    _, grads = jaxnet.cost_and_grads(X, Y, parameters, network, B=B)
    assert_same(grads, jaxnet.cost_and_grads(X, Y, parameters, network.by_backprop)[1])


def test_backpropagation_is_known_by_what_it_is(x64):
    X, Y, parameters, network, _ = case("backprop")
    assert network == jaxnet.Network("tanh", feedback=feedback.backprop._replace())
    _, grads = jaxnet.cost_and_grads(X, Y, parameters, copy.deepcopy(network))
    assert_same(grads, jaxnet.cost_and_grads(X, Y, parameters, network)[1])


def test_the_cost_stays_a_function_with_its_own_derivative(x64):
    X, Y, parameters, network, _ = case("feedback_alignment")
    parameters = jaxnet.FrozenDict(parameters)
    by_autodiff = jax.grad(jaxnet.cost, argnums=2)(X, Y, parameters, network)
    _, grads = jaxnet.cost_and_grads(X, Y, parameters, network.by_backprop)
    assert_close(by_autodiff, jaxnet.parameter_grads(grads, parameters), 5)
    V = parameters
    products = [
        jaxnet.readouts.hessian_vector_product(X, Y, parameters, V, each) for each in (network, network.by_backprop)
    ]
    assert_same(*products)


def cost_of_compiled(network, B):
    X, Y, parameters = problem((40, 64, 64, 10), 32, dtype=np.float32)
    function = jax.jit(lambda X, Y, parameters, B: jaxnet.cost_and_grads(X, Y, parameters, network, B=B)[1]["dW1"])
    program = function.lower(X, Y, jaxnet.FrozenDict(parameters), B(parameters, network)).compile()
    return program.cost_analysis()["flops"]


def test_a_rule_costs_the_products_that_it_makes():
    """Two transposed products under backpropagation and feedback alignment; direct ones are as narrow as the output."""

    def drawn(parameters, network):
        return jaxnet.initialize_feedback(parameters, network, key=jax.random.key(0))

    flops = {
        name: cost_of_compiled(jaxnet.Network("tanh", feedback=name), drawn)
        for name in ("backprop", "feedback_alignment", "direct_feedback_alignment")
    }
    assert flops["feedback_alignment"] == flops["backprop"]
    assert flops["backprop"] - flops["direct_feedback_alignment"] > 0.95 * 2 * 64 * 64 * 32


def test_what_does_not_fit_is_refused(x64, no_shape_checks):
    X, Y, parameters, network, B = case("feedback_alignment")
    short = network._replace(feedback=network.feedback._replace(propagate=lambda B, crossing: crossing.dZ[:1]))
    target = jaxnet.Network("tanh", feedback="direct_random_target")
    AL, caches = jaxnet.L_model_forward(X, parameters, network)
    mirror = jaxnet.Network("tanh", feedback="weight_mirror")
    draws = jaxnet.Network("tanh", feedback="batch_random_sign")
    for call, words in [
        (lambda: jaxnet.Network("tanh", feedback="dfa"), "feedback is 'dfa'; expected a `Rule` or one of backprop, "),
        (lambda: jaxnet.Network("tanh", feedback=["x"]), r"feedback is \['x'\]; expected a `Rule`"),
        (
            lambda: jaxnet.Network("tanh", feedback=feedback.kolen_pollack),
            "makes rules; call it: feedback.kolen_pollack",
        ),
        (lambda: jaxnet.cost_and_grads(X, Y, parameters, network), "has a feedback rule: pass B=initialize_feedback"),
        (
            lambda: jaxnet.cost_and_grads(X, Y, parameters, short, B=B),
            r"layer 3: .* dA2 of shape \(1, 7\); exp",
        ),
        (
            lambda: jaxnet.cost_and_grads(X, Y, parameters, network, B={"B2": B["B2"]}),
            "layer 3: B has no B3; pass B=",
        ),
        (
            lambda: jaxnet.cost_and_grads(X, Y, parameters, network, B={"B3": B["B2"]}),
            "layer 3: B3 has shape",
        ),
        (lambda: jaxnet.backpropagate(AL - Y, caches, target, B=B), "sends the targets back, .* pass Y=Y"),
        (lambda: jaxnet.initialize_feedback(parameters, network), "this rule draws its feedback weights: pass key="),
        (lambda: jaxnet.update_feedback(B, parameters, parameters, mirror), "pass key="),
        (lambda: jaxnet.update_feedback(B, parameters, parameters, draws), "pass key="),
        (lambda: feedback.kolen_pollack(1.5), "decay is 1.5; expected a number from 0, below 1"),
        (lambda: jaxnet.check_backward(X, Y, parameters, network), "check network.by_backprop"),
        (lambda: jaxnet.train(X, Y, parameters, num_iterations=1, network=network), "pass key="),
        (
            lambda: jaxnet.train(X, Y, parameters, num_iterations=9, start=3, network=network, key=jax.random.key(0)),
            "goes on from step 3 without its feedback weights; pass B=",
        ),
        (
            lambda: jaxnet.cost_and_grads(X, Y, parameters, network.by_backprop, B=B),
            "but this network goes by",
        ),
        (lambda: feedback.weight_mirror(examples=0), "examples is 0 and warm_up 500; expected at least 1 and 0"),
        (
            lambda: jaxnet.train(X, Y, parameters, num_iterations=1, network=network, B={"B2": B["B2"]}),
            "B has the shapes .* expected",
        ),
        (lambda: jaxnet.train(X, Y, parameters, num_iterations=1, record_every=0), "record_every is 0; expected a"),
    ]:
        with pytest.raises(InputError, match=words):
            call()


def test_a_rule_may_keep_more_than_its_weights(default_promotion):
    """A key and a counter, not cast where layers are computed in another dtype; and feedback that explodes."""

    def init(parameters, network, *, key):
        drawn = feedback.draw_layers(parameters, network, key=key)
        return {"B2": drawn["B2"], "key": key, "steps": jnp.asarray(257)}

    def update(B, before, after, network, *, key):
        return {"B2": jnp.where(B["steps"] >= 260, jnp.inf, B["B2"]), "key": key, "steps": B["steps"] + 1}

    network = jaxnet.Network("tanh", feedback=jaxnet.Rule(init, feedback.through_B, update, feedback.transposes))
    X, Y, parameters = problem(SHALLOW, 7, dtype=np.float32)
    given = {"network": network, "key": jax.random.key(0), "dtype": "bfloat16", "record_every": 1}
    trained = jaxnet.train(X, Y, parameters, num_iterations=3, **given)
    assert trained.B["steps"] == 260 and np.isfinite(trained.alignment.values.angle_B).all()
    with pytest.raises(jaxnet.NotFiniteError, match="iteration 3: B2 after the update is not finite"):
        jaxnet.train(X, Y, parameters, num_iterations=6, **given)
