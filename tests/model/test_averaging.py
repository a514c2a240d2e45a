"""The average of networks is the network whose outputs are the average."""

import jax
import numpy as np
import pytest

from jaxnet import (
    L_model_forward,
    Model,
    Network,
    average,
    initialize_parameters_deep,
    layer_dims,
    load_model,
    save_model,
)
from jaxnet.data import Column, Preprocessing, Table
from jaxnet.errors import InputError


def drawn(dims=(4, 3, 1), seed=0, network=None, shape=(2, 2), preprocessing=None, dtype="float32", classes=None):
    parameters = initialize_parameters_deep(dims, key=jax.random.key(seed), init="he", dtype=dtype)
    parameters |= {name: value + seed + 1 for name, value in parameters.items() if name.startswith("b")}
    classes = classes or tuple("abcdef"[: max(2, dims[-1])])
    return Model(parameters, network or Network(), shape, classes, preprocessing or Preprocessing())


def of_table(label):
    columns = tuple(Column(name) for name in "abcd")
    return drawn(network=Network("relu", "squared_error"), shape=(4,))._replace(
        classes=(), table=Table(columns, (label,))
    )


def logits(model, X):
    return np.asarray(L_model_forward(X, model.parameters, model.network)[1][-1].Z)


@pytest.mark.parametrize(
    "widths, outputs, loss",
    [
        ([()] * 3, 1, "binary_cross_entropy"),
        ([(3,), (2,), (5,)], 3, "softmax_cross_entropy"),
        ([(3, 4, 2), (5, 1, 3)], 2, "squared_error"),
        ([(3, 2)], 1, "binary_cross_entropy"),
    ],
    ids=["linear", "one hidden layer", "three", "one model"],
)
@pytest.mark.few(1)
def test_the_outputs_are_the_mean(x64, widths, outputs, loss):
    network = Network("gelu", loss)
    models = [drawn((4, *units, outputs), k, network, dtype="float64") for k, units in enumerate(widths)]
    X = np.random.default_rng(0).normal(size=(4, 7))
    together = average(models)
    assert layer_dims(together.parameters)[1:-1] == tuple(map(sum, zip(*widths, strict=True)))
    np.testing.assert_allclose(logits(together, X), np.mean([logits(m, X) for m in models], axis=0), rtol=1e-12)
    assert together._replace(parameters=None) == models[0]._replace(parameters=None)


def test_it_is_saved_as_any_model(tmp_path):
    together = average([drawn(seed=k) for k in range(3)])
    save_model(tmp_path / "m.safetensors", together)
    loaded = load_model(tmp_path / "m.safetensors")
    assert layer_dims(loaded.parameters) == (4, 9, 1)
    for name, value in together.parameters.items():
        np.testing.assert_array_equal(loaded.parameters[name], value)
        assert value.dtype == np.float32


@pytest.mark.parametrize("plain", [None, 0, 1])
def test_inputs_may_be_standardised_over_different_examples(x64, plain):
    """As runs are whose seeds hold out other rows: the answers are the mean for the same rows."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(7, 4))
    fitted = [generator.uniform(1, 3, (2, 4, 1)).astype("float32") for _ in range(3)]
    kinds = [Preprocessing() if k == plain else Preprocessing(1 / 255, *fitted[k]) for k in range(3)]
    models = [drawn((4, 3, 1), k, shape=(4,), preprocessing=kind, dtype="float64") for k, kind in enumerate(kinds)]
    together = average(models)
    answers = [logits(model, model.preprocessing.columns(rows, "float64")) for model in [together, *models]]
    np.testing.assert_allclose(answers[0], np.mean(answers[1:], axis=0), rtol=1e-6)


def test_probabilities_are_the_geometric_mean():
    models, X = [drawn(seed=k) for k in range(2)], np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    p, q, both = (np.asarray(L_model_forward(X, m.parameters, m.network)[0]) for m in (*models, average(models)))
    right, wrong = np.sqrt(p * q), np.sqrt((1 - p) * (1 - q))
    np.testing.assert_allclose(both, right / (right + wrong), rtol=1e-4)


@pytest.mark.parametrize(
    "models, message",
    [
        ([], "models is .*; expected a list of at least one Model"),
        (3, "models is 3; expected a list"),
        (drawn(), "expected a list of at least one Model"),
        ([drawn(), "runs/cats"], "models has 'runs/cats'; expected only values of Model"),
        ([drawn(), drawn(network=Network("tanh"))], "model 1 has hidden relu, and model 2 tanh; expected the same"),
        (
            [drawn(), drawn(network=Network("relu", "squared_error"))],
            "model 1 has loss binary_cross_entropy, and model",
        ),
        ([drawn(), drawn((4, 3, 3, 1))], "model 1 has the number of layers 2, and model 2 3; expected the same"),
        ([drawn(), drawn(), drawn(shape=(4,))], r"model 1 has input_shape \[2, 2\], and model 3 \[4\]"),
        ([drawn(), drawn(classes=("b", "a"))], "model 1 has classes .'a', 'b'., and model 2 .'b', 'a'."),
        ([drawn(), drawn(preprocessing=Preprocessing(0.5))], "model 1 has scale .*, and model 2 0.5"),
        ([drawn(), drawn()._replace(exact_decoding=True)], "model 1 has exact_decoding None, and model 2 True"),
        ([of_table("price"), of_table("rent")], "model 1 has table .*price.*, and model 2 .*rent"),
    ],
)
def test_models_of_different_kinds_are_refused(models, message, no_shape_checks):
    with pytest.raises(InputError, match=message):
        average(models)
