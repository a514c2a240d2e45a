"""Features of images: scikit-image's, of all that an image may be, and nothing else."""

import sys

import numpy as np
import pytest
from skimage.feature import hog

from jaxnet import InputError, Preprocessing
from jaxnet.data import Hog, fit_preprocessing, hog_of


def drawn_rows(shape, m=3):
    return np.random.default_rng(0).integers(0, 256, (m, np.prod(shape)), dtype=np.uint8)


@pytest.mark.parametrize("shape, cells", [((16, 16, 3), (8, 4)), ((17, 23), (3,)), ((9, 30, 3), (4, 2, 1))])
def test_they_are_those_of_scikit_image_cell_by_cell(shape, cells):
    rows, features = drawn_rows(shape), Hog(shape, cells, 6)
    made = features(rows / 255)
    assert made.shape == (3, features.size) and made.dtype == np.float32
    axis = -1 if len(shape) == 3 else None
    for row, got in zip(rows, made, strict=True):
        image = row.reshape(shape) / 255
        parts = [hog(image, 6, (cell, cell), (2, 2), channel_axis=axis) for cell in cells]
        np.testing.assert_array_equal(got, np.concatenate(parts).astype(np.float32))


def test_light_matters_little():
    rows = drawn_rows((16, 16, 3))
    np.testing.assert_allclose(hog_of((16, 16, 3))(rows / 255), hog_of((16, 16, 3))(rows / 510), atol=1e-3)


def test_columns_are_standardised_features():
    shape = (9, 8)
    rows, features = drawn_rows(shape, 5), hog_of(shape)
    found = features(rows / 255)
    fitted = fit_preprocessing(found)._replace(features=features)
    want = (found.T - fitted.mean) / fitted.std
    np.testing.assert_array_equal(fitted.columns(rows), want)
    assert fitted.columns(rows, "float64").dtype == np.float64
    np.testing.assert_allclose(Preprocessing(features=features).columns(rows).T, found)
    np.testing.assert_array_equal(fitted.without_features.columns(found), want)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((12,), (4,)), r"features are of images.*but inputs are \(12,\)"),
        (((16, 16, 4), (4,)), "features are of images"),
        (((16, 7), (2,)), "expected 8 to 4096 pixels a side, for features"),
        (((16, 5000), (2,)), "expected 8 to 4096 pixels a side, for features"),
        (((16, 16), ()), "cells is .*expected 1 to 8 sides of 1 to 8 pixels"),
        (((16, 16), (9,)), "cells is .9,.; expected"),
        (((16, 16), (0,)), "cells is .0,.; expected"),
        (((16, 16), (2,) * 9), "cells is .*; expected 1 to 8 sides"),
        (((16, 16), (2.0,)), "cells is .2.0,.; expected whole numbers"),
        (((16, 16), "44"), "cells is '44'; expected whole numbers"),
        (((True, 16), (2,)), "input_shape is .*; expected whole numbers"),
        (((16, 16), (2,), 0), "orientations is 0; expected 1 to 64"),
        (((16, 16), (2,), 9.0), "orientations is 9.0; expected 1 to 64"),
        (((16, 16), (2,), 65), "orientations is 65; expected 1 to 64"),
    ],
)
def test_features_of_anything_else_are_refused(arguments, message, no_shape_checks):
    with pytest.raises(InputError, match=message):
        Hog(*arguments)


def test_without_scikit_image_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(InputError, match=r"pip install 'jaxnet\[features\]'"):
        hog_of((16, 16))(np.zeros((1, 256)))
