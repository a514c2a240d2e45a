"""Somebody's function, called with right inputs, and what it returns compared with what it should."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...network import Network
from ..backprop.power import good_point
from ..backprop.reference import Reference, make_reference
from ..backprop.steps import Step
from ..compare import ROUNDOFF
from ..foreign import NotNumbers, as_numbers, error_text, kind_of_value, location, source_of
from ..hypotheses import Array, Hypothesis, diagnose, residual
from ..report import Place
from .reports import FunctionReport, wrong


Functions = Mapping[str, Any]  # what a file defines


class Refused(Exception):
    """What the function did instead of returning what it should."""


class NotDeterministic(Refused):
    """It returned something else when it was called again: nothing else about its values would be true."""


@dataclass(frozen=True)
class Point:
    """Where the functions are tried: a network of the course, and one with sigmoid in its hidden layers."""

    relu: Reference
    sigmoid: Reference

    def step(self, activation: str) -> Step:
        """The backward of layer 2, whose dZ has several units and several examples."""
        reference = self.relu if activation == "relu" else self.sigmoid
        return replace(reference.step(2), numbered=False)


@lru_cache(maxsize=8)
def make_point(dims: tuple[int, ...], m: int) -> Point:
    """A good point of these sizes."""
    X, Y, parameters = good_point(dims, key=jax.random.key(0), m=m)
    return Point(make_reference(X, Y, parameters, Network()), make_reference(X, Y, parameters, Network("sigmoid")))


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns for NumPy arrays or, for code that needs them, JAX arrays.

    Raises `Refused` for what it raises, and `NotDeterministic`.
    """
    again = _copied(arguments)
    way, returned = _attempt(function, arguments)
    try:
        same = _same(returned, way(again))
    except Exception as error:
        raise NotDeterministic(f"it is not deterministic: called again, it raised {error_text(error)}") from error
    if not same:
        raise NotDeterministic("it is not deterministic: called twice with the same inputs, its values differ")
    return returned


def _attempt(function: Callable[..., Any], arguments: tuple) -> tuple[Callable[[tuple], Any], Any]:
    """The way to call it that works, and what it returned."""
    fresh_ones = _copied(arguments)  # it may write into them before it fails

    def plainly(given: tuple) -> Any:
        return function(*given)

    def with_jax_arrays(given: tuple) -> Any:
        return function(*jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, given))

    try:
        return plainly, plainly(arguments)
    except Exception as first:
        try:
            return with_jax_arrays, with_jax_arrays(fresh_ones)
        except Exception:
            raise Refused(f"it raised {error_text(first)}{location(first, source_of(function))}") from first


def _copied(arguments: tuple) -> tuple:
    """The same ones where a cache of the learner's own forward holds what cannot be copied."""
    try:
        return deepcopy(arguments)
    except Exception:
        return arguments


def _same(one: Any, other: Any) -> bool:
    """Are all numbers in two answers equal? Objects that cannot be looked into are refused later, by name."""
    try:
        ones, others = list(_arrays_in(one)), list(_arrays_in(other))
        pairs = zip(ones, others, strict=False)
        return len(ones) == len(others) and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    except Exception:  # methods of somebody's own; what they hold itself, endlessly
        return True


def _arrays_in(value: Any) -> Iterator[np.ndarray]:
    try:
        yield as_numbers(value)
        return
    except NotNumbers:
        items = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    for item in items:
        yield from _arrays_in(item)


def _read(returned: Any, kind: Any, how: Callable[[Any], Any], expected: str) -> Any:
    """What a function returned, if it is of a kind that can be read as expected."""
    if not isinstance(returned, kind):
        raise Refused(f"it returned {kind_of_value(returned)}; {expected}")
    try:
        return how(returned)
    except Exception as error:  # a subclass of somebody's own
        raise Refused(f"the {kind_of_value(returned)} that it returned cannot be read: {error_text(error)}") from None


def parts(returned: Any, names: str) -> tuple:
    """The things that a function returned, if they are as many as expected: "Z, cache"."""
    count = len(names.split(", "))
    expected = f"expected {('two', 'three')[count - 2]} things: {names}"
    found = _read(returned, tuple | list, tuple, expected)
    if len(found) != count:
        raise Refused(f"it returned {len(found)} thing{'s' if len(found) != 1 else ''}; {expected}")
    return found


def entries(returned: Any, keys: str) -> dict[str, Any]:
    """What a function returned as a dict, which should have the `keys`."""
    expected = f"expected a dict with the keys {keys}"
    return _read(returned, Mapping, lambda d: {k: v for k, v in d.items() if isinstance(k, str)}, expected)


def numbers(what: str, returned: Any, shape: tuple[int, ...]) -> np.ndarray:
    """In float64."""
    expected = f"expected {f'an array of shape {shape}' if shape else 'a number'}"
    try:
        if type(returned) is tuple:  # of arrays of one shape NumPy would make one
            raise NotNumbers(f"a tuple of {len(returned)}")
        array = as_numbers(returned)
    except NotNumbers as reason:
        raise Refused(f"{what} is {reason}; {expected}") from None
    if array.size > 1000 * max(1, math.prod(shape)):  # nothing fits it, and trying would take long
        raise Refused(f"{what} has shape {array.shape}; {expected}")
    return array.astype(np.float64)


def fresh(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Copies, into which a function may write."""
    return {name: np.array(value) for name, value in parameters.items()}


def compared(
    name: str, what: str, got: Any, want: np.ndarray, line: str, slips: Iterable[Hypothesis]
) -> FunctionReport:
    """One array against what it should be, by the slips that are known of it and then by the fits."""
    array = numbers(what, got, want.shape)
    tolerance = 1e-10 * max(1.0, float(np.max(np.abs(want))))
    if residual(array, want, tolerance) <= 1:
        return wrong(name, [])
    return wrong(
        name, [diagnose(Place(what), what, Array(array, want, tolerance, ROUNDOFF["float64"]), slips, line)[1]]
    )
