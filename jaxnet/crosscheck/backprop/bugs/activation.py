"""Errors of dZ = g'(Z) dA, which the activation makes."""

from collections.abc import Callable

import numpy as np

from .. import slopes
from ..steps import Step
from .base import BOTH_SIGNS, TWO, Bug, scaled


def _slope_at(values: Callable[[Step], np.ndarray], same: tuple[str, ...] = ()) -> Callable[[Step], np.ndarray | None]:
    """g'(values) dA, but for the activations of which that is g'(Z) dA too."""

    def value(s: Step) -> np.ndarray | None:
        at = values(s)
        return None if s.hidden in ("identity", *same) or at.shape != s.dA.shape else s.slope_at(at) * s.dA

    return value


def _other_slope(name: str) -> Callable[[Step], np.ndarray | None]:
    return lambda s: slopes.SLOPES[name](s.layer.Z) * s.dA if s.hidden != name else None


CENTRED = Bug(
    "centred",
    "dZ",
    "the mean over the batch is subtracted from dZ",
    lambda s: s.dZ - np.mean(s.dZ, axis=1, keepdims=True) if s.m > 1 else None,
    TWO,
)

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
