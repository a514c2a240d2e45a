"""Regressions and tables on the command line: trained, reported, predicted, exported; and what is refused."""

import csv
import io
import json

import numpy as np
import pytest
from safetensors import safe_open

from jaxnet import FrozenDict, Model, Network, load_model, save_model
from jaxnet.cli import main
from jaxnet.data import Column, Preprocessing, Table

from ..images import drawn_images, save_image, write_npz
from ..reports import Page
from ..tables import drawn_rows, write_csv, write_regression


TABLE = Table((Column("age"), Column("city", ("Oslo", "Rome"))), ("price",))


def typed(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def flats(**changes) -> Model:
    """price = 2 age + 100 where the city is Rome."""
    parameters = FrozenDict(W1=np.float32([[2, 0, 100]]), b1=np.zeros((1, 1), np.float32))
    network = Network("relu", "squared_error")
    return Model(parameters, network, (3,), (), Preprocessing(), table=TABLE)._replace(**changes)


def bright(outputs=1, **changes) -> Model:
    """The sum of the pixels of an image of 2 x 2, and multiples of it."""
    W1 = np.ones((outputs, 4), np.float32) * np.arange(1, outputs + 1, dtype=np.float32)[:, None]
    parameters = FrozenDict(W1=W1, b1=np.zeros((outputs, 1), np.float32))
    return Model(parameters, Network("relu", "squared_error"), (2, 2), (), Preprocessing(1.0))._replace(**changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to stand in, with a model of a table in it."""
    monkeypatch.chdir(tmp_path)
    save_model("m", flats())
    (tmp_path / "new.csv").write_text("city,id,age\nRome,7,30\nOslo,8,41.5\n")
    return tmp_path


def test_a_table_from_training_to_prediction(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "flats.csv")
    how = ["--layers", 8, "--optimizer", "momentum", "--learning-rate", 0.02, "--num-iterations", 200]
    assert typed("train", "flats.csv", "--label", "price", *how, "--out", "run") == 0
    output = capsys.readouterr().out
    for text in (
        "36 to train on, 12 to test on, of shape 5: price",
        "price: a regression target, predicted by squared error",
        "5 inputs from 2 columns of numbers and 1 column of categories",
        "5-8-1, relu, linear output",
        "labels are standardised for training",
        "R^2       train 0.9",
        " in price over the test examples; always predicting their mean: ",
        "agrees with jax.grad",
    ):
        assert text in output
    page = Page(tmp_path / "run" / "report.html")
    assert "test R²" in page.text and "price, predicted against true" in page.text and "Confusion" not in page.text
    assert typed("predict", "run", "flats.csv", "--csv", "--out", "said.csv") == 0
    with open("said.csv", newline="") as file:
        said = np.array([float(row["price"]) for row in csv.DictReader(file)])
    true = np.array([row["price"] for row in drawn_rows()])
    assert 1 - np.mean((said - true) ** 2) / np.var(true) > 0.9 and capsys.readouterr() == ("", "")
    assert typed("inspect", "run", "flats.csv") == 0
    output = capsys.readouterr().out
    assert "48 of the 48 rows of flats.csv; outputs standardised over them" in output and "alive" in output


@pytest.mark.thorough
def test_a_regression_of_an_npz_file(tmp_path, capsys, bare, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_regression(tmp_path / "a.npz", outputs=2)
    how = ["--layers", 4, "--learning-rate", 0.02, "--optimizer", "momentum", "--num-iterations", 100]
    how += ["--validation-fraction", 0.2]
    assert typed("train", "a.npz", *how, "--out", "run") == 0
    output = capsys.readouterr().out
    assert (
        "labels are regression targets, predicted by squared error" in output and "3-4-2, relu, linear output" in output
    )
    assert ", validation " in output and " in y1 over" in output and " in y2 over" in output
    assert typed("predict", "run", "a.npz", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 40 and set(lines[0]) == {"row", "values"} and set(lines[0]["values"]) == {"y1", "y2"}
    assert typed("inspect", "run", "a.npz") == 0
    assert typed("inspect", "run") == 0
    assert "random examples" in capsys.readouterr().out


def test_a_loss_may_be_chosen(tmp_path, capsys, bare):
    images, labels = drawn_images(24)
    data = write_npz(tmp_path / "a.npz", X=images, Y=labels)
    how = ["--layers", 3, "--num-iterations", 5]
    assert typed("train", data, *how, "--loss", "squared_error", "--out", tmp_path / "regression") == 0
    assert "linear output" in capsys.readouterr().out and load_model(tmp_path / "regression").classes == ()
    assert typed("train", data, *how, "--loss", "cross_entropy", "--out", tmp_path / "classes") == 0
    assert "sigmoid output" in capsys.readouterr().out


def test_a_table_of_classes_and_its_settings(tmp_path, capsys, bare, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write_csv(tmp_path / "a.csv", only=("rooms", "age", "city", "kind"))
    how = ["--layers", 3, "--num-iterations", 5, "--label", "kind", "--drop", "city", "--categories", "rooms"]
    assert typed("train", data, *how, "--out", "run") == 0
    assert "kind: 3 classes" in capsys.readouterr().out
    assert typed("train", "--config", "run/settings.toml", "--out", "again") == 0
    assert (tmp_path / "run/model.safetensors").read_bytes() == (tmp_path / "again/model.safetensors").read_bytes()
    capsys.readouterr()
    assert typed("predict", "run", "a.csv", "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["row", "class", "probability", "flat", "house", "loft"] and len(rows) == 48
    assert typed("predict", "run", "a.csv") == 0
    assert capsys.readouterr().out.splitlines()[0].split()[0] == "1"
    assert typed("predict", "run", "a.csv", "--json") == 0
    assert set(json.loads(capsys.readouterr().out.splitlines()[0])) == {"row", "class", "probability", "probabilities"}


def test_rows_are_predicted_and_other_columns_named(folder, capsys):
    assert typed("predict", "m", "new.csv") == 0
    out, err = capsys.readouterr()
    assert out == "1  price 160\n2  price 83\n"
    assert err == "jaxnet: columns that the model does not know are ignored: id\n"
    assert typed("predict", "m", "new.csv", "--csv") == 0
    assert capsys.readouterr().out == "row,price\n1,160.0\n2,83.0\n"


def test_a_row_whose_outputs_are_not_finite_is_left_out(folder, capsys):
    save_model("m", flats(parameters=flats().parameters | {"W1": np.float32([[2e30, 0, 0]])}))
    (folder / "new.csv").write_text("city,age\nRome,1e30\nOslo,0\n")
    assert typed("predict", "m", "new.csv") == 1
    assert capsys.readouterr() == ("2  price 0\n", "jaxnet: row 1: the network's outputs are not finite\n")


def test_a_regression_of_images(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model("m", bright(2))
    save_image(tmp_path / "a.png", colour=10, mode="L", size=(2, 2))
    assert typed("predict", "m", "a.png") == 0
    assert capsys.readouterr().out == "a.png  y1 40  y2 80\n"
    assert typed("predict", "m", "a.png", "--csv") == 0
    assert capsys.readouterr().out == "path,y1,y2\na.png,40.0,80.0\n"
    assert typed("predict", "m", "a.png", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"path": "a.png", "values": {"y1": 40.0, "y2": 80.0}}


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_an_exported_table_comes_back(folder, capsys, suffix):
    standard = Preprocessing(mean=np.float32([[40], [0.5], [0.5]]), std=np.float32([[10], [0.5], [0.5]]))
    save_model("m", flats(preprocessing=standard))
    assert typed("export", "m", "--to", "torch" if suffix == "safetensors" else "npz", "--out", f"e.{suffix}") == 0
    output = capsys.readouterr().out
    if suffix == "safetensors":
        assert "rows of the 3 inputs age, city=Oslo, city=Rome" in output and "minus input_mean" in output
        assert "the outputs themselves: price" in output
    assert typed("import", f"e.{suffix}", "--out", "i") == 0
    assert "values price" in capsys.readouterr().out
    assert load_model("i").table == TABLE and load_model("i").classes == ()
    for name in ("m", "i"):
        assert typed("predict", name, "new.csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == lines[2:]


def test_a_folded_export_takes_the_tables_numbers(folder, capsys):
    standard = Preprocessing(mean=np.float32([[40], [0], [0]]), std=np.float32([[10], [1], [1]]))
    save_model("m", flats(preprocessing=standard))
    assert typed("export", "m", "--to", "torch", "--fold", "--out", "e.safetensors") == 0
    with safe_open("e.safetensors", framework="numpy") as file:
        W, b = file.get_tensor("0.weight"), file.get_tensor("0.bias")
    np.testing.assert_allclose(W @ [30, 0, 1] + b, [98], rtol=1e-6)  # 2 (30 - 40) / 10 + 100


@pytest.mark.parametrize(
    "model, number",
    [
        (flats(), 3),
        (bright(), 3),
        (flats(network=Network(), classes=("cheap", "dear")), 3),
        (flats(network=Network(), classes=("cheap", "dear"), table=None), 1),
        (flats(classes=("a", "b"), table=None), 1),
    ],
)
def test_only_new_kinds_of_models_have_the_new_format(tmp_path, model, number):
    save_model(tmp_path / "m", model)
    with safe_open(tmp_path / "m", framework="numpy") as file:
        assert file.metadata()["jaxnet_format"] == str(number)
    loaded = load_model(tmp_path / "m")
    assert (loaded.classes, loaded.table, loaded.output_names) == (model.classes, model.table, model.output_names)


def saved(folder, **changes):
    save_model(folder / "m", flats(**changes))
    return folder / "m"


BAD = {
    "a table without a label": (lambda d: ["train", write_csv(d / "a.csv")], "name the column to predict, --label"),
    "a label that is not there": (lambda d: ["train", write_csv(d / "a.csv"), "--label", "cost"], "no column 'cost'"),
    "a label of other data": (
        lambda d: ["train", write_regression(d / "a.npz"), "--label", "price"],
        "--label, --categories and --drop are of tables",
    ),
    "a label without data": (lambda d: ["train", "--label", "price"], "are of tables; None is not a .csv"),
    "targets as classes": (
        lambda d: ["train", write_regression(d / "a.npz"), "--loss", "cross_entropy"],
        "labels of dtype float64 are not whole numbers",
    ),
    "targets of the faces": (lambda d: ["train", "--loss", "squared_error"], "takes labels of an .npz file or a table"),
    "weights of classes": (
        lambda d: ["train", write_csv(d / "a.csv"), "--label", "price", "--class-weight", "balanced"],
        "--class-weight is of classes, but the labels are regression targets",
    ),
    "labels that do not vary": (
        lambda d: ["train", write_npz(d / "a.npz", X=np.eye(3, 9), Y=np.full(9, 2.5))],
        "the label y is 2.5 with a standard deviation of 0",
    ),
    "a table of another kind": (
        lambda d: ["train", write_csv(d / "a.xlsx"), "--label", "price"],
        "--drop are of tables",
    ),
    "a name that is not text": (
        lambda d: ["train", write_csv(d / "a.csv"), "--label", "price\udcff"],
        "the column 'price\\udcff' cannot be kept in settings.toml",
    ),
    "an image for a model of a table": (
        lambda d: ["predict", saved(d), save_image(d / "a.png")],
        "was trained on a table; expected a .csv, .tsv, .parquet file with its columns",
    ),
    "a table for a model of columns": (
        lambda d: ["predict", saved(d, table=None), write_csv(d / "a.csv")],
        "was trained on columns of 3 numbers, not on images; expected an .npz file of X",
    ),
    "a folder for a model of a table": (
        lambda d: ["predict", saved(d), d],
        "is not a file; expected a table or an .npz",
    ),
    "two tables": (lambda d: ["predict", saved(d), d / "a.csv", d / "b.csv"], "predicts the rows of one file; got 2"),
    "a table that lacks columns": (
        lambda d: ["predict", saved(d), write_csv(d / "a.csv", only=("rooms", "age"))],
        "lacks the column city; it has rooms, age",
    ),
    "an unknown category": (
        lambda d: ["predict", saved(d), write_csv(d / "a.csv")],
        "row 1 of column city is 'Bern', which is not one of the categories of training: Oslo, Rome",
    ),
    "columns for rows": (
        lambda d: ["predict", saved(d, table=None), write_npz(d / "a.npz", X=np.eye(8, 3))],
        "X has shape (8, 3); expected (3, m), as the model was trained on: examples are columns, save X.T",
    ),
    "a table that inspect cannot read": (
        lambda d: ["inspect", saved(d), write_csv(d / "a.csv", only=("age", "city"))],
        "has no column 'price' of labels; it has age, city",
    ),
    "targets for a network of more outputs": (
        lambda d: ["inspect", write_regression(d / "a.npz"), "--layers", 3, 2],
        "has regression targets as labels, but the network 2 outputs; expected 1 of them",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_refused_before_work(tmp_path, capsys, monkeypatch, name, no_shape_checks):
    monkeypatch.chdir(tmp_path)
    command, message = BAD[name]
    assert typed(*command(tmp_path)) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxnet: error: ") and message in error
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("value", ["3", "[]", "[1]", "true"])
def test_columns_in_a_file_are_names(tmp_path, capsys, value):
    (tmp_path / "a.toml").write_text(f"label = {value}\n")
    assert typed("train", write_csv(tmp_path / "a.csv"), "--config", tmp_path / "a.toml") == 2
    assert "a.toml: label is " in capsys.readouterr().err


def test_a_column_in_a_file_may_look_like_an_option(tmp_path, capsys, bare):
    rows = [{"--x": i, "y": i / 7} for i in range(12)]
    (tmp_path / "a.toml").write_text('label = "y"\ndrop = ["--x"]\n')
    data = write_csv(tmp_path / "a.csv", rows, only=("--x", "y"))
    assert typed("train", data, "--config", tmp_path / "a.toml", "--out", tmp_path / "run") == 2
    assert "beside the label, none that varies" in capsys.readouterr().err
