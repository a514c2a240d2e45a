"""The history of a run."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..training import best_of
from ..types import Parameters
from ..update import TrainState


class Row(NamedTuple):
    """The evaluation after `iteration` steps; `cost` is the one before the last of them.

    In the place of accuracies those of a regression have R^2 = 1 - (mean square error) / (variance of the labels).
    """

    iteration: int
    cost: float
    train_accuracy: float
    watched_cost: float
    watched_accuracy: float
    gradient_norms: tuple[float, ...]  # of dW_1, ..., dW_L
    dead_shares: tuple[float, ...]  # of the units of layers 1, ..., L-1


@dataclass
class History:
    """The history of a run: the cost of every step, a row for every hundred, and where the last one led."""

    costs: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    alignment: list[dict[str, float]] = field(default_factory=list)  # of the steps that are recorded
    state: TrainState | None = None  # in the inputs that the steps are made in; None before the first
    best_parameters: Parameters | None = None  # likewise, of a run that may end early

    @property
    def steps(self) -> int:
        """How many steps have been made."""
        return len(self.costs)

    def columns(self, score: str = "accuracy") -> dict[str, np.ndarray]:
        """The rows as columns: one for each number; `score` is what the accuracies are called."""
        names = ["iteration", "cost", f"train_{score}", "watched_cost", f"watched_{score}"]
        if not self.rows:
            return {name: np.empty(0) for name in names}
        names += [f"gradient_norm_{l}" for l, _ in enumerate(self.rows[0].gradient_norms, start=1)]
        names += [f"dead_share_{l}" for l, _ in enumerate(self.rows[0].dead_shares, start=1)]
        rows = [(*row[:5], *row.gradient_norms, *row.dead_shares) for row in self.rows]
        return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))

    def best_row(self) -> int:
        """The row of the smallest watched cost."""
        return best_of([row.watched_cost for row in self.rows])
