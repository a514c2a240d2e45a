"""What a backward pass under test returned, in this library's names and scales; each leaf of it against autodiff."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ..compare import ROUNDOFF
from ..foreign import cut
from ..report import LeafCheck, Verdict
from .reference import Reference


LARGEST = {u: float(jnp.finfo(name).max) for name, u in ROUNDOFF.items()}


class Answer(NamedTuple):
    """What the backward pass under test returned, in this library's names."""

    grads: dict[str, np.ndarray]
    roundoff: dict[str, float]  # u of the type each came in or, where it is coarser, of what the code was given
    conventions: tuple[str, ...]
    unusable: Mapping[str, str]  # what is no array of numbers, and what it is: "None"


def as_answer(grads: Mapping[str, np.ndarray], reference: Reference, dtype: str, unusable: Mapping[str, str]) -> Answer:
    """The grads as float64 arrays under this library's names; the older keys and scales of `dA` are recognised.

    `dtype` is the type in which the code was given its arguments.
    Raises `InputError` where there is nothing to compare.
    """
    L, conventions, arrays = len(reference.layers), [], dict(grads)
    if f"dA{L}" in arrays and "dA0" not in arrays:
        arrays |= {f"dA{l - 1}": arrays[f"dA{l}"] for l in range(1, L + 1) if f"dA{l}" in arrays}
        conventions.append(
            f"your dA{L} is what is called dA{L - 1} here: the older notebooks number dA_prev by the layer it leaves"
        )
    arrays = {name: value for name, value in arrays.items() if name in reference.leaves}
    unusable = {name: reason for name, reason in unusable.items() if name in reference.leaves}
    if not any(name[:2] in ("dW", "db") for name in (*arrays, *unusable)):
        names = cut(", ".join(grads)) or "none"
        raise InputError(f"the backward pass returned the keys {names}; expected dW1, db1, ..., dW{L}, db{L}")
    found = {name: value.astype(np.float64) for name, value in arrays.items()}
    if _carries_the_mean(found, reference):
        conventions.append(
            "your dA carry the 1/m of the mean; here columns of dA belong to single examples. dW and db are the same"
        )
        found = {name: value * reference.m if name.startswith("dA") else value for name, value in found.items()}
    given = ROUNDOFF[dtype]
    roundoff = {name: max(given, ROUNDOFF.get(str(value.dtype), 0.0)) for name, value in arrays.items()}
    return Answer(found, roundoff, tuple(conventions), unusable)


def _carries_the_mean(found: Mapping[str, np.ndarray], reference: Reference) -> bool:
    """Are dW and db right, and all dA 1/m of the reference's? That is another convention and no error."""
    if reference.m == 1 or not any(name.startswith("dA") for name in found):
        return False
    scale = {name: 1 / reference.m if name.startswith("dA") else 1.0 for name in found}
    return all(
        value.shape == reference.grads[name].shape
        and np.max(np.abs(value - scale[name] * reference.grads[name])) <= 1e-3 * np.max(np.abs(value))
        for name, value in found.items()
    )


def judge_leaf(name: str, answer: Answer, reference: Reference) -> LeafCheck:
    """One leaf against autodiff."""
    got, want, S = answer.grads[name], reference.grads[name], reference.S[name]
    return compare(name, got, want, S, answer.roundoff[name], reference.bound)


def compare(name: str, got: np.ndarray, want: np.ndarray, S: np.ndarray, u: float, bound: float) -> LeafCheck:
    """|got - want| <= bound u S, entry by entry."""
    if got.shape != want.shape:
        reason = f"shape {got.shape}; expected {want.shape}"
        return LeafCheck(name, got.shape, Verdict.DISAGREE, reason, np.inf, np.inf, bound)
    known = np.isfinite(S) & np.isfinite(want)
    if not known.any():
        return LeafCheck(name, got.shape, Verdict.INCONCLUSIVE, _unknown(want, known), np.nan, np.nan, bound)
    with np.errstate(all="ignore"):
        leaf = _compared(name, got, want, S, u, bound)
    if leaf.agrees and not known.all():
        return replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=_unknown(want, known))
    return leaf


def _unknown(want: np.ndarray, known: np.ndarray) -> str:
    if np.isnan(want).any():
        return (
            f"autodiff gives NaN at {np.count_nonzero(~known)} of {known.size} entries: look for a `where` around a "
            "function that is undefined in the branch not taken, or choose another point"
        )
    return "the magnitudes overflow float64 here: choose smaller parameters"


def _compared(name: str, got: np.ndarray, want: np.ndarray, S: np.ndarray, u: float, bound: float) -> LeafCheck:
    known = np.isfinite(S) & np.isfinite(want)
    # Beyond the largest number of its type, right code gives inf.
    overflow = np.isinf(got) & (np.sign(got) == np.sign(want)) & (np.abs(want) + bound * u * S >= LARGEST[u])
    error = np.where(known & ~overflow, np.abs(got - want), 0.0)
    # Below the smallest normal number nothing has digits.
    units = np.nan_to_num(error / np.maximum(u * np.where(known, S, 1.0), np.finfo(np.float64).tiny), nan=np.inf)
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(units)), units.shape))
    wrong = int(np.count_nonzero(units > bound))
    condition = float(np.max((S / np.maximum(np.abs(want), np.finfo(np.float64).tiny))[known]))
    return LeafCheck(
        name,
        got.shape,
        Verdict.DISAGREE if wrong else Verdict.AGREE,
        f"{wrong} of {got.size} entries are further off than rounding explains" if wrong else "",
        float(np.max(np.nan_to_num(error, nan=np.inf))),
        float(units[worst]),
        bound,
        condition=condition,
        worst=worst,
        got=float(got[worst]),
        want=float(want[worst]),
        wrong_entries=wrong,
        entries=np.where(known, units, np.nan),
    )
