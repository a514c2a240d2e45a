"""The pictures show what they were given."""

import numpy as np
from PIL import Image

from jaxnet.plots import plot_history, plot_predictions


def colours(path) -> set[tuple[int, ...]]:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


RED = (214, 39, 40)  # tab:red


def test_history_is_drawn(tmp_path):
    plot_history(tmp_path / "h.png", np.geomspace(1, 1e-3, 200), [100, 200], [0.7, 0.9], [0.6, 0.8])
    assert {(31, 119, 180), (255, 127, 14)} <= colours(tmp_path / "h.png")


def test_only_wrong_pictures_are_framed_in_red(tmp_path):
    images, labels = np.full((3, 4, 4, 3), 0.5), np.array([0, 1, 1])
    for predicted, has_red in (([0, 1, 1], False), ([0, 0, 1], True)):
        plot_predictions(tmp_path / "p.png", images, labels, np.array(predicted), np.full(3, 0.9), ["a", "b"])
        assert (RED in colours(tmp_path / "p.png")) == has_red
