"""`jaxnet export` and `jaxnet import`: there and back, and what cannot go either way."""

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from jaxnet import Network, load_model, save_model
from jaxnet.cli import main
from jaxnet.data.preprocessing import Preprocessing

from ..model.test_file import drawn_model


MEAN = np.arange(1, 13, dtype=np.float32)[:, None]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to stand in, with a model in it."""
    monkeypatch.chdir(tmp_path)
    save_model("m.safetensors", drawn_model(classes=("a", "b", "c")))
    return tmp_path


def typed(*arguments) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("kind, name", [("torch", "out.safetensors"), ("npz", "out.npz")])
def test_there_and_back(kind, name, folder, capsys):
    assert typed("export", "m.safetensors", "--to", kind, "--out", name) == 0
    assert capsys.readouterr().out.startswith(f"saved    {name}")
    assert typed("import", name, "--out", "again.safetensors") == 0
    assert "network  12-5-3, gelu, softmax_cross_entropy" in capsys.readouterr().out
    model, again = load_model("m.safetensors"), load_model("again.safetensors")
    assert again._replace(parameters=None) == model._replace(parameters=None)
    assert all(np.array_equal(again.parameters[name], value) for name, value in model.parameters.items())


def test_the_average_of_models_is_a_model(folder, capsys):
    save_model("n.safetensors", drawn_model(classes=("a", "b", "c")))
    assert typed("average", "m.safetensors", "n.safetensors", "--out", "average.safetensors") == 0
    assert capsys.readouterr().out.splitlines() == [
        "saved    average.safetensors, the average of 2 models",
        "network  12-10-3, gelu, softmax_cross_entropy",
    ]
    assert load_model("average.safetensors").classes == ("a", "b", "c")


def test_export_says_how_torch_reads_it(folder, capsys):
    arguments = ["--to", "torch", "--fold", "--channels-first", "--out", "out.safetensors"]
    assert typed("export", "m.safetensors", *arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "saved    out.safetensors",
        "module   Sequential(Linear(12, 5), GELU(), Linear(5, 3)), all of torch.nn",
        "         module.load_state_dict(safetensors.torch.load_file('out.safetensors'))",
        "inputs   rows of 2 * 2 * 3 values in the order (channel, height, width): pixels from 0 to 255",
        "outputs  logits: torch.softmax(..., dim=1) makes them the probabilities of the classes",
    ]
    W1 = load_model("m.safetensors").parameters["W1"]
    order = np.arange(12).reshape(2, 2, 3).transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(load_file("out.safetensors")["0.weight"], np.asarray(W1)[:, order] / 255, rtol=1e-6)


def test_a_network_from_elsewhere_predicts_images(folder, capsys):
    """Images as torchvision has them: (channel, height, width), standardised by channel."""
    W = np.zeros((2, 12), np.float32)
    W[1, :4] = 1  # the red ones
    save_file({"fc.weight": W}, "other.safetensors")
    options = [
        "--input-shape",
        2,
        2,
        3,
        "--channels-first",
        "--mean",
        0.5,
        0,
        0,
        "--std",
        0.25,
        "--classes",
        "x",
        "red",
    ]
    assert typed("import", "other.safetensors", "--out", "n.safetensors", *options) == 0
    assert capsys.readouterr().out.splitlines() == [
        "saved    n.safetensors",
        "network  12-2, relu, softmax_cross_entropy",
        "inputs   2x2x3, classes x, red",
    ]
    for color in ("red", "blue"):
        Image.new("RGB", (2, 2), color).save(f"{color}.png")
    assert typed("predict", "n.safetensors", "red.png", "blue.png") == 0
    red = f"{1 / (1 + np.exp(-4 * 0.5 / 0.25)):.4f}"
    assert capsys.readouterr().out.splitlines() == [f"red.png   red  {red}", f"blue.png  x  {red}"]


def test_an_import_of_rows_says_how_to_make_them_images(folder, capsys):
    np.savez("n.npz", W1=np.ones((3, 4)), b1=np.ones(3), W2=np.ones((1, 3)))
    options = ["--hidden", "tanh", "--loss", "squared_error", "--pixel-scale", 1]
    assert typed("import", "n.npz", "--out", "n.safetensors", *options) == 0
    assert "pass --input-shape HEIGHT WIDTH" in capsys.readouterr().out
    assert typed("import", "n.npz", "--out", "n.safetensors", *options, "--exact-decoding", "--overwrite") == 0
    model = load_model("n.safetensors")
    assert (
        model.exact_decoding
        and model.network == Network("tanh", "squared_error")
        and model.preprocessing == Preprocessing(1.0)
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["export", "none", "--to", "npz", "--out", "a.npz"], "none is not a file; expected a model.safetensors"),
        (
            ["export", "m.safetensors", "--to", "torch", "--out", "m.safetensors"],
            "m.safetensors exists; choose another",
        ),
        (["export", "m.safetensors", "--to", "torch", "--out", "a.pt"], "expected one that ends in .safetensors"),
        (["export", "m.safetensors", "--to", "npz", "--out", "none/a.npz"], "none/a.npz is a folder, or not in one"),
        (["export", "m.safetensors", "--to", "npz", "--fold", "--out", "a.npz"], "are for --to torch"),
        (["export", "rows", "--to", "torch", "--channels-first", "--out", "a.safetensors"], "is about images"),
        (["import", "m.safetensors", "--out", "a.safetensors"], "m.safetensors is a model of jaxnet already"),
        (["import", "network.pt", "--out", "a.safetensors"], "is a pickle by its name"),
        (["import", "other.safetensors", "--out", "m.safetensors"], "m.safetensors exists"),
        (["import", "other.safetensors", "--out", "a.safetensors", "--mean", "0.5"], "pass --input-shape too"),
        (
            ["import", "other.safetensors", "--out", "a.safetensors", "--input-shape", "2", "2", "--mean", "1", "2"],
            "there are 2 --mean and 1 --std; expected one, or 1, one per channel",
        ),
        (
            ["import", "other.safetensors", "--out", "a.safetensors", "--input-shape", "2", "2", "--mean", "nan"],
            "input_mean has shape (4, 1) and dtype float32, or entries that are not finite",
        ),
        (["import", "other.safetensors", "--out", "a.safetensors", "--layers", "a", "b"], "the layers named are a, b;"),
    ],
)
def test_what_cannot_be_done_is_told(arguments, message, folder, capsys):
    save_file({"0.weight": np.ones((3, 4), np.float32)}, "other.safetensors")
    (folder / "rows").mkdir()
    save_model("rows/model.safetensors", drawn_model(input_shape=(12,)))
    before = sorted(folder.rglob("*"))
    assert typed(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxnet: error: ") and message in error
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", ["export", "import"])
def test_help_explains_the_command(command, capsys):
    with pytest.raises(SystemExit):
        typed(command, "--help")
    assert capsys.readouterr().out.startswith(f"usage: jaxnet {command}")
