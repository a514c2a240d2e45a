"""`jaxnet check`, as it is typed."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from jaxnet import cli


def typed(*arguments) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of somebody's own in the folder where the command is typed."""
    (tmp_path / "broken.py").write_text("\n1 / 0")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    (tmp_path / "random.py").write_text("raise RuntimeError('not this one')")
    (tmp_path / "folder").mkdir()
    (tmp_path / "somebodys.py").write_text(
        "import random; random.random()\n"
        "import numpy as np\n"
        "point = (np.array([1.0, -2.0, 3.0]),)\n"
        "def cost(x): return np.sum(x**2) / len(x)\n"
        "def right(x): return 2 * x / len(x)\n"
        "def wrong(x): return 2 * x\n"
        "def noisy(x): return round(float(np.sum(x**2)), 0)\n"
        "def a_point(): return point\n"
        "def raises(x): raise KeyError('\\x1b[2J')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[:])
    monkeypatch.delitem(sys.modules, "somebodys", raising=False)
    return "somebodys"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--layers", "5", "4", "1"],
        ["--layers", "4", "6", "3", "--hidden", "gelu", "--loss", "softmax_cross_entropy", "--examples", "2"],
    ],
)
@pytest.mark.few(1)
def test_a_drawn_network_agrees(arguments, capsys):
    assert typed("check", *arguments) == 0
    output = capsys.readouterr().out
    assert output.startswith("AGREE  L_model_backward") and "DISAGREES" not in output and "dW1" in output
    assert "additive over the batch" in output and "known errors would have shown" in output


@pytest.mark.parametrize("grad, code, verdict", [("right", 0, "agree"), ("wrong", 1, "disagree")])
def test_a_function_of_ones_own(module, grad, code, verdict, capsys, tmp_path):
    arguments = [f"{module}:cost", "--grad", f"{module}:{grad}", "--args", f"{module}:a_point"]
    report, image = tmp_path / "r.json", tmp_path / "r.png"
    assert typed("check", *arguments, "--json", report, "--plot", image) == code
    assert capsys.readouterr().out.startswith(verdict.upper())
    assert json.loads(report.read_text())["verdict"] == verdict
    pixels = np.asarray(Image.open(image).convert("RGB")).reshape(-1, 3)
    reddish = (pixels[:, 0] > 160) & (pixels[:, 1] < 60)
    assert (np.count_nonzero(reddish) > 5000) == (verdict == "disagree")


def test_a_file_of_ones_own(tmp_path, capsys):
    (tmp_path / "mine.py").write_text("def relu_backward(dA, cache):\n    return dA * (dA > 0)\n")
    report = tmp_path / "r.json"
    assert typed("check", tmp_path / "mine.py", "--json", report) == 1
    assert "relu_backward  DISAGREES\n  dZ: the derivative is taken at dA; it belongs at Z" in capsys.readouterr().out
    assert json.loads(report.read_text())["verdict"] == "disagree"


@pytest.mark.thorough
def test_a_notebook_of_ones_own(tmp_path, capsys):
    source = "%matplotlib inline\nimport numpy as np\ndef relu_backward(dA, cache):\n    raise ValueError('\\x1b[2J')\n"
    (tmp_path / "mine.IPYNB").write_text(json.dumps({"cells": [{"cell_type": "code", "source": source}]}))
    assert typed("check", tmp_path / "mine.IPYNB", "--json", tmp_path / "r.json") == 1
    output = capsys.readouterr().out
    assert "it raised ValueError: \\x1b[2J (code cell 1, line 4)" in output and "\x1b" not in output
    assert "ValueError: \x1b[2J" in json.loads((tmp_path / "r.json").read_text())["functions"][0]["reason"]


def test_the_report_is_written_before_it_is_printed(module, tmp_path, monkeypatch):
    """Whoever reads it may go away."""

    def gone(*_):
        raise BrokenPipeError

    arguments = [f"{module}:cost", "--grad", f"{module}:right", "--args", f"{module}:point"]
    monkeypatch.setattr("builtins.print", gone)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    typed("check", *arguments, "--json", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "agree"


def test_what_cannot_be_told_has_a_code_of_its_own(module, capsys):
    arguments = [f"{module}:noisy", "--grad", f"{module}:right", "--args", f"{module}:point"]
    assert typed("check", *arguments) == 3
    assert "too wide to tell" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["somebodys:cost"], "a function needs arguments: --args MODULE:NAME"),
        (["somebodys:cost", "--args", "somebodys"], "'somebodys' names nothing; expected FILE or MODULE:NAME"),
        (["nobodys:cost", "--args", "nobodys:point"], "nobodys cannot be imported"),
        (["somebodys:nothing", "--args", "somebodys:point"], "has no nothing"),
        (["broken:cost", "--args", "broken:point"], "broken cannot be imported: ZeroDivisionError: division by zero"),
        (["leaves:cost", "--args", "leaves:point"], "leaves cannot be imported: SystemExit: 0"),
        (["random:cost", "--args", "random:point"], "random.py) has no cost"),
        (
            ["somebodys:cost", "--grad", "somebodys:raises", "--args", "somebodys:point"],
            "somebodys (line 9) raised Key",
        ),
        (["--json", "folder"], "folder is a folder; expected the name of a file"),
        (["folder"], "folder is a folder; expected a Python file with functions of the course, or a notebook"),
        (["somebodys:cost", "--args", "somebodys:point"], "fun must be a jax.custom_vjp"),
        (["--json", "no/such/folder.json"], "no/such is not a folder; expected one to write folder.json to"),
        (["--layers", "3"], "expected the inputs and at least one layer"),
        (["--layers", "3", "1", "--loss", "softmax_cross_entropy"], "a softmax over one output is always 1"),
        (["--layers", "99999999", "99999999"], "GiB"),
        (["none.py"], "none.py is not a file; expected a Python file with functions of the course"),
        (["none.py", "--plot", "a.png"], "--plot draws the check of a function"),
    ],
)
def test_unusable_input_is_told(module, arguments, message, capsys, no_shape_checks):
    assert typed("check", *arguments) == 2
    assert message in capsys.readouterr().err
