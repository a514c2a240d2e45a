"""Hostile arguments are answered rightly or refused in words: a part of `python -m tests.fuzz`."""

import pytest

from .fuzz import run


@pytest.mark.parametrize("calls", [100, pytest.param(400, marks=pytest.mark.thorough)])
def test_no_call_is_wrong_in_silence(no_shape_checks, calls):
    counts, faults = run(calls, seed=1)
    assert faults == [] and counts["refused"] > calls / 4 and counts["right"] > calls / 40
