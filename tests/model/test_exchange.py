"""Networks to torch and back: the same probabilities, and a clear word for every file that is no dense network."""

import json

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from jaxnet import L_model_forward, Model, Network, TrainingData, initialize_parameters_deep, load_model, save_model
from jaxnet.activations import ACTIVATIONS
from jaxnet.data.preprocessing import Preprocessing
from jaxnet.errors import InputError
from jaxnet.model import about_torch, load_torch, save_npz, save_torch, to_torch

from .test_file import drawn_featured_model


SHAPE = (2, 3, 3)  # small, and of different height, width and number of channels
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 18), dtype=np.uint8)
MEAN, STD = (np.random.default_rng(k).uniform(0.2, 0.8, (18, 1)).astype(np.float32) for k in (1, 2))
PLAIN, STANDARDISED = Preprocessing(), Preprocessing(1 / 255, MEAN, STD)


def drawn(activation="relu", outputs=3, preprocessing=PLAIN, shape=SHAPE) -> Model:
    parameters = initialize_parameters_deep((18, 7, 5, outputs), key=jax.random.key(0), init="he")
    shifted = {name: value + 0.1 for name, value in parameters.items() if name.startswith("b")}
    loss = "binary_cross_entropy" if outputs == 1 else "softmax_cross_entropy"
    classes = tuple("abcdefgh"[: max(2, outputs)])
    return Model(parameters | shifted, Network(activation, loss), shape, classes, preprocessing)


def outputs_of(model, pixels=PIXELS):
    return np.asarray(L_model_forward(model.preprocessing.columns(pixels), model.parameters, model.network)[0])


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


def module_of(torch, text):
    """The module that the text describes, as somebody would who pastes it."""
    return eval(text, vars(torch.nn))


def outputs_of_torch(torch, model, path, inputs, **choices):
    from safetensors.torch import load_file

    module = module_of(torch, about_torch(model, **choices)["module"])
    module.load_state_dict(load_file(path))
    with torch.no_grad():
        logits = module(torch.from_numpy(np.ascontiguousarray(inputs, np.float32)))
        return (torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)).numpy().T


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.few(6)
def test_torch_gives_the_same_probabilities_both_ways(activation, outputs, tmp_path, torch):
    path, model = tmp_path / "a.safetensors", drawn(activation, outputs)
    save_torch(path, model)
    got = outputs_of_torch(torch, model, path, model.preprocessing.columns(PIXELS).T)
    np.testing.assert_allclose(got, outputs_of(model), atol=1e-6, rtol=0)
    again = load_torch(path)
    assert again._replace(parameters=None) == model._replace(parameters=None)
    np.testing.assert_array_equal(outputs_of(again), outputs_of(model))


@pytest.mark.parametrize("save, suffix", [(save_torch, "safetensors"), (save_npz, "npz")])
def test_features_are_described_and_come_back(save, suffix, tmp_path):
    path, model = tmp_path / f"a.{suffix}", drawn_featured_model()
    save(path, model)
    again = load_torch(path)
    assert again._replace(parameters=None) == model._replace(parameters=None)
    text = (
        "rows of 2340 HOG features of images 9 x 8 x 3, which this file does not make: for each side c of 1, 2, skimage"
    )
    assert about_torch(model)["inputs"].startswith(text)
    for choice in ("fold_preprocessing", "channels_first"):
        with pytest.raises(InputError, match="which no linear layer can make of pixels; export without"):
            save_torch(tmp_path / "b.safetensors", model, **{choice: True})
    with pytest.raises(InputError, match="channels_first is about pixels, but the inputs of the network are features"):
        load_torch(path, channels_first=True)


def test_features_that_are_no_json_are_refused(tmp_path):
    save_npz(tmp_path / "a.npz", drawn_featured_model())
    with np.load(tmp_path / "a.npz") as stored:
        np.savez(tmp_path / "b.npz", **{**stored, "features": "{"})
    with pytest.raises(InputError, match="its features cannot be read"):
        load_torch(tmp_path / "b.npz")


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_torch_network_comes_in_with_its_probabilities(activation, tmp_path, torch):
    from safetensors.torch import save_file as save_state

    torch.manual_seed(0)
    linear = [torch.nn.Linear(18, 6), torch.nn.Linear(6, 4, bias=False), torch.nn.Linear(4, 3)]
    g = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[activation]
    module = torch.nn.Sequential(linear[0], g(), linear[1], g(), linear[2])
    save_state(module.state_dict(), tmp_path / "a.safetensors")
    model = load_torch(tmp_path / "a.safetensors", hidden=activation, input_shape=SHAPE)
    with torch.no_grad():
        expected = torch.softmax(module(torch.from_numpy(PIXELS / np.float32(255))), dim=1).numpy().T
    np.testing.assert_allclose(outputs_of(model), expected, atol=1e-6, rtol=0)
    assert model.classes == ("0", "1", "2") and model.input_shape == SHAPE


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize(
    "preprocessing", [Preprocessing(), Preprocessing(0.01), STANDARDISED], ids=["plain", "other", "standardised"]
)
def test_with_the_scaling_folded_in_torch_takes_pixels(preprocessing, channels_first, tmp_path, torch):
    path, model = tmp_path / "a.safetensors", drawn(preprocessing=preprocessing)
    choices = {"fold_preprocessing": True, "channels_first": channels_first}
    save_torch(path, model, **choices)
    images = PIXELS.reshape(-1, *SHAPE)
    rows = (images.transpose(0, 3, 1, 2) if channels_first else images).reshape(len(PIXELS), -1)
    got = outputs_of_torch(torch, model, path, rows, **choices)
    np.testing.assert_allclose(got, outputs_of(model), atol=1e-5, rtol=0)
    assert about_torch(model, **choices)["inputs"].endswith("pixels from 0 to 255")
    np.testing.assert_allclose(outputs_of(load_torch(path)), outputs_of(model), atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels_first", [False, True])
def test_a_standardised_model_comes_back_from_its_export(channels_first, tmp_path):
    model = drawn(preprocessing=STANDARDISED)
    save_torch(tmp_path / "a.safetensors", model, channels_first=channels_first)
    again = load_torch(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(again.preprocessing.mean, MEAN)
    np.testing.assert_array_equal(outputs_of(again), outputs_of(model))
    inputs = about_torch(model, channels_first=channels_first)["inputs"]
    assert f"times {1 / 255}, minus input_mean, divided by input_std" in inputs
    assert ("(channel, height, width)" in inputs) == channels_first


@pytest.mark.parametrize("save, name", [(save_torch, "a.safetensors"), (save_npz, "a.npz")])
def test_exact_decoding_comes_back(save, name, tmp_path):
    save(tmp_path / name, drawn()._replace(exact_decoding=True))
    assert (
        load_torch(tmp_path / name).exact_decoding
        and not load_torch(tmp_path / name, exact_decoding=False).exact_decoding
    )
    save(tmp_path / name, drawn())
    assert (
        not load_torch(tmp_path / name).exact_decoding
        and load_torch(tmp_path / name, exact_decoding=True).exact_decoding
    )


def test_the_metadata_says_what_the_file_is(tmp_path):
    save_torch(tmp_path / "a.safetensors", drawn("gelu"))
    with safe_open(tmp_path / "a.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    assert metadata["module"] == "Sequential(Linear(18, 7), GELU(), Linear(7, 5), GELU(), Linear(5, 3))"
    assert metadata["inputs"].startswith("rows of 2 * 3 * 3 values in the order (height, width, channel): pixels")
    assert metadata["outputs"].startswith("logits: torch.softmax(")
    assert json.loads(metadata["classes"]) == ["a", "b", "c"] and metadata["format"] == "pt"


def test_rows_of_floats_are_folded_without_the_scale_of_pixels():
    model = drawn(preprocessing=STANDARDISED, shape=(18,))
    rows = np.float32(PIXELS) / 100
    state = to_torch(model, fold_preprocessing=True)
    first = state["0.weight"] @ rows.T + state["0.bias"][:, None]
    W, b = model.parameters["W1"], model.parameters["b1"]
    np.testing.assert_allclose(first, W @ model.preprocessing.columns(rows) + b, atol=1e-4)


def test_an_npz_is_read_by_numpy_and_comes_back(tmp_path):
    model = drawn("tanh", preprocessing=STANDARDISED)._replace(trained_on=(TrainingData("a", None, 1),))
    save_npz(tmp_path / "a.npz", model)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as npz:
        assert npz["layer_dims"].tolist() == [18, 7, 5, 3] and npz["classes"].tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(npz["W2"], model.parameters["W2"])
        assert str(npz["hidden"]) == "tanh" and npz["input_mean"].shape == (18, 1)
    again = load_torch(tmp_path / "a.npz")
    assert again._replace(parameters=None, preprocessing=None) == model._replace(parameters=None, preprocessing=None)
    np.testing.assert_array_equal(outputs_of(again), outputs_of(model))


def test_bfloat16_is_written_as_float32(tmp_path):
    model = drawn()
    coarse = model._replace(parameters={name: value.astype("bfloat16") for name, value in model.parameters.items()})
    assert {array.dtype for array in to_torch(coarse).values()} == {np.dtype("float32")}
    save_npz(tmp_path / "a.npz", coarse)
    with np.load(tmp_path / "a.npz") as npz:
        np.testing.assert_array_equal(npz["W1"], np.float32(coarse.parameters["W1"]))


W = {l: np.arange(n * m, dtype=np.float32).reshape(n, m) / 9 for l, n, m in ((1, 3, 4), (2, 3, 3), (3, 1, 3))}
b = np.arange(3, dtype=np.float32)
GOOD = {"0.weight": W[1], "0.bias": b, "2.weight": W[3], "2.bias": b[:1]}


def written(path, arrays, metadata=None):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file(arrays, path, metadata)
    return path


@pytest.mark.parametrize(
    "arrays, layers",
    [
        (GOOD, None),
        ({"W1": W[1], "b1": b[:, None], "W2": W[3], "b2": b[:1, None]}, None),
        ({f"{name}.weight": W[l] for l, name in enumerate(("fc1", "fc2", "fc10"), start=1)}, None),
        ({"_orig_mod.module.net.9.weight": W[1], "_orig_mod.module.net.11.weight": W[3]}, None),
        ({"weight": W[1], "bias": b}, None),
        ({"a.weight": W[3], "z.weight": W[1]}, ("z", "a")),
        ({"W1": W[1].astype(np.float16)}, None),
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_weights_are_found_by_whatever_names(suffix, arrays, layers, tmp_path):
    model = load_torch(written(tmp_path / f"a{suffix}", arrays), layers=layers)
    np.testing.assert_allclose(model.parameters["W1"], W[1], rtol=1e-3)
    assert all(value.dtype == np.float32 for value in model.parameters.values())
    outputs = model.parameters[f"b{len(model.parameters) // 2}"].shape[0]
    assert model.network == Network("relu", "binary_cross_entropy" if outputs == 1 else "softmax_cross_entropy")
    assert model.classes == ("0", "1", "2")[: max(2, outputs)] and model.input_shape == (4,)


def test_what_is_given_goes_before_what_the_file_says(tmp_path):
    save_torch(tmp_path / "a.safetensors", drawn("gelu", preprocessing=STANDARDISED))
    model = load_torch(
        tmp_path / "a.safetensors",
        hidden="silu",
        classes="xyz",
        preprocessing=Preprocessing(1.0),
        loss="squared_error",
    )
    assert model.network == Network("silu", "squared_error") and model.classes == ("x", "y", "z")
    assert model.preprocessing == Preprocessing(1.0) and model.input_shape == SHAPE


SAID = {"jaxnet_version": "0.1"}


@pytest.mark.parametrize(
    "arrays, metadata, options, message",
    [
        ({"x": b}, None, {}, "'x' is not a weight or bias of a linear layer; expected pairs such as 0.weight"),
        ({"conv.weight": np.ones((2, 1, 3, 3), np.float32)}, None, {}, "'conv' has no matrix as weight"),
        (GOOD | {"1.running_mean": b}, None, {}, "'1.running_mean' is not a weight"),
        (GOOD | {"1.weight": b, "1.bias": b}, None, {}, "the layer '1' has no matrix as weight"),
        (GOOD | {"1.bias": b}, None, {}, "the layer '1' has no matrix as weight"),
        (GOOD | {"0.bias": b[:2]}, None, {}, "the layer '0' has no matrix as weight, or no bias that fits it"),
        (GOOD | {"2.weight": W[1]}, None, {}, "the layer '2' has no matrix"),
        (
            {"a.weight": W[3], "z.weight": W[1]},
            None,
            {},
            "do not fit in the order a, z: the weight of 'z' has shape (3, 4)",
        ),
        ({"0.weight": np.int8(W[1])}, None, {}, "W1 is int"),
        ({"0.weight": W[1] * np.float32("nan")}, None, {}, "W1 is float32 or has entries that are not finite"),
        ({"0.weight": W[1][:0]}, None, {}, "the layer '0' has no matrix"),
        ({}, None, {}, "the layers named are none; expected pairs"),
        (GOOD, None, {"layers": ("0", "1")}, "the layers named are 0, 1; expected pairs such as 0.weight (n_1, n_0)"),
        (GOOD, None, {"hidden": "mish"}, "activation is 'mish'; expected an `Activation` or one of relu"),
        (GOOD, None, {"loss": "hinge"}, "loss is 'hinge'"),
        (GOOD, None, {"classes": ("a", "b", "c")}, "classes says ['a', 'b', 'c']; expected 2 printable names"),
        (GOOD, None, {"input_shape": (2, 3)}, "input_shape says [2, 3]; expected (n_x,), (height, width)"),
        (GOOD, None, {"channels_first": True}, "channels_first is about images, but the inputs are rows of 4"),
        (GOOD, None, {"preprocessing": Preprocessing(1.0, b[:, None], b[:, None])}, "input_mean has shape (3, 1)"),
        (GOOD, {"jaxnet_format": "1"}, {}, "is a model of jaxnet already"),
        (GOOD, SAID | {"hidden": "relu"}, {}, "the metadata cannot be read"),
        (GOOD, SAID | {"hidden": "[1]"}, {}, "hidden and loss are not names"),
        (GOOD, SAID | {"input_shape": "4"}, {}, "input_shape says 4"),
        (GOOD, SAID | {"channels_first": '"false"'}, {}, "channels_first says 'false'; expected true or false"),
        (GOOD, SAID | {"classes": '["a", "a"]'}, {}, "expected 2 printable names, all different"),
        (GOOD, SAID | {"scale": "NaN"}, {}, "scale says nan"),
        (GOOD, SAID | {"classes": "[" * 9999}, {}, "the metadata cannot be read"),
        (GOOD, SAID | {"input_mean": "[[1], 2]", "input_std": "1"}, {}, "its input_mean or input_std is not a list"),
        (GOOD, SAID | {"input_mean": "[1, 1, 1, 1]"}, {}, "there is only one of input_mean and input_std"),
        (GOOD, SAID | {"input_mean": "[1]", "input_std": "[1]"}, {}, "input_mean has shape (1, 1)"),
    ],
)
def test_what_is_no_dense_network_is_told(arrays, metadata, options, message, tmp_path, no_shape_checks):
    path = written(tmp_path / "a.safetensors", arrays, metadata)
    with pytest.raises(InputError) as told:
        load_torch(path, **options)
    assert message in str(told.value) and "a.safetensors" in str(told.value)


def npy(path):
    with path.open("wb") as file:
        np.save(file, b)


def objects(path):
    np.savez(path, W1=np.array([{}, []], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    "name, write, message",
    [
        ("a.pt", lambda path: path.write_bytes(b"PK"), "is a pickle by its name, which may run any code"),
        ("A.PTH", lambda path: path.write_bytes(b"PK"), "safetensors.torch.save_file(module.state_dict()"),
        ("none.safetensors", lambda path: None, "is not a file; expected a .safetensors file of a state dict"),
        ("a.safetensors", lambda path: path.write_bytes(b"PK"), "cannot be read as a safetensors file"),
        ("a.safetensors", lambda path: path.write_bytes(b"\xff" * 64), "cannot be read as a safetensors file"),
        ("a.npz", lambda path: path.write_bytes(b"PK"), "cannot be read as an .npz file"),
        ("none.npz", lambda path: None, "cannot be read as an .npz file"),
        ("a.npz", objects, "W1 is object, not a plain array of numbers or of text"),
        ("a.npz", npy, "holds one array, as an .npy file does"),
    ],
)
def test_files_of_another_kind_are_told(name, write, message, tmp_path):
    write(tmp_path / name)
    with pytest.raises(InputError) as told:
        load_torch(tmp_path / name)
    assert message in str(told.value)


@pytest.mark.parametrize(
    "write, message",
    [
        (lambda folder: save_torch(folder / "a.pt", drawn()), "expected one that ends in .safetensors"),
        (lambda folder: save_npz(folder / "a.safetensors", drawn()), "expected one that ends in .npz"),
        (lambda folder: save_npz(folder / "none" / "a.npz", drawn()), "cannot be written"),
        (lambda folder: save_npz(folder / "a.npz", drawn(shape=(5, 5))), "input_shape says"),
        (
            lambda folder: save_torch(folder / "a.safetensors", drawn(shape=(18,)), channels_first=True),
            "channels_first is about images",
        ),
        (
            lambda folder: to_torch(
                drawn(preprocessing=Preprocessing(1e38, MEAN, STD * np.float32(1e-30))), fold_preprocessing=True
            ),
            "they would overflow",
        ),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(write, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_was_imported_is_a_model_like_any_other(tmp_path):
    path = written(tmp_path / "a.safetensors", GOOD)
    save_model(tmp_path / "b.safetensors", load_torch(path, input_shape=(2, 2), classes=("no", "yes")))
    assert load_model(tmp_path / "b.safetensors").classes == ("no", "yes")
