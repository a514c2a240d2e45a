"""The course's functions on the way forward, and the update: what each should return, and the slips that are known."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backprop.reference import Reference
from ..backprop.slopes import sigmoid
from ..foreign import cut
from ..report import FunctionReport, Verdict
from .trying import Functions, Point, Refused, Slips, call, compared, entries, fresh, numbers, parts, worst


RATE = 0.3  # the learning rate that update_parameters is tried with


def check_linear_forward(functions: Functions, point: Point) -> FunctionReport:
    c = point.relu.layers[1]
    Z, _ = parts(call(functions["linear_forward"], *map(np.array, (c.A_prev, c.W, c.b))), "Z, cache")
    slips = {
        "bias-missing": ("b is not added", lambda: c.W @ c.A_prev),
        "bias-subtracted": ("b is subtracted", lambda: c.W @ c.A_prev - c.b),
        "not-transposed": ("W is transposed", lambda: c.W.T @ c.A_prev + c.b),
        "elementwise": ("W and A are multiplied entry by entry", lambda: c.W * c.A_prev + c.b),
        "bias-row": ("b is added along the examples", lambda: c.W @ c.A_prev + c.b.T),
    }
    return compared("linear_forward", "Z", Z, c.Z, "Z = W @ A + b", slips)


def check_activation(name: str, of: Callable[[np.ndarray], np.ndarray], line: str, slips: Callable) -> Callable:
    def check(functions: Functions, point: Point) -> FunctionReport:
        Z = point.relu.layers[1].Z
        A = call(functions[name], np.array(Z))
        A = A[0] if isinstance(A, tuple) and A else A
        return compared(name, "A", A, of(Z), line, slips(Z))

    return check


def check_linear_activation_forward(functions: Functions, point: Point) -> FunctionReport:
    name, found = "linear_activation_forward", []
    for activation, of in (("relu", lambda Z: np.maximum(Z, 0)), ("sigmoid", sigmoid)):
        c = point.relu.layers[1]
        A, _ = parts(call(functions[name], *map(np.array, (c.A_prev, c.W, c.b)), activation), "A, cache")
        other = sigmoid(c.Z) if activation == "relu" else np.maximum(c.Z, 0)
        slips = {
            "activation-missing": ("the activation is not applied: A is Z", lambda Z=c.Z: Z),
            "activation-swapped": ("relu and sigmoid are swapped", lambda other=other: other),
            "bias-missing": ("b is not added", lambda c=c, of=of: of(c.W @ c.A_prev)),
        }
        what = f'with activation="{activation}", A'
        found.append(compared(name, what, A, of(c.Z), f"A = {activation}(W @ A_prev + b)", slips))
    return worst(name, found)


def check_L_model_forward(functions: Functions, point: Point) -> FunctionReport:
    name, r = "L_model_forward", point.relu
    X, parameters = np.array(r.layers[0].A_prev), fresh(r.parameters)
    AL, caches = parts(call(functions[name], X, parameters), "AL, caches")
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
    return compared(name, "AL", AL, r.AL, "AL = sigmoid(WL @ relu(... W1 @ X + b1 ...) + bL)", slips)


def check_compute_cost(functions: Functions, point: Point) -> FunctionReport:
    AL, Y, m = point.relu.AL, point.relu.Y, point.relu.m
    losses = -(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))
    J = numbers("the cost", call(functions["compute_cost"], np.array(AL), np.array(Y)), ())
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
    return compared("compute_cost", "the cost", J.reshape(1), np.array([np.mean(losses)]), line, slips)


def check_update_parameters(functions: Functions, point: Point) -> FunctionReport:
    name, r = "update_parameters", point.relu
    parameters, grads = fresh(r.parameters), {n: np.array(g) for n, g in r.grads.items()}
    keys = ", ".join(r.parameters)
    updated = entries(call(functions[name], parameters, grads, RATE), keys)
    if missing := [n for n in r.parameters if n not in updated]:
        got = cut(", ".join(updated)) or "none"
        raise Refused(f"it returned the keys {got}, without {missing[0]}; expected {keys}")
    found = [compared(name, n, updated[n], *_update_of(n, r)) for n in r.parameters]
    findings = tuple(finding for check in found for finding in check.findings)
    overwritten = [n for n in grads if not np.array_equal(grads[n], r.grads[n])]
    in_place = not all(np.array_equal(parameters[n], r.parameters[n]) for n in r.parameters)
    notes = ("it changes the parameters that it is given, in place",) if in_place else ()
    if overwritten:
        reason = f"it writes into the grads: {', '.join(overwritten)}"
        return FunctionReport(name, Verdict.DISAGREE, reason, findings, notes)
    chosen = worst(name, found)
    return FunctionReport(name, chosen.verdict, chosen.reason, findings, notes)


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
