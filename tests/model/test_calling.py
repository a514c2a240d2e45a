"""`model(...)`: files, PIL images, tables, lists and arrays in, the predictions of the command out, to the last bit."""

import io
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxnet
from jaxnet import (
    FrozenDict,
    InputError,
    Model,
    Network,
    Prediction,
    Preprocessing,
    evaluate,
    initialize_parameters_deep,
    save_model,
)
from jaxnet.cli import main
from jaxnet.data import Column, Table
from jaxnet.model.prediction import class_probabilities

from .test_file import drawn_model


SHAPE, CLASSES = (8, 6, 3), ("cat", "dog")
MEAN, STD = (np.random.default_rng(k).uniform(0.2, 0.8, (144, 1)).astype(np.float32) for k in (1, 2))


def cats(**changes) -> Model:
    parameters = initialize_parameters_deep((144, 5, 1), key=jax.random.key(0), init="he")
    return Model(parameters, Network(), SHAPE, CLASSES, Preprocessing(1 / 255, MEAN, STD))._replace(**changes)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def photograph(path, size=(90, 120), seed=0, **options):
    """Smooth enough for JPEG, and large enough that draft decoding shows."""
    Image.fromarray(noise(9, 9, 3, seed=seed)).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


def transparent(path):
    Image.fromarray(noise(20, 20, 4)).save(path)
    return path


def on_its_side(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    return photograph(path, exif=exif)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a model and images of several kinds."""
    monkeypatch.chdir(tmp_path)
    photograph("a.jpg"), photograph("b.jpg", seed=1), on_its_side("c.jpg"), transparent("d.png")
    Image.fromarray(noise(30, 20)).save("e.png")
    Image.fromarray(noise(30, 20).astype(np.uint16) * 257).save("f.png")
    return tmp_path


PATHS = ["a.jpg", "b.jpg", "c.jpg", "d.png", "e.png", "f.png"]


@pytest.mark.parametrize("exact", [False, True])
def test_a_call_is_what_the_command_prints(exact, folder, capsys):
    save_model("m.safetensors", cats(exact_decoding=exact))
    assert main(["predict", "m.safetensors", *PATHS, "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    model = jaxnet.load_model("m.safetensors")
    together = model(PATHS)
    assert [(p.label, p.probability, p.probabilities) for p in together] == [
        (one["class"], one["probability"], one["probabilities"]) for one in printed
    ]
    for path, prediction in zip(PATHS, together, strict=True):
        assert model(path) == model(folder / path) == prediction
        with Image.open(path) as image:
            assert model(image) == prediction
    opened = [Image.open(io.BytesIO((folder / path).read_bytes())) for path in PATHS]
    assert model(opened) == together == model(tuple(PATHS))
    assert model([folder / "a.jpg", opened[1]]) == together[:2]


def test_images_of_a_list_share_nothing(folder):
    """The same path or image twice, and a JPEG that the caller goes on with."""
    model, image = cats(), Image.open(io.BytesIO((folder / "a.jpg").read_bytes()))
    assert model([image, image, "a.jpg", "a.jpg"]) == [model("a.jpg")] * 4
    assert image.size == (90, 120) and np.asarray(image).shape == (120, 90, 3)


def test_a_later_image_of_a_file_stays_chosen(folder):
    first, second = (Image.open(photograph(f"{seed}.jpg", seed=seed)) for seed in (0, 1))
    first.save("two.jpg", format="MPO", save_all=True, append_images=[second])
    model = cats(exact_decoding=True)
    with Image.open("two.jpg") as image:
        before = model(image)
        image.seek(1)
        assert model("two.jpg") == before != model(image) and image.size == (90, 120)
    first.close(), second.close()


def test_arrays_are_one_image_several_or_columns(folder):
    model = cats()
    images = np.stack([jaxnet.read_image(path, SHAPE) for path in PATHS])
    expected = model(PATHS)
    assert images.shape == (6, *SHAPE) and model(images) == expected == model(jnp.asarray(images))
    assert model(list(images)) == expected and model(images[0]) == expected[0] and model(images[:1]) == expected[:1]
    assert model(images.reshape(6, -1).T) == expected
    floats = np.float32(images) * np.float32(1 / 255)
    assert model(floats) == expected and model(floats.reshape(6, -1).T) == expected


def test_rows_of_numbers_are_columns():
    model = drawn_model(input_shape=(12,), preprocessing=Preprocessing())
    X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    together = model(X)
    assert [model(x) for x in X.T] == together == model(list(X.T))
    AL, _ = jaxnet.L_model_forward(X, model.parameters, model.network)
    np.testing.assert_allclose([list(p.probabilities.values()) for p in together], AL.T, rtol=1e-6)


def test_probabilities_do_not_depend_on_the_other_columns():
    parameters = initialize_parameters_deep((300, 37, 5, 3), key=jax.random.key(0), init="he")
    network = Network("gelu", "softmax_cross_entropy")
    X = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
    together, order = class_probabilities(X, parameters, network), np.random.default_rng(1).permutation(40)
    np.testing.assert_array_equal(class_probabilities(X[:, order], parameters, network), together[:, order])
    for i in (0, 7, 31, 39):
        np.testing.assert_array_equal(class_probabilities(X[:, [i]], parameters, network), together[:, [i]])


def test_exact_decoding_gives_the_pixels_of_pil(folder):
    with Image.open("a.jpg") as image:
        plain = np.asarray(image.convert("RGB").resize((6, 8), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(jaxnet.read_image("a.jpg", SHAPE, exact=True), plain)
    assert not np.array_equal(jaxnet.read_image("a.jpg", SHAPE), plain)


def test_a_prediction_is_a_small_value():
    prediction = Prediction("dog", {"cat": 0.25, "dog": 0.75})
    assert prediction.probability == 0.75 and prediction == Prediction("dog", {"cat": 0.25, "dog": 0.75})


class BytesPath:
    def __fspath__(self):
        return b"a.jpg"


REFUSED = {
    "no image": ([], "the list of images is empty"),
    "nothing": (None, "the image is None, a NoneType; expected a path or a PIL image"),
    "a number": (3, "the image is 3, a int"),
    "bytes": (b"\xff\xd8", "the image is bytes; expected a path or a PIL image"),
    "an open file": (io.BytesIO(b"\xff\xd8"), "the image is an open file; expected"),
    "a path of bytes": (BytesPath(), "a BytesPath; expected a path or a PIL image"),
    "a set": ({"a.jpg"}, "the image is {'a.jpg'}, a set"),
    "a list of lists": ([["a.jpg"]], r"the image is \['a.jpg'\], a list; .* number 0 of a list of 1, from 0"),
    "a list with bytes": (["a.jpg", b""], "the image is bytes; .* number 1 of a list of 2"),
    "a missing path": ("none.jpg", "none.jpg is not a file; expected an image file"),
    "a missing path in a list": (["a.jpg", "none.jpg"], "none.jpg is not a file; .* number 1 of a list of 2"),
    "an empty path": ("", "an empty path is not a file"),
    "a folder": (".", ". is a folder; expected an image file"),
    "a text": ("text.jpg", "text.jpg cannot be read as an image: it is none of JPEG"),
    "floats in PIL": (
        Image.new("F", (9, 9)),
        "the PIL image of 9 x 9 pixels of mode F cannot be read .* mode F, whose",
    ),
    "an empty PIL image": (Image.new("RGB", (0, 0)), "the PIL image of 0 x 0 pixels of mode RGB cannot be read"),
    "a huge PIL image": (Image.new("1", (2**13 + 1, 2**13)), "it has more than 67,108,864 pixels"),
    "an image of another size": (noise(9, 6, 3), r"shape \(9, 6, 3\); expected one image \(8, 6, 3\), several \(m, 8"),
    "a grey image": (noise(8, 6), r"shape \(8, 6\); .* or columns \(144, m\)"),
    "no example": (noise(0, *SHAPE), r"shape \(0, 8, 6, 3\); expected"),
    "rows": (noise(4, 144), "transpose it, as every column is an example"),
    "a number in an array": (np.array(3.0), r"shape \(\); expected"),
    "whole numbers": (noise(*SHAPE).astype(int), "the array is int64; expected uint8 pixels from 0 to 255, or floats"),
    "truth values": (np.zeros(SHAPE, bool), "the array is bool"),
    "objects": (np.full(SHAPE, None), "the array is object"),
    "floats up to 255": (
        np.float32(noise(*SHAPE)),
        "images of floats lie between 0 and 249; expected 0 to 1, or uint8 pixels",
    ),
    "columns up to 255": (np.float32(noise(*SHAPE)).reshape(-1, 1), "images of floats lie between 0 and 249"),
    "NaN": (np.full(SHAPE, np.nan), "NaN or infinite"),
    "a masked array": (np.ma.masked_array(noise(*SHAPE)), "the array is masked"),
    "arrays of two shapes": (
        [noise(*SHAPE), noise(9, 6, 3)],
        r"example 1 .* is uint8 of shape \(9, 6, 3\); expected all",
    ),
    "arrays of two dtypes": ([noise(*SHAPE), np.zeros(SHAPE)], "example 1 .* is float64 of shape"),
    "an array and a path": ([noise(*SHAPE), "a.jpg"], "example 1 .* is a str; expected all to be arrays"),
    "a path and an array": (["a.jpg", noise(*SHAPE)], "a ndarray; expected a path or a PIL image; it is number 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_an_image_is_refused(name, folder, monkeypatch):
    inputs, message = REFUSED[name]
    (folder / "text.jpg").write_text("no image")
    monkeypatch.setattr("jaxnet.model.model.class_probabilities", None)  # nothing is computed
    with pytest.raises(InputError, match=message):
        cats()(inputs)


def test_a_shape_that_could_be_two_is_refused():
    parameters = initialize_parameters_deep((4, 1), key=jax.random.key(0))
    tall = Model(parameters, Network(), (4, 1), CLASSES)
    with pytest.raises(
        InputError, match=re.escape("that of one image and of columns; expected one image as (1, 4, 1)")
    ):
        tall(noise(4, 1))
    assert len(tall(noise(1, 4, 1))) == 1 and len(tall(noise(4, 2))) == 2


@pytest.mark.parametrize(
    "changes, inputs, message",
    [
        ({"input_shape": (144,)}, "a.jpg", "the model was trained on columns of 144 numbers, not on images"),
        ({"network": Network(loss="squared_error")}, "a.jpg", "was trained on squared_error, so its outputs are not"),
        ({"network": Network(loss="softmax_cross_entropy")}, "a.jpg", "a softmax of one output"),
    ],
)
def test_a_model_of_something_else_says_so(changes, inputs, message, folder):
    with pytest.raises(InputError, match=message):
        cats(**changes)(inputs)


def test_outputs_that_are_not_finite_are_named(folder):
    broken = cats(parameters=jax.tree.map(lambda array: array * np.float32(np.inf), cats().parameters))
    with pytest.raises(InputError, match="b.jpg: the network's outputs are not finite"):
        broken(["b.jpg"])
    with pytest.raises(InputError, match="example 0: the network's outputs are not finite"):
        broken(noise(*SHAPE))


@pytest.mark.parametrize(
    "model, text",
    [
        (
            cats(exact_decoding=True),
            "Model 144-5-1, Network('relu', 'binary_cross_entropy')\nclasses: cat, dog\n"
            "inputs: images of 8 x 6 pixels in colour, times 0.00392157, standardised, JPEG files decoded exactly",
        ),
        (
            drawn_model(input_shape=(12,)),
            "Model 12-5-3, Network('gelu', 'softmax_cross_entropy')\nclasses: Katze, 犬, bird, 'x'\n"
            "inputs: columns of 12 numbers",
        ),
    ],
)
def test_repr_says_what_a_model_is(model, text):
    assert repr(model) == text


def test_a_model_of_parts_that_do_not_fit_can_be_shown():
    assert "None" in repr(cats(parameters=None)) and repr(cats(preprocessing=1))


def test_many_classes_are_counted_in_the_repr():
    parameters = initialize_parameters_deep((4, 30), key=jax.random.key(0))
    many = Model(parameters, Network(loss="softmax_cross_entropy"), (4,), tuple(map(str, range(30))))
    assert "classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... (30 in all)\n" in repr(many)


@pytest.mark.parametrize("shape", [(8,), (8, 6, 1), (8, 6, 4), (0, 6), "ab", None, (8.0, 6.0)])
def test_read_image_refuses_another_shape(shape, folder, no_shape_checks):
    with pytest.raises(InputError, match=r"input_shape is .*; expected \(height, width\) or"):
        jaxnet.read_image("a.jpg", shape)


def flats(**changes) -> Model:
    """price = 2 age + 100 where the city is Rome."""
    parameters = FrozenDict(W1=np.float32([[2, 0, 100]]), b1=np.zeros((1, 1), np.float32))
    table = Table((Column("age"), Column("city", ("Oslo", "Rome"))), ("price",))
    return Model(parameters, Network("relu", "squared_error"), (3,), (), Preprocessing(), table=table)._replace(
        **changes
    )


def test_a_table_is_predicted_as_by_the_command(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text("city,age\nRome,30\nOslo,41.7\n")
    for model in (flats(), flats(network=Network(), classes=("cheap", "dear"))):
        save_model("m.safetensors", model)
        assert main(["predict", "m.safetensors", "new.csv", "--json"]) == 0
        printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        predictions = model("new.csv")
        assert [getattr(p, "values", None) or p.probabilities for p in predictions] == [
            line.get("values") or line["probabilities"] for line in printed
        ]
        rows = [{"city": "Rome", "age": 30}, {"age": 41.7, "city": "Oslo"}]
        assert model(rows) == predictions == [model(row) for row in rows]
        assert model({"age": [30, 41.7], "city": ["Rome", "Oslo"]}) == predictions
        assert model(np.float32([[30, 41.7], [0, 1], [1, 0]])) == predictions  # columns, encoded by hand


def test_other_columns_of_a_file_are_named_in_a_warning(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "new.csv").write_text("id,city,age,price\n7,Rome,30,1\n")
    with pytest.warns(UserWarning, match="columns that the model does not know are ignored: id$"):
        assert flats()(tmp_path / "new.csv") == [jaxnet.Estimate({"price": 160.0})]


def test_columns_of_numbers_may_be_a_file(tmp_path):
    X = np.float32([[30, 41], [0, 1], [1, 0]])
    np.savez(tmp_path / "new.npz", X=X)
    model = flats(table=None)
    assert model(str(tmp_path / "new.npz")) == model(X)


@pytest.mark.parametrize(
    "changes, inputs, message",
    [
        ({}, "none.csv", "none.csv is not a file; expected a table or an .npz file of examples"),
        (
            {},
            "a.jpg",
            "the model was trained on a table; expected a .csv, .tsv, .parquet file .*, got a.jpg",
        ),
        ({}, ["a.csv"], "row 1 of the list of 1 is 'a.csv'; expected a mapping of the columns' names to values"),
        ({}, b"a.csv", "the model was trained on a table; expected the path of a table, .* got b'a.csv'"),
        ({}, {"age": 3}, "the table lacks the column city; it has age"),
        ({"table": None}, {"age": 3}, "on columns of 3 numbers, not on images; expected an .npz file of X; .* got"),
        ({"table": None}, None, "expected that or an array, got None"),
    ],
)
def test_what_a_model_of_rows_does_not_take_is_refused(changes, inputs, message, folder):
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match=message):
        flats(**changes)(inputs)


def test_a_row_whose_outputs_are_not_finite_is_named():
    pytest.importorskip("pyarrow")
    broken = flats(parameters=flats().parameters | {"W1": np.float32([[2e30, 0, 0]])})
    with pytest.raises(InputError, match="row 2: the network's outputs are not finite"):
        broken({"age": [0, 1e30], "city": ["Rome", "Rome"]})


def test_bytes_are_no_row_of_a_table(no_shape_checks):
    """They would be taken for pixels, and scaled."""
    table = Table((Column("a"), Column("b")), ("price",))
    parameters = {"W1": np.ones((1, 2), np.float32), "b1": np.zeros((1, 1), np.float32)}
    model = Model(parameters, Network("relu", "squared_error"), (2,), (), table=table)
    assert model(np.float32([[100], [50]]))[0].values == {"price": 150.0}
    for use in (model, lambda X: evaluate(model, X, [1.5])):
        with pytest.raises(InputError, match="the array is uint8, but the model was trained on a table"):
            use(np.uint8([[100], [50]]))


@pytest.mark.parametrize("labels", [["3", "1"], [3, 1], np.array([3.0, 1.0])])
def test_labels_of_numbered_classes_are_their_names(labels):
    parameters = {"W1": np.float32([[0], [0], [1]]), "b1": np.float32([[0.5], [0], [0]])}
    model = Model(parameters, Network("relu", "softmax_cross_entropy"), (1,), ("1", "2", "3"))
    assert evaluate(model, np.float32([[2, -2]]), labels).accuracy == 1
    with pytest.raises(InputError, match="the label 0 is unknown to the model"):
        evaluate(model, np.float32([[2, -2]]), [0, 1])
