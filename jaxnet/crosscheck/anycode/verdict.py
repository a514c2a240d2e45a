"""What is reported of an update whose convention was found, or was not."""

from collections.abc import Mapping
from dataclasses import replace

import jax
import numpy as np

from ...network import Network
from ..backprop.answers import Answer, judge_leaves
from ..backprop.localization import find, kink_convention, with_findings
from ..backprop.reference import Reference, make_reference
from ..report import Cause, Doubt, Finding, LeafCheck, Place, Property, Report, Verdict, overall
from .arrays import roundoff_of
from .conventions import Convention, layers_name


VAGUE = 0.1  # of a gradient: where its error bar is larger, the array cannot be judged
LARGER = "let the step take a larger learning rate, or float64"
NEARLY = "it agrees to a few digits only, as similar networks do: pass network=..., or take float64 and larger weights"
FACTORS = {1.0: "", 2.0: ", squares not halved", 0.5: ", halved"}


def report(
    name: str,
    before: Mapping[str, np.ndarray],
    updates: Mapping[str, np.ndarray],
    found: Convention,
    power: int | None,
    rate: float | None,
) -> Report:
    """Each array's update against factor * gradient, and the convention; what differs is explained layer by layer."""
    parameters, D = found.layers.parameters(before), found.layers.parameters(updates)
    reference = make_reference(found.data.X, found.data.Y, parameters, found.network)
    leaves, findings, notes = _judged(before, found, reference, parameters, D)
    findings = [_in_their_layout(finding, found, summed=power == 1) for finding in findings]
    if len(found.explained) == len(found.layers.names):
        # All of it is explained; what is off then is in the last digits, by a network that was only guessed.
        wrong, doubt = Verdict.DISAGREE, Doubt(Cause.DIGITS, NEARLY)
        findings, leaves = [], [leaf.doubted(doubt) if leaf.verdict is wrong else leaf for leaf in leaves]
    how, wrong_factor = _factor(found, power, rate)
    if wrong_factor:
        findings.insert(0, Finding(Place("update"), *wrong_factor))
    mapping = ", ".join(f"{name} = {layers_name(found.layers, name)}" for name in D if layers_name(found.layers, name))
    transposed = "; " + "matrices are (n_in, n_out)" if found.layers.rows else ""
    notes = [f"found: {found.words}, {how}", f"arrays: {mapping}{transposed}", *notes]
    if power is None and found.data.Y.shape[1] > 1:
        notes.append("half of the examples could not distinguish a sum from a mean, so the rate is that of a mean")
    verdict = Verdict.DISAGREE if findings else overall(leaf.verdict for leaf in leaves)
    return Report(
        name,
        verdict,
        _reason(verdict, leaves, findings, found),
        tuple(leaves),
        tuple(findings),
        tuple(notes),
        tuple(Property(name, Verdict.AGREE, "") for name in ("deterministic", "arguments unchanged")),
        environment={"m": str(reference.m), "jax": jax.__version__},
    )


def _judged(
    before: Mapping[str, np.ndarray],
    found: Convention,
    reference: Reference,
    parameters: Mapping[str, np.ndarray],
    D: Mapping,
) -> tuple[list[LeafCheck], list[Finding], list[str]]:
    """The recovered gradients, with the roundoff of before - after in S and, step by step, in u."""
    c, S, grads, u, coarse, bars = found.factor, dict(reference.S), {}, {}, {}, {}
    for name, update in D.items():
        path, place = layers_name(found.layers, name), Place.read(f"d{name}")
        if path is None:  # there is no such bias
            continue
        grads[place] = (update - found.decay * parameters[name] * (name[0] == "W")) / c
        u[place] = roundoff_of(before[path])
        off = 2 * (np.abs(parameters[name]) + np.abs(update)) * (1 + abs(found.decay)) / abs(c)
        bars[place] = u[place] * off
        S[place] = S[place] + off / reference.bound
        size = float(np.max(np.abs(reference.grads[place]))) or float(np.max(S[place]))
        coarse[place] = u[place] * (1 + float(np.max(off)) / (size * reference.bound))
    reference = reference._replace(S=S)
    judged = Answer(grads, u, (), {})
    with np.errstate(all="ignore"):
        leaves, findings = judge_leaves(judged, reference), find(judged._replace(roundoff=coarse), reference)
        findings = [f for f in findings if f.code != "missing"]  # of biases that are not there
        notes = []
        if findings and (kinked := kink_convention(judged, reference)):
            leaves, findings, notes = kinked[0], [], [kinked[1]]
        leaves = with_findings(leaves, findings)
    shown = [_hidden(leaf, bars[place], reference.grads[place]) for place, leaf in leaves.items()]
    return shown, findings, notes


def _hidden(leaf: LeafCheck, bar: np.ndarray, want: np.ndarray) -> LeafCheck:
    """Inconclusive where rounding before - after would hide a wrong gradient."""
    size = float(np.max(np.abs(want)))
    if leaf.agrees and size > 0 and np.max(bar) > VAGUE * size:
        text = f"before - after is rounded to {np.max(bar):.1g} of a gradient of {size:.1g}: {LARGER}"
        return leaf.doubted(Doubt(Cause.DIGITS, text))
    return leaf


def _in_their_layout(finding: Finding, found: Convention, *, summed: bool) -> Finding:
    """With the line to write for examples in rows, and without m where losses are summed."""
    place, remedy = finding.place, finding.remedy
    if found.data.rows and place.layer is not None and place.kind in ("dW", "db"):
        l = place.layer
        dW = f"A{l - 1}.T @ dZ{l}" if found.layers.rows else f"dZ{l}.T @ A{l - 1}"
        remedy = (
            f"dW{l} = {dW} / m" if place.kind == "dW" else f"db{l} = dZ{l}.sum(axis=0) / m"
        ) + ", examples in rows"
    if summed:
        remedy = remedy.replace(" / m", "").split(", m =")[0]
    return replace(finding, remedy=remedy)


def _factor(found: Convention, power: int | None, rate: float | None) -> tuple[str, tuple[str, str, str] | None]:
    """The convention in words, and the error where the factor is none."""
    n_L, m = found.data.Y.shape
    scale = found.factor / m if power == 1 else found.factor
    where = "examples in rows" if found.data.rows else "examples in columns"
    summed = "losses summed" if power == 1 else "losses averaged"
    tail = f", L2 penalty that takes {found.decay:.3g} of W off" if found.decay else ""
    if found.factor < 0:
        text = "the update goes up the cost, not down: its sign is wrong"
        return f"{where}, {summed}{tail}", ("ascent", text, "W = W - learning_rate * dW")
    if power == -1:
        text = "the update is divided by m twice: it shrinks as the batch grows"
        return f"{where}{tail}", ("mean-twice", text, "1 / m once, in the cost or in dW and db")
    if rate is None:
        halved = f" ({scale / 2:.4g} where squares are not halved)" if "squared" in found.words else ""
        return f"{where}, {summed}, learning rate {scale:.4g}{halved}{tail}", None
    for factor, words in FACTORS.items():
        for outputs, words_of_outputs in ((1, ""), (n_L, f", averaged over {n_L} outputs")):
            if np.isclose(scale * outputs, factor * rate, rtol=1e-3):
                return f"{where}, {summed}{words}{words_of_outputs}, learning rate {rate:.4g}{tail}", None
    text = f"the update is {scale / rate:.4g} times learning_rate times the gradient of the mean loss"
    if power is None and np.isclose(scale, rate * m, rtol=1e-3):
        return f"{where}, losses summed, learning rate {rate:.4g}{tail}", None
    return f"{where}, {summed}{tail}", ("factor", text, "")


def _reason(verdict: Verdict, leaves: list[LeafCheck], findings: list[Finding], found: Convention) -> str:
    if verdict is Verdict.AGREE:
        worst = max(leaves, key=lambda leaf: leaf.units)
        return f"{len(leaves)} updates agree with autodiff, to at most {worst.units:.2g} units of roundoff"
    if findings:
        count = "1 error" if len(findings) == 1 else f"{len(findings)} errors"
        return f"{count}, the first at {findings[0].place}"
    names = [leaf.name for leaf in leaves if leaf.verdict is verdict]
    return f"{', '.join(names)}: {next(leaf.reason for leaf in leaves if leaf.verdict is verdict)}"


def unexplained(
    name: str, before: Mapping[str, np.ndarray], updates: Mapping[str, np.ndarray], network: Network | None
) -> Report:
    """No array moves along the gradient of any network that was tried."""
    sizes = np.abs(np.concatenate([update.ravel() for update in updates.values()]))
    moved = sizes[sizes > 0]
    if all(np.all(np.abs(update) <= _rounded_away(before[name])) for name, update in updates.items()):
        return Report(name, Verdict.INCONCLUSIVE, f"before - after has no digits left: {LARGER}", ())
    if moved.size > 2 and np.ptp(moved) < 1e-3 * moved.max():
        verdict, reason = (
            Verdict.INCONCLUSIVE,
            (
                f"every entry moves by {moved[0]:.3g}: that is the first step of Adam, or of a rule of signs, which "
                "leaves no gradient; check it with plain gradient descent"
            ),
        )
    elif network is None:
        verdict, reason = (
            Verdict.INCONCLUSIVE,
            (
                "no matrix moves along the gradient of any network that was tried. Pass network=jaxnet.Network(hidden, "
                "loss) if yours has other activations or another loss, and let the step make one update by plain "
                "gradient descent on all examples; if that is what it does, its output's gradient is wrong"
            ),
        )
    else:
        verdict, reason = Verdict.DISAGREE, f"no matrix moves along the gradient of {network!r}"
    return Report(name, verdict, reason, ())


def _rounded_away(array: np.ndarray) -> float:
    """The size up to which changes of an array may be rounding."""
    return 32 * roundoff_of(array) * float(np.max(np.abs(array)))
