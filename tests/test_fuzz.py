"""Hostile arguments are answered rightly or refused in words: a part of `python -m tests.fuzz`."""

from .fuzz import run


def test_no_call_is_wrong_in_silence(no_shape_checks):
    counts, faults = run(400, seed=1)
    assert faults == [] and counts["refused"] > 100 and counts["right"] > 10
