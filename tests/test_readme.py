"""What the README shows is what happens."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from jaxnet.cli import main


README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_python_blocks_print_what_the_text_after_says(capsys, default_promotion, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert len(shown) == len(blocks("python")) == len(blocks("text")) > 0
    names = {}
    for code, printed in shown:
        exec(compile(code, "README.md", "exec"), names)
        assert capsys.readouterr().out == printed


def drawn_photographs(folder):
    """Dark cats and bright dogs."""
    for split, count in (("train", 40), ("test", 8)):
        for name, brightness in (("cat", 60), ("dog", 190)):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (20 + i, 30), (brightness, i, brightness)).save(
                    folder / split / name / f"{name}.{i}.jpg"
                )


# What makes a command long, and what is as good for a test.
SHORTER = {"--epochs 60": "--epochs 2", "train --out": "train --epochs 3 --out"}


@pytest.mark.parametrize("typed", [False, pytest.param(True, marks=pytest.mark.thorough)], ids=["shorter", "typed"])
def test_commands_do_what_they_say(tmp_path, monkeypatch, capsys, default_promotion, typed):
    """As they are typed; or fewer, of shorter trainings. What the tests of `check` and `inspect` type is as much."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXNET_CACHE", str(tmp_path / "cache"))
    Image.effect_noise((80, 60), 50).save("photo.jpg")
    drawn_photographs(tmp_path / "photos")
    (tmp_path / "my_backprop.py").write_text("from jaxnet import linear_backward, relu_backward, update_parameters")
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", "").splitlines()]
    commands = [line for line in lines if line.startswith("jaxnet ")]
    assert len(commands) >= 3
    if not typed:
        commands = [line for line in commands if not line.startswith(("jaxnet check", "jaxnet inspect"))]
    for command in commands:
        for before, after in ({} if typed else SHORTER).items():
            command = command.replace(before, after)
        assert main(shlex.split(command)[1:]) == 0, command
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert len(lines) == 17 and all(line.split(",")[1] in ("cat", "dog") for line in lines[1:])


def test_files_it_names_are_there():
    root = Path(__file__).parents[1]
    named = re.findall(r"[\w/]+\.(?:png|py)\b", README)
    assert named
    assert [name for name in named if not (root / name).exists() and name != "my_backprop.py"] == []


@pytest.mark.parametrize("module", re.findall(r"python -m (tests\.benchmarks\.\w+)", README))
def test_benchmarks_it_names_are_there(module):
    assert (Path(__file__).parents[1] / (module.replace(".", "/") + ".py")).exists()
