"""What a sweep has found: its runs, a table of them, and what the seeds of each setting have in common."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from ..activations import ACTIVATIONS, STRAIGHT_THROUGH
from ..checks import as_targets
from ..errors import InputError
from ..feedback import RULES
from ..losses import LOSSES
from ..members import described
from ..network import Network, outputs_like
from ..parameters import layer_dims
from ..training import Block, check_data, cost_and_score
from ..types import Inputs, Labels, Parameters
from ..update import TrainState
from .grid import SEED, Settings


BLOCK = 4096  # examples in one forward pass
SAMPLE = 10_000  # training examples whose accuracy is reported, at most
KNOWN = {
    "hidden": ACTIVATIONS | STRAIGHT_THROUGH,
    "loss": LOSSES,
    "feedback": {name: make() for name, make in RULES.items()},
}


class Lazily(Sequence):
    """A sequence whose entries are made when they are asked for."""

    def __init__(self, n: int, entry: Callable[[int], Any]):
        self._n, self._entry = n, entry

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self._entry(k) for k in range(self._n)[i]]
        return self._entry(range(self._n)[i])

    def __reduce__(self):
        return list, (list(self),)


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples on which the runs are measured."""

    X: Inputs
    Y: Labels

    def check(self, name: str, parameters: Parameters, network: Network) -> None:
        """Raises `InputError` where they do not fit a network."""
        try:
            check_data(self.X, self.Y, parameters, network)
        except InputError as error:
            raise InputError(f"{name} data: {error}") from error

    def measured(self, parameters: Parameters, network: Network) -> tuple[float, float]:
        """The cost, and the accuracy or R^2."""
        return cost_and_score(self._blocks(network, parameters), parameters, network)

    def _blocks(self, network: Network, parameters: Parameters) -> Iterator[Block]:
        like = outputs_like(self.X, parameters, layer_dims(parameters)[-1])
        Y = as_targets(self.Y, like, network.loss)
        for start in range(0, self.X.shape[1], BLOCK):
            part = slice(start, start + BLOCK)
            yield jax.device_put(self.X[:, part]), Y[:, part]


def sample_of(X: Inputs, Y: Labels) -> Examples:
    """At most `SAMPLE` of the training examples, evenly spread."""
    m = X.shape[1]
    if m <= SAMPLE:
        return Examples(X, Y)
    which = np.linspace(0, m - 1, SAMPLE).astype(int)
    Y = np.asarray(Y)
    return Examples(np.asarray(X)[:, which], Y.reshape(-1)[which] if Y.size == m else Y[:, which])


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a sweep. `sequence[run]` is the entry of its number."""

    number: int
    settings: Settings
    network: Network
    state: TrainState
    costs: np.ndarray
    stopped_at: int | None

    @property
    def parameters(self) -> Parameters:
        """The parameters at its end."""
        return self.state.parameters

    def __index__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        settings = ", ".join(f"{name} {_name(name, value)}" for name, value in self.settings.items())
        end = "" if self.stopped_at is None else f", stopped at {self.stopped_at}"
        return f"Run {self.number} of {self.network}: {settings}{end}"


@dataclass(frozen=True, eq=False)
class Swept(Sequence):
    """The runs of a sweep, in the order of their settings, the seeds varying fastest: `swept[i]`, `len(swept)`.

    `costs` is `(K, steps)`: those of every step before its update, NaN after the step in which a run stopped being
    finite. `stopped_at` has that step of each run, or None; its state is the last useful one, from before. `train` goes
    on from `states[i]`, and `sweep` from all of it, with `start=`.
    """

    settings: tuple[Settings, ...]
    identities: tuple[str, ...]  # of the functions, the numbers and the keys of their steps
    networks: tuple[Network, ...]
    costs: np.ndarray
    stopped_at: tuple[int | None, ...]
    states: Sequence[TrainState]
    ended_early: bool = False
    examples: dict[str, Examples] = field(default_factory=dict)  # "", "validation" and "test"

    def __len__(self) -> int:
        return len(self.settings)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[k] for k in range(len(self))[i]]
        i = range(len(self))[i]
        return Run(i, self.settings[i], self.networks[i], self.states[i], self.costs[i], self.stopped_at[i])

    @property
    def parameters(self) -> Sequence[Parameters]:
        """The parameters at the end of each run."""
        return Lazily(len(self), lambda i: self.states[i].parameters)

    @cached_property
    def table(self) -> list[dict[str, Any]]:
        """A row for each run: `run`, every setting, `final_cost`, `accuracy`, `stopped_at`.

        And `validation_cost`, `validation_accuracy`, `test_cost` and `test_accuracy` where there are such examples. The
        final cost is that of the last step, before its update, and NaN of a run that stopped. The accuracy is that of
        at most 10,000 training examples; of a regression R^2.
        """
        return [self._row(i) for i in range(len(self))]

    def _row(self, i: int) -> dict[str, Any]:
        steps = self.costs.shape[1]
        settings = self.settings[i] | {name: getattr(self.networks[i], name) for name in KNOWN}
        row = {"run": i, **{name: _name(name, value) for name, value in settings.items()}}
        row["final_cost"] = float(self.costs[i, -1]) if steps else float("nan")
        for kind, examples in self.examples.items():
            cost, accuracy = examples.measured(self.states[i].parameters, self.networks[i])
            row |= {f"{kind}_cost": cost, f"{kind}_accuracy": accuracy} if kind else {"accuracy": accuracy}
        return row | {"stopped_at": self.stopped_at[i]}

    def best(self) -> Run:
        """The run of the smallest validation cost; without validation data, of the smallest final cost.

        The smallest of many costs is smaller than that run deserves: it was chosen for its luck too, the more so the
        more runs there are. Report a run chosen on validation data by its cost on test data, which chose nothing, and a
        setting by all of its seeds, as `summary` does; a run chosen by its training cost may have learned by heart.
        Runs that stopped being finite are not chosen. Test data never choose.

        Raises `InputError` where no run has a finite cost.
        """
        name = "validation_cost" if "validation" in self.examples else "final_cost"
        costs = np.array([row[name] if row["stopped_at"] is None else np.inf for row in self.table])
        if not np.isfinite(costs).any():
            raise InputError(f"no run has a finite {name}; expected one: try smaller learning rates")
        return self[int(np.argmin(np.where(np.isfinite(costs), costs, np.inf)))]

    def summary(self) -> list[dict[str, Any]]:
        """For each setting, over its seeds: the mean, the standard deviation and the 95 % interval of the mean.

        A row has the settings, `runs`, how many of them `stopped`, and `NAME_mean`, `NAME_std`, `NAME_low` and
        `NAME_high` for every number of the table, over the runs that did not stop. The interval is Student's, for
        normal numbers; NaN for a single run, whose spread nobody knows.
        """
        rows: dict[str, list[dict[str, Any]]] = {}
        for row, settings in zip(self.table, self.settings, strict=True):
            rows.setdefault(repr({name: value for name, value in settings.items() if name != SEED}), []).append(row)
        return [_summary(of_setting, list(self.settings[0])) for of_setting in rows.values()]

    def __repr__(self) -> str:
        stopped = sum(at is not None for at in self.stopped_at)
        return f"Swept: {len(self)} runs of {self.costs.shape[1]} steps, {stopped} of which stopped being finite"


def _summary(rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    found = {name: rows[0][name] for name in names if name != SEED}
    going = [row for row in rows if row["stopped_at"] is None]
    found |= {"runs": len(rows), "stopped": len(rows) - len(going)}
    for name in rows[0]:
        if name not in ("run", "stopped_at", *names):
            mean, std, low, high = spread([row[name] for row in going])
            found |= {f"{name}_mean": mean, f"{name}_std": std, f"{name}_low": low, f"{name}_high": high}
    return found


def spread(values: Sequence[float]) -> tuple[float, float, float, float]:
    """The mean, the standard deviation with n - 1, and the ends of Student's 95 % interval of the mean."""
    n, nan = len(values), float("nan")
    mean = float(np.mean(values)) if n else nan
    if n < 2:
        return mean, nan, nan, nan
    from scipy.special import stdtrit

    std = float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, 0.975)) * std / np.sqrt(n)
    return mean, std, float(mean - half), float(mean + half)


def _name(name: str, value: Any) -> Any:
    """A setting as a table shows it."""
    if name in KNOWN and not (value is None or isinstance(value, str)):
        return described(value, KNOWN[name]).strip("'")
    return value.__name__ if callable(value) and hasattr(value, "__name__") else value
