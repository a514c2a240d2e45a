"""The targets of a regression: standardised while a network is trained, and in their own units afterwards."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..data import is_rounded_away
from ..errors import InputError
from ..parameters import FrozenDict, layer_dims
from ..types import Parameters


class TargetScale(NamedTuple):
    """The mean and the standard deviation of each output over the training examples, float64."""

    mean: Float[np.ndarray, " n_L"]
    std: Float[np.ndarray, " n_L"]

    def standardise_labels(self, labels: Float[np.ndarray, "m n_L"]) -> Float[np.ndarray, "m n_L"]:
        """(labels - mean) / std, which costs and gradients of a run are of."""
        return (labels - self.mean) / self.std

    def restore(self, parameters: Parameters) -> FrozenDict:
        """W_L = std W_L, b_L = std b_L + mean: the same network with outputs in the units of the labels."""
        return self._with_last(parameters, self.std, self.mean)

    def standardise(self, parameters: Parameters) -> FrozenDict:
        """The inverse of `restore`, up to roundoff."""
        return self._with_last(parameters, 1 / self.std, -self.mean / self.std)

    def _with_last(self, parameters: Parameters, factor: np.ndarray, offset: np.ndarray) -> FrozenDict:
        L = len(layer_dims(parameters)) - 1
        W, b = (np.asarray(parameters[f"{name}{L}"]) for name in "Wb")
        changed = {
            f"W{L}": np.asarray(factor[:, None] * W.astype(float), W.dtype),
            f"b{L}": np.asarray(factor[:, None] * b.astype(float) + offset[:, None], b.dtype),
        }
        return FrozenDict({**parameters, **changed})


def fit_target_scale(labels: Float[np.ndarray, "m n_L"], names: tuple[str, ...]) -> TargetScale:
    """Mean and standard deviation of the labels.

    Raises `InputError` for an output that varies by little more than float32 rounds.
    """
    mean, std = labels.mean(axis=0), labels.std(axis=0)
    for name, average, spread, largest in zip(names, mean, std, np.abs(labels).max(axis=0), strict=True):
        rounded = float(np.finfo(np.float32).eps) / 2 * largest
        if is_rounded_away(spread, rounded):
            remedy = "; subtract a constant from it, or choose a smaller unit" if spread > 0 else ""
            raise InputError(
                f"the label {name} is {average:.9g} with a standard deviation of {spread:.3g} over the training "
                f"examples, and float32 rounds it by up to {rounded:.2g}; expected one that varies{remedy}"
            )
    return TargetScale(mean, std)
