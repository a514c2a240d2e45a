"""What is this array, compared with the right one? Explanations that need no list of bugs: a factor, a transposition,
a few wrong entries, a term too many. Each fits its own numbers, so they come after the named bugs."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Fit(NamedTuple):
    """An explanation of one array."""

    code: str
    text: str  # "{what}" stands for the array's name
    value: np.ndarray  # what the explanation makes
    residual: float  # the largest difference to the array, in units of its tolerance


class Array(NamedTuple):
    """An array under test beside what is right, and how far apart two right ones may be."""

    got: np.ndarray
    want: np.ndarray
    tolerance: float  # absolute, for the whole array
    roundoff: float
    example_terms: np.ndarray | None = None  # (entries, m): got is their sum over the examples, where it is one
    added: Sequence[tuple[str, str, np.ndarray]] = ()  # (code, text with {c}, term): got may be want + c term


def residual(got: np.ndarray, value: np.ndarray | float | None, tolerance: float) -> float:
    """max |got - value| / tolerance; infinite where the shapes differ or either is not finite."""
    if value is None or np.shape(got) != np.shape(value) or got.size == 0:
        return np.inf
    with np.errstate(all="ignore"):
        worst = float(np.max(np.abs(got - value)))
    return worst / tolerance if np.isfinite(worst) and tolerance > 0 else (0.0 if worst == 0 else np.inf)


def least_squares(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, int]:
    """The x with matrix x nearest to `right`, and the rank; zeros, which explain nothing, where numbers overflow."""
    if np.isfinite(matrix).all() and np.isfinite(right).all():
        # Of numbers near the largest LAPACK overflows; scaled to 1 they fit.
        scale = float(max(np.max(np.abs(matrix), initial=0), np.max(np.abs(right), initial=0))) or 1.0
        try:
            x, _, rank, _ = np.linalg.lstsq(matrix / scale, right / scale, rcond=None)
            return x, int(rank)
        except np.linalg.LinAlgError:
            pass
    return np.zeros(matrix.shape[1]), 0


def fitted(array: Array) -> Fit | None:
    """The first explanation that reproduces the array."""
    if not np.isfinite(array.got).all():
        count = int(np.count_nonzero(~np.isfinite(array.got)))
        return Fit("not-finite", f"{{what}} has {count} entries that are not finite", array.got, 0.0)
    for explain in (_nothing, _shape, _transposed, *_FITS):
        for code, text, value in explain(array):
            off = residual(array.got, value, array.tolerance * max(1.0, _larger(array)))
            if off <= 1:
                return Fit(code, text, value, off)
    return None


def _larger(array: Array) -> float:
    """How many times larger the array is than it should be: its roundings are as well."""
    want = float(np.max(np.abs(array.want), initial=0.0))
    return float(np.max(np.abs(array.got), initial=0.0)) / want if want > 0 else 1.0


Candidates = Iterator[tuple[str, str, np.ndarray]]


def _nothing(a: Array) -> Candidates:
    if not a.got.any() and a.want.any():
        yield "zero", "{what} is 0: it was never written", a.got


def _shape(a: Array) -> Candidates:
    if a.got.shape == a.want.shape:
        return
    if a.got.size == a.want.size and a.got.ndim != a.want.ndim:
        flat = a.want.reshape(a.got.shape)
        yield "shape", f"{{what}} has shape {a.got.shape} and the right numbers; expected {a.want.shape}", flat
    if a.got.size == 1:
        for name, total in (("sum", np.sum(a.want)), ("mean", np.mean(a.want))):
            text = f"{{what}} is one number, the {name} over all units; expected {a.want.shape}"
            yield "all-summed", text, np.full(a.got.shape, total)


def _transposed(a: Array) -> Candidates:
    if a.want.ndim == 2 and a.got.shape == a.want.T.shape and min(a.want.shape) > 1:
        yield "transposed", "{what} is transposed", a.want.T


def _factor(a: Array) -> Candidates:
    if a.got.shape == a.want.shape and a.want.any():
        c = float(np.vdot(a.want, a.got) / np.vdot(a.want, a.want))
        if abs(c - 1) > 1e-6:
            yield "factor", f"{{what}} is {c:.6g} times what it should be", c * a.want


def _permuted(a: Array) -> Candidates:
    if a.got.shape != a.want.shape or a.want.ndim != 2:
        return
    for axis, kind in ((0, "rows"), (1, "columns")):
        if a.want.shape[axis] < 2:
            continue
        got, want = (np.moveaxis(x, axis, 0) for x in (a.got, a.want))
        if len(got) > 200:
            continue
        distance = np.max(np.abs(got[:, None] - want[None]), axis=2)
        order = np.argmin(distance, axis=1)
        if len(set(order.tolist())) == len(order) and not np.array_equal(order, np.arange(len(order))):
            yield "permuted", f"the {kind} of {{what}} are in another order", np.moveaxis(want[order], 0, axis)


def _with_term(a: Array) -> Candidates:
    for code, text, term in a.added:
        if a.got.shape == a.want.shape == term.shape and term.any():
            c = float(np.vdot(term, a.got - a.want) / np.vdot(term, term))
            yield code, text.replace("{c}", f"{c:.6g}"), a.want + c * term


def _scaled_with_term(a: Array) -> Candidates:
    for code, text, term in a.added:
        if a.got.shape == a.want.shape == term.shape and term.any() and a.want.any() and a.got.size > 3:
            basis = np.stack([a.want.ravel(), term.ravel()], axis=1)
            (k, c), _ = least_squares(basis, a.got.ravel())
            said = f"{{what}} is {k:.6g} times what it should be; besides, {text.replace('{c}', f'{c:.6g}')}"
            yield f"factor-and-{code}", said, (basis @ np.array([k, c])).reshape(a.got.shape)


def _by_rows(a: Array) -> Candidates:
    if a.got.shape != a.want.shape or a.want.ndim != 2:
        return
    for axis, kind in ((1, "rows"), (0, "columns")):
        if a.want.shape[axis] < 2:
            continue
        norm = np.sum(a.want**2, axis=axis, keepdims=True)
        factors = np.sum(a.got * a.want, axis=axis, keepdims=True) / np.where(norm > 0, norm, 1)
        wrong = np.flatnonzero(np.abs(factors - 1).ravel() > 1e-6)
        if 0 < len(wrong):
            said = ", ".join(f"{i} by {factors.ravel()[i]:.4g}" for i in wrong[:4]) + (
                ", ..." if len(wrong) > 4 else ""
            )
            yield f"{kind}-scaled", f"{kind} of {{what}} are multiplied: {said}", factors * a.want


def _by_examples(a: Array) -> Candidates:
    terms = a.example_terms
    if terms is None or a.got.shape != a.want.shape or len(terms) <= terms.shape[1]:
        return
    alpha, _ = least_squares(terms, a.got.ravel())
    said = ", ".join(f"{i} {alpha[i]:.4g} times" for i in np.flatnonzero(np.abs(alpha - 1) > 1e-6)[:4])
    text = f"examples do not count once each in {{what}}: example {said}"
    yield "examples-weighted", text, (terms @ alpha).reshape(a.got.shape)


def _clipped(a: Array) -> Candidates:
    if a.got.shape != a.want.shape:
        return
    c = float(np.max(np.abs(a.got)))
    if c < np.max(np.abs(a.want)):
        yield "clipped", f"{{what}} is cut off at {c:.6g}", np.clip(a.want, -c, c)


def _imprecise(a: Array) -> Candidates:
    if a.got.shape != a.want.shape:
        return
    size = float(np.max(np.abs(a.want), initial=0.0))
    for name, kind, roundoff in (("float32", np.float32, 2.0**-24), ("float16", np.float16, 2.0**-11)):
        # Of the coarser type an error so small may be anything; that every number fits into it is no accident.
        exact = roundoff < 1e-6 or bool(np.all(a.got.astype(kind) == a.got))
        if exact and roundoff > 4 * a.roundoff and residual(a.got, a.want, 8 * roundoff * size) <= 1:
            text = f"{{what}} is right to the digits of {name} only: something on the way is {name}"
            yield "precision", text, a.got


def _rounded(a: Array) -> Candidates:
    if a.got.shape == a.want.shape and a.got.size > 1:
        for digits in range(9):
            yield "rounded", f"{{what}} is rounded to {digits} decimals", np.round(a.want, digits)


def _signs(a: Array) -> Candidates:
    c = float(np.median(np.abs(a.got))) if a.got.size else 0.0
    if a.got.shape == a.want.shape and a.got.size > 2 and np.max(np.abs(np.abs(a.got) - c)) < 1e-3 * c:
        if np.array_equal(np.sign(a.got), np.sign(a.want)):
            yield "signs-only", f"only the signs of {{what}} are left, times {c:.4g}", a.got


def _absolute(a: Array) -> Candidates:
    yield "absolute", "the signs of {what} are lost", np.abs(a.want)


def _few_entries(a: Array) -> Candidates:
    if a.got.shape != a.want.shape or a.got.size < 2:
        return
    wrong = np.argwhere(np.abs(a.got - a.want) > a.tolerance)
    if 0 < len(wrong) <= max(1, a.got.size // 4):
        i = tuple(wrong[0].tolist())
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        text = f"{{what}} is right but for entry {list(i)}{more}: {a.got[i]:.6g}, not {a.want[i]:.6g}"
        yield "entries", text, a.got


def _offset(a: Array) -> Candidates:
    if a.got.shape == a.want.shape and a.got.size > 2:
        c = float(np.mean(a.got - a.want))
        yield "offset", f"{{what}} has {c:.6g} added to every entry", a.want + c


_FITS: tuple[Callable[[Array], Candidates], ...] = (
    _factor,
    _absolute,
    _rounded,
    _clipped,
    _signs,
    _permuted,
    _with_term,
    _by_rows,
    _offset,
    _by_examples,
    _few_entries,
    _scaled_with_term,
    _imprecise,
)
