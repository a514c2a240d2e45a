"""The dZ that a step really worked with, recovered from what it made, and what that dZ is beside the right one.

dA_{l-1} = W^T dZ, dW = dZ A_prev^T / m and db = mean of dZ are linear in dZ. If one dZ solves them all, the error is
in dZ and these three lines are right; which dZ it is they tell only where they leave no freedom.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ..fits import Array, fitted, least_squares
from .steps import RIGHT, Step


LARGEST = 4_000_000  # entries of the system of equations; beyond, nothing is recovered
SHARE = 1e-6  # two entries of a recovered dZ that differ by less of its largest are the same


class Recovered(NamedTuple):
    """A dZ that gives what the step made, and what it is."""

    dZ: np.ndarray
    code: str  # "unknown" where it is nothing known
    text: str


def recover(step: Step, got: Mapping[str, np.ndarray], fits: Callable[[np.ndarray], bool]) -> Recovered | None:
    """What dZ the outputs in `got` come from, if from one; `fits(dZ)` says whether a dZ gives them."""
    system = _system(step, got)
    if system is None:
        return None
    matrix, right, names = system
    made = np.concatenate([got[name].ravel() for name in names])
    delta, rank = least_squares(matrix, made - right)
    dZ = step.dZ + delta.reshape(step.dZ.shape)
    if not fits(dZ):
        return None
    for code, text, candidate in _families(step, dZ, matrix, made):
        if fits(candidate):
            return Recovered(candidate, code, text)
    if rank == step.dZ.size:
        said = _described(step, dZ)
        if said is not None:
            return Recovered(dZ, *said)
    lines = " and ".join(names)
    return Recovered(dZ, "unknown", f"dZ is wrong in a way not known here; {lines} follow rightly from it")


def _system(step: Step, got: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """The outputs as a matrix times the entries of dZ, what the right dZ gives, and the names of the outputs."""
    names = [n for n in got if got[n].shape == RIGHT[n](step).shape and np.isfinite(got[n]).all()]
    (n, m), W, A = step.dZ.shape, step.layer.W, step.layer.A_prev
    rows = {"dA": W.shape[1] * m, "dW": W.size, "db": n}
    if len(names) < 2 or sum(rows[name] for name in names) * n * m > LARGEST:
        return None
    blocks = {  # of dZ row by row
        "dA": lambda: np.kron(W.T, np.eye(m)),
        "dW": lambda: np.kron(np.eye(n), A) / m,
        "db": lambda: np.kron(np.eye(n), np.ones((1, m))) / m,
    }
    matrix = np.concatenate([blocks[name]() for name in names])
    return matrix, np.concatenate([RIGHT[name](step).ravel() for name in names]), names


Candidates = Iterator[tuple[str, str, np.ndarray]]


def _families(step: Step, dZ: np.ndarray, matrix: np.ndarray, made: np.ndarray) -> Candidates:
    """dZ that are few numbers away from the right one, however many dZ would give the same outputs."""

    def combined(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The combination of `parts` that comes nearest, and its factors."""
        columns = np.stack([matrix @ part.ravel() for part in parts], axis=1)
        factors, _ = least_squares(columns, made)
        return np.tensordot(factors, np.stack(parts), 1), factors

    for guess in (dZ, _mask_of_each_example(step, dZ)):
        if guess is not None and (masked := _masked(step, guess)) is not None:
            yield masked
    whole, (c,) = combined([step.dZ])
    if abs(c - 1) > SHARE:
        yield "factor", f"dZ is {c:.6g} times what it should be", whole
    if not step.is_head:
        Z, right = step.layer.Z, step.layer.slope
        branches, (above, below) = combined([step.dZ * (Z >= 0), step.dA * (Z < 0)])
        if np.any(Z < 0) and abs(above - 1) <= SHARE:
            want = float(np.median(right[Z < 0]))
            text = f"the slope below 0 is {below:.6g}; that of the forward is {want:.6g} there"
            yield "negative-slope", text, branches
    for axis, kind in ((0, "rows"), (1, "columns")):
        count, alone = step.dZ.shape[axis], step.dZ.shape[1 - axis] == 1  # then any dZ is so scaled
        if 1 < count <= 64 and not alone:
            index = np.arange(count) if axis else np.arange(count)[:, None]
            scaled, factors = combined([step.dZ * (index == k) for k in range(count)])
            off = [k for k in range(count) if abs(factors[k] - 1) > SHARE]
            said = ", ".join(f"{k} by {factors[k]:.4g}" for k in off[:4])
            yield f"{kind}-scaled", f"{'units' if kind == 'rows' else 'examples'} of dZ are multiplied: {said}", scaled


def _masked(step: Step, dZ: np.ndarray) -> tuple[str, str, np.ndarray] | None:
    """dZ with some entries 0 and the others times one number: a mask that the forward pass did not have."""
    scale = float(np.max(np.abs(step.dZ), initial=0))
    there = np.abs(step.dZ) > SHARE * scale
    if not there.any():
        return None
    ratio = np.divide(dZ, step.dZ, out=np.zeros_like(dZ), where=there)
    kept = there & (np.abs(ratio) > 0.5)
    if not kept.any() or kept.sum() == there.sum():
        return None
    c = float(np.median(ratio[kept]))
    words = "" if abs(c - 1) <= 1e-3 else f" and the others are {c:.6g} times what they should be"
    text = f"{int(there.sum() - kept.sum())} entries of dZ are 0 and should not be: a mask is applied{words}"
    return "masked", text, np.where(kept, c * step.dZ, np.where(there, 0.0, dZ))


def _mask_of_each_example(step: Step, dZ: np.ndarray) -> np.ndarray | None:
    """Of the dZ that give the same W^T dZ, the one whose columns are the right ones with some entries left out."""
    W, n = step.layer.W, len(step.dZ)
    if n > 10:
        return None
    masks = np.array(list(itertools.product([0.0, 1.0], repeat=n))[1:])
    columns = []
    for want, right in zip((W.T @ dZ).T, step.dZ.T, strict=True):
        made = (masks * right) @ W
        c = made @ want / np.maximum(np.sum(made**2, axis=1), 1e-300)
        best = int(np.argmin(np.linalg.norm(c[:, None] * made - want, axis=1)))
        columns.append(c[best] * masks[best] * right)
    return np.array(columns).T


def _described(step: Step, dZ: np.ndarray) -> tuple[str, str] | None:
    """What a dZ that is known entry by entry looks like."""
    if step.is_head and (said := _implied_labels(step, dZ)) is not None:
        return said
    scale = float(np.max(np.abs(dZ), initial=0)) or 1.0
    fit = fitted(Array(dZ, step.dZ, 1e-9 * scale, 2.0**-53))
    if fit is not None:
        return fit.code, fit.text.replace("{what}", "dZ")
    return None if step.is_head else _function_of_Z(step, dZ, scale)


def _implied_labels(step: Step, dZ: np.ndarray) -> tuple[str, str] | None:
    """AL - dZ are the labels that were really subtracted."""
    if step.loss == "":
        return None
    labels, room = step.layer.A - dZ, SHARE * 100
    distance = np.max(np.abs(labels[:, :, None] - step.Y[:, None, :]), axis=0)
    if np.max(np.min(distance, axis=1)) < room:
        order = np.argmin(distance, axis=1).tolist()
        return "labels-permuted", f"the examples have the labels of others: of examples {order}"
    slope, offset = np.polyfit(step.Y.ravel(), labels.ravel(), 1) if np.ptp(step.Y) > 0 else (1.0, 0.0)
    if np.max(np.abs(slope * step.Y + offset - labels)) < room:
        return "labels-smoothed", f"the labels that are subtracted are {slope:.4g} Y + {offset:.4g}"
    return None


def _function_of_Z(step: Step, dZ: np.ndarray, scale: float) -> tuple[str, str] | None:
    """dZ / dA, if it changes little where Z does: a wrong formula for g'."""
    known = np.abs(step.dA) > 1e-3 * np.max(np.abs(step.dA))
    order = np.argsort(step.layer.Z[known])
    Z, factor, want = step.layer.Z[known][order], (dZ[known] / step.dA[known])[order], step.layer.slope[known][order]
    if len(Z) < 6 or np.ptp(factor) == 0:
        return None
    between = factor[:-2] + (factor[2:] - factor[:-2]) * (Z[1:-1] - Z[:-2]) / np.maximum(Z[2:] - Z[:-2], 1e-300)
    if np.median(np.abs(between - factor[1:-1])) > 0.1 * np.std(factor):
        return None
    i = int(np.argmax(np.abs(factor - want)))
    text = f"dZ is dA times a wrong function of Z: at Z = {Z[i]:.4g} it is {factor[i]:.6g}, not {want[i]:.6g}"
    return "slope-function", text
