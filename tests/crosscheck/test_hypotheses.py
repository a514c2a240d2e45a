"""What an array is, beside the right one; the plain formulas that are compared with; and what a report says of it."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.activations import ACTIVATIONS
from jaxnet.crosscheck.backprop import slopes
from jaxnet.crosscheck.hypotheses import FITTED, UNEXPLAINED, Array, Hypothesis, diagnose, fitted
from jaxnet.crosscheck.report import Finding, LeafCheck, Place, Power, Property, Report, Verdict, grouped, overall


random = np.random.default_rng(0)
WANT = random.normal(size=(4, 5))
W = random.normal(size=(4, 5))
TERMS = random.normal(size=(20, 6))
WEIGHTED = Array(TERMS @ np.array([1, 1, 0, 1, 1, 1.0]), TERMS.sum(axis=1), 1e-12, 2.0**-53, (), TERMS)


def array(got, want=WANT):
    return Array(got, want, 1e-12, 2.0**-53, [Hypothesis("regulariser", "{what} has {c} W", W)])


def changed(place, value):
    copy = WANT.copy()
    copy[place] = value
    return copy


@pytest.mark.parametrize(
    "case, code, words",
    [
        (array(3.25 * WANT), "factor", "3.25 times"),
        (array(0 * WANT), "zero", "never written"),
        (array(WANT.T), "transposed", "transposed"),
        (array(WANT * np.nan), "not-finite", "20 entries"),
        (array(WANT[[1, 0, 2, 3]]), "permuted", "the rows of"),
        (array(WANT[:, ::-1]), "permuted", "the columns of"),
        (array(WANT + 0.7 * W), "regulariser", "has 0.7 W"),
        (
            array(2 * WANT + 0.7 * W),
            "factor-and-regulariser",
            "2 times what it should be; besides, the array has 0.7 W",
        ),
        (array(WANT * np.array([[1], [1], [5], [1]])), "rows-scaled", "2 by 5"),
        (array(WANT * np.array([1, 1, 1, 1, 0])), "columns-scaled", "4 by 0"),
        (array(np.clip(WANT, -0.5, 0.5)), "clipped", "cut off at 0.5"),
        (array(changed((1, 2), 9.0)), "entries", "entry [1, 2]: 9"),
        (array(WANT.astype(np.float32).astype(float)), "precision", "the digits of float32"),
        (array(WANT[:, 0], WANT[:, :1]), "shape", "has shape (4,)"),
        (array(np.array([[np.sum(WANT)]]), WANT), "all-summed", "one number, the sum"),
        (WEIGHTED, "examples-weighted", "example 2"),
    ],
)
def test_an_array_is_explained(case, code, words):
    counts, finding = diagnose(Place("dW", 3), "the array", case)
    assert counts == FITTED and finding.code == code and words in finding.text
    assert finding.place == "dW3" and finding.residual <= 1


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e200])
def test_numbers_that_overflow_are_no_crash(value):
    """As saturated points have them: the terms that may have been added, too, are then not finite."""
    huge = np.where(np.eye(4, 5) > 0, value, W)
    case = Array(WANT + W[::-1] ** 2, WANT, 1e-12, 2.0**-53, [Hypothesis("regulariser", "{what} has {c} W", huge)])
    with np.errstate(all="ignore"):
        assert fitted(case) == (UNEXPLAINED, [])


def test_noise_is_not_explained():
    assert fitted(array(random.normal(size=(4, 5)))) == (UNEXPLAINED, [])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slopes_in_plain_numpy_are_the_librarys(x64, name):
    Z = np.linspace(-6, 6, 41)[None] + 0.01
    ours = ACTIVATIONS[name].backward(jnp.ones_like(Z), jnp.asarray(Z))
    np.testing.assert_allclose(slopes.SLOPES[name](Z), ours, rtol=1e-12, atol=1e-15)
    assert name in slopes.LINES


# ---- the report


@pytest.mark.parametrize(
    "verdicts, verdict",
    [
        ("agree agree", "agree"),
        ("agree inconclusive", "inconclusive"),
        ("inconclusive disagree", "disagree"),
        ("", "agree"),
    ],
)
def test_verdicts_add_up(verdicts, verdict):
    assert overall(map(Verdict, verdicts.split())) is Verdict(verdict)


def test_one_error_in_several_layers_is_told_once():
    findings = [Finding(Place("dW", l), "twice", "dW is twice too large", f"dW{l} = ...", l / 10) for l in (3, 2, 1)]
    other = Finding(Place("db", 2), "zero", "db is 0", "db2 = ...")
    (first, second) = grouped([*findings[:2], other, findings[2]])
    assert (first.place, first.residual, second) == ("dW3, dW2, dW1", 0.3, other)


def test_a_report_reads_from_the_verdict_down():
    leaf = LeafCheck("dW1", (2, 3), Verdict.DISAGREE, "", 1.0, 1e9, 100, wrong_entries=6, worst=(0, 1), got=2, want=1)
    report = Report(
        "mine",
        Verdict.DISAGREE,
        "1 error",
        (leaf, LeafCheck("db1", (2, 1), Verdict.INCONCLUSIVE, "overflows", np.nan, np.nan, 100)),
        (Finding(Place("dW", 1), "twice", "dW is twice too large", "dW1 = ...", 0.1, ("something else",)),),
        ("a note",),
        (Property("jit", Verdict.AGREE, ""), Property("vmap", Verdict.INCONCLUSIVE, "why")),
        power=Power(3, 4, ("db: zero (layer 1)",), ("use more examples",)),
        environment={"m": "3"},
    )
    text = str(report)
    order = ["DISAGREE  mine: 1 error", "dW1: dW is twice", "write dW1 =", "so would: something else", "db1: overflows",
             "note      a note", "6 of 6 entries; [0, 1] is 2, not 1", "holds: jit", "vmap: cannot tell: why",
             "3 of 4 known errors", "use more examples", "with      m 3"]  # fmt: skip
    assert [text.find(part) for part in order] == sorted(text.find(part) for part in order)
    assert all(part in text for part in order) and report.first_bad == "dW1"
