"""Is this gradient of any function right: JAX or NumPy, given as a function or as a `jax.custom_vjp`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from .calibration import Tested, leaves_of
from .fits import Array, fitted
from .functions import Function, make_function
from .reference import ROUNDOFF
from .report import Finding, LeafCheck, ProtocolCheck, Report, Verdict, overall
from .rules import gradient_protocol, in_precision_of, rule_protocol
from .verdicts import CALIBRATED, Case, judge
from .witnesses import triangle, witnesses


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
    wrt: int | tuple[int, ...] = 0,
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
    `thorough` adds the protocol: the same twice, arguments untouched, `jit`, `vmap`, linear in the cotangent.
    Raises `InputError` for arguments that cannot be differentiated; what `fun` and `grad` raise is passed on.
    """
    rule = fun if isinstance(fun, jax.custom_vjp) else None
    if grad is None and rule is None:
        raise InputError("without grad, fun must be a jax.custom_vjp, whose rule is then checked; or pass grad=")
    if grad is None and cotangent is None:
        cotangent = _drawn_cotangent(fun, args)
    function = make_function(fun if rule is None else rule.fun, args, wrt, cotangent)
    call = _gradient_of_rule(fun, function) if grad is None else grad
    subject = getattr(fun if grad is None else grad, "__name__", "gradient").replace("<lambda>", "the gradient")
    with in_precision_of(function.args):
        gradient = jax.tree.map(np.asarray, call(*function.args))
    got, wrong_structure = leaves_of(gradient, function)
    if wrong_structure:
        check = ProtocolCheck("structure", Verdict.DISAGREE, wrong_structure)
        return Report(subject, Verdict.DISAGREE, wrong_structure, (), protocol=(check,))
    with np.errstate(all="ignore"):
        cases, leaves, notes = _judged(Tested(function, call), got)
        leaves = _but_for_precision(Tested(function, call), leaves)
        wrong = [case for case, leaf in zip(cases, leaves, strict=True) if leaf.verdict is Verdict.DISAGREE]
        findings = tuple(_explain(case, cases) for case in wrong)
    protocol = []
    if thorough:
        protocol = gradient_protocol(call, function) if rule is None or grad else rule_protocol(rule, function)
    verdict = overall([leaf.verdict for leaf in leaves] + [check.verdict for check in protocol])
    return Report(
        subject,
        verdict,
        _reason(verdict, leaves, protocol),
        tuple(leaves),
        findings,
        tuple(note for note in notes if note),
        tuple(protocol),
        tuple(case.triangle for case in cases),
        environment={"reference": _oracle(cases), "jax": jax.__version__},
    )


def _judged(tested: Tested, got: list[np.ndarray]) -> tuple[list[Case], list[LeafCheck], list[str]]:
    """Every leaf with all that is known of it, its verdict, and a note."""
    function = tested.function
    cases = [
        Case(function, i, got[i], witness, triangle(function, i, got[i], witness), tested)
        for i, witness in enumerate(witnesses(function, got))
    ]
    leaves, notes = zip(*map(judge, cases), strict=True)
    return cases, list(leaves), list(notes)


def _but_for_precision(tested: Tested, leaves: list[LeafCheck]) -> list[LeafCheck]:
    """What is wrong in lower precision and not in float64, where every error of the mathematics shows, is no such."""
    if tested.function.roundoff <= ROUNDOFF["float64"] or all(leaf.verdict is not Verdict.DISAGREE for leaf in leaves):
        return leaves
    tested = tested.in_float64()
    reason = "it is off here in the precision of its arguments, and right in float64: choose a less extreme point"
    _, exact, _ = _judged(tested, tested.got)
    return [
        replace(leaf, verdict=Verdict.INCONCLUSIVE, reason=reason)
        if leaf.verdict is Verdict.DISAGREE and of_float64.verdict is not Verdict.DISAGREE
        else leaf
        for leaf, of_float64 in zip(leaves, exact, strict=True)
    ]


def assert_gradient(fun: Callable[..., Any], grad: Callable[..., Any] | None = None, **options: Any) -> None:
    """`check_gradient`, for tests: raises `GradientMismatch`, whose message is the report, unless it agrees."""
    report = check_gradient(fun, grad, **options)
    if not report.agrees:
        raise GradientMismatch(report)


def _drawn_cotangent(fun: Callable[..., Any], args: tuple) -> Any:
    """One that is not 1, which many a rule takes for granted; the same every time."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda part: random.normal(size=np.shape(part)) + 1.5, fun(*args))


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
        close = got.shape == other.witness.want.shape and np.max(np.abs(got - other.witness.want)) <= CALIBRATED * unit
        if other is not case and close:
            return Finding(case.name, "swapped", f"{what} is the one with respect to {other.name}", "")
    if _ignores_cotangent(case):
        text = f"{what} is that for a cotangent of ones: the cotangent is not multiplied in"
        return Finding(case.name, "cotangent-ignored", text, "")
    if np.isnan(want).any():
        return Finding(case.name, "unknown", f"{what} contradicts the differences where they looked", "")
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
    want = ones.autodiff()[case.i]
    close = CALIBRATED * float(np.nanmax(case.witness.unit, initial=0.0))
    return want.shape == case.got.shape and bool(np.max(np.abs(case.got - want)) <= close)


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
    names = {"calibrated": "autodiff in float64"}
    return " and ".join(sorted({names.get(case.witness.kind, case.witness.kind) for case in cases}))


def _reason(verdict: Verdict, leaves: Sequence[LeafCheck], protocol: Sequence[ProtocolCheck]) -> str:
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
    return f"the values are right, but this fails: {', '.join(c.name for c in protocol if c.verdict is verdict)}"
