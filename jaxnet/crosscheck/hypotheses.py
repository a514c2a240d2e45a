"""In what named way is this array wrong? Hypotheses that are known of it come first, then fits that need no list: a
factor, a transposition, a few wrong entries, a term too many. Each fit has numbers of its own, so it counts for less.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .report import Finding, Place


NAMED, FITTED, UNEXPLAINED = 1.0, 1.5, 100.0  # what an error counts: more than any number of explained ones


class Hypothesis(NamedTuple):
    """A way in which an array may be wrong."""

    code: str
    text: str  # "{what}" stands for the array's name
    value: np.ndarray | None  # what the array then is; None where it cannot be


class Array(NamedTuple):
    """An array under test beside what is right, and how far apart two right ones may be."""

    got: np.ndarray
    want: np.ndarray
    tolerance: float  # absolute, for the whole array
    roundoff: float
    added: Sequence[Hypothesis] = ()  # got may be want + c value; "{c}" stands for c in the text
    example_terms: np.ndarray | None = None  # (entries, m): got is their sum over the examples, where it is one

    @property
    def room(self) -> float:
        """The tolerance, larger where the array is larger than it should be: so are its rounding errors."""
        got, want = (float(np.max(np.abs(x), initial=0.0)) for x in (self.got, self.want))
        if want == 0:
            return max(self.tolerance, 100 * self.roundoff * got)
        return self.tolerance * max(1.0, got / want)


def residual(got: np.ndarray, value: np.ndarray | None, tolerance: float) -> float:
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


def fitted(a: Array, named: Iterable[Hypothesis] = ()) -> tuple[float, list[tuple[Hypothesis, float]]]:
    """The named hypotheses that reproduce the array, else the first fit that does, with their residuals; and what the
    error counts."""
    if not np.isfinite(a.got).all():
        count = int(np.count_nonzero(~np.isfinite(a.got)))
        return FITTED, [(Hypothesis("not-finite", f"{{what}} has {count} entries that are not finite", a.got), 0.0)]
    for counts, hypotheses, most in ((NAMED, named, None), (FITTED, _fits(a), 1)):
        found = ((h, off) for h in hypotheses if (off := residual(a.got, h.value, a.room)) <= 1)
        if chosen := list(itertools.islice(found, most)):
            return counts, chosen
    return UNEXPLAINED, []


def diagnose(
    place: Place, what: str, a: Array, named: Iterable[Hypothesis] = (), remedy: str = ""
) -> tuple[float, Finding]:
    """The error in an array that is wrong, and what it counts."""
    counts, found = fitted(a, named)
    if found:
        texts = list(dict.fromkeys(h.text.replace("{what}", what) for h, _ in found))
        return counts, Finding(place, found[0][0].code, texts[0], remedy, found[0][1], tuple(texts[1:]))
    if a.got.shape != a.want.shape:
        text = f"{what} has shape {a.got.shape}; expected {a.want.shape}"
        return counts, Finding(place, "unknown-shape", text, remedy)
    c = float(np.vdot(a.want, a.got) / np.vdot(a.want, a.want)) if a.want.any() else 0.0
    left = float(np.linalg.norm(a.got - c * a.want) / max(float(np.linalg.norm(a.got)), 1e-300))
    text = f"{what} is wrong in a way not known here; its best fit is {c:.3g} times the right one, {left:.0%} left over"
    return counts, Finding(place, "unknown", text, remedy)


def _fits(a: Array) -> Iterator[Hypothesis]:
    if not a.got.any() and a.want.any():
        yield Hypothesis("zero", "{what} is 0: it was never written", a.got)
    if a.want.ndim == 2 and min(a.want.shape) > 1:
        yield Hypothesis("transposed", "{what} is transposed", a.want.T)
    if a.got.shape != a.want.shape:
        yield from _of_another_shape(a)
    else:
        for fit in (_factor, _rounded, _clipped, _signs, _permuted, _with_a_term, _scaled_along, _examples, _imprecise):
            yield from fit(a)


def _of_another_shape(a: Array) -> Iterator[Hypothesis]:
    if a.got.size == a.want.size and a.got.ndim != a.want.ndim:
        text = f"{{what}} has shape {a.got.shape} and the right numbers; expected {a.want.shape}"
        yield Hypothesis("shape", text, a.want.reshape(a.got.shape))
    if a.got.size == 1:
        for name, total in (("sum", np.sum(a.want)), ("mean", np.mean(a.want))):
            text = f"{{what}} is one number, the {name} over all units; expected {a.want.shape}"
            yield Hypothesis("all-summed", text, np.full(a.got.shape, total))


def _factor(a: Array) -> Iterator[Hypothesis]:
    if a.want.any():
        c = float(np.vdot(a.want, a.got) / np.vdot(a.want, a.want))
        if abs(c - 1) > 1e-6:
            yield Hypothesis("factor", f"{{what}} is {c:.6g} times what it should be", c * a.want)


def _rounded(a: Array) -> Iterator[Hypothesis]:
    for digits in range(9) if a.got.size > 1 else ():
        yield Hypothesis("rounded", f"{{what}} is rounded to {digits} decimals", np.round(a.want, digits))


def _clipped(a: Array) -> Iterator[Hypothesis]:
    c = float(np.max(np.abs(a.got)))
    if c < np.max(np.abs(a.want)):
        yield Hypothesis("clipped", f"{{what}} is cut off at {c:.6g}", np.clip(a.want, -c, c))


def _signs(a: Array) -> Iterator[Hypothesis]:
    c = float(np.median(np.abs(a.got)))
    if a.got.size > 2 and np.max(np.abs(a.got - c * np.sign(a.want))) < 1e-3 * c:
        yield Hypothesis("signs-only", f"only the signs of {{what}} are left, times {c:.4g}", a.got)


def _permuted(a: Array) -> Iterator[Hypothesis]:
    for axis, kind in ((0, "rows"), (1, "columns")) if a.want.ndim == 2 else ():
        got, want = (np.moveaxis(x, axis, 0) for x in (a.got, a.want))
        if 1 < len(got) <= 200:
            order = np.argmin(np.max(np.abs(got[:, None] - want[None]), axis=2), axis=1)
            if len(set(order.tolist())) == len(order) and not np.array_equal(order, np.arange(len(order))):
                text = f"the {kind} of {{what}} are in another order"
                yield Hypothesis("permuted", text, np.moveaxis(want[order], 0, axis))


def _with_a_term(a: Array) -> Iterator[Hypothesis]:
    for code, text, term in a.added:
        if term is None or term.shape != a.want.shape or not term.any():
            continue
        c = float(np.vdot(term, a.got - a.want) / np.vdot(term, term))
        yield Hypothesis(code, text.replace("{c}", f"{c:.6g}"), a.want + c * term)
        if a.want.any() and a.got.size > 3:
            (k, c), _ = least_squares(np.stack([a.want.ravel(), term.ravel()], axis=1), a.got.ravel())
            text = f"{{what}} is {k:.6g} times what it should be; besides, {text.replace('{c}', f'{c:.6g}')}"
            yield Hypothesis(f"factor-and-{code}", text, k * a.want + c * term)


def _scaled_along(a: Array) -> Iterator[Hypothesis]:
    for axis, kind in ((1, "rows"), (0, "columns")) if a.want.ndim == 2 else ():
        norm = np.sum(a.want**2, axis=axis, keepdims=True)
        factors = np.sum(a.got * a.want, axis=axis, keepdims=True) / np.where(norm > 0, norm, 1)
        if a.want.shape[axis] > 1 and (few := some_of(factors, "by ")):
            yield Hypothesis(f"{kind}-scaled", f"{kind} of {{what}} are multiplied: {few}", factors * a.want)


def some_of(factors: np.ndarray, word: str) -> str:
    """The first factors that are not 1, by their positions: "2 by 0.5, 7 by 0, ..."."""
    wrong = np.flatnonzero(np.abs(factors - 1).ravel() > 1e-6)
    return ", ".join(f"{i} {word}{factors.ravel()[i]:.4g}" for i in wrong[:4]) + ", ..." * (len(wrong) > 4)


def _examples(a: Array) -> Iterator[Hypothesis]:
    """Some that do not count once each; or a few wrong entries, which examples of their own could not give."""
    terms = a.example_terms
    if terms is not None and len(terms) > terms.shape[1]:
        alpha, _ = least_squares(terms, a.got.ravel())
        text = f"examples do not count once each in {{what}}: example {some_of(alpha, 'times ')}"
        yield Hypothesis("examples-weighted", text, (terms @ alpha).reshape(a.got.shape))
    wrong = np.argwhere(np.abs(a.got - a.want) > a.tolerance)
    if a.got.size > 1 and 0 < len(wrong) <= max(1, a.got.size // 4):
        i = tuple(wrong[0].tolist())
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        text = f"{{what}} is right but for entry {list(i)}{more}: {a.got[i]:.6g}, not {a.want[i]:.6g}"
        yield Hypothesis("entries", text, a.got)


def _imprecise(a: Array) -> Iterator[Hypothesis]:
    size = float(np.max(np.abs(a.want), initial=0.0))
    for name, kind, roundoff in (("float32", np.float32, 2.0**-24), ("float16", np.float16, 2.0**-11)):
        # Of the coarser type an error so small may be anything; that every number fits into it is no accident.
        exact = roundoff < 1e-6 or bool(np.all(a.got.astype(kind) == a.got))
        if exact and roundoff > 4 * a.roundoff and residual(a.got, a.want, 8 * roundoff * size) <= 1:
            text = f"{{what}} is right to the digits of {name} only: something on the way is {name}"
            yield Hypothesis("precision", text, a.got)
