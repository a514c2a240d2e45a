"""The pictures show what they were given."""

import numpy as np
from PIL import Image

from jaxnet.plots import plot_predictions


def colours(path) -> set[tuple[int, ...]]:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


RED = (214, 39, 40)  # tab:red


def test_only_wrong_pictures_are_framed_in_red(tmp_path):
    images, labels = np.full((3, 4, 4, 3), 0.5), np.array([0, 1, 1])
    for predicted, has_red in (([0, 1, 1], False), ([0, 0, 1], True)):
        plot_predictions(tmp_path / "p.png", images, labels, np.array(predicted), np.full(3, 0.9), ["a", "b"])
        assert (RED in colours(tmp_path / "p.png")) == has_red
