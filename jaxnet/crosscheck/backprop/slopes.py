"""g(Z) and g'(Z) of the known activations in plain NumPy: what somebody may have written where g' belongs."""

import math
from collections.abc import Callable

import numpy as np


def sigmoid(Z: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-Z)."""
    return 1 / (1 + np.exp(-np.clip(Z, -700, 700)))


def softmax(Z: np.ndarray, axis: int) -> np.ndarray:
    """e^Z / sum of e^Z along the axis."""
    E = np.exp(Z - np.max(Z, axis=axis, keepdims=True))
    return E / np.sum(E, axis=axis, keepdims=True)


def normal_distribution(Z: np.ndarray) -> np.ndarray:
    """Phi(Z)."""
    return np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)), otypes=[float])(Z)


def gelu_slope(Z: np.ndarray) -> np.ndarray:
    """Phi(Z) + Z phi(Z)."""
    return normal_distribution(Z) + Z * np.exp(-Z * Z / 2) / math.sqrt(2 * math.pi)


def gelu_tanh_slope(Z: np.ndarray) -> np.ndarray:
    """The derivative of 0.5 Z (1 + tanh(c (Z + 0.044715 Z^3))), c = sqrt(2 / pi)."""
    c = math.sqrt(2 / math.pi)
    T = np.tanh(c * (Z + 0.044715 * Z**3))
    return 0.5 * (1 + T) + 0.5 * Z * (1 - T * T) * c * (1 + 3 * 0.044715 * Z * Z)


def gelu_sigmoid_slope(Z: np.ndarray) -> np.ndarray:
    """The derivative of Z sigmoid(1.702 Z)."""
    return silu_slope(1.702 * Z)


def silu_slope(Z: np.ndarray) -> np.ndarray:
    """S (1 + Z (1 - S)), S = sigmoid(Z)."""
    S = sigmoid(Z)
    return S * (1 + Z * (1 - S))


SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda Z: np.where(Z > 0, 1.0, 0.0),
    "leaky_relu": lambda Z: np.where(Z >= 0, 1.0, 0.01),
    "sigmoid": lambda Z: sigmoid(Z) * sigmoid(-Z),
    "tanh": lambda Z: 1 - np.tanh(Z) ** 2,
    "gelu": gelu_slope,
    "silu": silu_slope,
    "softplus": sigmoid,
    "elu": lambda Z: np.exp(np.minimum(Z, 0)),
    "identity": np.ones_like,
}
GELU_APPROXIMATIONS = {"sigmoid": gelu_sigmoid_slope, "tanh": gelu_tanh_slope}
# g0 of an activation Z g0(Z), whose derivative is g0(Z) + Z g0'(Z).
FIRST_FACTORS = {"silu": sigmoid, "gelu": normal_distribution}

# g' in terms of A (and, where it needs it, of Z): what is to be evaluated at A and not at Z.
OF_A: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "silu": lambda A, Z: A + sigmoid(Z) * (1 - A),
    "softplus": lambda A, Z: 1 - np.exp(-A),
    "elu": lambda A, Z: np.where(A > 0, 1.0, A + 1),
}

# The line of the derivative, as a reader would write it.
LINES = {
    "relu": "dA{l} * (Z{l} > 0)",
    "leaky_relu": "dA{l} * where(Z{l} >= 0, 1, 0.01)",
    "sigmoid": "dA{l} * s * (1 - s), s = sigmoid(Z{l})",
    "tanh": "dA{l} * (1 - tanh(Z{l})**2)",
    "gelu": "dA{l} * (Phi(Z{l}) + Z{l} * phi(Z{l}))",
    "silu": "dA{l} * s * (1 + Z{l} * (1 - s)), s = sigmoid(Z{l})",
    "softplus": "dA{l} * sigmoid(Z{l})",
    "elu": "dA{l} * exp(minimum(Z{l}, 0))",
    "identity": "dA{l}",
}
