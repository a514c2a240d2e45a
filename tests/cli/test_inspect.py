"""`jaxnet inspect`, as it is typed: networks that are alive and such that are not, and the words for them."""

import math
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

import jaxnet
from jaxnet import FrozenDict, Model, Network, save_model
from jaxnet.cli import main
from jaxnet.cli.inspect import _different
from jaxnet.cli.inspect_inputs import _image_shape
from jaxnet.cli.inspect_text import number
from jaxnet.data.preprocessing import Preprocessing

from ..drawn import compiled


def typed(*arguments) -> int:
    return main(["inspect", *map(str, arguments)])


@pytest.fixture
def said(capsys):
    """What a command prints, once it ends well."""

    def run(*arguments) -> str:
        assert typed(*arguments) == 0, capsys.readouterr().err
        output = capsys.readouterr()
        assert output.err == ""
        assert max(map(len, output.out.splitlines())) <= 120
        assert "nan" not in output.out
        return output.out

    return run


def rows(text: str, head: str) -> list[list[str]]:
    """The cells of the table whose first line begins so."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == [head])
    end = next(i for i in range(start, len(lines) + 1) if i == len(lines) or not lines[i])
    return [re.split(r"\s{2,}", line.strip()) for line in lines[start + 1 : end]]


def line(text: str, name: str) -> str:
    """The words beside a name, on as many lines as they take."""
    found = re.search(rf"^{name:10}(.*(?:\n {{10}}\S.*)*)", text, re.MULTILINE)
    assert found is not None, f"no {name} in:\n{text}"
    return " ".join(found.group(1).split())


def model(dims=(12, 4, 1), shape=(2, 2, 3), **changes) -> Model:
    parameters = jaxnet.initialize_parameters_deep(dims, key=jax.random.key(0), init="he")
    return Model(parameters, Network(), shape, ("dark", "bright"), Preprocessing())._replace(**changes)


def size_of_X(text: str) -> float:
    return float(line(text, "inputs").rpartition("X of size ")[2])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def npz(path, n_x=12, m=40, classes=2):
    random = np.random.default_rng(0)
    np.savez(path, X=random.normal(size=(n_x, m)), Y=np.arange(m) % classes)
    return path


# ---- drawn networks


def test_a_network_that_is_alive(said):
    text = said("--layers", 30, 20, 10, 1)
    assert text.startswith("network   30-20-10-1, relu, drawn with --init he, seed 0\n")
    assert line(text, "inputs").startswith("64 random examples, standard normal; random labels")
    assert line(text, "forward").startswith("alive") and line(text, "backward").startswith("alive")
    assert "to do" not in text and "output" not in text
    table = rows(text, "layer")
    assert [row[:2] for row in table] == [["1", "20"], ["2", "10"], ["3", "1"]]


def test_the_numbers_are_those_of_the_library(said):
    table = rows(said("--layers", 30, 20, 10, 2, "--hidden", "tanh", "--seed", 3, "--examples", 9), "layer")
    network = Network("tanh", "softmax_cross_entropy")
    parameters = jaxnet.initialize_parameters_deep((30, 20, 10, 2), key=jax.random.key(3), init="he")
    values = jax.jit(jaxnet.singular_values)(parameters)
    X_key, Y_key = jax.random.split(jax.random.fold_in(jax.random.key(3), 1))
    Y = network.loss.sample(jax.numpy.zeros((2, 9)), Y_key)
    sizes = compiled(jaxnet.signal_sizes)(jax.random.normal(X_key, (30, 9)), Y, parameters, network=network)
    for l, row in enumerate(table):
        assert float(row[2]) == pytest.approx(float(sizes.Z[l]), rel=0.06)
        assert float(row[4]) == pytest.approx(float(sizes.spread[l]), rel=0.06)
        assert float(row[-4]) == pytest.approx(float(sizes.dZ[l]), rel=0.06)
        assert float(row[-2]) == pytest.approx(float(sizes.ratio[l]), rel=0.06)
        assert row[-1] == f"{number(values.largest[l])} to {number(values.smallest[l])}"


@pytest.mark.thorough
def test_the_courses_collapse_is_seen_before_training(said, shared_data):
    data = shared_data / "course" / "train_catvnoncat.h5"
    text = said(data, "--layers", 12288, 20, 7, 5, 1, "--init", 0.01)
    assert line(text, "inputs").startswith("64 of the 209 training examples")
    assert line(text, "forward").startswith("vanishes") and line(text, "backward").startswith("vanishes")
    assert line(text, "output").startswith("the same for every example: Z_4 varies by ")
    assert line(text, "to do").startswith("--init he: ")
    alive = said(data, "--layers", 12288, 20, 7, 5, 1)
    assert line(alive, "forward").startswith("alive") and "to do" not in alive


@pytest.mark.parametrize(
    "arguments, verdicts",
    [
        (
            ["--init", 1e-9],
            {"forward": "vanishes", "backward": "stops: all units of layer", "output": "the same for every example"},
        ),
        (
            ["--init", 1e9],
            {"forward": "explodes", "backward": "nothing comes back: the forward pass has left the range of float32"},
        ),
        (["--init", 1e9, "--hidden", "tanh"], {"slopes": "in layer", "to do": "--init "}),
        (["--hidden", "sigmoid"], {"backward": "vanishes", "to do": "no --init of he, lecun, xavier keeps"}),
    ],
)
@pytest.mark.few(1)
def test_networks_that_are_not_alive(arguments, verdicts, said):
    text = said("--layers", *[20] * 7, 3, *arguments)
    for name, words in verdicts.items():
        assert line(text, name).startswith(words), text
    assert "to do" in text


@pytest.mark.thorough
def test_a_dead_layer_is_no_underflow(said):
    """Three units a layer: by seed 2 all of one are dead for all examples."""
    text = said("--layers", 5, *[3] * 5, 1, "--seed", 2)
    assert re.match(r"stops: all units of layer \d+ are dead", line(text, "forward"))
    assert line(text, "to do").startswith("another --seed, or wider layers")


@pytest.mark.thorough
def test_many_layers_fit_on_a_screen(said):
    text = said("--layers", *[6] * 15, "--hidden", "identity", "--init", "lecun", "--loss", "squared_error")
    assert len(text.splitlines()) <= 30 and "(14 layers)" in text
    layers = [int(row[0]) for row in rows(text, "layer")]
    assert layers[0] == 1 and layers[-1] == 14 and len(layers) == 12 and layers == sorted(set(layers))


# ---- saved models


def test_a_saved_model_on_drawn_pixels(folder, said):
    save_model("m.safetensors", model())
    text = said("m.safetensors")
    assert text.startswith("network   12-4-1, relu, in m.safetensors\n")
    assert line(text, "inputs").startswith("64 images of random pixels, scaled as in training; random labels")
    assert size_of_X(text) == pytest.approx(3**-0.5, rel=0.05)  # of numbers that are as likely anywhere from 0 to 1


def test_an_estimated_slope_is_inspected_too(folder, said):
    """Saved by `jaxnet train --activation sign`, or drawn: sign passes the error on where |Z| is at most 1."""
    save_model("m.safetensors", model(network=Network("sign")))
    assert said("m.safetensors").startswith("network   12-4-1, sign, in m.safetensors\n")
    assert said("--layers", 12, 4, 1, "--hidden", "sign").startswith("network   12-4-1, sign, drawn")


def test_a_saved_model_on_its_rows_and_with_its_statistics(folder, said):
    preprocessing = Preprocessing(1 / 255, np.full((12, 1), 5, np.float32), np.full((12, 1), 0.1, np.float32))
    save_model("m.safetensors", model(shape=(12,), preprocessing=preprocessing))
    assert "standard normal; random labels; X of size" in line(said("m.safetensors"), "inputs")
    text = said("m.safetensors", npz("a.npz"), "--examples", 20)
    assert line(text, "inputs").startswith("20 of the 30 training examples of a.npz")
    assert size_of_X(text) == pytest.approx(math.hypot(5, 1) * 10, rel=0.05)


def test_a_saved_model_on_images_of_which_some_cannot_be_read(folder, said):
    save_model("m.safetensors", model())
    (folder / "d").mkdir()
    for i in range(4):
        Image.new("RGB", (5, 5), (255, 255, 255)).save(folder / "d" / f"{i}.png")
    (folder / "d" / "2.png").write_text("no image")
    text = said("m.safetensors", "d")
    assert "3 of the 4 images in d, 1 of them left out; random labels; X of size 1" == line(text, "inputs")


def test_the_shape_of_images_follows_from_the_inputs(folder, said):
    Image.new("L", (8, 8), 51).save("a.png")
    assert "1 of the 1 images in a.png; random labels; X of size 0.2" == line(
        said("a.png", "--layers", 12, 3, 1), "inputs"
    )


def test_a_model_of_zeros_has_lost_everything_at_once(folder, said):
    zeros = FrozenDict(W1=np.zeros((3, 12)), b1=np.zeros((3, 1)), W2=np.zeros((1, 3)), b2=np.zeros((1, 1)))
    zeros = FrozenDict({name: value.astype(np.float32) for name, value in zeros.items()})
    save_model("m.safetensors", model(parameters=zeros))
    text = said("m.safetensors", "--plot", "p.png")
    assert line(text, "forward") == "vanishes: from layer 1 on it is below 1.2e-38, which is 0 in float32"
    assert line(text, "backward") == "stops: all units of layer 1 are dead"


def test_where_there_is_no_error_none_comes_back(folder, said):
    """Squared error of the label 0, which the network gives to every example; one that is labelled 1 is not shown."""
    network = Network("relu", "squared_error")
    parameters = {"W1": np.eye(4), "b1": np.zeros((4, 1)), "W2": np.zeros((1, 4)), "b2": np.zeros((1, 1))}
    parameters = FrozenDict({name: value.astype(np.float32) for name, value in parameters.items()})
    save_model("m.safetensors", model(shape=(4,), parameters=parameters, network=network))
    X = np.ones((2, 3, 4))
    np.savez("a.npz", train_x=X[0].T, train_y=np.arange(3) > 1, test_x=X[1].T, test_y=np.arange(3) > 1)
    assert line(said("m.safetensors", "a.npz", "--examples", 1, "--plot", "p.png"), "backward") == (
        "nothing comes back: dZ_2 is 0"
    )


@pytest.mark.thorough
def test_theory_is_that_of_weights_as_large(folder, said):
    """Twice the weights, sixteen times what theory expects of Z_4, whatever drew them."""
    dims = (12, 40, 40, 40, 1)
    once, twice = (model(dims), model(dims))
    twice = twice._replace(parameters=FrozenDict({name: 2 * value for name, value in twice.parameters.items()}))
    expected = []
    for saved in (once, twice):
        save_model("m.safetensors", saved)
        expected.append(float(rows(said("m.safetensors"), "layer")[-1][3]))
    assert expected[1] / expected[0] == pytest.approx(16, rel=0.1)


# ---- depths: all of one width, at one number of inits, so that they share their programs


@pytest.mark.thorough
def test_depths_show_which_init_vanishes_or_explodes(said):
    text = said("--depth", 4, 40, "--width", 40)
    assert text.startswith("networks  relu, 40 inputs and 40 units in every layer, the output too; 4, 40 layers\n")
    table = {row[0]: row[1:] for row in rows(text, "init")}
    assert list(table) == ["he", "xavier, lecun", "0.01", "1"]
    assert all(0.05 < float(cell) < 20 for cell in table["he"])
    assert float(table["xavier, lecun"][2]) < 1e-4 and float(table["xavier, lecun"][3]) < 1e-4
    assert table["0.01"][2:] == ["0", "0"]
    assert 1e20 < float(table["1"][2])
    verdicts = {row[0]: row[1:] for row in rows(text, "40")}
    assert verdicts["he"][0] == verdicts["he"][3] == "alive"
    assert verdicts["0.01"][0] == "vanishes" and "in float32 from layer" in verdicts["0.01"][-1]
    assert verdicts["1"][0] == "explodes"
    for name, factor in {"he": 1, "xavier, lecun": 0.5**0.5, "0.01": 0.01 * 20**0.5, "1": 20**0.5}.items():
        measured, theory = map(float, verdicts[name][1:3])
        assert theory == pytest.approx(factor, rel=0.02) and measured == pytest.approx(theory, rel=0.1)
    assert line(text, "to do").startswith("--init he: ")


@pytest.mark.thorough
def test_depths_of_an_explosion_and_of_named_inits(said):
    text = said("--depth", 6, "--width", 40, "--init", 1e9, "xavier", 2, "he")
    assert [row[0] for row in rows(text, "init")] == ["1e+09", "xavier", "2", "he"]
    assert rows(text, "6")[0][-1].startswith("Z beyond float32 from layer")


@pytest.mark.thorough
def test_sigmoid_vanishes_on_the_way_back_under_every_init(said):
    text = said("--depth", 20, "--width", 40, "--hidden", "sigmoid", "--init", "he", "xavier", 0.18, 0.2)
    assert all(row[1] == "alive" and row[4] == "vanishes" for row in rows(text, "20"))
    assert line(text, "to do").startswith("no --init of he, lecun, xavier keeps sizes through 20 layers of sigmoid")


# ---- images


@pytest.mark.parametrize(
    "arguments, lines",
    [
        (["--depth", 4, "--width", 40], 4),
        (["--layers", 5, 4, 3], 1),
        (["--layers", 5, 1, "--init", 1e38], 1),
    ],
)
@pytest.mark.few(1)
def test_sizes_are_drawn(arguments, lines, said, tmp_path):
    assert said(*arguments, "--plot", tmp_path / "p.png").endswith(f"drawn     {tmp_path / 'p.png'}\n")
    pixels = np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).reshape(-1, 3)
    blue, orange, green, red = (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40)
    found = [np.count_nonzero((pixels == colour).all(axis=1)) > 20 for colour in (blue, orange, green, red)]
    assert found == [True] * lines + [False] * (4 - lines)


# ---- words


@pytest.mark.parametrize(
    "x, text",
    [(0, "0"), (math.inf, "inf"), (math.nan, "-"), (1e-30, "1.0e-30"), (0.0123, "0.012"), (5e4, "5.0e+04"), (1, "1")],
)
def test_numbers_have_two_digits(x, text):
    assert number(x) == text


def test_inits_that_draw_the_same_have_one_row():
    assert _different(["he", "xavier", 0.1, "lecun", 0.1], 100) == {"he": "he", "xavier, 0.1, lecun": "xavier"}


@pytest.mark.parametrize("n_x, shape", [(12288, (64, 64, 3)), (784, (28, 28)), (625, (25, 25)), (10, (10,))])
def test_inputs_that_are_a_square_image_are_one(n_x, shape):
    assert _image_shape(n_x) == shape


# ---- what is no use


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "nothing to inspect; expected a MODEL, such as runs/faces, or --layers 12288 20 1, or --depth"),
        (["none"], "none is not a file; expected a model.safetensors"),
        (["m.safetensors", "--init", "he"], "--init is for networks that are drawn; a MODEL has its own"),
        (["m.safetensors", "--hidden", "relu"], "--hidden is for networks that are drawn"),
        (["m.safetensors", "wide.npz"], "the examples of wide.npz are 13 numbers each, but the network takes 12"),
        (
            ["zero.npz", "--layers", "12", "1"],
            "X is 0 everywhere, so nothing can be followed through the layers: 30 of the 30",
        ),
        (["m.safetensors", "many.npz"], "many.npz has 3 classes, but the network 1 outputs; expected 3"),
        (["m.safetensors", "none.png"], "none.png is not a file; expected an image, or a folder of them"),
        (["m.safetensors", "no.png"], "no.png cannot be read as an image"),
        (["a.png", "--layers", "10", "1"], "the network takes 10 numbers, which do not make a square image"),
        (["m.safetensors", "a.png", "--layers", "12", "1"], "--layers takes the place of MODEL"),
        (["--layers", "12"], "expected the inputs and 1 to 1000 layers"),
        (["--layers", "12", "1", "--init", "he", "lecun"], "--init names 2; expected one for --layers"),
        (["--layers", "12", "1", "--width", "3"], "--width is for --depth"),
        (["--layers", "12", "1", "--loss", "softmax_cross_entropy"], "a softmax over one output is always 1"),
        (["--layers", "99999999", "99999999"], "GiB"),
        (["--depth", "1"], "--depth is [1]; expected numbers of layers from 2 to 1000"),
        (["--depth", "4", "1001"], "expected numbers of layers from 2 to 1000"),
        (["--depth", "4", "--width", "99999999"], "GiB"),
        (["--depth", "4", "--layers", "3", "1"], "--depth draws networks and inputs of its own"),
        (["m.safetensors", "--depth", "4"], "--depth draws networks and inputs of its own"),
        (["m.safetensors", "--plot", "none/p.png"], "none is not a folder; expected one to write p.png to"),
        (["m.safetensors", "--plot", "."], "expected a file to draw to"),
        (["m.safetensors", "--plot", "p.xyz"], "p.xyz ends in '.xyz'; expected the name of an image file: "),
        (["m.safetensors", "--plot", "p"], "p ends in ''; expected the name of an image file: "),
    ],
)
def test_unusable_input_is_told(folder, arguments, message, capsys, no_shape_checks):
    save_model("m.safetensors", model())
    npz("wide.npz", 13), npz("many.npz", classes=3)
    np.savez("zero.npz", X=np.zeros((12, 40)), Y=np.arange(40) % 2)
    Image.new("RGB", (5, 5)).save("a.png")
    (folder / "no.png").write_text("no image")
    assert typed(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--layers", "12", "1", "a.npz"], "DATA goes before the options: jaxnet inspect a.npz ..."),
        (["--layers", "12", "1", "--init", "He"], "'He' is neither one of he, lecun, xavier nor a positive number"),
        (["--layers", "12", "1", "--init", "-1"], "init"),
        (["--layers", "0", "1"], "'0' is not a positive whole number"),
    ],
)
def test_what_cannot_be_parsed_is_told(arguments, message, capsys):
    with pytest.raises(SystemExit):
        typed(*arguments)
    assert message in capsys.readouterr().err


def test_help_does_not_wait_for_jax():
    code = (
        "import sys, contextlib\n"
        "from jaxnet.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['inspect', '--help'])\n"
        "print(sorted({'jax', 'numpy', 'optax', 'matplotlib'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("usage: jaxnet inspect") and answer.stdout.endswith("[]\n")
