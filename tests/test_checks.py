"""Values that are there are looked at by every public function that takes them; what is traced costs nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import InputError, Network, readouts

from .drawn import compiled, problem


pytestmark = pytest.mark.usefixtures("no_shape_checks")
X, Y, PARAMETERS = problem([4, 3, 1], 6, dtype=np.float32)
AL, CACHES = compiled(jaxnet.L_model_forward)(X, PARAMETERS)
AL, CACHES = np.asarray(AL), jax.tree.map(np.asarray, CACHES)
GRADS = compiled(jaxnet.L_model_backward)(AL, Y, CACHES)
SOFTMAX = Network("relu", "softmax_cross_entropy")
X3, Y3, PARAMETERS3 = problem([4, 3, 3], 6, "softmax_cross_entropy", dtype=np.float32)
RECORD = jax.jit(readouts.record)(X, Y, PARAMETERS)

OF_X_AND_PARAMETERS = {
    "L_model_forward": jaxnet.L_model_forward,
    "predict": jaxnet.predict,
    "cost": lambda X, p: jaxnet.cost(X, Y, p),
    "cost_and_grads": lambda X, p: jaxnet.cost_and_grads(X, Y, p),
    "train": lambda X, p: jaxnet.train(X, Y, p, num_iterations=1),
    "L_layer_model": lambda X, p: jaxnet.L_layer_model(X, Y, (4, 3, 1), parameters=p),
    "signal_sizes": lambda X, p: jaxnet.signal_sizes(X, Y, p),
    "layer_signals": lambda X, p: jaxnet.layer_signals(X, Y, p),
    "alignment": lambda X, p: jaxnet.alignment(X, Y, p),
    "record": lambda X, p: readouts.record(X, Y, p),
    "ggn_vector_product": lambda X, p: readouts.ggn_vector_product(X, Y, p, PARAMETERS),
    "hessian_vector_product": lambda X, p: readouts.hessian_vector_product(X, Y, p, PARAMETERS),
    "kfra_factors": lambda X, p: readouts.kfra_factors(X, Y, p),
}
OF_PARAMETERS = {
    "update_parameters": lambda p: jaxnet.update_parameters(p, GRADS, 0.1),
    "l2_cost": lambda p: jaxnet.l2_cost(p, 0.1, 6),
    "l2_gradient": lambda p: jaxnet.l2_gradient(p, 0.1, 6),
    "singular_values": jaxnet.singular_values,
    "initialize_feedback": lambda p: jaxnet.initialize_feedback(p, Network(feedback="uniform_sign")),
    "projection": lambda p: readouts.projection(RECORD, p),
    "a direction": lambda p: readouts.ggn_vector_product(X, Y, PARAMETERS, p),
    "save_model": lambda p: jaxnet.save_model("never", jaxnet.Model(p, Network(), (4,), ("a", "b"))),
}
OF_LABELS = {
    "cost": lambda Y: jaxnet.cost(X, Y, PARAMETERS),
    "cost_and_grads": lambda Y: jaxnet.cost_and_grads(X, Y, PARAMETERS),
    "compute_cost": lambda Y: jaxnet.compute_cost(AL, Y),
    "L_model_backward": lambda Y: jaxnet.L_model_backward(AL, Y, CACHES),
    "train": lambda Y: jaxnet.train(X, Y, PARAMETERS, num_iterations=1),
    "record": lambda Y: readouts.record(X, Y, PARAMETERS),
    "alignment": lambda Y: jaxnet.alignment(X, Y, PARAMETERS),
    "signal_sizes": lambda Y: jaxnet.signal_sizes(X, Y, PARAMETERS),
    "ggn_vector_product": lambda Y: readouts.ggn_vector_product(X, Y, PARAMETERS, PARAMETERS),
    "kfra_factors": lambda Y: readouts.kfra_factors(X, Y, PARAMETERS),
}
OF_SIGNALS = {
    "compute_cost": lambda dZL: jaxnet.compute_cost(dZL, Y),
    "L_model_backward": lambda dZL: jaxnet.L_model_backward(dZL, Y, CACHES),
    "backpropagate": lambda dZL: jaxnet.backpropagate(dZL, CACHES),
    "linear_backward": lambda dZL: jaxnet.linear_backward(dZL, CACHES[-1][0]),
    "linear_activation_backward": lambda dZL: jaxnet.linear_activation_backward(dZL, CACHES[-1], "sigmoid"),
}


def put(array, value, dtype=None):
    changed = np.array(array, dtype)
    changed[0, 1] = value
    return changed


# What is made of an array of floats, and what is said of it.
WRONG = {
    "NaN": (lambda a: put(a, np.nan), r"1 entries that are not finite, the first is .*\[0, 1\] = nan"),
    "infinity in JAX": (lambda a: jnp.asarray(put(a, -np.inf)), r"not finite, the first is .*\[0, 1\] = -inf"),
    "beyond float32": (lambda a: put(a, 1e300, float), r"beyond the range of float32, the first is .* = 1e\+300"),
    "masked": (lambda a: np.ma.masked_array(a, np.zeros(a.shape, bool)), r"is a masked array .*\.filled\(value\)"),
    "matrix": (lambda a: a.view(np.matrix), r"is a matrix of NumPy.*; pass numpy.asarray\("),
    "complex": (lambda a: a + 1j, r"complex64; expected floats.*\.real"),
    "whole numbers": (lambda a: a.astype(int), "int64; expected floats"),
    "truth values": (lambda a: a > 0, "is bool; expected floats"),
    "words": (lambda a: a.astype(str), "<U32; expected floats"),
    "objects": (lambda a: a.astype(object), "object; expected floats"),
    "times": (lambda a: np.full(a.shape, np.timedelta64(1, "s")), "timedelta64.*; expected floats"),
    "keys": (lambda a: jax.random.split(jax.random.key(0), a.shape), "key<fry>; expected floats"),
    "long doubles": (lambda a: a.astype(np.longdouble), "float128; expected floats"),
    "another byte order": (lambda a: a.astype(">f4"), r"another byte order .*\.astype\('float32'\)"),
    "None": (lambda a: None, "is of type NoneType; expected an array"),
    "a list": (lambda a: a.tolist(), r"is of type list; expected an array.*pass jax.numpy.array\("),
}
FEW = {name: WRONG[name] for name in ("NaN", "masked", "complex")}  # one of each check


@pytest.mark.parametrize("wrong", WRONG)
def test_inputs_and_parameters_that_are_no_finite_floats(wrong):
    make, message = WRONG[wrong]
    with pytest.raises(InputError, match=f"^X.*{message}"):
        jaxnet.predict(make(X), PARAMETERS)
    with pytest.raises(InputError, match=f"^W1.*{message}"):
        jaxnet.predict(X, PARAMETERS | {"W1": make(PARAMETERS["W1"])})


@pytest.mark.parametrize("wrong", FEW)
@pytest.mark.parametrize("name", OF_X_AND_PARAMETERS)
def test_every_function_looks_at_inputs_and_parameters(name, wrong):
    make, message = FEW[wrong]
    with pytest.raises(InputError, match=message):
        OF_X_AND_PARAMETERS[name](make(X), PARAMETERS)
    with pytest.raises(InputError, match=message):
        OF_X_AND_PARAMETERS[name](X, PARAMETERS | {"W2": make(PARAMETERS["W2"])})


@pytest.mark.parametrize("wrong", FEW)
@pytest.mark.parametrize("name", OF_PARAMETERS)
def test_every_function_looks_at_parameters(name, wrong):
    make, message = FEW[wrong]
    with pytest.raises(InputError, match=message):
        OF_PARAMETERS[name](PARAMETERS | {"W2": make(PARAMETERS["W2"])})


WRONG_LABELS = {
    "pixels": (255 * Y, "labels lie between 0 and 255; expected 0 and 1, or probabilities"),
    "whole pixels": ((255 * Y).astype(np.uint8), "labels lie between 0 and 255"),
    "in JAX": (jnp.asarray(2 * Y - 1), "labels lie between -1 and 1"),
    "NaN": (put(Y, np.nan), r"Y has 1 entries that are not finite, the first is Y\[0, 1\] = nan"),
    "words": (np.full((1, 6), "cat"), "Y has dtype <U3; expected numbers"),
    "one word": ("cat", "Y has dtype <U3"),
    "objects": (Y.astype(object), "Y has dtype object; expected numbers"),
    "None": (None, "Y has dtype object"),
    "times": (np.full((1, 6), np.timedelta64(1, "s")), "Y has dtype timedelta64"),
    "complex": (Y + 0j, "Y has dtype complex64"),
    "keys": (jax.random.split(jax.random.key(0), (1, 6)), "Y has dtype key<fry>"),
    "masked": (np.ma.masked_array(Y, Y == 1), "Y is a masked array of NumPy, whose mask would be ignored"),
    "ragged": ([[0, 1], [1]], "Y is of type list, which is not an array"),
}


@pytest.mark.parametrize("wrong", WRONG_LABELS)
def test_labels_that_are_none(wrong):
    labels, message = WRONG_LABELS[wrong]
    with pytest.raises(InputError, match=message):
        jaxnet.compute_cost(AL, labels)


@pytest.mark.parametrize("wrong", ["pixels", "NaN", "masked", "None"])
@pytest.mark.parametrize("name", OF_LABELS)
def test_every_function_looks_at_labels(name, wrong):
    labels, message = WRONG_LABELS[wrong]
    with pytest.raises(InputError, match=message):
        OF_LABELS[name](labels)


def test_columns_of_labels_are_distributions_to_rounding():
    for labels in (Y3 * 2 / 3, Y3 * 0, np.ones((3, 6)) / 2):
        with pytest.raises(InputError, match=r"column \d of Y sums to .*expects columns that sum to 1"):
            jaxnet.cost(X3, labels, PARAMETERS3, SOFTMAX)
    for labels in (Y3, 0.9 * Y3 + 0.1 / 3, jnp.asarray(0.7 * Y3 + 0.1, jnp.bfloat16), Y3.astype(bool)):
        assert np.isfinite(jaxnet.cost(X3, labels, PARAMETERS3, SOFTMAX))
    assert np.isfinite(jaxnet.cost(X, Y * np.float32(1 + 1e-7), PARAMETERS))


def test_targets_of_squared_error_may_be_any_finite_numbers():
    network = Network(loss="squared_error")
    assert jaxnet.compute_cost(AL, 255 * Y, network) > 1000
    with pytest.raises(InputError, match="not finite"):
        jaxnet.compute_cost(AL, put(Y, np.inf), network)


@pytest.mark.parametrize("wrong", FEW)
@pytest.mark.parametrize("name", OF_SIGNALS)
def test_every_function_looks_at_what_it_starts_from(name, wrong):
    make, message = FEW[wrong]
    with pytest.raises(InputError, match=message if wrong != "complex" else "complex64.*expected"):
        OF_SIGNALS[name](make(AL))


def test_logits_in_the_place_of_probabilities_are_refused():
    """-log(1 + 3) would be a cost below 0."""
    for function in (jaxnet.compute_cost, lambda AL, Y: jaxnet.L_model_backward(AL, Y, CACHES)):
        with pytest.raises(InputError, match="AL lies between -3 and .*; expected the probabilities .* and not logits"):
            function(put(AL, -3), Y)


@pytest.mark.parametrize("entry", ["A", "W", "Z"])
def test_caches_are_looked_at(entry):
    (A, W, b), Z = CACHES[0]
    arrays = {"A": A, "W": W, "Z": Z}
    arrays[entry] = put(arrays[entry], np.nan)
    caches = [((arrays["A"], arrays["W"], b), arrays["Z"]), CACHES[1]]
    for function in (lambda: jaxnet.L_model_backward(AL, Y, caches), lambda: jaxnet.backpropagate(AL, caches)):
        with pytest.raises(InputError, match=rf"^{entry}\d has 1 entries that are not finite"):
            function()


MASKS = (None, np.ones((3, 6), np.float32) / 0.5)


@pytest.mark.parametrize(
    "masks, message",
    [
        (MASKS[:1], "got 1 masks; expected a list of 2"),
        ((*MASKS, None), "got 3 masks; expected a list of 2"),
        (np.ones((2, 3, 6)), "got masks of type ndarray; expected a list of 2"),
        ((None, np.ones((3, 1), np.float32)), r"masks\[1\] has shape \(3, 1\); expected \(3, 6\), that of A1"),
        ((None, put(MASKS[1], np.nan)), r"masks\[1\] has 1 entries that are not finite"),
        ((None, np.ma.masked_array(MASKS[1])), r"masks\[1\] is a masked array"),
        ((None, MASKS[1] + 0j), r"masks\[1\] is complex64; expected numbers"),
        ((None, MASKS[1].astype(str)), r"masks\[1\] is <U32; expected numbers"),
    ],
)
def test_masks_that_would_broadcast_or_are_none(masks, message):
    for call in (
        lambda: jaxnet.L_model_forward(X, PARAMETERS, masks=masks),
        lambda: jaxnet.cost_and_grads(X, Y, PARAMETERS, masks=masks),
        lambda: jaxnet.cost(X, Y, PARAMETERS, masks=masks),
        lambda: jaxnet.backpropagate(AL, CACHES, masks=masks),
        lambda: readouts.record(X, Y, PARAMETERS, masks=masks),
    ):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda v: jaxnet.update_parameters(PARAMETERS, GRADS, v),
            "learning_rate is nan; expected a number",
        ),
        (lambda v: jaxnet.l2_cost(PARAMETERS, v, 6), "lambd is nan; expected a number from 0"),
        (lambda v: readouts.clipped_gradient(RECORD, v), "max_norm is nan"),
        (lambda v: readouts.clipped_gradient(RECORD, jnp.asarray(v)), "max_norm is nan"),
        (lambda v: readouts.clipped_gradient(RECORD, 1.0, v, key=jax.random.key(0)), "noise_multiplier is nan"),
        (lambda v: readouts.influence(RECORD, RECORD, v), "damping is nan"),
        (lambda v: readouts.mean_gradient(RECORD, np.full(6, v)), "weights has 6 entries that are not finite"),
        (lambda v: jaxnet.initialize_parameters_deep((4, 1), key=jax.random.key(0), init=v), "init is nan"),
        (lambda v: jaxnet.update_parameters(PARAMETERS, GRADS, f"{v}"), "learning_rate is 'nan'; expected a number"),
        (lambda v: jaxnet.update_parameters(PARAMETERS, GRADS, v + 1j), "learning_rate is .*; expected a number"),
    ],
)
def test_numbers_that_are_not_finite(call, message):
    with pytest.raises(InputError, match=message):
        call(float("nan"))


def test_an_output_that_is_not_finite_is_no_label():
    parameters = PARAMETERS | {"W1": np.full((3, 4), 3e38, np.float32), "W2": np.float32([[1, -1, 1]])}
    with pytest.raises(InputError, match="the output AL has . entries that are not finite"):
        jaxnet.predict(np.full((4, 6), 10, np.float32), parameters)


def test_a_donated_array_is_named():
    parameters = jax.tree.map(jnp.array, PARAMETERS)
    state = jaxnet.init_state(parameters)
    jaxnet.make_update_step()(X, Y, state)
    with pytest.raises(InputError, match="W1 was donated to a compiled step and is gone; use the arrays that the step"):
        jaxnet.predict(X, state.parameters)


def test_what_is_traced_is_not_looked_at_and_adds_nothing():
    """The program of checked functions is that of the mathematics alone: no branch, no callback."""
    bad = put(X, np.nan)
    assert jax.jit(jaxnet.predict)(bad, PARAMETERS)[0, 1] == 0
    assert np.isnan(jax.jit(jaxnet.cost)(bad, Y, PARAMETERS))
    assert jax.jit(jaxnet.compute_cost)(AL, 255 * Y) < 0
    by_example = jax.vmap(lambda x, y: jaxnet.cost(x[:, None], y[:, None], PARAMETERS), (1, 1))(X, Y)
    assert np.isfinite(by_example).all()
    program = str(jax.make_jaxpr(jaxnet.cost_and_grads)(X, Y, PARAMETERS))
    assert not any(word in program for word in ("callback", "is_finite", "cond", "reduce_and"))


@pytest.mark.thorough
def test_an_explosion_may_be_looked_at():
    """Finite inputs and parameters whose signals are not finite: the cost says so, and so do the sizes."""
    parameters = PARAMETERS | {"W1": np.full((3, 4), 3e38, np.float32)}
    J, _ = jaxnet.cost_and_grads(np.full((4, 6), 10, np.float32), Y, parameters)
    assert not np.isfinite(J)
    sizes = jaxnet.signal_sizes(np.full((4, 6), 10, np.float32), Y, parameters)
    assert not np.isfinite(sizes.Z[0])
