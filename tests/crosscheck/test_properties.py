"""What holds of a gradient whatever its values are."""

import numpy as np
import pytest

from jaxnet.crosscheck import properties
from jaxnet.crosscheck.report import Verdict


A = {"a": np.array([1.0, np.nan]), "b": np.array([2])}


def exactly(a, b):
    return properties.unlike(a, b)


@pytest.mark.parametrize(
    "other, names",
    [
        (A, []),
        (A | {"b": np.array([2.0])}, ["b"]),  # of another type
        (A | {"a": np.array([1.0, 0.0])}, ["a"]),
        ({"a": A["a"]}, ["b"]),
        (A | {"c": A["b"]}, ["c"]),
    ],
)
def test_unlike(other, names):
    assert properties.unlike(A, other) == names
    unchanged, jit = properties.arguments_unchanged(A, other), properties.under_jit(other, A, exactly)
    assert {unchanged.verdict, jit.verdict} == {Verdict.DISAGREE if names else Verdict.AGREE}
    assert all(name in unchanged.text and name in jit.text for name in names)


@pytest.mark.parametrize("each, holds", [([[1.0], [3.0]], True), ([[1.0], [4.0]], False)])
def test_a_batch_is_the_mean_of_its_examples(each, holds):
    found = properties.additive({"a": np.array(each)}, {"a": np.array([2.0])}, exactly)
    assert (found.verdict is Verdict.AGREE) == holds


def test_what_cannot_be_mapped_is_unclear():
    found = properties.of_two_copies(lambda copies: 1 / 0, (), A, exactly)
    assert found.verdict is Verdict.INCONCLUSIVE and "ZeroDivisionError" in found.text


@pytest.mark.parametrize(
    "gradient, holds",
    [
        (lambda ct: 2 * ct, True),
        (lambda ct: ct**2, False),
        (lambda ct: 2 * ct + 1, False),
        (lambda ct: np.where(ct == 0, np.nan, ct * [1.0, np.inf]), False),  # finite 0 is not
        (lambda ct: ct * [1.0, np.inf], True),
        (lambda ct: ct[:1] if ct[0] == 0 else ct, False),
    ],
)
def test_linear_in_the_cotangent(gradient, holds):
    with np.errstate(all="ignore"):
        found = properties.linear(
            lambda ct: {"a": gradient(np.asarray(ct, np.float64))}, np.ones(2), np.array([0.5, 2.0]), lambda a, b: 1e-12
        )
    assert (found.verdict is Verdict.AGREE) == holds, found
