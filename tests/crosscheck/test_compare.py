"""Which entries are further off than rounding explains."""

import numpy as np
import pytest

from jaxnet.crosscheck.compare import compare
from jaxnet.crosscheck.report import Cause, Verdict


ONES = np.ones((2, 2))


@pytest.mark.parametrize(
    "got, want, off",
    [
        (ONES, ONES, []),
        (ONES + 15, ONES, []),
        (ONES + [[0, 17], [0, 0]], ONES, [(0, 1)]),
        (ONES * np.nan, ONES, [(0, 0), (0, 1), (1, 0), (1, 1)]),
        (ONES + [[0, 99], [0, 0]], ONES + [[0, np.nan], [0, 0]], []),  # which is not known
        (ONES * np.inf, ONES * np.inf, []),
        (ONES * np.inf, -ONES * np.inf, [(0, 0), (0, 1), (1, 0), (1, 1)]),
        (ONES * np.inf, ONES + [[0, 999], [999, 999]], [(0, 0)]),  # in a type that holds no number beyond 1000
        (np.float32(18), np.array(1.0), [()]),
    ],
)
def test_entries_that_are_off(got, want, off):
    leaf = compare("a", np.asarray(got), np.asarray(want), np.ones(np.shape(want)), 16.0, largest=1000.0)
    assert leaf.off == off and leaf.wrong_entries == len(off)
    assert leaf.verdict is (Verdict.DISAGREE if off else Verdict.AGREE)
    assert leaf.cause is (Cause.ROUNDOFF if off else Cause.NONE)


def test_another_shape_is_no_comparison():
    leaf = compare("a", ONES, np.ones(4), np.ones(4), 16.0)
    assert (leaf.verdict, leaf.cause, leaf.reason) == (Verdict.DISAGREE, Cause.SHAPE, "shape (2, 2); expected (4,)")


def test_what_is_unknown_everywhere_has_no_error():
    leaf = compare("a", ONES, ONES * np.nan, ONES, 16.0)
    assert leaf.agrees and np.isnan([leaf.max_error, leaf.units]).all() and leaf.off == []
