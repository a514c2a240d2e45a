"""`jaxnet predict`: files and folders in, a line for each image out, whatever is among them."""

import csv
import io
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from jaxnet import FrozenDict, Model, Network, save_model
from jaxnet.cli import main, predict
from jaxnet.data import hog_of
from jaxnet.data.preprocessing import Preprocessing
from jaxnet.model import model, prediction
from jaxnet.text import printable


SHAPE = (2, 2, 3)
CLASSES = ("dark", "bright")


def brightness(classes=CLASSES, **changes) -> Model:
    """A network that calls an image bright where its mean is above one half, and knows no doubt far from it."""
    parameters = FrozenDict(W1=np.full((1, 12), 2, np.float32), b1=np.full((1, 1), -12, np.float32))
    return Model(parameters, Network(), SHAPE, classes, Preprocessing())._replace(**changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to stand in, with the model in it."""
    monkeypatch.chdir(tmp_path)
    save_model("m.safetensors", brightness())
    return tmp_path


def image(path, grey=255):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    Image.new("RGB", (3, 3), (grey,) * 3).save(path)
    return path


def typed(*arguments) -> int:
    return main(["predict", "m.safetensors", *arguments])


def test_an_image_is_given_to_the_network_as_its_features(folder, capsys):
    """The largest feature is of an edge, and there is none in an image of one colour."""
    features = hog_of((9, 8, 3))
    parameters = FrozenDict(W1=np.ones((1, features.size), np.float32), b1=np.full((1, 1), -1, np.float32))
    preprocessing = Preprocessing(features=features)
    save_model("m.safetensors", Model(parameters, Network(), (9, 8, 3), ("plain", "edges"), preprocessing))
    image("plain.png"), Image.effect_noise((8, 9), 80).save("edges.png")
    assert typed("plain.png", "edges.png") == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["plain", "edges"]


def test_files_are_classified_in_the_order_that_they_are_named(folder, capsys):
    image("b.png"), image("long name.jpg", 0)
    assert typed("long name.jpg", "b.png", "b.png") == 0
    assert capsys.readouterr() == (
        "long name.jpg  dark  1.0000\nb.png          bright  1.0000\nb.png          bright  1.0000\n",
        "",
    )


def test_probabilities_are_the_networks_on_scaled_pixels(folder, capsys):
    save_model(
        "m.safetensors", brightness(preprocessing=Preprocessing(1 / 255, *np.float32([[[0.25]] * 12, [[2.0]] * 12])))
    )
    image("a.png", 51)
    assert typed("a.png", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    probability = 1 / (1 + np.exp(12 - 24 * (51 / 255 - 0.25) / 2))
    assert said["probabilities"]["bright"] == pytest.approx(probability, rel=1e-5)
    assert said["probability"] == said["probabilities"]["dark"] and said["class"] == "dark"


def test_folders_are_searched_at_all_depths_in_order(folder, capsys):
    for name in (
        "d/z.PNG",
        "d/a.jpeg",
        "d/sub/b.tif",
        "d/.hidden.png",
        "d/.git/c.png",
        "d/__MACOSX/a.png",
        "other/e.bmp",
        "top.png",
    ):
        image(name)
    for name in ("d/notes.txt", "d/sub/no suffix"):
        (folder / name).write_text("no image")
    assert typed("top.png", "d", "d/.hidden.png") == 0
    output = capsys.readouterr()
    paths = [line.split()[0] for line in output.out.splitlines()]
    assert paths == ["top.png", "d/a.jpeg", "d/z.PNG", "d/sub/b.tif", "d/.hidden.png"] and output.err == ""


def test_links_are_followed_but_not_in_circles(folder, capsys):
    image("d/a.png"), image("outside/b.png")
    (folder / "d" / "loop").symlink_to(folder / "d")
    (folder / "outside" / "back").symlink_to(folder / "d", target_is_directory=True)
    (folder / "d" / "link").symlink_to(folder / "outside")
    (folder / "d" / "broken.png").symlink_to("nowhere")
    assert typed("d") == 1
    output = capsys.readouterr()
    assert [line.split()[0] for line in output.out.splitlines()] == ["d/a.png", "d/link/b.png"]
    assert output.err.startswith("jaxnet: d/broken.png ") and "No such file" in output.err
    assert output.err.endswith("\njaxnet: 1 of 3 images or folders were left out\n")


def test_what_cannot_be_read_is_named_and_left_out(folder, capsys):
    image("d/a.png")
    (folder / "d" / "b.png").write_text("no image")
    (folder / "d" / "c.jpg").write_bytes(b"")
    content = (folder / "d" / "a.png").read_bytes()
    (folder / "d" / "cut off.png").write_bytes(content[: len(content) // 2])
    image("d/e.png", 0)
    assert typed("d") == 1
    output = capsys.readouterr()
    assert [line.split()[1] for line in output.out.splitlines()] == ["bright", "dark"]
    errors = output.err.splitlines()
    assert [error.split(" cannot be read as an image: ")[0] for error in errors[:3]] == [
        "jaxnet: d/b.png",
        "jaxnet: d/c.jpg",
        "jaxnet: d/cut off.png",
    ]
    assert errors[3:] == ["jaxnet: 3 of 5 images or folders were left out"]


def test_a_file_that_is_named_is_tried_whatever_its_name(folder, capsys):
    os.rename(image("a.png"), "a.data")
    (folder / "b.txt").write_text("no image")
    assert typed("a.data") == 0 and typed("b.txt") == 1
    assert capsys.readouterr().err.startswith("jaxnet: b.txt cannot be read as an image")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_stays_closed_is_named(folder, capsys):
    image("d/a.png"), image("d/closed/b.png")
    (folder / "d" / "closed").chmod(0)
    assert typed("d") == 1
    assert "d/closed cannot be searched: Permission denied" in capsys.readouterr().err
    (folder / "d" / "closed").chmod(0o700)


def test_json_has_an_object_a_line(folder, capsys):
    image("a.png"), image("b.png", 0)
    assert typed("a.png", "b.png", "--json") == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(one) for one in said] == [["path", "class", "probability", "probabilities"]] * 2
    assert [(one["path"], one["class"]) for one in said] == [("a.png", "bright"), ("b.png", "dark")]
    assert all(sum(one["probabilities"].values()) == pytest.approx(1) for one in said)


def test_csv_has_a_column_for_each_class(folder, capsys):
    save_model("m.safetensors", brightness(classes=("dark, or grey", 'the "bright"')))
    image("a.png"), image("b.png", 0)
    assert typed("a.png", "b.png", "--csv", "--out", "p.csv") == 0
    with open("p.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["path", "class", "probability", "dark, or grey", 'the "bright"']
    assert [row[:2] for row in rows[1:]] == [["a.png", 'the "bright"'], ["b.png", "dark, or grey"]]
    assert float(rows[1][2]) == max(map(float, rows[1][3:]))
    assert capsys.readouterr() == ("", "")


STRANGE = [
    "line\nend.png",
    "return\r.png",
    "tab\t.png",
    'quote".png',
    "comma,.png",
    "犬.png",
    "\udcff\udcfe.png",
    "\x1b[31mred.png",
]


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_strange_names_do_not_break_the_output(form, folder, capsys):
    for name in STRANGE:
        image(f"d/{name}")
    assert typed("d", "--out", "out", *([form] if form else [])) == 0
    text = (folder / "out").read_bytes().decode()  # which is possible, though some names are no text
    names = sorted(STRANGE)
    if form == "--json":
        assert [json.loads(line)["path"] for line in text.splitlines()] == [f"d/{name}" for name in names]
    elif form == "--csv":
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert [row[0] for row in rows[1:]] == [printable(f"d/{name}") for name in names]
        assert all(line.isprintable() for line in text.splitlines())
    else:
        lines = text.splitlines()
        assert len(lines) == len(names) and all(line.isprintable() for line in lines)


def test_a_spreadsheet_computes_no_name(folder, capsys):
    save_model("m.safetensors", brightness(classes=("=1+1", "@b")))
    assert typed(image("+2-3.png"), "--csv") == 0
    header, row = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert header == ["path", "class", "probability", "'=1+1", "'@b"]
    assert row[0] == "'+2-3.png" and row[1] in ("'=1+1", "'@b")


def test_strange_names_of_broken_files_take_one_line_each(folder, capsys):
    (folder / "d").mkdir()
    (folder / "d" / "line\nend\x1b.png").write_text("no image")
    assert typed("d") == 1
    assert capsys.readouterr().err.startswith("jaxnet: d/line\\nend\\x1b.png cannot be read as an image")


def test_a_name_that_the_terminal_cannot_show_is_escaped(folder, monkeypatch):
    save_model("m.safetensors", brightness(classes=("犬", "犬2")))
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert typed(image("a.png", 0)) == 0
    terminal.flush()
    assert terminal.buffer.getvalue().startswith(b"a.png  \\u72ac")


def test_batches_say_what_one_batch_says(folder, capsys, monkeypatch):
    greys = [0, 120, 125, 130, 255, 128, 127]
    for i, grey in enumerate(greys):
        image(f"d/{i}.png", grey)
    (folder / "d" / "3.png").write_text("no image")
    assert typed("d", "--json") == 1
    together = capsys.readouterr().out
    for place, name, limit in (predict, "BATCH", 3), (prediction, "WIDTH", 2), (model, "MOST_VALUES", 30):
        monkeypatch.setattr(place, name, limit)
        assert typed("d", "--json") == 1
        assert capsys.readouterr().out == together
    assert len(together.splitlines()) == 6


def test_outputs_that_are_not_finite_are_no_class(folder, capsys):
    parameters = {"W1": np.float32([[3e38] * 12, [-3e38] * 12]), "b1": np.zeros((2, 1), np.float32)}
    network = Network("relu", "softmax_cross_entropy")
    save_model("m.safetensors", brightness(parameters=FrozenDict(parameters), network=network))
    assert typed(image("a.png")) == 1
    assert capsys.readouterr() == ("", "jaxnet: a.png: the network's outputs are not finite\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-"], "- is the standard input; expected names of image files"),
        (["none.png"], "none.png is not a file; expected an image, or a folder of them"),
        ([""], "an empty name is not a file"),
        (["empty"], "no images in empty; expected files that end in .bmp, .gif"),
        (["a.png", "--out", "none/p.txt"], "none/p.txt is a folder, or not in one"),
        (["a.png", "--out", "empty"], "empty is a folder, or not in one"),
        (["a.png", "--out", "a.png"], "a.png exists; choose another --out, or pass --overwrite"),
    ],
)
def test_unusable_input_is_told_before_any_work(arguments, message, folder, capsys):
    image("a.png")
    (folder / "empty").mkdir()
    assert typed(*arguments) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("jaxnet: error: ") and message in output.err


def test_a_file_is_replaced_where_that_is_asked_for(folder):
    image("a.png")
    (folder / "p.txt").write_text("older")
    assert typed("a.png", "--out", "p.txt", "--overwrite") == 0
    assert (folder / "p.txt").read_text() == "a.png  bright  1.0000\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("out, shown", [(["--out", "p.txt"], True), ([], False)])
def test_a_bar_is_shown_where_it_is_in_nobodys_way(out, shown, folder, monkeypatch):
    for i in range(5):
        image(f"d/{i}.png")
    monkeypatch.setattr(predict, "BATCH", 2)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert typed("d", *out) == 0
    assert ("5/5" in sys.stderr.getvalue()) == shown
