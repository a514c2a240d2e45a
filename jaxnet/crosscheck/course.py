"""The functions of the course that a learner wrote, each by itself with right inputs, then in the chain.

Runs inside the process that imports the learner's file; `files.py` starts that process and reads what it finds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..network import Network
from .backward import check_backward
from .explain import explain, explain_dZ, explain_outputs
from .fits import Array, fitted, residual
from .points import good_point
from .reference import ROUNDOFF, Reference, make_reference
from .report import Finding, FunctionReport, Verdict, overall
from .slopes import sigmoid
from .steps import Step, sizes


RATE = 0.3  # the learning rate that update_parameters is tried with
POINTS = {  # sizes that all differ, where crossed axes are errors of shape, and equal ones, where they are silent
    "sizes that differ": ((5, 4, 3, 1), 7),
    "equal sizes": ((4, 4, 4, 1), 4),
}
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


def make_point(dims: tuple[int, ...], m: int) -> Point:
    """A good point of these sizes."""
    X, Y, parameters = good_point(dims, key=jax.random.key(0), m=m)
    return Point(make_reference(X, Y, parameters, Network()), make_reference(X, Y, parameters, Network("sigmoid")))


def checks(functions: Mapping[str, Callable[..., Any]]) -> Iterator[tuple[str, Callable[[], FunctionReport]]]:
    """The name of every function that is to be checked, in the order of the course, and its check."""
    points: list[Point] = []

    def at_all_points(name: str) -> FunctionReport:
        points.extend(make_point(*sizes) for sizes in POINTS.values() if len(points) < len(POINTS))
        return _worst(name, [_checked(name, functions, point) for point in points])

    for name in CHECKS:
        if name in functions:
            yield name, lambda name=name: at_all_points(name)


def _worst(name: str, found: list[FunctionReport]) -> FunctionReport:
    """The first point at which the function is wrong, else the first."""
    verdict = overall(check.verdict for check in found)
    chosen = next(check for check in found if check.verdict is verdict)
    notes = tuple(dict.fromkeys(note for check in found for note in check.notes))
    return FunctionReport(name, verdict, chosen.reason, chosen.findings, notes, chosen.table)


def _checked(name: str, functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    try:
        with np.errstate(all="ignore"), jax.enable_x64(True):
            return CHECKS[name](functions, point)
    except (Refused, InputError) as error:
        return FunctionReport(name, Verdict.DISAGREE, str(error))


# ---- forward


def _check_linear_forward(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    c = point.relu.layers[1]
    Z, _ = _pair("linear_forward", _call(functions["linear_forward"], c.A_prev, c.W, c.b), "Z, cache")
    slips = {
        "bias-missing": ("b is not added", lambda: c.W @ c.A_prev),
        "bias-subtracted": ("b is subtracted", lambda: c.W @ c.A_prev - c.b),
        "not-transposed": ("W is transposed", lambda: c.W.T @ c.A_prev + c.b),
        "elementwise": ("W and A are multiplied entry by entry", lambda: c.W * c.A_prev + c.b),
        "bias-row": ("b is added along the examples", lambda: c.W @ c.A_prev + c.b.T),
    }
    return _compared("linear_forward", "Z", Z, c.Z, "Z = W @ A + b", slips)


def _check_activation(name: str, of: Callable[[np.ndarray], np.ndarray], line: str, slips: Callable) -> Callable:
    def check(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
        Z = point.relu.layers[1].Z
        A = _call(functions[name], Z)
        A = A[0] if isinstance(A, tuple) else A
        return _compared(name, "A", A, of(Z), line, slips(Z))

    return check


def _check_linear_activation_forward(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    name, found = "linear_activation_forward", []
    for activation, of in (("relu", lambda Z: np.maximum(Z, 0)), ("sigmoid", sigmoid)):
        c = point.relu.layers[1]
        A, _ = _pair(name, _call(functions[name], c.A_prev, c.W, c.b, activation), "A, cache")
        other = sigmoid(c.Z) if activation == "relu" else np.maximum(c.Z, 0)
        slips = {
            "activation-missing": ("the activation is not applied: A is Z", lambda Z=c.Z: Z),
            "activation-swapped": ("relu and sigmoid are swapped", lambda other=other: other),
            "bias-missing": ("b is not added", lambda c=c, of=of: of(c.W @ c.A_prev)),
        }
        what = f'with activation="{activation}", A'
        found.append(_compared(name, what, A, of(c.Z), f"A = {activation}(W @ A_prev + b)", slips))
    return _worst(name, found)


def _check_L_model_forward(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    name, r = "L_model_forward", point.relu
    X, parameters = np.array(r.layers[0].A_prev), _fresh(r.parameters)
    AL, caches = _pair(name, _call(functions[name], X, parameters), "AL, caches")
    if not isinstance(caches, list | tuple) or len(caches) != len(r.layers):
        got = len(caches) if isinstance(caches, list | tuple) else type(caches).__name__
        raise Refused(f"it returned {got} caches; expected a list of {len(r.layers)}, one a layer")
    last = r.layers[-1]
    slips = {
        "activation-missing": ("the last sigmoid is missing: AL is ZL", lambda: last.Z),
        "activation-swapped": ("the last layer has relu; it has sigmoid", lambda: np.maximum(last.Z, 0)),
        "sigmoid-everywhere": ("the hidden layers have sigmoid; they have relu", lambda: point.sigmoid.AL),
        "last-layer-missing": ("the last layer is missing", lambda: last.A_prev),
    }
    return _compared(name, "AL", AL, r.AL, "AL = sigmoid(WL @ relu(... W1 @ X + b1 ...) + bL)", slips)


def _check_compute_cost(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    AL, Y, m = point.relu.AL, point.relu.Y, point.relu.m
    losses = -(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))
    J = np.asarray(_call(functions["compute_cost"], np.array(AL), np.array(Y)))
    if J.size != 1:
        raise Refused(f"it returned shape {J.shape}; expected one number")
    slips = {
        "mean-missing": ("the cost is m times too large: a sum where the mean belongs", lambda: np.sum(losses)),
        "mean-twice": ("the cost is divided by m twice", lambda: np.sum(losses) / m**2),
        "sign": ("the minus sign is missing", lambda: -np.mean(losses)),
        "second-term-missing": ("the term (1 - Y) log(1 - AL) is missing", lambda: -np.mean(Y * np.log(AL))),
        "first-term-missing": ("the term Y log AL is missing", lambda: -np.mean((1 - Y) * np.log(1 - AL))),
        "log2": ("the logarithm is that to base 2", lambda: np.mean(losses) / np.log(2)),
        "log10": ("the logarithm is that to base 10", lambda: np.mean(losses) / np.log(10)),
        "squared-error": ("this is the squared error", lambda: np.mean((AL - Y) ** 2)),
        "squared-error-half": ("this is half the squared error", lambda: np.mean((AL - Y) ** 2) / 2),
        "swapped": ("AL and Y are swapped", lambda: -np.mean(AL * np.log(Y) + (1 - AL) * np.log(1 - Y))),
    }
    line = "cost = -(Y * log(AL) + (1 - Y) * log(1 - AL)).sum() / m"
    slips = {code: (text, lambda value=value: np.array([value()])) for code, (text, value) in slips.items()}
    return _compared("compute_cost", "the cost", J.reshape(1), np.array([np.mean(losses)]), line, slips)


# ---- backward


def _check_linear_backward(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    step, name = point.step("relu"), "linear_backward"
    c = step.layer
    got = _triple(name, _call(functions[name], np.array(step.dZ), (np.array(c.A_prev), np.array(c.W), np.array(c.b))))
    return _judged(name, step, got, explain_outputs)


def _check_slope(name: str, activation: str) -> Callable:
    def check(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
        step = point.step(activation)
        dZ = np.asarray(_call(functions[name], np.array(step.dA), np.array(step.layer.Z)), np.float64)
        finding = explain_dZ(step, dZ, _units(point))
        if finding is None:
            return _at_zero(FunctionReport(name, Verdict.AGREE, ""), functions[name], activation)
        return _wrong(name, [_unnumbered(finding, step)])

    return check


def _at_zero(check: FunctionReport, function: Callable[..., Any], activation: str) -> FunctionReport:
    """relu has two slopes at 0: which one was chosen is a convention."""
    if activation != "relu":
        return check
    at_zero = float(np.asarray(_call(function, np.ones((1, 1)), np.zeros((1, 1)))).item())
    if at_zero == 0:
        return check
    if 0 < at_zero <= 1:
        note = f"at Z = 0 your slope is {at_zero:g}, that of the course is 0: a convention and no error"
        return FunctionReport(check.name, check.verdict, check.reason, notes=(note,))
    return FunctionReport(check.name, Verdict.DISAGREE, f"at Z = 0 the slope is {at_zero:g}; expected 0, or up to 1")


def _check_linear_activation_backward(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    name, found = "linear_activation_backward", []
    for activation in ("relu", "sigmoid"):
        step = point.step(activation)
        c = step.layer
        cache = (np.array(c.A_prev), np.array(c.W), np.array(c.b)), np.array(c.Z)
        got = _triple(name, _call(functions[name], np.array(step.dA), cache, activation))
        found.append(_judged(name, step, got, explain, f'with activation="{activation}", '))
    return _worst(name, found)


def _check_L_model_backward(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    name, r = "L_model_backward", point.relu
    backward, notes = functions[name], ()
    try:
        _call(backward, np.array(r.AL), np.array(r.Y), r.caches)
    except Refused:
        if "L_model_forward" not in functions:
            raise
        # Whoever wrote the forward pass may lay out the caches as they like.
        AL, caches = _pair(name, _call(functions["L_model_forward"], r.layers[0].A_prev, _fresh(r.parameters)), "")
        _call(backward, AL, np.array(r.Y), caches)
        backward, notes = (lambda AL, Y, _: functions[name](AL, Y, caches)), ("with the caches of your own forward",)
    parameters = r.parameters
    report = check_backward(r.layers[0].A_prev, r.Y, parameters, backward=backward, thorough=not notes)
    findings = tuple(report.findings)
    return FunctionReport(name, report.verdict, report.reason, findings, (*notes, *report.conventions), report.table())


def _check_update_parameters(functions: Mapping[str, Callable[..., Any]], point: Point) -> FunctionReport:
    name, r = "update_parameters", point.relu
    parameters, grads = _fresh(r.parameters), {n: np.array(g) for n, g in r.grads.items()}
    updated = _call(functions[name], parameters, grads, RATE)
    if not isinstance(updated, Mapping) or set(r.parameters) - set(updated):
        got = sorted(updated) if isinstance(updated, Mapping) else type(updated).__name__
        raise Refused(f"it returned {got}; expected parameters with the keys {', '.join(r.parameters)}")
    found = [_compared(name, n, updated[n], *_update_of(n, r)) for n in r.parameters]
    changed = [n for n in grads if not np.array_equal(grads[n], r.grads[n])]
    note = (
        ("it changes the parameters that it is given, in place",)
        if any(not np.array_equal(parameters[n], r.parameters[n]) for n in r.parameters)
        else ()
    )
    worst = _worst(name, found)
    findings = tuple(f for check in found for f in check.findings)
    if changed:
        return FunctionReport(name, Verdict.DISAGREE, f"it writes into the grads: {', '.join(changed)}", findings, note)
    return FunctionReport(name, worst.verdict, worst.reason, findings, note)


def _update_of(n: str, r: Reference) -> tuple[np.ndarray, str, Slips]:
    """The updated parameter, its line, and what it may be instead."""
    p, g = r.parameters[n], r.grads[f"d{n}"]
    slips: dict[str, tuple[str, Callable[[], Any]]] = {
        "sign": ("it climbs: the gradient is added", lambda: p + RATE * g),
        "rate-missing": ("the learning rate is missing", lambda: p - g),
        "not-updated": ("it is not updated", lambda: p),
        "gradient-alone": ("it is the step alone, without the parameter", lambda: -RATE * g),
        "rate-divides": ("the gradient is divided by the learning rate", lambda: p - g / RATE),
    }
    for other, value in r.grads.items():
        if other != f"d{n}" and value.shape == p.shape:
            slips[f"gradient-of-{other}"] = f"{other} is subtracted in place of d{n}", lambda v=value: p - RATE * v
    return p - RATE * g, f"{n} = {n} - learning_rate * d{n}", slips


CHECKS: dict[str, Callable[[Mapping[str, Callable[..., Any]], Point], FunctionReport]] = {
    "linear_forward": _check_linear_forward,
    "sigmoid": _check_activation(
        "sigmoid",
        sigmoid,
        "A = 1 / (1 + exp(-Z))",
        lambda Z: {
            "sign": ("the sign of Z is wrong", lambda: sigmoid(-Z)),
            "derivative": ("this is the derivative of the sigmoid", lambda: sigmoid(Z) * sigmoid(-Z)),
        },
    ),
    "relu": _check_activation(
        "relu",
        lambda Z: np.maximum(Z, 0),
        "A = maximum(0, Z)",
        lambda Z: {
            "sign": ("it keeps what is below 0", lambda: np.minimum(Z, 0)),
            "derivative": ("this is the derivative of relu", lambda: np.where(Z > 0, 1.0, 0.0)),
            "absolute": ("this is the magnitude of Z", lambda: np.abs(Z)),
        },
    ),
    "linear_activation_forward": _check_linear_activation_forward,
    "L_model_forward": _check_L_model_forward,
    "compute_cost": _check_compute_cost,
    "linear_backward": _check_linear_backward,
    "relu_backward": _check_slope("relu_backward", "relu"),
    "sigmoid_backward": _check_slope("sigmoid_backward", "sigmoid"),
    "linear_activation_backward": _check_linear_activation_backward,
    "L_model_backward": _check_L_model_backward,
    "update_parameters": _check_update_parameters,
}


# ---- calling and comparing


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns for NumPy arrays or, for code that needs them, JAX arrays; `Refused` for what it raises."""
    try:
        return function(*arguments)
    except Exception as first:
        try:
            return function(*jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, arguments))
        except Exception:
            raise Refused(_told(function, first)) from first


def _told(function: Callable[..., Any], error: Exception) -> str:
    """The error, and the last line of the learner's own file on its way."""
    where, trace = "", error.__traceback__
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == own:
            where = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"it raised {type(error).__name__}: {error}{where}"


def _pair(name: str, returned: Any, expected: str) -> tuple[Any, Any]:
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise Refused(f"it returned {_kind(returned)}; expected two things: {expected}")
    return returned[0], returned[1]


def _triple(name: str, returned: Any) -> dict[str, np.ndarray]:
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        raise Refused(f"it returned {_kind(returned)}; expected three things: dA_prev, dW, db")
    return {n: np.asarray(value, np.float64) for n, value in zip(("dA", "dW", "db"), returned, strict=True)}


def _kind(returned: Any) -> str:
    return f"{len(returned)} things" if isinstance(returned, tuple | list) else type(returned).__name__


def _fresh(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in parameters.items()}


def _units(point: Point) -> float:
    return point.relu.bound


def _judged(name: str, step: Step, got: dict[str, np.ndarray], how: Callable, where: str = "") -> FunctionReport:
    """The outputs of a step, each against its line."""
    size = sizes(step, 2 * np.abs(step.dA) + np.abs(step.dZ), np.abs(step.layer.A_prev))
    largest = {n: float(np.max(value)) for n, value in size.items()}
    found = how(step, got, largest, 100.0, ROUNDOFF["float64"])
    return _wrong(name, [_unnumbered(f, step, where) for f in found.findings])


def _unnumbered(finding: Finding, step: Step, where: str = "") -> Finding:
    """Without the numbers of layers, which a function of one layer does not know."""
    l, k = step.l, step.l - 1
    text, remedy = finding.text, finding.remedy
    own = [(f"{name}{l}", name) for name in ("dZ", "dW", "db", "dA", "W", "Z", "b")]
    for numbered, plain in ((f"dA{k}", "dA_prev"), (f"A{k}", "A_prev"), *own):
        text, remedy = text.replace(numbered, plain), remedy.replace(numbered, plain)
    place = {"A": "dA_prev"}.get(finding.place[1], finding.place.rstrip("0123456789"))
    return Finding(place, finding.code, where + text, remedy, finding.residual, finding.rivals)


def _wrong(name: str, findings: list[Finding]) -> FunctionReport:
    if not findings:
        return FunctionReport(name, Verdict.AGREE, "")
    return FunctionReport(name, Verdict.DISAGREE, findings[0].text, tuple(findings))


def _compared(name: str, what: str, got: Any, want: np.ndarray, line: str, slips: Slips) -> FunctionReport:
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
            return _wrong(name, [Finding(what, code, text, line, off)])
    if array.shape != want.shape and array.size != want.size:
        text = f"{what} has shape {array.shape}; expected {want.shape}"
        return _wrong(name, [Finding(what, "unknown-shape", text, line)])
    fit = fitted(Array(array, want, tolerance, ROUNDOFF["float64"]))
    if fit is None:
        return _wrong(name, [Finding(what, "unknown", f"{what} is wrong in a way not known here", line)])
    return _wrong(name, [Finding(what, fit.code, fit.text.replace("{what}", what), line, fit.residual)])
