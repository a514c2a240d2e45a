"""The amounts of a regression: standardised while a network is trained, and in their own units afterwards."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..parameters import FrozenDict, layer_dims
from ..types import Parameters


class Units(NamedTuple):
    """The mean and the standard deviation of each output over the training examples, float64."""

    mean: Float[np.ndarray, " n_L"]
    std: Float[np.ndarray, " n_L"]

    def standardised(self, labels: Float[np.ndarray, "m n_L"]) -> Float[np.ndarray, "m n_L"]:
        """(labels - mean) / std, which costs and gradients of a run are of."""
        return (labels - self.mean) / self.std

    def leave(self, parameters: Parameters) -> FrozenDict:
        """W_L = std W_L, b_L = std b_L + mean: the same network with outputs in the units of the labels."""
        return self._with_last(parameters, self.std, self.mean)

    def enter(self, parameters: Parameters) -> FrozenDict:
        """The inverse of `leave`, up to roundoff."""
        return self._with_last(parameters, 1 / self.std, -self.mean / self.std)

    def _with_last(self, parameters: Parameters, factor: np.ndarray, offset: np.ndarray) -> FrozenDict:
        L = len(layer_dims(parameters)) - 1
        W, b = (np.asarray(parameters[f"{name}{L}"]) for name in "Wb")
        changed = {
            f"W{L}": np.asarray(factor[:, None] * W.astype(float), W.dtype),
            f"b{L}": np.asarray(factor[:, None] * b.astype(float) + offset[:, None], b.dtype),
        }
        return FrozenDict({**parameters, **changed})


def fit_units(labels: Float[np.ndarray, "m n_L"], names: tuple[str, ...], dtype: str) -> Units:
    """The units of the labels. Raises `InputError` for an output that does not vary, or by less than `dtype` can show."""
    mean, std = labels.mean(axis=0), labels.std(axis=0)
    smallest = 8 * float(np.finfo(dtype).eps) * np.abs(labels).max(axis=0)
    for name, average, spread, least in zip(names, mean, std, smallest, strict=True):
        if spread <= max(least, 1e-30):
            remedy = "; subtract a constant from it, or pass --dtype float64" if spread > 0 else ""
            raise InputError(
                f"the label {name} is {average:g} with a standard deviation of {spread:.3g} over the training "
                f"examples, which {dtype} cannot tell from none; expected one that varies{remedy}"
            )
    return Units(mean, std)
