"""Is this backward pass of an L-layer network right, and if not, where and why."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import jax
import numpy as np

from ...errors import InputError
from ...feedback import backprop
from ...network import COURSE, L_model_backward, Network, cost_and_grads
from ...programs import let_go
from ...types import Inputs, Labels, Parameters
from ...weighting import SampleWeight
from ..compare import ROUNDOFF
from ..function.function import Function
from ..function.verdicts import Case, doubt, judge
from ..function.witnesses import Witness, completed, triangle
from ..properties import promise
from ..report import Finding, LeafCheck, ProtocolCheck, Report, Triangle, Verdict, overall
from .answers import Answer, as_answer, compare, judge_leaf
from .localization import find, kink_convention, with_findings
from .points import measure_power
from .protocol import Backward, Caller, backward_protocol, deterministic
from .reference import Reference, cost_of, make_reference


def check_backward(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    network: Network = COURSE,
    *,
    backward: Backward | None = None,
    dtype: str = "float64",
    thorough: bool = True,
    sample_weight: SampleWeight = None,
) -> Report:
    """|got - autodiff| / (u S) of every dW_l, db_l and dA_l of `backward(AL, Y, caches)`, and each step by itself.

    `backward` is any function of the course's signature, in JAX or NumPy; `L_model_backward` unless given. It is
    called in `dtype` with the caches of the forward pass at this point, cast exactly, and each leaf is judged by the
    rounding of the type it came in. A step that is wrong for the signal it was given is a finding: where, what, and
    the line to write; a backward pass that draws random numbers is reported before all else. Slopes at which autodiff
    is NaN are told by differences, and what nothing tells makes the verdict inconclusive. `thorough` adds the protocol
    (inputs unchanged, jit, vmap, additive over the batch) and how many known errors would have shown at this point;
    for large networks these take longest.
    With `sample_weight`, (m,) weights of the examples, the cost is that of `cost_and_grads`, and `backward` is called
    as `backward(AL, Y, caches, sample_weight=...)`.
    Raises `InputError` where X, Y and parameters do not fit or are not finite; what `backward` raises is passed on.
    """
    let_go()
    if dtype not in ROUNDOFF:
        raise InputError(f"dtype is {dtype!r}; expected one of {', '.join(ROUNDOFF)}")
    own = backward is None
    if own and network.feedback != backprop:
        raise InputError(
            "under this network's feedback rule, L_model_backward makes no derivative of the cost; check "
            "network.by_backprop, and see `alignment` for the angle between the two"
        )
    reference = make_reference(X, Y, parameters, network, sample_weight)
    called = _library_backward(network) if backward is None else backward
    call = Caller(called if sample_weight is None else _with_weights(called), dtype)
    first = call(reference)
    answer = as_answer(first, reference, dtype, call.unusable)
    with np.errstate(all="ignore"):
        leaves = [judge_leaf(name, answer, reference) for name in reference.leaves if name in answer.grads]
        findings = find(answer, reference)
        notes = [*answer.conventions, *_undefined(reference)]
        if findings and (kinked := kink_convention(answer, reference)):
            leaves, findings, notes = kinked[0], [], [*notes, kinked[1]]
        wrong = findings or any(leaf.verdict is Verdict.DISAGREE for leaf in leaves)
        again = partial(
            check_backward, X, Y, network=network, backward=backward, thorough=False, sample_weight=sample_weight
        )
        if wrong and (reason := _lost_digits(findings, reference, again, dtype)):
            findings, notes = [], [*notes, reason]
            leaves = [
                leaf if leaf.agrees else replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=reason) for leaf in leaves
            ]
        leaves = with_findings(leaves, findings)
    protocol, triangles = [deterministic(call, reference, first)], []
    if thorough:
        protocol += backward_protocol(call, reference, answer.grads)
        triangles, leaves = _by_differences(reference, answer, leaves)
    if own:
        protocol.append(_training_agrees(reference))
    verdict = overall([leaf.verdict for leaf in leaves] + [check.verdict for check in protocol])
    verdict = Verdict.DISAGREE if findings else verdict
    return Report(
        getattr(backward, "__name__", "backward") if backward is not None else "L_model_backward",
        verdict,
        _reason(verdict, leaves, findings, protocol, reference),
        tuple(leaves),
        tuple(findings),
        tuple(notes),
        tuple(protocol),
        tuple(triangles),
        measure_power(reference) if thorough else None,
        environment={"m": str(reference.m), "dtype": dtype, "jax": jax.__version__},
    )


def _with_weights(backward: Backward) -> Backward:
    """Called with the weights as the last row of Y, so that they stay with their examples."""
    try:
        inspect.signature(backward).bind(None, None, None, sample_weight=None)
    except TypeError as error:
        raise InputError(
            f"sample_weight is given, but the backward pass takes no argument of that name ({error}); expected "
            "backward(AL, Y, caches, sample_weight)"
        ) from None
    except ValueError:  # it has no signature to look at
        pass
    return lambda AL, Y, caches: backward(AL, Y[:-1], caches, sample_weight=Y[-1])


def _lost_digits(findings: Sequence[Finding], reference: Reference, again: Callable[..., Report], dtype: str) -> str:
    """Why a backward pass that is off here may be right: in float64, or at smaller parameters, it is."""

    def agrees(share: float) -> bool:
        return again(parameters={name: share * p for name, p in reference.parameters.items()}).agrees

    if dtype != "float64" and agrees(1.0):
        return f"it is off here in {dtype}, and right in float64: choose a less extreme point"
    exact = int(np.count_nonzero((reference.AL == 0) | (reference.AL == 1)))
    if exact and any(finding.code == "not-finite" for finding in findings) and any(map(agrees, (0.5, 0.1))):
        return (
            f"{exact} entries of AL are exactly 0 or 1 here, by rounding, and it divides by 0: choose smaller weights"
        )
    return ""


@lru_cache(maxsize=64)
def _library_backward(network: Network) -> Backward:
    """`L_model_backward` of a network; one object, so that it is compiled once."""
    return partial(L_model_backward, network=network)


def _by_differences(
    reference: Reference, answer: Answer, leaves: Sequence[LeafCheck]
) -> tuple[list[Triangle], list[LeafCheck]]:
    """Finite differences as the third witness; where they contradict autodiff, no verdict is due."""
    parameters = reference.parameters
    X, Y = reference.layers[0].A_prev, reference.Y
    cost = partial(_compiled_cost, reference.network, weight=reference.sample_weight)
    function = Function(cost, (parameters, X, Y), 0, compiled=True)
    by_name, triangles = {leaf.name: leaf for leaf in leaves}, []
    for i, name in enumerate(f"d{name}" for name in parameters):
        if name not in by_name:
            continue
        unit = answer.roundoff[name] * reference.S[name]
        got, witness = answer.grads[name], Witness(reference.grads[name], unit, "calibrated")
        if not np.isfinite(witness.want).all():
            witness = completed(function, i, got, witness.want, np.nan_to_num(unit))
        found = triangle(function, i, got, witness)
        triangles.append(replace(found, leaf=name))
        case = Case(function, i, got, witness, found)
        if witness.undefined is not None:
            by_name[name] = replace(judge(case)[0], name=name)
        elif reason := doubt(case, by_name[name]):
            by_name[name] = replace(by_name[name], verdict=Verdict.INCONCLUSIVE, reason=reason)
    return triangles, list(by_name.values())


def _undefined(reference: Reference) -> list[str]:
    """A note on slopes at which autodiff is of no use."""
    if not reference.undefined:
        return []
    return [
        f"autodiff of the activation or of the loss gives NaN or inf at {reference.undefined} entries; finite "
        f"differences decide {reference.undefined - reference.unknown} of them. The usual cause is a `where` around a "
        "function that is infinite or undefined in the branch not taken: give that function an argument that is safe, "
        "f(where(ok, Z, 1)), inside of the outer `where`"
    ]


def _training_agrees(reference: Reference) -> ProtocolCheck:
    """`cost_and_grads`, which training uses, goes through the logits instead of AL: is it right as well?"""
    X = reference.layers[0].A_prev
    with jax.enable_x64(True):
        _, grads = jax.device_get(
            _compiled_cost_and_grads(
                X, reference.Y, reference.parameters, reference.network, sample_weight=reference.sample_weight
            )
        )
    checks = [
        compare(n, np.asarray(grads[n]), reference.grads[n], reference.S[n], ROUNDOFF["float64"], reference.bound)
        for n in reference.leaves
    ]
    wrong = [check.name for check in checks if check.verdict is Verdict.DISAGREE]
    text = f"{', '.join(wrong)} of `cost_and_grads`, which training uses, disagree with autodiff" if wrong else ""
    return promise("training's gradient", not wrong, text)


_compiled_cost = jax.jit(cost_of, static_argnames="network")
_compiled_cost_and_grads = jax.jit(cost_and_grads, static_argnames="network")


def _reason(verdict, leaves, findings, protocol, reference: Reference) -> str:
    if verdict is Verdict.AGREE:
        worst = max(leaves, key=lambda leaf: leaf.units)
        return f"{len(leaves)} gradients are autodiff's, at most {worst.units:.2g} roundings off, in {worst.name}"
    unsteady = [check.text for check in protocol if check.name == "deterministic" and check.text]
    if unsteady:
        others = [check for check in protocol if check.text not in unsteady]
        besides = _reason(verdict, leaves, findings, others, reference)
        return f"{unsteady[0]}; besides, {besides}" if besides else unsteady[0]
    if findings:
        count = "1 error" if len(findings) == 1 else f"{len(findings)} errors"
        l = int(findings[0].place.lstrip("dAWbZ")) + (findings[0].place.startswith("dA"))
        L = len(reference.layers)
        above = {0: "", 1: f"; layer {L} above it is right"}.get(L - l, f"; layers {l + 1} to {L} above it are right")
        return f"{count}, the first at {findings[0].place}{above}"
    wrong = [leaf.name for leaf in leaves if leaf.verdict is Verdict.DISAGREE]
    if wrong:
        return f"{', '.join(wrong)} disagree with autodiff"
    failed = [check.name for check in protocol if check.verdict is verdict]
    if failed:
        return f"the values are right, but this fails: {', '.join(failed)}"
    return "; ".join(sorted({leaf.reason for leaf in leaves if leaf.reason}))
