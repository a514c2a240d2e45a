"""What a report says, and the values that it is made of."""

import copy

import numpy as np
import pytest

from jaxnet.crosscheck.report import Finding, LeafCheck, Place, Power, Property, Report, Verdict, grouped, overall


@pytest.mark.parametrize(
    "place, text, made_in",
    [(Place("dW", 3), "dW3", 3), (Place("dA", 3), "dA3", 4), (Place("dA", 0), "dA0", 1), (Place("dZ", 12), "dZ12", 12)],
)
def test_a_place_is_the_key_of_the_course(place, text, made_in):
    assert place == text and {place: 1}[text] == 1 and place.made_in == made_in
    for other in (Place.read(text), copy.deepcopy(place)):
        assert (other, other.kind, other.layer) == (text, place.kind, place.layer)


@pytest.mark.parametrize(
    "text, kind", [("dA_prev", "dA"), ("dW", "dW"), ("P['W']", "P['W']"), ("the cost", "the cost")]
)
def test_a_place_without_a_layer(text, kind):
    place = Place.read(text)
    assert (place, place.kind, place.layer) == (text, kind, None)


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
