"""The benchmark of readouts computes in every library what it says it does; of times nothing is asked."""

import importlib

import pytest

from tests.benchmarks import readouts


TINY = {"three classes": readouts.Case((6, 5, 4, 3), 7), "one logit": readouts.Case((6, 5, 1), 7)}


def value(library, given):
    module = importlib.import_module(f"tests.benchmarks.contenders.readouts_{library}")
    return module.prepare(given)(1)()


@pytest.mark.parametrize("quantity", [q for q in readouts.QUANTITIES if q not in readouts.SAMPLED])
@pytest.mark.parametrize("case", TINY)
@pytest.mark.parametrize("library", ["backpack", "vmap"])
@pytest.mark.few(16)
def test_every_library_computes_the_same(library, case, quantity, default_promotion):
    if quantity in readouts.MISSING[library]:
        return
    if library == "backpack":
        pytest.importorskip("backpack", reason="BackPACK is not installed: pip install '.[bench]'")
    if (library, case, quantity) == ("backpack", "one logit", "KFRA"):
        pytest.xfail("BackPACK has no KFRA of binary cross-entropy")
    given = readouts.draw(TINY[case]._replace(quantity=quantity))._replace(max_norm=2.0)
    assert value(library, given) == pytest.approx(value("jaxnet", given), rel=1e-5)


@pytest.mark.thorough
def test_a_row_has_the_ratios_of_every_library(monkeypatch, capsys):
    monkeypatch.setattr(readouts.harness, "BURST_SECONDS", 0.001)
    monkeypatch.setattr(readouts, "LIBRARIES", ["jaxnet", "vmap"])
    monkeypatch.setattr(
        readouts, "CONTENDERS", {name: readouts.CONTENDERS[name] for name in ("jaxnet", "vmap", "jaxnet gradient")}
    )
    row = readouts.measure("784-128-64-10 m=32, norms", 1)
    assert row["failures"] == {}
    assert set(row["over_gradient"]) == {"jaxnet", "vmap"} and row["over_jaxnet"]["jaxnet"] == 1
    assert readouts.line(row, "norms").startswith("norms ")
