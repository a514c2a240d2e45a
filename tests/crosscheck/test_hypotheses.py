"""What an array is, beside the right one."""

import numpy as np
import pytest

from jaxnet.crosscheck.hypotheses import FITTED, UNEXPLAINED, Array, Hypothesis, diagnose, fitted
from jaxnet.crosscheck.report import Place


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
