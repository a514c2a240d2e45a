"""Weights of examples: the cost is J = (1/m) sum_i w_i loss_i, and column i of dZL is multiplied by w_i.

The factor 1/m stays: a weight of 2 counts an example twice, up to m. Weights of 1 do not change a bit of a gradient;
the cost may be summed in a different order.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Shaped

from .arguments import check_number
from .errors import InputError
from .types import AnyArray


SampleWeight: TypeAlias = Shaped[AnyArray, "..."] | None  # (m,) or (1, m), from 0; see `as_sample_weight`
ClassWeight: TypeAlias = Mapping[Any, Any] | str | None  # {class: weight}, or "balanced"; see `class_weights`


def weighted(columns: Float[Array, "... m"], sample_weight: Float[Array, " m"] | None) -> Float[Array, "... m"]:
    """Column i, or entry i, times w_i; unchanged where there are no weights."""
    if sample_weight is None:
        return columns
    weight = sample_weight.reshape((1,) * (columns.ndim - 1) + sample_weight.shape)
    return (columns.astype(weight.dtype) * weight).astype(columns.dtype)  # bfloat16 would round the weight itself


def as_sample_weight(sample_weight: SampleWeight, like: Array | jax.ShapeDtypeStruct) -> Float[Array, " m"] | None:
    """The weights as an `(m,)` array, in float32 or in the dtype of `like` where that is wider.

    `sample_weight` holds `(m,)` or `(1, m)` numbers from 0, bool, int or float; `like` has the examples as its columns.

    Raises `InputError` for other shapes and types and, unless the values are traced, for weights that are negative, not
    finite, or all 0.
    """
    if sample_weight is None:
        return None
    m = like.shape[1]
    if not isinstance(sample_weight, jax.Array | np.ndarray) or isinstance(sample_weight, np.ma.MaskedArray):
        raise InputError(
            f"sample_weight is of type {type(sample_weight).__name__}; expected an array of shape ({m},), a weight for "
            "each example: pass numpy.array(sample_weight)"
        )
    if sample_weight.dtype.kind not in "biu" and not jnp.issubdtype(sample_weight.dtype, jnp.floating):
        raise InputError(f"sample_weight has dtype {sample_weight.dtype}; expected numbers from 0")
    if sample_weight.shape not in [(m,), (1, m)]:
        hint = ": pass sample_weight.ravel()" if sample_weight.shape == (m, 1) else ""
        raise InputError(
            f"sample_weight has shape {sample_weight.shape}; expected ({m},), a weight for each example{hint}"
        )
    dtype = like.dtype if jnp.finfo(like.dtype).bits >= 32 else jnp.float32
    with np.errstate(over="ignore"):  # what becomes infinite is reported below
        weight = sample_weight.astype(dtype).reshape(m)
    if not isinstance(weight, Tracer):
        _check_values(np.asarray(weight, np.float64))
    return jnp.asarray(weight)


def _check_values(weight: Float[np.ndarray, " m"]) -> None:
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise InputError(
            f"sample_weight has {len(wrong)} entries that are negative or not finite, the first is "
            f"sample_weight[{wrong[0]}] = {weight[wrong[0]]}; expected finite numbers from 0"
        )
    if not weight.any():
        raise InputError("sample_weight is 0 for every example; expected a weight above 0 for some")


def example_weights(
    Y: Float[Array, "n_L m"], output: Callable, sample_weight: SampleWeight, class_weight: ClassWeight
) -> Float[Array, " m"] | None:
    """The factor on each example's loss, if any: its sample weight times the weight of its class."""
    weight = as_sample_weight(sample_weight, Y)
    if class_weight is None:
        return weight
    n_L = len(Y)
    if n_L > 1 and output is jax.nn.sigmoid:
        raise InputError(
            f"class_weight is given, but each of the {n_L} sigmoid outputs is a label of its own, so an example does "
            "not belong to a single class; pass sample_weight"
        )
    classes, n = classes_of(np.asarray(Y, np.float64)), max(n_L, 2)
    by_class = class_weights(class_weight, np.bincount(classes, minlength=n).tolist(), range(n))[classes]
    return as_sample_weight(by_class if weight is None else by_class * np.asarray(weight, np.float64), Y)


def class_weights(class_weight: ClassWeight, counts: Sequence[int], names: Sequence[Any]) -> Float[np.ndarray, " n"]:
    """The weight of each class: m / (n count_c) under "balanced", with which all n classes count alike; else as given.

    The formula is scikit-learn's. A class that a mapping leaves out has weight 1. `counts` are the numbers of examples
    of each class, and `names` the keys that a mapping may have. Raises `InputError` for unknown names, for weights that
    are not numbers from 0, and for a weight of a class without examples.
    """
    known = ", ".join(map(str, names))
    if isinstance(class_weight, str) and class_weight == "balanced":
        empty = [str(name) for name, count in zip(names, counts, strict=True) if count == 0]
        if empty:
            raise InputError(f"class_weight is 'balanced', but class {empty[0]} has no examples to train on")
        return sum(counts) / (len(counts) * np.asarray(counts, float))
    if not isinstance(class_weight, Mapping):
        raise InputError(
            f"class_weight is {class_weight!r:.60}; expected 'balanced' or a mapping from class to weight; the classes "
            f"are {known}"
        )
    weights = np.ones(len(counts))
    for name, weight in class_weight.items():
        if name not in names:
            raise InputError(f"class_weight has the class {name!r:.60}; expected one of {known}")
        check_number(f"the weight of class {name}", weight, "a finite number from 0", lambda weight: weight >= 0)
        weights[names.index(name)] = float(weight)
        if counts[names.index(name)] == 0:
            raise InputError(f"class_weight has a weight for class {name}, which has no examples to train on")
    if not (weights * counts).any():
        raise InputError("class_weight is 0 for every class; expected a weight above 0 for some")
    return weights


def classes_of(Y: Float[np.ndarray, "n_L m"]) -> Int[np.ndarray, " m"]:
    """The class of each example: 0 or 1 where there is one output, else the index of its 1.

    Raises `InputError` for labels strictly between 0 and 1, which do not name a single class.
    """
    hard = np.isin(Y, (0, 1)).all(axis=0) & ((len(Y) == 1) | (Y.sum(axis=0) == 1))
    if not hard.all():
        i = int(np.argmin(hard))
        raise InputError(
            f"class_weight needs a class for each example, but example {i} has the label {Y[:, i].tolist()!s:.60}; "
            "expected 0 or 1, or one-hot columns: for others pass sample_weight"
        )
    return Y[0].astype(int) if len(Y) == 1 else np.argmax(Y, axis=0)
