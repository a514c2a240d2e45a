"""Checkpoints come back bit by bit, or are left out with a note; a full disk loses nothing."""

import errno
import os
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet.errors import InputError
from jaxnet.storage import durable
from jaxnet.storage.tensors import encode
from jaxnet.training.checkpoints import LATEST, Checkpoints, Saved


OPTIMIZER = optax.adamw(optax.cosine_decay_schedule(0.1, 100))


def drawn_state(seed=0):
    parameters = jaxnet.initialize_parameters_deep((3, 2, 1), key=jax.random.key(seed))
    return {"a": (parameters, OPTIMIZER.init(parameters), None)}


STATES = {iteration: drawn_state(iteration) for iteration in (100, 200, 300)}


def latest(folder, like=None):
    """The newest checkpoint that can be used, and what is noted of others."""
    notes = []
    with Checkpoints(folder) as checkpoints:
        return checkpoints.latest(lambda history: STATES[100] if like is None else like, notes.append), notes


def save_all(folder):
    with Checkpoints(folder) as checkpoints:
        for iteration, state in STATES.items():
            checkpoints.save(Saved(iteration, state, {"costs": [0.1] * iteration}))


def assert_same(saved, iteration):
    assert saved.iteration == iteration and saved.history == {"costs": [0.1] * iteration}
    for got, want in zip(jax.tree.leaves(saved.trees), jax.tree.leaves(STATES[iteration]), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want, strict=True)


def test_what_was_saved_comes_back_bit_by_bit(tmp_path):
    state, history = drawn_state(), {"costs": [0.1, 1 / 3, float("inf")], "rows": [[1, [0.5]]]}
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(Saved(7, state, history))
    saved, notes = latest(tmp_path / "c")
    assert saved.iteration == 7 and saved.history == history and notes == []
    assert jax.tree.structure(saved.trees) == jax.tree.structure(state)
    for got, want in zip(jax.tree.leaves(saved.trees), jax.tree.leaves(state), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want, strict=True)


def test_the_last_few_are_kept(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        for i in range(2, 13, 2):
            checkpoints.save(Saved(i, drawn_state(i), {}))
    assert LATEST == 3 and sorted(os.listdir(tmp_path)) == ["10.safetensors", "12.safetensors", "8.safetensors"]


def test_what_is_passed_over_goes_with_the_next(tmp_path):
    """Four ends of shorter runs do not push out what a longer one goes on from."""
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Saved(100, drawn_state(), {"whole": True}))
        for end in (150, 160, 170, 180):
            found = checkpoints.latest(lambda history: drawn_state() if history["whole"] else None, pytest.fail)
            assert found is not None and found.iteration == 100
            checkpoints.save(Saved(end, drawn_state(), {"whole": False}))
            checkpoints.wait()
    assert sorted(os.listdir(tmp_path)) == ["100.safetensors", "180.safetensors"]


def test_a_random_key_comes_back_as_one(tmp_path):
    state = {"a": {"key": jax.random.key(3), "raw": jax.random.key_data(jax.random.key(4))}}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Saved(1, state, {}))
    saved, _ = latest(tmp_path, like={"a": {"key": jax.random.key(0), "raw": state["a"]["raw"]}})
    assert saved.trees["a"]["key"] == jax.random.key(3)
    np.testing.assert_array_equal(saved.trees["a"]["raw"], state["a"]["raw"])


def test_nothing_saved_is_nothing_found(tmp_path):
    assert latest(tmp_path / "c") == (None, [])
    assert not (tmp_path / "c").exists()


def test_other_names_are_no_checkpoints(tmp_path):
    save_all(tmp_path)
    for name in ("400", "500.orbax-checkpoint-tmp-3", "0x9.safetensors", "²00.safetensors", ".900.safetensors.7"):
        (tmp_path / name).mkdir()
    saved, notes = latest(tmp_path)
    assert saved.iteration == 300 and notes == []


def flip(path, draw):
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def blank(path, draw):
    content = bytearray(path.read_bytes())
    start = draw.randrange(len(content) - 100)
    content[start : start + 100] = bytes(100)
    path.write_bytes(content)


def append(path, draw):
    path.write_bytes(path.read_bytes() + b"\0")


def swap(path, draw):
    """The state of another step, whole and with a digest that is right, under this name."""
    shutil.copy(path.with_name("100.safetensors"), path)


def folder(path, draw):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "flip": flip,
    "cut": lambda path, draw: os.truncate(path, draw.randrange(path.stat().st_size)),
    "blank": blank,
    "zeros": lambda path, draw: path.write_bytes(bytes(path.stat().st_size)),
    "empty": lambda path, draw: path.write_bytes(b""),
    "text": lambda path, draw: path.write_text('{"cost": }'),
    "append": append,
    "swap": swap,
    "folder": folder,
}
DRAWN = [(name, seed) for seed in range(20) for name in ("flip", "cut", "blank")][:40] + [(name, 0) for name in DAMAGES]


@pytest.mark.parametrize("name, seed", DRAWN)
@pytest.mark.few(16)
def test_a_damaged_one_is_noted_and_the_one_before_is_taken(tmp_path, name, seed):
    save_all(tmp_path)
    DAMAGES[name](tmp_path / "300.safetensors", random.Random(seed))
    saved, notes = latest(tmp_path)
    assert_same(saved, 200)
    [note] = notes
    assert "a checkpoint is left out: " in note and "300.safetensors" in note and "\n" not in note
    assert set(os.listdir(tmp_path)) == {"100.safetensors", "200.safetensors", "300.safetensors.damaged"}
    assert latest(tmp_path)[1] == []


def test_where_all_are_damaged_each_is_noted(tmp_path):
    save_all(tmp_path)
    for iteration in STATES:
        flip(tmp_path / f"{iteration}.safetensors", random.Random(iteration))
    saved, notes = latest(tmp_path)
    assert saved is None and len(notes) == 3


def test_one_of_another_network_is_refused_and_stays(tmp_path):
    save_all(tmp_path)
    other = jaxnet.initialize_parameters_deep((3, 5, 2, 1), key=jax.random.key(0))
    with pytest.raises(InputError, match="300.safetensors is of another network or optimizer"):
        latest(tmp_path, like={"a": (other, OPTIMIZER.init(other), None)})
    assert sorted(os.listdir(tmp_path)) == ["100.safetensors", "200.safetensors", "300.safetensors"]


@pytest.mark.parametrize(
    "words",
    [{}, {"iteration": "300"}, {"iteration": "[" * 9000, "history": "{}"}, {"iteration": "x", "history": "{}"}],
    ids=["none", "one", "deep", "no JSON"],
)
def test_a_file_of_another_kind_is_refused_and_stays(tmp_path, words):
    save_all(tmp_path)
    (tmp_path / "300.safetensors").write_bytes(encode({"a": np.zeros(3)}, words))
    with pytest.raises(InputError, match="300.safetensors is not a checkpoint; expected a folder that holds nothing"):
        latest(tmp_path)
    assert (tmp_path / "300.safetensors").exists()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8", "uint32", "bool"])
def test_every_dtype_of_an_optimizer_comes_back(tmp_path, dtype):
    state = {"a": {"mu": jnp.asarray([0, 1, 1], dtype), "count": 3}}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Saved(1, state, {}))
    saved, _ = latest(tmp_path, like=state)
    assert saved.trees["a"]["mu"].dtype == dtype and saved.trees["a"]["count"] == 3
    np.testing.assert_array_equal(saved.trees["a"]["mu"], state["a"]["mu"])


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["write_bytes", "fsync"])
def test_a_full_disk_is_an_error_and_the_last_one_stays(tmp_path, monkeypatch, place):
    big = {"a": jnp.asarray(np.random.default_rng(0).normal(size=(300, 300)))}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Saved(10, big, {}))
    with monkeypatch.context() as patch:
        patch.setattr(durable.Path if place == "write_bytes" else os, place, full)
        with pytest.raises(InputError, match="cannot be written to .*: No space left .*; those that are"):
            with Checkpoints(tmp_path) as checkpoints:
                checkpoints.save(Saved(20, big, {}))
    assert os.listdir(tmp_path) == ["10.safetensors"]
    saved, _ = latest(tmp_path, like=big)
    np.testing.assert_array_equal(saved.trees["a"], big["a"])


def test_an_error_of_the_block_is_not_hidden_by_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyboardInterrupt):
        with Checkpoints(tmp_path) as checkpoints:
            checkpoints.save(Saved(10, drawn_state(), {}))
            raise KeyboardInterrupt
