"""Diagnosis by replay: which single error, made in this step, gives exactly these numbers?

A step is judged for the signal that it was given, so that an error above neither hides nor blames it. Every known bug
is made in turn, the generic fits come after them, and what reproduces the numbers to the bound is the diagnosis.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from ..fits import Array, fitted, residual
from ..report import Finding
from .bugs import Bug, known
from .recovery import recover
from .slopes import LINES
from .steps import RIGHT, Step, place


UNEXPLAINED = 100.0  # errors; more than any combination of explained ones
FITTED = 1.5  # a fit explains too, but a named bug is the better explanation


class Explanation(NamedTuple):
    """Errors that together give what the step made, and the signal it really worked with."""

    errors: float  # how many, where a fit counts a little more than a named bug and the unexplained much more
    findings: tuple[Finding, ...]
    dZ: np.ndarray
    worst: float  # how far the outputs that need no error are from theirs, in units of the bound


def explain(
    step: Step, got: Mapping[str, np.ndarray], size: Mapping[str, float], units: float, u: float
) -> Explanation:
    """The fewest errors that give `got`, any of the outputs "dW", "db", "dA" of the step.

    `size` is the largest S of each output; two arrays are the same where they differ by at most `units` u S.
    """
    right = explain_outputs(step, got, size, units, u)
    if right.errors <= FITTED:
        return right
    sources = _sources(step, got, lambda dZ: explain_outputs(step.given(dZ), got, size, units, u))
    chosen = _fewest([right, *sources])
    return chosen._replace(findings=_of_one_cache(chosen.findings, step))


def explain_outputs(
    step: Step, got: Mapping[str, np.ndarray], size: Mapping[str, float], units: float, u: float
) -> Explanation:
    """The errors below dZ, which is taken to be right: each output by itself."""
    bugs, errors, findings, worst = known(step), 0.0, [], 0.0
    for name, made in got.items():
        tolerance = units * u * max(size[name], 1e-290)
        same = partial(_distance, made, tolerance, units * u)
        off = same(RIGHT[name](step))
        if off <= 1:
            worst = max(worst, off)
            continue
        count, finding = _output_error(name, step, bugs[name], made, tolerance, u, same)
        errors += count
        findings.append(finding)
    return Explanation(errors, tuple(findings), step.dZ, worst)


def explain_dZ(step: Step, dZ: np.ndarray, units: float) -> Finding | None:
    """What is wrong with a dZ that is there to be seen; None where nothing is."""
    u = 2.0**-53
    tolerance = units * u * float(np.max((1 + np.abs(step.layer.slope)) * np.abs(step.dA)))
    same = partial(_distance, dZ, tolerance, units * u)
    if same(step.dZ) <= 1:
        return None
    _, finding = _output_error("dZ", step, known(step)["dZ"], dZ, tolerance, u, same)
    return finding


def _distance(made: np.ndarray, tolerance: float, unit: float, value: np.ndarray | None) -> float:
    """How far an explanation is from what was made, in units of what rounding explains."""
    if value is None:
        return np.inf
    finite = np.abs(value[np.isfinite(value)])
    return residual(made, value, max(tolerance, unit * float(finite.max(initial=0))))


def _sources(
    step: Step, got: Mapping[str, np.ndarray], outputs: Callable[[np.ndarray], Explanation]
) -> Iterator[Explanation]:
    """Every error that can be in dZ, with what it leaves wrong in the outputs."""

    def source(code: str, text: str, errors: float, dZ: np.ndarray) -> Explanation:
        below = outputs(dZ)
        finding = Finding(f"dZ{step.l}", code, text, _line("dZ", step), below.worst)
        return Explanation(errors + below.errors, (finding, *below.findings), dZ, below.worst)

    if sum(not np.isfinite(made).all() for made in got.values()) > 1:
        finding = Finding(f"dZ{step.l}", "not-finite", "dZ has entries that are not finite", _line("dZ", step), 0.0)
        yield Explanation(1.0, (finding,), step.dZ, 0.0)
    for bug in known(step)["dZ"]:
        dZ = _value(bug, step)
        if dZ is not None and dZ.shape == step.dZ.shape and np.isfinite(dZ).all():
            yield source(bug.code, bug.text.format(what="dZ"), 1.0, dZ)
    recovered = recover(step, got, lambda dZ: outputs(dZ).errors == 0)
    if recovered is not None:
        unknown = recovered.code == "unknown"
        yield source(recovered.code, recovered.text, UNEXPLAINED / 2 if unknown else FITTED, recovered.dZ)


def _fewest(explanations: list[Explanation]) -> Explanation:
    """The explanation with the fewest errors; others with as few are its rivals."""
    fewest = min(e.errors for e in explanations)
    chosen, *tied = [e for e in explanations if e.errors == fewest]
    if not tied or fewest >= UNEXPLAINED / 2:
        return chosen
    first, *others = chosen.findings
    rivals = dict.fromkeys(e.findings[0].text for e in tied if e.findings[0].text != first.text)
    return chosen._replace(findings=(replace(first, rivals=tuple(rivals)), *others))


def _value(bug: Bug, step: Step) -> np.ndarray | None:
    with np.errstate(all="ignore"):
        value = bug.value(step)
    return None if value is None else np.asarray(value, np.float64)


def _output_error(name, s, bugs, got, tolerance, u, same) -> tuple[float, Finding]:
    """What is wrong with one output, given dZ: a named bug, else a fit, else unknown."""
    where = place(name, s.l)
    matching = [(bug, off) for bug in bugs if (off := same(_value(bug, s))) <= 1]
    if matching:
        (bug, off), *others = matching
        rivals = tuple(dict.fromkeys(b.text.format(what=name) for b, _ in others if b.text != bug.text))
        return 1.0, Finding(where, bug.code, bug.text.format(what=name), _line(name, s), off, rivals)
    right = s.dZ if name == "dZ" else RIGHT[name](s)
    fit = fitted(Array(got, right, tolerance, u, _example_terms(name, s), _added(name, s)))
    if fit is not None:
        text = fit.text.replace("{what}", name)
        return FITTED, Finding(where, fit.code, text, _line(name, s), fit.residual)
    if got.shape != right.shape:
        text = f"{name} has shape {got.shape}; expected {right.shape}"
        return UNEXPLAINED, Finding(where, "unknown-shape", text, _line(name, s))
    c = float(np.vdot(right, got) / np.vdot(right, right)) if right.any() else 0.0
    left = float(np.linalg.norm(got - c * right) / max(float(np.linalg.norm(got)), 1e-300))
    text = f"{name} is wrong in a way not known here; its best fit is {c:.3g} times the right one, {left:.0%} left over"
    return UNEXPLAINED, Finding(where, "unknown", text, _line(name, s))


def _example_terms(name: str, s: Step) -> np.ndarray | None:
    """What each example adds to a mean: (entries, m)."""
    if name == "db":
        return s.dZ / s.m
    if name == "dW" and s.dZ.size * len(s.layer.A_prev) <= 1_000_000:
        return np.einsum("im,jm->ijm", s.dZ, s.layer.A_prev).reshape(-1, s.m) / s.m
    return None


def _added(name: str, s: Step) -> list[tuple[str, str, np.ndarray]]:
    """Terms that may have been added to an output, with a factor c."""
    if name == "dZ":
        return []
    if name == "dA":
        after = (
            "updated-weights",
            "{what} goes through W after an update with learning rate {c}",
            -RIGHT["dW"](s).T @ s.dZ,
        )
        terms = [("skip-connection", "dA of the layer itself", s.dA), ("input-added", "A_prev", s.layer.A_prev)]
        if s.l > 1:
            b = s.layers[s.l - 2].b
            terms.append(("bias-added", f"b{s.l - 1}", np.broadcast_to(b, s.layer.A_prev.shape)))
        return [after, *((code, f"{{what}} has {{c}} times {words} added", term) for code, words, term in terms)]
    letter = name[1:]
    own = {"W": s.layer.W, "b": s.layer.b}[letter]
    text = "{what} has a term {c} %s that the cost does not have"
    others = [(k, {"W": c.W, "b": c.b}[letter]) for k, c in enumerate(s.layers, start=1) if k != s.l]
    return [
        ("regulariser", text % f"{letter}{s.l}", own),
        ("sign-regulariser", text % f"sign({letter}{s.l})", np.sign(own)),
        *(("regulariser", text % f"{letter}{k}", other) for k, other in others),
    ]


def _line(name: str, s: Step) -> str:
    """The right line of mathematics."""
    l, k = s.l, s.l - 1
    if name == "dZ" and s.is_head:
        return s.head
    if name == "dZ":
        return f"dZ{l} = " + LINES.get(s.hidden, "dA{l} * g'(Z{l})").format(l=l)
    return {
        "dW": f"dW{l} = dZ{l} @ A{k}.T / m, m = A{k}.shape[1]",
        "db": f"db{l} = dZ{l}.sum(axis=1, keepdims=True) / m",
        "dA": f"dA{k} = W{l}.T @ dZ{l}",
    }[name]


def _of_one_cache(findings: tuple[Finding, ...], step: Step) -> tuple[Finding, ...]:
    """Several findings that all read the cache of one other layer are one."""
    codes = {f.code for f in findings}
    if len(findings) < 2 or len(codes) != 1 or not findings[0].code.startswith("cache-of-layer-"):
        return findings
    k = findings[0].code.rsplit("-", 1)[1]
    text = f"the whole step reads the cache of layer {k}"
    line = f"linear_cache, Z{step.l} = caches[{step.l - 1}]"
    return (Finding(findings[0].place, findings[0].code, text, line, max(f.residual for f in findings)),)
