"""Somebody's function, called with right inputs, and what it returns held against what it should."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..network import Network
from .fits import Array, fitted, residual
from .points import good_point
from .reference import ROUNDOFF, Reference, make_reference
from .report import Finding, FunctionReport, Verdict, overall
from .steps import Step


Functions = Mapping[str, Any]  # what a file defines
Slips = Mapping[str, tuple[str, Callable[[], Any]]]  # code -> (what is wrong, what it gives)


class Refused(Exception):
    """What the function did instead of returning what it should."""


@dataclass(frozen=True)
class Point:
    """Where the functions are tried: a network of the course, and one with sigmoid in its hidden layers."""

    relu: Reference
    sigmoid: Reference

    def step(self, activation: str) -> Step:
        """The backward of layer 2, whose dZ has several units and several examples."""
        return (self.relu if activation == "relu" else self.sigmoid).step(2)


@lru_cache(maxsize=8)
def make_point(dims: tuple[int, ...], m: int) -> Point:
    """A good point of these sizes."""
    X, Y, parameters = good_point(dims, key=jax.random.key(0), m=m)
    return Point(make_reference(X, Y, parameters, Network()), make_reference(X, Y, parameters, Network("sigmoid")))


def worst(name: str, found: list[FunctionReport]) -> FunctionReport:
    """The first point at which the function is wrong, else the first."""
    verdict = overall(check.verdict for check in found)
    chosen = next(check for check in found if check.verdict is verdict)
    notes = tuple(dict.fromkeys(note for check in found for note in check.notes))
    return FunctionReport(name, verdict, chosen.reason, chosen.findings, notes, chosen.table)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns for NumPy arrays or, for code that needs them, JAX arrays; `Refused` for what it raises."""
    try:
        return function(*arguments)
    except Exception as first:
        try:
            return function(*jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, arguments))
        except Exception:
            raise Refused(told(function, first)) from first


def told(function: Callable[..., Any], error: Exception) -> str:
    """The error, and the last line of the learner's own file on its way."""
    where, trace = "", error.__traceback__
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == own:
            where = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"it raised {type(error).__name__}: {error}{where}"


def pair(name: str, returned: Any, expected: str) -> tuple[Any, Any]:
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise Refused(f"it returned {_kind(returned)}; expected two things: {expected}")
    return returned[0], returned[1]


def triple(name: str, returned: Any) -> dict[str, np.ndarray]:
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        raise Refused(f"it returned {_kind(returned)}; expected three things: dA_prev, dW, db")
    return {n: np.asarray(value, np.float64) for n, value in zip(("dA", "dW", "db"), returned, strict=True)}


def _kind(returned: Any) -> str:
    return f"{len(returned)} things" if isinstance(returned, tuple | list) else type(returned).__name__


def fresh(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in parameters.items()}


def wrong(name: str, findings: list[Finding]) -> FunctionReport:
    if not findings:
        return FunctionReport(name, Verdict.AGREE, "")
    return FunctionReport(name, Verdict.DISAGREE, findings[0].text, tuple(findings))


def compared(name: str, what: str, got: Any, want: np.ndarray, line: str, slips: Slips) -> FunctionReport:
    """One array against what it should be, by the slips that are known of it and then by the fits."""
    try:
        array = np.asarray(got, np.float64)
    except (TypeError, ValueError):
        raise Refused(f"{what} is {type(got).__name__}; expected an array of shape {want.shape}") from None
    tolerance = 1e-10 * max(1.0, float(np.max(np.abs(want))))
    if residual(array, want, tolerance) <= 1:
        return FunctionReport(name, Verdict.AGREE, "")
    for code, (text, value) in slips.items():
        try:
            off = residual(array, value(), tolerance)
        except ValueError:  # shapes that do not fit: it cannot be this
            continue
        if off <= 1:
            return wrong(name, [Finding(what, code, text, line, off)])
    if array.shape != want.shape and array.size != want.size:
        text = f"{what} has shape {array.shape}; expected {want.shape}"
        return wrong(name, [Finding(what, "unknown-shape", text, line)])
    fit = fitted(Array(array, want, tolerance, ROUNDOFF["float64"]))
    if fit is None:
        return wrong(name, [Finding(what, "unknown", f"{what} is wrong in a way not known here", line)])
    return wrong(name, [Finding(what, fit.code, fit.text.replace("{what}", what), line, fit.residual)])
