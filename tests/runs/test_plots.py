"""The images show what they were given."""

from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxnet import InputError
from jaxnet.runs.plots import _order, check_format, plot_predictions, plot_signals
from jaxnet.signals.sizes import Profile, expected_sizes, signal_sizes


def pixels_of(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)


def colours(path) -> set[tuple[int, ...]]:
    return set(map(tuple, pixels_of(path).tolist()))


RED = (214, 39, 40)  # tab:red


def test_only_wrong_images_are_framed_in_red(tmp_path):
    images, labels = np.full((3, 4, 4, 3), 0.5), np.array([0, 1, 1])
    for predicted, has_red in (([0, 1, 1], False), ([0, 0, 1], True)):
        plot_predictions(tmp_path / "p.png", images, labels, np.array(predicted), np.full(3, 0.9), ["a", "b"])
        assert (RED in colours(tmp_path / "p.png")) == has_red


def test_the_surest_mistakes_come_first_then_each_class_in_turn():
    labels, predicted = np.array([0, 0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 0, 1, 0, 1])
    assert _order(labels, predicted, np.array([0.9, 0.9, 0.6, 0.9, 0.9, 0.8, 0.9])) == [5, 2, 0, 4, 1, 6, 3]


@pytest.mark.thorough
def test_signals_are_drawn_up_to_where_they_are_lost(tmp_path):
    """A line for each profile; its end is marked where nothing arrives."""
    X, Y = np.ones((4, 3), np.float32), np.ones((4, 3), np.float32)
    marked = []
    for std in (0.5, 1e-12, 1e12):
        parameters = {}
        for l in range(1, 7):
            parameters |= {f"W{l}": np.full((4, 4), std, np.float32), f"b{l}": np.zeros((4, 1), np.float32)}
        sizes = jax.jit(signal_sizes)(X, Y, parameters)
        profile = Profile(np.float32(1), sizes, expected_sizes([4] * 7, [std] * 6))
        plot_signals(tmp_path / "p.png", "title", {"name": profile})
        marked.append(np.count_nonzero((pixels_of(tmp_path / "p.png") == (31, 119, 180)).all(axis=1)))
    alive, vanished, exploded = marked
    assert alive > vanished > 100 and alive > exploded > 100


@pytest.mark.parametrize("name", ["p", "p.xyz"])
def test_a_name_of_no_image_is_refused(name):
    check_format(Path("p.PNG"))
    with pytest.raises(InputError, match="expected the name of an image file: .*png"):
        check_format(Path(name))
