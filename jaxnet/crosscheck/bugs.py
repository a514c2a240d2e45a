"""The known single errors of a backward pass, each as the line that makes it.

A bug stands at one of five places: "head" (dZL from the loss), "dZ" (the activation), "dW", "db" and "dA" (the signal
to the layer below). `value(s)` is what the step `s` makes with that bug in it, or None where the shapes do not let it
be written. The same table diagnoses (which bug reproduces these numbers?) and measures power (which would show?).

Most come from reports: crossed and forgotten axes, derivatives taken at A or of another function, means that are sums.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from . import slopes
from .steps import RIGHT, Layer, Step


class Bug(NamedTuple):
    """One error."""

    code: str
    place: str
    text: str  # what is wrong, in words
    value: Callable[[Step], np.ndarray | None]
    reveal: str = ""  # the point at which it shows


# What a leaf may be too large by. The words finish the sentence "dW is ...".
FACTORS: dict[str, tuple[Callable[[Step], float], str, str]] = {
    "sign": (lambda s: -1.0, "of the wrong sign", ""),
    "mean-missing": (lambda s: s.m, "m times too large: a sum where the mean belongs", "use more than one example"),
    "mean-twice": (lambda s: 1 / s.m, "m times too small: divided by m once too often", "use more than one example"),
    "twice": (lambda s: 2.0, "twice too large", ""),
    "half": (lambda s: 0.5, "half of what it should be", ""),
    "outputs-times": (lambda s: len(s.Y), "K times too large, K the number of outputs", "use several outputs"),
    "outputs-mean": (lambda s: 1 / len(s.Y), "K times too small, K the number of outputs", "use several outputs"),
    "all-mean": (
        lambda s: 1 / s.Y.size,
        "m K times too small: the mean also runs over the K outputs",
        "use several outputs and examples",
    ),
    "units-mean": (lambda s: s.m / len(s.layer.W), "divided by n instead of m", "let n differ from m"),
    "inputs-mean": (
        lambda s: s.m / s.layer.W.shape[1],
        "divided by n_prev instead of m",
        "let n_prev differ from m",
    ),
    "unbiased": (lambda s: s.m / max(s.m - 1, 1), "divided by m - 1 instead of m", "use more than one example"),
}
ONLY_SCALES = ("units-mean", "inputs-mean", "unbiased")  # these are slips of a mean, so of dW and db


def scaled(place: str, right: Callable[[Step], np.ndarray]) -> Iterator[Bug]:
    """`place` times each of the factors."""
    for code, (factor, words, reveal) in FACTORS.items():
        if place not in ("dW", "db") and code in ONLY_SCALES:
            continue

        def value(s: Step, factor=factor, of_outputs="outputs" in reveal) -> np.ndarray | None:
            # With one output, dividing by their number is no error.
            return None if of_outputs and len(s.Y) == 1 else factor(s) * right(s)

        yield Bug(code, place, f"{{what}} is {words}", value, reveal)


def _from_output(s: Step) -> np.ndarray:
    return s.layers[-1].A


def _is_entropy(s: Step) -> bool:
    return s.loss in ("binary_cross_entropy", "softmax_cross_entropy")


def _bce(formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Step], np.ndarray | None]:
    return lambda s: formula(_from_output(s), s.Y) if s.loss == "binary_cross_entropy" else None


def _softmax(formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Step], np.ndarray | None]:
    return lambda s: formula(_from_output(s), s.Y) if s.loss == "softmax_cross_entropy" else None


def _entropy(formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Step], np.ndarray | None]:
    return lambda s: formula(_from_output(s), s.Y) if _is_entropy(s) else None


def _softmax_over_examples(Z: np.ndarray) -> np.ndarray:
    E = np.exp(Z - np.max(Z, axis=1, keepdims=True))
    return E / np.sum(E, axis=1, keepdims=True)


def _guarded(epsilon: float) -> Callable[[Step], np.ndarray | None]:
    return _bce(lambda P, Y: ((1 - Y) / (1 - P + epsilon) - Y / (P + epsilon)) * P * (1 - P))


def _through(name: str) -> Callable[[Step], np.ndarray | None]:
    """dAL times the derivative of an activation that is not the output's."""

    def value(s: Step) -> np.ndarray | None:
        P = _from_output(s)
        is_bce = s.loss == "binary_cross_entropy"
        return (P - s.Y) / (P * (1 - P)) * slopes.SLOPES[name](s.layer.Z) if is_bce else None

    return value


TWO = "use several examples"
CENTRED = Bug(
    "centred",
    "dZ",
    "the mean over the batch is subtracted from dZ",
    lambda s: s.dZ - np.mean(s.dZ, axis=1, keepdims=True) if s.m > 1 else None,
    TWO,
)
SOFT = "use labels that are wrong for some examples, and outputs away from 0 and 1"

HEAD = (
    *scaled("head", lambda s: s.dZ),
    Bug(
        "output-derivative-twice",
        "head",
        "the derivative of the output function is applied twice: AL - Y holds it already",
        _entropy(lambda P, Y: (P - Y) * P * (1 - P)),
        SOFT,
    ),
    Bug(
        "output-derivative-missing",
        "head",
        "dAL is used where dZL belongs: the derivative of the sigmoid is missing",
        _bce(lambda P, Y: (P - Y) / (P * (1 - P))),
        SOFT,
    ),
    Bug(
        "output-derivative-missing",
        "head",
        "dAL is used where dZL belongs: the derivative of the softmax is missing",
        _softmax(lambda P, Y: -Y / P),
        SOFT,
    ),
    Bug(
        "softmax-cross-terms-missing",
        "head",
        "the derivative of the softmax is taken as p (1 - p), without its cross terms -p_j p_k",
        _softmax(lambda P, Y: -Y * (1 - P)),
        SOFT,
    ),
    Bug(
        "second-term-missing",
        "head",
        "the term (1 - Y) / (1 - AL) of dAL is missing",
        _bce(lambda P, Y: -Y * (1 - P)),
        SOFT,
    ),
    Bug("first-term-missing", "head", "the term Y / AL of dAL is missing", _bce(lambda P, Y: (1 - Y) * P), SOFT),
    Bug(
        "second-term-sign",
        "head",
        "the two terms of dAL have one sign: it is -(Y / AL - (1 - Y) / (1 - AL))",
        _bce(lambda P, Y: -Y * (1 - P) - (1 - Y) * P),
        SOFT,
    ),
    Bug("labels-ignored", "head", "the labels are not subtracted", lambda s: _from_output(s), "use labels of 1"),
    Bug("output-ignored", "head", "the output is not added to -Y", lambda s: -s.Y, ""),
    Bug(
        "decided-output",
        "head",
        "the predicted label is used in place of the probability AL",
        _bce(lambda P, Y: (P > 0.5) - Y),
        SOFT,
    ),
    Bug(
        "logits-for-output",
        "head",
        "the logits ZL are used in place of the output AL",
        lambda s: s.layer.Z - s.Y if _is_entropy(s) else None,
        "",
    ),
    Bug(
        "absolute-error",
        "head",
        "the sign of the error is used in place of the error",
        lambda s: np.sign(_from_output(s) - s.Y),
        "",
    ),
    Bug(
        "softmax-axis",
        "head",
        "the softmax runs over the examples instead of the outputs (axis=1)",
        lambda s: _softmax_over_examples(s.layer.Z) - s.Y if s.loss == "softmax_cross_entropy" else None,
        TWO,
    ),
    Bug(
        "labels-broadcast",
        "head",
        "every example has the mean of all labels: (m, 1) - (m,) is (m, m)",
        lambda s: _from_output(s) - np.mean(s.Y, axis=1, keepdims=True),
        "use labels that differ from example to example",
    ),
    CENTRED._replace(place="head"),
    *(
        Bug("epsilon", "head", f"{epsilon:g} is added to AL and 1 - AL before dividing", _guarded(epsilon), SOFT)
        for epsilon in (1e-5, 1e-6, 1e-7, 1e-8, 1e-10)
    ),
    *(
        Bug(f"slope-of-{name}", "head", f"the derivative of the output is that of {name}", _through(name), SOFT)
        for name in slopes.SLOPES
        if name not in ("identity", "sigmoid")
    ),
    *(
        Bug(
            "output-derivative-added",
            "head",
            f"the derivative of {name} is multiplied in, but the output is linear",
            lambda s, g=slope: g(s.layer.Z) * s.dZ if s.loss == "squared_error" else None,
        )
        for name, slope in slopes.SLOPES.items()
        if name != "identity"
    ),
    Bug(
        "labels-shifted",
        "head",
        "the labels belong to the example before",
        lambda s: _from_output(s) - np.roll(s.Y, 1, axis=1),
        "use labels that differ from example to example",
    ),
)


def _slope_at(values: Callable[[Step], np.ndarray], same: tuple[str, ...] = ()) -> Callable[[Step], np.ndarray | None]:
    """g'(values) dA, but for the activations of which that is g'(Z) dA too."""

    def value(s: Step) -> np.ndarray | None:
        at = values(s)
        return None if s.hidden in ("identity", *same) or at.shape != s.dA.shape else s.slope_at(at) * s.dA

    return value


def _other_slope(name: str) -> Callable[[Step], np.ndarray | None]:
    return lambda s: slopes.SLOPES[name](s.layer.Z) * s.dA if s.hidden != name else None


BOTH_SIGNS = "let every layer have Z of both signs"

DZ = (
    *scaled("dZ", lambda s: s.dZ),
    Bug(
        "slope-missing",
        "dZ",
        "the derivative of the activation is missing: dZ is dA",
        lambda s: None if s.hidden == "identity" else s.dA,
        BOTH_SIGNS,
    ),
    Bug(
        "slope-twice",
        "dZ",
        "the derivative of the activation is applied twice",
        # Where the derivative is 0 or 1 its square is no error.
        lambda s: None if s.hidden in ("relu", "identity") else s.layer.slope**2 * s.dA,
        BOTH_SIGNS,
    ),
    Bug("slope-alone", "dZ", "dZ is g'(Z) alone: dA is not multiplied in", lambda s: s.layer.slope, ""),
    Bug("slope-added", "dZ", "dA is added to g'(Z) instead of multiplied", lambda s: s.layer.slope + s.dA, ""),
    Bug(
        "slope-at-A",
        "dZ",
        "the derivative is taken at A; it belongs at Z",
        _slope_at(lambda s: s.layer.A, ("relu", "leaky_relu")),
        BOTH_SIGNS,
    ),
    Bug("slope-at-dA", "dZ", "the derivative is taken at dA; it belongs at Z", _slope_at(lambda s: s.dA), BOTH_SIGNS),
    Bug(
        "slope-at-A_prev",
        "dZ",
        "the derivative is taken at A_prev; it belongs at Z",
        _slope_at(lambda s: s.layer.A_prev),
        BOTH_SIGNS,
    ),
    Bug(
        "value-for-slope",
        "dZ",
        "the activation g(Z) stands where its derivative belongs",
        lambda s: s.layer.A * s.dA,
        "",
    ),
    Bug(
        "slope-inverted",
        "dZ",
        "dZ is dA (1 - g'(Z)): the derivative is turned round",
        lambda s: (1 - s.layer.slope) * s.dA,
        "",
    ),
    Bug("A-for-slope-1-A", "dZ", "the derivative is taken as 1 - A", lambda s: (1 - s.layer.A) * s.dA, ""),
    Bug(
        "A-for-slope-1-A2",
        "dZ",
        "the derivative is taken as 1 - A^2",
        lambda s: None if s.hidden == "tanh" else (1 - s.layer.A**2) * s.dA,
        "",
    ),
    Bug("A-for-slope-1+A2", "dZ", "the derivative is taken as 1 + A^2", lambda s: (1 + s.layer.A**2) * s.dA, ""),
    Bug(
        "Z-for-slope-1-Z2",
        "dZ",
        "the derivative is taken as 1 - Z^2: Z stands where A belongs",
        lambda s: (1 - s.layer.Z**2) * s.dA,
        "",
    ),
    Bug(
        "A-for-slope-A(1-A)",
        "dZ",
        "the derivative is taken as A (1 - A)",
        lambda s: None if s.hidden == "sigmoid" else s.layer.A * (1 - s.layer.A) * s.dA,
        "",
    ),
    Bug(
        "Z-for-slope-Z(1-Z)",
        "dZ",
        "the derivative is taken as Z (1 - Z): Z stands where A belongs",
        lambda s: s.layer.Z * (1 - s.layer.Z) * s.dA,
        "",
    ),
    Bug(
        "product-rule-first",
        "dZ",
        "the derivative lacks a term of the product rule: Z g0'(Z) is missing",
        lambda s: (
            {"silu": slopes.sigmoid, "gelu": slopes.normal_distribution}[s.hidden](s.layer.Z) * s.dA
            if s.hidden in ("silu", "gelu")
            else None
        ),
        "",
    ),
    CENTRED,
    Bug(
        "absolute",
        "dZ",
        "the sign of dA is lost",
        lambda s: np.abs(s.dA) * s.layer.slope,
    ),
    Bug(
        "product-rule-second",
        "dZ",
        "the derivative lacks a term of the product rule: only Z g0'(Z) is there",
        lambda s: (
            s.layer.Z * {"silu": slopes.SLOPES["sigmoid"], "gelu": slopes.normal_density}[s.hidden](s.layer.Z) * s.dA
            if s.hidden in ("silu", "gelu")
            else None
        ),
    ),
    Bug(
        "Z-for-A",
        "dZ",
        "the formula of the derivative in terms of A is evaluated at Z",
        lambda s: slopes.OF_A[s.hidden](s.layer.Z, s.layer.Z) * s.dA if s.hidden in slopes.OF_A else None,
    ),
    Bug(
        "negative-branch",
        "dZ",
        "below 0 dZ is the slope alone: dA is not multiplied in",
        lambda s: np.where(s.layer.Z > 0, s.dZ, s.layer.slope) if s.hidden in ("leaky_relu", "elu") else None,
        BOTH_SIGNS,
    ),
    Bug(
        "approximate-gelu",
        "dZ",
        "the derivative is that of GELU's sigmoid approximation; the forward is exact",
        lambda s: slopes.gelu_sigmoid_slope(s.layer.Z) * s.dA if s.hidden == "gelu" else None,
    ),
    Bug(
        "approximate-gelu",
        "dZ",
        "the derivative is that of GELU's tanh approximation; the forward is exact",
        lambda s: slopes.gelu_tanh_slope(s.layer.Z) * s.dA if s.hidden == "gelu" else None,
        "",
    ),
    *(
        Bug(
            f"negative-slope-{c:g}",
            "dZ",
            f"the slope below 0 is {c:g}; that of the forward differs",
            lambda s, c=c: np.where(s.layer.Z >= 0, 1.0, c) * s.dA if s.hidden in ("relu", "leaky_relu") else None,
            BOTH_SIGNS,
        )
        for c in (0.1, 0.2)
    ),
    *(
        Bug(f"slope-of-{name}", "dZ", f"the derivative is that of {name}", _other_slope(name), BOTH_SIGNS)
        for name in slopes.SLOPES
        if name != "identity"  # whose derivative is no derivative: slope-missing
    ),
)


def _has_no_activation(s: Step) -> bool:
    return s.is_head or s.hidden == "identity"


def _square(W: np.ndarray) -> bool:
    return W.shape[0] == W.shape[1]


def _contracted(left: Callable[[Step], np.ndarray], right: Callable[[Step], np.ndarray]):
    def value(s: Step) -> np.ndarray | None:
        product = left(s) @ right(s).T / s.m
        return product if product.shape == s.layer.W.shape else None

    return value


def _without(column: int) -> Callable[[Step], np.ndarray]:
    def value(s: Step) -> np.ndarray:
        kept = np.delete(np.arange(s.m), column)
        return s.dZ[:, kept] @ s.layer.A_prev[:, kept].T / s.m

    return value


DW = (
    *scaled("dW", RIGHT["dW"]),
    Bug(
        "transposed",
        "dW",
        "dW is transposed",
        lambda s: RIGHT["dW"](s).T if _square(s.layer.W) and s.layer.W.size > 1 else None,
    ),
    Bug(
        "activation-skipped",
        "dW",
        "dA stands where dZ belongs",
        lambda s: None if _has_no_activation(s) else s.dA @ s.layer.A_prev.T / s.m,
        BOTH_SIGNS,
    ),
    Bug(
        "output-for-input",
        "dW",
        "the layer's own A stands where A_prev belongs",
        _contracted(lambda s: s.dZ, lambda s: s.layer.A),
    ),
    Bug(
        "Z-for-input",
        "dW",
        "Z_prev stands where A_prev belongs: the activation below is left out",
        lambda s: s.dZ @ s.layers[s.l - 2].Z.T / s.m if s.l > 1 and s.hidden != "identity" else None,
        "let every layer have Z of both signs",
    ),
    Bug(
        "product-of-means",
        "dW",
        "the mean of dZ is multiplied by the mean of A_prev; it is the mean of products",
        lambda s: np.mean(s.dZ, axis=1, keepdims=True) @ np.mean(s.layer.A_prev, axis=1, keepdims=True).T,
        TWO,
    ),
    Bug("last-example-dropped", "dW", "the last example is left out", _without(-1), ""),
    Bug("first-example-dropped", "dW", "the first example is left out", _without(0), ""),
    Bug("absolute", "dW", "the sign of every entry is lost", lambda s: np.abs(RIGHT["dW"](s)), ""),
    Bug(
        "input-not-transposed",
        "dW",
        "A_prev is not transposed",
        lambda s: s.dZ @ s.layer.A_prev / s.m if s.layer.A_prev.shape == (s.m, s.m) == s.layer.W.shape else None,
    ),
    Bug(
        "elementwise",
        "dW",
        "dZ and A_prev^T are multiplied entry by entry",
        lambda s: s.dZ * s.layer.A_prev.T / s.m if s.dZ.shape == s.layer.A_prev.T.shape == s.layer.W.shape else None,
    ),
    *(
        Bug(
            "examples-shifted",
            "dW",
            "dZ of an example is multiplied with A_prev of its neighbour",
            lambda s, k=shift: s.dZ @ np.roll(s.layer.A_prev, k, axis=1).T / s.m,
            TWO,
        )
        for shift in (1, -1)
    ),
    Bug(
        "bias-column",
        "dW",
        "a row of ones stands before A_prev: the first column is db",
        lambda s: s.dZ @ np.vstack([np.ones((1, s.m)), s.layer.A_prev])[:-1].T / s.m,
    ),
    Bug(
        "magnitudes",
        "dW",
        "magnitudes are summed: the signs of dZ are lost",
        lambda s: np.abs(s.dZ) @ s.layer.A_prev.T / s.m,
    ),
    Bug("zero", "dW", "dW is 0: it was never written", lambda s: np.zeros_like(s.layer.W), ""),
)

DB = (
    *scaled("db", RIGHT["db"]),
    Bug(
        "all-summed",
        "db",
        "the sum runs over the units too: every unit gets the same",
        lambda s: np.full_like(s.layer.b, np.sum(s.dZ) / s.m) if s.layer.b.size > 1 else None,
        "let layers have several units",
    ),
    Bug(
        "all-averaged",
        "db",
        "the mean runs over the units too: every unit gets the same",
        lambda s: np.full_like(s.layer.b, np.mean(s.dZ)) if s.layer.b.size > 1 else None,
        "let layers have several units",
    ),
    Bug(
        "wrong-axis",
        "db",
        "the mean runs over the units instead of the examples (axis=0)",
        lambda s: np.mean(s.dZ, axis=0)[:, None] if s.dZ.shape[0] == s.m > 1 else None,
    ),
    Bug(
        "wrong-axis-sum",
        "db",
        "the sum runs over the units instead of the examples (axis=0)",
        lambda s: np.sum(s.dZ, axis=0)[:, None] / s.m if s.dZ.shape[0] == s.m > 1 else None,
    ),
    Bug(
        "activation-skipped",
        "db",
        "dA stands where dZ belongs",
        lambda s: None if _has_no_activation(s) else np.mean(s.dA, axis=1, keepdims=True),
        BOTH_SIGNS,
    ),
    Bug("first-example", "db", "only the first example counts", lambda s: s.dZ[:, :1], TWO),
    Bug(
        "last-example-dropped",
        "db",
        "the last example is left out",
        lambda s: np.sum(s.dZ[:, :-1], axis=1, keepdims=True) / s.m,
    ),
    Bug(
        "first-example-dropped",
        "db",
        "the first example is left out",
        lambda s: np.sum(s.dZ[:, 1:], axis=1, keepdims=True) / s.m,
    ),
    Bug(
        "contracted",
        "db",
        "dZ is multiplied by the layer's input before it is summed",
        lambda s: np.mean(s.dZ * np.sum(s.layer.A_prev, axis=0), axis=1, keepdims=True),
    ),
    Bug(
        "magnitudes",
        "db",
        "magnitudes are averaged: the signs of dZ are lost",
        lambda s: np.mean(np.abs(s.dZ), axis=1, keepdims=True),
    ),
    Bug("zero", "db", "db is 0: it was never written", lambda s: np.zeros_like(s.layer.b)),
)

DA = (
    *scaled("dA", RIGHT["dA"]),
    Bug(
        "not-transposed",
        "dA",
        "W stands where W^T belongs",
        lambda s: s.layer.W @ s.dZ if _square(s.layer.W) and s.layer.W.size > 1 else None,
    ),
    Bug(
        "activation-skipped",
        "dA",
        "dA stands where dZ belongs",
        lambda s: None if _has_no_activation(s) else s.layer.W.T @ s.dA,
        BOTH_SIGNS,
    ),
    Bug("sign-of-weights", "dA", "the signs of W stand where W belongs", lambda s: np.sign(s.layer.W).T @ s.dZ),
    Bug(
        "updated-weights", "dA", "W is taken after its update", lambda s: (s.layer.W - 0.0075 * RIGHT["dW"](s)).T @ s.dZ
    ),
    Bug(
        "elementwise",
        "dA",
        "W^T and dZ are multiplied entry by entry",
        lambda s: s.layer.W.T * s.dZ if s.layer.W.T.shape == s.dZ.shape == s.layer.A_prev.shape else None,
    ),
    Bug(
        "examples-averaged",
        "dA",
        "every example gets the mean signal of all",
        lambda s: np.broadcast_to(np.mean(RIGHT["dA"](s), axis=1, keepdims=True), s.layer.A_prev.shape),
        TWO,
    ),
    Bug(
        "overwritten",
        "dA",
        "the step below has multiplied its derivative into this array: it writes in place",
        lambda s: RIGHT["dA"](s) * s.layers[s.l - 2].slope if s.l > 1 else None,
        BOTH_SIGNS,
    ),
    Bug("zero", "dA", "the signal is 0: nothing is passed down", lambda s: np.zeros_like(s.layer.A_prev)),
)


def swapped(s: Step) -> Iterator[Bug]:
    """The gradient of another layer in place of this one's, where the shapes let it."""
    for name in ("dW", "db"):
        for k in range(1, len(s.layers) + 1):
            other = s.grads[f"{name}{k}"]
            if k != s.l and other.shape == s.grads[f"{name}{s.l}"].shape:
                text = f"it is {name}{k}: two layers are swapped"
                yield Bug("swapped", name, text, lambda s, value=other: value, "let layers differ")


def wrong_caches(s: Step) -> Iterator[Bug]:
    """Every other layer's cache in place of this one's, where the shapes let it."""
    for k, other in enumerate(s.layers, start=1):
        if k == s.l:
            continue
        yield from _of_layer(k, other, s)


def _of_layer(k: int, other: Layer, s: Step) -> Iterator[Bug]:
    code, own = f"cache-of-layer-{k}", s.layer
    reveal = "let layers differ"
    if other.slope.shape == own.slope.shape and not s.is_head and k < len(s.layers):
        yield Bug(
            code, "dZ", f"the derivative is taken at Z{k}, the cache of layer {k}", lambda s: other.slope * s.dA, reveal
        )
    if other.A_prev.shape == own.A_prev.shape:
        yield Bug(
            code,
            "dW",
            f"A{k - 1} stands where A{s.l - 1} belongs: the cache of layer {k}",
            lambda s: s.dZ @ other.A_prev.T / s.m,
            reveal,
        )
    if other.W.shape == own.W.shape:
        yield Bug(
            code, "dA", f"W{k} stands where W{s.l} belongs: the cache of layer {k}", lambda s: other.W.T @ s.dZ, reveal
        )


def known(s: Step) -> dict[str, list[Bug]]:
    """The bugs that can be made in this step, by the name of what they spoil: "dZ", "dW", "db", "dA"."""
    table: dict[str, list[Bug]] = {
        "dZ": list(HEAD if s.is_head else DZ),
        "dW": list(DW),
        "db": list(DB),
        "dA": list(DA),
    }
    for bug in (*wrong_caches(s), *swapped(s)):
        table[bug.place].append(bug)
    return table
