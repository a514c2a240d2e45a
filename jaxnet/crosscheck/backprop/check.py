"""Is this backward pass of an L-layer network right, and if not, where and why."""

import inspect
from collections.abc import Callable, Mapping, Sequence
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
from ..function.reference import USUAL_CAUSE, Known, completed, three_way
from ..function.verdicts import Case, contradiction, judge
from ..precision import in_full_precision
from ..properties import judged
from ..report import Cause, Doubt, Finding, LeafCheck, Place, Property, Report, ThreeWay, Verdict, overall, reason
from .answers import Answer, as_answer, judge_leaf, judge_leaves
from .calling import Backward, Caller, deterministic, protocol
from .localization import find, kink_convention, with_findings
from .power import measure_power
from .reference import Reference, cost_of, make_reference


@in_full_precision()
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

    u is the unit of roundoff and S the size of the terms that were summed. `backward` is called in `dtype` with the
    caches of the forward pass at this point, cast exactly, and each leaf is judged by the roundoff of the type it came
    in. A step that is wrong for the signal it was given is a finding: where, what, and the line to write. A backward
    pass that draws random numbers is reported before all else. Where autodiff of a slope is NaN, finite differences
    decide, and where they cannot the verdict is inconclusive.

    Args:
        X: Inputs, `(n_x, m)` finite floats, one column per example. `good_point` draws a point at which errors show.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers. Default: the course's network.
        backward: Any function of the course's signature, in JAX or NumPy. Default: `L_model_backward`.
        dtype: The dtype that `backward` is called in: "float64", "float32", "bfloat16" or "float16".
        thorough: Whether to check properties too (inputs unchanged, jit, vmap, additive over the batch), and how many
            known errors would have shown at this point; for large networks these take longest.
        sample_weight: `(m,)` weights of the examples. The cost is that of `cost_and_grads`, and `backward` is called
            as `backward(AL, Y, caches, sample_weight=...)`.

    Raises:
        InputError: where X, Y and parameters do not fit or are not finite. What `backward` raises is passed on.

    Example:
        >>> X, Y, parameters = jaxnet.good_point((3, 4, 1), key=jax.random.key(0))
        >>> jaxnet.check_backward(X, Y, parameters, thorough=False).agrees
        True
        >>> def forgets_m(AL, Y, caches):
        ...     grads = jaxnet.L_model_backward(AL, Y, caches)
        ...     return {name: 7 * g if name == "dW2" else g for name, g in grads.items()}
        >>> report = jaxnet.check_backward(X, Y, parameters, backward=forgets_m, thorough=False)
        >>> report.verdict.value, [str(finding.place) for finding in report.findings]
        ('disagree', ['dW2'])
    """
    let_go()
    if dtype not in ROUNDOFF:
        raise InputError(f"dtype is {dtype!r}; expected one of {', '.join(ROUNDOFF)}")
    if backward is None and network.feedback != backprop:
        raise InputError(
            "under this network's feedback rule, L_model_backward makes no derivative of the cost; check "
            "network.by_backprop, and see `alignment` for the angle between the two"
        )
    reference = make_reference(X, Y, parameters, network, sample_weight)
    called = _library_backward(network) if backward is None else backward
    call = Caller(called if sample_weight is None else _with_weights(called), reference, dtype)
    first = call()
    answer = as_answer(first, reference, dtype, call.unusable)
    again = partial(
        check_backward, X, Y, network=network, backward=backward, thorough=False, sample_weight=sample_weight
    )
    leaves, findings, notes = _judged(answer, reference, again, dtype)
    properties, checks = [deterministic(call, first)], []
    if thorough:
        properties += protocol(call, answer.grads)
        checks, leaves = _by_differences(reference, answer, leaves)
    if backward is None:
        properties.append(_training_agrees(reference))
    verdict = overall([leaf.verdict for leaf in leaves.values()] + [p.verdict for p in properties])
    verdict = Verdict.DISAGREE if findings else verdict
    return Report(
        "L_model_backward" if backward is None else getattr(backward, "__name__", "backward"),
        verdict,
        reason(verdict, properties, _of_the_values(verdict, list(leaves.values()), findings, reference)),
        tuple(leaves.values()),
        tuple(findings),
        tuple(notes),
        tuple(properties),
        tuple(checks),
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


@lru_cache(maxsize=64)
def _library_backward(network: Network) -> Backward:
    """`L_model_backward` of a network; one object, so that it is compiled once."""
    return partial(L_model_backward, network=network)


def _judged(
    answer: Answer, reference: Reference, again: Callable[..., Report], dtype: str
) -> tuple[dict[Place, LeafCheck], list[Finding], list[str]]:
    """The leaves against autodiff, the errors step by step, and notes."""
    with np.errstate(all="ignore"):
        leaves, findings = judge_leaves(answer, reference), find(answer, reference)
        notes = [*answer.conventions, *_undefined(reference)]
        if findings and (kinked := kink_convention(answer, reference)):
            leaves, findings, notes = kinked[0], [], [*notes, kinked[1]]
        wrong = findings or any(leaf.verdict is Verdict.DISAGREE for leaf in leaves.values())
        if wrong and (doubt := _lost_digits(findings, reference, again, dtype)):
            findings, notes = [], [*notes, doubt.text]
            leaves = {place: leaf if leaf.agrees else leaf.doubted(doubt) for place, leaf in leaves.items()}
        return with_findings(leaves, findings), findings, notes


def _lost_digits(
    findings: Sequence[Finding], reference: Reference, again: Callable[..., Report], dtype: str
) -> Doubt | None:
    """Why a backward pass that is off here may be right: in float64, or at smaller parameters, it is."""

    def agrees(share: float) -> bool:
        return again(parameters={name: share * p for name, p in reference.parameters.items()}).agrees

    if dtype != "float64" and agrees(1.0):
        text = f"it is off here in {dtype}, and right in float64: choose a less extreme point"
        return Doubt(Cause.PRECISION, text)
    exact = int(np.count_nonzero((reference.AL == 0) | (reference.AL == 1)))
    if exact and any(finding.code == "not-finite" for finding in findings) and any(map(agrees, (0.5, 0.1))):
        text = f"{exact} entries of AL are exactly 0 or 1 here, by rounding, and it divides by 0: use smaller weights"
        return Doubt(Cause.DIGITS, text)
    return None


def _by_differences(
    reference: Reference, answer: Answer, leaves: Mapping[Place, LeafCheck]
) -> tuple[list[ThreeWay], dict[Place, LeafCheck]]:
    """Finite differences as the third source; where they contradict autodiff, no verdict is due."""
    X, Y = reference.layers[0].A_prev, reference.Y
    cost = partial(_compiled_cost, reference.network, weight=reference.sample_weight)
    function = Function(cost, (reference.parameters, X, Y), 0, compiled=True)
    found, checks = dict(leaves), []
    for i, place in enumerate(Place.read(f"d{name}") for name in reference.parameters):
        if place not in found:
            continue
        unit = answer.roundoff[place] * reference.S[place]
        got, known = answer.grads[place], Known(reference.grads[place], unit, "calibrated")
        if not np.isfinite(known.want).all():
            known = completed(function, i, got, known.want, np.nan_to_num(unit))
        case = Case(function, i, got, known, three_way(function, i, got, known, place))
        checks.append(case.three_way)
        if known.undefined is not None:
            found[place] = judge(case)[0]
        elif doubt := contradiction(case, found[place]):
            found[place] = found[place].doubted(doubt)
    return checks, found


def _undefined(reference: Reference) -> list[str]:
    """A note on slopes at which autodiff is of no use."""
    if not reference.undefined:
        return []
    decided = reference.undefined - reference.unknown
    return [
        f"autodiff of the activation or of the loss gives NaN or inf at {reference.undefined} entries; finite "
        f"differences decide {decided} of them. {USUAL_CAUSE}"
    ]


def _training_agrees(reference: Reference) -> Property:
    """`cost_and_grads`, which training uses, goes through the logits instead of AL: is it right as well?"""
    X, weight = reference.layers[0].A_prev, reference.sample_weight
    with jax.enable_x64(True):
        _, grads = jax.device_get(
            _compiled_cost_and_grads(X, reference.Y, reference.parameters, reference.network, sample_weight=weight)
        )
    u = ROUNDOFF["float64"]
    checks = [judge_leaf(place, np.asarray(grads[place]), u, reference) for place in reference.leaves]
    wrong = ", ".join(check.name for check in checks if check.verdict is Verdict.DISAGREE)
    text = f"{wrong} of `cost_and_grads`, which training uses, disagree with autodiff"
    return judged("training's gradient", not wrong, text)


_compiled_cost = jax.jit(cost_of, static_argnames="network")
_compiled_cost_and_grads = jax.jit(cost_and_grads, static_argnames="network")


def _of_the_values(
    verdict: Verdict, leaves: Sequence[LeafCheck], findings: Sequence[Finding], reference: Reference
) -> str:
    """What decides the verdict, of the values; empty where they do not."""
    if verdict is Verdict.AGREE:
        worst = max(leaves, key=lambda leaf: leaf.units)
        units = f"{worst.units:.2g} units of roundoff, in {worst.name}"
        return f"{len(leaves)} gradients agree with autodiff, to at most {units}"
    if findings:
        count = "1 error" if len(findings) == 1 else f"{len(findings)} errors"
        place, L = findings[0].place, len(reference.layers)
        l = place.made_in
        above = {0: "", 1: f"; layer {L} above it is right"}.get(L - l, f"; layers {l + 1} to {L} above it are right")
        return f"{count}, the first at {place}{above}"
    wrong = [leaf.name for leaf in leaves if leaf.verdict is Verdict.DISAGREE]
    if wrong:
        return f"{', '.join(wrong)} disagree with autodiff"
    return "; ".join(sorted({leaf.reason for leaf in leaves if leaf.verdict is verdict}))
