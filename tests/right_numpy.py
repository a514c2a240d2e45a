"""Right NumPy code for a cost and its gradient as people write it: losses, activations, ways to hold parameters.

`draw` gives a case by its number, `write` the code of a case at its point, and `PLANTED` the errors that its gradient
may be given. A right gradient here is, in exact arithmetic, the derivative of the cost as it is written; what both lose
by rounding is their own affair. It shares no code with jaxnet.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .planted_bugs import ACTIVATIONS, SLOPES, sigmoid


SCALES = (0.01, 0.1, 1.0, 5.0, 10.0, 20.0, 40.0)  # of the last weights
STYLES = ("dict", "list", "flat")

Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
    """What is written, and at which point."""

    loss: str
    hidden: str
    dims: tuple[int, ...]
    m: int
    scale: float
    dtype: str
    style: str
    l2: float
    keep: float  # the share of units that dropout keeps; 1.0 is no dropout
    zeros: bool  # biases of 0 and one example of zeros: Z is exactly 0 there
    learned: bool  # the labels are what the network says
    seed: int


class Code(NamedTuple):
    """`fun(*args)` and `grad(*args)`, with respect to the first argument."""

    fun: Callable[..., Any]
    grad: Callable[..., Any]
    args: tuple


# ---- the losses: the cost of the logits, and its derivative by them


class Loss(NamedTuple):
    cost: Callable[[np.ndarray, np.ndarray], Any]
    gradient: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _bce(A, Y):
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def _naive(Z, Y):
    return _bce(sigmoid(Z), Y)


def _from_A(Z, Y):
    return (sigmoid(Z) - Y) / Y.size


def _chain(Z, Y):
    A = sigmoid(Z)
    return -(Y / A - (1 - Y) / (1 - A)) * A * (1 - A) / Y.size


def _clipped(Z, Y):
    return _bce(np.clip(sigmoid(Z), 1e-8, 1 - 1e-8), Y)


def _clipped_gradient(Z, Y):
    A = sigmoid(Z)
    return (A - Y) * ((A > 1e-8) & (A < 1 - 1e-8)) / Y.size


def _with_eps(Z, Y):
    A = sigmoid(Z)
    return -np.mean(Y * np.log(A + 1e-10) + (1 - Y) * np.log(1 - A + 1e-10))


def _with_eps_gradient(Z, Y):
    A = sigmoid(Z)
    return -(Y / (A + 1e-10) - (1 - Y) / (1 - A + 1e-10)) * A * (1 - A) / Y.size


def _chosen(Z, Y):
    A = sigmoid(Z)
    return -np.sum(np.log(np.where(Y == 1, A, 1 - A))) / Y.size


def _from_logits(Z, Y):
    return np.mean(np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z))))


def _margin(Z, Y):
    return np.mean(np.log(1 + np.exp(-(2 * Y - 1) * Z)))


def _margin_gradient(Z, Y):
    return -(2 * Y - 1) * sigmoid(-(2 * Y - 1) * Z) / Y.size


def _softmax(Z):
    E = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return E / np.sum(E, axis=0, keepdims=True)


def _softmax_naive(Z, Y):
    E = np.exp(Z)
    return -np.sum(Y * np.log(E / np.sum(E, axis=0))) / Y.shape[1]


def _softmax_shifted(Z, Y):
    return -np.sum(Y * np.log(_softmax(Z))) / Y.shape[1]


def _softmax_stable(Z, Y):
    S = Z - np.max(Z, axis=0)
    return np.sum(Y * (np.log(np.sum(np.exp(S), axis=0)) - S)) / Y.shape[1]


def _softmax_gradient(Z, Y):
    return (_softmax(Z) - Y) / Y.shape[1]


LOSSES: dict[str, Loss] = {
    "bce": Loss(_naive, _from_A),
    "bce, chain": Loss(_naive, _chain),
    "bce, clipped": Loss(_clipped, _clipped_gradient),
    "bce, eps": Loss(_with_eps, _with_eps_gradient),
    "bce, where": Loss(_chosen, _from_A),
    "bce, logits": Loss(_from_logits, _from_A),
    "bce, margin": Loss(_margin, _margin_gradient),
    "softmax": Loss(_softmax_naive, _softmax_gradient),
    "softmax, shifted": Loss(_softmax_shifted, _softmax_gradient),
    "softmax, stable": Loss(_softmax_stable, _softmax_gradient),
    "squared": Loss(lambda Z, Y: np.sum((Z - Y) ** 2) / (2 * Y.shape[1]), lambda Z, Y: (Z - Y) / Y.shape[1]),
    "squared, sigmoid": Loss(
        lambda Z, Y: np.mean((sigmoid(Z) - Y) ** 2),
        lambda Z, Y: 2 * (sigmoid(Z) - Y) * sigmoid(Z) * (1 - sigmoid(Z)) / Y.size,
    ),
}


# ---- the network


def _forward(case: Case, P: Mapping[str, np.ndarray], X: np.ndarray, masks: list[np.ndarray]):
    """Z_L, and what the way back needs: A_{l-1} and Z_l of every layer."""
    A, caches = X, []
    for l in range(1, len(case.dims)):
        Z = P[f"W{l}"] @ A + P[f"b{l}"]
        caches.append((A, Z))
        if l < len(case.dims) - 1:
            A = ACTIVATIONS[case.hidden](Z) * masks[l - 1] / case.keep
    return Z, caches


def _cost(case: Case, P: Mapping[str, np.ndarray], X: np.ndarray, Y: np.ndarray, masks: list[np.ndarray]):
    Z, _ = _forward(case, P, X, masks)
    J = LOSSES[case.loss].cost(Z, Y)
    if case.l2:
        J = J + case.l2 / (2 * case.m) * sum(np.sum(P[f"W{l}"] ** 2) for l in range(1, len(case.dims)))
    return J


def _gradient(case: Case, P: Mapping[str, np.ndarray], X, Y, masks, slope: Callable | None = None) -> Arrays:
    Z, caches = _forward(case, P, X, masks)
    dZ, grads = LOSSES[case.loss].gradient(Z, Y), {}
    for l in range(len(case.dims) - 1, 0, -1):
        A_prev, Z = caches[l - 1]
        if l < len(case.dims) - 1:
            dA = P[f"W{l + 1}"].T @ dZ
            dZ = dA * masks[l - 1] / case.keep * (slope or SLOPES[case.hidden])(Z)
        grads[f"W{l}"] = dZ @ A_prev.T + case.l2 / case.m * P[f"W{l}"]
        grads[f"b{l}"] = np.sum(dZ, axis=1, keepdims=True)
    return {name: grads[name] for name in P}


# ---- the cases


def draw(seed: int, **chosen: Any) -> Case:
    """The case of that number: losses, activations, scales and types by turns, the rest drawn; `chosen` fixes some."""
    random = np.random.default_rng([14, seed])
    loss, hidden = list(LOSSES)[seed % len(LOSSES)], list(ACTIVATIONS)[random.integers(len(ACTIVATIONS))]
    depth = 1 + int(random.integers(5))
    last = int(random.integers(2, 5)) if loss.startswith("softmax") else int(random.choice([1, 1, 1, 3]))
    case = Case(
        loss,
        hidden,
        (*(int(n) for n in random.integers(2, 6, size=depth)), last),
        int(random.integers(1, 9)),
        SCALES[seed // len(LOSSES) % len(SCALES)],
        ("float64", "float32")[seed // (len(LOSSES) * len(SCALES)) % 2],
        STYLES[random.integers(3)],
        float(random.choice([0.0, 0.0, 0.1, 0.7])),
        float(random.choice([1.0, 1.0, 0.7])),
        bool(random.random() < 0.3),
        bool(random.random() < 0.5),
        seed,
    )
    return case._replace(**chosen)


def write(case: Case, plant: str | None = None) -> Code:
    """The code of the case at its point, its gradient with a planted error if one is named."""
    X, Y, P, masks = _point(case)
    into, out = _styled(case, P)
    damage = PLANTED[plant] if plant else None

    def fun(parameters, X, Y):
        return _cost(case, out(parameters), X, Y, masks)

    def grad(parameters, X, Y):
        P = out(parameters)
        grads = _gradient(case, P, X, Y, masks)
        return into(damage(case, grads, P, X, Y, masks) if damage else grads)

    return Code(fun, grad, (into(P), X, Y))


def _point(case: Case) -> tuple[np.ndarray, np.ndarray, Arrays, list[np.ndarray]]:
    random = np.random.default_rng([15, case.seed])
    X, P, L = random.normal(size=(case.dims[0], case.m)), {}, len(case.dims) - 1
    for l in range(1, L + 1):
        scale = case.scale if l == L else 1 / np.sqrt(case.dims[l - 1])
        P[f"W{l}"] = scale * random.normal(size=(case.dims[l], case.dims[l - 1]))
        P[f"b{l}"] = (0.0 if case.zeros else 0.3) * random.normal(size=(case.dims[l], 1))
    masks = [(random.random((n, case.m)) < case.keep) * 1.0 for n in case.dims[1:-1]]
    if case.zeros:
        X[:, 0] = 0.0
    Z, _ = _forward(case, P, X, masks)
    if case.loss.startswith("softmax"):
        wanted = np.argmax(Z, axis=0) if case.learned else random.integers(case.dims[-1], size=case.m)
        Y = np.eye(case.dims[-1])[:, wanted]
    elif case.loss == "squared":
        Y = Z + random.normal(size=Z.shape) if case.learned else random.normal(size=Z.shape)
    else:
        Y = (Z > 0) * 1.0 if case.learned else random.integers(2, size=Z.shape) * 1.0
    dtype = np.dtype(case.dtype)
    return (
        X.astype(dtype),
        Y.astype(dtype),
        {name: value.astype(dtype) for name, value in P.items()},
        [D.astype(dtype) for D in masks],
    )


def _styled(case: Case, P: Arrays) -> tuple[Callable[[Arrays], Any], Callable[[Any], Mapping[str, np.ndarray]]]:
    """From W1, b1, ... to how this code holds them, and back."""
    names, shapes = list(P), [value.shape for value in P.values()]
    if case.style == "dict":
        return dict, lambda parameters: parameters
    if case.style == "list":
        return lambda P: [P[name] for name in names], lambda parameters: dict(zip(names, parameters, strict=True))
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])

    def unrolled(theta):
        parts = zip(names, shapes, ends[:-1], ends[1:], strict=True)
        return {name: theta[start:end].reshape(shape) for name, shape, start, end in parts}

    return lambda P: np.concatenate([P[name].ravel() for name in names]), unrolled


# ---- the errors


def _one_entry(case, grads, *_):
    """The largest entry of the first weights, 1 % too large."""
    W = grads["W1"].copy()
    W.flat[np.argmax(np.abs(W))] *= 1.01
    return grads | {"W1": W}


def _no_slope(case, _, P, X, Y, masks):
    return _gradient(case, P, X, Y, masks, slope=np.ones_like)


PLANTED: dict[str, Callable[..., Arrays]] = {
    "factor 2": lambda case, grads, *_: {name: 2 * g for name, g in grads.items()},
    "sign of one leaf": lambda case, grads, *_: grads | {"W1": -grads["W1"]},
    "mean missing": lambda case, grads, *_: {name: case.m * g for name, g in grads.items()},
    "one entry off 1 %": _one_entry,
    "reversed": lambda case, grads, *_: grads | {"W1": grads["W1"][::-1, ::-1]},
    "zero": lambda case, grads, *_: grads | {"b1": 0 * grads["b1"]},
    "slope missing": _no_slope,
    "L2 missing": lambda case, grads, P, *_: {
        name: g - case.l2 / case.m * P[name] if name[0] == "W" else g for name, g in grads.items()
    },
    "L2 on biases": lambda case, grads, P, *_: {
        name: g if name[0] == "W" else g + 0.3 * P[name] for name, g in grads.items()
    },
    "last example lost": lambda case, _, P, X, Y, masks: _gradient(
        case, P, X[:, :-1], Y[:, :-1], [D[:, :-1] for D in masks]
    ),
}
