"""`jaxnet evaluate`: which examples it takes, what it prints, and the page it writes."""

import json
import re

import numpy as np
import pytest

from jaxnet import evaluate, load_model, save_model
from jaxnet.cli import main

from ..images import drawn_images, save_cats_and_dogs, write_npz
from ..reports import Page
from ..tables import write_regression


def typed(*arguments) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def trained(tmp_path, monkeypatch, bare, capsys):
    """A run in the folder `run` on data without a test part, of which it held 10 of 40 out."""
    monkeypatch.chdir(tmp_path)
    images, labels = drawn_images(40)
    write_npz(tmp_path / "a.npz", X=images, Y=labels, classes=["dark", "bright"])
    write_npz(tmp_path / "b.npz", X=images[:30], Y=labels[:30], classes=["dark", "bright"])
    assert typed("train", "a.npz", "--layers", 3, "--num-iterations", 50, "--learning-rate", 0.1, "--out", "run") == 0
    capsys.readouterr()
    return tmp_path


HELD_OUT = "10 of {}: what was held out in training"


@pytest.mark.parametrize(
    "arguments, examples",
    [
        (["run"], HELD_OUT),
        (["run", "a.npz"], HELD_OUT),
        (["run/model.safetensors", "a.npz"], HELD_OUT),
        (["run", "a.npz", "--part", "train"], "30 of {}: its training part"),
        (["run", "--part", "all"], "40 of {}: all of it, with what the model was trained on"),
        (["run", "b.npz"], "30 of {}: all of it, as it has no test part"),
        (["m.safetensors", "a.npz"], HELD_OUT),
    ],
)
@pytest.mark.few(4)
def test_it_says_what_it_evaluates(arguments, examples, trained, capsys):
    save_model("m.safetensors", load_model("run"))
    assert typed("evaluate", *arguments, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    path = trained / "a.npz" if len(arguments) == 1 or arguments[1] == "--part" else arguments[1]
    assert said["examples"] == examples.format(path) and said["count"] == int(examples.split()[0])
    assert said["accuracy"] == said["right"] / said["count"] and np.sum(said["confusion"]) == said["count"]
    assert said["interval"][0] <= said["accuracy"] <= said["interval"][1] and said["classes"] == ["dark", "bright"]


def test_an_average_was_trained_on_what_any_of_its_networks_was(trained, capsys):
    for seed in (1, 2):
        short = ["--layers", 3, "--num-iterations", 3, "--learning-rate", 0.1, "--seed", seed, "--out", f"run{seed}"]
        assert typed("train", "a.npz", *short) == 0
    assert typed("average", "run1", "run2", "--out", "average.safetensors") == 0
    capsys.readouterr()
    assert typed("evaluate", "average.safetensors", "a.npz") == 0
    assert "40 of a.npz: all of it, with what the model was trained on" in capsys.readouterr().out
    assert evaluate(load_model("run1"), "a.npz").examples == HELD_OUT.format("a.npz")


def test_what_the_run_held_out_has_the_accuracy_of_its_test(trained, capsys):
    assert typed("train", "a.npz", "--layers", 3, "--num-iterations", 3, "--learning-rate", 0.1, "--out", "short") == 0
    tested = re.search(r"accuracy  train .*, test (\S+)", capsys.readouterr().out).group(1)
    assert typed("evaluate", "short") == 0
    assert f"accuracy  {tested}, " in capsys.readouterr().out


def test_a_page_is_written_beside_the_text(trained, monkeypatch, capsys):
    assert typed("evaluate", "run", "--out", "e.html") == 0
    out = capsys.readouterr().out
    assert "95 % interval" in out and out.endswith("saved     e.html\n")
    page = Page(trained / "e.html")
    assert "run, evaluated" in page.source and "Confusion matrix" in page.source and "Reliability" in page.source
    assert 'id="training"' not in page.source and "Gradient check" not in page.source
    assert typed("evaluate", "run", "--out", "e.html") == 2
    assert "e.html exists; choose another --out, or pass --overwrite" in capsys.readouterr().err
    assert typed("evaluate", "run", "--out", "e.html", "--overwrite") == 0


def test_a_folder_of_photographs_is_evaluated(tmp_path, monkeypatch, bare, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXNET_CACHE", "cache")
    save_cats_and_dogs(tmp_path / "pets" / "train"), save_cats_and_dogs(tmp_path / "pets" / "test", m=3)
    (tmp_path / "pets" / "test" / "cat" / "broken.png").write_text("no image")
    assert typed("train", "pets", "--size", 4, "--layers", 2, "--num-iterations", 2, "--out", "run") == 0
    capsys.readouterr()
    assert typed("evaluate", "run") == 0
    out = capsys.readouterr().out
    assert f"6 of {tmp_path}/pets (images): its test part\n" in out and "broken.png" in out
    assert typed("evaluate", "run", "--part", "all") == 0
    assert "14 of" in (out := capsys.readouterr().out) and "with what the model was trained on\n" in out


def table(path, classes=("x", "y"), m=24):
    """Of a number that tells the classes apart, and a text that does not."""
    rows = [f"{i % len(classes) + i / 100},{'rgb'[i % 3]},{classes[i % len(classes)]}" for i in range(m)]
    path.write_text("\n".join(["size,colour,kind", *rows]))
    return path


def test_a_table_is_read_by_the_columns_of_the_model(tmp_path, monkeypatch, bare, capsys):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "a.csv"), table(tmp_path / "b.csv", m=1), table(tmp_path / "c.csv", ("x", "z"))
    np.savez("d.npz", X=np.zeros((4, 4), np.float32), Y=np.arange(4) % 2, classes=["x", "y"])
    options = ["--layers", 3, "--num-iterations", 5, "--out", "run"]
    assert typed("train", "a.csv", "--label", "kind", *options) == 0
    capsys.readouterr()
    for arguments, examples in (
        ([], HELD_OUT.format(tmp_path / "a.csv")),
        (["b.csv"], "1 of b.csv: all of it, as it has"),
    ):
        assert typed("evaluate", "run", *arguments) == 0
        assert examples.replace("10 of", "6 of") in capsys.readouterr().out
    for name, message in (
        ("c.csv", "the label kind is 'z' in some row, which is not one of the classes of training: x, y"),
        ("d.npz", "d.npz is not a table, but the model takes a table with the columns size, colour=b, colour=g"),
    ):
        assert typed("evaluate", "run", name) == 2
        assert message in capsys.readouterr().err


def test_a_regression_is_evaluated(tmp_path, monkeypatch, bare, capsys):
    monkeypatch.chdir(tmp_path)
    write_regression(tmp_path / "a.npz", outputs=2), save_cats_and_dogs(tmp_path / "pets")
    assert typed("train", "a.npz", "--layers", 3, "--num-iterations", 5, "--out", "run") == 0
    fitted = re.search(r"R\^2 .* test (\S+)", capsys.readouterr().out).group(1)
    assert typed("evaluate", "run", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["examples"] == HELD_OUT.format(tmp_path / "a.npz") and set(said["outputs"]) == {"y1", "y2"}
    assert f"{said['r2']:.4f}" == fitted and said["outputs"]["y1"]["rmse"] > 0
    assert typed("evaluate", "run", "a.npz", "--part", "train", "--out", "e.html") == 0
    out = capsys.readouterr().out
    assert "30 of a.npz: its training part" in out and "\ny2        R^2 " in out and "mean absolute error" in out
    page = Page(tmp_path / "e.html")
    assert "run, evaluated" in page.source and "predicted against true" in page.source and "Confusion" not in page.text
    assert typed("evaluate", "run", "pets") == 2
    assert "pets is a folder, of images" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["none"], "none is not a file; expected a model.safetensors"),
        (["m.safetensors"], "m.safetensors is not the folder of a run, whose data are known; expected DATA"),
        (["run", "none.npz"], "none.npz does not exist"),
        (["run", "a.npz", "--part", "half"], "invalid choice: 'half'"),
        (["m.safetensors", "b.npz", "--part", "test"], "b.npz has no test part"),
        (["run", "a.npz", "--out", "e.txt"], "e.txt is a file of another kind by its name; expected one that ends in"),
        (["run", "a.npz", "--out", "none/e.html"], "none/e.html is a folder, or not in one"),
        (["run", "c.npz"], "c.npz: the class 0 is unknown to the model"),
        (["run", "d.npz"], r"d.npz have shape (4, 4); the model takes (6, 5, 3)"),
        (["run", "e.npz"], "e.npz has the arrays X; expected X and Y"),
        (["run", "f.npz"], "labels of dtype float64 are not whole numbers"),
        (["run", "g.csv"], "g.csv is a table, but the model takes inputs of shape (6, 5, 3)"),
    ],
)
def test_unusable_input_is_one_line(arguments, message, trained, capsys):
    save_model("m.safetensors", load_model("run"))
    images, labels = drawn_images(8)
    write_npz(trained / "c.npz", X=images, Y=labels)
    write_npz(trained / "d.npz", X=images[:, :4, :4, 0], Y=labels, classes=["dark", "bright"])
    write_npz(trained / "e.npz", X=images)
    write_npz(trained / "f.npz", X=images, Y=labels + 0.5)
    table(trained / "g.csv")
    try:
        code = typed("evaluate", *arguments)
    except SystemExit as error:  # argparse's own
        code = error.code
    assert code == 2 and message in capsys.readouterr().err
