"""What is saved is what is loaded, to the bit."""

import errno
import json
import os

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from jaxnet import Model, Network, TrainingData, initialize_parameters_deep, load_model, save_model
from jaxnet.activations import Activation
from jaxnet.data import hog_of
from jaxnet.data.preprocessing import Preprocessing
from jaxnet.errors import InputError
from jaxnet.storage.tensors import DIGEST


MEAN = np.arange(1, 13, dtype=np.float32)[:, None]


def drawn_model(**changes) -> Model:
    parameters = initialize_parameters_deep((12, 5, 3), key=jax.random.key(0))
    network = Network("gelu", "softmax_cross_entropy")
    return Model(parameters, network, (2, 2, 3), ("Katze", "犬", "bird, 'x'"), Preprocessing(1 / 255))._replace(
        **changes
    )


def test_a_model_comes_back_bit_by_bit(tmp_path):
    model = drawn_model(trained_on=(TrainingData("a", 0.25, 1), TrainingData("a", None, 2)))
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded._replace(parameters=None) == model._replace(parameters=None)
    assert list(loaded.parameters) == list(model.parameters)
    for name in model.parameters:
        assert loaded.parameters[name].dtype == model.parameters[name].dtype
        np.testing.assert_array_equal(loaded.parameters[name], model.parameters[name])
    assert load_model(tmp_path).classes == model.classes  # a run folder stands for the model in it


def drawn_featured_model(**changes) -> Model:
    features = hog_of((9, 8, 3))
    parameters = initialize_parameters_deep((features.size, 2, 1), key=jax.random.key(0))
    preprocessing = Preprocessing(features=features)
    return Model(parameters, Network(), (9, 8, 3), ("cat", "dog"), preprocessing)._replace(**changes)


def formats(model, path):
    save_model(path, model)
    with safe_open(path, framework="numpy") as file:
        return file.metadata()["jaxnet_format"], file.metadata().get("features")


def test_features_come_back_in_a_format_of_their_own(tmp_path):
    """An older jaxnet, which would give the network pixels, refuses the file; others have the format that they had."""
    path, model = tmp_path / "m.safetensors", drawn_featured_model()
    assert formats(model, path) == ("3", '{"kind": "hog", "cells": [1, 2], "orientations": 9}')
    loaded = load_model(path)
    assert loaded.preprocessing == model.preprocessing and loaded.input_shape == (9, 8, 3)
    assert formats(drawn_model(), path) == ("1", None)
    assert formats(drawn_model(preprocessing=Preprocessing(1.0, MEAN, MEAN)), path) == ("2", None)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"features": [1]}, "features says .1.; expected the kind hog, its cells and its orientations"),
        ({"features": {"kind": "hog"}}, "features says .*; expected the kind hog"),
        ({"features": {"kind": "lbp", "cells": [1, 2], "orientations": 9}}, "expected the kind hog"),
        ({"features": {"kind": "hog", "cells": [1], "orientations": 9}}, "features = 2340 in all"),
        ({"features": {"kind": "hog", "cells": None, "orientations": 9}}, "cells is None; expected whole numbers"),
        ({"features": {"kind": "hog", "cells": [1, 2], "orientations": 10**9}}, "expected 1 to 64"),
        ({"features": None}, "n_x = 2340 in all"),
        ({"input_shape": [10**9, 10**9]}, "expected 8 to 4096 pixels a side, for features"),
        ({"input_shape": ["9", 8, 3]}, "input_shape is .*; expected whole numbers"),
        ({"input_shape": [2340]}, "features are of images"),
        ({"input_shape": 9}, "input_shape is 9; expected whole numbers"),
        ({"jaxnet_format": 1}, "it has format 1, in which models have no features"),
        ({"jaxnet_format": 4}, "which reads up to 3: upgrade jaxnet"),
    ],
)
def test_hostile_features_are_refused(tmp_path, changes, message, no_shape_checks):
    path, model = tmp_path / "m.safetensors", drawn_featured_model()
    save_model(path, model)
    with safe_open(path, framework="numpy") as file:
        metadata, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    metadata.pop(DIGEST)
    save_file(arrays, path, metadata | {name: json.dumps(value) for name, value in changes.items()})
    with pytest.raises(InputError, match=message):
        load_model(path)


def test_features_of_other_images_are_not_saved(tmp_path):
    strange = drawn_featured_model(input_shape=(8, 9, 3))
    with pytest.raises(InputError, match=r"expected those of its input_shape, \(8, 9, 3\), such as jaxnet.data.hog_of"):
        save_model(tmp_path / "m.safetensors", strange)


def test_float64_parameters_stay_float64(tmp_path, x64):
    parameters = initialize_parameters_deep((4, 1), key=jax.random.key(0))
    save_model(
        tmp_path / "m.safetensors",
        drawn_model(parameters=parameters, network=Network(), input_shape=(4,), classes=("a", "b")),
    )
    assert load_model(tmp_path / "m.safetensors").parameters["W1"].dtype == np.float64


def test_saving_replaces_at_once_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("older")
    save_model(path, drawn_model())
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    assert load_model(path).input_shape == (2, 2, 3)


def test_a_network_without_a_name_is_refused_unwritten(tmp_path):
    own = Activation(jax.nn.relu6, lambda dA, Z: dA)
    with pytest.raises(InputError, match="the activation of this network is none of relu"):
        save_model(tmp_path / "m.safetensors", drawn_model(network=Network(own)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"input_shape": (10**6, 10**6)}, "input_shape says"),
        ({"input_shape": (3, 4, 1)}, "input_shape says"),
        ({"classes": ("a", "b")}, "expected 3 printable names"),
        ({"classes": ("a", "b", "\x1b[2J")}, "expected 3 printable names"),
        ({"preprocessing": Preprocessing(float("nan"))}, "scale says nan; expected a positive number"),
        ({"preprocessing": Preprocessing(0)}, "scale says 0"),
        ({"exact_decoding": "yes"}, "exact_decoding says 'yes'; expected true or false"),
        ({"preprocessing": Preprocessing(1e300)}, "scale says 1e\\+300"),
        ({"preprocessing": 1 / 255}, "the preprocessing of the model is 0.0039.*expected a Preprocessing, such as"),
        (
            {"preprocessing": Preprocessing(1 / 255, MEAN)},
            "only one of input_mean and input_std; expected both or none",
        ),
        (
            {"preprocessing": Preprocessing(1 / 255, MEAN[:11], MEAN)},
            r"input_mean has shape \(11, 1\).*expected \(12, 1\)",
        ),
        ({"preprocessing": Preprocessing(1 / 255, MEAN, np.float32(MEAN[:, 0]))}, r"input_std has shape \(12,\)"),
        ({"preprocessing": Preprocessing(1 / 255, MEAN * np.nan, MEAN)}, "input_mean .* not finite"),
        (
            {"preprocessing": Preprocessing(1 / 255, MEAN, 0 * MEAN)},
            "smallest entry of input_std is 0.0; expected positive",
        ),
        ({"preprocessing": Preprocessing(1 / 255, MEAN, -MEAN)}, "smallest entry of input_std is -12.0"),
    ],
)
def test_an_unusable_model_is_neither_saved_nor_loaded(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        save_model(tmp_path / "m.safetensors", drawn_model(**changes))
    assert not list(tmp_path.iterdir())


def test_a_flipped_bit_is_noticed(tmp_path):
    """Anywhere in the file; but for a bit in the name of the digest, without which the file is as good."""
    path, model = tmp_path / "m.safetensors", drawn_model()
    save_model(path, model)
    content, generator, silent = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        place, bit = generator.integers(len(content)), generator.integers(8)
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(bit)
        path.write_bytes(damaged)
        try:
            loaded = load_model(path)
        except InputError:
            continue
        silent += 1
        assert b"sha256" not in damaged and loaded.classes == model.classes
        for name in model.parameters:
            np.testing.assert_array_equal(loaded.parameters[name], model.parameters[name])
    assert silent < 5


def test_a_full_disk_is_one_line_and_the_older_model_stays(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path, model = tmp_path / "m.safetensors", drawn_model()
    save_model(path, model)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"m\.safetensors cannot be written: No space left on device$"):
        save_model(path, model._replace(classes=("a", "b", "c")))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["m.safetensors"]


@pytest.mark.parametrize(
    "name, value",
    [
        ("classes", "3"),
        ("classes", "null"),
        ("scale", '"x"'),
        ("scale", "[1]"),
        ("input_shape", "12"),
        ("input_shape", "[2.0, 6.0]"),
        ("hidden", '["relu"]'),
        ("loss", "{}"),
        ("layer_dims", "{"),
        ("jaxnet_format", '"1"'),
        ("scale", "[" * 100_000),
        ("scale", "1" + "0" * 400),
        ("scale", "1" + "0" * 5000),
        ("scale", "true"),
        ("scale", "NaN"),
        ("classes", '["a", "a", "b"]'),
        ("layer_dims", "[12, 5]"),
        ("layer_dims", '{"a": ' * 3000),
        ("jaxnet_format", "true"),
        ("jaxnet_format", "2"),
        ("jaxnet_format", "0"),
        ("jaxnet_format", "9" * 1000),
        ("exact_decoding", "1"),
        ("exact_decoding", '"true"'),
        ("trained_on", '"a"'),
        ("trained_on", '[["a", 0.5]]'),
        ("trained_on", '[["a", 1.5, 0]]'),
        ("trained_on", '[["a", 0.5, 0], [1, null, 0]]'),
    ],
)
def test_metadata_of_the_wrong_kind_is_told(tmp_path, name, value, no_shape_checks):
    save_model(tmp_path / "m.safetensors", drawn_model())
    rewrite(tmp_path / "m.safetensors", {name: value})
    with pytest.raises(InputError, match=r"m\.safetensors: "):
        load_model(tmp_path / "m.safetensors")


def rewrite(path, metadata=None, **arrays) -> None:
    """The file with some of its metadata and arrays changed, as somebody else may have written it: without a digest."""
    with safe_open(path, framework="numpy") as file:
        before = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}
    words = {name: value for name, value in (before[0] | (metadata or {})).items() if name != DIGEST}
    save_file(before[1] | arrays, path, words)


def test_a_standardised_model_keeps_mean_and_deviation(tmp_path):
    model = drawn_model(preprocessing=Preprocessing(0.5, MEAN, 2 * MEAN))
    save_model(tmp_path / "m.safetensors", model)
    loaded = load_model(tmp_path / "m.safetensors")
    assert list(loaded.parameters) == ["W1", "b1", "W2", "b2"] and loaded.preprocessing.pixel_scale == 0.5
    rows = np.arange(24, dtype=np.uint8).reshape(2, 12)
    np.testing.assert_array_equal(loaded.preprocessing.columns(rows), model.preprocessing.columns(rows))
    np.testing.assert_allclose(loaded.preprocessing.columns(rows), (0.5 * rows.T - MEAN) / (2 * MEAN), rtol=1e-6)


@pytest.mark.parametrize(
    "changes, number",
    [
        ({"preprocessing": Preprocessing()}, "1"),
        ({"preprocessing": Preprocessing(1 / 255, MEAN, MEAN)}, "2"),
        ({"exact_decoding": True}, "3"),
        ({"preprocessing": Preprocessing(1 / 255, MEAN, MEAN), "exact_decoding": True}, "3"),
    ],
)
def test_a_newer_format_is_only_for_what_needs_it(tmp_path, changes, number):
    save_model(tmp_path / "m.safetensors", drawn_model(**changes))
    assert load_model(tmp_path / "m.safetensors").exact_decoding == ("exact_decoding" in changes)
    with safe_open(tmp_path / "m.safetensors", framework="numpy") as file:
        assert file.metadata()["jaxnet_format"] == number and float(file.metadata()["scale"]) == 1 / 255


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"input_mean": np.float32([[1]])}, r"input_mean has shape \(1, 1\)"),
        ({"input_std": np.float64(MEAN)}, "input_std has shape .* and dtype float64"),
        ({"input_std": np.float32(MEAN * np.inf)}, "input_std .* not finite"),
        ({"input_std": np.float32(MEAN * 1e-44)}, "the smallest entry of input_std"),
        ({"input_std": np.int32(MEAN)}, "and dtype int32"),
        ({"W3": MEAN}, "parameters have the keys"),
        ({"\x1b[2J": MEAN}, r"parameters have the keys .*\\x1b\[2J"),
        ({f"W{i}": MEAN for i in range(3, 999)}, "parameters have the keys"),
        ({"W1": np.zeros((5, 12), np.complex64)}, "W1 is complex64"),
        ({"W1": np.float32(MEAN)}, "layer 1: b1"),
        ({"b2": np.float32([[1], [2], [np.nan]])}, "b2 is float32 or has entries that are not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_told(tmp_path, arrays, message, no_shape_checks):
    save_model(tmp_path / "m.safetensors", drawn_model(preprocessing=Preprocessing(1 / 255, MEAN, MEAN)))
    rewrite(tmp_path / "m.safetensors", **arrays)
    with pytest.raises(InputError, match=rf"m\.safetensors: .*{message}"):
        load_model(tmp_path / "m.safetensors")
