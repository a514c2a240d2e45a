"""Errors of dW, db and the signal dA, which the weights of a layer make of dZ."""

from collections.abc import Callable

import numpy as np

from ..steps import RIGHT, Step
from .base import BOTH_SIGNS, TWO, Bug, scaled


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
        "the sum runs over the units instead of the examples (axis=0)",
        lambda s: np.sum(s.dZ, axis=0, keepdims=True) / s.m if s.m > 1 else None,
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
