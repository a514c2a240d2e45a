"""The average of several networks, which is a network too."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..parameters import FrozenDict, layer_dims
from .description import described
from .model import Model


def average(models: Sequence[Model]) -> Model:
    """Z_L = (Z_L^1 + ... + Z_L^K) / K: one network, whose hidden layers are those of the K models, side by side.

    W_1 and the biases are stacked, W_2 ... W_{L-1} stand as blocks on a diagonal, and W_L = [W_L^1 ... W_L^K] / K. So
    the result is saved, called and exported as any model, with K times the hidden units. Of a sigmoid or a softmax, its
    probabilities are the normalised geometric mean of those of the models (Hinton 2002); under squared error its
    outputs are the mean. Several networks that differ in their seed err in different places, so that the average errs
    less.

    Where inputs were standardised over different examples, the first layers are changed to take those of the first
    model. Raises `InputError` for models whose activation, loss, number of layers, inputs or classes differ.

    Example:
        >>> models = [
        ...     jaxnet.Model(
        ...         jaxnet.initialize_parameters_deep((4, 3, 1), key=jax.random.key(seed)),
        ...         jaxnet.Network(), (2, 2), ("cat", "dog")
        ...     )
        ...     for seed in range(5)
        ... ]
        >>> jaxnet.layer_dims(jaxnet.average(models).parameters)
        (4, 15, 1)
    """
    if isinstance(models, Model) or not isinstance(models, Sequence) or not models:
        raise InputError(f"models is {models!r:.60}; expected a list of at least one Model")
    strange = [model for model in models if not isinstance(model, Model)]
    if strange:
        raise InputError(f"models has {strange[0]!r:.60}; expected only values of Model, as jaxnet.load_model returns")
    for k, model in enumerate(models[1:], start=2):
        _check_alike(models[0], model, k)
    dtype = jnp.result_type(*(value.dtype for model in models for value in model.parameters.values()))
    # In float64, so that nothing overflows and rounding is once.
    of_all = [_for_inputs_of(models[0], model) for model in models]
    together = _side_by_side(of_all, len(layer_dims(models[0].parameters)) - 1)
    return models[0]._replace(
        parameters=FrozenDict({name: jax.device_put(value.astype(dtype)) for name, value in together.items()}),
        trained_on=tuple(dict.fromkeys(data for model in models for data in model.trained_on)),
    )


def _for_inputs_of(first: Model, model: Model) -> dict[str, np.ndarray]:
    """The parameters of the same network for inputs standardised as those of `first` are, in float64.

    x_k = (std_1 / std_k) x_1 + (mean_1 - mean_k) / std_k, which goes into W_1 and b_1.
    """
    parameters = {name: np.asarray(value, np.float64) for name, value in model.parameters.items()}
    (mean_1, std_1), (mean, std) = _statistics(first), _statistics(model)
    W1 = parameters["W1"]
    return parameters | {"W1": W1 * (std_1 / std).T, "b1": parameters["b1"] + W1 @ ((mean_1 - mean) / std)}


def _statistics(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation of every input, `(n_x, 1)`."""
    n_x = model.parameters["W1"].shape[1]
    mean, std = model.preprocessing.mean, model.preprocessing.std
    if mean is None or std is None:
        return np.zeros((n_x, 1)), np.ones((n_x, 1))
    return np.asarray(mean, np.float64), np.asarray(std, np.float64)


def _side_by_side(of_all: Sequence[Mapping[str, np.ndarray]], L: int) -> dict[str, np.ndarray]:
    import scipy.linalg

    together = {}
    for l in range(1, L + 1):
        W, b = ([parameters[f"{letter}{l}"] for parameters in of_all] for letter in "Wb")
        if l < L:
            together |= {f"W{l}": np.concatenate(W) if l == 1 else scipy.linalg.block_diag(*W)}
            together |= {f"b{l}": np.concatenate(b)}
        else:
            together |= {f"W{l}": np.mean(W, axis=0) if l == 1 else np.concatenate(W, axis=1) / len(W)}
            together |= {f"b{l}": np.mean(b, axis=0)}
    return together


def _check_alike(first: Model, other: Model, k: int) -> None:
    """Raises `InputError`, naming what differs, unless the models take and return the same."""
    (settings, _), (its_settings, _) = described(first), described(other)

    def compare(name: str, one: Any, another: Any) -> None:
        if one != another:
            raise InputError(f"model 1 has {name} {one!s:.99}, and model {k} {another!s:.99}; expected the same")

    for name in ("hidden", "loss", "input_shape", "classes", "scale", "features", "table", "exact_decoding"):
        compare(name, settings.get(name), its_settings.get(name))
    compare("the number of layers", len(settings["layer_dims"]) - 1, len(its_settings["layer_dims"]) - 1)
