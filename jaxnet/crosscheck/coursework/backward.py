"""The course's functions on the way back, each for the signal of the reference, by the machinery of the cross-check."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..backprop.check import check_backward
from ..backprop.explain import explain, explain_dZ, explain_outputs, made
from ..backprop.steps import Step
from ..compare import ROUNDOFF
from ..report import Verdict
from .reports import FunctionReport, worst, wrong
from .trying import Functions, NotDeterministic, Point, Refused, call, entries, fresh, numbers, parts


def check_linear_backward(functions: Functions, point: Point) -> FunctionReport:
    """Checks `linear_backward` by itself: dA_prev, dW and db from a correct dZ and cache."""
    step, name = point.step("relu"), "linear_backward"
    returned = call(functions[name], np.array(step.dZ), tuple(map(np.array, (step.A_prev, step.W, step.b))))
    return _judged(name, step, returned, explain_outputs)


def check_slope(name: str, activation: str) -> Callable[[Functions, Point], FunctionReport]:
    """The check of relu_backward or sigmoid_backward."""

    def check(functions: Functions, point: Point) -> FunctionReport:
        step = point.step(activation)
        dZ = numbers("dZ", call(functions[name], np.array(step.dA), np.array(step.Z)), step.dZ.shape)
        finding = explain_dZ(step, dZ, point.relu.bound)
        if finding is None and activation == "relu":
            return _at_zero(name, functions[name])
        return wrong(name, [] if finding is None else [finding])

    return check


def _at_zero(name: str, function: Callable[..., Any]) -> FunctionReport:
    """relu has two slopes at 0: which one was chosen is a convention."""
    slope = numbers("dZ", call(function, np.ones((1, 1)), np.zeros((1, 1))), (1, 1))
    if slope.size != 1:
        raise Refused(f"of one unit and one example, dZ has shape {slope.shape}; expected (1, 1)")
    at_zero = float(slope.item())
    if not 0 <= at_zero <= 1:
        raise Refused(f"at Z = 0 the slope is {at_zero:g}; expected 0, or up to 1")
    note = f"at Z = 0 your slope is {at_zero:g}, that of the course is 0: a convention, not an error"
    return FunctionReport(name, Verdict.AGREE, "", notes=(note,) if at_zero else ())


def check_linear_activation_backward(functions: Functions, point: Point) -> FunctionReport:
    """Checks `linear_activation_backward` by itself, with relu and with sigmoid."""
    name, found = "linear_activation_backward", []
    for activation in ("relu", "sigmoid"):
        step = point.step(activation)
        cache = tuple(map(np.array, (step.A_prev, step.W, step.b))), np.array(step.Z)
        returned = call(functions[name], np.array(step.dA), cache, activation)
        found.append(_judged(name, step, returned, explain, f'with activation="{activation}", '))
    return worst(found)


def check_L_model_backward(functions: Functions, point: Point) -> FunctionReport:
    """Checks `L_model_backward` from a correct AL and caches, by `check_backward`."""
    name, r = "L_model_backward", point.relu
    backward, notes = functions[name], ()
    try:
        returned = call(backward, np.array(r.AL), np.array(r.Y), r.caches)
    except NotDeterministic:
        raise
    except Refused:
        if "L_model_forward" not in functions:
            raise
        # Whoever wrote the forward pass may lay out the caches as they like.
        returned = call(functions["L_model_forward"], np.array(r.layers[0].A_prev), fresh(r.parameters))
        AL, caches = parts(returned, "AL, caches")
        returned = call(backward, AL, np.array(r.Y), caches)
        backward, notes = (lambda AL, Y, _: functions[name](AL, Y, caches)), ("with the caches of your own forward",)
    entries(returned, f"dW1, db1, ..., dW{len(r.layers)}, db{len(r.layers)}")
    report = check_backward(r.layers[0].A_prev, r.Y, r.parameters, backward=backward, thorough=not notes)
    table = report.table() if report.leaves else ""
    return FunctionReport(name, report.verdict, report.reason, report.findings, (*notes, *report.conventions), table)


def _judged(name: str, step: Step, returned: Any, how: Callable, where: str = "") -> FunctionReport:
    """The outputs of a step, each against its line."""
    words = {"dA": "dA_prev", "dW": "dW", "db": "db"}
    named = zip(words.items(), parts(returned, "dA_prev, dW, db"), strict=True)
    got = {kind: numbers(where + word, value, step.right(kind).shape) for (kind, word), value in named}
    found = how(step, made(step, got, 2 * np.abs(step.dA) + np.abs(step.dZ), 100.0, ROUNDOFF["float64"]))
    return wrong(name, [replace(finding, text=where + finding.text) for finding in found.findings])
