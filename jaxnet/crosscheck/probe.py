"""Calls somebody's function and comes back whatever it does, short of ending the process."""

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .reference import ROUNDOFF
from .report import Finding


class Unusable(Exception):
    """The function gave nothing that can be judged, and why."""

    def __init__(self, *findings: Finding):
        super().__init__(findings[0].text)
        self.findings = findings


class Probe:
    """A function under test: called with copies of its arguments, in NumPy or in JAX, whichever it takes."""

    def __init__(self, function: Callable[..., Any], name: str, arguments: tuple[str, ...], path: Path):
        self.function, self.name, self.arguments, self.path = function, name, arguments, path
        self.spoiled: dict[str, Finding] = {}  # what it does to its arguments
        self.rebinds: set[str] = set()  # the dicts among its arguments that it puts other arrays into

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The value. Raises `Unusable` where there is none, or not the same one twice."""
        first, second = self._call(args, options), self._call(args, options)
        if not _identical(first, second):
            text = "called twice with the same arguments it gives different numbers"
            raise Unusable(Finding(self.name, "not-deterministic", text, ""))
        return first

    def _call(self, args: tuple, options: dict[str, Any]) -> Any:
        given = copied(args)
        held = [list(leaves(argument)) for argument in given]
        try:
            value = self._silently(given, options)
        except (Exception, SystemExit) as error:
            try:  # it may want the methods of JAX arrays
                return self._silently(copied(args, jnp.asarray), options)
            except (Exception, SystemExit):
                raise Unusable(self._raised(error)) from error
        self._compare_arguments(args, given, held)
        return value

    def _silently(self, args: tuple, options: dict[str, Any]) -> Any:
        with warnings.catch_warnings(), np.errstate(all="ignore"), jax.enable_x64(True):
            warnings.simplefilter("ignore")
            return copied(self.function(*args, **options), np.asarray)

    def _compare_arguments(self, args: tuple, given: tuple, held: list[list[Any]]) -> None:
        for name, before, after, arrays in zip(self.arguments, args, given, held, strict=True):
            untouched = _identical(list(leaves(before)), arrays)
            if untouched and isinstance(before, dict) and not _identical(before, after):
                self.rebinds.add(name)
            elif not untouched or not _identical(before, after):
                text = f"it writes into its argument {name}, which others still read"
                self.spoiled[name] = Finding(self.name, "writes-into-argument", text, _copying(name))

    def _raised(self, error: BaseException) -> Finding:
        if isinstance(error, SystemExit):
            said = "it ends the program (sys.exit)"
        elif isinstance(error, EOFError):
            said = "it asks for input(), and nobody is there to answer"
        else:
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".removesuffix(": ")
        return Finding(self.name, "raises", f"{where(error, self.path)}{said}", "")


def _copying(name: str) -> str:
    if name in ("cache", "caches"):
        return "dZ = np.array(...) of what the cache holds, and work on that copy"
    return f"np.array({name}), and work on that copy"


def where(error: BaseException, path: Path) -> str:
    """The file and line of somebody's code that the error comes from, "" where it comes from none of it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}: "
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == path.parent]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}: " if own else ""


def copied(value: Any, array: Callable[[Any], Any] = np.array) -> Any:
    """The same nest of dicts, tuples and lists, its arrays copied; in the order it has, which `jax.tree.map` sorts."""
    if isinstance(value, Mapping):
        return {name: copied(item, array) for name, item in value.items()}
    if isinstance(value, tuple | list):
        items = [copied(item, array) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return array(value) if isinstance(value, np.ndarray | np.generic | jax.Array) else value


def leaves(value: Any) -> Iterator[Any]:
    """Whatever stands in a nest of dicts, tuples and lists."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def layout(value: Any) -> Any:
    """The shapes of a nest of tuples; what holds no arrays stands for itself by its type."""
    if isinstance(value, tuple | list):
        return tuple(layout(item) for item in value)
    return value.shape if isinstance(value, np.ndarray) else type(value)


def _identical(a: Any, b: Any) -> bool:
    a, b = list(leaves(a)), list(leaves(b))
    return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))


def _same(x: Any, y: Any) -> bool:
    if not isinstance(x, np.ndarray | np.generic | float | int):
        return type(x) is type(y)
    x, y = np.asarray(x), np.asarray(y)
    return x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()


def as_array(value: Any, what: str) -> tuple[np.ndarray, float]:
    """The value in float64, and the roundoff of the type it came in. Raises `Unusable` where it is no array."""
    if value is None:
        raise Unusable(Finding(what, "none", "it is None: something is not returned or not written", ""))
    try:
        array = np.asarray(value)
        number = array.astype(np.float64)
    except (TypeError, ValueError):
        array = number = np.array(None)
    if array.dtype == object or array.dtype.kind in "cSU":
        said = f"it is {_article(type(value).__name__)} that holds no real numbers; expected an array"
        raise Unusable(Finding(what, "no-array", said, ""))
    return number, ROUNDOFF.get(str(array.dtype), ROUNDOFF["float64"])


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@contextmanager
def replaced(function: Callable[..., Any], namespace: dict[str, Any], others: Mapping[str, Callable[..., Any]]):
    """`function` as it is when the `others` stand where it looks for functions of these names."""
    plain = inspect.unwrap(function)  # compiled code would not look again
    looked_up = [namespace, getattr(plain, "__globals__", namespace)]
    before = [(names, name, names[name]) for names in looked_up for name in others if name in names]
    for names, name, _ in before:
        names[name] = others[name]
    try:
        yield plain if others else function
    finally:
        for names, name, value in reversed(before):
            names[name] = value
