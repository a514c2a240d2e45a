"""Where is a check worth something? Power counts the known errors that show; `good_point` finds a point for all."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ...network import COURSE, Network
from ...parameters import FrozenDict, checked_layer_dims
from ...types import PRNGKeyArray
from ..compare import ROUNDOFF
from ..report import Power
from .bugs import known
from .reference import Reference, make_reference
from .steps import RIGHT, Step, sizes


CLEARANCE = 1e-3  # how far from a kink every Z of a good point lies
TRIES = 50


def measure_power(reference: Reference) -> Power:
    """Makes every known error at every layer, and counts those that move what the step makes by more than rounding."""
    seen, total, advice = 0, 0, {}
    hidden: dict[str, list[int]] = {}
    with np.errstate(all="ignore"):
        for l in range(len(reference.layers), 0, -1):
            step = reference.step(l)
            size = sizes(step, reference.dZ_size[l - 1], np.abs(step.A_prev))
            for kind in ("dZ", *RIGHT):
                for bug in known(kind, step):
                    value = bug.made(step)
                    if value is None:
                        continue
                    shows = _shows(value, kind, step, size, reference.bound)
                    total, seen = total + 1, seen + shows
                    if not shows:
                        name = "head" if kind == "dZ" and step.is_head else kind
                        hidden.setdefault(f"{name}: {bug.code}", []).append(l)
                        advice.setdefault(bug.advice, None)
    invisible = tuple(f"{code} (layer {', '.join(map(str, layers))})" for code, layers in hidden.items())
    return Power(seen, total, invisible, tuple(filter(None, advice)))


def _shows(value: np.ndarray, kind: str, step: Step, size: dict[str, np.ndarray], units: float) -> bool:
    if kind != "dZ":
        return _differs(value, step.right(kind), size[kind], units)
    wrong = step.given(value)
    return any(_differs(wrong.right(output), step.right(output), size[output], units) for output in RIGHT)


def _differs(a: np.ndarray, b: np.ndarray, size: np.ndarray, units: float) -> bool:
    if a.shape != b.shape or not np.isfinite(a[np.isfinite(b)]).all():  # where the right value is NaN, nothing shows
        return True
    return bool(np.any(np.abs(a - b) > 2 * units * ROUNDOFF["float64"] * size))


def good_point(
    layer_dims: Sequence[int], network: Network = COURSE, *, key: PRNGKeyArray, m: int | None = None
) -> tuple[np.ndarray, np.ndarray, FrozenDict]:
    """X, Y and parameters at which every known error shows, drawn from `key`; NumPy float64.

    Weights of variance 1/n_{l-1}, biases and inputs that are not 0, Z of both signs in every layer and none of them
    near a kink, labels of every kind that the loss takes. Of the points drawn the first at which everything shows is
    returned, or else the one at which most does.

    Args:
        layer_dims: n_x, n_1, ..., n_L.
        network: The functions of the layers. Default: the course's network.
        key: A key that determines the point.
        m: The number of examples. Default: 7, or the next number that is not the size of a layer, so that swapped axes
            show; equal sizes instead turn errors of shape into errors of number.

    Raises:
        InputError: for sizes or an `m` that are not positive.

    Example:
        >>> X, Y, parameters = jaxnet.good_point((3, 4, 1), key=jax.random.key(0))
        >>> X.shape, Y.shape, list(parameters)
        ((3, 7), (1, 7), ['W1', 'b1', 'W2', 'b2'])
    """
    dims = checked_layer_dims(layer_dims)
    if m is None:
        m = next(n for n in itertools.count(7) if n not in dims)
    if m < 1:
        raise InputError(f"m is {m}; expected at least one example")
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    best, fewest = _draw(dims, m, network, random), np.inf
    for _ in range(TRIES):
        X, Y, parameters = _draw(dims, m, network, random)
        reference = make_reference(X, Y, parameters, network)
        power = measure_power(reference)
        unseen = power.total - power.seen + 1000 * (not _clear_of_kinks(reference))
        if unseen < fewest:
            best, fewest = (X, Y, parameters), unseen
        if not unseen:
            break
    return best


def _draw(dims: list[int], m: int, network: Network, random: np.random.Generator):
    parameters = {}
    for l, (n_prev, n) in enumerate(itertools.pairwise(dims), start=1):
        parameters[f"W{l}"] = random.normal(size=(n, n_prev)) / np.sqrt(n_prev)
        parameters[f"b{l}"] = random.normal(size=(n, 1))
    shape = (dims[-1], m)
    half = (dims[-1], (m + 1) // 2)  # every second label is hard
    if _columns_sum_to_one(network, dims[-1]):
        Y = random.dirichlet(np.ones(dims[-1]), m).T
        Y[:, ::2] = np.eye(dims[-1])[:, random.integers(dims[-1], size=half[1])]
    else:
        Y = random.random(shape)
        Y[:, ::2] = random.integers(2, size=half)
    return random.normal(size=(dims[0], m)), Y, FrozenDict(parameters)


def _columns_sum_to_one(network: Network, n_L: int) -> bool:
    """Whether the outputs of an example are one distribution."""
    if n_L == 1:
        return False
    AL = np.asarray(network.loss.output(jnp.arange(n_L, dtype=jnp.float32)[:, None]))
    return bool(abs(AL.sum() - 1) < 1e-3)


def _clear_of_kinks(reference: Reference) -> bool:
    hidden = reference.layers[:-1]
    return all(np.min(np.abs(layer.Z)) > CLEARANCE and np.ptp(np.sign(layer.Z)) > 0 for layer in hidden)
