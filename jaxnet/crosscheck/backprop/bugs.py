"""The known single errors of a backward pass, each as the line that makes it.

The same table diagnoses (which bug reproduces these numbers?) and measures power (which would show?). Most come from
reports: crossed and forgotten axes, derivatives taken at A or of another function, means that are sums.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..hypotheses import Hypothesis
from .slopes import FIRST_FACTORS, GELU_APPROXIMATIONS, OF_A, SLOPES, softmax
from .steps import Layer, Step


# What to change at a point where a bug does not show.
TWO = "use several examples"
SIGNS = "let every layer have Z of both signs"
SOFT = "use labels that are wrong for some examples, and outputs away from 0 and 1"
VARIED = "use labels that differ from example to example"
LAYERS = "let layers differ"
UNITS = "let layers have several units"

Line = Callable[[Step], Any]


class Bug(NamedTuple):
    """An error of dZ, dW, db or dA, and the line that makes it; of some activations (of dZ_L: losses) only."""

    code: str
    text: str  # "{what}" stands for the array's name
    line: Line
    advice: str = ""
    only: str = ""
    unless: str = ""

    def made(self, s: Step) -> np.ndarray | None:
        """What the step makes with this bug in it; None where that changes nothing, or where the shapes do not fit."""
        member = s.loss if s.is_head else s.hidden
        if (self.only and member not in self.only.split()) or (member and member in self.unless.split()):
            return None
        try:
            with np.errstate(all="ignore"):
                value = self.line(s)
        except ValueError:
            return None
        return None if value is None else np.asarray(value, np.float64)


def hypotheses(kind: str, s: Step) -> Iterator[Hypothesis]:
    """What `kind` (dZ, dW, db or dA) is with each of the known bugs in it."""
    return (Hypothesis(bug.code, bug.text, bug.made(s)) for bug in known(kind, s))


def known(kind: str, s: Step) -> list[Bug]:
    """The bugs that may be made in this step."""
    factors = [
        Bug(code, f"{{what}} is {words}", partial(_scaled, kind=kind, factor=factor), advice)
        for code, (factor, words, advice) in FACTORS.items()
        if kind in ("dW", "db") or code not in OF_MEANS
    ]
    table = HEAD if kind == "dZ" and s.is_head else TABLE[kind]
    return [*factors, *table, *_of_other_layers(kind, s)]


def _scaled(s: Step, kind: str, factor: Callable[[Step], float | None]) -> np.ndarray | None:
    c = factor(s)
    return None if c is None else c * s.right(kind)


def cache_codes(s: Step) -> dict[str, int]:
    """The codes of the bugs that read the cache of another layer, and that layer."""
    return {f"cache-of-layer-{k}": k for k in range(1, len(s.layers) + 1) if k != s.l}


def _of_other_layers(kind: str, s: Step) -> Iterator[Bug]:
    """The cache or the gradient of another layer in place of this one's, where the shapes let it."""

    def fits(array: np.ndarray, own: np.ndarray) -> np.ndarray | None:
        return array if array.shape == own.shape else None

    own_l, own_k = s.numbers
    for code, k in cache_codes(s).items():
        c: Layer = s.layers[k - 1]
        text, other, own = {
            "dZ": (f"the derivative is taken at Z{k}", None if s.is_head or k == len(s.layers) else c.slope, s.slope),
            "dW": (f"A{k - 1} stands where A{own_k} belongs", c.A_prev, s.A_prev),
            "dA": (f"W{k} stands where W{own_l} belongs", c.W, s.W),
            "db": ("", None, s.b),
        }[kind]
        if other is not None and fits(other, own) is not None:
            line: dict[str, Line] = {
                "dZ": lambda s, other=other: other * s.dA,
                "dW": lambda s, other=other: s.dZ @ other.T / s.m,
                "dA": lambda s, other=other: other.T @ s.dZ,
            }
            yield Bug(code, f"{text}: the cache of layer {k}", line[kind], LAYERS)
        if kind in ("dW", "db") and (value := fits(s.grads[f"{kind}{k}"], s.grads[f"{kind}{s.l}"])) is not None:
            text = f"it is {kind}{k}: two layers are swapped"
            yield Bug("swapped", text, lambda s, value=value: value, LAYERS)


def _entropy(formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Line:
    """dZL from the output P and the labels Y."""
    return lambda s: formula(s.A, s.Y)


def _guarded(s: Step, epsilon: float) -> np.ndarray:
    P = s.A
    return ((1 - s.Y) / (1 - P + epsilon) - s.Y / (P + epsilon)) * P * (1 - P)


def _without(s: Step, kind: str, example: int) -> np.ndarray:
    kept = np.delete(np.arange(s.m), example)
    return s.dZ[:, kept] @ (s.A_prev[:, kept].T if kind == "dW" else np.ones((len(kept), 1))) / s.m


def _mean(array: np.ndarray) -> np.ndarray:
    return np.mean(array, axis=1, keepdims=True)


# fmt: off
FACTORS: dict[str, tuple[Callable[[Step], float | None], str, str]] = {
    "sign": (lambda s: -1.0, "of the wrong sign", ""),
    "mean-missing": (lambda s: s.m, "m times too large: a sum where the mean belongs", "use more than one example"),
    "mean-twice": (lambda s: 1 / s.m, "m times too small: divided by m once too often", "use more than one example"),
    "twice": (lambda s: 2.0, "twice too large", ""),
    "half": (lambda s: 0.5, "half of what it should be", ""),
    "outputs-mean": (lambda s: 1 / len(s.Y) if len(s.Y) > 1 else None, "1/K of what it should be, K the outputs", ""),
    "units-mean": (lambda s: s.m / len(s.W), "divided by n instead of m", "let n differ from m"),
    "inputs-mean": (lambda s: s.m / s.W.shape[1], "divided by n_prev instead of m", "let n_prev differ from m"),
    "unbiased": (lambda s: s.m / max(s.m - 1, 1), "divided by m - 1 instead of m", "use more than one example"),
}
OF_MEANS = ("units-mean", "inputs-mean", "unbiased")  # slips of a mean, so of dW and db
CENTRED = Bug("centred", "the mean over the batch is subtracted from dZ",
              lambda s: s.dZ - _mean(s.dZ) if s.m > 1 else None, TWO)
SKIPPED = partial(Bug, "activation-skipped", "dA stands where dZ belongs", advice=SIGNS, unless="identity")
ZERO = partial(Bug, "zero", "{what} is 0: it was never written")

HEAD = (
    Bug("output-derivative-twice", "the derivative of the output function is applied twice: AL - Y holds it already",
        _entropy(lambda P, Y: (P - Y) * P * (1 - P)), SOFT, only="binary_cross_entropy softmax_cross_entropy"),
    Bug("output-derivative-missing", "dAL is used where dZL belongs: the derivative of the sigmoid is missing",
        _entropy(lambda P, Y: (P - Y) / (P * (1 - P))), SOFT, only="binary_cross_entropy"),
    Bug("output-derivative-missing", "dAL is used where dZL belongs: the derivative of the softmax is missing",
        _entropy(lambda P, Y: -Y / P), SOFT, only="softmax_cross_entropy"),
    Bug("softmax-cross-terms-missing", "the derivative of the softmax is p (1 - p), without its cross terms -p_j p_k",
        _entropy(lambda P, Y: -Y * (1 - P)), SOFT, only="softmax_cross_entropy"),
    Bug("second-term-missing", "the term (1 - Y) / (1 - AL) of dAL is missing",
        _entropy(lambda P, Y: -Y * (1 - P)), SOFT, only="binary_cross_entropy"),
    Bug("first-term-missing", "the term Y / AL of dAL is missing",
        _entropy(lambda P, Y: (1 - Y) * P), SOFT, only="binary_cross_entropy"),
    Bug("second-term-sign", "the two terms of dAL have one sign: it is -(Y / AL - (1 - Y) / (1 - AL))",
        _entropy(lambda P, Y: -Y * (1 - P) - (1 - Y) * P), SOFT, only="binary_cross_entropy"),
    Bug("labels-ignored", "the labels are not subtracted", lambda s: s.A, "use labels of 1"),
    Bug("decided-output", "the predicted label is used in place of the probability AL",
        _entropy(lambda P, Y: (P > 0.5) - Y), SOFT, only="binary_cross_entropy"),
    Bug("logits-for-output", "the logits ZL are used in place of the output AL",
        lambda s: s.Z - s.Y, only="binary_cross_entropy softmax_cross_entropy"),
    Bug("absolute-error", "the sign of the error is used in place of the error", lambda s: np.sign(s.A - s.Y)),
    Bug("softmax-axis", "the softmax runs over the examples instead of the outputs (axis=1)",
        lambda s: softmax(s.Z, axis=1) - s.Y, TWO, only="softmax_cross_entropy"),
    Bug("labels-broadcast", "every example has the mean of all labels: (m, 1) - (m,) is (m, m)",
        lambda s: s.A - _mean(s.Y), VARIED),
    CENTRED,
    *(Bug("epsilon", f"{epsilon:g} is added to AL and 1 - AL before dividing", partial(_guarded, epsilon=epsilon), SOFT,
          only="binary_cross_entropy") for epsilon in (1e-5, 1e-6, 1e-7, 1e-8, 1e-10)),
    *(Bug(f"slope-of-{name}", f"the derivative of the output is that of {name}",
          lambda s, g=g: (s.A - s.Y) / (s.A * (1 - s.A)) * g(s.Z), SOFT, only="binary_cross_entropy")
      for name, g in SLOPES.items() if name not in ("identity", "sigmoid")),
    *(Bug("output-derivative-added", f"the derivative of {name} is multiplied in, but the output is linear",
          lambda s, g=g: g(s.Z) * s.dZ, only="squared_error") for name, g in SLOPES.items() if name != "identity"),
)

TABLE: dict[str, tuple[Bug, ...]] = {"dZ": (
    Bug("slope-missing", "the derivative of the activation is missing: dZ is dA", lambda s: s.dA, SIGNS,
        unless="identity"),
    Bug("slope-twice", "the derivative of the activation is applied twice", lambda s: s.slope**2 * s.dA, SIGNS,
        unless="relu identity"),  # where the derivative is 0 or 1 its square is not an error
    Bug("slope-alone", "dZ is g'(Z) alone: dA is not multiplied in", lambda s: s.slope),
    Bug("slope-at-A", "the derivative is taken at A; it belongs at Z", lambda s: s.slope_at(s.A) * s.dA, SIGNS,
        unless="identity relu leaky_relu"),
    Bug("slope-at-dA", "the derivative is taken at dA; it belongs at Z", lambda s: s.slope_at(s.dA) * s.dA, SIGNS,
        unless="identity"),
    Bug("slope-at-A_prev", "the derivative is taken at A_prev; it belongs at Z",
        lambda s: s.slope_at(s.A_prev) * s.dA if s.A_prev.shape == s.Z.shape else None, SIGNS, unless="identity"),
    Bug("value-for-slope", "the activation g(Z) stands where its derivative belongs", lambda s: s.A * s.dA),
    Bug("slope-inverted", "dZ is dA (1 - g'(Z)): the derivative is turned round", lambda s: (1 - s.slope) * s.dA),
    Bug("A-for-slope-1-A", "the derivative is taken as 1 - A", lambda s: (1 - s.A) * s.dA),
    Bug("A-for-slope-1+A2", "the derivative is taken as 1 + A^2", lambda s: (1 + s.A**2) * s.dA),
    Bug("Z-for-slope-1-Z2", "the derivative is taken as 1 - Z^2: Z stands where A belongs",
        lambda s: (1 - s.Z**2) * s.dA),
    Bug("A-for-slope-A(1-A)", "the derivative is taken as A (1 - A)", lambda s: s.A * (1 - s.A) * s.dA,
        unless="sigmoid"),
    Bug("product-rule-first", "the derivative lacks a term of the product rule: Z g0'(Z) is missing",
        lambda s: FIRST_FACTORS[s.hidden](s.Z) * s.dA, only="silu gelu"),
    Bug("product-rule-second", "the derivative lacks a term of the product rule: only Z g0'(Z) is there",
        lambda s: (s.slope - FIRST_FACTORS[s.hidden](s.Z)) * s.dA, only="silu gelu"),
    CENTRED,
    Bug("absolute", "the sign of dA is lost", lambda s: np.abs(s.dA) * s.slope),
    Bug("Z-for-A", "the formula of the derivative in terms of A is evaluated at Z",
        lambda s: OF_A[s.hidden](s.Z, s.Z) * s.dA, only=" ".join(OF_A)),
    Bug("negative-branch", "below 0 dZ is the slope alone: dA is not multiplied in",
        lambda s: np.where(s.Z > 0, s.dZ, s.slope), SIGNS, only="leaky_relu elu"),
    *(Bug("approximate-gelu", f"the derivative is that of GELU's {name} approximation; the forward is exact",
          lambda s, g=g: g(s.Z) * s.dA, only="gelu") for name, g in GELU_APPROXIMATIONS.items()),
    Bug("negative-slope-0.1", "the slope below 0 is 0.1; that of the forward differs",
        lambda s: np.where(s.Z >= 0, 1.0, 0.1) * s.dA, SIGNS, only="relu leaky_relu"),
    *(Bug(f"slope-of-{name}", f"the derivative is that of {name}", lambda s, g=g: g(s.Z) * s.dA, SIGNS, unless=name)
      for name, g in SLOPES.items() if name != "identity"),
), "dW": (
    Bug("transposed", "dW is transposed", lambda s: s.right("dW").T if s.W.size > 1 else None),
    SKIPPED(lambda s: None if s.is_head else s.dA @ s.A_prev.T / s.m),
    Bug("output-for-input", "the layer's own A stands where A_prev belongs", lambda s: s.dZ @ s.A.T / s.m),
    Bug("Z-for-input", "Z_prev stands where A_prev belongs: the activation below is left out",
        lambda s: s.dZ @ s.below.Z.T / s.m if s.below and s.hidden != "identity" else None, SIGNS),
    Bug("product-of-means", "the mean of dZ is multiplied by the mean of A_prev; it is the mean of products",
        lambda s: _mean(s.dZ) @ _mean(s.A_prev).T, TWO),
    Bug("last-example-dropped", "the last example is left out", partial(_without, kind="dW", example=-1)),
    Bug("input-not-transposed", "A_prev is not transposed", lambda s: s.dZ @ s.A_prev / s.m),
    Bug("elementwise", "dZ and A_prev^T are multiplied entry by entry",
        lambda s: s.dZ * s.A_prev.T / s.m if s.dZ.shape == s.A_prev.T.shape else None),
    *(Bug("examples-shifted", "dZ of an example is multiplied with A_prev of its neighbour",
          lambda s, k=k: s.dZ @ np.roll(s.A_prev, k, axis=1).T / s.m, TWO) for k in (1, -1)),
    Bug("bias-column", "a row of ones stands before A_prev: the first column is db",
        lambda s: s.dZ @ np.vstack([np.ones((1, s.m)), s.A_prev])[:-1].T / s.m),
    ZERO(lambda s: np.zeros_like(s.W)),
), "db": (
    Bug("all-summed", "the sum runs over the units too: every unit gets the same",
        lambda s: np.full_like(s.b, np.sum(s.dZ) / s.m) if s.b.size > 1 else None, UNITS),
    *(Bug("wrong-axis", "the sum runs over the units instead of the examples (axis=0)", line) for line in (
        lambda s: np.sum(s.dZ, axis=0, keepdims=True) / s.m if s.m > 1 else None,
        lambda s: np.mean(s.dZ, axis=0)[:, None] if s.m > 1 else None)),
    SKIPPED(lambda s: None if s.is_head else _mean(s.dA)),
    Bug("first-example", "only the first example counts", lambda s: s.dZ[:, :1], TWO),
    Bug("last-example-dropped", "the last example is left out", partial(_without, kind="db", example=-1)),
    Bug("contracted", "dZ is multiplied by the layer's input before it is summed",
        lambda s: _mean(s.dZ * np.sum(s.A_prev, axis=0))),
    Bug("magnitudes", "magnitudes are averaged: the signs of dZ are lost", lambda s: _mean(np.abs(s.dZ))),
    ZERO(lambda s: np.zeros_like(s.b)),
), "dA": (
    Bug("not-transposed", "W stands where W^T belongs", lambda s: s.W @ s.dZ if s.W.size > 1 else None),
    SKIPPED(lambda s: None if s.is_head else s.W.T @ s.dA),
    Bug("sign-of-weights", "the signs of W stand where W belongs", lambda s: np.sign(s.W).T @ s.dZ),
    Bug("updated-weights", "W is taken after its update", lambda s: (s.W - 0.0075 * s.right("dW")).T @ s.dZ),
    Bug("elementwise", "W^T and dZ are multiplied entry by entry",
        lambda s: s.W.T * s.dZ if s.W.T.shape == s.dZ.shape else None),
    Bug("examples-averaged", "every example gets the mean signal of all",
        lambda s: np.broadcast_to(_mean(s.right("dA")), s.A_prev.shape), TWO),
    Bug("overwritten", "the step below has multiplied its derivative into this array: it writes in place",
        lambda s: s.right("dA") * s.below.slope if s.below else None, SIGNS),
    ZERO(lambda s: np.zeros_like(s.A_prev)),
)}
# fmt: on
