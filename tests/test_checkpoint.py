"""Checkpoints come back bit by bit; a half-written one is never chosen; a full disk loses nothing."""

import resource
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet.checkpoint import LATEST, Checkpoints, Saved
from jaxnet.errors import InputError


OPTIMIZER = optax.adamw(optax.cosine_decay_schedule(0.1, 100))


def drawn_state(seed=0):
    parameters = jaxnet.initialize_parameters_deep((3, 2, 1), key=jax.random.key(seed))
    return parameters, OPTIMIZER.init(parameters), None


def numbers(folder):
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def test_what_was_saved_comes_back_bit_by_bit(tmp_path):
    state, history = drawn_state(), {"costs": [0.1, 1 / 3], "rows": [[1, [0.5]]]}
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(Saved(7, state, history), 0.5)
    with Checkpoints(tmp_path / "c") as checkpoints:
        saved = checkpoints.latest(drawn_state(seed=1))
    assert saved.iteration == 7 and saved.history == history
    assert jax.tree.structure(saved.state) == jax.tree.structure(state)
    for got, want in zip(jax.tree.leaves(saved.state), jax.tree.leaves(state), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_the_last_few_and_the_best_are_kept(tmp_path):
    costs = [5.0, 1.0, 3.0, float("nan"), 4.0, 6.0, None]
    with Checkpoints(tmp_path) as checkpoints:
        for i, cost in enumerate(costs):
            checkpoints.save(Saved(10 * i, drawn_state(i), {}), cost)
    assert numbers(tmp_path) == [10, 40, 50, 60] and LATEST == 3
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.best(drawn_state()).iteration == 10
        assert checkpoints.latest(drawn_state()).iteration == 60


def test_nothing_saved_is_nothing_found(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.latest(drawn_state()) is None
    assert not (tmp_path / "c").exists()


def test_a_half_written_checkpoint_is_not_chosen(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Saved(10, drawn_state(), {}))
    half = tmp_path / "20.orbax-checkpoint-tmp-3"
    (half / "state").mkdir(parents=True)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest(drawn_state()).iteration == 10


def test_a_checkpoint_of_another_network_is_an_error(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Saved(10, drawn_state(), {}))
    other = jaxnet.initialize_parameters_deep((3, 5, 2, 1), key=jax.random.key(0))
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(InputError, match="cannot be read"):
        checkpoints.latest((other, OPTIMIZER.init(other), None))


def test_a_disk_that_is_full_is_an_error_and_the_last_good_one_stays(tmp_path):
    """A limit on the size of files stands for the disk: the write fails in the same place."""
    big = {"W1": jnp.asarray(np.random.default_rng(0).normal(size=(300, 300)))}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Saved(10, big, {}))
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    checkpoints = Checkpoints(tmp_path)
    try:
        with pytest.raises(InputError, match="a checkpoint cannot be written to .* those that are there stay good"):
            with checkpoints:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
                checkpoints.save(Saved(20, big, {}))
                checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    with Checkpoints(tmp_path) as checkpoints:
        saved = checkpoints.latest(big)
    assert saved.iteration == 10
    np.testing.assert_array_equal(saved.state["W1"], big["W1"])
