"""The course's functions on the way back, each for the signal of the reference, by the machinery of the cross-check."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backprop.check import check_backward
from ..backprop.explain import explain, explain_dZ, explain_outputs
from ..backprop.steps import RIGHT, Step, sizes
from ..compare import ROUNDOFF
from ..report import Finding, FunctionReport, Verdict
from .trying import Functions, NotDeterministic, Point, Refused, call, entries, fresh, numbers, parts, worst, wrong


def check_linear_backward(functions: Functions, point: Point) -> FunctionReport:
    step, name = point.step("relu"), "linear_backward"
    c = step.layer
    returned = call(functions[name], np.array(step.dZ), (np.array(c.A_prev), np.array(c.W), np.array(c.b)))
    return _judged(name, step, _outputs(returned, step), explain_outputs)


def check_slope(name: str, activation: str) -> Callable:
    def check(functions: Functions, point: Point) -> FunctionReport:
        step = point.step(activation)
        dZ = numbers("dZ", call(functions[name], np.array(step.dA), np.array(step.layer.Z)), step.dZ.shape)
        finding = explain_dZ(step, dZ, point.relu.bound)
        if finding is None:
            return _at_zero(FunctionReport(name, Verdict.AGREE, ""), functions[name], activation)
        return wrong(name, [_unnumbered(finding, step)])

    return check


def _at_zero(check: FunctionReport, function: Callable[..., Any], activation: str) -> FunctionReport:
    """relu has two slopes at 0: which one was chosen is a convention."""
    if activation != "relu":
        return check
    slope = numbers("dZ", call(function, np.ones((1, 1)), np.zeros((1, 1))), (1, 1))
    if slope.size != 1:
        raise Refused(f"of one unit and one example, dZ has shape {slope.shape}; expected (1, 1)")
    at_zero = float(slope.item())
    if at_zero == 0:
        return check
    if 0 < at_zero <= 1:
        note = f"at Z = 0 your slope is {at_zero:g}, that of the course is 0: a convention and no error"
        return FunctionReport(check.name, check.verdict, check.reason, notes=(note,))
    return FunctionReport(check.name, Verdict.DISAGREE, f"at Z = 0 the slope is {at_zero:g}; expected 0, or up to 1")


def check_linear_activation_backward(functions: Functions, point: Point) -> FunctionReport:
    name, found = "linear_activation_backward", []
    for activation in ("relu", "sigmoid"):
        step = point.step(activation)
        c = step.layer
        cache = (np.array(c.A_prev), np.array(c.W), np.array(c.b)), np.array(c.Z)
        returned = call(functions[name], np.array(step.dA), cache, activation)
        where = f'with activation="{activation}", '
        found.append(_judged(name, step, _outputs(returned, step, where), explain, where))
    return worst(name, found)


def check_L_model_backward(functions: Functions, point: Point) -> FunctionReport:
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
    parameters = r.parameters
    report = check_backward(r.layers[0].A_prev, r.Y, parameters, backward=backward, thorough=not notes)
    findings, table = tuple(report.findings), report.table() if report.leaves else ""
    return FunctionReport(name, report.verdict, report.reason, findings, (*notes, *report.conventions), table)


def _outputs(returned: Any, step: Step, where: str = "") -> dict[str, np.ndarray]:
    named = zip(("dA", "dW", "db"), parts(returned, "dA_prev, dW, db"), strict=True)
    words = {"dA": "dA_prev", "dW": "dW", "db": "db"}
    return {name: numbers(where + words[name], value, RIGHT[name](step).shape) for name, value in named}


def _judged(name: str, step: Step, got: dict[str, np.ndarray], how: Callable, where: str = "") -> FunctionReport:
    """The outputs of a step, each against its line."""
    size = sizes(step, 2 * np.abs(step.dA) + np.abs(step.dZ), np.abs(step.layer.A_prev))
    largest = {n: float(np.max(value)) for n, value in size.items()}
    found = how(step, got, largest, 100.0, ROUNDOFF["float64"])
    return wrong(name, [_unnumbered(f, step, where) for f in found.findings])


def _unnumbered(finding: Finding, step: Step, where: str = "") -> Finding:
    """Without the numbers of layers, which a function of one layer does not know."""
    l, k = step.l, step.l - 1
    text, remedy = finding.text, finding.remedy
    own = [(f"{name}{l}", name) for name in ("dZ", "dW", "db", "dA", "W", "Z", "b")]
    for numbered, plain in ((f"dA{k}", "dA_prev"), (f"A{k}", "A_prev"), *own):
        text, remedy = text.replace(numbered, plain), remedy.replace(numbered, plain)
    place = {"A": "dA_prev"}.get(finding.place[1], finding.place.rstrip("0123456789"))
    return Finding(place, finding.code, where + text, remedy, finding.residual, finding.rivals)
