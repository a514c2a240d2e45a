"""Feedback rules beside plain NumPy of their papers' equations, beside backpropagation, and what they cost."""

import copy
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import FrozenDict, InputError, Network, feedback, initialize_feedback, update_feedback
from jaxnet.feedback import RULES
from jaxnet.losses import LOSSES
from jaxnet.training.loop import StepConfig, run_chunk
from jaxnet.update import update

from .drawn import assert_close, autodiff_cost, compiled, problem


BCE, SOFTMAX, SQUARED = LOSSES
DIMS, M = [5, 4, 6, 3, 2], 7
KEY = jax.random.key(4)
EVERY_RULE = pytest.mark.parametrize("name", RULES)
DIRECT = ("direct_feedback_alignment", "direct_random_target")
DRAWING = [name for name in RULES if name not in ("backprop", "uniform_sign")]
cost_and_grads = jax.jit(jaxnet.cost_and_grads, static_argnames=("network", "dtype"))
initialize, change = compiled(initialize_feedback), compiled(update_feedback)
record, gradient_of_cost = compiled(jaxnet.readouts.record), compiled(jax.grad(autodiff_cost, argnums=2))


def given(name, dims=DIMS, *, hidden="tanh", loss=BCE, seed=0):
    """X, Y, parameters, the network, and the feedback weights of its rule."""
    X, Y, parameters = problem(dims, M, loss, soft=loss != SQUARED, seed=seed)
    network = Network(hidden, loss, name)
    return X, Y, parameters, network, initialize(parameters, network=network, key=KEY)


# ---- the equations, in NumPy and with the papers' own letters where they are few


def transposed(l, W, B, dZ, dZL, Y):
    return W.T @ dZ[l]


def one_layer_back(l, W, B, dZ, dZL, Y):
    """Lillicrap et al. 2016: delta_h = B e; so Akrout et al. 2019, and Liao et al. 2016, section 3, with V for W^T."""
    return np.asarray(B[f"B{l}"]) @ dZ[l]


def from_the_output(l, W, B, dZ, dZL, Y):
    """Nokland 2016, eq. 6: delta a_l = (B_l e) * f'(a_l)."""
    return np.asarray(B[f"B{l}"]) @ dZL


def from_the_target(l, W, B, dZ, dZL, Y):
    """Frenkel et al. 2021, eq. 4: delta y_k = B_k y*."""
    return np.asarray(B[f"B{l}"]) @ Y


BACK = dict.fromkeys(RULES, one_layer_back) | {
    "backprop": transposed,
    "direct_feedback_alignment": from_the_output,
    "direct_random_target": from_the_target,
}


def backward(X, Y, parameters, B, back):
    """Cost and grads of tanh layers under sigmoids and cross-entropy."""
    L, m = len(parameters) // 2, X.shape[1]
    A, Z = {0: X}, {}
    for l in range(1, L + 1):
        Z[l] = parameters[f"W{l}"] @ A[l - 1] + parameters[f"b{l}"]
        A[l] = np.tanh(Z[l]) if l < L else 1 / (1 + np.exp(-Z[l]))
    J = -np.mean(np.sum(Y * np.log(A[L]) + (1 - Y) * np.log(1 - A[L]), axis=0))
    dZ, grads = {L: A[L] - Y}, {}
    for l in range(L, 0, -1):
        grads[f"dW{l}"], grads[f"db{l}"] = dZ[l] @ A[l - 1].T / m, dZ[l].mean(axis=1, keepdims=True)
        W = parameters[f"W{l}"]
        grads[f"dA{l - 1}"] = W.T @ dZ[l] if l == 1 else back(l, W, B, dZ, dZ[L], Y)
        if l > 1:
            dZ[l - 1] = grads[f"dA{l - 1}"] * (1 - A[l - 1] ** 2)
    return J, grads


@EVERY_RULE
def test_the_backward_pass_is_that_of_the_paper(x64, name):
    X, Y, parameters, network, B = given(name)
    J, grads = cost_and_grads(X, Y, parameters, network, B=B)
    want_J, want = backward(X, Y, parameters, B, BACK[name])
    assert_close(J, want_J, 32)
    assert_close(dict(grads), want, 256)


# ---- what B is at first, and after each of a few steps


def layers(parameters):
    return range(2, len(parameters) // 2 + 1)


def signs(W):
    return np.where(W.T < 0, -1.0, 1.0)


def normal(key, parameters, l, columns=None):
    """N(0, 1/n_{l-1}) from the key of layer l."""
    n, n_prev = parameters[f"W{l}"].shape
    entries = jax.random.normal(jax.random.fold_in(key, l), (n_prev, columns or n), jnp.float64)
    return np.asarray(entries) / np.sqrt(n_prev)


def drawn(parameters, key):
    return {f"B{l}": normal(key, parameters, l) for l in layers(parameters)}


def drawn_direct(parameters, key):
    n_L = len(parameters[f"W{len(parameters) // 2}"])
    return {f"B{l}": normal(key, parameters, l, n_L) for l in layers(parameters)}


def uniform(parameters, key):
    return {f"B{l}": signs(W) / np.sqrt(W.shape[1]) for l in layers(parameters) for W in [parameters[f"W{l}"]]}


def random_signs(parameters, key):
    return {f"B{l}": np.abs(normal(key, parameters, l)) * signs(parameters[f"W{l}"]) for l in layers(parameters)}


def mirrored(B, parameters, key):
    """Akrout et al. 2019, eq. 7, Delta B = eta_B y_l y_{l+1}^T, summed over 128 columns of noise y_l."""
    L, new = len(parameters) // 2, {}
    for l in layers(parameters):
        W, b = parameters[f"W{l}"], parameters[f"b{l}"]
        noise = jax.random.uniform(jax.random.fold_in(key, l), (W.shape[1], 128), jnp.float64, -0.05, 0.05)
        y = np.asarray(noise)
        Z = W @ y + b
        y_next = np.tanh(Z) if l < L else 1 / (1 + np.exp(-Z))
        new[f"B{l}"] = np.asarray(B[f"B{l}"]) + 0.01 * y @ y_next.T
    return new


def warmed_up(parameters, key):
    B = drawn(parameters, key)
    for i in range(500):
        B = mirrored(B, parameters, jax.random.fold_in(jax.random.fold_in(key, 2**32 - 1), i))
    return B


def fixed(B, before, after, key):
    return B


def moved_alike(B, before, after, key):
    """Kolen & Pollack 1994: B takes the transpose of every step of W."""
    return {f"B{l}": B[f"B{l}"] + (after[f"W{l}"] - before[f"W{l}"]).T for l in layers(after)}


def signs_anew(B, before, after, key):
    return {f"B{l}": np.abs(B[f"B{l}"]) * signs(after[f"W{l}"]) for l in layers(after)}


FIRST_AND_NEXT = {
    "backprop": (lambda parameters, key: {}, fixed),
    "feedback_alignment": (drawn, fixed),
    "direct_feedback_alignment": (drawn_direct, fixed),
    "uniform_sign": (uniform, signs_anew),
    "batch_random_sign": (random_signs, lambda B, before, after, key: random_signs(after, key)),
    "fixed_random_sign": (random_signs, signs_anew),
    "kolen_pollack": (drawn, moved_alike),
    "weight_mirror": (warmed_up, lambda B, before, after, key: mirrored(B, after, key)),
    "direct_random_target": (drawn_direct, fixed),
}


def stepped(parameters, i):
    """Some other parameters, of which a few weights have become 0, from either side."""
    random = np.random.default_rng(i)
    after = {name: value + random.normal(size=value.shape) / 2 for name, value in parameters.items()}
    after["W3"][0, :3] = 0.0, -0.0, 0.0
    return after


@EVERY_RULE
def test_B_is_the_papers_at_first_and_after_every_step(x64, name):
    first, following = FIRST_AND_NEXT[name]
    _, _, parameters = problem(DIMS, M)
    network = Network("tanh", BCE, name)
    B = initialize(parameters, network=network, key=KEY)
    want = first(parameters, KEY)
    assert_close(dict(B), want, 5000 if name == "weight_mirror" else 16)
    for i in range(3):
        key, after = jax.random.fold_in(KEY, 100 + i), stepped(parameters, i)
        B, want = change(B, parameters, after, network=network, key=key), following(want, parameters, after, key)
        assert isinstance(B, FrozenDict)
        assert_close(dict(B), want, 5000 if name == "weight_mirror" else 64)
        parameters = after
    if "sign" in name:
        assert all(np.all(np.asarray(B[f"B{l}"])[parameters[f"W{l}"].T == 0] > 0) for l in layers(parameters))


@EVERY_RULE
@pytest.mark.few(3)
def test_layer_1_has_no_feedback_and_is_not_looked_at(name):
    _, _, parameters, network, B = given(name)
    rest = {key: value for key, value in parameters.items() if key not in ("W1", "b1")}
    assert list(B) == ([] if name == "backprop" else ["B2", "B3", "B4"])
    rule = RULES[name]()
    again = jax.eval_shape(lambda: rule.init(rest, network, key=KEY))
    changed = jax.eval_shape(lambda: rule.update(B, rest, rest, network, key=KEY))
    for tree in (again, changed):
        assert jax.tree.map(jnp.shape, tree) == jax.tree.map(jnp.shape, B)


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.few(3)
def test_other_keys_draw_other_feedback(name):
    _, _, parameters, network, B = given(name)
    pairs = [(B, initialize(parameters, network=network, key=jax.random.key(5)))]
    if name in ("batch_random_sign", "weight_mirror"):
        steps = [change(B, parameters, parameters, network=network, key=jax.random.key(i)) for i in (6, 7)]
        pairs.append(steps)
    for one, other in pairs:
        assert all(np.all(np.asarray(one[b]) != np.asarray(other[b])) for b in B)


def test_magnitudes_and_draws_of_ones_own():
    _, _, parameters = problem(DIMS, M, dtype=np.float32)
    halves = lambda key, shape, dtype: jnp.full(shape, 0.5, dtype)  # noqa: E731
    makers = [feedback.feedback_alignment, feedback.kolen_pollack, feedback.direct_feedback_alignment]
    makers += [feedback.fixed_random_sign, feedback.batch_random_sign, feedback.direct_random_target]
    for maker in makers:
        B = initialize_feedback(parameters, Network(feedback=maker(draw=halves)), key=KEY)
        assert {float(value) for b in B.values() for value in np.abs(b).ravel()} == {0.5}, maker
    B = initialize_feedback(parameters, Network(feedback=feedback.uniform_sign(3.0)))
    assert {float(value) for b in B.values() for value in np.abs(b).ravel()} == {3.0}


# ---- Kolen-Pollack and the weight mirror: B goes to W^T


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_kolen_pollack_is_eqs_16_and_17(x64, decay):
    """Delta W = -eta dZ A^T - lambda W,  Delta B = -eta A dZ^T - lambda B: what parts B from W^T shrinks by lambda."""
    X, Y, start, network, B = given(feedback.kolen_pollack(decay=decay))
    parameters, gap = start, {f"B{l}": np.asarray(B[f"B{l}"]) - start[f"W{l}"].T for l in layers(start)}
    want, eta = dict(B), 0.3
    for step in range(1, 6):
        _, grads = cost_and_grads(X, Y, parameters, network, B=B)
        pairs = record(X, Y, parameters, network=network, B=B)
        for l in layers(start):
            A, dZ = np.asarray(pairs.A[l - 1]), np.asarray(pairs.dZ[l - 1])
            want[f"B{l}"] = (1 - decay) * np.asarray(want[f"B{l}"]) - eta * A @ dZ.T / M
        after = {
            name: (1 - decay if name[0] == "W" else 1) * value - eta * np.asarray(grads[f"d{name}"])
            for name, value in parameters.items()
        }
        B = change(B, parameters, after, network=network)
        parameters = after
        assert_close(dict(B), want, 64)
        apart = {f"B{l}": B[f"B{l}"] - parameters[f"W{l}"].T for l in layers(start)}
        assert_close(apart, {name: (1 - decay) ** step * value for name, value in gap.items()}, 256)


def test_the_mirror_turns_B_along_the_transpose(x64):
    """In the mean a step adds rate * examples * amplitude^2 / 12 times W^T diag g'(b); here g' is 1."""
    _, _, parameters = problem([5, 40, 30, 20], 3)
    rule = feedback.weight_mirror(rate=1.0, amplitude=1.0, examples=4000, warm_up=0)
    network = Network("identity", SQUARED, rule)
    B = {f"B{l}": np.zeros_like(parameters[f"W{l}"].T) for l in (2, 3)}
    grown = update_feedback(B, parameters, parameters, network, key=KEY)
    for l in (2, 3):
        W = parameters[f"W{l}"]
        share = np.sum(np.asarray(grown[f"B{l}"]) / (4000 / 12) * W.T) / np.sum(W**2)
        assert abs(share - 1) < 0.1 and angle_to_W(grown[f"B{l}"], W) < 30


def test_the_mirror_s_angle_falls_with_its_steps(x64):
    _, _, parameters = problem([5, 12, 10, 8], 3)
    network = Network("tanh", BCE, feedback.weight_mirror(rate=0.1, amplitude=0.5, warm_up=0, decay=0.01))
    B = initialize(parameters, network=network, key=KEY)

    @jax.jit
    def mirror(B, keys):
        return jax.lax.scan(
            lambda B, key: (update_feedback(B, parameters, parameters, network, key=key), None), B, keys
        )

    after, _ = mirror(B, jax.random.split(KEY, 500))
    for l in (2, 3):
        assert angle_to_W(B[f"B{l}"], parameters[f"W{l}"]) > 60
        assert angle_to_W(after[f"B{l}"], parameters[f"W{l}"]) < 35


def angle_to_W(B, W):
    """In degrees, by NumPy."""
    B = np.asarray(B)
    return np.degrees(np.arccos(np.sum(B * W.T) / np.linalg.norm(B) / np.linalg.norm(W)))


# ---- with W^T in B's place, every rule is backpropagation


@pytest.mark.parametrize("dims", [[5, 2], [5, 4, 2], DIMS], ids=lambda dims: f"L={len(dims) - 1}")
@pytest.mark.parametrize("name", [name for name in RULES if name != "direct_random_target"])
@pytest.mark.few(5)
def test_with_the_transposes_a_rule_is_backpropagation(x64, name, dims):
    hidden = "identity" if name in DIRECT and len(dims) > 3 else "tanh"
    X, Y, parameters = problem(dims, M, SOFTMAX, soft=True)
    network = Network(hidden, SOFTMAX, name)
    B = network.feedback.transport(parameters)
    _, grads = cost_and_grads(X, Y, parameters, network, B=B)
    by_autodiff = gradient_of_cost(X, Y, parameters, network=network.by_backprop)
    assert_close(jaxnet.parameter_grads(grads, parameters), by_autodiff, 256)
    assert_close(grads, cost_and_grads(X, Y, parameters, network.by_backprop)[1], 64)


def test_through_curved_layers_a_direct_rule_is_not(x64):
    X, Y, parameters, network, _ = given("direct_feedback_alignment")
    B = network.feedback.transport(parameters)
    found = compiled(jaxnet.alignment)(X, Y, parameters, network=network, B=B)
    assert found.angle_dZ[-1] < 1e-9 and np.all(found.angle_dZ[:-1] > 0.1)


def test_no_feedback_makes_random_targets_backpropagation():
    assert RULES["direct_random_target"]().transport is None


def test_direct_feedback_to_one_layer_is_alignment():
    X, Y, parameters = problem([6, 5, 3], 20, SOFTMAX, dtype=np.float32)
    runs = [
        jaxnet.train(
            X,
            Y,
            parameters,
            num_iterations=20,
            network=Network("relu", SOFTMAX, name),
            key=KEY,
            optimizer=optax.sgd(0.3),
        )
        for name in ("feedback_alignment", "direct_feedback_alignment")
    ]
    np.testing.assert_array_equal(runs[0].costs, runs[1].costs)
    jax.tree.map(np.testing.assert_array_equal, runs[0].state, runs[1].state)
    assert runs[0].costs[-1] < runs[0].costs[0]


# ---- the cost function stays differentiable, and its derivative the true one


@pytest.mark.parametrize("name", ["feedback_alignment", "direct_random_target"])
@pytest.mark.few(1)
def test_cost_has_its_true_derivatives_under_any_rule(x64, name):
    X, Y, parameters, network, _ = given(name)
    V = {key: np.cos(np.arange(value.size)).reshape(value.shape) for key, value in parameters.items()}

    def gradient(parameters):
        return jax.grad(autodiff_cost, argnums=2)(X, Y, parameters, network)

    want, product = jax.jit(lambda parameters: jax.jvp(gradient, (parameters,), (V,)))(parameters)
    assert_close(compiled(jax.grad(jaxnet.cost, argnums=2))(X, Y, parameters, network=network), want, 256)
    found = compiled(jaxnet.readouts.hessian_vector_product)(X, Y, parameters, V, network=network)
    assert_close(dict(found), product, 256)


# ---- what is refused


def own(propagate):
    """Feedback alignment with another way across."""
    return feedback.feedback_alignment()._replace(propagate=propagate)


FA = "feedback_alignment"
MISTAKES = {
    "no B": (FA, lambda B: None, "pass B=initialize_feedback"),
    "a key missing": (FA, lambda B: {"B2": B["B2"], "B3": B["B3"]}, "layer 4: B has no B4"),
    "no mapping": (FA, lambda B: (B["B2"],), "layer 4: B has no B4"),
    "transposed": (FA, lambda B: {**B, "B3": B["B3"].T}, r"layer 3: B3 has shape \(3, 6\); expected \(6, 3\)"),
    "of another rule": ("direct_feedback_alignment", lambda B: {**B, "B3": np.ones((6, 3))}, r"expected \(6, 2\)"),
    "a number": (FA, lambda B: {**B, "B3": 1.0}, r"layer 3: B3 has shape \(\)"),
    "a rule that does not arrive": (
        own(lambda B, crossing: crossing.dZ),
        lambda B: B,
        r"layer 4: the feedback rule made a dA3 of shape \(2, 7\); expected \(3, 7\)",
    ),
    "a rule that broadcasts": (
        own(lambda B, crossing: jnp.ones((len(crossing.A_prev), 1))),
        lambda B: B,
        r"layer 4: the feedback rule made a dA3 of shape \(3, 1\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_feedback_that_does_not_fit_is_told(x64, mistake, no_shape_checks):
    rule, change, message = MISTAKES[mistake]
    X, Y, parameters, network, B = given(rule)
    with pytest.raises(InputError, match=message):
        jaxnet.cost_and_grads(X, Y, parameters, network, B=change(B))


def test_random_targets_need_targets(x64):
    X, Y, parameters, network, B = given("direct_random_target")
    AL, caches = compiled(jaxnet.L_model_forward)(X, parameters, network=network)
    grads = compiled(jaxnet.L_model_backward)(AL, Y, caches, network=network, B=B)
    assert_close(grads, cost_and_grads(X, Y, parameters, network, B=B)[1], 256)
    with pytest.raises(InputError, match="there are none: pass Y=Y"):
        jaxnet.backpropagate(AL - Y, caches, network, B=B)


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.few(3)
def test_a_rule_that_draws_needs_a_key(name):
    _, _, parameters, network, B = given(name)
    with pytest.raises(InputError, match=r"pass key=jax.random.key\(0\)"):
        initialize_feedback(parameters, network)
    if name in ("batch_random_sign", "weight_mirror"):
        with pytest.raises(InputError, match=r"pass key=jax.random.key\(0\)"):
            update_feedback(B, parameters, parameters, network)
    else:
        update_feedback(B, parameters, parameters, network)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Network(feedback="fa"), "feedback is 'fa'; expected a `Rule` or one of backprop, feedback_alignment"),
        (lambda: Network(feedback=None), "feedback is None; expected a `Rule`"),
        (lambda: Network(feedback=["x"]), r"feedback is \['x'\]; expected a `Rule`"),
        (lambda: Network(feedback=feedback.weight_mirror), "makes rules; call it: feedback.weight_mirror"),
        (lambda: feedback.weight_mirror(examples=0), "examples is 0 and warm_up 500; expected at least 1 and 0"),
        (lambda: feedback.kolen_pollack(decay=1.5), "decay is 1.5; expected a number from 0, below 1"),
        (lambda: feedback.kolen_pollack(decay=1.0), "decay is 1.0; expected"),
        (lambda: feedback.kolen_pollack(decay=float("nan")), "decay is nan; expected"),
        (lambda: feedback.weight_mirror(decay=-0.1), "decay is -0.1; expected"),
    ],
)
def test_a_rule_that_is_none_is_told(make, message, no_shape_checks):
    with pytest.raises(InputError, match=message):
        make()


def test_the_gradient_check_refuses_what_is_no_gradient(x64):
    X, Y, parameters, network, _ = given("feedback_alignment")
    with pytest.raises(InputError, match="makes no derivative of the cost; check network.by_backprop"):
        jaxnet.check_backward(X, Y, parameters, network)


def test_a_rule_is_the_same_value_every_time():
    for name, make in RULES.items():
        assert make() is make() and Network(feedback=name) == Network(feedback=make())
        assert hash(Network(feedback=name)) == hash(Network(feedback=make()))
        assert Network("tanh", feedback=name).by_backprop == Network("tanh")


# ---- what it costs, read from the compiled programs: nothing is run


WIDE, EXAMPLES = (784, 1000, 500, 100, 10), 128


@cache
def gradient_program(name):
    array = partial(jax.ShapeDtypeStruct, dtype=np.float32)
    sizes = list(enumerate(zip(WIDE[1:], WIDE[:-1], strict=True), start=1))
    parameters = {f"W{l}": array((n, n_prev)) for l, (n, n_prev) in sizes}
    parameters |= {f"b{l}": array((n, 1)) for l, (n, _) in sizes}
    network = Network("relu", SOFTMAX, name)
    B = jax.eval_shape(lambda p: initialize_feedback(p, network, key=KEY), parameters)

    def gradient(X, Y, parameters, B):
        J, grads = jaxnet.cost_and_grads(X, Y, parameters, network, B=B)
        return J, jaxnet.parameter_grads(grads, parameters)

    X, Y = array((WIDE[0], EXAMPLES)), array((WIDE[-1], EXAMPLES))
    return jax.jit(gradient).lower(X, Y, parameters, B).compile()


def flops(program):
    return program.cost_analysis()["flops"]


def temporary(program):
    return program.memory_analysis().temp_size_in_bytes


FORWARD_AND_dW = sum(4 * EXAMPLES * n * n_prev for n, n_prev in zip(WIDE[1:], WIDE, strict=False))
# Layer 1 has no dA that anybody asks for.
ACROSS = sum(2 * EXAMPLES * n * n_prev for n, n_prev in zip(WIDE[2:], WIDE[1:], strict=False))
FROM_OUTPUT = sum(2 * EXAMPLES * n_prev * WIDE[-1] for n_prev in WIDE[1:-1])


@pytest.mark.parametrize("name", ["backprop", "feedback_alignment", *DIRECT])
def test_a_backward_pass_has_the_flops_of_its_formula(name):
    formula = FORWARD_AND_dW + (FROM_OUTPUT if name in DIRECT else ACROSS)
    assert formula <= flops(gradient_program(name)) <= 1.01 * formula
    assert FROM_OUTPUT < ACROSS / 30


def test_feedback_alignment_costs_what_backpropagation_does():
    assert flops(gradient_program("feedback_alignment")) == flops(gradient_program("backprop"))
    assert temporary(gradient_program("feedback_alignment")) <= temporary(gradient_program("backprop"))


def scan_without_feedback(config):
    """`run_chunk` as it was before there were rules, all examples in every step."""

    def run(state, rows, Y_rows):
        def make_step(state, _):
            return update(rows.T, Y_rows.T, state, config.optimizer, config.network)

        state, costs = jax.lax.scan(make_step, state, state.step + jnp.arange(50))
        numbers = [costs, *jax.tree.leaves(state.parameters)]
        return state, costs, jnp.stack([jnp.isfinite(value).all() for value in numbers]).all()

    return jax.jit(run)


@pytest.mark.thorough
def test_rules_cost_a_training_scan_by_backpropagation_nothing():
    """With a key, too, from which a rule would draw, and counting what is in the loop."""
    X, Y, parameters = problem([64, 48, 32, 10], 40, SOFTMAX, dtype=np.float32)
    config = StepConfig(network=Network("relu", SOFTMAX))
    state = jaxnet.init_state(parameters, config.optimizer, config.network)
    state = state._replace(step=jnp.zeros((), jnp.int32))
    plain = scan_without_feedback(config).lower(state._replace(B=None), X.T, Y.T).compile()
    for key in (None, KEY):
        program = run_chunk.lower(state, X.T, Y.T, None, key, config, length=50).compile()
        assert (flops(program), temporary(program)) == (flops(plain), temporary(plain))
    recorded = run_chunk.lower(state, X.T, Y.T, None, KEY, replace(config, record_every=10), length=50).compile()
    assert flops(recorded) > 1.2 * flops(plain)


def test_backpropagation_takes_no_feedback(x64):
    X, Y, parameters, network, B = given("feedback_alignment")
    plain = Network("tanh", BCE)
    same = Network("tanh", BCE, feedback.backprop._replace())
    assert same == plain == network.by_backprop
    _, grads = cost_and_grads(X, Y, parameters, network=copy.deepcopy(plain))
    for name, value in cost_and_grads(X, Y, parameters, network=same)[1].items():
        np.testing.assert_array_equal(grads[name], value)
    with pytest.raises(InputError, match="B is given, but this network uses backpropagation"):
        jaxnet.cost_and_grads(X, Y, parameters, plain, B=B)


def test_masks_of_whole_numbers_are_of_the_layers_dtype(default_promotion):
    """What a rule keeps beside its weights is left as it is, but not so the factors on the activations."""
    X, Y, parameters, network, _ = given("backprop")
    masks = [None, *(np.arange(n * M).reshape(n, M) % 2 for n in DIMS[1:-1])]
    as_floats = [mask if mask is None else mask.astype(float) for mask in masks]
    grads, wanted = (
        cost_and_grads(X, Y, parameters, network=network, masks=each, dtype="bfloat16")[1]
        for each in (masks, as_floats)
    )
    for name, value in wanted.items():
        assert grads[name].dtype == jnp.bfloat16
        np.testing.assert_array_equal(np.asarray(grads[name], float), np.asarray(value, float))


@pytest.mark.thorough
def test_a_rule_may_keep_more_than_its_weights(default_promotion):
    """A key and a counter, not cast where layers are computed in another dtype; and feedback that explodes."""

    def init(parameters, network, *, key):
        drawn = feedback.draw_layers(parameters, network, key=key)
        return {"B2": drawn["B2"], "key": key, "steps": jnp.asarray(257)}

    def update(B, before, after, network, *, key):
        return {"B2": jnp.where(B["steps"] >= 260, jnp.inf, B["B2"]), "key": key, "steps": B["steps"] + 1}

    network = jaxnet.Network("tanh", feedback=jaxnet.Rule(init, feedback.through_B, update, feedback.transposes))
    X, Y, parameters = problem((6, 5, 3), 7, dtype=np.float32)
    given = {"network": network, "key": jax.random.key(0), "dtype": "bfloat16", "record_every": 1}
    trained = jaxnet.train(X, Y, parameters, num_iterations=3, **given)
    assert trained.state.B["steps"] == 260 and np.isfinite(trained.alignment.values.angle_B).all()
    with pytest.raises(jaxnet.NotFiniteError, match="iteration 3: B2 after the update is not finite"):
        jaxnet.train(X, Y, parameters, num_iterations=6, **given)
