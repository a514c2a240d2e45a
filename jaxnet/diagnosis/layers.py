"""What the layers say: units that are dead, and an error that does not reach the first layer."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from .symptoms import Symptom


DEAD = 3 / 4  # of a layer; half of a small one may be dead in a network that learns well
GONE, HUGE = 1e-3, 1e3  # shares of the start: below the first it has vanished, above the second exploded
SUSPECT = 1e-2  # of ||dW_L||: where ||dW_1|| is less, it is worth measuring how large the errors are


def dead(
    shares: Float[np.ndarray, "rows L_minus_1"],
    steps: Sequence[int] | np.ndarray | None = None,
    rows: int = 1,
) -> Symptom | None:
    """More than `DEAD` of a layer has been dead for at least so many rows: the layer with the most, and since when.

    A row holds the shares of the layers 1 ... L-1 after a step of `steps`.
    """
    if shares.size == 0 or len(shares) < rows:
        return None
    l = int(np.argmax(shares[-1]))
    alive = np.flatnonzero(~(shares[:, l] > DEAD))
    since = int(alive[-1]) + 1 if len(alive) else 0
    if len(shares) - since < rows:
        return None
    return Symptom("dead", float(shares[-1, l]), 1.0, layer=l + 1, step=None if steps is None else int(steps[since]))


def is_suspect(gradient_norms: Sequence[float]) -> bool:
    """Whether ||dW_1|| is so much smaller than ||dW_L|| that the errors may have vanished on their way to it."""
    return len(gradient_norms) > 1 and gradient_norms[0] < SUSPECT * gradient_norms[-1]
