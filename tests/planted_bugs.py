"""Wrong backward passes as people write them, each with the place and the diagnosis that a checker should give.

`CATALOGUE` holds them by name. Each is a course-style backward pass in plain NumPy, correct but for the lines named in
its entry, and shares no code with jaxnet. Many come from reports: `source` cites the thread.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np


DISTINCT = (5, 4, 6, 3, 1), 7  # dims and m: crossed axes are errors of shape
OUTPUTS = (5, 2, 6, 4, 3), 7
SQUARE = (5, 5, 5, 5, 1), 5  # crossed axes are silent

Backward = Callable[[np.ndarray, np.ndarray, list], dict[str, np.ndarray]]


class Step(NamedTuple):
    """What a line of layer l's backward can read."""

    l: int
    AL: np.ndarray
    Y: np.ndarray
    caches: list
    A_prev: np.ndarray
    W: np.ndarray
    b: np.ndarray
    Z: np.ndarray
    dA: np.ndarray
    dZ: np.ndarray | None = None
    dW: np.ndarray | None = None

    @property
    def m(self) -> int:
        return self.Y.shape[1]

    @property
    def A(self) -> np.ndarray:
        return self.AL if self.l == len(self.caches) else self.caches[self.l][0][0]


Line = Callable[[Step], np.ndarray]


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def erf(Z):
    return np.vectorize(math.erf, otypes=[float])(Z).astype(Z.dtype)


def silu_slope(Z):
    S = sigmoid(Z)
    return S + Z * S * (1 - S)


SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda Z: (Z > 0) * 1.0,
    "leaky_relu": lambda Z: np.where(Z >= 0, 1.0, 0.01),
    "sigmoid": lambda Z: sigmoid(Z) * (1 - sigmoid(Z)),
    "tanh": lambda Z: 1 - np.tanh(Z) ** 2,
    "gelu": lambda Z: (1 + erf(Z / math.sqrt(2))) / 2 + Z * np.exp(-(Z**2) / 2) / math.sqrt(2 * math.pi),
    "silu": silu_slope,
    "softplus": sigmoid,
    "elu": lambda Z: np.exp(np.minimum(Z, 0)),
    "identity": np.ones_like,
}


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda Z: np.maximum(Z, 0),
    "leaky_relu": lambda Z: np.where(Z >= 0, Z, 0.01 * Z).astype(Z.dtype),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "gelu": lambda Z: Z * (1 + erf(Z / math.sqrt(2))) / 2,
    "silu": lambda Z: Z * sigmoid(Z),
    "softplus": lambda Z: np.logaddexp(0, Z),
    "elu": lambda Z: np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0))),
    "identity": lambda Z: Z,
}


def forward(X: np.ndarray, Y: np.ndarray, parameters: Mapping[str, np.ndarray], hidden: str, loss: str):
    """AL, Y, caches: what the backward pass takes."""
    L, A, caches = len(parameters) // 2, X, []
    for l in range(1, L + 1):
        W, b = parameters[f"W{l}"], parameters[f"b{l}"]
        Z = W @ A + b
        caches.append(((A, W, b), Z))
        A = ACTIVATIONS[hidden](Z) if l < L else Z
    if loss == "binary_cross_entropy":
        A = sigmoid(Z)
    elif loss == "softmax_cross_entropy":
        A = np.exp(Z - np.max(Z, axis=0)) / np.sum(np.exp(Z - np.max(Z, axis=0)), axis=0)
    return A, Y, caches


def cost(X: np.ndarray, Y: np.ndarray, parameters: Mapping[str, np.ndarray], hidden: str, loss: str) -> np.ndarray:
    """The mean over the examples of their losses, from the logits."""
    _, _, caches = forward(X, Y, parameters, hidden, loss)
    Z = caches[-1][1]
    if loss == "binary_cross_entropy":
        losses = np.logaddexp(0, Z) - Y * Z
    elif loss == "softmax_cross_entropy":
        top = np.max(Z, axis=0)
        losses = Y * (top + np.log(np.sum(np.exp(Z - top), axis=0)) - Z)
    else:
        losses = (Z - Y) ** 2 / 2
    return np.mean(np.sum(losses, axis=0))


def write(
    hidden: str,
    lines: Mapping[str, Line] | None = None,
    *,
    layer: int | None = None,
    cache: Callable[[list, int], Any] = lambda caches, l: caches[l - 1],
    loop: Callable[[int], Iterable[int]] = lambda L: range(L, 0, -1),
    finish: Callable[[dict, int], dict] = lambda grads, L: grads,
) -> Backward:
    """The backward pass with other `lines` in it: "head" (dZL), "dZ", "dW", "db", "dA"; in one `layer`, or in all."""
    right: dict[str, Line] = {
        "head": lambda s: s.AL - s.Y,
        "dZ": lambda s: s.dA * SLOPES[hidden](s.Z),
        "dW": lambda s: s.dZ @ s.A_prev.T / s.m,
        "db": lambda s: np.sum(s.dZ, axis=1, keepdims=True) / s.m,
        "dA": lambda s: s.W.T @ s.dZ,
    }

    def backward(AL, Y, caches):
        grads, dA, L = {}, None, len(caches)
        for l in loop(L):
            code = right | dict(lines or {}) if layer in (None, l) else right
            (A_prev, W, b), Z = cache(caches, l)
            s = Step(l, AL, Y, caches, A_prev, W, b, Z, dA)
            s = s._replace(dZ=code["head" if dA is None else "dZ"](s))
            s = s._replace(dW=code["dW"](s))
            grads[f"dW{l}"], grads[f"db{l}"] = s.dW, code["db"](s)
            grads[f"dA{l - 1}"] = dA = code["dA"](s)
        return finish(grads, L)

    return backward


class Bug(NamedTuple):
    """A wrong backward pass, the network that it is for, and what is to be said of it."""

    name: str
    place: str | None  # where it is made, as `report.first_bad` names places; None: every number is right
    codes: tuple[str, ...]  # the diagnoses that are right: of a finding, or the name of a property that fails
    backward: Backward
    listed: bool  # is it in jaxnet's own table of known bugs? as of when this entry was written
    hidden: str
    loss: str
    dims: tuple[int, ...]
    m: int
    source: str
    later: bool  # written after everything in jaxnet that names bugs, and so held out


CATALOGUE: dict[str, Bug] = {}


def plant(
    name: str,
    place: str | None,
    codes: str,
    lines: Mapping[str, Line] | None = None,
    *,
    listed: bool = True,
    hidden: str = "tanh",
    loss: str = "binary_cross_entropy",
    shape: tuple[tuple[int, ...], int] = DISTINCT,
    source: str = "",
    later: bool = False,
    backward: Backward | None = None,
    **options: Any,
) -> None:
    backward = backward or write(hidden, lines, **options)
    backward.__name__ = name.replace("-", "_")
    assert name not in CATALOGUE, name
    CATALOGUE[name] = Bug(name, place, tuple(codes.split(", ")), backward, listed, hidden, loss, *shape, source, later)


def unlisted(*args: Any, **options: Any) -> None:
    """A bug that jaxnet's table does not have: only a generic fit can name it, or "unknown" is the answer."""
    plant(*args, listed=False, **options)


def diagnoses(report: Any) -> set[str]:
    """What a report says of the first error, and the properties that it says fail."""
    broken = {check.name for check in report.protocol if check.verdict == "disagree"}
    return {finding.code for finding in report.findings[:1]} | broken


def later(*args: Any, **options: Any) -> None:
    """An unlisted bug that was written after every fit: the honest test of what the checker can name."""
    plant(*args, listed=False, later=True, **options)


# ---- the mean


def summed(s: Step) -> np.ndarray:
    return s.dZ @ s.A_prev.T


def bias_summed(s: Step) -> np.ndarray:
    return np.sum(s.dZ, axis=1, keepdims=True)


plant("no-mean", "dW4", "mean-missing", {"dW": summed, "db": bias_summed}, source="fetchai/ledger#1580")
plant("no-mean-in-db", "db4", "mean-missing", {"db": bias_summed})
plant(
    "mean-twice",
    "dZ4",
    "mean-twice",
    {"head": lambda s: (s.AL - s.Y) / s.m},
    source="deeplearning4j/deeplearning4j#366",
)
plant(
    "mean-in-hidden-dZ",
    "dZ2",
    "mean-twice",
    {"dZ": lambda s: s.dA * (1 - np.tanh(s.Z) ** 2) / s.m},
    layer=2,
    source="community.deeplearning.ai/t/63071",
)
plant("m-from-features", "dW3", "inputs-mean", {"dW": lambda s: summed(s) / s.A_prev.shape[0]}, layer=3)
plant("m-from-units", "dW2", "units-mean", {"dW": lambda s: summed(s) / s.dZ.shape[0]}, layer=2)
plant("m-minus-1", "db1", "unbiased", {"db": lambda s: bias_summed(s) / (s.m - 1)}, layer=1)
plant(
    "mean-over-outputs-too",
    "dW4",
    "outputs-mean",
    {"dW": lambda s: summed(s) / s.Y.size},
    layer=4,
    loss="softmax_cross_entropy",
    shape=OUTPUTS,
    source="victorlempitsky/Mate#2",
)
unlisted("divided-by-the-sum-of-labels", "dW4", "factor", {"dW": lambda s: summed(s) / np.sum(s.Y)})
unlisted("running-mean-of-one-step", "dW2", "factor", {"dW": lambda s: 0.1 * summed(s) / s.m}, layer=2)
unlisted("learning-rate-in-db", "db2", "factor", {"db": lambda s: 0.0075 * bias_summed(s) / s.m}, layer=2)
unlisted("divided-by-its-norm", "dW3", "factor", {"dW": lambda s: summed(s) / np.linalg.norm(summed(s))}, layer=3)
unlisted("temperature-left-in", "dZ4", "factor", {"head": lambda s: (s.AL - s.Y) / 3})
unlisted("keep-probability-left-in", "dA2", "factor", {"dA": lambda s: s.W.T @ s.dZ / 0.8}, layer=3)
unlisted("signal-averaged-over-units", "dA1", "factor", {"dA": lambda s: s.W.T @ s.dZ / len(s.W)}, layer=2)

# ---- the loss


def through_sigmoid(dAL: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[str, Line]:
    return {"head": lambda s: dAL(s.AL, s.Y) * s.AL * (1 - s.AL)}


def softmax_over(axis: int) -> dict[str, Line]:
    def head(s):
        E = np.exp(s.Z - np.max(s.Z, axis=axis, keepdims=True))
        return E / np.sum(E, axis=axis, keepdims=True) - s.Y

    return {"head": head}


SOFTMAX = {"loss": "softmax_cross_entropy", "shape": OUTPUTS}
SQUARED = {"loss": "squared_error", "shape": OUTPUTS}

plant("sign-of-the-error", "dZ4", "sign", {"head": lambda s: s.Y - s.AL})
plant("squared-error-twice", "dZ4", "twice", {"head": lambda s: 2 * (s.AL - s.Y)}, **SQUARED)
plant(
    "sigmoid-slope-twice",
    "dZ4",
    "output-derivative-twice",
    {"head": lambda s: (s.AL - s.Y) * s.AL * (1 - s.AL)},
    source="rasbt/python-machine-learning-book-2nd-edition#54",
)
plant(
    "sigmoid-slope-missing",
    "dZ4",
    "output-derivative-missing",
    {"head": lambda s: -(s.Y / s.AL - (1 - s.Y) / (1 - s.AL))},
    source="Bot-Academy/NeuralNetworkFromScratch#3",
)
plant("only-the-first-term", "dZ4", "second-term-missing", through_sigmoid(lambda A, Y: -Y / A))
plant("second-term-sign", "dZ4", "second-term-sign", through_sigmoid(lambda A, Y: -(Y / A + (1 - Y) / (1 - A))))
plant("decided-for-probability", "dZ4", "decided-output", {"head": lambda s: (s.AL > 0.5) - s.Y}, shape=OUTPUTS)
plant("logits-for-probability", "dZ4", "logits-for-output", {"head": lambda s: s.Z - s.Y})
plant("absolute-error", "dZ4", "absolute-error", {"head": lambda s: np.sign(s.AL - s.Y)}, **SQUARED)
plant(
    "softmax-as-sigmoids",
    "dZ4",
    "softmax-cross-terms-missing",
    {"head": lambda s: -s.Y / s.AL * s.AL * (1 - s.AL)},
    **SOFTMAX,
    source="deeplearning4j/libnd4j#440",
)
plant(
    "softmax-slope-missing",
    "dZ4",
    "output-derivative-missing",
    {"head": lambda s: -s.Y / s.AL},
    **SOFTMAX,
    source="hankcs/CS224n#17",
)
unlisted(
    "softmax-over-examples",
    "dZ4",
    "softmax-axis",
    softmax_over(axis=1),
    **SOFTMAX,
)
unlisted(
    "sigmoid-slope-on-linear-output",
    "dZ4",
    "output-derivative-added",
    {"head": lambda s: (s.AL - s.Y) * sigmoid(s.AL) * (1 - sigmoid(s.AL))},
    **SQUARED,
)
unlisted(
    "labels-broadcast",
    "dZ4",
    "labels-broadcast",
    {"head": lambda s: np.mean(s.AL.T - s.Y.ravel(), axis=1)[None]},  # (m, 1) - (m,) is (m, m)
    source="pytorch/pytorch#19699",
)
unlisted("labels-smoothed", "dZ4", "labels-smoothed", {"head": lambda s: s.AL - (0.9 * s.Y + 0.05)})
unlisted("labels-in-another-order", "dZ4", "labels-permuted", {"head": lambda s: s.AL - s.Y[:, ::-1]})
unlisted(
    "padding-mask", "dZ4", "masked, columns-scaled", {"head": lambda s: (s.AL - s.Y) * (np.arange(s.m) < 5)}, **SOFTMAX
)
unlisted(
    "class-weights-left-in",
    "dZ4",
    "columns-scaled",
    {"head": lambda s: (s.AL - s.Y) * np.where(s.Y[:1] > 0.5, 3.0, 1.0)},
    **SQUARED,
)
unlisted(
    "only-the-misclassified",
    "dZ4",
    "masked, columns-scaled",
    {"head": lambda s: (s.AL - s.Y) * ((s.AL > 0.5) != (s.Y > 0.5))},
)
unlisted(
    "guarded-division",
    "dZ4",
    "epsilon",
    through_sigmoid(lambda A, Y: -(Y / (A + 1e-8) - (1 - Y) / (1 - A + 1e-8))),
)
unlisted("error-clipped", "dZ4", "clipped", {"head": lambda s: np.clip(s.AL - s.Y, -0.2, 0.2)}, **SQUARED)
unlisted(
    "relu-at-the-output",
    "dZ4",
    "slope-of-relu",
    {"head": lambda s: (s.Z > 0) * ((1 - s.Y) / (1 - s.AL) - s.Y / s.AL)},
    shape=OUTPUTS,
)

# ---- the activation


def slope(formula: Callable[[Step], np.ndarray]) -> dict[str, Line]:
    return {"dZ": lambda s: s.dA * formula(s)}


plant("no-slope-in-one-layer", "dZ2", "slope-missing", {"dZ": lambda s: s.dA}, layer=2)
plant(
    "no-slope-anywhere", "dZ3", "slope-missing", {"dZ": lambda s: s.dA}, hidden="relu", source="DiffSharp/DiffSharp#16"
)
plant("slope-twice", "dZ3", "slope-twice", slope(lambda s: (1 - np.tanh(s.Z) ** 2) ** 2), layer=3)
plant(
    "sigmoid-of-sigmoid",
    "dZ3",
    "slope-at-A",
    slope(lambda s: SLOPES["sigmoid"](s.A)),
    hidden="sigmoid",
    source="rasmusbergpalm/DeepLearnToolbox#165",
)
plant("a-forgotten", "dZ3", "A-for-slope-1-A", slope(lambda s: 1 - s.A), hidden="sigmoid", source="neuroph/neuroph#37")
plant("1-a-forgotten", "dZ2", "value-for-slope", slope(lambda s: s.A), hidden="sigmoid", layer=2)
plant("tanh-1-plus-a2", "dZ3", "A-for-slope-1+A2", slope(lambda s: 1 + s.A**2), source="nicodjimenez/lstm#41")
plant("tanh-1-minus-a", "dZ2", "A-for-slope-1-A", slope(lambda s: 1 - s.A), layer=2)
plant("tanh-1-minus-z2", "dZ3", "Z-for-slope-1-Z2", slope(lambda s: 1 - s.Z**2))
plant("tanh-again", "dZ3", "value-for-slope", slope(lambda s: np.tanh(s.Z)), source="andersbll/nnet#4")
plant("sigmoid-slope-for-tanh", "dZ2", "A-for-slope-A(1-A)", slope(lambda s: s.A * (1 - s.A)), layer=2)
plant(
    "sigmoid-for-relu",
    "dZ3",
    "slope-of-sigmoid",
    slope(lambda s: SLOPES["sigmoid"](s.Z)),
    hidden="relu",
    source="jeffheaton/encog-dotnet-core#124",
)
plant("relu-inverted", "dZ3", "slope-inverted", slope(lambda s: s.Z <= 0), hidden="relu", layer=3)
plant("relu-of-the-signal", "dZ3", "slope-at-dA", {"dZ": lambda s: np.maximum(s.dA, 0)}, hidden="relu")
plant("relu-gate-alone", "dZ2", "slope-alone", {"dZ": lambda s: (s.Z > 0) * 1.0}, hidden="relu", layer=2)
plant("relu-gate-of-the-input", "dZ3", "slope-at-A_prev", slope(lambda s: s.A_prev > 0), hidden="relu", shape=SQUARE)
plant(
    "gate-of-another-layer",
    "dZ3",
    "cache-of-layer-1",
    slope(lambda s: s.caches[0][1] > 0),
    hidden="relu",
    shape=SQUARE,
    layer=3,
    source="unda-ml/unda#1",
)
plant("leaky-0.1", "dZ3", "negative-slope-0.1", slope(lambda s: np.where(s.Z > 0, 1, 0.1)), hidden="leaky_relu")
plant("leaky-as-relu", "dZ2", "slope-of-relu", slope(lambda s: s.Z > 0), hidden="leaky_relu", layer=2)
plant(
    "elu-of-elu",
    "dZ3",
    "slope-at-A",
    slope(lambda s: np.where(s.Z > 0, 1, np.exp(np.minimum(s.A, 0)))),
    hidden="elu",
    source="mlpack/mlpack#1540",
)
plant(
    "softplus-at-its-output",
    "dZ3",
    "slope-at-A",
    slope(lambda s: sigmoid(s.A)),
    hidden="softplus",
    source="zserge/nanonn#4",
)
plant("silu-first-term", "dZ3", "product-rule-first", slope(lambda s: sigmoid(s.Z)), hidden="silu")


def gelu_by_tanh(s: Step) -> np.ndarray:
    c = math.sqrt(2 / math.pi)
    T = np.tanh(c * (s.Z + 0.044715 * s.Z**3))
    return (1 + T) / 2 + s.Z / 2 * (1 - T**2) * c * (1 + 0.134145 * s.Z**2)


def gelu_by_sigmoid(s: Step) -> np.ndarray:
    S = sigmoid(1.702 * s.Z)
    return S + 1.702 * s.Z * S * (1 - S)


def not_a_number(s: Step) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (s.Z > 0) * (np.sqrt(s.Z) / np.sqrt(s.Z))  # 0 times NaN is NaN: `where` would be needed, and earlier


plant("gelu-by-tanh", "dZ3", "approximate-gelu", slope(gelu_by_tanh), hidden="gelu")
unlisted("gelu-by-sigmoid", "dZ3", "approximate-gelu, slope-function", slope(gelu_by_sigmoid), hidden="gelu")
unlisted(
    "silu-second-term",
    "dZ2",
    "product-rule-second, slope-function",
    slope(lambda s: s.Z * SLOPES["sigmoid"](s.Z)),
    hidden="silu",
    layer=2,
)
unlisted(
    "silu-z-for-a",
    "dZ3",
    "Z-for-A, slope-function",
    slope(lambda s: s.Z + sigmoid(s.Z) * (1 - s.Z)),
    hidden="silu",
)
unlisted(
    "elu-z-plus-1",
    "dZ3",
    "Z-for-A, slope-function",
    slope(lambda s: np.where(s.Z > 0, 1, s.Z + 1)),
    hidden="elu",
    source="hughperkins/DeepCL#46",
)
unlisted(
    "softplus-1-minus-exp-z",
    "dZ2",
    "Z-for-A, slope-function",
    slope(lambda s: 1 - np.exp(-s.Z)),
    hidden="softplus",
    layer=2,
    source="zserge/nanonn#4",
)
unlisted("leaky-0.3", "dZ3", "negative-slope", slope(lambda s: np.where(s.Z > 0, 1, 0.3)), hidden="leaky_relu", layer=3)
unlisted(
    "leaky-without-the-signal",
    "dZ3",
    "negative-branch",
    {"dZ": lambda s: np.where(s.Z > 0, s.dA, 0.01)},
    hidden="leaky_relu",
    source="SilasMarvin/dnns-from-scratch-in-zig#5",
)
unlisted(
    "relu-capped",
    "dZ3",
    "masked, slope-function",
    slope(lambda s: (s.Z > 0) & (s.Z < 1)),
    hidden="relu",
    shape=(
        DISTINCT[0],
        9,
    ),  # no Z3 of 7 examples is between 0 and 1 at the tests' point, and all of dZ3 is 0
)
unlisted("guided", "dZ3", "masked", slope(lambda s: (s.Z > 0) & (s.dA > 0)), hidden="relu", layer=3)
unlisted("nan-of-the-other-branch", "dZ3", "not-finite", slope(not_a_number), hidden="relu")
unlisted("signs-lost", "dZ3", "absolute", {"dZ": lambda s: np.abs(s.dA) * (1 - np.tanh(s.Z) ** 2)}, layer=3)
unlisted(
    "units-dropped",
    "dZ2",
    "masked, rows-scaled",
    slope(lambda s: SLOPES["tanh"](s.Z) * (np.arange(6) % 3 > 0)[:, None] / 0.7),
    layer=2,
)
unlisted(
    "dropout-mask-left-in",
    "dZ2",
    "masked",
    slope(lambda s: SLOPES["tanh"](s.Z) * (np.arange(s.Z.size).reshape(s.Z.shape) % 5 > 0) / 0.8),
    layer=2,
)
unlisted(
    "last-example-detached",
    "dZ3",
    "masked, columns-scaled",
    slope(lambda s: SLOPES["tanh"](s.Z) * (np.arange(s.m) < s.m - 1)),
    layer=3,
)
unlisted(
    "centred-over-the-batch",
    "dZ3",
    "centred",
    {"dZ": lambda s: s.dA * SLOPES["tanh"](s.Z) - np.mean(s.dA * SLOPES["tanh"](s.Z), axis=1, keepdims=True)},
    layer=3,
)
unlisted(
    "float32-on-the-way",
    "dZ3",
    "precision",
    {"dZ": lambda s: (s.dA.astype(np.float32) * SLOPES["tanh"](s.Z)).astype(np.float32).astype(float)},
    layer=3,
)


def dropped_anew() -> Line:
    """Another mask at every call."""
    calls = itertools.count()

    def dZ(s):
        mask = (np.arange(s.dA.size).reshape(s.dA.shape) + next(calls)) % 5 > 0
        return s.dA * SLOPES["tanh"](s.Z) * mask / 0.8

    return dZ


def gate_in_place(s: Step) -> np.ndarray:
    s.Z[s.Z <= 0] = 0
    return s.dA * (s.Z > 0)


unlisted(
    "dropout-mask-drawn-anew",
    "dZ2",
    "deterministic, masked",
    {"dZ": dropped_anew()},
    layer=2,
)
unlisted(
    "signal-overwritten", "dA3", "overwritten", {"dZ": lambda s: np.multiply(s.dA, s.Z > 0, out=s.dA)}, hidden="relu"
)
unlisted(
    "cache-overwritten",
    None,
    "inputs unchanged",
    {"dZ": gate_in_place},
    hidden="relu",
    source="deeplearning4j/deeplearning4j#364",
)

# ---- dW


plant("transposed", "dW3", "transposed", {"dW": lambda s: s.A_prev @ s.dZ.T / s.m}, layer=3, shape=SQUARE)
plant("a-for-a-prev", "dW2", "output-for-input", {"dW": lambda s: s.dZ @ s.A.T / s.m}, layer=2, shape=SQUARE)
plant("z-for-a-prev", "dW3", "Z-for-input", {"dW": lambda s: s.dZ @ s.caches[1][1].T / s.m}, layer=3)
plant("x-in-every-layer", "dW4", "cache-of-layer-1", {"dW": lambda s: s.dZ @ s.caches[0][0][0].T / s.m}, shape=SQUARE)
plant(
    "product-of-means",
    "dW4",
    "product-of-means",
    {"dW": lambda s: np.mean(s.dZ, 1, keepdims=True) @ np.mean(s.A_prev, 1, keepdims=True).T},
)
plant("da-for-dz", "dW3", "activation-skipped", {"dW": lambda s: s.dA @ s.A_prev.T / s.m}, layer=3)
plant(
    "last-example-left-out",
    "dW3",
    "last-example-dropped, examples-weighted",
    {"dW": lambda s: sum(np.outer(s.dZ[:, i], s.A_prev[:, i]) for i in range(s.m - 1)) / s.m},
    layer=3,
)
plant("first-layer-never-written", "dW1", "zero", finish=lambda g, L: g | {"dW1": 0 * g["dW1"], "db1": 0 * g["db1"]})
unlisted("loop-ends-early", "dW1", "missing, structure", loop=lambda L: range(L, 1, -1))
unlisted(
    "keys-one-too-low",
    "dW4",
    "missing, structure",
    finish=lambda g, L: {(f"{n[:2]}{int(n[2:]) - 1}" if n[1] != "A" else n): v for n, v in g.items()},
)
unlisted(
    "one-example-skipped",
    "dW3",
    "examples-weighted",
    {"dW": lambda s: np.delete(s.dZ, s.m // 2, 1) @ np.delete(s.A_prev, s.m // 2, 1).T / s.m},
    layer=3,
)
unlisted(
    "not-transposed", "dW3", "input-not-transposed", {"dW": lambda s: s.dZ @ s.A_prev / s.m}, layer=3, shape=SQUARE
)
unlisted(
    "elementwise",
    "dW2",
    "elementwise",
    {"dW": lambda s: s.dZ * s.A_prev.T / s.m},
    layer=2,
    shape=SQUARE,
    source="community.deeplearning.ai/t/674897",
)
unlisted("rows-reversed", "dW3", "permuted", {"dW": lambda s: summed(s)[::-1] / s.m}, layer=3)
unlisted("features-in-another-order", "dW1", "permuted", {"dW": lambda s: np.roll(summed(s), 1, axis=1) / s.m}, layer=1)
unlisted(
    "inputs-of-the-example-before",
    "dW2",
    "examples-shifted",
    {"dW": lambda s: s.dZ @ np.roll(s.A_prev, 1, axis=1).T / s.m},
    layer=2,
)
unlisted(
    "bias-column",
    "dW3",
    "bias-column",
    {"dW": lambda s: s.dZ @ np.vstack([np.ones((1, s.m)), s.A_prev])[:-1].T / s.m},
    layer=3,
)
unlisted("weight-decay", "dW4", "regulariser", {"dW": lambda s: summed(s) / s.m + 0.01 * s.W})
unlisted(
    "weight-decay-sign", "dW4", "regulariser", {"dW": lambda s: summed(s) / s.m - 0.01 * s.W}, source="andersbll/nnet#4"
)
unlisted(
    "weight-decay-before-the-mean", "dW3", "factor-and-regulariser", {"dW": lambda s: summed(s) + 0.7 * s.W}, layer=3
)
unlisted("l1", "dW2", "sign-regulariser", {"dW": lambda s: summed(s) / s.m + 0.01 * np.sign(s.W)}, layer=2)
unlisted(
    "weight-decay-of-another-layer",
    "dW2",
    "regulariser",
    {"dW": lambda s: summed(s) / s.m + 0.01 * s.caches[2][0][1]},
    layer=2,
    shape=SQUARE,
)
unlisted(
    "two-layers-swapped", "dW3", "swapped", finish=lambda g, L: g | {"dW2": g["dW3"], "dW3": g["dW2"]}, shape=SQUARE
)
unlisted(
    "one-entry-1-percent-off",
    "dW3",
    "entries",
    finish=lambda g, L: g | {"dW3": g["dW3"] * np.where(np.arange(18).reshape(3, 6) == 10, 1.01, 1)},
)
unlisted("clipped", "dW3", "clipped", {"dW": lambda s: np.clip(summed(s) / s.m, -0.02, 0.02)}, layer=3)
unlisted(
    "float16",
    "dW2",
    "precision",
    {"dW": lambda s: (summed(s) / s.m).astype(np.float16).astype(float)},
    layer=2,
)
unlisted("rounded", "dW3", "rounded, precision", {"dW": lambda s: np.round(summed(s) / s.m, 4)}, layer=3)
unlisted("whole-numbers", "dW2", "zero, rounded", {"dW": lambda s: (summed(s) / s.m).astype(int)}, layer=2)
unlisted(
    "normalised-as-by-adam", "dW2", "signs-only", {"dW": lambda s: summed(s) / (np.abs(summed(s)) + 1e-8)}, layer=2
)

# ---- db


plant(
    "db-over-everything",
    "db3",
    "all-summed",
    {"db": lambda s: np.full_like(s.b, np.sum(s.dZ) / s.m)},
    layer=3,
    source="rasbt/stat453-deep-learning-ss21#5",
)
plant(
    "db-over-units",
    "db2",
    "wrong-axis",
    {"db": lambda s: np.mean(s.dZ, axis=0)[:, None]},
    layer=2,
    shape=SQUARE,
    source="deeplearning4j/deeplearning4j#364",
)
plant(
    "db-contracted",
    "db3",
    "contracted",
    {"db": lambda s: np.sum(summed(s) / s.m, axis=1, keepdims=True)},
    layer=3,
    source="rust0258/Deeplearning.ai-Natural-Language-Processing-Specialization#62",
)
plant("db-of-dA", "db2", "activation-skipped", {"db": lambda s: np.mean(s.dA, axis=1, keepdims=True)}, layer=2)
plant("db-of-one-example", "db3", "first-example", {"db": lambda s: s.dZ[:, :1]}, layer=3)
unlisted(
    "db-without-keepdims",
    "db4",
    "shape",
    {"db": lambda s: np.mean(s.dZ, axis=1)},
    source="Kulbear/deep-learning-coursera#8",
)
unlisted(
    "db-decayed",
    "db3",
    "regulariser",
    {"db": lambda s: bias_summed(s) / s.m + 0.1 * s.b},
    layer=3,
    source="rasmusbergpalm/DeepLearnToolbox#32",
)
unlisted(
    "db-of-magnitudes", "db2", "magnitudes", {"db": lambda s: np.mean(np.abs(s.dZ), axis=1, keepdims=True)}, layer=2
)
unlisted(
    "db-one-entry", "db2", "entries", {"db": lambda s: bias_summed(s) / s.m * (np.arange(6) != 4)[:, None]}, layer=2
)
unlisted("db-swapped", "db3", "swapped", finish=lambda g, L: g | {"db2": g["db3"], "db3": g["db2"]}, shape=SQUARE)

# ---- the signal down


plant("w-not-transposed", "dA2", "not-transposed", {"dA": lambda s: s.W @ s.dZ}, layer=3, shape=SQUARE)
plant(
    "w-of-the-layer-below",
    "dA2",
    "cache-of-layer-2",
    {"dA": lambda s: s.caches[1][0][1].T @ s.dZ},
    layer=3,
    shape=SQUARE,
)
plant(
    "w-already-updated",
    "dA3",
    "updated-weights",
    {"dA": lambda s: (s.W - 0.0075 * s.dW).T @ s.dZ},
    source="kim-marcel/basic_neural_network#7",
)
plant("signal-past-the-activation", "dA1", "activation-skipped", {"dA": lambda s: s.W.T @ s.dA}, layer=2)
plant("nothing-passed-down", "dA2", "zero", {"dA": lambda s: np.zeros_like(s.A_prev)}, layer=3)
plant("signs-of-the-weights", "dA2", "sign-of-weights", {"dA": lambda s: np.sign(s.W).T @ s.dZ}, layer=3)
plant(
    "caches-reversed",
    "dZ3",
    "cache-of-layer-1",
    cache=lambda caches, l: caches[l - 1 if l == 4 else 3 - l],
    shape=SQUARE,
    source="AlbertHG/Coursera-Deep-Learning-deeplearning.ai#5",
)
unlisted("w-updated-with-0.5", "dA2", "updated-weights", {"dA": lambda s: (s.W - 0.5 * s.dW).T @ s.dZ}, layer=3)
unlisted("w-decayed-first", "dA1", "factor", {"dA": lambda s: (s.W - 0.001 * s.W).T @ s.dZ}, layer=2)
unlisted(
    "signal-elementwise",
    "dA2",
    "elementwise",
    {"dA": lambda s: s.W.T * s.dZ},
    layer=3,
    shape=SQUARE,
    source="community.deeplearning.ai/t/723602",
)
unlisted(
    "skip-connection-left-in", "dA2", "skip-connection", {"dA": lambda s: s.W.T @ s.dZ + s.dA}, layer=3, shape=SQUARE
)
unlisted(
    "signal-of-the-mean-example",
    "dA2",
    "examples-averaged",
    {"dA": lambda s: np.mean(s.W.T @ s.dZ, axis=1, keepdims=True) + 0 * s.A_prev},
    layer=3,
)
unlisted(
    "signal-normalised",
    "dA2",
    "columns-scaled",
    {"dA": lambda s: s.W.T @ s.dZ / np.linalg.norm(s.W.T @ s.dZ, axis=0)},
    layer=3,
)
unlisted("signal-clipped", "dA1", "clipped", {"dA": lambda s: np.clip(s.W.T @ s.dZ, -0.005, 0.005)}, layer=2)
unlisted("units-reversed", "dA2", "permuted", {"dA": lambda s: (s.W.T @ s.dZ)[::-1]}, layer=3)
unlisted("bias-in-the-signal", "dA2", "bias-added", {"dA": lambda s: s.W.T @ s.dZ + s.caches[1][0][2]}, layer=3)

# ---- held out


def numerical_slope(s: Step) -> np.ndarray:
    return (np.tanh(s.Z + 1e-3) - np.tanh(s.Z)) / 1e-3


later(
    "signal-not-updated",
    "dA2",
    "signal-repeated, factor-and-skip-connection",
    {"dA": lambda s: s.dA},
    layer=3,
    shape=SQUARE,
    source="Kulbear/deep-learning-coursera#27",
)
later("db-accumulated", "db2", "accumulated", finish=lambda g, L: g | {"db2": g["db2"] + g["db3"]}, shape=SQUARE)
later("w-for-a-prev", "dW3", "W-for-input", {"dW": lambda s: s.dZ @ s.W / s.m}, layer=3, shape=SQUARE)
later(
    "input-centred",
    "dW2",
    "input-centred",
    {"dW": lambda s: s.dZ @ (s.A_prev - np.mean(s.A_prev, axis=1, keepdims=True)).T / s.m},
    layer=2,
)
later("sigmoid-1-plus-a", "dZ3", "slope-function", slope(lambda s: s.A * (1 + s.A)), hidden="sigmoid", layer=3)
later("hard-tanh", "dZ2", "slope-function, masked", slope(lambda s: np.abs(s.Z) < 1), layer=2)
later("numerical-slope", "dZ3", "slope-function, slope-approximate", slope(numerical_slope), layer=3)
later(
    "last-example-twice",
    "dW3",
    "examples-weighted",
    {"dW": lambda s: np.c_[s.dZ, s.dZ[:, -1:]] @ np.c_[s.A_prev, s.A_prev[:, -1:]].T / s.m},
    layer=3,
)
later(
    "last-unit-left-out",
    "dW2",
    "rows-scaled, masked",
    {"dW": lambda s: summed(s) / s.m * (np.arange(len(s.W)) < len(s.W) - 1)[:, None]},
    layer=2,
)
later("upper-triangle", "dW3", "masked", {"dW": lambda s: np.triu(summed(s) / s.m)}, layer=3, shape=SQUARE)
later("two-over-outputs", "dZ4", "factor", {"head": lambda s: 2 * (s.AL - s.Y) / len(s.Y)}, **SQUARED)
later("focal", "dZ4", "columns-scaled, error-function", {"head": lambda s: (s.AL - s.Y) * np.abs(s.AL - s.Y) ** 2})
later(
    "dA-by-rows", "dA3", "transposed", finish=lambda g, L: {name: v.T if name[1] == "A" else v for name, v in g.items()}
)
later("db-of-the-last-example", "db3", "last-example, examples-weighted", {"db": lambda s: s.dZ[:, -1:]}, layer=3)
later("db-largest", "db2", "largest-for-mean", {"db": lambda s: np.max(s.dZ, axis=1, keepdims=True)}, layer=2)
later("gradient-reversed", "dA1", "factor", {"dA": lambda s: -0.1 * s.W.T @ s.dZ}, layer=2)
later(
    "half-the-units-detached",
    "dA2",
    "rows-scaled, masked",
    {"dA": lambda s: s.W.T @ s.dZ * (np.arange(s.W.shape[1]) % 2)[:, None]},
    layer=3,
)
later(
    "signal-in-float16", "dA1", "precision", {"dA": lambda s: (s.W.T @ s.dZ).astype(np.float16).astype(float)}, layer=2
)
