"""A sweep with checkpoints goes on where it was ended, to the same bits."""

import jax
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Checkpoints, InputError

from ..drawn import assert_same, problem


X, Y = (array.astype(np.float32) for array in problem([6, 3], 20, "squared_error")[:2])
SWEEP = {"seeds": [0, 1], "learning_rate": [0.01, 50.0], "optimizer": optax.sgd, "loss": "squared_error", "chunk": 4}


def sweep(checkpoints=None, num_iterations=18, **options):
    options = {**SWEEP, "batch_size": 6, **options}
    return jaxnet.sweep(X, Y, (6, 3), num_iterations=num_iterations, checkpoints=checkpoints, **options)


def assert_equal(swept, want):
    np.testing.assert_array_equal(swept.costs, want.costs)
    assert swept.stopped_at == want.stopped_at and swept.ended_early == want.ended_early
    assert_same(list(swept.states), list(want.states))


class Crash(Exception):
    """What ends a script."""


@pytest.mark.parametrize("steps", [4, 8, 16])
def test_a_sweep_that_was_ended_goes_on_to_the_bit(steps, tmp_path):
    def crash(progress):
        if progress.iteration == steps + 4:
            raise Crash

    whole, seen = sweep(), []
    with pytest.raises(Crash):
        sweep(Checkpoints(tmp_path, seconds=0), on_chunk=crash, num_iterations=24)
    assert_equal(sweep(Checkpoints(tmp_path), on_chunk=seen.append, num_iterations=18), whole)
    assert seen[0].iteration == min(steps + 4, 18)
    assert_equal(sweep(Checkpoints(tmp_path), on_chunk=seen.clear), whole)  # all is made


def test_a_longer_sweep_goes_on_from_a_chunk_s_end(tmp_path):
    sweep(Checkpoints(tmp_path, seconds=1000))  # of 18 steps, the last two in a chunk of their own
    assert_equal(sweep(Checkpoints(tmp_path), 24), sweep(num_iterations=24))


def test_a_hook_ends_a_sweep_and_it_is_kept(tmp_path):
    half = sweep(Checkpoints(tmp_path, seconds=1000), on_chunk=lambda progress: progress.iteration == 8)
    assert half.ended_early and (tmp_path / "8.safetensors").exists()
    assert_equal(sweep(Checkpoints(tmp_path)), sweep())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"seeds": [0, 2]}, "not those of this sweep: other settings, runs"),
        ({"lambd": 0.1}, "not those of this sweep: other settings, runs"),
        ({"key": jax.random.key(0)}, "not those of this sweep: other runs"),
        ({"sample_weight": np.ones(20)}, "not those of this sweep: other data, runs"),
        ({"num_iterations": 12}, "num_iterations is 12, but the checkpoints in .* have made 18 steps"),
    ],
)
def test_checkpoints_of_another_sweep_are_refused(change, message, tmp_path):
    sweep(Checkpoints(tmp_path))
    with pytest.raises(InputError, match=message):
        sweep(Checkpoints(tmp_path), **change)
    assert sweep(Checkpoints(tmp_path)).costs.shape == (4, 18)


def test_other_weights_of_the_examples_are_other_data(tmp_path):
    sweep(Checkpoints(tmp_path), sample_weight=np.ones(20))
    with pytest.raises(InputError, match="not those of this sweep: other data"):
        sweep(Checkpoints(tmp_path), sample_weight=np.full(20, 2.0))


def test_checkpoints_of_other_data_are_refused(tmp_path):
    sweep(Checkpoints(tmp_path / "sweep"))
    with pytest.raises(InputError, match="not those of this sweep: other data"):
        jaxnet.sweep(
            X + 1, Y, (6, 3), num_iterations=18, batch_size=6, checkpoints=Checkpoints(tmp_path / "sweep"), **SWEEP
        )
    start = jaxnet.initialize_parameters_deep((6, 3), key=jax.random.key(0))
    network = jaxnet.Network(loss="squared_error")
    jaxnet.train(X, Y, start, num_iterations=1, network=network, checkpoints=Checkpoints(tmp_path / "train"))
    with pytest.raises(InputError, match="not those of this sweep"):
        sweep(Checkpoints(tmp_path / "train"))
    with pytest.raises(InputError, match="are not those of a run of `train`"):
        jaxnet.train(X, Y, start, num_iterations=1, network=network, checkpoints=Checkpoints(tmp_path / "sweep"))


def test_what_goes_on_from_two_places_is_refused(tmp_path, no_shape_checks):
    with pytest.raises(InputError, match="start and checkpoints are given; expected one of both"):
        sweep(Checkpoints(tmp_path), start=sweep())
    with pytest.raises(InputError, match="checkpoints is 'sweep'; expected jaxnet.Checkpoints"):
        sweep("sweep")
