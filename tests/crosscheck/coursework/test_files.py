"""A learner's file: right ones agree, and what is wrong is found by function, with the words that help."""

import json

import pytest

import jaxnet
from jaxnet import Verdict
from jaxnet.crosscheck.coursework.course import CHECKS, checks


RIGHT = """
import numpy as np


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z)), Z


def relu(Z):
    return np.maximum(0, Z), Z


def linear_forward(A, W, b):
    return W @ A + b, (A, W, b)


def linear_activation_forward(A_prev, W, b, activation):
    Z, linear_cache = linear_forward(A_prev, W, b)
    A, activation_cache = sigmoid(Z) if activation == "sigmoid" else relu(Z)
    return A, (linear_cache, activation_cache)


def L_model_forward(X, parameters):
    A, caches, L = X, [], len(parameters) // 2
    for l in range(1, L + 1):
        activation = "sigmoid" if l == L else "relu"
        A, cache = linear_activation_forward(A, parameters[f"W{l}"], parameters[f"b{l}"], activation)
        caches.append(cache)
    return A, caches


def compute_cost(AL, Y):
    m = Y.shape[1]
    return -np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL)) / m


def linear_backward(dZ, cache):
    A_prev, W, b = cache
    m = A_prev.shape[1]
    dW = dZ @ A_prev.T / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    dA_prev = W.T @ dZ
    return dA_prev, dW, db


def relu_backward(dA, cache):
    return dA * (cache > 0)


def sigmoid_backward(dA, cache):
    s = 1 / (1 + np.exp(-cache))
    return dA * s * (1 - s)


def linear_activation_backward(dA, cache, activation):
    linear_cache, activation_cache = cache
    backward = relu_backward if activation == "relu" else sigmoid_backward
    return linear_backward(backward(dA, activation_cache), linear_cache)


def L_model_backward(AL, Y, caches):
    grads, L = {}, len(caches)
    dA = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL))
    for l in reversed(range(L)):
        activation = "sigmoid" if l == L - 1 else "relu"
        dA, dW, db = linear_activation_backward(dA, caches[l], activation)
        grads[f"dA{l}"], grads[f"dW{l + 1}"], grads[f"db{l + 1}"] = dA, dW, db
    return grads


def update_parameters(parameters, grads, learning_rate):
    return {name: value - learning_rate * grads["d" + name] for name, value in parameters.items()}
"""

# What is written instead of what, the first function at fault, and words of its explanation.
SLIPS = {
    "no mean": ("dZ @ A_prev.T / m", "dZ @ A_prev.T", "linear_backward", "dW is m times too large"),
    "no mean in db": ("keepdims=True) / m", "keepdims=True)", "linear_backward", "db is m times too large"),
    "bias over everything": (
        "np.sum(dZ, axis=1, keepdims=True) / m",
        "np.sum(dZ) / m",
        "linear_backward",
        "one number, the sum over all units",
    ),
    "bias without keepdims": (", keepdims=True", "", "linear_backward", "and the right numbers; expected (3, 1)"),
    "bias over the wrong axis": (
        "np.sum(dZ, axis=1, keepdims=True)",
        "np.sum(dZ, axis=0, keepdims=True)",
        "linear_backward",
        "the sum runs over the units instead of the examples",
    ),
    "dW transposed": ("dZ @ A_prev.T / m", "A_prev @ dZ.T / m", "linear_backward", "dW is transposed"),
    "W not transposed": ("W.T @ dZ", "W @ dZ", "linear_backward", "it raised ValueError: matmul"),
    "two returned": ("return dA_prev, dW, db", "return dW, db", "linear_backward", "2 things; expected three"),
    "nothing returned": ("return dA_prev, dW, db", "pass", "linear_backward", "it returned None; expected three"),
    "relu without a gate": ("dA * (cache > 0)", "dA", "relu_backward", "the derivative of the activation is missing"),
    "relu gate of the signal": ("dA * (cache > 0)", "dA * (dA > 0)", "relu_backward", "the derivative is taken at dA"),
    "relu turned round": ("(cache > 0)", "(cache < 0)", "relu_backward", "the derivative is turned round"),
    "relu at zero": ("(cache > 0)", "np.where(cache == 0, 7, cache > 0)", "relu_backward", "at Z = 0 the slope is 7"),
    "sigmoid twice": ("dA * s * (1 - s)", "dA * s * (1 - s) * s * (1 - s)", "sigmoid_backward", "applied twice"),
    "sigmoid without 1 - s": ("dA * s * (1 - s)", "dA * s", "sigmoid_backward", "g(Z) stands where its derivative"),
    "activations swapped backward": (
        'relu_backward if activation == "relu"',
        'sigmoid_backward if activation == "relu"',
        "linear_activation_backward",
        "the derivative is that of sigmoid",
    ),
    "sign of dAL": ("dA = -(np", "dA = (np", "L_model_backward", "dZ is of the wrong sign"),
    "terms of dAL": (
        "np.divide(Y, AL) - np",
        "np.divide(Y, AL) + np",
        "L_model_backward",
        "the two terms of dAL have one sign",
    ),
    "sigmoid everywhere": (
        'activation = "sigmoid" if l == L - 1 else "relu"',
        'activation = "sigmoid"',
        "L_model_backward",
        "the derivative is that of sigmoid",
    ),
    "one layer too few": ("in reversed(range(L))", "in reversed(range(1, L))", "L_model_backward", "dW1 was not"),
    "climbing": ("value - learning_rate", "value + learning_rate", "update_parameters", "the gradient is added"),
    "no rate": ("learning_rate * grads", "grads", "update_parameters", "the learning rate is missing"),
    "own W for every layer": ('grads["d" + name]', 'grads["dW1"]', "update_parameters", "it raised ValueError"),
    "no bias": ("W @ A + b", "W @ A", "linear_forward", "b is not added"),
    "relu that is none": ("np.maximum(0, Z)", "np.minimum(0, Z)", "relu", "it keeps what is below 0"),
    "sigmoid of -Z": ("1 / (1 + np.exp(-Z))", "1 / (1 + np.exp(Z))", "sigmoid", "the sign of Z is wrong"),
    "cost without a mean": ("np.log(1 - AL)) / m", "np.log(1 - AL))", "compute_cost", "m times too large"),
    "cost without a minus": ("return -np.sum", "return np.sum", "compute_cost", "the minus sign is missing"),
    "cost of one term": (" + (1 - Y) * np.log(1 - AL)", "", "compute_cost", "(1 - Y) log(1 - AL) is missing"),
    "cost of every example": ("return -np.sum(", "return -(", "compute_cost", "returned shape (1, 7); expected one"),
    "a name that is none": ("dW = dZ @", "dW = dz @", "linear_backward", "it raised NameError: name 'dz'"),
    "one cache": ("caches.append(cache)", "caches = [cache]", "L_model_forward", "it returned 1 caches; expected"),
    "last activation": (
        '"sigmoid" if l == L else "relu"\n        A, cache',
        '"relu"\n        A, cache',
        "L_model_forward",
        "the last layer has relu; it has sigmoid",
    ),
}  # fmt: skip


def functions_of(source):
    names: dict = {}
    exec(compile(source, "my_backprop.py", "exec"), names)
    return names


def checked(source):
    """Every function of the source, in this process."""
    return [check() for _, check in checks(functions_of(source))]


def text_of(function):
    return " ".join([function.reason, *(finding.text for finding in function.findings)])


def test_a_right_file_agrees_function_by_function():
    found = checked(RIGHT)
    assert [function.name for function in found] == list(CHECKS)
    assert all(function.verdict is Verdict.AGREE for function in found), found


@pytest.mark.parametrize("name", SLIPS)
@pytest.mark.few(8)
def test_a_slip_is_found_in_its_function_and_explained(name):
    before, after, at_fault, words = SLIPS[name]
    assert RIGHT.count(before) == 1
    found = (check() for _, check in checks(functions_of(RIGHT.replace(before, after))))
    wrong = next(function for function in found if function.verdict is Verdict.DISAGREE)
    assert wrong.name == at_fault and words in text_of(wrong), text_of(wrong)


# What a function returns that is no array of numbers, or not as many things; `right` is what it returns rightly.
RETURNED = {
    "sigmoid": {"None": "A is None; expected an array of shape (3, 7)", "right[0], None": None, "()": "a tuple of 0"},
    "relu": {"'text'": "A is of type str", "right[0].astype(str)": "A is an array of text"},
    "linear_forward": {
        "right[0]": "it returned ndarray; expected two things: Z, cache",
        "None, right[1]": "Z is None; expected an array of shape",
        "(right[0],)": "it returned 1 thing; expected two",
    },
    "linear_activation_forward": {"np.ma.masked_array(right[0], right[0] > 0), 0": "A is a masked array with masked"},
    "L_model_forward": {"right[0] + 0j, right[1]": "AL is complex, of dtype complex128", "{}": "it returned dict"},
    "compute_cost": {
        "None": "the cost is None; expected a number",
        "[]": "returned shape (0,); expected one number",
        "(right,)": "the cost is a tuple of 1",
        "[[1], [2, 3]]": "the cost is a ragged list",
    },
    "linear_backward": {
        "right[0], None, right[2]": "dW is None; expected an array of shape (3, 4)",
        "dict(dW=1)": "it returned dict; expected three things: dA_prev, dW, db",
        "Unreadable(right)": "the Unreadable that it returned cannot be read: ValueError",
        "right[0].tolist(), right[1], [1, None]": "db is a list with entries that are not numbers",
    },
    "relu_backward": {
        "None": "dZ is None; expected an array of shape (3, 7)",
        "right, cache": "dZ is a tuple of 2",
        "3.0": "dZ has shape (); expected (3, 7)",
        "np.cos(right) + cache ** 3": "dZ is wrong in a way not known here",
        "right + np.random.random()": "it is not deterministic: called twice with the same inputs, its values differ",
        "right if cache.size > 1 else None": "dZ is None; expected an array of shape (1, 1)",
        "right if cache.size > 1 else right[0, :0]": "dZ has shape (0,); expected (1, 1)",
        "right.astype(object)": "dZ is an array of dtype object",
        "np.ones((10_000, 10_000), bool)": "dZ has shape (10000, 10000); expected an array of shape (3, 7)",
        "every_second(right)": "it is not deterministic: called again, it raised KeyError",
        "unnamed()": "dZ is of type object, which raised ValueError when read as an array",
    },
    "sigmoid_backward": {"[[1, 2], [3]]": "dZ is a ragged list", "{}": "dZ is of type dict"},
    "linear_activation_backward": {"None": "it returned None; expected three", "right[0], {}, 1": "dW is of type dict"},
    "L_model_backward": {
        "None": "it returned None; expected a dict with the keys dW1, db1, ..., dW3, db3",
        "right | {'dW2': None}": "dW2 is None; expected an array of shape (3, 4)",
        "right | {'db1': [[1], [2, 3]]}": "db1 is a ragged list; expected an array of shape (4, 1)",
        "right | {'dA1': 'text'}": "dA1 is of type str; expected an array of shape (4, 7)",
        "dict.fromkeys(right)": "dW3 is None",
        "{'dw1': 1}": "returned the keys dw1; expected dW1, db1, ..., dW3, db3",
        "right | {'more': None, 3: 'x'}": None,
        "right | {'dW1': right['dW1'] + np.random.random()}": "it is not deterministic",
        "list(right.values())": "it returned list; expected a dict",
        "Raising(right)": "the Raising that it returned cannot be read: KeyError",
    },
    "update_parameters": {
        "None": "it returned None; expected a dict with the keys W1, b1, W2, b2, W3, b3",
        "{'W1': right['W1'], 3: 3}": "it returned the keys W1, without b1; expected W1, b1, W2",
        "right | {'W2': None}": "W2 is None; expected an array of shape (3, 4)",
    },
}  # fmt: skip
RAISING = """
import collections

class Raising(collections.UserDict):
    def __getitem__(self, key):
        raise KeyError(key)

class Unreadable(tuple):
    def __iter__(self):
        raise ValueError

class Unnamed(type):
    __name__ = property(lambda self: 1 / 0)

class unnamed(metaclass=Unnamed):
    def __array__(self, *args, **options):
        raise ValueError

def every_second(right, calls=[]):
    calls.append(1)
    return right if len(calls) % 2 else {}[3]
"""


@pytest.mark.parametrize("name, returned", [(name, returned) for name in RETURNED for returned in RETURNED[name]])
@pytest.mark.few(12)
def test_what_a_function_returns_is_looked_at_first(name, returned):
    source = f"{RIGHT}{RAISING}\nright_one = {name}\ndef {name}(*given):\n"
    source += f"    right, cache = right_one(*given), given[-1]\n    return {returned}\n"
    found = {f: check() for f, check in checks(functions_of(source)) if f == name}[name]
    words = RETURNED[name][returned]
    assert found.verdict is (Verdict.DISAGREE if words else Verdict.AGREE)
    assert (words or "") in text_of(found), text_of(found)


@pytest.mark.thorough
def test_this_librarys_own_functions_are_right():
    names = [name for name in CHECKS if hasattr(jaxnet, name)]
    found = [check() for _, check in checks({name: getattr(jaxnet, name) for name in names})]
    assert len(found) == 10 and all(function.verdict is Verdict.AGREE for function in found), found


def test_conventions_are_notes():
    in_place = """
def update_parameters(parameters, grads, learning_rate):
    for name in parameters:
        parameters[name] = parameters[name] - learning_rate * grads["d" + name]
    return parameters
"""
    older = RIGHT.replace('grads[f"dA{l}"]', 'grads[f"dA{l + 1}"]').replace("(cache > 0)", "(cache >= 0)")
    notes = {function.name: function.notes for function in checked(older + in_place)}
    assert "the older notebooks number dA_prev" in notes["L_model_backward"][0]
    assert "at Z = 0 your slope is 1" in notes["relu_backward"][0]
    assert notes["update_parameters"] == ("it changes the parameters that it is given, in place",)
    assert all(function.verdict is Verdict.AGREE for function in checked(older + in_place))


def test_caches_may_be_laid_out_as_their_own_forward_does():
    """As dicts, which no cache of the course's form can stand for."""
    own = RIGHT.replace("(A, W, b)\n", '{"A": A, "W": W, "b": b}\n').replace(
        "A_prev, W, b = cache", 'A_prev, W, b = cache["A"], cache["W"], cache["b"]'
    )
    chain = {function.name: function for function in checked(own)}["L_model_backward"]
    assert chain.verdict is Verdict.AGREE and "with the caches of your own forward" in chain.notes


# ---- the file, in a process of its own


@pytest.fixture
def write(tmp_path):
    def write(source, name="my_backprop.py"):
        (tmp_path / name).write_text(source)
        return tmp_path / name

    return write


def test_a_file_is_checked_and_its_prints_go_nowhere(write):
    write("FACTOR = 3", "beside.py")
    source = RIGHT.replace("dZ @ A_prev.T / m", "FACTOR * dZ @ A_prev.T / m") + "\nprint('x' * 100000)"
    report = jaxnet.check_file(write("from beside import FACTOR\n" + source + "\nif __name__ == '__main__': 1 / 0"))
    assert report.verdict is Verdict.DISAGREE and not report.agrees
    assert "linear_backward             DISAGREES\n  dW: dW is 3 times what it should be" in str(report)
    assert "L_model_backward            DISAGREES, as `linear_backward` does" in str(report)
    assert "xxx" not in str(report) and len(str(report).splitlines()) < 60
    assert json.loads(report.to_json())["functions"][6]["findings"][0]["code"] == "factor"
    with pytest.raises(TypeError, match="no truth value"):
        bool(report)


@pytest.mark.parametrize(
    "before, after, words",
    [
        (
            "dA_prev = W.T @ dZ",
            "while True: __import__('time').sleep(1)",
            "linear_backward  DISAGREES\n  it did not return within 8 s",
        ),
        ("dA_prev = W.T @ dZ", "import ctypes; ctypes.string_at(0)", "crashed the process (signal 11)"),
        ("dA_prev = W.T @ dZ", "raise SystemExit(3)", "it raised SystemExit: 3"),
        ("dA_prev = W.T @ dZ", "dA_prev = input()", "it raised EOFError"),
        ("dA_prev = W.T @ dZ", "return linear_backward(dZ, cache)", "it raised RecursionError"),
    ],
    ids=["endless", "crash", "exit", "input", "recursion"],
)  # fmt: skip
@pytest.mark.few(1)
def test_a_function_that_never_comes_back_is_a_finding(write, before, after, words):
    only = RIGHT[: RIGHT.index("def sigmoid")] + RIGHT[RIGHT.index("def linear_backward") : RIGHT.index("def relu_b")]
    limit = 8.0 if "while True" in after else 300.0  # no other comes near its limit, however busy the machine
    report = jaxnet.check_file(write(only.replace(before, after)), time_limit=limit)
    assert report.verdict is Verdict.DISAGREE and words in str(report)


@pytest.mark.parametrize(
    "source, message",
    [
        ("def f(:", r"it cannot be imported: SyntaxError: .* \(line 1\)"),
        ("import nothing_of_that_name", "it cannot be imported: ModuleNotFoundError: No module named"),
        ("x = 1\n1 / 0", r"it cannot be imported: ZeroDivisionError: division by zero \(line 2\)"),
    ],
)
@pytest.mark.few(1)
def test_a_file_that_cannot_be_imported_is_told(write, source, message):
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.check_file(write(source))


@pytest.mark.parametrize(
    "source, message",
    [
        ("def helper(): pass", "it defines helper; expected any of linear_forward, sigmoid"),
        ("", "it defines no function; expected any of"),
    ],
)
def test_a_file_without_the_functions_is_told(write, source, message):
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.check_file(write(source))


def test_no_file_is_told(tmp_path):
    with pytest.raises(jaxnet.InputError, match="is not a file; expected a Python file"):
        jaxnet.check_file(tmp_path / "none.py")
