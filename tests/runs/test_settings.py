"""Settings: their file, what contradicts itself, and the optimizer they ask for."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnet.errors import InputError
from jaxnet.parameters import FrozenDict
from jaxnet.runs.settings import NAMES, Settings, learning_rate, make_optimizer, read_config, read_run, write_settings


def test_what_was_written_is_what_is_read(tmp_path):
    settings = Settings(
        data="a b/ö.npz",
        layers=(3, 2),
        optimizer="adamw",
        epochs=3,
        learning_rate=1e-300,
        grey=True,
        class_weight="balanced",
    )
    write_settings(tmp_path, settings, {"fingerprint": "abc"})
    options = {name.replace("-", "_"): value for name, value in read_config(tmp_path / "settings.toml").items()}
    assert Settings(**options | {"layers": tuple(options["layers"])}) == settings
    assert read_run(tmp_path)["fingerprint"] == "abc" and "finished" not in read_run(tmp_path)
    write_settings(tmp_path, settings, {"fingerprint": "abc", "finished": 7})
    assert read_run(tmp_path)["finished"] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]


def test_weights_of_classes_are_a_table_of_their_names(tmp_path):
    weights = (("a=b", 2.0), ("c, ö", 0.1))
    write_settings(tmp_path, Settings(class_weight=weights), {"fingerprint": "abc"})
    assert read_config(tmp_path / "settings.toml")["class-weight"] == dict(weights)
    assert read_run(tmp_path)["fingerprint"] == "abc"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_iterations": 3, "epochs": 2}, "3 iterations and 2 epochs"),
        ({"optimizer": "adam", "weight_decay": 0.1}, "choose --optimizer adamw"),
        ({"schedule": "step"}, "--schedule step and --step-every N go together"),
        ({"step_every": 3}, "--schedule step and --step-every N go together"),
        ({"class_weight": (("a", 1.0), ("b", 2.0), ("a", 1.0))}, "--class-weight names 'a' 2 times; expected once"),
        ({"class_weight": (("a\udcff", 1.0),)}, "cannot be kept in settings.toml; rename it"),
    ],
)
def test_settings_that_contradict_each_other(changes, message):
    with pytest.raises(InputError, match=message):
        Settings(**changes)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"learning-rate = ", "cannot be read as TOML"),
        (b"learning_rat = 1", "has learning_rat; expected options"),
        (b"\xff\xfe", "cannot be read as TOML"),
        (b"size = " + b"[" * 3000 + b"]" * 3000, "nested too deeply"),
        (b"size = " + b"{a = " * 3000 + b"1" + b"}" * 3000, "nested too deeply"),
        (b"size = " + b"9" * 5000, "cannot be read as TOML: Exceeds the limit"),
        (b"run = 2020-99-99", "cannot be read as TOML"),
        (b'"\\u001b[2J" = 1', r"has \\x1b\[2J; expected options"),
    ],
)
def test_a_config_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / "a.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize("content, message", [(None, "has no settings.toml"), ("size = 3", "cannot be read")])
def test_a_folder_that_is_no_run(tmp_path, content, message):
    if content is not None:
        (tmp_path / "settings.toml").write_text(content)
    with pytest.raises(InputError, match=message):
        read_run(tmp_path)


def test_a_flipped_bit_is_noticed(tmp_path):
    """All 8 bits of every 7th byte: the run is refused, or the file says the same, as with a space for a tab."""
    settings = Settings(data="a b/ö.npz", layers=(3, 2), optimizer="adamw", epochs=3, learning_rate=0.1)
    write_settings(tmp_path, settings, {"fingerprint": "abc", "steps": 7, "finished": 7})
    path, run = tmp_path / "settings.toml", read_run(tmp_path)
    content, options = path.read_bytes(), read_config(path)
    for place, bit in itertools.product(range(0, len(content), 7), range(8)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            read = read_run(tmp_path), read_config(path)
        except InputError:
            continue
        assert read == (run, options)


def test_a_path_that_is_not_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be kept in settings.toml; rename it"):
        Settings(data="a\udcff.npz")
    write_settings(tmp_path, Settings(data="\x1b[2J\n.npz"), {})
    assert read_config(tmp_path / "settings.toml")["data"] == "\x1b[2J\n.npz"


def rates(**changes):
    schedule = learning_rate(Settings(**changes), 100)
    return [float(schedule(step)) if callable(schedule) else schedule for step in range(100)]


def test_schedules():
    assert rates(learning_rate=0.5) == [0.5] * 100
    cosine = rates(learning_rate=0.5, schedule="cosine")
    np.testing.assert_allclose(cosine, 0.25 * (1 + np.cos(np.pi * np.arange(100) / 100)), atol=1e-7)
    stair = rates(learning_rate=0.5, schedule="step", step_every=40, step_factor=0.5)
    np.testing.assert_allclose(stair, [0.5] * 40 + [0.25] * 40 + [0.125] * 20, rtol=1e-6)
    warm = rates(learning_rate=0.5, warm_up=10)
    np.testing.assert_allclose(warm, [*np.arange(10) / 20, *[0.5] * 90], rtol=1e-6)
    both = rates(learning_rate=0.5, warm_up=10, schedule="cosine")
    np.testing.assert_allclose(both[10:], 0.25 * (1 + np.cos(np.pi * np.arange(90) / 90)), atol=1e-7)
    with pytest.raises(InputError, match="warm-up takes 100 of 100 steps"):
        rates(warm_up=100)


PARAMETERS = FrozenDict(W1=jnp.array([[2.0, -3.0]]), b1=jnp.array([[1.0]]))
GRADIENT = FrozenDict(W1=jnp.array([[0.5, 0.25]]), b1=jnp.array([[-1.0]]))


@pytest.mark.parametrize(
    "changes, peer",
    [
        ({"optimizer": "sgd"}, optax.sgd(0.1)),
        ({"optimizer": "momentum"}, optax.sgd(0.1, momentum=0.9)),
        ({"optimizer": "adam"}, optax.adam(0.1)),
        ({"optimizer": "adamw"}, optax.adamw(0.1, mask=FrozenDict(W1=True, b1=False))),
        ({"optimizer": "adamw", "weight_decay": 0.0}, optax.adam(0.1)),
        (
            {"optimizer": "adamw", "weight_decay": 0.3},
            optax.adamw(0.1, weight_decay=0.3, mask=FrozenDict(W1=True, b1=False)),
        ),
    ],
    ids=["sgd", "momentum", "adam", "adamw", "no decay", "decay"],
)
def test_an_optimizer_is_the_one_that_optax_has(changes, peer):
    with jax.numpy_dtype_promotion("standard"):
        ours, theirs = walk(make_optimizer(Settings(learning_rate=0.1, **changes), 10)), walk(peer)
    for name in PARAMETERS:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)


def walk(optimizer):
    parameters, state = PARAMETERS, optimizer.init(PARAMETERS)
    for _ in range(5):
        updates, state = optimizer.update(GRADIENT, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
    return parameters


def test_decoupled_decay_of_gradient_descent():
    after = walk(make_optimizer(Settings(learning_rate=0.1, weight_decay=0.3), 10))
    W, b = np.array([[2.0, -3.0]]), np.array([[1.0]])
    for _ in range(5):
        W, b = W - 0.1 * (np.array([[0.5, 0.25]]) + 0.3 * W), b + 0.1
    np.testing.assert_allclose(after["W1"], W, rtol=1e-6)
    np.testing.assert_allclose(after["b1"], b, rtol=1e-6)


def test_early_stopping_watches_examples_of_its_own():
    assert Settings().watched_fraction == 0 and Settings(early_stopping=3).watched_fraction == 0.2
    assert Settings(early_stopping=3, validation_fraction=0.1).watched_fraction == 0.1
    assert {"learning_rate", "data"} <= NAMES
