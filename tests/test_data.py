"""Every source becomes the same columns and labels."""

import numpy as np
import pytest
from PIL import Image

from jaxnet.data import load_dataset, read_picture, targets
from jaxnet.errors import InputError

from .pictures import drawn_pictures, write_h5, write_idx, write_npz


def load(path, test_fraction=0.25, seed=0):
    return load_dataset(path, test_fraction=test_fraction, seed=seed)


def test_default_pictures_are_faces_and_not_split_by_class_and_by_seed():
    dataset = load(None)
    assert dataset.train.X.shape == (625, 150) and dataset.test.X.shape == (625, 50)
    assert dataset.train.X.dtype == np.float32 and 0 <= dataset.train.X.min() <= dataset.train.X.max() <= 1
    assert dataset.test.labels.sum() == 25 and dataset.train.labels.sum() == 75
    assert dataset.classes == ("not a face", "face") and dataset.input_shape == (25, 25)
    assert np.array_equal(load(None).test.X, dataset.test.X)
    assert not np.array_equal(load(None, seed=1).test.X, dataset.test.X)


def test_h5_takes_its_test_file_from_beside_it(tmp_path):
    images, labels = drawn_pictures(12)
    path = write_h5(tmp_path / "train_cats.h5", "train", images, labels)
    alone = load(path)
    assert alone.test.X.shape == (90, 4) and alone.classes == ("dark", "bright")  # a quarter of six, rounded, twice
    write_h5(tmp_path / "test_cats.h5", "test", images[:5], labels[:5])
    both = load(path)
    assert both.train.X.shape == (90, 12) and both.test.X.shape == (90, 5)
    assert both.input_shape == (6, 5, 3)
    np.testing.assert_array_equal(both.train.X[:, 3], np.float32(images[3].ravel()) * np.float32(1 / 255))


def test_course_files(shared_data):
    dataset = load(shared_data / "course" / "train_catvnoncat.h5")
    assert dataset.train.X.shape == (12288, 209) and dataset.test.X.shape == (12288, 50)
    assert dataset.train.labels.sum() == 72 and dataset.test.labels.sum() == 33
    assert dataset.classes == ("non-cat", "cat")


@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5)])
def test_npz_of_pictures(tmp_path, shape):
    images, labels = drawn_pictures(20, shape)
    dataset = load(write_npz(tmp_path / "a.npz", X=images, Y=labels, classes=np.array(["a", "b"])))
    assert dataset.input_shape == shape and dataset.classes == ("a", "b")
    assert dataset.train.X.shape == (np.prod(shape), 16) and dataset.test.X.shape[1] == 4


@pytest.mark.parametrize("labels", [[-(2**53), 2**53], [0.0, 1e15], [False, True]])
def test_names_of_bytes_are_text_and_any_whole_numbers_label(tmp_path, labels):
    path = write_npz(
        tmp_path / "a.npz", X=np.eye(4), Y=np.array(labels * 2), classes=np.array(["Kätzchen".encode(), b"x"])
    )
    dataset = load(path)
    assert dataset.classes == ("Kätzchen", "x") and sorted(dataset.train.labels) == [0, 1]


def test_npz_with_its_own_test_pictures(tmp_path):
    images, labels = drawn_pictures(20)
    path = write_npz(tmp_path / "a.npz", train_x=images, train_y=labels, test_x=images[:6], test_y=labels[:6])
    dataset = load(path)
    assert dataset.train.X.shape[1] == 20 and dataset.test.X.shape[1] == 6
    np.testing.assert_array_equal(dataset.train.X[:, :6], dataset.test.X)


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
    for X, label in [*zip(dataset.train.X.T, dataset.train.labels, strict=True)]:
        assert label == np.argmax(X) % 3


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_packed_or_not(tmp_path, packed):
    train, test = drawn_pictures(30, (4, 4), 10), drawn_pictures(20, (4, 4), 10, seed=1)
    dataset = load(write_idx(tmp_path / "idx", train, test, packed))
    assert dataset.train.X.shape == (16, 30) and dataset.test.X.shape == (16, 20) and len(dataset.classes) == 10
    np.testing.assert_array_equal(dataset.train.X[:, 7], np.float32(train[0][7].ravel()) * np.float32(1 / 255))


def test_mnist(shared_data):
    dataset = load(shared_data / "mnist")
    assert dataset.train.X.shape == (784, 60000) and dataset.test.X.shape == (784, 10000)
    assert dataset.train.labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_every_class_is_held_out_in_its_share(tmp_path):
    images, _ = drawn_pictures(40)
    labels = np.array([0] * 4 + [1] * 36)
    dataset = load(write_npz(tmp_path / "a.npz", X=images, Y=labels), test_fraction=0.25)
    assert np.bincount(dataset.test.labels).tolist() == [1, 9]
    assert np.bincount(dataset.train.labels).tolist() == [3, 27]


def test_targets_are_one_row_for_two_classes_and_one_hot_for_more():
    assert targets(np.array([0, 1, 1]), ["a", "b"]).tolist() == [[0, 1, 1]]
    assert targets(np.array([2, 0]), ["a", "b", "c"]).tolist() == [[0, 1], [0, 0], [1, 0]]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "CMYK", "1", "I;16"])
def test_a_white_picture_is_white_in_every_mode(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(np.full((9, 7), 65535, np.uint16))
    else:
        image = Image.new("RGB", (7, 9), "white").convert("RGBA" if mode == "LA" else mode).convert(mode)
    path = tmp_path / f"white.{'tif' if mode in ('CMYK', 'I;16') else 'png'}"
    image.save(path)
    for input_shape in ((5, 4), (5, 4, 3)):
        column = read_picture(path, input_shape, 1 / 255)
        assert column.shape == (np.prod(input_shape),) and column.dtype == np.float32
        np.testing.assert_array_equal(column, 1)


def test_transparent_pictures_lie_on_white_and_turned_ones_stand_upright(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "clear.png", (4, 4), 1 / 255), 1)

    upright = np.zeros((2, 4), np.uint8)
    upright[0] = 255  # the upper row is white
    turned = Image.fromarray(np.rot90(upright).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "turned.png", (2, 4), 1 / 255).reshape(2, 4)[0], 1)


def test_a_picture_of_the_training_size_is_read_as_in_training(tmp_path):
    images, _ = drawn_pictures(1, (6, 5, 3))
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    column = read_picture(tmp_path / "a.png", (6, 5, 3), 1 / 255)
    np.testing.assert_array_equal(column, np.float32(images[0].ravel()) * np.float32(1 / 255))


def test_a_picture_bomb_is_refused(tmp_path, monkeypatch):
    Image.new("L", (40, 40)).save(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"big\.png cannot be read as a picture: .*decompression bomb"):
        read_picture(tmp_path / "big.png", (4, 4), 1 / 255)
