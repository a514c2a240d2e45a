"""Is this gradient of any function right: JAX or NumPy, given as a function or as a `jax.custom_vjp`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ...programs import let_go
from ..compare import ROUNDOFF
from ..fits import Array, fitted
from ..report import Finding, LeafCheck, ProtocolCheck, Report, Verdict, overall
from .calibration import Tested
from .function import Function, make_function
from .returned import Returned, gradient_as_leaves
from .rules import called_twice, gradient_protocol, rule_protocol
from .verdicts import Case, judge, measured
from .witnesses import CALIBRATED, triangle, witnesses


class GradientMismatch(AssertionError):
    """A gradient that is wrong, or of which it could not be told; the message is the report."""

    def __init__(self, report: Report):
        super().__init__(report)
        self.report = report


def check_gradient(
    fun: Callable[..., Any],
    grad: Callable[..., Any] | None = None,
    *,
    args: tuple,
    wrt: int | Sequence[int] = 0,
    cotangent: Any = None,
    thorough: bool = True,
) -> Report:
    """|got - want| of `grad(*args)`, a pytree shaped like `args[wrt]`, in roundings of the function itself.

    Without `grad`, `fun` is a `jax.custom_vjp` and its rule is checked against autodiff of the function under it.
    A function that does not return one number needs a `cotangent` in the shape of its value: then the gradient is
    that of their product. The reference is autodiff in float64 of the exactly-cast arguments; for NumPy functions the
    complex step where they are analytic, else finite differences with an error bar. How far rounding may take correct
    code is calibrated: by differentiating in lower precision and at arguments moved by a rounding. Finite differences
    are the third witness: where they contradict autodiff, the reference is at fault and the verdict is inconclusive.
    Where autodiff is not finite, differences decide entry by entry; an entry that nothing can judge makes the verdict
    inconclusive. `fun` and `grad` are called twice, and if they differ that is reported before all else.
    Integers, flags, keys and empty arrays are passed through; in `args[wrt]` their gradient is zeros, float0 or None.
    `thorough` adds the protocol: arguments untouched, `jit`, `vmap`, linear in the cotangent.
    Raises `InputError` for arguments that cannot be differentiated and for complex numbers, before `grad` is called;
    what `fun` and `grad` raise is passed on.
    """
    let_go()
    rule = fun if isinstance(fun, jax.custom_vjp) else None
    if grad is None and rule is None:
        raise InputError("without grad, fun must be a jax.custom_vjp, whose rule is then checked; or pass grad=")
    drawn = grad is None and cotangent is None
    function = make_function(fun if rule is None else rule.fun, args, wrt, cotangent, drawn=drawn)
    call = _gradient_of_rule(fun, function) if grad is None else grad
    subject = getattr(fun if grad is None else grad, "__name__", "gradient").replace("<lambda>", "the gradient")
    with np.errstate(all="ignore"):
        gradient, steady = called_twice(call, function)
        returned = gradient_as_leaves(gradient, function)
        if not steady.of_function:
            return Report(subject, Verdict.INCONCLUSIVE, steady.check.text, (), protocol=(steady.check,))
        if returned.wrong:
            return _of_another_kind(subject, returned, steady.check)
        protocol = [steady.check]
        if thorough:
            protocol += gradient_protocol(call, function) if rule is None or grad else rule_protocol(rule, function)
        # Of code that is not the same twice, calling it again tells nothing of its rounding.
        tested = Tested(function, call) if steady.check.verdict is Verdict.AGREE else None
        return _compared(subject, function, tested, returned, protocol)


def _compared(
    subject: str, function: Function, tested: Tested | None, returned: Returned, protocol: Sequence[ProtocolCheck]
) -> Report:
    """The report on a gradient, leaf by leaf."""
    cases, leaves, notes = _judged(function, tested, returned.leaves)
    leaves = leaves if tested is None else _but_for_precision(tested, cases, leaves)
    wrong = [case for case, leaf in zip(cases, leaves, strict=True) if leaf.verdict is Verdict.DISAGREE]
    verdict = overall([leaf.verdict for leaf in leaves] + [check.verdict for check in protocol])
    return Report(
        subject,
        verdict,
        _reason(verdict, leaves, protocol),
        tuple(leaves),
        tuple(_explain(case, cases) for case in wrong),
        (*returned.notes, *(note for of_leaf in notes for note in of_leaf)),
        tuple(protocol),
        tuple(case.triangle for case in cases),
        environment={"reference": _oracle(cases), "jax": jax.__version__},
    )


def _judged(
    function: Function, tested: Tested | None, got: list[np.ndarray]
) -> tuple[list[Case], list[LeafCheck], list[list[str]]]:
    """Every leaf with all that is known of it, its verdict, and notes."""
    cases = [
        Case(function, i, got[i], witness, triangle(function, i, got[i], witness), tested)
        for i, witness in enumerate(witnesses(function, got))
    ]
    leaves, notes = zip(*map(judge, cases), strict=True)
    return cases, list(leaves), list(notes)


def _but_for_precision(tested: Tested, cases: list[Case], leaves: list[LeafCheck]) -> list[LeafCheck]:
    """What is wrong in lower precision and not in float64, where every error of the mathematics shows, is no such."""
    narrow = tested.function.roundoff > ROUNDOFF["float64"] and tested.function.wide
    if not narrow or all(leaf.verdict is not Verdict.DISAGREE for leaf in leaves):
        return leaves
    got, tested = tested.at(tested.function.leaves), tested.in_float64()
    if got is None:
        return leaves
    reason = "it is off here in the precision of its arguments, and right in float64: choose a less extreme point"
    exact, of_float64, _ = _judged(tested.function, tested, got)
    return [
        replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=wide.reason or reason)
        if leaf.verdict is Verdict.DISAGREE and wide.verdict is not Verdict.DISAGREE and _shrinks(case, of_case)
        else leaf
        for leaf, wide, case, of_case in zip(leaves, of_float64, cases, exact, strict=True)
    ]


def _shrinks(case: Case, exact: Case) -> bool:
    """Is every entry less far off in float64? There an error beside a number that float32 cannot hold looks small."""
    apart = [np.nan_to_num(np.abs(of.got.astype(np.float64) - of.witness.want), nan=np.inf) for of in (case, exact)]
    seen = measured(exact)[1]  # and judged
    return all(apart[1][entry] <= 0.5 * apart[0][entry] for entry in measured(case)[1] if entry not in seen)


def _of_another_kind(subject: str, returned: Returned, steady: ProtocolCheck) -> Report:
    """The report on something that cannot be a gradient of these arguments."""
    text = "; ".join(finding.text for finding in returned.wrong)
    text = text if steady.verdict is Verdict.AGREE else f"{steady.text}; {text}"
    protocol = (steady, ProtocolCheck("structure", Verdict.DISAGREE, text))
    return Report(subject, Verdict.DISAGREE, text, (), returned.wrong, protocol=protocol)


def assert_gradient(fun: Callable[..., Any], grad: Callable[..., Any] | None = None, **options: Any) -> None:
    """`check_gradient`, for tests: raises `GradientMismatch`, whose message is the report, unless it agrees."""
    report = check_gradient(fun, grad, **options)
    if not report.agrees:
        raise GradientMismatch(report)


def _gradient_of_rule(fun: Callable[..., Any], function: Function) -> Callable[..., Any]:
    """The gradient that a custom rule makes, as a function of the arguments."""

    def gradient(*args: Any) -> Any:
        out, transpose = jax.vjp(lambda *selected: fun(*function.with_selected(args, selected)), *function.selected)
        by_position = transpose(jax.tree.map(lambda ct, part: jnp.asarray(ct, part.dtype), function.cotangent, out))
        return by_position if isinstance(function.wrt, tuple) else by_position[0]

    return gradient


def _explain(case: Case, cases: Sequence[Case]) -> Finding:
    """What the leaf is, beside what it should be."""
    want, got, what = case.witness.want, case.got.astype(np.float64), "the gradient"
    unit = float(np.nanmax(case.witness.unit, initial=1e-300))
    for other in cases:
        if other is not case and _close(got, other.witness.want, CALIBRATED * unit):
            return Finding(case.name, "swapped", f"{what} is the one with respect to {other.name}", "")
    if _ignores_cotangent(case):
        text = f"{what} is that for a cotangent of ones: the cotangent is not multiplied in"
        return Finding(case.name, "cotangent-ignored", text, "")
    known = np.isfinite(want)
    if got.shape == want.shape and not known.all():
        if not np.isfinite(got[known]).all():
            count = int(np.count_nonzero(~np.isfinite(got[known])))
            return Finding(case.name, "not-finite", f"{what} has {count} entries that should be finite", "", 0.0)
        by = "autodiff and" if case.witness.kind == "calibrated" else "the"
        return Finding(case.name, "unknown", f"{what} contradicts {by} differences where they decide", "")
    added = (("regulariser", f"{{what}} has a term {{c}} {case.name} that the function does not have", _leaf(case)),)
    roundoff = unit / max(case.witness.scale, 1e-300)
    fit = fitted(Array(got, want, CALIBRATED * unit, roundoff, None, added))
    if fit is None:
        return Finding(case.name, "unknown", f"{what} is wrong in a way not known here", "")
    text = fit.text.replace("{what}", what) + (_named_factor(case) if fit.code == "factor" else "")
    return Finding(case.name, fit.code, text, "", fit.residual)


def _ignores_cotangent(case: Case) -> bool:
    function = case.function
    if function.cotangent is None or not function.traceable:
        return False
    ones = replace(function, cotangent=jax.tree.map(lambda ct: np.ones(np.shape(ct)), function.cotangent))
    return _close(case.got, ones.autodiff()[case.i], CALIBRATED * float(np.nanmax(case.witness.unit, initial=0.0)))


def _close(got: np.ndarray, want: np.ndarray, room: float) -> bool:
    """Are they the same wherever `want` is finite?"""
    known = np.isfinite(want)
    return got.shape == want.shape and bool(known.any() and np.max(np.abs(got - want)[known]) <= room)


def _leaf(case: Case) -> np.ndarray:
    return case.function.leaves[case.i]


def _named_factor(case: Case) -> str:
    """What a factor may come from: a sign, or the length of an axis."""
    want, got = case.witness.want, case.got.astype(np.float64)
    c = float(np.vdot(want, got) / np.vdot(want, want))
    lengths = sorted({n for leaf in jax.tree.leaves(case.function.args) for n in np.shape(leaf) if n > 1})
    for n in lengths:
        if abs(c - n) < 1e-4 * n:
            return f"; {n} is the length of an axis of the arguments: does a sum stand where a mean belongs?"
        if abs(c * n - 1) < 1e-4:
            return f", which is 1/{n}; {n} is the length of an axis of the arguments: does a mean stand for a sum?"
    return ": its sign is wrong" if abs(c + 1) < 1e-4 else ""


def _oracle(cases: Sequence[Case]) -> str:
    names = {"calibrated": f"autodiff in {'float64' if cases[0].function.wide else 'float32'}"}
    kinds = {names.get(case.witness.kind, case.witness.kind) for case in cases}
    if any(case.witness.undefined is not None and case.witness.undefined.any() for case in cases):
        kinds.add("differences where it is not finite")
    return " and ".join(sorted(kinds))


def _reason(verdict: Verdict, leaves: Sequence[LeafCheck], protocol: Sequence[ProtocolCheck]) -> str:
    unsteady = [check.text for check in protocol if check.name == "deterministic" and check.text]
    if unsteady:
        others = _reason(verdict, leaves, [check for check in protocol if check.text not in unsteady])
        return f"{unsteady[0]}; besides, {others}" if others else unsteady[0]
    chosen = [leaf for leaf in leaves if leaf.verdict is verdict]
    if verdict is Verdict.AGREE:
        away_from_kinks = [leaf for leaf in leaves if not leaf.reason]
        count = "1 array" if len(leaves) == 1 else f"{len(leaves)} arrays"
        if not away_from_kinks:
            return f"{count}, but for kinks"
        worst = max(away_from_kinks, key=lambda leaf: leaf.units)
        return f"{count}, at most {worst.units:.2g} roundings off, in {worst.name}"
    if chosen:
        return f"{', '.join(leaf.name for leaf in chosen)}: {chosen[0].reason}"
    failed = ", ".join(check.name for check in protocol if check.verdict is verdict)
    return f"the values are right, but this fails: {failed}" if failed else ""
