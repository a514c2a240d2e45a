"""The benchmark against peers does with every library what it says it does; of times nothing is asked."""

import argparse
import pkgutil

import pytest

from tests import right_numpy
from tests.benchmarks import false_alarms, growth, harness, peers, problem, sweep
from tests.benchmarks.contenders import course


LIBRARIES = {
    "torch": "torch",
    "torch-compile": "torch",
    "floor-torch": "torch",
    "equinox": "equinox",
    "flax": "flax",
    "sklearn": "sklearn",
}
TINY = {
    "all examples, one output": problem.Case((6, 5, 4, 1), 20, loss="binary_cross_entropy"),
    "minibatches, three classes": problem.Case((6, 5, 3), 8, batches=3, unit=2),
}
# Ten seconds of compiling; and where no C++ compiler is, the benchmark itself says so.
COMPILING = [name for name in peers.PEERS if name.endswith("compile")]
OPTIONS = {"rounds": 1, "whole": 1, "iterations": 5, "contenders": ["numpy"]}


def prepared(name, given):
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name], reason=f"{LIBRARIES[name]} is not installed: pip install '.[bench]'")
    return pkgutil.resolve_name(peers.CONTENDERS[name])(given)


@pytest.mark.parametrize("case", TINY)
@pytest.mark.parametrize("name", [name for name in peers.PEERS if name not in COMPILING])
@pytest.mark.few(9)
def test_every_contender_makes_the_courses_steps(name, case, default_promotion):
    given = problem.draw(TINY[case])
    run, reference = prepared(name, given), course.prepare(given)
    before = given.cost(given.parameters)
    if name in ("jaxnet", "jaxnet-unreduced") and given.order is None:  # which begins anew in every run
        cost, expected = run(6)(), reference(6)()
    else:
        cost, expected = [made(2)() + made(4)() for made in (run, reference)]
    assert abs(cost - expected) <= 1e-5 * expected
    assert expected != before


@pytest.mark.parametrize("library", ["numpy", "torch", "xla"])
def test_the_floor_times_every_product_of_a_step(library):
    seconds = prepared(f"floor-{library}", problem.draw(TINY["minibatches, three classes"]))(2)()
    assert len(seconds) == 5 and all(s > 0 for s in seconds)


@pytest.mark.thorough
def test_steps_are_measured_in_processes_of_their_own(monkeypatch, capsys):
    monkeypatch.setattr(harness, "BURST_SECONDS", 0.001)
    options = argparse.Namespace(**OPTIONS | {"contenders": ["numpy", "floor"]})
    monkeypatch.setattr(peers, "FLOORS", {"floor-numpy": peers.FLOORS["floor-numpy"]})
    rows = peers.measure("tiny", TINY["minibatches, three classes"], options)
    assert [row["contender"] for row in rows] == ["jaxnet", "numpy", "floor"]
    assert rows[0]["ratio"] == 1 and rows[0]["temporary_memory"] > 0
    assert "temporary memory of a step" in capsys.readouterr().out
    assert peers.table(rows).splitlines()[2] == "| jaxnet | 1.00 |"


@pytest.mark.thorough
def test_trainings_are_measured_and_end_at_one_cost(monkeypatch, capsys):
    monkeypatch.setattr(harness, "BURST_SECONDS", 0.001)
    case = TINY["all examples, one output"]._replace(dtype="float64")
    rows = peers.measure("tiny", case, argparse.Namespace(**OPTIONS))
    assert [row["case"] for row in rows] == ["tiny"] * 2 + ["tiny, compiling"] * 2
    said = capsys.readouterr().out
    assert "the others within" in said and float(said.split("within ")[1].split()[0]) < 1e-12  # so it was float64


def test_a_contender_that_fails_is_left_out_and_says_why():
    failures = {}
    with pytest.raises(SystemExit, match="no_such"):
        harness.interleaved_bursts("tests.benchmarks.peers", "no_such.npz", ["numpy"], 1)
    assert harness.take_turns("tests.benchmarks.peers", "no_such.npz", ["numpy"], 1, failures) == ({}, {})
    assert "FileNotFoundError" in failures["numpy"]


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("name", [name for name in sweep.CONTENDERS if name not in ("jaxnet", "joblib")])
def test_every_contender_of_a_sweep_trains_the_same_networks(name, batch_size, default_promotion, tmp_path):
    if name.startswith("torch"):
        pytest.importorskip("torch", reason="torch is not installed: pip install '.[bench]'")
    drawn = sweep.draw(sweep.Case((6, 5, 3), 12, batch_size, "softmax_cross_entropy"), 4)
    sweep.save(f"{tmp_path}/problem.npz", drawn)
    given = sweep.load(f"{tmp_path}/problem.npz")
    cost, want = (pkgutil.resolve_name(sweep.CONTENDERS[other])(given)(1) for other in (name, "jaxnet"))
    assert (cost() is None) if callable(cost) else cost == pytest.approx(want, rel=1e-5)


def test_growth_is_drawn(tmp_path):
    row = {"contender": "jaxnet", "variable": "units", "ratio": 1.0, "spread": [0.9, 1.1]}
    growth.draw_rows(tmp_path / "growth.png", [row | {"value": value} for value in (1, 10)])
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.thorough
def test_false_alarms_are_counted_and_what_is_planted_is_seen(capsys):
    case = right_numpy.draw(12, dims=(3, 2, 1), m=3, l2=0.1, keep=1.0, zeros=False, scale=1.0, dtype="float64")
    found = false_alarms.examine(case)
    assert found.verdict == "agree" and all(found.planted.values()) and len(found.planted) >= 8
    backward = false_alarms.examine_backward("tanh", "binary_cross_entropy, chain", scales=(1.0,))
    assert [o.verdict for o in backward] == ["agree"] * 2
    rows = false_alarms.table([found, *backward])
    false_alarms.show(rows)
    assert rows[-1]["cases"] == 3 and rows[-1]["disagree"] == 0 and rows[-1]["seen"] == rows[-1]["planted"]
    assert "false alarms" in capsys.readouterr().out
