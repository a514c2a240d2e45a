"""The dZ that a step really worked with, recovered from what it made, and what that dZ is beside the right one.

dA_{l-1} = W^T dZ, dW = dZ A_prev^T / m and db = mean of dZ are linear in dZ. If one dZ solves them all, the error is
in dZ and these three lines are right; which dZ it is they show only where they leave no freedom.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..hypotheses import Array, Hypothesis, fitted, least_squares
from .steps import Step


LARGEST = 4_000_000  # entries of the system of equations; beyond, nothing is recovered
SHARE = 1e-6  # two entries of a recovered dZ that differ by less of its largest are the same


def recover(step: Step, got: Mapping[str, np.ndarray], fits: Callable[[np.ndarray], bool]) -> Hypothesis | None:
    """What dZ the outputs in `got` come from, if from one; `fits(dZ)` says whether a dZ gives them."""
    system = _system(step, got)
    if system is None:
        return None
    matrix, right, kinds = system
    outputs = np.concatenate([got[kind].ravel() for kind in kinds])
    delta, rank = least_squares(matrix, outputs - right)
    dZ = step.dZ + delta.reshape(step.dZ.shape)
    if not fits(dZ):
        return None
    for candidate in _families(step, dZ, matrix, outputs):
        if candidate.value is not None and fits(candidate.value):
            return candidate
    if rank == step.dZ.size and (described := _described(step, dZ)) is not None:
        return described
    text = f"dZ is wrong in a way not known here; {' and '.join(kinds)} follow rightly from it"
    return Hypothesis("unknown", text, dZ)


def _system(step: Step, got: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """The outputs as a matrix times the entries of dZ, what the right dZ gives, and the names of the outputs."""
    right = {kind: step.right(kind) for kind in got}
    kinds = [kind for kind in got if got[kind].shape == right[kind].shape and np.isfinite(got[kind]).all()]
    n, m = step.dZ.shape
    if len(kinds) < 2 or sum(right[kind].size for kind in kinds) * n * m > LARGEST:
        return None
    blocks = {  # of dZ row by row
        "dA": lambda: np.kron(step.W.T, np.eye(m)),
        "dW": lambda: np.kron(np.eye(n), step.A_prev) / m,
        "db": lambda: np.kron(np.eye(n), np.ones((1, m))) / m,
    }
    return np.concatenate([blocks[k]() for k in kinds]), np.concatenate([right[k].ravel() for k in kinds]), kinds


def _families(step: Step, dZ: np.ndarray, matrix: np.ndarray, outputs: np.ndarray) -> Iterator[Hypothesis]:
    """dZ that are few numbers away from the right one, however many dZ would give the same outputs."""

    def combined(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The combination of `parts` that comes nearest, and its factors."""
        columns = np.stack([matrix @ part.ravel() for part in parts], axis=1)
        factors, _ = least_squares(columns, outputs)
        return np.tensordot(factors, np.stack(parts), 1), factors

    for guess in (dZ, _mask_of_each_example(step, dZ)):
        if guess is not None and (masked := _masked(step, guess)) is not None:
            yield masked
    whole, (c,) = combined([step.dZ])
    if abs(c) <= SHARE:
        yield Hypothesis("zero", "dZ is 0 everywhere", np.zeros_like(step.dZ))
    elif abs(c - 1) > SHARE:
        yield Hypothesis("factor", f"dZ is {c:.6g} times what it should be", whole)
    if not step.is_head and np.any(step.Z < 0):
        branches, (above, below) = combined([step.dZ * (step.Z >= 0), step.dA * (step.Z < 0)])
        if abs(above - 1) <= SHARE:
            want = float(np.median(step.slope[step.Z < 0]))
            text = f"the slope below 0 is {below:.6g}; that of the forward is {want:.6g} there"
            yield Hypothesis("negative-slope", text, branches)


def _masked(step: Step, dZ: np.ndarray) -> Hypothesis | None:
    """dZ with some entries 0 and the others times one number: a mask that the forward pass did not have."""
    there = np.abs(step.dZ) > SHARE * float(np.max(np.abs(step.dZ), initial=0))
    ratio = np.divide(dZ, step.dZ, out=np.zeros_like(dZ), where=there)
    kept = there & (np.abs(ratio) > 0.5)
    if not kept.any() or kept.sum() == there.sum():
        return None
    c = float(np.median(ratio[kept]))
    words = "" if abs(c - 1) <= 1e-3 else f" and the others are {c:.6g} times what they should be"
    text = f"{int(there.sum() - kept.sum())} entries of dZ are 0 and should not be: a mask is applied{words}"
    return Hypothesis("masked", text, np.where(kept, c * step.dZ, np.where(there, 0.0, dZ)))


def _mask_of_each_example(step: Step, dZ: np.ndarray) -> np.ndarray | None:
    """Of the dZ that give the same W^T dZ, the one whose columns are the right ones with some entries left out."""
    n = len(step.dZ)
    if n > 10:
        return None
    masks = np.array(list(itertools.product([0.0, 1.0], repeat=n))[1:])
    columns = []
    for want, right in zip((step.W.T @ dZ).T, step.dZ.T, strict=True):
        signals = (masks * right) @ step.W
        c = signals @ want / np.maximum(np.sum(signals**2, axis=1), 1e-300)
        best = int(np.argmin(np.linalg.norm(c[:, None] * signals - want, axis=1)))
        columns.append(c[best] * masks[best] * right)
    return np.array(columns).T


def _described(step: Step, dZ: np.ndarray) -> Hypothesis | None:
    """What a dZ that is known entry by entry looks like."""
    scale = float(np.max(np.abs(dZ), initial=0)) or 1.0
    labels = _implied_labels(step, dZ) if step.is_head and step.loss else ()
    _, found = fitted(Array(dZ, step.dZ, 1e-9 * scale, 2.0**-53), labels)
    if found:
        return found[0][0]._replace(value=dZ)
    return None if step.is_head else _function_of_Z(step, dZ)


def _implied_labels(step: Step, dZ: np.ndarray) -> Iterator[Hypothesis]:
    """AL - dZ are the labels that were really subtracted."""
    labels, room = step.A - dZ, SHARE * 100
    distance = np.max(np.abs(labels[:, :, None] - step.Y[:, None, :]), axis=0)
    if np.max(np.min(distance, axis=1)) < room:
        order = np.argmin(distance, axis=1).tolist()
        yield Hypothesis("labels-permuted", f"the examples have the labels of others: of examples {order}", dZ)
    slope, offset = np.polyfit(step.Y.ravel(), labels.ravel(), 1) if np.ptp(step.Y) > 0 else (1.0, 0.0)
    if np.max(np.abs(slope * step.Y + offset - labels)) < room:
        text = f"the labels that are subtracted are {slope:.4g} Y + {offset:.4g}"
        yield Hypothesis("labels-smoothed", text, dZ)


def _function_of_Z(step: Step, dZ: np.ndarray) -> Hypothesis | None:
    """dZ / dA, if it changes little where Z does: a wrong formula for g'."""
    known = np.abs(step.dA) > 1e-3 * np.max(np.abs(step.dA))
    order = np.argsort(step.Z[known])
    Z, factor, want = (x[known][order] for x in (step.Z, dZ / np.where(known, step.dA, 1.0), step.slope))
    if len(Z) < 6 or np.ptp(factor) == 0:
        return None
    between = factor[:-2] + (factor[2:] - factor[:-2]) * (Z[1:-1] - Z[:-2]) / np.maximum(Z[2:] - Z[:-2], 1e-300)
    if np.median(np.abs(between - factor[1:-1])) > 0.1 * np.std(factor):
        return None
    i = int(np.argmax(np.abs(factor - want)))
    text = f"dZ is dA times a wrong function of Z: at Z = {Z[i]:.4g} it is {factor[i]:.6g}, not {want[i]:.6g}"
    return Hypothesis("slope-function", text, dZ)
