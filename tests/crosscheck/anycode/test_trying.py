"""Files in the styles of many people: a verdict on each, and an adapter that works as it is printed."""

import json
from types import ModuleType

import numpy as np
import pytest

import jaxnet
from jaxnet.crosscheck.anycode.trying import understood
from jaxnet.crosscheck.coursework.standins import StandIns

from .styles import ENDLESS, MLP, PLANAR, STYLES


def run(source, file):
    """The module that the source makes, with stand-ins for what it imports, and what was understood of it."""
    file.write_text(source)
    module = ModuleType("mine")
    np.random.seed(0)
    exec(compile(source, str(file), "exec"), vars(module))
    return module, understood([source], vars(module), str(file), lambda: False)


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    import sys

    finder = StandIns()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    yield finder
    for name in finder.used:
        sys.modules.pop(name, None)


@pytest.mark.few(8)
@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_a_file_has_a_verdict_and_an_adapter(name, right, tmp_path, capsys):
    code, before, after, place = STYLES[name]
    source = code if right else code.replace(before, after)
    assert source.count(before) == code.count(before) - (not right)
    module, (tried,) = run(source, tmp_path / f"{name}.py")
    assert len(tried.adapter.text.split("\n")) <= 10
    capsys.readouterr()
    exec(tried.adapter.text, vars(module))  # as it is printed
    printed = capsys.readouterr().out
    assert f"{'AGREE' if right else 'DISAGREE'}  one_step" in printed
    assert right or f"  {place}" in printed


def test_code_without_training_is_not_understood(tmp_path):
    assert run("def helper(a): return a\nclass Point: pass\nx = 3", tmp_path / "helper.py")[1] == []


def test_code_that_cannot_be_checked_has_a_start(tmp_path):
    init = "def __init__(self, n_in): self.w = np.ones((n_in, 1))"
    fit = "def fit(self, X, y): raise ValueError('no')"
    source = f"import numpy as np\nclass Net:\n    {init}\n    {fit}"
    _, (tried,) = run(source, tmp_path / "net.py")
    assert tried.examined is None and "raised ValueError: no" in tried.error
    assert "weights.fit(X, Y)" in tried.adapter.text


# ---- in a process of its own


def notebook(*sources):
    return json.dumps({"cells": [{"cell_type": "code", "source": source} for source in sources]})


@pytest.mark.parametrize(
    "name, source, words",
    [
        ("planar.py", PLANAR, "note: stand-ins were used for planar_utils, testCases_v2"),
        ("mlp.ipynb", notebook("%matplotlib inline", MLP, "MLP(3, 4, 2).fit(1, 2)"), "code cell 3 was run up to an"),
        ("csv.py", MLP.replace("class", "open('none.csv')\nclass"), "it was run up to an error, and what it defines"),
    ],
    ids=["stand-ins", "notebook", "no data"],
)
@pytest.mark.thorough
def test_a_file_that_is_not_the_courses(name, source, words, tmp_path):
    (tmp_path / name).write_text(source)
    report = jaxnet.check_file(tmp_path / name, time_limit=300)
    assert report.agrees, report
    assert words in str(report)
    assert "paste at the end of" in str(report) and "print(jaxnet.check_training_step(" in str(report)
    assert json.loads(report.to_json())["functions"][0]["adapter"]


@pytest.mark.thorough
def test_code_that_trains_endlessly_is_cut_off(tmp_path):
    (tmp_path / "endless.py").write_text(ENDLESS)
    report = jaxnet.check_file(tmp_path / "endless.py", time_limit=30)
    assert report.agrees, report
    assert "it did not return within 12 s" in str(report)
