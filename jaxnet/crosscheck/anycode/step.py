"""Is one update of somebody's training right, whatever it is written like, and if not, where and why."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import jax
import numpy as np

from ...errors import InputError
from ...network import Network
from ..foreign import NotNumbers, as_numbers, error_text, location, source_of
from ..report import Report
from .arrays import arrays_in, expected_chain, roundoff_of
from .conventions import Convention, Data, find_convention, readings
from .verdict import report, unexplained


class Step(NamedTuple):
    """Somebody's step, with what it is called on."""

    function: Callable[..., Any]
    X: Any
    Y: Any
    weights: Any
    before: Mapping[str, np.ndarray]

    def __call__(self) -> dict[str, np.ndarray]:
        """The arrays of the weights after one call on copies. Raises `InputError` for a step that cannot be used."""
        try:
            X, Y, holder = deepcopy((self.X, self.Y, self.weights))
        except Exception as error:
            text = f"weights cannot be copied: {error_text(error)}; expected arrays, or an object that holds them"
            raise InputError(text) from error
        try:
            returned = self.function(X, Y, holder)
        except Exception as error:
            where = location(error, source_of(self.function))
            raise InputError(
                f"step(X, Y, weights) raised {error_text(error)}{where}; expected a function that makes one update"
            ) from error
        for name, old, new in (("X", self.X, X), ("Y", self.Y, Y)):
            if not np.array_equal(as_numbers(old), as_numbers(new)):
                raise InputError(
                    f"the step writes into {name}: it is another after the call; expected one that leaves its inputs "
                    f"as they are: work on {name}.copy()"
                )
        return self._after(returned, holder)

    def on(self, X: Any, Y: Any) -> "Step":
        """The same on other examples."""
        return self._replace(X=X, Y=Y)

    def _after(self, returned: Any, holder: Any) -> dict[str, np.ndarray]:
        """What was returned, or a part of it, where it is like the weights; else the weights, updated in place.

        Of an object, the arrays that keep their names and shapes: caches have the size of the batch.
        """
        parts = [returned, *returned] if isinstance(returned, (tuple, list)) else [returned]
        found = [like for part in parts if part is not None and (like := self._like(arrays_in(part)))]
        kept, now = {}, arrays_in(holder)
        for name, array in self.before.items():
            if name in now and now[name].shape == array.shape:
                kept[name] = now[name]
        return next((after for after in [*found, kept] if self._changes(after)), kept)

    def _like(self, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
        """Under the names of `before`, if the names or else the order of the shapes are the same."""
        before = self.before
        if all(name in found and found[name].shape == array.shape for name, array in before.items()):
            return {name: found[name] for name in before}
        if [a.shape for a in found.values()] == [a.shape for a in before.values()]:
            return dict(zip(before, found.values(), strict=True))
        return None

    def _changes(self, after: Mapping[str, np.ndarray]) -> bool:
        return any(not np.array_equal(self.before[name], array) for name, array in after.items())


def check_training_step(
    step: Callable[..., Any],
    X: Any,
    Y: Any,
    weights: Any,
    *,
    learning_rate: float | None = None,
    network: Network | None = None,
) -> Report:
    """(before - after) / rate of every W and b against autodiff, from one call of `step(X, Y, weights)`.

    For code as it is: weights in a dict, a list, a tuple, or an object with attributes, updated in place or returned;
    examples in rows or in columns; NumPy, JAX, torch or lists of numbers. The step is called on copies. Which network
    it belongs to, the learning rate, and whether losses are summed or averaged are found by trying, and reported; what
    one convention explains but for some arrays is explained as `check_backward` does. The roundoff of `before - after`,
    u |W| / rate, is part of the bound, and an array whose gradient it hides is inconclusive.

    Args:
        step: Makes one update by plain gradient descent on all of X and Y. What it returns beside weights is ignored.
        X: Inputs, `(m, n_x)` or `(n_x, m)`.
        Y: Targets, `(m, n_L)`, `(n_L, m)` or `(m,)`, also the numbers of the classes.
        weights: Whatever `step` takes as its third argument, such as a dict, or an object with a method that trains it.
        learning_rate: That of the step. Default: found, up to a constant factor in the cost.
        network: Its activations and loss. Default: tried.

    Raises:
        InputError: for a step that raises, changes nothing, draws at random, writes into X or Y, or gives NaN, and for
            weights in which no layers are found.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X, Y = rng.normal(size=(8, 3)), rng.integers(2, size=8)  # examples in rows
        >>> def step(X, Y, weights):
        ...     w, b = weights
        ...     error = 1 / (1 + np.exp(-(X @ w + b))) - Y
        ...     return w - 0.5 * X.T @ error / len(Y), b - 0.5 * error.sum()
        >>> report = jaxnet.check_training_step(step, X, Y, (rng.normal(size=3), 0.1))
        >>> report.verdict.value, [str(finding.place) for finding in report.findings]
        ('disagree', ['db1'])
        >>> report.conventions[0]
        'found: sigmoid and binary cross-entropy, examples in rows, losses averaged, learning rate 0.5'
    """
    return examine(step, X, Y, weights, learning_rate, network).report()


class Examined(NamedTuple):
    """An update, and the convention that explains most of it."""

    name: str
    before: Mapping[str, np.ndarray]
    updates: Mapping[str, np.ndarray]
    found: Convention | None
    power_of_m: int | None
    rate: float | None
    network: Network | None

    @property
    def share(self) -> float:
        """Of the arrays, those that the convention explains."""
        return 0.0 if self.found is None else len(self.found.explained) / len(self.found.layers.names)

    def report(self) -> Report:
        """Against autodiff."""
        if self.found is None:
            return unexplained(self.name, self.before, self.updates, self.network)
        return report(self.name, self.before, self.updates, self.found, self.power_of_m, self.rate)


def examine(
    step: Callable[..., Any], X: Any, Y: Any, weights: Any, rate: float | None = None, network: Network | None = None
) -> Examined:
    """All of `check_training_step` that calls the step."""
    if not callable(step):
        raise InputError(f"step is of type {type(step).__name__}; expected a function step(X, Y, weights)")
    if rate is not None and not 0 < rate < np.inf:
        raise InputError(f"learning_rate is {rate}; expected a positive number")
    inputs, labels = _numbers("X", X, (2,)), _numbers("Y", Y, (1, 2))
    before, name = arrays_in(weights), getattr(step, "__name__", "step")
    if next(readings(before, inputs, labels), None) is None:
        raise expected_chain(before, inputs, labels)
    call = Step(step, X, Y, weights, before)
    updates = _updates(call)
    before = {path: before[path] for path in updates}
    if next(readings(before, inputs, labels), None) is None:
        raise InputError(
            "after the step the weights have other arrays than before; expected the same names and shapes, updated in "
            "place or returned"
        )
    found = find_convention(before, updates, inputs, labels, network, rate)
    if found is None:
        return Examined(name, before, updates, None, None, rate, network)
    found = _precise(found, before, updates, rate)
    return Examined(name, before, updates, found, _power_of_m(call, found), rate, network)


def _numbers(name: str, value: Any, dimensions: tuple[int, ...]) -> np.ndarray:
    value = value.detach().cpu().numpy() if callable(getattr(value, "detach", None)) else value
    try:
        array = as_numbers(value)
    except NotNumbers as reason:
        raise InputError(f"{name} is {reason}; expected an array of numbers") from None
    if array.ndim not in dimensions or not array.size:
        words = "examples and inputs" if name == "X" else "targets, one for each example"
        raise InputError(f"{name} has shape {array.shape}; expected {words}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} has entries that are not finite; expected numbers")
    return array.astype(np.float64)


def _updates(call: Step) -> dict[str, np.ndarray]:
    """before - after. Raises `InputError` where that is not an update."""
    after, again = call(), call()
    changed = [name for name, array in after.items() if not np.array_equal(call.before[name], array)]
    for name in changed:
        if not np.isfinite(after[name].astype(np.float64)).all():
            raise InputError(
                f"{name} has entries that are not finite after the step; expected numbers: choose a smaller rate, or "
                "weights and inputs nearer to 0"
            )
    if after and not changed:
        raise InputError(
            "the step changes nothing: no array is another after it; expected one that updates its third argument in "
            "place or returns the new weights"
        )
    updates = {
        name: np.asarray(call.before[name].astype(np.float64) - array.astype(np.float64))
        for name, array in after.items()
    }
    for name in changed:
        apart = np.abs(after[name].astype(np.float64) - again.get(name, np.array(np.inf)).astype(np.float64))
        room = 1e4 * roundoff_of(after[name]) * (np.max(np.abs(updates[name])) + np.abs(call.before[name]))
        if np.any(apart > room):
            raise InputError(
                f"the step draws at random, or remembers: called twice with the same arguments, {name} differs; "
                "expected the same update: set the seed inside it, and pass all state in `weights`"
            )
    return updates


def _precise(found: Convention, before: Mapping, updates: Mapping, rate: float | None) -> Convention:
    """The factor from all that it explains, and a round number where that is as near."""
    parameters, D = found.layers.parameters(before), found.layers.parameters(updates)
    G = _gradient(found, found.data, parameters)
    names = [name for name in found.explained if name[0] == "W"]
    u = max(roundoff_of(before[name]) for name in found.layers.names)
    terms = [np.concatenate([x[name].ravel() for name in names]) for x in (G, parameters, D)]
    c = float(np.vdot(terms[0], terms[2] - found.decay * terms[1]) / np.vdot(terms[0], terms[0]))
    noise = 10 * u * (1 + np.max(np.abs(terms[1])) / max(np.max(np.abs(terms[2])), 1e-300))
    m = found.data.Y.shape[1]
    units = [1.0, m] if rate is None else [rate * k * f for k in (1, m, 1 / m) for f in (1.0, 2.0, 0.5)]
    near = [unit * float(f"{c / unit:.{digits}g}") for digits in (1, 2, 3) for unit in units]
    c = next((value for value in near if abs(value - c) <= noise * abs(c)), c)
    return found._replace(factor=c)


def _gradient(found: Convention, data: Data, parameters: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    with np.errstate(all="ignore"), jax.enable_x64(True):
        return found.gradient(data, parameters)


def _power_of_m(call: Step, found: Convention) -> int | None:
    """How updates grow with the number of examples: 0 for a mean, 1 for a sum, -1 for 1/m twice; None if unclear.

    The first half of the examples is a second point too: what does not agree there either is unclear.
    """
    m = found.data.Y.shape[1]
    k = (m + 1) // 2
    if k == m:
        return None
    half = call.on(_first(call.X, k, found.data.rows, m), _first(call.Y, k, found.data.rows, m))
    try:
        D = found.layers.parameters(_updates(half))
    except (InputError, ValueError, LookupError, TypeError):
        return None
    parameters = found.layers.parameters(call.before)
    data = found.data._replace(X=found.data.X[:, :k], Y=found.data.Y[:, :k])
    G = _gradient(found, data, parameters)
    for power in (0, 1, -1):
        c = found.factor * (k / m) ** power
        if all(
            np.max(np.abs(D[name] - c * G[name] - found.decay * parameters[name] * (name[0] == "W")))
            <= 0.01 * np.max(np.abs(D[name])) + 1e-300
            for name in found.explained
        ):
            return power
    return None


def _first(value: Any, k: int, rows: bool, m: int) -> Any:
    """Of the first k examples."""
    shape = np.shape(value)
    if len(shape) == 1 or (shape[0] == m and (rows or shape[1] != m)):
        return value[:k]
    return [row[:k] for row in value] if isinstance(value, list) else value[:, :k]
