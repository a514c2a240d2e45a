"""Errors of dZL, which the loss and the output function make."""

from collections.abc import Callable

import numpy as np

from .. import slopes
from ..steps import Step
from .activation import CENTRED
from .base import SOFT, TWO, Bug, scaled


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
