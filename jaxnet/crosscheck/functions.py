"""A function of somebody's own at a point: its values and its derivatives, by autodiff, differences or complex step."""

import inspect
import math
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from .differences import Estimate, along, complex_step
from .perturbed import noise
from .reference import ROUNDOFF


ENTRIES = 400  # of a leaf that differences look at one by one; of a larger leaf, so many spread over it


@dataclass(frozen=True)
class Function:
    """`<cotangent, fun(*args)>` as a function of the leaves of `args[wrt]`, everything cast to float64, exactly."""

    fun: Callable[..., Any]
    args: tuple
    wrt: int | tuple[int, ...]
    cotangent: Any = None
    compiled: bool = False  # `fun` is compiled already, and need not be again for every point

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The leaves as they would be written: `params['W1']`."""
        called = self._argument_names()
        return tuple(
            called[i] + jax.tree_util.keystr(path)
            for i in self.positions
            for path, _ in jax.tree_util.tree_leaves_with_path(self.args[i])
        )

    @cached_property
    def leaves(self) -> list[np.ndarray]:
        """The leaves of `args[wrt]` in float64."""
        return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(self.selected)]

    @property
    def positions(self) -> tuple[int, ...]:
        """`wrt` as a tuple."""
        return (self.wrt,) if isinstance(self.wrt, int) else tuple(self.wrt)

    @property
    def selected(self) -> tuple:
        """The arguments with respect to which it is differentiated."""
        return tuple(self.args[i] for i in self.positions)

    @cached_property
    def roundoff(self) -> float:
        """u of the coarsest float among the arguments and the value."""
        dtypes = [str(np.asarray(leaf).dtype) for leaf in jax.tree.leaves(self.args)]
        return max(ROUNDOFF[name] for name in dtypes if name in ROUNDOFF)

    @cached_property
    def traceable(self) -> bool:
        """Can JAX trace it?"""
        if self.compiled:
            return True
        try:
            with jax.enable_x64(True):
                jax.eval_shape(self._scalar, self.leaves, self._others(np.float64))
        except Exception:  # of whatever kind: NumPy code fails in many ways
            return False
        return True

    def value(self, leaves: Sequence[np.ndarray]) -> float:
        """`<cotangent, fun>` at other leaves, in float64."""
        with jax.enable_x64(True):
            function = self._compiled if self.traceable and not self.compiled else self._scalar
            return float(np.asarray(function(leaves, self._others(np.float64))))

    def autodiff(self, leaves: Sequence[np.ndarray] | None = None, dtype: Any = np.float64) -> list[np.ndarray]:
        """The gradient by `jax.grad`, computed in `dtype`; returned in float64."""
        with jax.enable_x64(dtype == np.float64):
            cast = [jnp.asarray(leaf, dtype) for leaf in (self.leaves if leaves is None else leaves)]
            return [np.asarray(g, np.float64) for g in self._gradient(cast, self._others(dtype))]

    def along(self, i: int, direction: np.ndarray) -> Estimate:
        """The derivative along a direction of leaf i, by differences."""
        return along(lambda t: self.value(self.moved(i, t * direction)), self.value_noise)

    @cached_property
    def value_noise(self) -> float:
        """How far other roundings take the value, of NumPy code; 0 where that cannot be told."""
        if self.traceable:
            return 0.0

        try:
            here = np.asarray(self.value(self.leaves))
            return float(noise(lambda run: np.asarray(self.value_with(run.wrap)), here, 2 * ROUNDOFF["float64"]))
        except Exception:  # of whatever kind: code that takes no arrays of another kind
            return 0.0

    def value_with(self, wrap: Callable[[np.ndarray], np.ndarray]) -> float:
        """The value for arrays of another kind."""
        others = list(map(wrap, self._others(np.float64)))
        return float(np.asarray(self._scalar(list(map(wrap, self.leaves)), others)))

    def by_complex_step(
        self, i: int, direction: np.ndarray, wrap: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> float:
        """The same by the complex step; NaN where the function is not made for complex numbers.

        `wrap` makes other arrays of those that the function is given.
        """
        wrap = wrap or (lambda leaf: leaf)
        try:
            others = [wrap(other) for other in self._others(np.float64)]
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # NumPy only warns where it drops the imaginary part
                return complex_step(lambda t: self._scalar(list(map(wrap, self.moved(i, t * direction))), others))
        except Exception:  # of whatever kind: comparisons, abs, casts
            return np.nan

    def direction(self, i: int) -> np.ndarray:
        """Signs drawn from the leaf's name, times the natural size of its entries."""
        random = np.random.default_rng(zlib.crc32(self.names[i].encode()))
        signs = random.choice([-1.0, 1.0], size=self.leaves[i].shape)
        return signs * self.sizes(i) / np.sqrt(max(signs.size, 1))

    def sizes(self, i: int) -> np.ndarray:
        """How large a change of each entry is natural: the entry, and no less than the leaf's root mean square."""
        leaf = np.abs(self.leaves[i])
        typical = float(np.sqrt(np.mean(leaf**2))) if leaf.size else 0.0
        return np.maximum(leaf, typical) if typical > 0 else np.ones_like(leaf)

    def entries(self, i: int) -> list[tuple[int, ...]]:
        """The entries of leaf i that differences look at."""
        size = self.leaves[i].size
        flat = range(size) if size <= ENTRIES else np.linspace(0, size - 1, ENTRIES // 2).astype(int)
        return [tuple(int(n) for n in np.unravel_index(k, self.leaves[i].shape)) for k in flat]

    def unit(self, i: int, entry: tuple[int, ...]) -> np.ndarray:
        """One entry's direction, of natural size."""
        direction = np.zeros_like(self.leaves[i])
        direction[entry] = self.sizes(i)[entry]
        return direction

    def moved(self, i: int, change: np.ndarray) -> list[np.ndarray]:
        """The leaves, with `change` added to leaf i."""
        return [leaf + change if k == i else leaf for k, leaf in enumerate(self.leaves)]

    def moved_to(self, leaves: Sequence[np.ndarray]) -> "Function":
        """The function at other leaves, all arguments in float64."""
        selected = jax.tree.unflatten(jax.tree.structure(self.selected), list(leaves))
        with jax.enable_x64(True):
            args = jax.tree.map(_cast64, self.args)
        return replace(self, args=tuple(self.with_selected(args, selected)))

    def moved_by_rounding(self, u: float, sign: int) -> list[np.ndarray]:
        """The leaves, every entry one rounding larger or smaller by turns."""
        turns = [np.where(np.arange(leaf.size).reshape(leaf.shape) % 2, 1, -1) for leaf in self.leaves]
        return [leaf * (1 + sign * u * turn) for leaf, turn in zip(self.leaves, turns, strict=True)]

    def with_selected(self, args: Sequence[Any], selected: Sequence[Any]) -> list[Any]:
        """`args` with other values where it is differentiated."""
        by_position = dict(zip(self.positions, selected, strict=True))
        return [by_position.get(i, arg) for i, arg in enumerate(args)]

    def _argument_names(self) -> list[str]:
        try:
            named = list(inspect.signature(self.fun).parameters)
        except (TypeError, ValueError):
            named = []
        return [named[i] if i < len(named) else f"args[{i}]" for i in range(len(self.args))]

    def _others(self, dtype: Any) -> list[Any]:
        """The arrays among the other arguments. `jit` takes them as arguments too; constants it would fold for long."""
        return [_cast(leaf, dtype) for leaf in jax.tree.leaves(self._rest) if _is_array(leaf)]

    @property
    def _rest(self) -> list[Any]:
        return [arg for i, arg in enumerate(self.args) if i not in self.positions]

    def _scalar(self, leaves: Sequence[Any], others: Sequence[Any]) -> Any:
        """`<cotangent, fun>`, in the dtypes that come in."""
        arrays = iter(others)
        rest = iter(jax.tree.map(lambda leaf: next(arrays) if _is_array(leaf) else leaf, self._rest))
        selected = jax.tree.unflatten(jax.tree.structure(self.selected), list(leaves))
        args = [None if i in self.positions else next(rest) for i in range(len(self.args))]
        out = self.fun(*self.with_selected(args, selected))
        if self.cotangent is None:
            return out if np.ndim(out) == 0 else out.reshape(())
        parts = zip(jax.tree.leaves(self.cotangent), jax.tree.leaves(out), strict=True)
        return sum((np.asarray(ct) * part).sum() for ct, part in parts)

    @cached_property
    def _compiled(self) -> Callable[..., Any]:
        return jax.jit(self._scalar)

    @cached_property
    def _gradient(self) -> Callable[..., Any]:
        return jax.jit(jax.grad(self._scalar))


def make_function(fun: Callable[..., Any], args: tuple, wrt: int | tuple[int, ...], cotangent: Any) -> Function:
    """The function at the point. Raises `InputError` where it cannot be differentiated there."""
    if not isinstance(args, tuple | list) or not args:
        raise InputError(f"args is {type(args).__name__}; expected a tuple of the arguments of fun: args=(x,)")
    function = Function(fun, tuple(args), wrt, cotangent)
    if not all(isinstance(i, int) and 0 <= i < len(args) for i in function.positions):
        raise InputError(f"wrt is {wrt}, but there are {len(args)} args; expected 0 to {len(args) - 1}")
    for name, leaf in zip(function.names, jax.tree.leaves(function.selected), strict=True):
        dtype = np.asarray(leaf).dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            raise InputError(f"{name} is {dtype}; expected floats: nothing else has a derivative")
        if np.size(leaf) == 0:
            raise InputError(f"{name} has shape {np.shape(leaf)}, which is empty; expected entries to differentiate by")
        if not np.isfinite(np.asarray(leaf, np.float64)).all():
            raise InputError(f"{name} has entries that are not finite; choose another point")
    with jax.enable_x64(True):
        shapes = [np.shape(part) for part in jax.tree.leaves(fun(*jax.tree.map(_cast64, function.args)))]
    if cotangent is None and (len(shapes) != 1 or math.prod(shapes[0]) != 1):
        raise InputError(f"fun returns shapes {shapes}; expected one number, or cotangent=... of those shapes")
    given = [np.shape(ct) for ct in jax.tree.leaves(cotangent)]
    if cotangent is not None and given != shapes:
        raise InputError(f"cotangent has shapes {given}; expected those of fun's value, {shapes}")
    return function


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def _cast(leaf: Any, dtype: Any) -> Any:
    """Floats to `dtype`, the rest as it is; NumPy arrays stay such, so that a NumPy function may write to them."""
    if not jnp.issubdtype(np.asarray(leaf).dtype, jnp.floating):
        return leaf
    return leaf.astype(dtype) if isinstance(leaf, jax.Array) else np.asarray(leaf).astype(jnp.dtype(dtype))


def _cast64(leaf: Any) -> Any:
    return _cast(leaf, np.float64) if _is_array(leaf) else leaf
