"""What a bug is, and the factors that an array may be too large by."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ..steps import Step


# What to change at a point where a bug does not show.
TWO = "use several examples"
BOTH_SIGNS = "let every layer have Z of both signs"
SOFT = "use labels that are wrong for some examples, and outputs away from 0 and 1"


class Bug(NamedTuple):
    """One error."""

    code: str
    place: str
    text: str  # what is wrong, in words
    value: Callable[[Step], np.ndarray | None]
    reveal: str = ""  # the point at which it shows


# What a leaf may be too large by. The words finish the sentence "dW is ...".
FACTORS: dict[str, tuple[Callable[[Step], float], str, str]] = {
    "sign": (lambda s: -1.0, "of the wrong sign", ""),
    "mean-missing": (lambda s: s.m, "m times too large: a sum where the mean belongs", "use more than one example"),
    "mean-twice": (lambda s: 1 / s.m, "m times too small: divided by m once too often", "use more than one example"),
    "twice": (lambda s: 2.0, "twice too large", ""),
    "half": (lambda s: 0.5, "half of what it should be", ""),
    "outputs-times": (lambda s: len(s.Y), "K times too large, K the number of outputs", "use several outputs"),
    "outputs-mean": (lambda s: 1 / len(s.Y), "K times too small, K the number of outputs", "use several outputs"),
    "all-mean": (
        lambda s: 1 / s.Y.size,
        "m K times too small: the mean also runs over the K outputs",
        "use several outputs and examples",
    ),
    "units-mean": (lambda s: s.m / len(s.layer.W), "divided by n instead of m", "let n differ from m"),
    "inputs-mean": (
        lambda s: s.m / s.layer.W.shape[1],
        "divided by n_prev instead of m",
        "let n_prev differ from m",
    ),
    "unbiased": (lambda s: s.m / max(s.m - 1, 1), "divided by m - 1 instead of m", "use more than one example"),
}
ONLY_SCALES = ("units-mean", "inputs-mean", "unbiased")  # these are slips of a mean, so of dW and db


def scaled(place: str, right: Callable[[Step], np.ndarray]) -> Iterator[Bug]:
    """`place` times each of the factors."""
    for code, (factor, words, reveal) in FACTORS.items():
        if place not in ("dW", "db") and code in ONLY_SCALES:
            continue

        def value(s: Step, factor=factor, of_outputs="outputs" in reveal) -> np.ndarray | None:
            # With one output, dividing by their number is no error.
            return None if of_outputs and len(s.Y) == 1 else factor(s) * right(s)

        yield Bug(code, place, f"{{what}} is {words}", value, reveal)
