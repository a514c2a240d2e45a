"""The arrays in whatever holds somebody's weights, and which of them are W_l and b_l of a chain of layers."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError
from ..compare import ROUNDOFF
from ..foreign import NotNumbers, as_numbers


DEPTH, MOST = 8, 200  # how deep containers are looked into, and arrays that are looked at
CHAINS = 200  # ways to see layers in the arrays that are compared

LIKE_W = re.compile(r"[Ww]|theta|coef|kernel|syn", re.I)
LIKE_B = re.compile(r"b|.*bias|intercept", re.I)
# A gradient or a moment of a weight: dW, vW, grad_b, velocity_w.
BESIDE_W = re.compile(r"(d|g|v|m|s|grad\w*|vel\w*|mom\w*|delta\w*|nabla|prev\w*)_?(w\w?|b|weights?|bias\w*)", re.I)


class Layers(NamedTuple):
    """The names of the arrays that are W and b of layer 1, 2, ...; None for a bias that is not there."""

    W: tuple[str, ...]
    b: tuple[str | None, ...]
    rows: bool  # whether W_l is (n_in, n_out): for examples in rows

    @property
    def names(self) -> list[str]:
        """Of all arrays of the layers."""
        return [name for name in (*self.W, *self.b) if name is not None]

    def parameters(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """W1, b1, ... in float64, with W_l `(n_out, n_in)` and b_l `(n_out, 1)`."""
        found = {}
        for l, (W, b) in enumerate(zip(self.W, self.b, strict=True), start=1):
            array = np.asarray(arrays[W], np.float64)
            found[f"W{l}"] = np.atleast_2d(array).reshape(1, -1) if array.ndim < 2 else array.T if self.rows else array
            n_out = len(found[f"W{l}"])
            found[f"b{l}"] = np.zeros((n_out, 1)) if b is None else np.asarray(arrays[b], np.float64).reshape(n_out, 1)
        return found


def arrays_in(holder: Any) -> dict[str, np.ndarray]:
    """Copies of the arrays of floats in an array, a container, or an object with attributes, by their path."""
    found: dict[str, np.ndarray] = {}
    for path, array in _walk(holder, "", set(), 0):
        if len(found) == MOST:
            break
        found[path.lstrip(".") or "weights"] = np.array(array)
    return found


def roundoff_of(array: np.ndarray) -> float:
    """u of its type."""
    return ROUNDOFF.get(str(array.dtype), ROUNDOFF["float64"])


def chains(arrays: Mapping[str, np.ndarray], n_x: int, ends: Callable[[int], bool]) -> list[Layers]:
    """Every way to see layers from n_x inputs to outputs whose number `ends` in the arrays, that leaves fewest over."""
    usable = {name: array for name, array in arrays.items() if not BESIDE_W.fullmatch(_word(name))}
    named_W = {name for name in usable if LIKE_W.match(_word(name)) or "weight" in _word(name).lower()}
    named_b = {name for name in usable if LIKE_B.match(_word(name))}
    matrices = [name for name in usable if _may_be_W(usable[name]) and (not named_W or name in named_W)]
    found = []
    for order in (matrices, sorted(matrices, key=_natural)):
        for rows in (True, False):
            for W in _paths(usable, order, n_x, ends, rows):
                biases = [name for name in usable if name not in W and _may_be_b(name, usable[name], named_W, named_b)]
                b = _biases(usable, W, biases if order is matrices else sorted(biases, key=_natural), rows)
                found.append(Layers(W, b, rows))
        if found:
            break
    left = len(usable)
    vectors = {name for name, array in usable.items() if array.ndim == 1}
    found.sort(key=lambda layers: (left - len(layers.names), len(vectors & set(layers.W)), len(layers.W)))
    fewest = left - len(found[0].names) if found else 0
    # A chain that skips arrays which another uses is not what was meant.
    return list(dict.fromkeys(layers for layers in found if left - len(layers.names) == fewest))[:CHAINS]


def _word(path: str) -> str:
    """The last identifier of a path, without its number: "W" of "layers[0].W1"."""
    words = re.findall(r"[A-Za-z_]+", path)
    return words[-1].strip("_") if words else ""


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", path)]


def _may_be_W(array: np.ndarray) -> bool:
    return array.ndim in (1, 2) and array.size > 0


def _may_be_b(name: str, array: np.ndarray, named_W: Collection[str], named_b: Collection[str]) -> bool:
    """Where names identify weights, they identify biases too; elsewhere a single number may be a learning rate."""
    if named_b or named_W:
        return name in named_b or (name in named_W and name.endswith("]"))
    return array.ndim > 0 or name.endswith("]")


def _paths(
    arrays: Mapping[str, np.ndarray], order: Sequence[str], n_in: int, ends: Callable[[int], bool], rows: bool
) -> Iterator[tuple[str, ...]]:
    """The sequences of matrices that lead from n_in units to the outputs."""
    for i, name in enumerate(order):
        array = arrays[name]
        if array.ndim == 1:
            shape = (n_in, 1) if array.size == n_in else (-1, -1)
        else:
            shape = array.shape if rows else array.shape[::-1]
        if shape[0] != n_in:
            continue
        if ends(shape[1]):
            yield (name,)
        if array.ndim == 2:
            yield from ((name, *rest) for rest in _paths(arrays, order[i + 1 :], shape[1], ends, rows))


def _biases(
    arrays: Mapping[str, np.ndarray], W: Sequence[str], candidates: Sequence[str], rows: bool
) -> tuple[str | None, ...]:
    """The first array that fits and is not taken, layer by layer."""
    free, found = list(candidates), []
    for name in W:
        n_out = 1 if arrays[name].ndim == 1 else arrays[name].shape[1 if rows else 0]
        b = next((c for c in free if arrays[c].size == n_out and max((1, *arrays[c].shape)) == n_out), None)
        if b is not None:
            free.remove(b)
        found.append(b)
    return tuple(found)


def _walk(value: Any, path: str, above: set[int], depth: int) -> Iterator[tuple[str, np.ndarray]]:
    array = _array(value)
    if array is not None:
        yield path, array
        return
    if depth == DEPTH or id(value) in above or isinstance(value, (ModuleType, type, str, bytes)):
        return
    for part, item in _items(value):
        yield from _walk(item, path + part, above | {id(value)}, depth + 1)


def _array(value: Any) -> np.ndarray | None:
    """A tensor, an array, a number, or a list of lists of numbers, where it holds floats."""
    if callable(getattr(value, "detach", None)):  # a tensor of torch
        value = value.detach().cpu().numpy()
    if isinstance(value, (list, tuple)):
        return np.array(value, np.float64) if _is_table(value) and _has_float(value) else None
    if _is_number(value):
        return np.array(value, np.float64)
    if not hasattr(value, "__array__") or isinstance(value, type):
        return None
    try:
        array = as_numbers(value)
    except NotNumbers:
        return None
    return array if array.dtype.kind == "f" or str(array.dtype) in ROUNDOFF else None


def _is_table(value: list | tuple) -> bool:
    """Whether it holds numbers of Python, or lists of equal length of them."""
    if not value:
        return False
    if all(map(_is_number, value)):
        return True
    rows = [item for item in value if isinstance(item, (list, tuple)) and _is_table(item)]
    return len(rows) == len(value) and len({len(row) for row in rows}) == 1


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.floating)) and not isinstance(value, bool)


def _has_float(row: Any) -> bool:
    return any(
        isinstance(item, (float, np.floating)) or isinstance(item, (list, tuple)) and _has_float(item) for item in row
    )


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    named: Callable | None = getattr(value, "named_parameters", None)
    if callable(named):  # a module of torch
        yield from ((f".{name}", tensor) for name, tensor in named())
    elif isinstance(value, Mapping):
        yield from ((f".{key}" if isinstance(key, str) else f"[{key!r}]", item) for key, item in value.items())
    elif hasattr(value, "_asdict"):
        yield from ((f".{key}", item) for key, item in value._asdict().items())
    elif isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object):
        yield from ((f"[{i}]", item) for i, item in enumerate(value))
    else:
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        attributes = {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(
            value, "__dict__", {}
        )
        yield from ((f".{name}", item) for name, item in attributes.items())


def expected_chain(arrays: Mapping[str, np.ndarray], X: np.ndarray, Y: np.ndarray) -> InputError:
    """The error for arrays in which no layers can be seen."""
    listed = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:8]) or "no array of floats"
    return InputError(
        f"weights hold {listed}; expected matrices that lead from the {' or '.join(map(str, dict.fromkeys(X.shape)))} "
        f"inputs of X {X.shape} to the outputs of Y {Y.shape}: pass a dict such as "
        '{"W1": W1, "b1": b1, ...} and return one like it'
    )
