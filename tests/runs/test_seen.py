"""What the network sees: pixels, or features of all views of an image, wherever the examples are."""

import jax
import numpy as np
import pytest

from jaxnet import Augmentation, InputError, runs
from jaxnet.data import MappedRows, hog_of
from jaxnet.runs.seen import View, views_of
from jaxnet.training import Views

from .test_run import changed, drawn_dataset


SHAPE = (20, 21)
FEATURED = {"features": "hog", "augment": True, "batch_size": 8}


def test_views_are_cut_from_the_padded_image():
    images = np.random.default_rng(0).integers(0, 256, (2, *SHAPE, 3), dtype=np.uint8)
    wide = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="edge")
    for flip, dy, dx in [(False, 0, 0), (True, 0, 0), (False, 2, -2), (True, -2, 1)]:
        moved = wide[:, 2 - dy : 22 - dy, 2 - dx : 23 - dx]
        want = moved[:, :, ::-1] if flip else moved
        got = View(flip, dy, dx)(images.reshape(2, -1), (*SHAPE, 3))
        np.testing.assert_array_equal(got, want.reshape(2, -1))


@pytest.mark.parametrize("flip, shift, count", [(True, 1, 10), (True, 0, 2), (False, 1, 5)])
def test_views_are_those_of_the_augmentation(flip, shift, count):
    views = views_of(Augmentation(SHAPE, flip, shift))
    assert views[0] == View() and len(set(views)) == len(views) == count
    assert {view.flip for view in views} == {False, flip} and {abs(view.dy) for view in views} == {0, shift}


def test_a_run_on_features_sees_them_everywhere(tmp_path):
    dataset = drawn_dataset(tmp_path, shape=SHAPE)
    shown = []
    run = runs.prepare(dataset, changed(**FEATURED), on_image=lambda *done: shown.append(done))
    n = hog_of(SHAPE).size
    assert run.seen.fed.shape == (len(dataset.train.labels), 10 * n) and run.config.augment == Views(10)
    assert run.first.parameters["W1"].shape == (4, n) and run.preprocessing.mean.shape == (n, 1)
    for seen, given in ((run.train, dataset.train), (run.watched, dataset.test), (run.seen.test, dataset.test)):
        X = run.preprocessing.columns(given.rows)  # as `predict` makes them
        np.testing.assert_array_equal(run.all_columns(seen.rows, "float32"), X)
    assert run.seen.watched is run.seen.test
    assert shown == sorted(shown) and {total for _, total in shown} == {10 * len(run.train.labels) + 16}
    last_view = views_of(Augmentation(SHAPE, shift=1))[-1](dataset.train.rows[:1], SHAPE)
    np.testing.assert_array_equal(run.seen.fed[0, -n:], hog_of(SHAPE)(last_view / 255)[0])


@pytest.mark.parametrize("options", [FEATURED, {"augment": True, "batch_size": 8}], ids=["features", "pixels"])
@pytest.mark.thorough
def test_streamed_examples_are_augmented_alike(tmp_path, monkeypatch, options):
    dataset = drawn_dataset(tmp_path, shape=SHAPE)
    settings = changed(num_iterations=20, validation_fraction=0.2, **options)
    histories = []
    for resident_bytes in (2**28, 0):
        with monkeypatch.context() as patch:
            patch.setattr("jaxnet.runs.streaming.RESIDENT_BYTES", resident_bytes)
            patch.setattr("jaxnet.runs.streaming.SEGMENT_BYTES", 4 * 8 * 420 * 4)
            run, history = runs.prepare(dataset, settings), runs.History()
            parameters = runs.execute(run, history)
        histories.append((history.costs, parameters))
    np.testing.assert_allclose(histories[0][0], histories[1][0], rtol=1e-6)
    for a, b in zip(*(jax.tree.leaves(parameters) for _, parameters in histories), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_features_of_images_on_disk(tmp_path):
    dataset = drawn_dataset(tmp_path, shape=SHAPE)
    (tmp_path / "rows").write_bytes(dataset.train.rows.tobytes())
    mapped = dataset.train._replace(rows=MappedRows(tmp_path / "rows", SHAPE[0] * SHAPE[1]))
    seen = [runs.prepare(d, changed(**FEATURED)).seen for d in (dataset, dataset._replace(train=mapped))]
    np.testing.assert_array_equal(seen[0].fed, seen[1].fed)


@pytest.mark.parametrize(
    "changes, shape, message",
    [
        ({"features": "hog"}, (6, 5, 3), "expected 8 to 4096 pixels a side, for features"),
        ({"augment": True, "flip": False}, (6, 5, 3), "flip is False and shift 0, which changes no image"),
    ],
)
def test_images_that_are_too_small_are_refused(tmp_path, changes, shape, message):
    with pytest.raises(InputError, match=message):
        runs.prepare(drawn_dataset(tmp_path, shape=shape), changed(**changes))


def test_features_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxnet.runs.seen.machine_memory", lambda: 2**20)
    with pytest.raises(InputError, match="features of .* images and views of images need .* GiB, and this"):
        runs.prepare(drawn_dataset(tmp_path, shape=SHAPE), changed(**FEATURED))


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(InputError, match="--no-flip is about --augment; pass both or neither"):
        changed(flip=False)


@pytest.mark.parametrize("standardise", [None, True, False])
def test_features_are_standardised_unless_declined(tmp_path, standardise):
    dataset = drawn_dataset(tmp_path, shape=SHAPE)
    for features, default in (("hog", True), (None, False)):
        run = runs.prepare(dataset, changed(features=features, standardise=standardise))
        assert (run.preprocessing.mean is not None) == (default if standardise is None else standardise)
