"""A function of somebody's own at a point: its values and its derivatives, by autodiff, differences or complex step."""

import inspect
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ..compare import ROUNDOFF
from .arguments import cast, cast64, check_arguments, check_value, dtype_of, has_derivative, is_array
from .differences import Estimate, along, complex_step
from .edits import Edit, slope_edits
from .perturbed import Rerun


ENTRIES = 400  # of a leaf that differences look at one by one; of a larger leaf, so many spread over it


@dataclass(frozen=True)
class Function:
    """`<cotangent, fun(*args)>` as a function of the leaves of `args[wrt]`, everything cast to float64, exactly."""

    fun: Callable[..., Any]
    args: tuple
    wrt: int | tuple[int, ...]
    cotangent: Any = None
    compiled: bool = False  # `fun` is compiled already, and need not be again for every point
    wide: bool = True  # evaluated in float64; else in float32, where alone it draws the numbers that it does

    @cached_property
    def named(self) -> list[list[tuple[str, Any]]]:
        """The leaves of each argument with their names as they would be written: `params['W1']`."""
        called = _argument_names(self.fun, len(self.args))
        return [
            [(name + jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(arg)]
            for name, arg in zip(called, self.args, strict=True)
        ]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The leaves of `args[wrt]` that have a derivative: floats, and not empty."""
        return tuple(name for i in self.positions for name, leaf in self.named[i] if has_derivative(leaf))

    @cached_property
    def leaves(self) -> list[np.ndarray]:
        """The same leaves in float64."""
        return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(self.selected) if has_derivative(leaf)]

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
        dtypes = [str(dtype_of(leaf)) for leaf in jax.tree.leaves(self.args)]
        return max(ROUNDOFF[name] for name in dtypes if name in ROUNDOFF)

    @cached_property
    def largest(self) -> float:
        """The largest number of the narrowest float among the arguments: beyond it right code gives inf."""
        return min(float(jnp.finfo(dtype_of(leaf)).max) for leaf in jax.tree.leaves(self.args) if has_derivative(leaf))

    @cached_property
    def traceable(self) -> bool:
        """Whether JAX can trace it."""
        if self.compiled:
            return True
        try:
            self._trace()
        except Exception:  # of whatever kind: NumPy code fails in many ways
            return False
        return True

    @cached_property
    def draws_by_precision(self) -> bool:
        """Does it draw random numbers that are others in float32 than in float64, as those of `jax.random` are?"""
        if not self.traceable or self.compiled:
            return False
        bits = [re.findall(r"bit_width=(\d+)", str(replace(self, wide=wide)._trace())) for wide in (True, False)]
        return bits[0] != bits[1]

    def _trace(self) -> Any:
        with jax.enable_x64(self.wide):
            leaves = [jax.ShapeDtypeStruct(leaf.shape, self._dtype) for leaf in self.leaves]
            return jax.make_jaxpr(self._scalar)(leaves, self._others(self._dtype))

    @property
    def held(self) -> list[Any]:
        """The arrays that `fun` has in its closure, or by names of its module."""
        try:
            found = inspect.getclosurevars(self.fun)
        except (TypeError, ValueError):  # it is not a function of Python
            return []
        values = [*found.nonlocals.values(), *found.globals.values()]
        return [leaf for leaf in jax.tree.leaves(values) if is_array(leaf)]

    @cached_property
    def slips(self) -> list[Edit]:
        """The gradient with one slope of its program missing, doubled or wrong; none where JAX cannot trace it."""
        if not self.traceable or self.compiled:
            return []
        try:
            with jax.enable_x64(self.wide):
                leaves = [jnp.asarray(leaf, self._dtype) for leaf in self.leaves]
                return list(slope_edits(self._trace(), leaves, jax.tree.leaves(self._others(self._dtype))))
        except Exception:  # of whatever kind: operations that cannot be run by themselves
            return []

    @property
    def fine(self) -> float:
        """u of the type in which it is evaluated."""
        return ROUNDOFF[self._dtype.name]

    @property
    def _dtype(self) -> Any:
        return np.dtype(np.float64 if self.wide else np.float32)

    def value(self, leaves: Sequence[np.ndarray]) -> float:
        """`<cotangent, fun>` at other leaves, in float64. They are copied, since `fun` may write into them."""
        with jax.enable_x64(self.wide):
            function = self._compiled if self.traceable and not self.compiled else self._scalar
            given = [np.array(leaf, self._dtype) for leaf in leaves]
            return float(np.asarray(function(given, self._others(self._dtype))))

    @cached_property
    def start(self) -> float:
        """`<cotangent, fun>` at the point itself."""
        return self.value(self.leaves)

    def autodiff(self, leaves: Sequence[np.ndarray] | None = None, dtype: Any = None) -> list[np.ndarray]:
        """The gradient by `jax.grad`, computed in `dtype`, float64 unless given; returned in float64."""
        dtype = self._dtype if dtype is None else dtype
        with jax.enable_x64(dtype == np.float64):
            cast = [jnp.asarray(leaf, dtype) for leaf in (self.leaves if leaves is None else leaves)]
            return [np.asarray(g, np.float64) for g in self._gradient(cast, self._others(dtype))]

    def line(self, i: int, direction: np.ndarray) -> Callable[[float], float]:
        """The values along a direction of leaf i."""
        return lambda t: self.value(self.moved(i, t * direction))

    def along(self, i: int, direction: np.ndarray) -> Estimate:
        """The derivative along a direction of leaf i, by differences."""
        return along(self.line(i, direction), self.fine, self.value_noise)

    @cached_property
    def value_noise(self) -> float:
        """How far other rounding errors take the value, of NumPy code; 0 where that cannot be known."""
        if self.traceable:
            return 0.0
        try:
            here = np.asarray(self.start)
            again = Rerun(lambda run: np.asarray(self.value_with(run.wrap)), here, 2 * ROUNDOFF["float64"])
            return float(again.noise())
        except Exception:  # of whatever kind: code that takes no arrays of another kind
            return 0.0

    def value_with(self, wrap: Callable[[Any], Any]) -> float:
        """The value for arrays of another kind."""
        others = list(map(wrap, self._others(np.float64)))
        return float(np.asarray(self._scalar([wrap(np.array(leaf)) for leaf in self.leaves], others)))

    def by_complex_step(self, i: int, direction: np.ndarray, wrap: Callable[[Any], Any] | None = None) -> float:
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

    def direction(self, i: int, among: np.ndarray | None = None) -> np.ndarray:
        """Signs drawn from the leaf's name, times the natural size of its entries; 0 outside of `among`.

        Among some entries only, lengths are drawn as well: two errors that are equal would cancel under signs alone.
        """
        random = np.random.default_rng(zlib.crc32(self.names[i].encode()))
        drawn = np.asarray(random.choice([-1.0, 1.0], size=self.leaves[i].shape))
        if among is None:
            return np.array(drawn * self.sizes(i) / np.sqrt(drawn.size))
        drawn = np.where(among, drawn * random.uniform(0.5, 1.5, size=drawn.shape), 0.0)
        return np.array(drawn * self.sizes(i) / np.sqrt(max(np.count_nonzero(among), 1)))

    def sizes(self, i: int) -> np.ndarray:
        """How large a change of each entry is natural: the entry, and no less than the leaf's root mean square."""
        leaf = np.abs(self.leaves[i])
        typical = float(np.sqrt(np.mean(leaf**2))) if leaf.size else 0.0
        return np.array(np.maximum(leaf, typical)) if typical > 0 else np.ones_like(leaf)

    def entries(self, i: int, among: np.ndarray | None = None) -> list[tuple[int, ...]]:
        """The entries of leaf i that differences look at, of those `among` which they may choose."""
        flat = np.arange(self.leaves[i].size) if among is None else np.flatnonzero(among)
        if len(flat) > ENTRIES:
            flat = flat[np.linspace(0, len(flat) - 1, ENTRIES // 2).astype(int)]
        return [tuple(int(n) for n in np.unravel_index(k, self.leaves[i].shape)) for k in flat]

    def unit(self, i: int, entry: tuple[int, ...]) -> np.ndarray:
        """One entry's direction, of natural size."""
        direction = np.zeros_like(self.leaves[i])
        direction[entry] = self.sizes(i)[entry]
        return direction

    def moved(self, i: int, change: np.ndarray | float) -> list[np.ndarray]:
        """The leaves, with `change` added to leaf i."""
        return [np.array(leaf + change) if k == i else leaf for k, leaf in enumerate(self.leaves)]

    def stretched(self, factor: float) -> list[np.ndarray]:
        """The leaves, every entry times `factor`."""
        return [np.array(factor * leaf) for leaf in self.leaves]

    def moved_to(self, leaves: Sequence[np.ndarray]) -> "Function":
        """The function at other leaves, all arguments in float64."""
        flat, structure, places = self._flat
        given = dict(zip(places, leaves, strict=True))
        with jax.enable_x64(True):
            filled = [given[k] if k in given else cast64(leaf) for k, leaf in enumerate(flat)]
        return replace(self, args=tuple(jax.tree.unflatten(structure, filled)))

    def moved_by_rounding(self, u: float, sign: int) -> list[np.ndarray]:
        """The leaves, every entry one unit of roundoff larger or smaller by turns."""
        turns = [np.where(np.arange(leaf.size).reshape(leaf.shape) % 2, 1, -1) for leaf in self.leaves]
        return [np.array(leaf * (1 + sign * u * turn)) for leaf, turn in zip(self.leaves, turns, strict=True)]

    def with_selected(self, args: Sequence[Any], selected: Sequence[Any]) -> list[Any]:
        """`args` with other values where it is differentiated."""
        by_position = dict(zip(self.positions, selected, strict=True))
        return [by_position.get(i, arg) for i, arg in enumerate(args)]

    @cached_property
    def _flat(self) -> tuple[list[Any], Any, list[int]]:
        """All leaves of the arguments, their structure, and where those stand that are differentiated by."""
        flat, structure = jax.tree.flatten(self.args)
        starts = np.cumsum([0, *(len(named) for named in self.named)])
        places = [k for i in self.positions for k in range(starts[i], starts[i + 1]) if has_derivative(flat[k])]
        return flat, structure, places

    def _others(self, dtype: Any) -> list[Any]:
        """The other arrays among the arguments. `jit` takes them as arguments too; constants it would fold for long."""
        flat, _, places = self._flat
        return [cast(leaf, dtype) for k, leaf in enumerate(flat) if k not in places and is_array(leaf)]

    def _scalar(self, leaves: Sequence[Any], others: Sequence[Any]) -> Any:
        """`<cotangent, fun>`, in the dtypes that come in."""
        flat, structure, places = self._flat
        given, arrays = dict(zip(places, leaves, strict=True)), iter(others)
        filled = [given[k] if k in given else next(arrays) if is_array(x) else x for k, x in enumerate(flat)]
        parts = jax.tree.leaves(self.fun(*jax.tree.unflatten(structure, filled)))
        if self.cotangent is None:
            return parts[0].reshape(()) if np.ndim(parts[0]) else parts[0]
        cotangent = jax.tree.leaves(self.cotangent)
        return sum((np.asarray(ct) * part).sum() for ct, part in zip(cotangent, parts, strict=True))

    @cached_property
    def _compiled(self) -> Callable[..., Any]:
        return jax.jit(self._scalar)

    @cached_property
    def _gradient(self) -> Callable[..., Any]:
        return jax.jit(jax.grad(self._scalar))


def make_function(
    fun: Callable[..., Any], args: tuple, wrt: int | Sequence[int], cotangent: Any, *, drawn: bool = False
) -> Function:
    """The function at the point, with a cotangent of its own where one is to be `drawn`.

    Raises `InputError` where it cannot be differentiated there.
    """
    if not isinstance(args, tuple | list) or not args:
        raise InputError(f"args is {type(args).__name__}; expected a tuple of the arguments of fun: args=(x,)")
    wrt = tuple(wrt) if isinstance(wrt, Sequence) else wrt
    positions = wrt if isinstance(wrt, tuple) else (wrt,)
    if not positions or not all(isinstance(i, int) and 0 <= i < len(args) for i in positions):
        raise InputError(f"wrt is {wrt}, but there are {len(args)} args; expected 0 to {len(args) - 1}")
    if len(set(positions)) < len(positions):
        raise InputError(f"wrt is {wrt}; expected every argument once")
    function = Function(fun, tuple(args), wrt, cotangent)
    check_arguments(function.named, function.positions)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        value = fun(*jax.tree.map(cast64, function.args))
        function = replace(function, cotangent=_drawn_cotangent(value)) if drawn else function
        check_value(value, function.cotangent)
    in_float64 = any(str(dtype_of(leaf)) == "float64" for leaf in jax.tree.leaves(function.args))
    return function if in_float64 or not function.draws_by_precision else replace(function, wide=False)


def _drawn_cotangent(value: Any) -> Any:
    """One that is not 1, which many a rule takes for granted; the same every time."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda part: random.normal(size=np.shape(part)) + 1.5, value)


def _argument_names(fun: Callable[..., Any], count: int) -> list[str]:
    try:
        named = list(inspect.signature(fun).parameters)
    except (TypeError, ValueError):
        named = []
    return [named[i] if i < len(named) else f"args[{i}]" for i in range(count)]
