"""What a backward pass under test returned, in this library's names and scales; each leaf of it beside autodiff's."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...errors import InputError
from ..compare import LARGEST, ROUNDOFF, compare
from ..foreign import NotNumbers, cut
from ..report import Cause, Doubt, LeafCheck, Place
from .reference import Reference


class Answer(NamedTuple):
    """What the backward pass under test returned, in this library's names."""

    grads: dict[Place, np.ndarray]
    roundoff: dict[Place, float]  # u of the type each came in or, where it is coarser, of what the code was given
    conventions: tuple[str, ...]
    unusable: Mapping[Place, NotNumbers]


def as_answer(
    grads: Mapping[str, np.ndarray], reference: Reference, dtype: str, unusable: Mapping[str, NotNumbers]
) -> Answer:
    """The grads as float64 arrays under this library's names; the older keys and scales of `dA` are recognised.

    `dtype` is the type in which the code was given its arguments.
    Raises `InputError` where there is nothing to compare.
    """
    L, conventions, given = len(reference.layers), [], dict(grads)
    if f"dA{L}" in given and "dA0" not in given:
        given |= {f"dA{l - 1}": given[f"dA{l}"] for l in range(1, L + 1) if f"dA{l}" in given}
        conventions.append(
            f"your dA{L} is what is called dA{L - 1} here: the older notebooks number dA_prev by the layer it leaves"
        )
    arrays = {place: given[place] for place in reference.leaves if place in given}
    reasons = {place: unusable[place] for place in reference.leaves if place in unusable}
    if all(place.kind == "dA" for place in (*arrays, *reasons)):
        names = cut(", ".join(grads)) or "none"
        raise InputError(f"the backward pass returned the keys {names}; expected dW1, db1, ..., dW{L}, db{L}")
    found = {place: value.astype(np.float64) for place, value in arrays.items()}
    if _carries_the_mean(found, reference):
        conventions.append(
            "your dA carry the 1/m of the mean; here columns of dA belong to single examples. dW and db are the same"
        )
        found = {place: value * reference.m if place.kind == "dA" else value for place, value in found.items()}
    u = {place: max(ROUNDOFF[dtype], ROUNDOFF.get(str(value.dtype), 0.0)) for place, value in arrays.items()}
    return Answer(found, u, tuple(conventions), reasons)


def _carries_the_mean(found: Mapping[Place, np.ndarray], reference: Reference) -> bool:
    """Whether dW and db are right and all dA 1/m of the reference's: a convention, not an error."""
    if reference.m == 1 or not any(place.kind == "dA" for place in found):
        return False
    return all(
        value.shape == reference.grads[place].shape
        and np.max(np.abs(value - reference.grads[place] / (reference.m if place.kind == "dA" else 1)))
        <= 1e-3 * np.max(np.abs(value))
        for place, value in found.items()
    )


def judge_leaf(place: Place, got: np.ndarray, u: float, reference: Reference) -> LeafCheck:
    """|got - autodiff| <= bound u S; inconclusive where either is not known and the rest agrees."""
    S, want = reference.S[place], reference.grads[place]
    known = np.isfinite(S) & np.isfinite(want)
    leaf = compare(place, got, np.where(known, want, np.nan), u * S, reference.bound, largest=LARGEST[u])
    if known.all() or not leaf.agrees:
        return leaf
    text = "the magnitudes overflow float64 here: choose smaller parameters"
    if np.isnan(want).any():
        text = (
            f"autodiff gives NaN at {np.count_nonzero(~known)} of {known.size} entries: look for a `where` around a "
            "function that is undefined in the branch not taken, or choose another point"
        )
    return leaf.doubted(Doubt(Cause.UNKNOWN, text))


def judge_leaves(answer: Answer, reference: Reference) -> dict[Place, LeafCheck]:
    """Every leaf that was returned, from the output down."""
    return {place: judge_leaf(place, got, answer.roundoff[place], reference) for place, got in answer.grads.items()}
