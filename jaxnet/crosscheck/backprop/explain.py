"""Diagnosis by replay: which single error, made in this step, gives exactly these numbers?

A step is judged for the signal that it was given, so that an error above neither hides nor blames it. Every known bug
is made in turn, the generic fits come after them, and what reproduces the numbers to the bound is the diagnosis.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..hypotheses import FITTED, NAMED, UNEXPLAINED, Array, Hypothesis, diagnose, residual
from ..report import Finding
from .bugs import cache_codes, hypotheses
from .recovery import recover
from .steps import Step, sizes


class Made(NamedTuple):
    """What a step made: any of its outputs "dW", "db" and "dA", and how far apart two right ones may be."""

    got: Mapping[str, np.ndarray]
    tolerance: Mapping[str, float]
    roundoff: float


class Explanation(NamedTuple):
    """Errors that together give what the step made, and the signal it really worked with."""

    errors: float  # how many, where a fit counts a little more than a named bug and the unexplained much more
    findings: tuple[Finding, ...]
    dZ: np.ndarray
    worst: float  # how far the outputs that need no error are from theirs, in units of the bound


def made(step: Step, got: Mapping[str, np.ndarray], dZ_size: np.ndarray, units: float, u: float) -> Made:
    """Two arrays are the same where they differ by at most `units` u S, S the largest of `sizes` for this dZ_size."""
    size = sizes(step, dZ_size, np.abs(step.A_prev))
    return Made(got, {kind: units * u * max(float(np.max(size[kind])), 1e-290) for kind in got}, u)


def explain(step: Step, made: Made) -> Explanation:
    """The fewest errors that give what the step made."""
    right = explain_outputs(step, made)
    if right.errors <= FITTED:
        return right
    chosen = _fewest([right, *_sources(step, made)])
    return chosen._replace(findings=_of_one_cache(chosen.findings, step))


def explain_outputs(step: Step, made: Made) -> Explanation:
    """The errors below dZ, which is taken to be right: each output by itself."""
    errors, findings, worst = 0.0, [], 0.0
    for kind, got in made.got.items():
        right, tolerance = step.right(kind), made.tolerance[kind]
        off = residual(got, right, tolerance)
        if off <= 1:
            worst = max(worst, off)
            continue
        array = Array(got, right, tolerance, made.roundoff, _added(kind, step), _example_terms(kind, step))
        counts, finding = diagnose(step.place(kind), kind, array, hypotheses(kind, step), step.line(kind))
        errors += counts
        findings.append(finding)
    return Explanation(errors, tuple(findings), step.dZ, worst)


def explain_dZ(step: Step, dZ: np.ndarray, units: float) -> Finding | None:
    """What is wrong with a dZ that is there to be seen; None where nothing is."""
    u = 2.0**-53
    array = Array(dZ, step.dZ, units * u * float(np.max((1 + np.abs(step.slope)) * np.abs(step.dA))), u)
    if residual(dZ, step.dZ, array.tolerance) <= 1:
        return None
    return diagnose(step.place("dZ"), "dZ", array, hypotheses("dZ", step), step.line("dZ"))[1]


def _sources(step: Step, made: Made) -> Iterator[Explanation]:
    """Every error that can be in dZ, with what it leaves wrong in the outputs."""
    place, line = step.place("dZ"), step.line("dZ")

    def source(h: Hypothesis, errors: float) -> Explanation:
        assert h.value is not None
        below = explain_outputs(step.given(h.value), made)
        finding = Finding(place, h.code, h.text.replace("{what}", "dZ"), line, below.worst)
        return Explanation(errors + below.errors, (finding, *below.findings), h.value, below.worst)

    if sum(not np.isfinite(got).all() for got in made.got.values()) > 1:
        finding = Finding(place, "not-finite", "dZ has entries that are not finite", line, 0.0)
        yield Explanation(NAMED, (finding,), step.dZ, 0.0)
    for bug in hypotheses("dZ", step):
        if bug.value is not None and bug.value.shape == step.dZ.shape and np.isfinite(bug.value).all():
            yield source(bug, NAMED)
    recovered = recover(step, made.got, lambda dZ: explain_outputs(step.given(dZ), made).errors == 0)
    if recovered is not None:
        yield source(recovered, UNEXPLAINED / 2 if recovered.code == "unknown" else FITTED)


def _fewest(explanations: list[Explanation]) -> Explanation:
    """The explanation with the fewest errors; others with as few are its rivals."""
    fewest = min(e.errors for e in explanations)
    chosen, *tied = [e for e in explanations if e.errors == fewest]
    if not tied or fewest >= UNEXPLAINED / 2:
        return chosen
    first, *others = chosen.findings
    rivals = dict.fromkeys(e.findings[0].text for e in tied if e.findings[0].text != first.text)
    return chosen._replace(findings=(replace(first, rivals=tuple(rivals)), *others))


def _example_terms(kind: str, s: Step) -> np.ndarray | None:
    """What each example adds to a mean: (entries, m)."""
    if kind == "db":
        return s.dZ / s.m
    if kind == "dW" and s.dZ.size * len(s.A_prev) <= 1_000_000:
        return np.einsum("im,jm->ijm", s.dZ, s.A_prev).reshape(-1, s.m) / s.m
    return None


def _added(kind: str, s: Step) -> list[Hypothesis]:
    """Terms that may have been added to an output, with a factor c."""
    if kind == "dA":
        update = "{what} goes through W after an update with learning rate {c}"
        text = "{what} has {c} times %s added"
        return [
            Hypothesis("updated-weights", update, -s.right("dW").T @ s.dZ),
            Hypothesis("skip-connection", text % "dA of the layer itself", s.dA),
            Hypothesis("input-added", text % "A_prev", s.A_prev),
            *([Hypothesis("bias-added", text % f"b{s.l - 1}", s.below.b + 0 * s.A_prev)] if s.below else []),
        ]
    own, text = kind[1:], "{what} has a term {c} %s that the cost does not have"
    name, mine = f"{own}{s.numbers[0]}", getattr(s, own)
    others = {k: getattr(layer, own) for k, layer in enumerate(s.layers, start=1) if k != s.l}
    return [
        Hypothesis("regulariser", text % name, mine),
        Hypothesis("sign-regulariser", text % f"sign({name})", np.sign(mine)),
        *(Hypothesis("regulariser", text % f"{own}{k}", other) for k, other in others.items()),
    ]


def _of_one_cache(findings: tuple[Finding, ...], step: Step) -> tuple[Finding, ...]:
    """Several findings that all read the cache of one other layer are one."""
    caches = {cache_codes(step).get(f.code) for f in findings}
    if len(findings) < 2 or len(caches) > 1 or None in caches:
        return findings
    text = f"the whole step reads the cache of layer {caches.pop()}"
    line = f"linear_cache, Z{step.l} = caches[{step.l - 1}]"
    worst = max(f.residual for f in findings)
    return (Finding(findings[0].place, findings[0].code, text, line, worst),)
