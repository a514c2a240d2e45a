"""`jaxnet.evaluate` of a regression: measures by their definitions, files and arrays, and what is refused."""

import json

import numpy as np
import pytest

import jaxnet
from jaxnet import FrozenDict, InputError, Model, Network, RegressionEvaluation, evaluate
from jaxnet.data import Column, Preprocessing, Table


X = np.float32([[1, 2, 3, 4], [0, 1, 0, 1]])
TABLE = Table((Column("age"), Column("city", ("Oslo", "Rome"))), ("price",))


def sums(outputs=1, **changes) -> Model:
    """The sum of two numbers, and its double."""
    W1 = np.float32([[1, 1], [2, 2]])[:outputs]
    parameters = FrozenDict(W1=W1, b1=np.zeros((outputs, 1), np.float32))
    return Model(parameters, Network("relu", "squared_error"), (2,), (), Preprocessing())._replace(**changes)


def flats(**changes) -> Model:
    """price = 2 age + 100 where the city is Rome."""
    parameters = FrozenDict(W1=np.float32([[2, 0, 100]]), b1=np.zeros((1, 1), np.float32))
    return sums(parameters=parameters, input_shape=(3,), table=TABLE)._replace(**changes)


def test_measures_are_those_of_their_definitions():
    evaluation = evaluate(sums(), X, [1, 3, 3, 9])  # of which the last is predicted as 5
    assert isinstance(evaluation, RegressionEvaluation) and evaluation.outputs == ("y",)
    assert evaluation.predicted.tolist() == [[1, 3, 3, 5]] and evaluation.targets.tolist() == [[1, 3, 3, 9]]
    assert (evaluation.rmse, evaluation.mean_absolute_error) == (2, 1)
    assert evaluation.r2 == pytest.approx(1 - 16 / 36)  # the targets' mean is 4
    assert evaluation.fits["y"].spread == 3
    assert str(evaluation).splitlines() == [
        "examples  4 in memory",
        "y         R^2 0.5556; RMSE 2, always predicting the mean: 3; mean absolute error 1",
    ]


def test_several_outputs_are_averaged_as_in_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    Y = np.array([[1, 3, 3, 9], [2, 5, 6, 7]])
    evaluation = evaluate(sums(2), X, Y)
    pairs = Y.T, evaluation.predicted.T
    assert evaluation.r2 == pytest.approx(metrics.r2_score(*pairs))
    assert evaluation.rmse == pytest.approx(metrics.root_mean_squared_error(*pairs))
    assert evaluation.mean_absolute_error == pytest.approx(metrics.mean_absolute_error(*pairs))
    assert set(evaluation.as_dict()["outputs"]) == {"y1", "y2"} and "mean over 2 outputs" in str(evaluation)


def test_targets_that_do_not_vary_have_no_r2():
    said = json.loads(json.dumps(evaluate(sums(), X[:, :1], [2.0]).as_dict(), allow_nan=False))
    assert said["r2"] is None and said["rmse"] == 1 and said["outputs"]["y"]["spread"] == 0


@pytest.mark.parametrize("labels", [[1.5, 3, 3, 5], np.array([[1.5, 3, 3, 5]]), np.array([[1.5], [3], [3], [5]])])
def test_labels_are_a_list_or_columns(labels):
    assert evaluate(sums(), X, labels).targets.tolist() == [[1.5, 3, 3, 5]]


@pytest.mark.parametrize("part, m", [(None, 1), ("train", 3), ("all", 4)])
def test_files_have_parts(part, m, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, train_x=X[:, :3], train_y=[1, 2, 3], test_x=X[:, 3:], test_y=[4])  # whole numbers are targets too
    assert evaluate(sums(), path, part=part).targets.shape == (1, m)


def test_a_table_is_read_by_its_columns(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_text("price,id,city,age\n150,7,Rome,30\n82,8,Oslo,41\n")
    evaluation = evaluate(flats(), tmp_path / "a.csv")
    assert evaluation.predicted.tolist() == [[160, 82]] and evaluation.mean_absolute_error == 5
    assert evaluation.examples == f"2 of {tmp_path / 'a.csv'}: all of it, as it has no test part"


REFUSED = {
    "no labels": (X, {}, r"there are no labels; expected numbers of shape \(4,\) or \(1, 4\)"),
    "too few labels": (X, {"labels": [1, 2]}, r"the array: 4 examples, but labels of shape \(2,\)"),
    "too many for each": (X, {"labels": np.ones((2, 4))}, "2 labels for each example, but the model predicts 1, y"),
    "words": (X, {"labels": ["a"] * 4}, "the array: labels are <U1; expected numbers"),
    "ragged labels": (X, {"labels": [[1], [1, 2]]}, "the labels do not make an array"),
    "NaN": (X, {"labels": [1, 2, 3, np.nan]}, "1 labels are NaN, infinite or beyond 1e30"),
    "other inputs": (X[:1], {"labels": [1] * 4}, r"shape \(1, 4\); expected one example \(2,\)"),
    "a folder": (".", {}, "the model takes"),
    "two labels in a file": ("two.npz", {}, "two.npz: 2 labels for each example, but the model predicts 1, y"),
    "other inputs in a file": ("wide.npz", {}, r"have shape \(3,\); the model takes \(2,\)"),
    "names of classes": ("named.npz", {}, "names classes, but its labels are regression targets"),
    "a course file": ("a.h5", {}, "a.h5 has classes as labels, but the model is a regression; expected an .npz"),
    "a table": ("a.csv", {}, r"a.csv is a table, but the model takes inputs of shape \(2,\)"),
    "nothing there": ("none.h5", {}, "none.h5 does not exist"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, options, message = REFUSED[name]
    np.savez("two.npz", X=X, Y=np.ones((2, 4)) / 3), np.savez("wide.npz", X=np.ones((3, 4)), Y=np.arange(4) / 3)
    np.savez("named.npz", X=X, Y=np.arange(4) / 3, classes=["a", "b"])
    (tmp_path / "a.h5").write_text(""), (tmp_path / "a.csv").write_text("price\n1\n")
    with pytest.raises(InputError, match=message):
        evaluate(sums(), data, **options)


@pytest.mark.parametrize(
    "text, message",
    [
        ("city,age\nRome,3\n", "has no column 'price' of labels; it has city, age"),
        ("city,price\nRome,3\n", "lacks the column age"),
        ("city,age,price\nBern,3,1\n", "row 1 of column city is 'Bern', which is not one of the categories"),
        ("city,age,price\nRome,3,dear\n", "row 1 of column price is 'dear', and 0 rows have numbers there"),
        ("city,age,price\nRome,3,\n", r"missing values in price \(1, the first in row 1\); fill them in, or leave out"),
    ],
)
def test_columns_that_do_not_fit_are_refused(text, message, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        evaluate(flats(), tmp_path / "a.csv")


def test_a_regression_of_classes_is_refused():
    with pytest.raises(InputError, match="was trained on squared_error, so its outputs are not probabilities"):
        jaxnet.evaluate(sums(2, classes=("a", "b")), X, [1, 2, 3, 4])
