"""Hostile arguments for every public function: `python -m tests.fuzz [--calls 2000] [--seed 0]`.

In each call one argument is replaced: by another type, shape, dtype, or by values that mean nothing. What comes back
must be the answer for what the argument means, NaN where NaN went in, an `InputError` that says what to do, or, for a
type that means nothing at all, a `TypeError` of one line that names the argument. All else is a fault, and is listed.
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet
from jaxnet import readouts


class Call(NamedTuple):
    """A public function, and arguments that are right."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    labels: tuple[str, ...] = ()  # arguments that are labels: 0 to 1
    finite: tuple[str, ...] = ()  # arguments in which NaN is refused rather than passed on
    unread: tuple[str, ...] = ()  # arguments whose numbers are not looked at, or whose NaN has an answer by convention


class Outcome(NamedTuple):
    """What became of a call."""

    kind: str  # "right", "refused", "type error", or "fault"
    text: str


def calls() -> dict[str, Call]:
    """Every public function that computes, on one small network."""
    random = np.random.default_rng(0)
    X = random.normal(size=(3, 4)).astype(np.float32)
    Y = np.array([[0.0, 1.0, 1.0, 0.0]], np.float32)
    parameters = jaxnet.initialize_parameters_deep((3, 2, 1), key=jax.random.key(0))
    AL, caches = jaxnet.L_model_forward(X, parameters)
    grads = jaxnet.L_model_backward(AL, Y, caches)
    W, b = parameters["W1"], parameters["b1"]
    (_, _, _), Z = caches[0]
    dA, record = jnp.ones_like(Z), readouts.record(X, Y, parameters)
    key, optimizer = jax.random.key(1), optax.sgd(0.1)
    data = {"X": X, "Y": Y, "parameters": parameters}
    steps = {"num_iterations": 2, "chunk": 1, "lambd": 0.1, "keep_prob": 0.9, "batch_size": 2, "key": key}
    state = jaxnet.init_state(parameters, optimizer)
    table = {
        "linear_forward": ({"A": X, "W": W, "b": b},),
        "linear_activation_forward": ({"A_prev": X, "W": W, "b": b, "activation": "relu"},),
        "L_model_forward": ({"X": X, "parameters": parameters, "network": jaxnet.Network()},),
        "compute_cost": ({"AL": AL, "Y": Y}, ("Y",)),
        "relu_backward": ({"dA": dA, "Z": Z}, (), (), ("Z",)),
        "sigmoid_backward": ({"dA": dA, "Z": Z}, (), (), ("Z",)),
        "linear_backward": ({"dZ": dA, "cache": (X, W, b)},),
        "linear_activation_backward": ({"dA": dA, "cache": caches[0], "activation": "relu"},),
        "L_model_backward": ({"AL": AL, "Y": Y, "caches": caches}, ("Y",)),
        "backpropagate": ({"dZL": jnp.ones_like(AL), "caches": caches},),
        "parameter_grads": ({"grads": grads, "parameters": parameters},),
        "update_parameters": ({"parameters": parameters, "grads": grads, "learning_rate": 0.1},),
        "update": ({"X": X, "Y": Y, "state": state, "optimizer": optimizer}, ("Y",)),
        "cost": (data, ("Y",)),
        "cost_and_grads": (data, ("Y",)),
        "predict": ({"X": X, "parameters": parameters}, (), ("X", "parameters")),
        "train": ({"X": X, "Y": Y, "state": parameters, **steps}, ("Y",), ("X", "state", "lambd", "keep_prob")),
        "L_layer_model": (
            {"X": X, "Y": Y, "layer_dims": (3, 2, 1), "learning_rate": 0.1, "num_iterations": 1, "key": key},
            ("Y",),
            ("X", "learning_rate"),
        ),
        "layer_dims": ({"parameters": parameters}, (), (), ("parameters",)),
        "initialize_parameters_deep": ({"layer_dims": (3, 2, 1), "key": key, "init": 0.1},),
        "dropout_masks": ({"layer_dims": (3, 2, 1), "m": 4, "keep_prob": 0.5, "key": key},),
        "l2_cost": ({"parameters": parameters, "lambd": 0.1, "m": 4},),
        "l2_gradient": ({"parameters": parameters, "lambd": 0.1, "m": 4},),
        "layer_signals": (data, ("Y",)),
        "signal_sizes": (data, ("Y",)),
        "singular_values": ({"parameters": parameters},),
        "expected_sizes": ({"layer_dims": (3, 2, 1), "stds": (0.5, 0.5)},),
        "angle": ({"A": X, "B": X[::-1]},),
        "alignment": (data, ("Y",)),
        "check_backward": (data, ("Y",), ("X", "parameters")),
        "good_point": ({"layer_dims": (3, 2, 1), "key": key},),
        "readouts.record": (data, ("Y",)),
        "readouts.clipped_gradient": ({"record": record, "max_norm": 1.0},),
        "readouts.mean_gradient": ({"record": record, "weights": np.ones(4, np.float32)},),
        "readouts.projection": ({"record": record, "direction": parameters},),
        "readouts.hessian_vector_product": ({**data, "V": parameters}, ("Y",)),
        "readouts.ggn_vector_product": ({**data, "V": parameters}, ("Y",)),
    }
    rows = {}
    for name, row in table.items():
        module, _, own = name.rpartition(".")
        rows[name] = Call(getattr(readouts if module else jaxnet, own), *row)
    return rows


def equivalents(value: Any) -> list[Any]:
    """The same numbers in other containers, whose answer is that of `value`."""
    if isinstance(value, jaxnet.FrozenDict):
        return [dict(value), {name: np.asarray(value[name]) for name in reversed(list(value))}]
    if isinstance(value, np.ndarray | jax.Array) and not _is_key(value):
        array = np.asarray(value)
        return [np.asfortranarray(array), np.repeat(array, 2, axis=-1)[..., ::2], jnp.asarray(array)]
    if isinstance(value, float):
        return [np.float32(value), np.array(value, np.float32), jnp.float32(value)]
    return []


def means_nothing(value: Any, random: np.random.Generator) -> list[Any]:
    """Values that no argument in the place of `value` can mean, whatever the function."""
    nonsense = [
        None,
        "nonsense",
        object(),
        {},
        [],
        b"bytes",
        1j,
        ...,
        print,
        {"W1": None},
        np.datetime64("2020-01-01"),
    ]
    if isinstance(value, np.ndarray | jax.Array) and not _is_key(value):
        array = np.asarray(value)
        mask = np.zeros(array.shape, bool)
        mask.flat[random.integers(array.size)] = True
        nonsense += [
            np.ma.masked_array(array, mask),
            array.astype(complex),
            array.astype(str),
            array.astype(object),
            array[..., None, None],
            np.concatenate([array, array]) if array.ndim > 1 else np.concatenate([array, array, array]),
            array[:0],
            array.astype("datetime64[s]"),
            np.zeros(array.shape, [("a", "f4")]),
        ]
    if isinstance(value, jaxnet.FrozenDict):
        name = random.choice([name for name in value if not name.startswith("dA")])  # which no update reads
        array = np.asarray(value[name])
        nonsense += [
            dict(value) | {str(name): broken}
            for broken in (None, "x", array[..., None], array.astype(complex), array.astype(object), array.astype(str))
        ]
        nonsense += [{key: value[key] for key in value if key != name}, [*value.items()], tuple(value.values())]
    if isinstance(value, int) and not isinstance(value, bool):
        nonsense += [-1, 2.5, "3", 10**30, np.nan]
    if isinstance(value, float):
        nonsense += [np.nan, np.inf, -1.0, "0.1", [0.1]]
    return nonsense


def spoiled(value: Any, random: np.random.Generator) -> list[Any]:
    """The same shape with entries that are not finite."""
    if isinstance(value, jaxnet.FrozenDict):
        name = str(random.choice(list(value)))
        return [value | {name: jnp.full_like(value[name], bad)} for bad in (np.nan, np.inf)]
    if isinstance(value, np.ndarray | jax.Array) and jnp.issubdtype(value.dtype, jnp.floating):
        arrays = []
        for bad in (np.nan, np.inf):
            array = np.array(value)
            array.flat[random.integers(array.size)] = bad
            arrays.append(array)
        return arrays
    return []


def wrong_labels(Y: np.ndarray) -> list[Any]:
    """Labels that are no probabilities."""
    return [255 * Y, -Y, Y + np.nan, np.where(Y == 0, 0, np.inf), Y.astype(str), [["cat", "dog", "dog", "cat"]]]


def numbers(answer: Any) -> list[np.ndarray]:
    """The arrays and numbers of an answer, without keys, words and reports; mappings in the order of layers."""
    if isinstance(answer, Mapping):
        answer = jaxnet.FrozenDict(answer)
    if isinstance(answer, tuple):
        return [array for part in answer for array in numbers(part)]
    leaves = [leaf for leaf in jax.tree.leaves(answer) if isinstance(leaf, jax.Array | np.ndarray | float | int)]
    return [np.asarray(leaf, float) for leaf in leaves if not _is_key(leaf)]


def _is_key(value: Any) -> bool:
    return hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def same(answer: Any, other: Any) -> bool:
    """Are two answers the same numbers, up to rounding in float32?"""
    pairs = list(zip(numbers(answer), numbers(other), strict=False))
    return len(pairs) == len(numbers(other)) and all(np.allclose(a, b, 1e-3, 1e-5, equal_nan=True) for a, b in pairs)


def shows_nan(answer: Any) -> bool:
    """Does the answer show that a number is not finite?"""
    if isinstance(answer, jaxnet.Report):
        return not answer.agrees
    return any(not np.isfinite(array).all() for array in numbers(answer))


def outcome(call: Call, name: str, value: Any, kind: str, right: Any) -> Outcome:
    """Calls with one argument replaced, and judges what comes back."""
    try:
        answer = call.function(**call.arguments | {name: value})
        jax.block_until_ready([leaf for leaf in jax.tree.leaves(answer) if isinstance(leaf, jax.Array)])
    except jaxnet.InputError as error:
        text = str(error)
        if kind == "same":
            return Outcome("fault", f"refused what means the same: {text}")
        remedy = any(word in text for word in ("expected", "pass ", "use ", "choose", "write", "try", "must"))
        return Outcome("refused", text) if remedy else Outcome("fault", f"says not what to do: {text}")
    except TypeError as error:
        text = str(error)
        names_it = kind == "nonsense" and "\n" not in text and name in text
        return Outcome("type error" if names_it else "fault", f"TypeError: {text}")
    except jaxnet.NotFiniteError as error:
        return Outcome("refused" if kind == "not finite" else "fault", str(error))
    except Exception as error:
        return Outcome("fault", f"{type(error).__name__}: {error}")
    if kind == "same":
        return Outcome("right", "") if same(answer, right) else Outcome("fault", "another answer for the same numbers")
    if kind == "not finite" and name not in call.finite and shows_nan(answer):
        return Outcome("right", "")
    if kind == "not finite" and name not in call.finite and same(answer, right):
        return Outcome("right", "")  # relu of -inf, say
    return Outcome("fault", "answered in silence")


def cases(call: Call, name: str, random: np.random.Generator) -> list[tuple[str, Any]]:
    """What the argument may be replaced by: the kind, and the value."""
    value = call.arguments[name]
    nonsense = [bad for bad in means_nothing(value, random) if not (bad is None and name in OPTIONAL)]
    if name == "learning_rate":
        nonsense = [bad for bad in nonsense if not (isinstance(bad, float) and bad == -1)]  # is a step uphill
    if name in call.labels:
        return [("nonsense", bad) for bad in [*nonsense, *wrong_labels(value)]]
    if name in call.unread:
        nonsense = [bad for bad in nonsense if not isinstance(bad, Mapping)]
    found = [("same", other) for other in equivalents(value)] + [("nonsense", bad) for bad in nonsense]
    return found if name in call.unread else found + [("not finite", bad) for bad in spoiled(value, random)]


OPTIONAL = ("key", "batch_size", "weights")  # may be None


def run(count: int, seed: int) -> tuple[Counter, list[str]]:
    """So many calls: how many ended how, and the faults, each with the call that shows it."""
    random = np.random.default_rng(seed)
    table, counts, faults, answers = calls(), Counter(), [], {}
    for _ in range(count):
        function = str(random.choice(list(table)))
        call = table[function]
        name = str(random.choice(list(call.arguments)))
        found = cases(call, name, random)
        kind, value = found[random.integers(len(found))]
        if function not in answers:
            answers[function] = call.function(**call.arguments)
        result = outcome(call, name, value, kind, answers[function])
        counts[result.kind] += 1
        if result.kind == "fault":
            faults.append(f"{function}({name}={type(value).__name__} {value!r:.60}) [{kind}]: {result.text:.200}")
    return counts, faults


def main() -> int:
    """Prints the count of every outcome and each fault once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts, faults = run(options.calls, options.seed)
    print(", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())), f"of {options.calls} calls")
    for fault in sorted(set(faults)):
        print(f"  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
