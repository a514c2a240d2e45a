"""`check_training_step` on updates written in many ways, right and wrong."""

import copy
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.crosscheck.anycode.arrays import arrays_in, chains


def drawn(*shape):
    return np.random.default_rng(shape).normal(size=shape)


X = drawn(8, 3)  # examples in rows
y = np.array([0, 1, 1, 0, 1, 0, 0, 1])
T = drawn(8, 2)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rows(X, Y, W, b, *, hidden=np.tanh, slope=lambda a: 1 - a * a, output=sigmoid, wrong=""):
    """The gradient of the mean loss of a two-layer network, examples in rows."""
    A1 = hidden(X @ W[0] + b[0])
    dZ2 = output(A1 @ W[1] + b[1]) - Y
    dZ1 = dZ2 @ W[1].T * (1 if wrong == "slope" else slope(A1))
    m = len(X)
    db1 = dZ1.sum(0) if wrong == "db" else dZ1.sum(0) / m
    dW1 = X.T @ (dZ2 @ W[1].T if wrong == "stale" else dZ1) / m
    return [dW1, A1.T @ dZ2 / m], [db1, dZ2.sum(0) / m]


def in_place(rate=0.1, factor=1.0, **how):
    """An update of `{"W": [W1, W2], "b": [b1, b2]}`."""

    def step(X, Y, weights):
        for p, g in zip(weights["W"] + weights["b"], sum(rows(X, Y, **weights, **how), []), strict=True):
            p -= rate * factor * g

    return step


def weights(n_L=1, dtype="float64"):
    W = [drawn(3, 4).astype(dtype), drawn(4, n_L).astype(dtype)]
    return {"W": W, "b": [drawn(4).astype(dtype), drawn(n_L).astype(dtype)]}


class Tensor:
    """What is seen of a tensor of torch."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.array

    def __array__(self, *_, **__):
        raise TypeError("it requires grad")


class Module:
    def __init__(self):
        self.tensors = {"0.weight": Tensor(drawn(4, 3)), "0.bias": Tensor(drawn(4)), "2.weight": Tensor(drawn(1, 4))}

    def named_parameters(self):
        return self.tensors.items()

    def step(self, X, Y):
        W1, b1, W2 = (t.array for t in self.tensors.values())
        dW, db = rows(X, Y, [W1.T, W2.T], [b1, 0])
        W1 -= 0.1 * dW[0].T
        W2 -= 0.1 * dW[1].T
        b1 -= 0.1 * db[0]


def perceptron(X, Y, weights):
    w, b = weights
    error = sigmoid(np.dot(np.array(X), np.array(w)) + b) - np.array(Y)
    return [list(np.array(w) - 0.5 * np.array(X).T @ error), b - 0.5 * float(error.sum())]


def columns(X, Y, parameters):
    p = {k: v - 0.3 * g for (k, v), g in zip(parameters.items(), _columns_grads(X, Y, **parameters), strict=True)}
    return p, 0.7  # the cost


def _columns_grads(X, Y, W1, b1, W2, b2):
    A1 = np.maximum(0, W1 @ X + b1)
    dZ2 = (W2 @ A1 + b2 - Y) * 2 / Y.shape[1]
    dZ1 = W2.T @ dZ2 * (A1 > 0)
    return dZ1 @ X.T, dZ1.sum(1, keepdims=True), dZ2 @ A1.T, dZ2.sum(1, keepdims=True)


def layer_objects(X, Y, net):
    first, second = net.layers
    dW, db = rows(X, Y, [first.w, second.w], [first.bias, second.bias])
    net.loss_history.append(0.1)
    for layer, g, h in zip(net.layers, dW, db, strict=True):
        layer.dw = g
        layer.w = layer.w + 0.2 * -g
        layer.bias = layer.bias + 0.2 * -h


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def class_numbers(X, Y, w):
    return in_place(output=softmax)(X, np.eye(2)[Y], w)


def jax_step(X, Y, w):
    return {"w1": w["w1"] - 0.1 * X.T @ (jnp.asarray(X) @ w["w1"] - Y) / len(X)}


def decayed(X, Y, w):
    old = copy.deepcopy(w["W"])
    in_place()(X, Y, w)
    w["W"] = [new - 0.01 * W for new, W in zip(w["W"], old, strict=True)]


net = SimpleNamespace(
    lr=0.1,
    sizes=[3, 4, 1],
    loss_history=[],
    layers=[SimpleNamespace(w=drawn(3, 4), bias=drawn(1, 4)), SimpleNamespace(w=drawn(4, 1), bias=drawn(1, 1))],
)
column_weights = {"W1": drawn(4, 3), "b1": drawn(4, 1), "W2": drawn(2, 4), "b2": drawn(2, 1)}
Y = y[:, None] * 1.0

RIGHT = {
    "in place": (in_place(), X, Y, weights(), "tanh hidden layers, sigmoid and binary", "rows, losses averaged"),
    "summed": (
        lambda X, Y, w: in_place(factor=len(X))(X, Y, w),
        X,
        Y,
        weights(),
        "sigmoid and binary",
        "losses summed, learning rate 0.1",
    ),
    "float32": (in_place(), X.astype("f"), Y.astype("f"), weights(dtype="float32"), "binary", "learning rate 0.1"),
    "torch": (lambda X, Y, n: n.step(X, Y), X, Y, Module(), "tanh hidden", "learning rate 0.1"),
    "lists": (perceptron, X.tolist(), y.tolist(), [[0.1, 0.2, -0.3], 0.5], "sigmoid", "losses summed"),
    "columns": (columns, X.T, T.T, column_weights, "relu hidden layers, linear", "columns, losses averaged"),
    "objects": (layer_objects, X, Y, net, "tanh", "learning rate 0.2"),
    "class numbers": (class_numbers, X, y, weights(2), "softmax", "rows"),
    "jax": (jax_step, X.astype("f"), T.astype("f"), {"w1": jnp.ones((3, 2))}, "linear output", "rate 0.1"),
    "decay": (decayed, X, Y, weights(), "sigmoid and binary", "L2 penalty that takes 0.01 of W off"),
    "leaky": (
        in_place(hidden=lambda z: np.where(z > 0, z, 0.01 * z), slope=lambda a: np.where(a > 0, 1, 0.01)),
        *(X, Y, weights(), "leaky_relu", "rate 0.1"),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_convention_of_right_code_is_found(name):
    step, X, Y, w, network, how = RIGHT[name]
    report = jaxnet.check_training_step(step, X, Y, w)
    assert report.agrees, report
    assert network in report.conventions[0]
    assert how in report.conventions[0]


WRONG = {
    "slope": (in_place(wrong="slope"), "dZ1", "slope-missing"),
    "db": (in_place(wrong="db"), "db1", "mean-missing"),
    "ascent": (in_place(rate=-0.1), "update", "ascent"),
    "stale": (in_place(wrong="stale"), "dW1", None),
    "twice": (lambda X, Y, w: in_place(0.1 / len(X))(X, Y, w), "update", "mean-twice"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_wrong_array_is_placed_and_explained(name, dtype):
    step, place, code = WRONG[name]
    report = jaxnet.check_training_step(step, X.astype(dtype), Y.astype(dtype), weights(dtype=dtype))
    assert report.verdict == "disagree"
    assert report.findings[0].place == place, report
    assert code in (None, report.findings[0].code)


def test_a_given_rate_settles_the_factor():
    report = jaxnet.check_training_step(in_place(0.1, 2), X, Y, weights(), learning_rate=0.1)
    assert "squares not halved, learning rate 0.1" in report.conventions[0]
    report = jaxnet.check_training_step(in_place(0.1, 3), X, Y, weights(), learning_rate=0.1)
    assert report.findings[0].text.startswith("the update is 3 times learning_rate times the gradient")


def test_a_network_of_ones_own():
    def step(X, Y, w):
        w["W"][0] -= 0.1 * X.T @ (np.tanh(X @ w["W"][0] / 3) - Y)

    w = {"W": [drawn(3, 1)]}
    assert jaxnet.check_training_step(step, X, Y, w).verdict == "inconclusive"
    report = jaxnet.check_training_step(step, X, Y, w, network=jaxnet.Network(loss="squared_error"))
    assert report.verdict == "disagree"


def test_digits_lost_in_the_subtraction():
    report = jaxnet.check_training_step(in_place(1e-6), X, Y, weights(dtype="float32"), learning_rate=1e-6)
    assert report.verdict == "inconclusive"
    assert "larger" in report.reason


def test_the_first_step_of_adam_has_no_gradient():
    def adam(X, Y, w):
        dW, db = rows(X, Y, **w)
        for p, g in zip(w["W"] + w["b"], dW + db, strict=True):
            p -= 0.001 * np.sign(g)

    assert "first step of Adam" in jaxnet.check_training_step(adam, X, Y, weights()).reason


def writes(X, Y, w):
    X += 1
    return in_place()(X, Y, w)


def draws(X, Y, w):
    w["W"][0] -= np.random.default_rng().normal(size=w["W"][0].shape)


def spoils(X, Y, w):
    w["W"][0][0] = np.nan


def fails(X, Y, w):
    return X @ X


BAD = {
    "nothing": (lambda X, Y, w: None, X, Y, weights(), "changes nothing"),
    "draws": (draws, X, Y, weights(), "draws at random"),
    "writes": (writes, X, Y, weights(), "writes into X"),
    "nan": (spoils, X, Y, weights(), "not finite after the step"),
    "raises": (fails, X, Y, weights(), r"raised ValueError: matmul.* \(line \d+\)"),
    "text": (in_place(), "X", Y, weights(), "X is of type str"),
    "inf": (in_place(), X + np.inf, Y, weights(), "X has entries that are not finite"),
    "one X": (in_place(), X[0], Y, weights(), "X has shape"),
    "no layers": (in_place(), X, Y, {"W": drawn(5, 5)}, r"weights hold W \(5, 5\); expected matrices"),
    "empty": (in_place(), X, Y, {}, "no array of floats"),
    "labels": (in_place(), X, Y[:3], weights(), "expected matrices"),
    "others": (lambda X, Y, w: w.clear(), X, Y, weights(), "other arrays than before"),
    "uncopied": (in_place(), X, Y, {"W": drawn(3, 1), "g": (i for i in ())}, "cannot be copied"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_step_that_cannot_be_used(name):
    step, X, Y, w, text = BAD[name]
    with pytest.raises(jaxnet.InputError, match=text):
        jaxnet.check_training_step(step, X, Y, w)


@pytest.mark.parametrize("rate", [0, -1, np.inf, np.nan])
def test_a_rate_is_positive(rate):
    with pytest.raises(jaxnet.InputError, match="learning_rate is"):
        jaxnet.check_training_step(in_place(), X, Y, weights(), learning_rate=rate)


@pytest.mark.parametrize(
    ("holder", "W", "b"),
    [
        ([drawn(3, 4), drawn(1, 4), drawn(4, 1), drawn(1, 1)], ("[0]", "[2]"), ("[1]", "[3]")),
        ([(drawn(4, 3), drawn(4)), (drawn(1, 4), drawn(1))], ("[0][0]", "[1][0]"), ("[0][1]", "[1][1]")),
        ({"b2": 0.0, "W2": drawn(4, 1), "b1": drawn(4), "W1": drawn(3, 4)}, ("W1", "W2"), ("b1", "b2")),
        ({"syn0": drawn(3, 4), "syn1": drawn(4, 1)}, ("syn0", "syn1"), (None, None)),
        ({"W": drawn(3, 1), "dW": drawn(3, 1), "vW": drawn(3, 1), "lr": 0.1}, ("W",), (None,)),
    ],
)
def test_layers_are_seen_in_arrays(holder, W, b):
    layers = chains(arrays_in(holder), 3, lambda n_L: n_L == 1)[0]
    assert (layers.W, layers.b) == (W, b)
