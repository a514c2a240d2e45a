"""Where is it wrong: every step of a backward pass judged by itself, for the signal that it was given."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..compare import ROUNDOFF
from ..foreign import Absent
from ..report import Cause, Finding, LeafCheck, Place, Verdict
from .answers import Answer, judge_leaves
from .explain import explain, made
from .reference import Reference
from .steps import RIGHT, Step


def find(answer: Answer, reference: Reference) -> list[Finding]:
    """The errors, from the output down; each step is judged for the signal that it was given itself.

    The signal is the user's own dA_l where it was returned, else the one that the explanation of the step above
    leaves. One that is zero or not finite would hide what is below it: there the reference's is taken.
    """
    findings: list[Finding] = []
    signal: np.ndarray | None = None
    for l in range(len(reference.layers), 0, -1):
        step = reference.step(l, _usable(signal, reference, l))
        below = step.place("dA")
        if not np.isfinite(step.dZ).all():  # the step cannot be judged; those below it can, for a signal of the user's
            findings.extend(_missing(answer, step))
            signal = answer.grads.get(below)
            continue
        places = {kind: step.place(kind) for kind in RIGHT if step.place(kind) in answer.grads}
        u = max((answer.roundoff[place] for place in places.values()), default=ROUNDOFF["float64"])
        size = reference.dZ_size[l - 1] if step.is_head else reference.slope_size[l - 1] * np.abs(step.dA)
        got = {kind: answer.grads[place] for kind, place in places.items()}
        found = explain(step, made(step, got, size, reference.bound, u))
        findings.extend([*found.findings, *_missing(answer, step)])
        signal = answer.grads.get(below, step.W.T @ found.dZ)
    return findings


def _missing(answer: Answer, step: Step) -> list[Finding]:
    """The outputs of a step that are not arrays of numbers, and the gradients of its parameters that are not there."""
    findings = []
    for kind in RIGHT:
        place, reason = step.place(kind), answer.unusable.get(step.place(kind))
        if reason is not None and not (kind == "dA" and isinstance(reason, Absent)):
            text = f"{place} is {reason}; expected an array of shape {step.grads[place].shape}"
            findings.append(Finding(place, "no-numbers", text, f'grads["{place}"]'))
        elif reason is None and kind != "dA" and place not in answer.grads:
            findings.append(Finding(place, "missing", f"{place} was not returned", f'grads["{place}"]'))
    return findings


def _usable(signal: np.ndarray | None, reference: Reference, l: int) -> np.ndarray | None:
    if signal is None or signal.shape != reference.dZ[l - 1].shape:
        return None
    return signal if np.isfinite(signal).all() and signal.any() else None


def kink_convention(answer: Answer, reference: Reference) -> tuple[dict[Place, LeafCheck], str] | None:
    """The leaves against a reference that takes another of the one-sided slopes at kinks, if that makes them agree."""
    at_kinks = [np.abs(right - left) > 1e-6 for left, right in reference.one_sided]
    count = sum(int(np.count_nonzero(kink)) for kink in at_kinks)
    for weight, words in ((1.0, "the one from the right"), (0.0, "the one from the left"), (0.5, "half of both")):
        if not count:
            break
        hidden = [
            replace(layer, slope=np.where(kink, weight * right + (1 - weight) * left, layer.slope))
            for layer, kink, (left, right) in zip(reference.layers[:-1], at_kinks, reference.one_sided, strict=True)
        ]
        other = reference.by_right_lines((*hidden, reference.layers[-1]))
        leaves = judge_leaves(answer, other)
        if all(leaf.agrees for leaf in leaves.values()) and not find(answer, other):
            return leaves, (
                f"at {count} entries Z is exactly 0, where the activation has two slopes: yours takes {words}, "
                "which is a convention, not an error"
            )
    return None


def with_findings(leaves: Mapping[Place, LeafCheck], findings: Sequence[Finding]) -> dict[Place, LeafCheck]:
    """A leaf that agrees although its own step is wrong disagrees: judged by itself the step leaves rounding less room.
    One that disagrees although its own step is right carries an error down from above."""
    at_fault = {finding.place for finding in findings}
    wrong_dZ = {place.layer for place in at_fault if place.kind == "dZ"}
    judged = {}
    for place, leaf in leaves.items():
        if leaf.agrees and place in at_fault:
            text = "its step is further off than rounding explains"
            leaf = replace(leaf, verdict=Verdict.DISAGREE, reason=text, cause=Cause.STEP)
        own = place in at_fault or place.made_in in wrong_dZ
        carried = leaf.verdict is Verdict.DISAGREE and bool(findings) and not own
        judged[place] = replace(leaf, carried=carried)
    return judged
