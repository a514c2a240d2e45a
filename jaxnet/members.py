"""Copying, pickling and printing the members of a concept, which are values of pure functions.

A network is a static argument under `jit`, so that a copy which were not equal to it would compile everything anew.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar


Member = TypeVar("Member")


def itself(member: Member, memo: dict | None = None) -> Member:
    """The `__copy__` and `__deepcopy__` of an immutable value."""
    del memo
    return member


def by_name(member: tuple, known: Mapping[str, tuple], find: Callable[[str], tuple]) -> tuple[Callable, tuple]:
    """The `__reduce__` of a member: `find(name)` where it is known, else its functions, each as Python pickles it.

    Functions of JAX, such as `jnp.sin`, cannot be pickled by themselves; a function of a module that calls them can.
    """
    names = [name for name, other in known.items() if other == member]
    return (find, (names[0],)) if names else (type(member), tuple(member))


def described(member: tuple, known: Mapping[str, tuple]) -> str:
    """The member's name in quotes where it is known, else its type and the names of its functions."""
    for name, other in known.items():
        if other == member:
            return repr(name)
    functions = (getattr(getattr(part, "func", part), "__name__", None) for part in member)
    return f"{type(member).__name__}({', '.join(dict.fromkeys(name for name in functions if name))})"


class Bound(partial):
    """A function with some of its arguments given, equal to any other of the same function and arguments."""

    __slots__ = ()

    def _parts(self) -> tuple[Any, ...]:
        return self.func, self.args, tuple(sorted(self.keywords.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bound) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())


_NUMBER = object()  # where a number was


def numbers_of(value: Any) -> list[float]:
    """The floats with which functions are bound, in a member or in a function of it."""
    if isinstance(value, Bound):
        return [number for _, given in sorted(value.keywords.items()) for number in numbers_of(given)]
    if _is_member(value):
        return [number for part in value for number in numbers_of(part)]
    return [value] if isinstance(value, float) else []


def without_numbers(value: Any) -> Any:
    """The same for members that differ in nothing but `numbers_of` them."""
    return _replaced(value, lambda given: isinstance(given, float), lambda _: _NUMBER)


def with_numbers(value: Any, numbers: Iterable[Any]) -> Any:
    """The inverse of `without_numbers`, for numbers that may be traced."""
    rest = iter(numbers)
    return _replaced(value, lambda given: given is _NUMBER, lambda _: next(rest))


def _replaced(value: Any, fits: Callable[[Any], bool], change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Bound):
        given = sorted(value.keywords.items())
        return Bound(value.func, *value.args, **{name: _replaced(part, fits, change) for name, part in given})
    if _is_member(value):
        return value._make(_replaced(part, fits, change) for part in value)
    return change(value) if fits(value) else value


def _is_member(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_make")
