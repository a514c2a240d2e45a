"""The course's functions on the way forward, and the update: what each should return, and the slips that are known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..backprop.reference import Reference
from ..backprop.slopes import sigmoid
from ..foreign import cut
from ..hypotheses import Hypothesis
from ..report import Verdict
from .reports import FunctionReport, worst
from .trying import Functions, Point, Refused, call, compared, entries, fresh, numbers, parts


RATE = 0.3  # the learning rate that update_parameters is tried with
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"relu": lambda Z: np.maximum(Z, 0), "sigmoid": sigmoid}


def check_linear_forward(functions: Functions, point: Point) -> FunctionReport:
    """Checks `linear_forward` by itself: Z = W A + b."""
    c = point.relu.layers[1]
    Z, _ = parts(call(functions["linear_forward"], *map(np.array, (c.A_prev, c.W, c.b))), "Z, cache")
    slips = [
        Hypothesis("bias-missing", "b is not added", c.W @ c.A_prev),
        Hypothesis("bias-subtracted", "b is subtracted", c.W @ c.A_prev - c.b),
    ]
    if len({*c.W.shape, *c.A_prev.shape}) == 1:  # else these are errors of shape
        slips += [
            Hypothesis("not-transposed", "W is transposed", c.W.T @ c.A_prev + c.b),
            Hypothesis("elementwise", "W and A are multiplied entry by entry", c.W * c.A_prev + c.b),
            Hypothesis("bias-row", "b is added along the examples", c.W @ c.A_prev + c.b.T),
        ]
    return compared("linear_forward", "Z", Z, c.Z, "Z = W @ A + b", slips)


def _check_activation(name: str, line: str, slips: Callable[[np.ndarray], list[Hypothesis]]) -> Callable:
    def check(functions: Functions, point: Point) -> FunctionReport:
        Z = point.relu.layers[1].Z
        A = call(functions[name], np.array(Z))
        A = A[0] if isinstance(A, tuple) and A else A
        return compared(name, "A", A, ACTIVATIONS[name](Z), line, slips(Z))

    return check


check_sigmoid = _check_activation(
    "sigmoid",
    "A = 1 / (1 + exp(-Z))",
    lambda Z: [
        Hypothesis("sign", "the sign of Z is wrong", sigmoid(-Z)),
        Hypothesis("derivative", "this is the derivative of the sigmoid", sigmoid(Z) * sigmoid(-Z)),
    ],
)
check_relu = _check_activation(
    "relu",
    "A = maximum(0, Z)",
    lambda Z: [
        Hypothesis("sign", "it keeps what is below 0", np.minimum(Z, 0)),
        Hypothesis("derivative", "this is the derivative of relu", np.where(Z > 0, 1.0, 0.0)),
        Hypothesis("absolute", "this is the magnitude of Z", np.abs(Z)),
    ],
)


def check_linear_activation_forward(functions: Functions, point: Point) -> FunctionReport:
    """Checks `linear_activation_forward` by itself, with relu and with sigmoid."""
    name, found, c = "linear_activation_forward", [], point.relu.layers[1]
    for activation, other in (("relu", "sigmoid"), ("sigmoid", "relu")):
        of = ACTIVATIONS[activation]
        A, _ = parts(call(functions[name], *map(np.array, (c.A_prev, c.W, c.b)), activation), "A, cache")
        slips = [
            Hypothesis("activation-missing", "the activation is not applied: A is Z", c.Z),
            Hypothesis("activation-swapped", "relu and sigmoid are swapped", ACTIVATIONS[other](c.Z)),
            Hypothesis("bias-missing", "b is not added", of(c.W @ c.A_prev)),
        ]
        what = f'with activation="{activation}", A'
        found.append(compared(name, what, A, of(c.Z), f"A = {activation}(W @ A_prev + b)", slips))
    return worst(found)


def check_L_model_forward(functions: Functions, point: Point) -> FunctionReport:
    """Checks `L_model_forward` from correct parameters: AL and the caches."""
    name, r = "L_model_forward", point.relu
    X, parameters = np.array(r.layers[0].A_prev), fresh(r.parameters)
    AL, caches = parts(call(functions[name], X, parameters), "AL, caches")
    if not isinstance(caches, list | tuple) or len(caches) != len(r.layers):
        got = len(caches) if isinstance(caches, list | tuple) else type(caches).__name__
        raise Refused(f"it returned {got} caches; expected a list of {len(r.layers)}, one a layer")
    last = r.layers[-1]
    slips = [
        Hypothesis("activation-missing", "the last sigmoid is missing: AL is ZL", last.Z),
        Hypothesis("activation-swapped", "the last layer has relu; it has sigmoid", np.maximum(last.Z, 0)),
        Hypothesis("sigmoid-everywhere", "the hidden layers have sigmoid; they have relu", point.sigmoid.AL),
        Hypothesis("last-layer-missing", "the last layer is missing", last.A_prev),
    ]
    return compared(name, "AL", AL, r.AL, "AL = sigmoid(WL @ relu(... W1 @ X + b1 ...) + bL)", slips)


def check_compute_cost(functions: Functions, point: Point) -> FunctionReport:
    """Checks `compute_cost` from correct outputs: the mean cross-entropy."""
    AL, Y, m = point.relu.AL, point.relu.Y, point.relu.m
    losses = -(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))
    J = numbers("the cost", call(functions["compute_cost"], np.array(AL), np.array(Y)), ())
    if J.size != 1:
        raise Refused(f"it returned shape {J.shape}; expected one number")
    swapped = -np.mean(AL * np.log(Y) + (1 - AL) * np.log(1 - Y))
    slips = {
        "mean-missing": ("the cost is m times too large: a sum where the mean belongs", np.sum(losses)),
        "mean-twice": ("the cost is divided by m twice", np.sum(losses) / m**2),
        "sign": ("the minus sign is missing", -np.mean(losses)),
        "second-term-missing": ("the term (1 - Y) log(1 - AL) is missing", -np.mean(Y * np.log(AL))),
        "first-term-missing": ("the term Y log AL is missing", -np.mean((1 - Y) * np.log(1 - AL))),
        "log2": ("the logarithm is that to base 2", np.mean(losses) / np.log(2)),
        "log10": ("the logarithm is that to base 10", np.mean(losses) / np.log(10)),
        "squared-error": ("this is the squared error", np.mean((AL - Y) ** 2)),
        "squared-error-half": ("this is half the squared error", np.mean((AL - Y) ** 2) / 2),
        "swapped": ("AL and Y are swapped", swapped),
    }
    line = "cost = -(Y * log(AL) + (1 - Y) * log(1 - AL)).sum() / m"
    hypotheses = [Hypothesis(code, text, np.array([value])) for code, (text, value) in slips.items()]
    return compared("compute_cost", "the cost", J.reshape(1), np.array([np.mean(losses)]), line, hypotheses)


def check_update_parameters(functions: Functions, point: Point) -> FunctionReport:
    """Checks `update_parameters` from correct gradients: W - alpha dW, b - alpha db, and the grads untouched."""
    name, r = "update_parameters", point.relu
    parameters, grads = fresh(r.parameters), fresh(r.grads)
    keys = ", ".join(r.parameters)
    updated = entries(call(functions[name], parameters, grads, RATE), keys)
    if missing := [n for n in r.parameters if n not in updated]:
        got = cut(", ".join(updated)) or "none"
        raise Refused(f"it returned the keys {got}, without {missing[0]}; expected {keys}")
    found = [_updated(name, n, updated[n], r) for n in r.parameters]
    findings = tuple(finding for check in found for finding in check.findings)
    in_place = not all(np.array_equal(parameters[n], r.parameters[n]) for n in r.parameters)
    notes = ("it changes the parameters that it is given, in place",) if in_place else ()
    if overwritten := [n for n in grads if not np.array_equal(grads[n], r.grads[n])]:
        reason = f"it writes into the grads: {', '.join(overwritten)}"
        return FunctionReport(name, Verdict.DISAGREE, reason, findings, notes)
    return replace(worst(found), findings=findings, notes=notes)


def _updated(name: str, n: str, got: object, r: Reference) -> FunctionReport:
    """The updated parameter n, and what it may be instead."""
    p, g = r.parameters[n], r.grads[f"d{n}"]
    slips = [
        Hypothesis("sign", "it climbs: the gradient is added", p + RATE * g),
        Hypothesis("rate-missing", "the learning rate is missing", p - g),
        Hypothesis("not-updated", "it is not updated", p),
        Hypothesis("gradient-alone", "it is the step alone, without the parameter", -RATE * g),
        Hypothesis("rate-divides", "the gradient is divided by the learning rate", p - g / RATE),
        *(
            Hypothesis(f"gradient-of-{other}", f"{other} is subtracted in place of d{n}", p - RATE * value)
            for other, value in r.grads.items()
            if other != f"d{n}" and value.shape == p.shape
        ),
    ]
    return compared(name, n, got, p - RATE * g, f"{n} = {n} - learning_rate * d{n}", slips)
