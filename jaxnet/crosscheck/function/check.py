"""Is this gradient of any function right: JAX or NumPy, given as a function or as a `jax.custom_vjp`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ...programs import let_go
from ..compare import ROUNDOFF
from ..hypotheses import Array, Hypothesis, diagnose
from ..precision import in_full_precision
from ..properties import judged
from ..report import Cause, Doubt, Finding, LeafCheck, Place, Property, Report, Verdict, overall, reason
from .calibration import Tested
from .calling import Called, called_twice, gradient_protocol, rule_protocol
from .function import Function, make_function
from .reference import CALIBRATED, references, three_way
from .returned import Returned, gradient_as_leaves
from .verdicts import Case, judge, measured


class GradientMismatch(AssertionError):
    """A gradient that is wrong, or that could not be judged; the message is the report."""

    def __init__(self, report: Report):
        super().__init__(report)
        self.report = report


@in_full_precision()
def check_gradient(
    fun: Callable[..., Any],
    grad: Callable[..., Any] | None = None,
    *,
    args: tuple,
    wrt: int | Sequence[int] = 0,
    cotangent: Any = None,
    thorough: bool = True,
) -> Report:
    """|got - want| of `grad(*args)`, a pytree shaped like `args[wrt]`, in units of the function's own roundoff.

    The reference is autodiff in float64 of the exactly cast arguments; for NumPy functions it is the complex step
    where they are analytic, else finite differences with an error bar. How far rounding may take correct code is
    calibrated, by differentiating in lower precision and at arguments moved by a unit of roundoff. Finite differences
    are the third source: where they contradict autodiff, the reference is at fault and the verdict is inconclusive.
    Where autodiff is not finite, differences decide entry by entry; an entry that nothing can judge makes the verdict
    inconclusive. `fun` and `grad` are called twice, and if they differ that is reported before all else.

    Args:
        fun: The function, in JAX or NumPy, that returns one number.
        grad: Its gradient, a function of the same arguments. Without it, `fun` is a `jax.custom_vjp`, whose rule is
            checked against autodiff of the function under it.
        args: Where both are called. Integers, flags, keys and empty arrays are passed through; in `args[wrt]` their
            gradient is zeros, float0 or None.
        wrt: The argument, or arguments, that the gradient is taken with respect to.
        cotangent: For a function that does not return one number, an array in the shape of its value: the gradient is
            then that of their product.
        thorough: Whether to check properties too: arguments unchanged, `jit`, `vmap`, linear in the cotangent.

    Raises:
        InputError: for arguments that cannot be differentiated and for complex numbers, before `grad` is called. What
            `fun` and `grad` raise is passed on.

    Example:
        >>> x = np.array([1.0, -2.0, 3.0])
        >>> jaxnet.check_gradient(lambda x: np.sum(x**3), lambda x: 3 * x**2, args=(x,)).agrees
        True
        >>> jaxnet.check_gradient(lambda x: np.sum(x**3), lambda x: 2 * x**2, args=(x,)).verdict.value
        'disagree'
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
        called = called_twice(call, function)
        returned = gradient_as_leaves(called.gradient, function)
        if not called.function_is_steady:
            text, protocol = called.deterministic.text, (called.deterministic,)
            return Report(subject, Verdict.INCONCLUSIVE, text, (), protocol=protocol)
        if returned.wrong:
            return _of_another_kind(subject, returned, called)
        protocol = [called.deterministic]
        if thorough:
            protocol += gradient_protocol(call, function) if rule is None or grad else rule_protocol(rule, function)
        # Of code that is not the same twice, calling it again shows nothing of its rounding.
        tested = Tested(function, call) if called.deterministic.verdict is Verdict.AGREE else None
        return _compared(subject, function, tested, returned, protocol)


def assert_gradient(fun: Callable[..., Any], grad: Callable[..., Any] | None = None, **options: Any) -> None:
    """`check_gradient` for tests: raises `GradientMismatch`, whose message is the report, unless the gradient agrees.

    Example:
        >>> jaxnet.assert_gradient(lambda x: np.sum(x**2), lambda x: 2 * x, args=(np.array([1.0, 2.0]),))
    """
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


def _of_another_kind(subject: str, returned: Returned, called: Called) -> Report:
    """The report on something that cannot be a gradient of these arguments."""
    text = "; ".join(finding.text for finding in returned.wrong)
    protocol = (called.deterministic, judged("structure", False, text))
    text = reason(Verdict.DISAGREE, protocol, text)
    return Report(subject, Verdict.DISAGREE, text, (), returned.wrong, protocol=protocol)


def _compared(
    subject: str, function: Function, tested: Tested | None, returned: Returned, protocol: Sequence[Property]
) -> Report:
    """The report on a gradient, leaf by leaf."""
    cases = _cases(function, tested, returned.leaves)
    judgements = list(map(judge, cases))
    leaves = [leaf for leaf, _ in judgements]
    leaves = leaves if tested is None else _but_for_precision(tested, cases, leaves)
    wrong = [case for case, leaf in zip(cases, leaves, strict=True) if leaf.verdict is Verdict.DISAGREE]
    verdict = overall([leaf.verdict for leaf in leaves] + [p.verdict for p in protocol])
    return Report(
        subject,
        verdict,
        reason(verdict, protocol, _of_the_values(verdict, leaves)),
        tuple(leaves),
        tuple(_explain(case, cases) for case in wrong),
        (*returned.notes, *(note for _, notes in judgements for note in notes)),
        tuple(protocol),
        tuple(case.three_way for case in cases),
        environment={"reference": _source(cases), "jax": jax.__version__},
    )


def _cases(function: Function, tested: Tested | None, got: list[np.ndarray]) -> list[Case]:
    """Every leaf with all that is known of it."""
    return [
        Case(function, i, got[i], known, three_way(function, i, got[i], known, function.names[i]), tested)
        for i, known in enumerate(references(function, got))
    ]


def _but_for_precision(tested: Tested, cases: list[Case], leaves: list[LeafCheck]) -> list[LeafCheck]:
    """What is wrong in lower precision and not in float64, where every error of the mathematics shows, is doubted."""
    narrow = tested.function.roundoff > ROUNDOFF["float64"] and tested.function.wide
    if not narrow or all(leaf.verdict is not Verdict.DISAGREE for leaf in leaves):
        return leaves
    got, tested = tested.at(tested.function.leaves), tested.in_float64()
    if got is None:
        return leaves
    text = "it is off here in the precision of its arguments, and right in float64: choose a less extreme point"
    found = []
    for leaf, case, exact in zip(leaves, cases, _cases(tested.function, tested, got), strict=True):
        if leaf.verdict is Verdict.DISAGREE:
            wide = judge(exact)[0]
            if wide.verdict is not Verdict.DISAGREE and _shrinks(case, exact):
                leaf = leaf.doubted(Doubt(wide.cause or Cause.PRECISION, wide.reason or text))
        found.append(leaf)
    return found


def _shrinks(case: Case, exact: Case) -> bool:
    """Is every entry less far off in float64? There an error beside a number that float32 cannot hold looks small."""
    apart = [np.nan_to_num(np.abs(of.got.astype(np.float64) - of.known.want), nan=np.inf) for of in (case, exact)]
    seen = measured(exact).off  # and judged
    return all(apart[1][entry] <= 0.5 * apart[0][entry] for entry in measured(case).off if entry not in seen)


# ---- what is wrong


def _explain(case: Case, cases: Sequence[Case]) -> Finding:
    """What the leaf is, beside what it should be, where that is known."""
    want, got, term, what = case.known.want, case.got.astype(np.float64), case.function.leaves[case.i], "the gradient"
    known, place = np.isfinite(want), Place(case.name)
    if got.shape == want.shape and not known.all():
        if not known.any():
            return Finding(place, "unknown", f"{what} contradicts the differences along a direction")
        got, want, term = got[known], want[known], term[known]
    unit = float(np.nanmax(case.known.unit, initial=1e-300))
    text = f"{{what}} has a term {{c}} {case.name} that the function does not have"
    added = [Hypothesis("regulariser", text, term)]
    array = Array(got, want, CALIBRATED * unit, unit / max(case.known.scale, 1e-300), added)
    _, finding = diagnose(place, what, array, _named(case, cases))
    if finding.code != "factor":
        return finding
    c = float(np.vdot(want, got) / np.vdot(want, want))
    return replace(finding, text=finding.text + _named_factor(c, case.function))


def _named(case: Case, cases: Sequence[Case]) -> Iterator[Hypothesis]:
    """What the leaf would be with errors that any gradient may have."""
    for other in cases:
        if other is not case:
            yield Hypothesis("swapped", f"{{what}} is the one with respect to {other.name}", other.known.want)
    function = case.function
    if function.cotangent is not None and function.traceable:
        ones = replace(function, cotangent=jax.tree.map(lambda ct: np.ones(np.shape(ct)), function.cotangent))
        text = "{what} is that for a cotangent of ones: the cotangent is not multiplied in"
        yield Hypothesis("cotangent-ignored", text, ones.autodiff()[case.i])


def _named_factor(c: float, function: Function) -> str:
    """What a factor may come from: a sign, or the length of an axis."""
    lengths = sorted({n for leaf in jax.tree.leaves(function.args) for n in np.shape(leaf) if n > 1})
    for n in lengths:
        if abs(c - n) < 1e-4 * n:
            return f"; {n} is the length of an axis of the arguments: does a sum stand where a mean belongs?"
        if abs(c * n - 1) < 1e-4:
            return f", which is 1/{n}; {n} is the length of an axis of the arguments: does a mean stand for a sum?"
    return ": its sign is wrong" if abs(c + 1) < 1e-4 else ""


def _source(cases: Sequence[Case]) -> str:
    """Where the references come from."""
    names = {"calibrated": f"autodiff in {'float64' if cases[0].function.wide else 'float32'}"}
    kinds = {names.get(case.known.kind, case.known.kind) for case in cases}
    if any(case.known.undefined is not None and case.known.undefined.any() for case in cases):
        kinds.add("differences where it is not finite")
    return " and ".join(sorted(kinds))


def _of_the_values(verdict: Verdict, leaves: Sequence[LeafCheck]) -> str:
    """What decides the verdict, of the values; empty where they do not."""
    if verdict is not Verdict.AGREE:
        chosen = [leaf for leaf in leaves if leaf.verdict is verdict]
        return f"{', '.join(leaf.name for leaf in chosen)}: {chosen[0].reason}" if chosen else ""
    count = "1 array" if len(leaves) == 1 else f"{len(leaves)} arrays"
    away_from_kinks = [leaf for leaf in leaves if leaf.cause is not Cause.KINK]
    if not away_from_kinks:
        return f"{count}, but for kinks"
    worst = max(away_from_kinks, key=lambda leaf: leaf.units)
    return f"{count}, to at most {worst.units:.2g} units of roundoff, in {worst.name}"
