"""Every file of arrays becomes the same rows and labels."""

import numpy as np
import pytest

from jaxnet.data import Examples, held_out, load_dataset, targets
from jaxnet.errors import InputError

from ..images import drawn_images, write_h5, write_idx, write_npz


def load(path, test_fraction=0.25, seed=0):
    return load_dataset(path, test_fraction=test_fraction, seed=seed)


def test_default_images_are_faces_split_by_class_and_seed():
    dataset = load(None)
    assert dataset.train.rows.shape == (150, 625) and dataset.test.rows.shape == (50, 625)
    assert dataset.train.rows.dtype == np.float32 and 0 <= dataset.train.rows.min() <= dataset.train.rows.max() <= 1
    assert dataset.test.labels.sum() == 25 and dataset.train.labels.sum() == 75
    assert dataset.classes == ("not a face", "face") and dataset.input_shape == (25, 25)
    assert np.array_equal(load(None).test.rows, dataset.test.rows)
    assert not np.array_equal(load(None, seed=1).test.rows, dataset.test.rows)


def test_h5_takes_its_test_file_from_beside_it(tmp_path):
    images, labels = drawn_images(12)
    path = write_h5(tmp_path / "train_cats.h5", "train", images, labels)
    alone = load(path)
    assert alone.test.rows.shape == (4, 90) and alone.classes == ("dark", "bright")  # a quarter of six, rounded, twice
    write_h5(tmp_path / "test_cats.h5", "test", images[:5], labels[:5])
    both = load(path)
    assert both.train.rows.shape == (12, 90) and both.test.rows.shape == (5, 90)
    assert both.input_shape == (6, 5, 3)
    np.testing.assert_array_equal(both.train.rows[3], images[3].ravel())


def test_course_files(shared_data):
    dataset = load(shared_data / "course" / "train_catvnoncat.h5")
    assert dataset.train.rows.shape == (209, 12288) and dataset.test.rows.shape == (50, 12288)
    assert dataset.train.labels.sum() == 72 and dataset.test.labels.sum() == 33
    assert dataset.classes == ("non-cat", "cat")


@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5)])
def test_npz_of_images(tmp_path, shape):
    images, labels = drawn_images(20, shape)
    dataset = load(write_npz(tmp_path / "a.npz", X=images, Y=labels, classes=np.array(["a", "b"])))
    assert dataset.input_shape == shape and dataset.classes == ("a", "b")
    assert dataset.train.rows.shape == (16, np.prod(shape)) and dataset.test.rows.shape[0] == 4


@pytest.mark.parametrize("labels", [[-(2**53), 2**53], [0.0, 1e15], [False, True]])
def test_names_of_bytes_are_text_and_any_whole_numbers_label(tmp_path, labels):
    path = write_npz(
        tmp_path / "a.npz", X=np.eye(4), Y=np.array(labels * 2), classes=np.array(["Kätzchen".encode(), b"x"])
    )
    dataset = load(path)
    assert dataset.classes == ("Kätzchen", "x") and sorted(dataset.train.labels) == [0, 1]


def test_npz_with_its_own_test_images(tmp_path):
    images, labels = drawn_images(20)
    path = write_npz(tmp_path / "a.npz", train_x=images, train_y=labels, test_x=images[:6], test_y=labels[:6])
    dataset = load(path)
    assert dataset.train.rows.shape[0] == 20 and dataset.test.rows.shape[0] == 6
    np.testing.assert_array_equal(dataset.train.rows[:6], dataset.test.rows)


@pytest.mark.parametrize("reshape", [(-1,), (1, -1), (-1, 1)])
def test_npz_of_columns_and_every_shape_of_labels(tmp_path, reshape):
    X = np.random.default_rng(0).normal(size=(3, 8))
    Y = np.array([5, 9, 5, 9, 5, 9, 5, 9]).reshape(reshape)
    dataset = load(write_npz(tmp_path / "a.npz", X=X, Y=Y))
    assert dataset.input_shape == (3,) and dataset.classes == ("5", "9")
    assert sorted(np.concatenate([dataset.train.labels, dataset.test.labels])) == [0] * 4 + [1] * 4


def test_npz_of_one_hot_labels(tmp_path):
    labels = np.arange(12) % 3
    dataset = load(write_npz(tmp_path / "a.npz", X=np.eye(12), Y=np.eye(3)[labels].T))
    assert dataset.classes == ("0", "1", "2")
    for row, label in [*zip(dataset.train.rows, dataset.train.labels, strict=True)]:
        assert label == np.argmax(row) % 3


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_packed_or_not(tmp_path, packed):
    train, test = drawn_images(30, (4, 4), 10), drawn_images(20, (4, 4), 10, seed=1)
    dataset = load(write_idx(tmp_path / "idx", train, test, packed))
    assert dataset.train.rows.shape == (30, 16) and dataset.test.rows.shape == (20, 16) and len(dataset.classes) == 10
    np.testing.assert_array_equal(dataset.train.rows[7], train[0][7].ravel())


def test_mnist(shared_data):
    dataset = load(shared_data / "mnist")
    assert dataset.train.rows.shape == (60000, 784) and dataset.test.rows.shape == (10000, 784)
    assert dataset.train.labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_every_class_is_held_out_in_its_share(tmp_path):
    images, _ = drawn_images(40)
    labels = np.array([0] * 4 + [1] * 36)
    dataset = load(write_npz(tmp_path / "a.npz", X=images, Y=labels), test_fraction=0.25)
    assert np.bincount(dataset.test.labels).tolist() == [1, 9]
    assert np.bincount(dataset.train.labels).tolist() == [3, 27]


def test_targets_are_a_row_for_two_classes_else_one_hot():
    assert targets(np.array([0, 1, 1]), ["a", "b"]).tolist() == [[0, 1, 1]]
    assert targets(np.array([2, 0]), ["a", "b", "c"]).tolist() == [[0, 1], [0, 0], [1, 0]]


def test_examples_are_taken_with_their_labels_and_names():
    examples = Examples(np.arange(6).reshape(3, 2), np.array([0, 1, 0]), ("a", "b", "c"))
    by_place, by_mask = examples.take(np.array([2, 1])), examples.take(np.array([False, True, True]))
    assert by_place.names == ("c", "b") and by_mask.names == ("b", "c")
    assert by_place.labels.tolist() == [0, 1] and by_mask.labels.tolist() == [1, 0]
    assert by_place.rows.tolist() == [[4, 5], [2, 3]] and by_mask.rows.tolist() == [[2, 3], [4, 5]]
    assert examples._replace(names=()).take(np.array([1])).names == ()


@pytest.mark.parametrize("fraction, count", [(0.001, 1), (0.3, 3), (0.999, 9)])
def test_at_least_one_of_a_class_is_held_out_and_not_all(fraction, count):
    labels = np.repeat([0, 1], 10)
    chosen = held_out(labels, ("a", "b"), fraction, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [count, count]


def test_a_class_of_one_example_cannot_be_held_out():
    with pytest.raises(InputError, match="class b has 1 example; expected at least two, one to train on and one to"):
        held_out(np.array([0, 0, 1]), ("a", "b"), 0.5, seed=0)


def test_the_fingerprint_changes_with_what_a_run_sees(tmp_path):
    images, labels = drawn_images(8)
    changed = images.copy()
    changed[0, 0, 0, 0] ^= 1
    kinds = {
        "same": {"X": images, "Y": labels},
        "again": {"X": images, "Y": labels},
        "pixel": {"X": changed, "Y": labels},
        "label": {"X": images, "Y": 1 - labels},
        "name": {"X": images, "Y": labels, "classes": np.array(["a", "b"])},
        "shape": {"X": images.reshape(8, 5, 6, 3), "Y": labels},
    }
    prints = [load(write_npz(tmp_path / f"{kind}.npz", **arrays)).fingerprint for kind, arrays in kinds.items()]
    assert prints[0] == prints[1] and len(set(prints)) == len(prints) - 1
