"""NumPy code run again with other rounding errors: what they change in its answer is what rounding may have done to it.

Arrays of the kind `Perturbed` move every entry that an operation has rounded by one unit in its last place, up or down
at random (Monte Carlo arithmetic: Parker 1997, *Monte Carlo Arithmetic*). The code need not be read for it, and it
shows what moving the arguments does not: 1 - A where A rounds to the same number all around. They also lead a complex
step through |Z| and logaddexp, which NumPy does not.
"""

import itertools
import linecache
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...text import printable


RUNS = 8
LOST = 1e3  # a sum this much smaller than its terms has lost three digits
ON_THE_WAY = ("numpy", "jaxnet", "jaxtyping", "beartype")  # whose frames are not the user's code
GUARD = 1e-3  # a constant this close to 0 or to 1 is there to keep away from them
EXACT = {np.negative, np.positive, np.absolute, np.conjugate, np.sign, np.floor, np.ceil, np.rint}
EXACT |= {np.maximum, np.minimum, np.fmax, np.fmin, np.clip, np.copysign}


def _larger(a: Any, b: Any) -> np.ndarray:
    return np.where(np.real(a) >= np.real(b), a, b)


def _absolute(z: Any) -> np.ndarray:
    return np.where(np.real(z) < 0, -z, z)


# What NumPy has of complex numbers otherwise, or not at all, as it is of real ones with a derivative.
ANALYTIC: dict[np.ufunc, Callable[..., np.ndarray]] = {
    np.absolute: _absolute,
    np.sign: lambda z: np.sign(np.real(z)) + 0j,
    np.logaddexp: lambda a, b: _larger(a, b) + np.log1p(np.exp(-_absolute(a - b))),
}
NEUTRAL = {np.add: 0, np.subtract: 0, np.multiply: 1}  # where one term is that, the other is the result


class Run:
    """One run: its random signs, the units it moves by and, with `at`, the one sum whose terms alone are moved.

    With `guards=False` what keeps a logarithm from 0 is left out: a tiny number added, a clip just inside of 0 and 1.
    """

    def __init__(self, seed: int = 0, eps: float = 0.0, at: int | None = None, *, guards: bool = True):
        self.random, self.eps, self.at, self.guards = np.random.default_rng(seed), eps, at, guards
        self.left_out: list[str] = []  # the guards that were, as they are written
        self.sums: list[tuple[float, str]] = []  # of every a + b and a - b: the factor it is smaller by, and its source

    def wrap(self, array: Any) -> Any:
        """The array, with operations that are perturbed; anything but an array of floats as it is."""
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fc":
            return array
        wrapped = array.view(Perturbed)
        wrapped.run = self
        return wrapped

    def moved(self, array: np.ndarray) -> np.ndarray:
        """Every entry a unit larger or smaller; of complex ones both parts, each by itself.

        Never by more than `eps`: code that is in lower precision than it should be is not excused by that.
        """
        parts = np.array(array, order="C", ndmin=1).view(np.real(array).dtype)
        signs = 2 * self.random.integers(2, size=parts.shape) - 1
        moved = parts * (1 + min(float(np.finfo(parts.dtype).eps), self.eps) * signs).astype(parts.dtype)
        return moved.view(array.dtype).reshape(array.shape)


class Perturbed(np.ndarray):
    """An array in a run, which goes along to its views and to whatever is made of it."""

    run: Run | None = None

    def __array_finalize__(self, parent: Any) -> None:
        self.run = getattr(parent, "run", None)

    def __getitem__(self, key: Any) -> Any:
        """Single entries stay arrays, whose operations are perturbed as well."""
        part = super().__getitem__(key)
        return part if isinstance(part, np.ndarray) or self.run is None else self.run.wrap(np.asarray(part))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        run = self.run
        into = options.pop("out", ())
        terms = [np.array(_bare(x)) if into else _bare(x) for x in inputs]  # `into` may be one of them
        options = {name: _bare(option) for name, option in options.items()}
        if into:
            options["out"] = tuple(map(_bare, into))
        if run is None:
            result = getattr(ufunc, method)(*terms, **options)
            return into[0] if len(into) == 1 else into or result
        if method == "__call__" and ufunc in (np.add, np.subtract):
            terms = _summed(run, ufunc, terms)
        if not run.guards and method == "__call__" and not into and (kept := _guarded(ufunc, terms)) is not None:
            run.left_out.append(_source())
            return run.wrap(kept)
        of_complex = ufunc in ANALYTIC and any(np.iscomplexobj(x) for x in terms)
        result = (ANALYTIC[ufunc] if of_complex else getattr(ufunc, method))(*terms, **options)
        if into:
            for array in map(_bare, into):
                array[...] = _rounded(run, ufunc, terms, array)
            return into[0] if len(into) == 1 else into
        if isinstance(result, tuple):
            return tuple(run.wrap(_rounded(run, ufunc, terms, np.asarray(part))) for part in result)
        return None if result is None else run.wrap(_rounded(run, ufunc, terms, np.asarray(result)))

    def __array_function__(self, func: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        """What NumPy has in Python runs on perturbed arrays; what it has in C is perturbed when it is done."""
        if func is np.linalg.norm and len(args) == 1 and not kwargs and np.iscomplexobj(args[0]):
            return np.sqrt(np.sum(args[0] * args[0]))  # NumPy's is that of the magnitudes
        result = super().__array_function__(func, types, args, kwargs)
        run = self.run
        if run is None or not isinstance(result, np.ndarray) or result.dtype.kind not in "fc":
            return result
        if func in (np.dot, np.einsum, np.inner, np.vdot, np.convolve) and run.at is None and run.eps:
            return run.wrap(run.moved(_bare(result)))
        return run.wrap(result)


def _bare(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, Perturbed) else x


def _rounded(run: Run, ufunc: np.ufunc, terms: list[Any], result: np.ndarray) -> np.ndarray:
    """The result, moved where it was rounded."""
    if result.dtype.kind not in "fc" or ufunc in EXACT or run.at is not None or not run.eps:
        return result
    moved = run.moved(result)
    for x in terms if ufunc in NEUTRAL else ():
        if np.shape(x) in ((), result.shape):
            moved = np.where(np.asarray(x) == NEUTRAL[ufunc], result, moved)
    return moved


def _guarded(ufunc: np.ufunc, terms: list[Any]) -> np.ndarray | None:
    """The array that a guard with constants like 1e-8 or 1 - 1e-8 is put on; None where this is not a guard."""
    arrays = [x for x in terms if np.ndim(x)]
    limits = [float(x) for x in terms if x is not None and not np.ndim(x) and not np.iscomplexobj(x)]
    if len(arrays) != 1 or len(arrays) + len(limits) != sum(x is not None for x in terms):
        return None
    near = [0 < abs(c) < GUARD or (ufunc is not np.add and 0 < abs(1 - c) < GUARD) for c in limits]
    is_guard = ufunc in (np.add, np.maximum, np.minimum) or ufunc.__name__ == "clip"
    return arrays[0] if is_guard and limits and all(near) else None


def _summed(run: Run, ufunc: np.ufunc, terms: list[Any]) -> list[Any]:
    """Notes how little of the terms is left in their sum; moves the terms of the one that is asked about."""
    a, b = (np.asarray(term) for term in terms)
    with np.errstate(all="ignore"):
        left, size = np.abs(ufunc(a, b)), np.maximum(np.abs(a), np.abs(b))
        lost = float(np.max(np.where(left < size, size / np.maximum(left, 1e-300), 1.0), initial=1.0))
    run.sums.append((lost, _source() if lost > LOST else ""))
    if run.at != len(run.sums) - 1:
        return terms
    return [run.moved(x) if x.dtype.kind in "fc" else x for x in (a, b)]


def _source() -> str:
    """The expression under way in the first frame outside of NumPy and of this package; "" where it cannot be read."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ON_THE_WAY:
        frame = frame.f_back
    if frame is None:
        return ""
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    line, last, start, end = next(positions, (None,) * 4)
    if line is None or line != last:
        return ""
    text = linecache.getline(frame.f_code.co_filename, line).encode()[start:end]
    return printable(text.decode(errors="replace"))


class Rerun(NamedTuple):
    """An answer that can be made again in other runs, with units up to `eps`, and what it is without."""

    answer: Callable[[Run], np.ndarray]
    want: np.ndarray
    eps: float

    def _off(self, seed: int, at: int | None = None) -> np.ndarray:
        moved = np.abs(np.asarray(self.answer(Run(seed, self.eps, at)), np.float64) - self.want)
        return np.nan_to_num(moved, nan=np.inf, posinf=np.inf)

    def noise(self) -> np.ndarray:
        """How far other rounding errors take each entry; infinite where they leave it not finite."""
        off = np.max([self._off(seed) for seed in range(RUNS)], axis=0)
        # By chance the signs of one entry may cancel in every run; then it is as the others.
        finite, size = np.isfinite(self.want), np.abs(self.want)
        known = finite & np.isfinite(off) & (size > 0)
        share = float(np.median(off[known] / size[known])) if known.any() else 0.0
        return np.where(finite, np.maximum(off, share * size), 0.0)

    def lossy_sum(self) -> str:
        """The sum in which the digits are lost, as the code has it: `1 - A`. "" where there is none, or no source.

        Of the sums much smaller than their terms it is the one whose terms, a unit off, change the answer most.
        """
        run = Run(0, self.eps, at=-1)
        self.answer(run)
        sums = [(at, source) for at, (lost, source) in enumerate(run.sums) if lost > LOST and source]
        effects = [(float(np.max(self._off(0, at), initial=0.0)), source) for at, source in sums]
        effect, source = max(effects, key=lambda found: found[0], default=(0.0, ""))
        return source if effect > 0 else ""
