"""The backward pass taken apart: what each step reads, and the right line of it, in plain NumPy float64.

At layer l the step has dA_l (at the head: the loss) and makes four things,

    dZ_l = g'(Z_l) * dA_l,    dW_l = dZ_l A_{l-1}^T / m,    db_l = mean of dZ_l,    dA_{l-1} = W_l^T dZ_l,

each of which can be judged by itself, for the signal that the step was given. It shares no code with `jaxnet.network`,
which is under test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..report import Place
from .slopes import LINES


@dataclass(frozen=True)
class Layer:
    """What the forward pass leaves of layer l."""

    A_prev: np.ndarray
    W: np.ndarray
    b: np.ndarray
    Z: np.ndarray
    A: np.ndarray  # of the last layer: AL
    slope: np.ndarray  # g'(Z); of the last layer: ones


@dataclass(frozen=True)
class Step(Layer):
    """The backward of layer `l`, about to be made."""

    l: int  # 1 ... L
    layers: tuple[Layer, ...]
    Y: np.ndarray
    dA: np.ndarray  # what came from above; at the head the reference's dZL, since the loss knows no dA
    dZ: np.ndarray
    loss: str  # "" where the loss is the user's own, or weighted by example
    head: str  # the right line of dZ_L
    hidden: str  # "" where the activation is the user's own
    slope_at: Callable[[np.ndarray], np.ndarray]  # g'
    grads: Mapping[str, np.ndarray]  # the right ones, of all layers
    numbered: bool = True  # else "dW" and "A_prev" for "dW2" and "A1", as in a function of one layer

    @property
    def is_head(self) -> bool:
        return self.l == len(self.layers)

    @property
    def m(self) -> int:
        return self.Y.shape[1]

    @property
    def below(self) -> Layer | None:
        """The layer whose A is A_prev; None at layer 1."""
        return self.layers[self.l - 2] if self.l > 1 else None

    def given(self, dZ: np.ndarray) -> "Step":
        """The same step from another dZ."""
        return replace(self, dZ=dZ)

    def right(self, kind: str) -> np.ndarray:
        """What it should make of its dZ: "dW", "db" or "dA"; or "dZ" itself."""
        return self.dZ if kind == "dZ" else RIGHT[kind](self)

    def place(self, kind: str) -> Place:
        """Where that stands in the grads: the dA of step l is dA_{l-1}."""
        return Place(kind, self.l - (kind == "dA")) if self.numbered else Place(kind)

    @property
    def numbers(self) -> tuple[str, str]:
        """What is written behind the names of this layer and of the one below."""
        return (str(self.l), str(self.l - 1)) if self.numbered else ("", "_prev")

    def line(self, kind: str) -> str:
        """The right line of mathematics."""
        l, k = self.numbers
        return {
            "dZ": self.head if self.is_head else f"dZ{l} = " + LINES.get(self.hidden, "dA{l} * g'(Z{l})").format(l=l),
            "dW": f"dW{l} = dZ{l} @ A{k}.T / m, m = A{k}.shape[1]",
            "db": f"db{l} = dZ{l}.sum(axis=1, keepdims=True) / m",
            "dA": f"dA{k} = W{l}.T @ dZ{l}",
        }[kind]


RIGHT: dict[str, Callable[[Step], np.ndarray]] = {
    "dW": lambda s: s.dZ @ s.A_prev.T / s.m,
    "db": lambda s: np.mean(s.dZ, axis=1, keepdims=True),
    "dA": lambda s: s.W.T @ s.dZ,
}


def sizes(s: Step, dZ_size: np.ndarray, A_size: np.ndarray) -> dict[str, np.ndarray]:
    """S of the three outputs: the same lines with every number replaced by its magnitude."""
    magnitudes = replace(s, dZ=dZ_size, A_prev=A_size, W=np.abs(s.W))
    return {kind: line(magnitudes) for kind, line in RIGHT.items()}
