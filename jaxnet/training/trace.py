"""What a run records of its steps."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from ..signals import Alignment


class Recorded(NamedTuple):
    """What was recorded at the steps `iteration`: how many had been made before each, and a row for each of them."""

    iteration: np.ndarray
    values: Alignment | None  # None where nothing is recorded

    def rows(self) -> list[dict[str, float]]:
        """A row for every step, with an entry for every layer: `angle_dZ_1`, ..., `angle_B_2`, ...."""
        if self.values is None:
            return []
        columns = {"iteration": self.iteration}
        for name, values in self.values._asdict().items():
            if values.ndim == 1:
                columns[name] = values
            else:
                first = 1 if name.endswith("dZ") else 2
                columns |= {f"{name}_{l}": column for l, column in enumerate(values.T, start=first)}
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]


def recorded(aligned: Alignment | None, start: int, length: int, every: int | None) -> Recorded:
    """The rows of the recorded steps in a scan over the steps start, ..., start + length - 1."""
    if aligned is None or every is None:
        return Recorded(np.empty(0, int), None)
    due = np.flatnonzero((start + np.arange(length)) % every == 0)
    return Recorded(start + due, jax.tree.map(lambda values: np.asarray(values)[due], aligned))


def joined(parts: Sequence[Recorded]) -> Recorded:
    """Several records joined into one."""
    if not parts or parts[0].values is None:
        return Recorded(np.empty(0, int), None)
    return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)
