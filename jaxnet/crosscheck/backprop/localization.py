"""Where is it wrong: every step of a backward pass judged by itself, for the signal that it was given."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..compare import ROUNDOFF
from ..report import Finding, LeafCheck, Verdict
from .answers import Answer, judge_leaf
from .explain import explain
from .reference import Reference
from .steps import place, sizes


def find(answer: Answer, reference: Reference) -> list[Finding]:
    """The errors, from the output down; each step is judged for the signal that it was given itself.

    The signal is the user's own dA_l where it was returned, else the one that the explanation of the step above
    leaves. One that is zero or not finite would hide what is below it: there the reference's is taken.
    """
    findings: list[Finding] = []
    signal: np.ndarray | None = None
    for l in range(len(reference.layers), 0, -1):
        step = reference.step(l, _usable(signal, reference, l))
        if not np.isfinite(step.dZ).all():  # the step cannot be judged; those below it can, for a signal of the user's
            findings.extend(_missing(answer, reference, l))
            signal = answer.grads.get(f"dA{l - 1}")
            continue
        got = {name: answer.grads[place(name, l)] for name in ("dW", "db", "dA") if place(name, l) in answer.grads}
        u = max((answer.roundoff[place(name, l)] for name in got), default=ROUNDOFF["float64"])
        size = reference.dZ_size[l - 1] if step.is_head else reference.slope_size[l - 1] * np.abs(step.dA)
        A_size = np.abs(step.layer.A_prev)
        size = {name: float(np.max(value)) for name, value in sizes(step, size, A_size).items()}
        found = explain(step, got, size, reference.bound, u)
        findings.extend(found.findings)
        findings.extend(_missing(answer, reference, l))
        signal = answer.grads.get(f"dA{l - 1}", step.layer.W.T @ found.dZ)
    return findings


def _missing(answer: Answer, reference: Reference, l: int) -> list[Finding]:
    """The outputs of layer l that are no arrays of numbers, and the gradients of its parameters that are not there."""
    findings = []
    for n in (f"dW{l}", f"db{l}", f"dA{l - 1}"):
        is_parameter, reason = not n.startswith("dA"), answer.unusable.get(n)
        if reason is not None and (is_parameter or reason != "None"):
            text = f"{n} is {reason}; expected an array of shape {reference.grads[n].shape}"
            findings.append(Finding(n, "no-numbers", text, f'grads["{n}"]'))
        elif is_parameter and n not in answer.grads:
            findings.append(Finding(n, "missing", f"{n} was not returned", f'grads["{n}"]'))
    return findings


def _usable(signal: np.ndarray | None, reference: Reference, l: int) -> np.ndarray | None:
    if signal is None or signal.shape != reference.dZ[l - 1].shape:
        return None
    return signal if np.isfinite(signal).all() and signal.any() else None


def kink_convention(answer: Answer, reference: Reference) -> tuple[list[LeafCheck], str] | None:
    """The leaves against a reference that takes another of the one-sided slopes at kinks, if that makes them agree."""
    at_kinks = [np.abs(right - left) > 1e-6 for left, right in reference.one_sided]
    count = sum(int(np.count_nonzero(kink)) for kink in at_kinks)
    if not count:
        return None
    for weight, words in ((1.0, "the one from the right"), (0.0, "the one from the left"), (0.5, "half of both")):
        slopes = {
            l: np.where(kink, weight * right + (1 - weight) * left, reference.layers[l - 1].slope)
            for l, (kink, (left, right)) in enumerate(zip(at_kinks, reference.one_sided, strict=True), start=1)
        }
        layers = tuple(replace(c, slope=slopes.get(l, c.slope)) for l, c in enumerate(reference.layers, start=1))
        other = reference._replace(layers=layers, grads=reference.backward(slopes))
        leaves = [judge_leaf(name, answer, other) for name in reference.leaves if name in answer.grads]
        if all(leaf.agrees for leaf in leaves) and not find(answer, other):
            return leaves, (
                f"at {count} entries Z is exactly 0, where the activation has two slopes: yours takes {words}, "
                "which is a convention and no error"
            )
    return None


def with_findings(leaves: Sequence[LeafCheck], findings: Sequence[Finding]) -> list[LeafCheck]:
    """A leaf that agrees although its own step is wrong disagrees: judged by itself the step leaves rounding less room.
    One that disagrees although its own step is right carries an error down from above."""
    at_fault = {finding.place for finding in findings}
    for finding in findings:
        if finding.place.startswith("dZ"):
            at_fault |= {place(name, int(finding.place[2:])) for name in ("dW", "db", "dA")}
    judged = []
    for leaf in leaves:
        if leaf.agrees and leaf.name in {finding.place for finding in findings}:
            leaf = replace(leaf, verdict=Verdict.DISAGREE, reason="its step is further off than rounding explains")
        carried = leaf.verdict is Verdict.DISAGREE and bool(findings) and leaf.name not in at_fault
        judged.append(replace(leaf, carried=carried))
    return judged
