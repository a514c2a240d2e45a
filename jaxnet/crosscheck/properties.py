"""Properties of a gradient that hold whatever its values are: the same twice, arguments unchanged, the same compiled
and mapped, additive over the batch, linear in the cotangent.

A gradient is here a function that returns arrays by name. `differ` names those in which two answers differ by more
than rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .compare import ROUNDOFF
from .foreign import kind_of_value
from .report import Property, Verdict


Answer = Mapping[str, np.ndarray]
Call = Callable[[Any], Answer]
Differ = Callable[[Answer, Answer], Sequence[str]]


def judged(name: str, holds: bool, text: str = "") -> Property:
    """A property that holds or does not."""
    return Property(name, Verdict.AGREE if holds else Verdict.DISAGREE, "" if holds else text)


def unclear(name: str, text: str) -> Property:
    """A property that could not be looked at."""
    return Property(name, Verdict.INCONCLUSIVE, text)


def is_key(leaf: Any) -> bool:
    """Whether it is a key of `jax.random.key`."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def numbers_in(tree: Any) -> dict[str, np.ndarray]:
    """Copies of the leaves that are numbers, by their paths; keys as their bits."""
    pairs = [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]
    arrays = {path: np.array(jax.random.key_data(leaf) if is_key(leaf) else leaf) for path, leaf in pairs}
    return {path: a for path, a in arrays.items() if a.dtype.kind in "biufc" or str(a.dtype) in ROUNDOFF}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same, entry by entry, where NaN equals NaN."""
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind not in "OSUV")


def close(a: np.ndarray, b: np.ndarray, room: np.ndarray | float) -> bool:
    """|a - b| <= room, entry by entry; equal infinities are equal, NaN is NaN, and room that is NaN decides nothing."""
    if a.shape != b.shape:
        return False
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        off = ~(np.abs(a - b) <= np.nan_to_num(room, nan=np.inf, posinf=np.inf))
    return not np.any(off & (a != b) & ~(np.isnan(a) & np.isnan(b)))


def unlike(a: Answer, b: Answer) -> list[str]:
    """The names of the arrays that are not the same, or that one answer lacks."""
    return [name for name in dict.fromkeys([*a, *b]) if name not in a or name not in b or not same(a[name], b[name])]


def listed(names: Sequence[str]) -> str:
    """The names in a row; the one array of a tree that is nothing else has none."""
    return ", ".join(name or "its values" for name in names)


def arguments_unchanged(before: Answer, after: Answer) -> Property:
    """Nothing is written into the arguments."""
    changed = unlike(before, after)
    return judged("inputs unchanged", not changed, f"it writes into its arguments: {listed(changed)}")


def under_jit(compiled: Answer, plain: Answer, differ: Differ) -> Property:
    """Compiled, the same as called as it stands."""
    off = differ(plain, compiled)
    return judged("jit", not off, f"compiled and not, {listed(off)} differ")


def of_two_copies(call: Call, copies: Any, first: Answer, differ: Differ) -> Property:
    """Mapped over two copies of the arguments, the same as called once."""
    try:
        off = differ({name: array[1, ...] for name, array in call(copies).items()}, first)
    except Exception as error:  # of whatever kind
        return unclear("vmap", f"it cannot be mapped: {kind_of_value(error)}")
    return judged("vmap", not off, f"mapped over two copies of the arguments, {listed(off)} differ")


def additive(each: Answer, first: Answer, differ: Differ) -> Property:
    """The gradient of a batch is the mean over its examples, each of whose is in `each`."""
    means = {name: np.mean(array.astype(np.float64), axis=0).astype(first[name].dtype) for name, array in each.items()}
    off = differ(means, first)
    return judged("additive over the batch", not off, f"{listed(off)} are not means over the examples")


def linear(call: Call, one: Any, other: Any, room: Callable[[np.ndarray, np.ndarray], float]) -> Property:
    """call(3 a - 2 b) = 3 call(a) - 2 call(b) and call(0) = 0, where the gradient is finite.

    Infinite it is for other cotangents too, and inf - inf and 0 inf are NaN.
    """
    zero, both = jax.tree.map(jnp.zeros_like, one), jax.tree.map(lambda a, b: 3 * a - 2 * b, one, other)
    of_one, of_other, of_both, of_zero = (call(cotangent).values() for cotangent in (one, other, both, zero))

    def holds(a: np.ndarray, b: np.ndarray, made: np.ndarray, of_nothing: np.ndarray) -> bool:
        if not (a.shape == b.shape == made.shape == of_nothing.shape):
            return False
        a, b, wide = a.astype(np.float64), b.astype(np.float64), made.astype(np.float64)
        finite, infinite = np.isfinite(a) & np.isfinite(b), ~np.isfinite(a) & ~np.isfinite(b)
        if np.any(of_nothing.astype(np.float64)[finite]) or np.isfinite(wide[infinite]).any():
            return False
        return close((3 * a - 2 * b)[finite], wide[finite], room(made, (np.abs(a) + np.abs(b))[finite]))

    holding = all(map(holds, of_one, of_other, of_both, of_zero))
    return judged("linear in the cotangent", holding, "twice the cotangent is not twice the gradient")
