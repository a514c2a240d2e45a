"""The bar of `train(..., progress=True)`."""

import sys

import numpy as np
import pytest

import jaxnet
from jaxnet import InputError

from ..drawn import problem


X, Y, PARAMETERS = problem([4, 3, 1], 5, dtype=np.float32)


def test_a_bar_shows_steps_and_cost(capsys, tmp_path):
    trained = jaxnet.train(X, Y, PARAMETERS, num_iterations=20, chunk=10, progress=True)
    shown = capsys.readouterr().err
    assert f"cost {trained.costs[-1]:.4f}: 100%" in shown and "20/20" in shown and "steps/s" in shown
    jaxnet.train(X, Y, trained.state, num_iterations=40, chunk=10, progress=True)
    shown = capsys.readouterr().err
    assert " 50%" in shown and "20/40" in shown and "40/40" in shown
    jaxnet.train(X, Y, PARAMETERS, num_iterations=20, chunk=10)
    assert capsys.readouterr().err == ""


def test_without_tqdm_there_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(InputError, match="^progress=True needs tqdm: pip install tqdm$"):
        jaxnet.train(X, Y, PARAMETERS, num_iterations=20, progress=True)


@pytest.mark.parametrize("progress", [1, "yes", None])
def test_progress_is_a_choice_of_two(no_shape_checks, progress):
    with pytest.raises(InputError, match="progress is .*; expected True or False"):
        jaxnet.train(X, Y, PARAMETERS, num_iterations=20, progress=progress)
