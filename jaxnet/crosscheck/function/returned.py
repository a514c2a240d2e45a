"""What a gradient function returned, leaf by leaf beside the arguments: arrays of numbers, or what is wrong with it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from ..compare import ROUNDOFF
from ..report import Finding, Place
from .arguments import dtype_of, has_derivative
from .function import Function


class Returned(NamedTuple):
    """The gradient by the leaves that have a derivative, in their order, or what is wrong with it."""

    leaves: list[np.ndarray]
    wrong: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


def gradient_as_leaves(gradient: Any, function: Function) -> Returned:
    """The leaves of a gradient in the order of the arguments'. Integers, flags, keys and empty arrays have none: there
    it may be zeros, `float0` or None, or left out."""
    selected = function.selected if isinstance(function.wrt, tuple) else function.selected[0]
    wanted, got = (
        {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (selected, gradient)
    )
    with_derivative = {path for path, leaf in wanted.items() if has_derivative(leaf)}
    if not with_derivative <= set(got) <= set(wanted):
        names = [", ".join(key or "one array" for key in sorted(keys)) or "none" for keys in (got, with_derivative)]
        text = f"the gradient has the leaves {names[0]}; expected those of args[wrt]: {names[1]}"
        return Returned([], (Finding(Place("gradient"), "structure", text),))
    names = [name for i in function.positions for name, _ in function.named[i]]
    wrong, notes, leaves = [], [], []
    for name, (path, leaf) in zip(names, wanted.items(), strict=True):
        if path not in with_derivative:
            wrong += _of_a_constant(name, leaf, got.get(path))
            continue
        array = _as_array(got[path])
        leaves.append(array)
        wrong += _not_numbers(name, array, got[path])
        if array.dtype.kind in "biu":
            notes.append(f"{name}: the gradient is {array.dtype}, which holds no fractions: return floats")
    return Returned(leaves, tuple(wrong), tuple(notes))


def _as_array(leaf: Any) -> np.ndarray:
    try:
        return np.asarray(leaf)
    except Exception:  # of whatever kind: a key, or an object of somebody's own
        return np.array(None, object)


def _not_numbers(name: str, array: np.ndarray, leaf: Any) -> Iterator[Finding]:
    if array.dtype.kind not in "biuf" and str(array.dtype) not in ROUNDOFF:
        text = f"the gradient by {name} is {dtype_of(leaf)}; expected an array of floats"
        yield Finding(Place(name), "not-numbers", text)


def _of_a_constant(name: str, leaf: Any, got: Any) -> Iterator[Finding]:
    """What is wrong with the gradient by a leaf that has no derivative."""
    if got is None or dtype_of(got) == jax.dtypes.float0:
        return
    array = _as_array(got)
    if array.dtype.kind not in "biuf" and str(array.dtype) not in ROUNDOFF or array.any():
        kind = "is empty" if np.size(leaf) == 0 else f"is {dtype_of(leaf)} and has no derivative"
        text = f"the gradient by {name}, which {kind}, is {dtype_of(got)} and not 0; expected zeros, float0 or None"
        yield Finding(Place(name), "constant", text)
