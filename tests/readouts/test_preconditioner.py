import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import InputError, readouts

from ..one_by_one import SQUARED, case, flat, made


def step(given, parameters, cotangent):
    """The gradient at these parameters, and the Kronecker factors of the record from a cotangent."""
    gradient = readouts.mean_gradient(readouts.record(given.X, given.Y, parameters, given.network))
    curvature = readouts.record(given.X, given.Y, parameters, given.network, cotangent=cotangent)
    return gradient, readouts.kronecker_factors(curvature)


def solved(gradient, factors, damping):
    """(A + pi sqrt(damping) I) (x) (G + sqrt(damping) / pi I), formed, and solved for the vector of [dW, db]."""
    steps = {}
    for l, (A, G) in enumerate(zip(factors.A, factors.G, strict=True), start=1):
        pi = np.sqrt((np.trace(A) / len(A)) / (np.trace(G) / len(G)))
        damped = np.kron(A + pi * np.sqrt(damping) * np.eye(len(A)), G + np.sqrt(damping) / pi * np.eye(len(G)))
        dW_db = np.concatenate([gradient[f"W{l}"], gradient[f"b{l}"]], axis=1)
        dW_db = np.linalg.solve(damped, dW_db.ravel(order="F")).reshape(dW_db.shape, order="F")
        steps[f"W{l}"], steps[f"b{l}"] = dW_db[:, :-1], dW_db[:, -1:]
    return steps


@pytest.mark.parametrize("name", ["one logit", "softmax", "one layer", "one example"])
@pytest.mark.few(2)
def test_one_step_solves_the_damped_kronecker_system(x64, name):
    given = case(name)
    kfac = readouts.precondition_by_kfac(damping=0.01)

    @jax.jit
    def read(parameters):
        gradient, factors = step(given, parameters, readouts.hessian_root)
        return gradient, factors, kfac.update(gradient, kfac.init(parameters), factors=factors)[0]

    gradient, factors, update = read(given.parameters)
    assert jax.tree.structure(update) == jax.tree.structure(gradient)
    expected = flat(solved(gradient, jax.tree.map(np.asarray, factors), 0.01))
    np.testing.assert_allclose(flat(update), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize("decay", [0.0, 0.9])
@pytest.mark.few(2)
def test_factors_are_running_means_inverted_at_refreshes(x64, interval, decay):
    given, damping = case("softmax"), 0.02
    kfac = readouts.precondition_by_kfac(damping, decay, interval)
    at_scale = jax.jit(
        lambda scale: step(given, jax.tree.map(lambda leaf: scale * leaf, given.parameters), readouts.loss_gradient)
    )
    steps = [at_scale(1 + 0.3 * t) for t in range(7)]
    state, update = kfac.init(given.parameters), jax.jit(kfac.update)
    mean = jax.tree.map(np.zeros_like, steps[0][1])
    for t, (gradient, factors) in enumerate(steps):
        mean = jax.tree.map(lambda old, new: decay * old + (1 - decay) * np.asarray(new), mean, factors)
        if t % interval == 0:
            refreshed = jax.tree.map(lambda factor: factor / (1 - decay ** (t + 1)), mean)  # noqa: B023
        updates, state = update(gradient, state, factors=factors)
        expected = flat(solved(gradient, refreshed, damping))
        np.testing.assert_allclose(flat(updates), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert state.step == 7


def test_one_step_is_newtons_where_factors_are_exact(x64):
    """A linear layer under squared error: one step, however the inputs are scaled, and the gradient is 0."""
    given = made([4, 2], 9, SQUARED, "relu")
    given = given._replace(X=given.X * jnp.array([[1.0], [10.0], [100.0], [1000.0]]))
    kfac = optax.chain(readouts.precondition_by_kfac(1e-24), optax.sgd(1.0))

    @jax.jit
    def after(parameters):
        gradient, factors = step(given, parameters, readouts.hessian_root)
        updates, _ = kfac.update(gradient, kfac.init(parameters), factors=factors)
        return gradient, step(given, optax.apply_updates(parameters, updates), readouts.hessian_root)[0]

    before, gradient = after(jaxnet.parameters.FrozenDict(given.parameters))
    np.testing.assert_allclose(flat(gradient), 0, rtol=0, atol=1e-9 * np.abs(flat(before)).max())


def test_it_composes_with_optax_under_jit_and_scan():
    given = case_in_float32("softmax")
    kfac = optax.chain(readouts.precondition_by_kfac(0.1, interval=2), optax.sgd(0.1, momentum=0.5))

    def one(carry, key):
        parameters, state = carry
        gradient, factors = step(given, parameters, readouts.sampled_labels(key))
        updates, state = kfac.update(gradient, state, parameters, factors=factors)
        cost = readouts.record(given.X, given.Y, parameters, given.network).loss.mean()
        return (optax.apply_updates(parameters, updates), state), cost

    parameters = jaxnet.parameters.FrozenDict(given.parameters)
    carry, keys = (parameters, kfac.init(parameters)), jax.random.split(jax.random.key(0), 30)
    _, costs = jax.jit(lambda carry, keys: jax.lax.scan(one, carry, keys))(carry, keys)
    assert costs[-1] < 0.2 * costs[0]
    stepped, one_compiled = [], jax.jit(one)
    for key in keys[:4]:
        carry, cost = one_compiled(carry, key)
        stepped.append(cost)
    np.testing.assert_allclose(stepped, costs[:4], rtol=1e-4)


def case_in_float32(name):
    with jax.enable_x64(True):
        given = case(name)
    X, Y, parameters = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), given[:3])
    return given._replace(X=X, Y=Y, parameters=parameters)


def test_a_layer_whose_units_are_all_dead_stays_finite():
    given = case_in_float32("softmax, soft labels")
    parameters = given.parameters | {"b1": np.full_like(given.parameters["b1"], -1e3)}
    kfac = readouts.precondition_by_kfac(1e-3)

    @jax.jit
    def read(parameters):
        gradient, factors = step(given, parameters, readouts.hessian_root)
        return factors, kfac.update(gradient, kfac.init(parameters), factors=factors)[0]

    factors, update = read(parameters)
    assert not factors.G[0].any()
    assert np.isfinite(flat(update)).all() and not update["W1"].any()


def test_what_does_not_fit_is_refused(x64, no_shape_checks):
    given, make = case("softmax"), readouts.precondition_by_kfac
    for call, words in [
        (lambda: make(0.0), "damping is 0.0; expected a number above 0"),
        (lambda: make(-1.0), "damping is -1.0; expected"),
        (lambda: make(float("nan")), "damping is nan; expected"),
        (lambda: make(1e-3, decay=1.0), "decay is 1.0; expected 0 <= decay < 1"),
        (lambda: make(1e-3, decay=-0.1), "decay is -0.1"),
        (lambda: make(1e-3, interval=0), "interval is 0; expected a whole number from 1"),
        (
            lambda: make(1e-3).update(given.parameters, make(1e-3).init(given.parameters), given.parameters),
            r"no factors; call optimizer.update\(..., factors=readouts.kronecker_factors\(record\)\)",
        ),
    ]:
        with pytest.raises(InputError, match=words):
            call()
