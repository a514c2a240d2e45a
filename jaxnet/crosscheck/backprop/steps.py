"""The backward pass taken apart: what each step reads, and the right line of it, in plain NumPy float64.

At layer l the step has dA_l (at the head: the loss) and makes four things,

    dZ_l = g'(Z_l) * dA_l,    dW_l = dZ_l A_{l-1}^T / m,    db_l = mean of dZ_l,    dA_{l-1} = W_l^T dZ_l,

each of which can be judged by itself, for the signal that the step was given. It shares no code with `jaxnet.network`,
which is under test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np


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
class Step:
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

    @property
    def layer(self) -> Layer:
        return self.layers[self.l - 1]

    @property
    def is_head(self) -> bool:
        return self.l == len(self.layers)

    @property
    def m(self) -> int:
        return self.Y.shape[1]

    def given(self, dZ: np.ndarray) -> "Step":
        """The same step from another dZ."""
        return replace(self, dZ=dZ)


def signal(s: Step) -> np.ndarray:
    """dA_{l-1} = W_l^T dZ_l."""
    return s.layer.W.T @ s.dZ


def weights(s: Step) -> np.ndarray:
    """dW_l = dZ_l A_{l-1}^T / m."""
    return s.dZ @ s.layer.A_prev.T / s.m


def bias(s: Step) -> np.ndarray:
    """db_l = mean of the columns of dZ_l."""
    return np.mean(s.dZ, axis=1, keepdims=True)


RIGHT = {"dW": weights, "db": bias, "dA": signal}


def sizes(s: Step, dZ_size: np.ndarray, A_size: np.ndarray) -> dict[str, np.ndarray]:
    """S of the three outputs: the same lines with every number replaced by its magnitude."""
    return {
        "dW": dZ_size @ A_size.T / s.m,
        "db": np.mean(dZ_size, axis=1, keepdims=True),
        "dA": np.abs(s.layer.W).T @ dZ_size,
    }


def place(name: str, l: int) -> str:
    """Where the output `name` of step l stands in the grads: dA of step l is dA_{l-1}."""
    return f"dA{l - 1}" if name == "dA" else f"{name}{l}"
