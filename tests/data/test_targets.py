"""Labels that are regression targets, in .npz files: when they are, and what is refused."""

import numpy as np
import pytest

from jaxnet.data import held_out, load_dataset, read_inputs, regression_targets, targets
from jaxnet.errors import InputError

from ..images import drawn_images, write_npz
from ..tables import write_regression


HOW = {"test_fraction": 0.25, "seed": 0}
DRAW = np.random.default_rng(0)
X, Y = DRAW.normal(size=(3, 20)).astype(np.float32), DRAW.normal(size=20)
CLASSES = np.arange(20) % 2


def load(tmp_path, regression=None, **arrays):
    return load_dataset(write_npz(tmp_path / "a.npz", **arrays), **HOW, regression=regression)


@pytest.mark.parametrize("shape", [(20,), (1, 20), (20, 1)])
def test_floats_with_fractions_are_targets(tmp_path, shape):
    dataset = load(tmp_path, X=X, Y=Y.reshape(shape))
    assert dataset.classes == () and dataset.train.labels.shape == (15, 1) and dataset.train.labels.dtype == float
    assert dataset.notes == ("labels are regression targets, predicted by squared error",)
    rows = {tuple(x): y for x, y in zip(X.T, Y, strict=True)}
    assert all(rows[tuple(x)] == y for x, (y,) in zip(dataset.test.rows, dataset.test.labels, strict=True))


def test_several_outputs_and_parts_of_their_own(tmp_path):
    dataset = load(tmp_path, train_x=X, train_y=np.stack([Y, 2 * Y]), test_x=X[:, :4], test_y=np.stack([Y, Y])[:, :4])
    assert dataset.train.labels.shape == (20, 2) and dataset.test.labels.shape == (4, 2)
    np.testing.assert_array_equal(targets(dataset.train.labels, ()), np.float32([Y, 2 * Y]))


@pytest.mark.parametrize("Y", [CLASSES, CLASSES[None], CLASSES[:, None], np.eye(2)[:, CLASSES]])
def test_classes_have_one_of_four_shapes(tmp_path, Y):
    assert load(tmp_path, X=X, Y=Y).fingerprint == load(tmp_path, X=X, Y=CLASSES).fingerprint


def test_whole_numbers_are_classes_unless_otherwise_said(tmp_path):
    assert load(tmp_path, X=X, Y=CLASSES * 1.0).classes == ("0", "1")
    assert load(tmp_path, X=X, Y=CLASSES, regression=True).train.labels.shape == (15, 1)
    images, labels = drawn_images(20)
    assert load(tmp_path, X=images, Y=labels, regression=True).input_shape == (6, 5, 3)


def test_the_hash_knows_the_targets(tmp_path):
    one, same, other = (load(tmp_path, X=X, Y=y).fingerprint for y in (Y, Y, Y + 1e-9))
    assert one == same != other


def test_a_share_of_all_is_held_out():
    labels = np.zeros((10, 1))
    masks = [held_out(labels, (), 0.3, seed) for seed in (0, 0, 1)]
    assert [mask.sum() for mask in masks] == [3, 3, 3] and (masks[0] == masks[1]).all()
    assert (masks[0] != masks[2]).any() and held_out(labels[:2], (), 0.01, 0).sum() == 1
    with pytest.raises(InputError, match="the data has 1 example; expected at least two"):
        held_out(labels[:1], (), 0.3, 0)


ROWS = "an example in each row, as scikit-learn has them; here examples are columns: save X.T"
TAKES = "or --loss squared_error, which takes labels as regression targets"
BAD = {
    "X as scikit-learn has it": ({"X": X.T, "Y": Y}, {}, f"X has shape (20, 3) and Y (20,): {ROWS}"),
    "X of classes as scikit-learn has it": ({"X": X.T, "Y": CLASSES}, {}, f"X has shape (20, 3) and Y (20,): {ROWS}"),
    "X and Y in rows": ({"X": X.T, "Y": np.stack([Y, Y]).T}, {}, f"X has shape (20, 3) and Y (20, 2): {ROWS}"),
    "training parts in rows": (
        {"train_x": X.T, "train_y": Y, "test_x": X.T, "test_y": Y},
        {},
        f"X has shape (20, 3) and Y (20,): {ROWS}",
    ),
    "Y in rows": (
        {"X": X, "Y": np.stack([Y, Y]).T},
        {},
        "20 examples, but labels of shape (20, 2); expected (20,) or (n_L, 20)",
    ),
    "as many targets in another shape": (
        {"X": X, "Y": Y.reshape(10, 2)},
        {},
        "20 examples, but labels of shape (10, 2); expected (20,) or (n_L, 20)",
    ),
    "as many classes in another shape": (
        {"X": X, "Y": CLASSES.reshape(10, 2)},
        {},
        "20 examples, but labels of shape (10, 2); expected (20,), one per",
    ),
    "too few labels": ({"X": X, "Y": Y[:9]}, {}, "20 examples, but labels of shape (9,)"),
    "NaN": (
        {"X": X, "Y": np.where(CLASSES, Y, np.nan)},
        {"regression": True},
        "10 labels are NaN, infinite or beyond 1e30",
    ),
    "infinite": ({"X": X, "Y": np.where(CLASSES, Y, np.inf)}, {"regression": True}, "10 labels are NaN, infinite or"),
    "NaN among classes": (
        {"X": X, "Y": np.where(CLASSES, 1, np.nan)},
        {},
        "are not whole numbers; expected one per class",
    ),
    "huge": ({"X": X, "Y": 1e31 * Y}, {"regression": True}, "labels are NaN, infinite or beyond 1e30"),
    "text": ({"X": X, "Y": np.array(["1.5"] * 20)}, {"regression": True}, "labels are <U3; expected numbers"),
    "complex": ({"X": X, "Y": 1j * Y}, {"regression": True}, "labels are complex128; expected numbers"),
    "a single number": ({"X": X, "Y": np.float64(1.5)}, {"regression": True}, "20 examples, but labels of shape ()"),
    "Y alone in rows": (
        {"X": X, "Y": np.eye(3)[np.arange(20) % 3]},
        {"regression": False},
        "20 examples, but labels of shape (20, 3)",
    ),
    "none": ({"X": X, "Y": Y[:0]}, {"regression": True}, "20 examples, but labels of shape (0,)"),
    "probabilities": ({"X": X, "Y": np.linspace(0, 1, 20)}, {}, f"not whole numbers; expected one per class; {TAKES}"),
    "rows of probabilities": ({"X": X, "Y": np.full((3, 20), 1 / 3)}, {}, f"its columns are not one-hot; {TAKES}"),
    "whole targets": (
        {"X": X, "Y": np.arange(20.0)},
        {},
        f"class 0 has 1 example; expected at least two, one to train on and one to test on; {TAKES}",
    ),
    "whole targets in parts": (
        {"train_x": X, "train_y": CLASSES, "test_x": X, "test_y": 3 + CLASSES},
        {},
        f"the test label 3 is not among the training labels [0, 1]; {TAKES}",
    ),
    "targets forced to be classes": (
        {"X": X, "Y": Y},
        {"regression": False},
        "not whole numbers; expected one per class",
    ),
    "names of classes": (
        {"X": X, "Y": Y, "classes": ["a", "b"]},
        {},
        "names classes, but its labels are regression targets",
    ),
    "other outputs in the test": (
        {"train_x": X, "train_y": np.stack([Y, Y]), "test_x": X, "test_y": Y},
        {},
        "2 labels for each training example, 1 for each of the test",
    ),
    "other inputs in the test": (
        {"train_x": X, "train_y": Y, "test_x": X[:2], "test_y": Y},
        {},
        "training inputs have shape (3,), test inputs (2,)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_targets_are_refused(tmp_path, name, no_shape_checks):
    arrays, options, message = BAD[name]
    with pytest.raises(InputError) as caught:
        load(tmp_path, **options, **arrays)
    assert message in str(caught.value)


def test_targets_of_other_data_are_refused(tmp_path):
    with pytest.raises(
        InputError, match="--loss squared_error takes labels of an .npz file or a table as regression targets"
    ):
        load_dataset(tmp_path, **HOW, regression=True)
    with pytest.raises(InputError, match="got None"):
        load_dataset(None, **HOW, regression=True)


def test_rows_of_targets():
    np.testing.assert_array_equal(regression_targets("a", np.array([[1, 2], [3, 4]]), 2), [[1.0, 3.0], [2.0, 4.0]])


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"Y": Y}, "has the arrays Y; expected X, (3, m)"),
        ({"X": X, "x": X}, "has the arrays X, x; expected X, (3, m)"),
        (
            {"X": X.T},
            "X has shape (20, 3); expected (3, m), as the model was trained on: examples are columns, save X.T",
        ),
        ({"X": X[:2]}, "X has shape (2, 20); expected (3, m), as the model was trained on"),
        ({"X": X * np.nan}, "60 input values are NaN or infinite"),
        ({"X": np.zeros((5, 4, 4), "uint8")}, "X has shape (5, 4, 4); expected (3, m)"),
    ],
)
def test_bad_inputs_to_predict_are_refused(tmp_path, arrays, message):
    with pytest.raises(InputError) as caught:
        read_inputs(write_npz(tmp_path / "a.npz", **arrays), 3)
    assert message in str(caught.value)


def test_inputs_to_predict_are_rows(tmp_path):
    np.testing.assert_array_equal(read_inputs(write_regression(tmp_path / "a.npz"), 3).shape, (40, 3))
