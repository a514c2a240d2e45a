"""What is saved is what is loaded, to the bit."""

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from jaxnet import Model, Network, initialize_parameters_deep, load_model, save_model
from jaxnet.activations import Activation
from jaxnet.errors import InputError


def drawn_model(**changes) -> Model:
    parameters = initialize_parameters_deep((12, 5, 3), key=jax.random.key(0))
    network = Network("gelu", "softmax_cross_entropy")
    return Model(parameters, network, (2, 2, 3), ("Katze", "犬", "bird, 'x'"), 1 / 255)._replace(**changes)


def test_a_model_comes_back_bit_by_bit(tmp_path):
    model = drawn_model()
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded._replace(parameters=None) == model._replace(parameters=None)
    assert list(loaded.parameters) == list(model.parameters)
    for name in model.parameters:
        assert loaded.parameters[name].dtype == model.parameters[name].dtype
        np.testing.assert_array_equal(loaded.parameters[name], model.parameters[name])
    assert load_model(tmp_path).classes == model.classes  # a run folder stands for the model in it


def test_float64_parameters_stay_float64(tmp_path, x64):
    parameters = initialize_parameters_deep((4, 1), key=jax.random.key(0))
    save_model(
        tmp_path / "m.safetensors",
        drawn_model(parameters=parameters, network=Network(), input_shape=(4,), classes=("a", "b")),
    )
    assert load_model(tmp_path / "m.safetensors").parameters["W1"].dtype == np.float64


def test_saving_replaces_the_file_at_once_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("older")
    save_model(path, drawn_model())
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    assert load_model(path).input_shape == (2, 2, 3)


def test_a_network_that_a_file_cannot_name_is_refused_before_writing(tmp_path):
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
        ({"scale": float("nan")}, "scale says nan; expected a positive number"),
        ({"scale": 0}, "scale says 0"),
    ],
)
def test_a_model_that_could_not_be_used_is_neither_saved_nor_loaded(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        save_model(tmp_path / "m.safetensors", drawn_model(**changes))
    assert not list(tmp_path.iterdir())


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
    ],
)
def test_metadata_of_the_wrong_kind_is_told(tmp_path, name, value, no_shape_checks):
    save_model(tmp_path / "m.safetensors", drawn_model())
    with safe_open(tmp_path / "m.safetensors", framework="numpy") as file:
        metadata = file.metadata() | {name: value}
        arrays = {key: file.get_tensor(key) for key in file.keys()}
    save_file(arrays, tmp_path / "m.safetensors", metadata)
    with pytest.raises(InputError, match=r"m\.safetensors: "):
        load_model(tmp_path / "m.safetensors")
