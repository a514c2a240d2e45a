"""The examples print the numbers that they state."""

import importlib
import re

import numpy as np


def test_course_curves_are_reproduced_digit_for_digit(shared_data):
    """One figure, where relu units of the two-layer network are switching, is sensitive beyond its last digits: NumPy
    itself is 2e-15 off there. All others are a few units in the 16th digit off, at most."""
    from examples import course_curves

    two_layer, L_layer = course_curves.reproduce_all(shared_data / "course")
    sensitive = two_layer["iterations"].index(1600)
    assert two_layer["differences"][sensitive] < 3e-14
    assert np.delete(two_layer["differences"], sensitive).max() < 2e-15
    assert L_layer["differences"].max() < 1e-15
    assert (two_layer["train_accuracy"], two_layer["test_accuracy"]) == (1.0, 0.72)
    assert (round(L_layer["train_accuracy"], 5), L_layer["test_accuracy"]) == (0.98565, 0.80)


def test_curves_are_drawn(tmp_path):
    from examples import course_curves

    result = {"name": "a", "iterations": [0, 100], "costs": [0.7, 0.6], "test_accuracy": 0.5}
    course_curves.plot([result], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_jit_training_ends_at_the_accuracy_it_states(capsys, default_promotion):
    example = importlib.import_module("examples.jit_training")
    example.main()
    stated = float(re.search(r"([\d.]+) at the end", example.__doc__).group(1))
    reached = float(re.search(r"epoch 60: .* test accuracy ([\d.]+)", capsys.readouterr().out).group(1))
    assert reached >= stated - 0.0201  # one photograph of fifty
