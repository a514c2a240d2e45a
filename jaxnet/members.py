"""Copying, pickling and printing the members of a concept, which are values of pure functions.

A network is a static argument under `jit`, so that a copy which were not equal to it would compile everything anew.
"""

from collections.abc import Callable, Mapping
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
