"""ONNX files: onnxruntime gives the probabilities of the model, and the metadata say how."""

import json
import sys

import jax
import numpy as np
import pytest

from jaxnet import InputError, Network, save_model
from jaxnet.activations import ACTIVATIONS, STRAIGHT_THROUGH
from jaxnet.cli import main
from jaxnet.data.preprocessing import Preprocessing
from jaxnet.model import about_onnx, save_onnx
from jaxnet.model.to_onnx import ACTIVATION_NODES

from .test_exchange import MEAN, PIXELS, PLAIN, SHAPE, STANDARDISED, STD, drawn, outputs_of
from .test_file import drawn_model


pytest.importorskip("onnx", reason="onnx is not installed")


def opened(path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def answers(session, rows, name="probabilities"):
    return session.run([name], {"inputs": np.ascontiguousarray(rows, np.float32)})[0]


def test_every_activation_has_its_nodes():
    assert set(ACTIVATION_NODES) == set(ACTIVATIONS | STRAIGHT_THROUGH)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATION_NODES)
@pytest.mark.few(8)
def test_onnxruntime_gives_the_probabilities(activation, outputs, tmp_path):
    model = drawn(activation, outputs)
    save_onnx(tmp_path / "a.onnx", model)
    session = opened(tmp_path / "a.onnx")
    rows, expected = model.preprocessing.columns(PIXELS).T, model.probabilities(PIXELS).T
    for some in (slice(None), slice(1), slice(1, 4)):  # of any batch
        np.testing.assert_allclose(answers(session, rows[some]), expected[some], atol=1e-6, rtol=0)
    logits = answers(session, rows, "logits")
    assert logits.shape == (5, outputs)
    if outputs == 1:
        np.testing.assert_allclose(1 / (1 + np.exp(-logits[:, 0])), expected[:, 1], atol=1e-6)


def test_a_regression_has_outputs(tmp_path):
    model = drawn("tanh", 3)
    model = model._replace(network=Network("tanh", "squared_error"))
    save_onnx(tmp_path / "a.onnx", model)
    session = opened(tmp_path / "a.onnx")
    assert [output.name for output in session.get_outputs()] == ["outputs"]
    rows = model.preprocessing.columns(PIXELS).T
    np.testing.assert_allclose(answers(session, rows, "outputs"), outputs_of(model).T, atol=1e-6, rtol=1e-6)


def test_sign_is_one_at_zero(tmp_path):
    model = drawn("sign", 3)
    zeros = jax.tree.map(np.zeros_like, model.parameters)
    model = model._replace(parameters=zeros | {"W3": np.float32(np.arange(15).reshape(3, 5))})
    save_onnx(tmp_path / "a.onnx", model)
    np.testing.assert_allclose(answers(opened(tmp_path / "a.onnx"), PIXELS), model.probabilities(PIXELS).T, atol=1e-6)


def test_several_sigmoids_stay_several(tmp_path):
    model = drawn("relu", 3)._replace(network=Network("relu", "binary_cross_entropy"))
    save_onnx(tmp_path / "a.onnx", model)
    rows = model.preprocessing.columns(PIXELS).T
    np.testing.assert_allclose(answers(opened(tmp_path / "a.onnx"), rows), model.probabilities(PIXELS).T, atol=1e-6)


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize(
    "preprocessing", [PLAIN, Preprocessing(0.01), STANDARDISED], ids=["plain", "other", "standardised"]
)
def test_with_the_preprocessing_folded_in_it_takes_pixels(preprocessing, channels_first, tmp_path):
    model, choices = drawn(preprocessing=preprocessing), {"channels_first": channels_first}
    images = PIXELS.reshape(-1, *SHAPE)
    rows = (images.transpose(0, 3, 1, 2) if channels_first else images).reshape(len(PIXELS), -1)
    save_onnx(tmp_path / "a.onnx", model, fold_preprocessing=True, **choices)
    session = opened(tmp_path / "a.onnx")
    np.testing.assert_allclose(answers(session, rows), model.probabilities(PIXELS).T, atol=1e-5, rtol=0)
    assert session.get_modelmeta().custom_metadata_map["inputs"].endswith("pixels from 0 to 255")


def test_the_metadata_say_what_is_left_to_do(tmp_path):
    save_onnx(tmp_path / "a.onnx", drawn(preprocessing=STANDARDISED)._replace(exact_decoding=True), channels_first=True)
    session = opened(tmp_path / "a.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["inputs"].startswith(
        "inputs, (batch, n_x) of float32: rows of 2 * 3 * 3 values in the order (channel"
    )
    assert f"times {1 / 255}, minus input_mean, divided by input_std" in metadata["inputs"]
    assert metadata["outputs"].startswith("probabilities, (batch, classes) in the order of the classes; logits")
    assert "RGB, resized to height and width by Pillow's BICUBIC; JPEG files decoded in full" in metadata["images"]
    said = {name: json.loads(metadata[name]) for name in ("classes", "scale", "input_shape", "exact_decoding")}
    assert said == {"classes": ["a", "b", "c"], "scale": 1 / 255, "input_shape": [2, 3, 3], "exact_decoding": True}
    # By the metadata alone, from pixels to probabilities.
    model, order = drawn(preprocessing=STANDARDISED), np.arange(18).reshape(SHAPE).transpose(2, 0, 1).ravel()
    mean, std = (np.float32(json.loads(metadata[name])) for name in ("input_mean", "input_std"))
    np.testing.assert_array_equal(mean, MEAN[order, 0]), np.testing.assert_array_equal(std, STD[order, 0])
    rows = (PIXELS[:, order] * np.float32(said["scale"]) - mean) / std
    np.testing.assert_allclose(answers(session, rows), model.probabilities(PIXELS).T, atol=1e-6, rtol=0)


def test_float64_becomes_float32(tmp_path, x64):
    model = drawn()
    model = model._replace(parameters=jax.tree.map(lambda array: array.astype("float64"), model.parameters))
    save_onnx(tmp_path / "a.onnx", model)
    rows = model.preprocessing.columns(PIXELS).T
    np.testing.assert_allclose(answers(opened(tmp_path / "a.onnx"), rows), model.probabilities(PIXELS).T, atol=1e-6)
    large = model._replace(parameters=model.parameters | {"W2": model.parameters["W2"] * 1e300})
    with pytest.raises(InputError, match=r"2.weight has entries that float32 cannot hold"):
        save_onnx(tmp_path / "b.onnx", large)


def test_equal_models_are_equal_bytes(tmp_path):
    for name in "ab":
        save_onnx(tmp_path / f"{name}.onnx", drawn())
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize(
    "name, changes, choices, message",
    [
        ("a.onx", {}, {}, "a.onx would be a file of another kind by its name; expected one that ends in .onnx"),
        ("none/a.onnx", {}, {}, "cannot be written"),
        ("a.onnx", {"input_shape": (18,)}, {"channels_first": True}, "channels_first is about images"),
        ("a.onnx", {"input_shape": (5, 5)}, {}, "input_shape says"),
    ],
)
def test_what_cannot_be_written_is_refused(name, changes, choices, message, tmp_path):
    with pytest.raises(InputError, match=message):
        save_onnx(tmp_path / name, drawn()._replace(**changes), **choices)
    assert not list(tmp_path.iterdir())


def test_the_command_says_how_to_use_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = drawn_model(classes=("a", "b", "c"))
    save_model("m.safetensors", model)
    assert main(["export", "m.safetensors", "--to", "onnx", "--fold", "--out", "m.onnx"]) == 0
    about = about_onnx(model, fold_preprocessing=True)
    assert capsys.readouterr().out.splitlines() == [
        "saved    m.onnx",
        "session  onnxruntime.InferenceSession('m.onnx').run(None, {'inputs': rows})",
        f"inputs   {about['inputs']}",
        f"outputs  {about['outputs']}",
    ]
    rows = np.arange(24, dtype=np.uint8).reshape(2, 12)
    np.testing.assert_allclose(answers(opened("m.onnx"), rows), model.probabilities(rows).T, atol=1e-6)


def test_without_onnx_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    save_model("m.safetensors", drawn_model(classes=("a", "b", "c")))
    assert main(["export", "m.safetensors", "--to", "onnx", "--out", "m.onnx"]) == 2
    assert capsys.readouterr().err == "jaxnet: error: writing ONNX files needs onnx: pip install 'jaxnet[onnx]'\n"
    assert not (tmp_path / "m.onnx").exists()
