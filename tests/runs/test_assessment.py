"""`jaxnet.evaluate`: standard measures on labelled examples, which have to fit the model."""

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import FrozenDict, InputError, Model, Network, evaluate, initialize_parameters_deep
from jaxnet.data import Column, Table

from ..images import drawn_images, save_cats_and_dogs, write_h5, write_npz


SHAPE = (2, 2, 3)


def brightness(classes=("dark", "bright"), **changes) -> Model:
    """Calls an image bright where its mean is above one half."""
    parameters = FrozenDict(W1=np.full((1, 12), 2, np.float32), b1=np.full((1, 1), -12, np.float32))
    return Model(parameters, Network(), SHAPE, classes)._replace(**changes)


def greys(*values):
    return np.stack([np.full(SHAPE, value, np.uint8) for value in values])


IMAGES, LABELS = greys(0, 255, 100, 200, 120), np.array([0, 1, 0, 1, 1])


def test_measures_are_those_of_their_definitions():
    evaluation = evaluate(brightness(), IMAGES, LABELS)
    p = evaluation.class_probabilities[1]
    np.testing.assert_allclose(p, 1 / (1 + np.exp(12 - 24 * np.array([0, 255, 100, 200, 120]) / 255)), rtol=1e-4)
    assert evaluation.predicted.tolist() == [0, 1, 0, 1, 0]
    assert (evaluation.right, evaluation.accuracy, evaluation.baseline) == (4, 0.8, 0.6)
    assert evaluation.confusion.tolist() == [[2, 0], [1, 2]] and evaluation.roc_area == 1
    assert evaluation.interval == pytest.approx((0.37553, 0.96380), abs=1e-4)  # statsmodels' proportion_confint
    assert evaluation.brier_score == pytest.approx(np.mean((p - LABELS) ** 2))
    assert evaluation.cost == pytest.approx(-np.mean(np.log(np.where(LABELS == 1, p, 1 - p))), rel=1e-5)
    assert evaluation.as_dict()["confusion"] == [[2, 0], [1, 2]] and evaluation.as_dict()["count"] == 5


def test_probabilities_are_those_of_a_call():
    model = brightness()
    said = [list(prediction.probabilities.values()) for prediction in model(IMAGES)]
    np.testing.assert_allclose(evaluate(model, IMAGES, LABELS).class_probabilities.T, said, rtol=1e-6)


ONE_HOT = np.array([[1, 0, 1, 0, 0], [0, 1, 0, 1, 1]])


@pytest.mark.parametrize(
    "labels",
    [LABELS.tolist(), LABELS[None], LABELS == 1, np.float32(LABELS), ONE_HOT, np.array(["dark", "bright"])[LABELS]],
)
def test_labels_come_in_several_forms(labels):
    assert evaluate(brightness(), IMAGES, labels).labels.tolist() == LABELS.tolist()


def test_more_classes_have_mean_measures():
    parameters = initialize_parameters_deep((12, 3), key=jax.random.key(0), init="he")
    model = brightness(("a", "b", "c"), parameters=parameters, network=Network(loss="softmax_cross_entropy"))
    images, labels = drawn_images(30, SHAPE, classes=3)
    evaluation = evaluate(model, images, labels)
    Y = np.arange(3)[:, None] == labels
    errors = np.square(evaluation.class_probabilities - Y)
    assert evaluation.brier_score == pytest.approx(errors.sum(axis=0).mean())
    assert 0 < evaluation.roc_area < 1 and "mean over the classes" in str(evaluation)


def test_text_shows_names_and_counts():
    text = str(evaluate(brightness(), IMAGES[:4], LABELS[:4]))
    assert text.splitlines() == [
        "examples  4 in memory",
        "accuracy  1.0000, 4 of 4, 95 % interval 0.5101 to 1.0000; always guessing dark: 0.5000",
        text.splitlines()[2],
        "ROC AUC   1.0000",
        "confusion  dark  bright  recall  precision",
        "dark          2       0  1.0000     1.0000",
        "bright        0       2  1.0000     1.0000",
        "(a row for each true class, a column for each predicted one)",
    ]
    assert text.splitlines()[2].startswith("cost      0.0")


def test_one_class_alone_has_no_roc():
    evaluation = evaluate(brightness(), IMAGES[:1], [0])
    assert np.isnan(evaluation.roc_area) and evaluation.as_dict()["roc_area"] is None
    assert "bright        0       0       -          -" in str(evaluation)


def test_many_classes_are_shown_by_their_pairs():
    parameters = initialize_parameters_deep((12, 25), key=jax.random.key(0))
    model = brightness(tuple(map(str, range(25))), parameters=parameters, network=Network(loss="softmax_cross_entropy"))
    text = str(evaluate(model, IMAGES, [1, 2, 3, 4, 5]))
    assert "confusion of classes, most frequent first" in text and " taken for " in text


@pytest.mark.parametrize("part, m", [(None, 4), ("test", 4), ("train", 8), ("all", 12)])
def test_a_file_has_parts(part, m, tmp_path):
    images, labels = drawn_images(12, SHAPE)
    path = write_npz(
        tmp_path / "a.npz",
        **{"train_x": images[:8], "train_y": labels[:8], "test_x": images[8:], "test_y": labels[8:]},
        classes=["dark", "bright"],
    )
    evaluation = evaluate(brightness(), path, part=part)
    assert len(evaluation.labels) == m
    named = {"train": "its training part", "all": "all of it"}.get(part, "its test part")
    assert evaluation.examples == f"{m} of {path}: {named}"


def test_a_file_without_parts_is_evaluated_in_full(tmp_path):
    """Classes are matched by name: here they come in another order, and one of the model's has no example."""
    path = write_npz(tmp_path / "a.npz", X=IMAGES, Y=1 - LABELS, classes=["bright", "dark"])
    parameters = FrozenDict(W1=np.float32([[-2] * 12, [2] * 12, [0] * 12]), b1=np.float32([[12], [-12], [-99]]))
    network = Network(loss="softmax_cross_entropy")
    evaluation = evaluate(brightness(("dark", "bright", "black"), parameters=parameters, network=network), str(path))
    assert evaluation.labels.tolist() == LABELS.tolist() and evaluation.accuracy == 0.8
    assert evaluation.examples == f"5 of {path}: all of it, as it has no test part"


def test_a_folder_is_read_as_the_model_reads_it(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXNET_CACHE", str(tmp_path / "cache"))
    save_cats_and_dogs(tmp_path / "pets" / "train"), save_cats_and_dogs(tmp_path / "pets" / "test")
    model = brightness(("cat", "dog"))
    evaluation = evaluate(model, tmp_path / "pets", part="all")
    assert len(evaluation.labels) == 16 and evaluation.classes == ("cat", "dog")
    assert evaluation.class_probabilities[0, 0] == pytest.approx(
        model(tmp_path / "pets/train/cat/0.png").probabilities["cat"]
    )


def test_a_mapping_of_columns_is_evaluated():
    table = Table((Column("size"), Column("age")), ("kind",))
    parameters = FrozenDict(W1=np.float32([[1, -1]]), b1=np.float32([[0]]))
    model = Model(parameters, Network(), (2,), ("cat", "dog"), table=table)
    columns = {"size": [2.0, 0.0, 1.0], "age": [0.0, 1.0, 0.0]}
    evaluation = evaluate(model, columns, ["dog", "cat", "cat"])
    assert evaluation.confusion.tolist() == [[1, 1], [0, 1]]
    with pytest.raises(InputError, match="lacks the column age"):
        evaluate(model, {"size": [2.0]}, ["dog"])


REFUSED = {
    "a list of paths": (["a.png"], {"labels": [0]}, r"was trained on images of shape \(2, 2, 3\); expected a path"),
    "no labels": (IMAGES, {}, "there are no labels; expected 5 names or indices of the classes dark, bright"),
    "too few labels": (IMAGES, {"labels": [0]}, r"labels have shape \(1,\); expected 5 names"),
    "a strange name": (IMAGES, {"labels": ["dark"] * 4 + ["owl"]}, "the label 'owl' is unknown to the model"),
    "a large index": (IMAGES, {"labels": [0, 1, 2, 0, 1]}, "the label 2 is not the index of a class, from 0"),
    "halves": (IMAGES, {"labels": [0, 0.5, 1, 0, 1]}, "the label 0.5 is not the index"),
    "NaN": (IMAGES, {"labels": [0, np.nan, 1, 0, 1]}, "the label nan is not the index"),
    "no one-hot columns": (IMAGES, {"labels": np.ones((2, 5))}, "are not one-hot columns"),
    "objects": (IMAGES, {"labels": [None] * 5}, "labels are object; expected"),
    "another shape": (IMAGES[:, :1], {"labels": LABELS}, r"shape \(5, 1, 2, 3\); expected one image \(2, 2, 3\)"),
    "a part of an array": (IMAGES, {"labels": LABELS, "part": "test"}, "only a path has parts"),
    "labels of a path": ("a.npz", {"labels": LABELS}, "data is a path, whose examples have labels of their own"),
    "no test part": ("a.npz", {"part": "test"}, "a.npz has no test part, so only all of it can be evaluated"),
    "another part": ("a.npz", {"part": "some"}, "part is 'some'; expected one of test, train, all"),
    "nothing there": ("none.npz", {}, "none.npz does not exist"),
    "other images": ("b.npz", {}, r"the examples of b.npz have shape \(3, 2, 3\); the model takes \(2, 2, 3\)"),
    "unnamed classes": ("c.npz", {}, "the class 0 is unknown .* the array classes of an .npz file names"),
    "an unknown class": ("d.npz", {}, "d.npz: the class owl is unknown to the model, whose classes are dark, bright"),
    "no labels in a file": ("e.npz", {}, "e.npz has the arrays X; expected X and Y"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, options, message = REFUSED[name]
    classes = {"classes": ["dark", "bright"]}
    np.savez("a.npz", X=IMAGES, Y=LABELS, **classes)
    np.savez("b.npz", X=np.zeros((4, 3, 2, 3), np.uint8), Y=np.arange(4) % 2, **classes)
    np.savez("c.npz", X=IMAGES, Y=LABELS)
    np.savez("d.npz", X=IMAGES, Y=LABELS, classes=["dark", "owl"])
    np.savez("e.npz", X=IMAGES)
    with pytest.raises(InputError, match=message):
        evaluate(brightness(), data, **options)


@pytest.mark.parametrize("shape", [(12,), (2, 6), (1, 4, 3)])
def test_a_folder_is_of_squares(shape, tmp_path):
    with pytest.raises(InputError, match="is a folder, of images that are resized to squares; the model takes"):
        evaluate(brightness(input_shape=shape), tmp_path)


def test_outputs_that_are_not_finite_are_counted():
    broken = brightness(parameters=FrozenDict(W1=np.full((1, 12), np.inf, np.float32), b1=np.zeros((1, 1), np.float32)))
    with pytest.raises(InputError, match="outputs are not finite for 1 of 5 examples"):
        evaluate(broken, IMAGES, LABELS)


def test_a_regression_has_no_accuracy():
    with pytest.raises(InputError, match="the model was trained on squared_error"):
        jaxnet.evaluate(brightness(network=Network(loss="squared_error")), IMAGES, LABELS)


def test_the_course_s_files_have_a_test_part(tmp_path):
    images, labels = drawn_images(12, SHAPE)
    write_h5(tmp_path / "train_a.h5", "train", images, labels), write_h5(tmp_path / "test_a.h5", "test", images, labels)
    assert evaluate(brightness(), tmp_path / "train_a.h5").accuracy == 1
