"""What network an update belongs to, and in which convention: tried, one after the other, until the arrays agree.

An update D = before - after is c times the gradient of the mean loss, where c holds the learning rate and whether
losses are summed, averaged or halved; c is one number for all arrays, so that what does not share it is wrong.
Everything here is NumPy in float64, and only chooses: the verdict is due to autodiff.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...activations import ACTIVATIONS
from ...losses import Loss
from ...network import Network
from ..backprop.reference import make_reference
from ..backprop.slopes import SLOPES, sigmoid, softmax
from .arrays import Layers, chains, roundoff_of


HIDDEN = ("relu", "tanh", "sigmoid", "leaky_relu", "gelu", "silu", "softplus", "elu", "identity")


def _half_square(output: Callable) -> Loss:
    return Loss(output, value=lambda ZL, Y: jnp.sum((output(ZL) - Y) ** 2, axis=0) / 2)


class Head(NamedTuple):
    """The output and the loss of a network, in NumPy and as jaxnet's."""

    words: str
    loss: str | Loss
    output: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray] | None = None  # of the output, in terms of A; where dZL holds it


HEADS = (
    Head("sigmoid and binary cross-entropy", "binary_cross_entropy", sigmoid),
    Head("softmax and cross-entropy", "softmax_cross_entropy", lambda Z: softmax(Z, 0)),
    Head("linear output and squared error", "squared_error", lambda Z: Z),
    Head("sigmoid and squared error", _half_square(jax.nn.sigmoid), sigmoid, lambda A: A * (1 - A)),
    Head("tanh and squared error", _half_square(jnp.tanh), np.tanh, lambda A: 1 - A * A),
    Head("relu and squared error", _half_square(jax.nn.relu), lambda Z: np.maximum(Z, 0), lambda A: A > 0),
)


class Data(NamedTuple):
    """Examples in columns."""

    X: np.ndarray
    Y: np.ndarray
    rows: bool  # whether they came in rows


class Convention(NamedTuple):
    """D = factor * (gradient of the mean loss) + decay * W, in the arrays that are `explained`."""

    data: Data
    layers: Layers
    network: Network
    words: str  # of hidden activation, output and loss
    gradient: Callable[[Data, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]  # of the mean loss: W1, b1, ...
    factor: float
    decay: float
    explained: tuple[str, ...]  # "W1", "b1", ...


def readings(arrays: Mapping[str, np.ndarray], X: np.ndarray, Y: np.ndarray) -> Iterator[tuple[Data, Layers]]:
    """Every way to read X and Y, in rows or in columns, for which there are layers in the arrays."""
    X = X.astype(np.float64)
    for rows in (True, False):
        columns = X.T if rows else X
        m = columns.shape[1]
        for layers in chains(arrays, len(columns), lambda n_L, m=m: any(True for _ in _labels(Y, n_L, m))):
            last = arrays[layers.W[-1]]
            n_L = 1 if last.ndim == 1 else last.shape[1 if layers.rows else 0]
            yield from ((Data(columns, labels, rows), layers) for labels in _labels(Y, n_L, m))


def _labels(Y: np.ndarray, n_L: int, m: int) -> Iterator[np.ndarray]:
    """Y as `(n_L, m)`: as it is, transposed, or made of the numbers of classes."""
    if Y.ndim == 2 and Y.shape == (n_L, m):
        yield Y.astype(np.float64)
    if Y.ndim == 2 and Y.shape == (m, n_L) and not np.array_equal(Y, Y.T):
        yield Y.T.astype(np.float64)
    if Y.size == m and n_L == 1 and Y.ndim < 2:
        yield Y.reshape(1, m).astype(np.float64)
    if Y.size == m and n_L > 1 and np.array_equal(Y, np.round(Y)) and Y.min() >= 0 and Y.max() < n_L:
        yield np.eye(n_L)[:, Y.reshape(-1).astype(int)]


def find_convention(
    arrays: Mapping[str, np.ndarray],
    updates: Mapping[str, np.ndarray],
    X: np.ndarray,
    Y: np.ndarray,
    network: Network | None,
    rate: float | None,
) -> Convention | None:
    """The convention under which most arrays agree; None where no matrix of weights does under any."""
    best, most = None, (0, False, 0, 0.0)
    for data, layers in itertools.islice(readings(arrays, X, Y), 64):
        parameters, D = layers.parameters(arrays), layers.parameters(updates)
        given = {name: path for name in D if (path := layers_name(layers, name)) is not None}
        bars = {name: 4 * roundoff_of(arrays[path]) * _size(parameters[name]) for name, path in given.items()}
        u = max(roundoff_of(arrays[name]) for name in layers.names)
        for candidate, words, gradient in _networks(data, len(layers.W), network):
            with np.errstate(all="ignore"), jax.enable_x64(True):
                G = gradient(data, parameters)
            for factor, decay, explained, off in _fits(G, D, parameters, list(given), bars, u, rate):
                # Of an error only what is below it suffers, so the output's matrix decides between as many arrays.
                count = len(explained), f"W{len(layers.W)}" in explained, sum(D[name].size for name in explained), -off
                if count > most:
                    best, most = Convention(data, layers, candidate, words, gradient, factor, decay, explained), count
    return best


def layers_name(layers: Layers, name: str) -> str | None:
    """The path of W1, b1, ..."""
    return (layers.W if name[0] == "W" else layers.b)[int(name[1:]) - 1]


def gradients(data: Data, parameters: Mapping[str, np.ndarray], hidden: str, head: Head) -> dict[str, np.ndarray]:
    """The gradient of the mean loss, W1, b1, ..., by the textbook's lines."""
    L, A, Z = len(parameters) // 2, [data.X], []
    for l in range(1, L + 1):
        Z.append(parameters[f"W{l}"] @ A[-1] + parameters[f"b{l}"])
        A.append(head.output(Z[-1]) if l == L else np.asarray(ACTIVATIONS[hidden].forward(jnp.asarray(Z[-1]))))
    dZ = A[-1] - data.Y
    dZ = dZ if head.slope is None else dZ * head.slope(A[-1])
    grads = {}
    for l in range(L, 0, -1):
        grads |= {f"W{l}": dZ @ A[l - 1].T / dZ.shape[1], f"b{l}": dZ.mean(axis=1, keepdims=True)}
        dZ = SLOPES[hidden](Z[l - 2]) * (parameters[f"W{l}"].T @ dZ) if l > 1 else dZ
    return grads


def _networks(data: Data, L: int, network: Network | None) -> Iterator[tuple[Network, str, Callable]]:
    """The networks that it may be, in words, and the function that gives the gradient of each."""
    if network is not None:
        yield network, repr(network), partial(_autodiff, network=network)
        return
    binary, distribution = data.Y.min() >= 0 and data.Y.max() <= 1, np.allclose(data.Y.sum(axis=0), 1)
    for head in HEADS:
        if head.loss == "softmax_cross_entropy" and (len(data.Y) == 1 or not distribution):
            continue
        if head.loss == "binary_cross_entropy" and not binary:
            continue
        for hidden in HIDDEN if L > 1 else HIDDEN[:1]:
            words = f"{hidden} hidden layers, {head.words}" if L > 1 else head.words
            yield Network(hidden, head.loss), words, partial(gradients, hidden=hidden, head=head)


def _autodiff(data: Data, parameters: Mapping[str, np.ndarray], network: Network) -> dict[str, np.ndarray]:
    grads = make_reference(data.X, data.Y, parameters, network).grads
    return {name: grads[f"d{name}"] for name in parameters}


def _fits(
    G: Mapping[str, Any],
    D: Mapping[str, Any],
    parameters: Mapping[str, Any],
    given: Sequence[str],
    bars: Mapping[str, float],
    u: float,
    rate: float | None,
) -> Iterator[tuple[float, float, tuple[str, ...], float]]:
    """Factors, with what is explained by each, and how far off: that of every matrix, and one with a penalty on all."""

    def explained(factor: float, decay: float = 0.0) -> tuple[tuple[str, ...], float]:
        close, worst = [], 0.0
        for name in given:
            want = factor * G[name] + (decay * parameters[name] if name[0] == "W" else 0.0)
            room = min(1e4 * u, 1e-2) * max(_size(want), _size(D[name])) + bars[name]
            if _size(D[name] - want) <= room and _size(D[name]) > 0:
                close.append(name)
                worst = max(worst, _size(D[name] - want) / _size(D[name]))
        # One matrix of one entry, and numbers below the roundoff, fit anything.
        return (tuple(close), worst) if any(D[n].size > 2 and _size(D[n]) > 4 * bars[n] for n in close) else ((), 0.0)

    norms = {name: float(np.vdot(G[name], G[name])) for name in given if name[0] == "W"}
    matrices = [name for name, norm in norms.items() if 0 < norm < np.inf]
    slopes = [float(np.vdot(G[name], D[name])) / norms[name] for name in matrices]
    found = [(c, 0.0, *explained(c)) for c in ([rate] if rate else []) + slopes]
    yield from found
    if matrices and all(len(close) < len(given) for _, _, close, _ in found):
        terms = [np.concatenate([x[name].ravel() for name in matrices]) for x in (G, parameters, D)]
        (c, decay), *_ = np.linalg.lstsq(np.stack(terms[:2], axis=1), terms[2], rcond=None)
        close, off = explained(c, decay)
        if len(close) == len(given):
            yield float(c), float(decay), close, off


def _size(array: np.ndarray) -> float:
    return float(np.max(np.abs(array), initial=0.0))
