"""jaxnet predict"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .options import DONE


if TYPE_CHECKING:
    from ..model import Model


def add(commands: Any) -> None:
    """What `jaxnet predict` takes."""
    parser = commands.add_parser(
        "predict",
        help="classify picture files with a trained model",
        description="Prints the most probable class of each picture and its probability. Pictures of any size and "
        "mode are resized and scaled as in training.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE", help="JPEG, PNG, ... files")


def _check_probabilities(path: Path, model: "Model") -> None:
    from ..losses import softmax_cross_entropy, squared_error
    from ..parameters import layer_dims

    if model.network.loss is squared_error:
        raise InputError(f"{path} was trained on squared_error, so its outputs are no probabilities of classes")
    if model.network.loss is softmax_cross_entropy and layer_dims(model.parameters)[-1] == 1:
        raise InputError(f"{path} has a softmax of one output, which is always 1 and tells no class from another")


def run(options: argparse.Namespace) -> int:
    """Prints the most probable class of every picture."""
    import numpy as np

    from .. import runs
    from ..data import read_picture
    from ..model import load_model

    model = load_model(options.model)
    if len(model.input_shape) == 1:
        raise InputError(f"{options.model} was trained on columns of {model.input_shape[0]} numbers, not on pictures")
    _check_probabilities(options.model, model)
    X = np.stack([read_picture(path, model.input_shape, model.scale) for path in options.pictures], axis=1)
    probabilities = runs.class_probabilities(X, model.parameters, model.network)
    width = max(len(str(path)) for path in options.pictures)
    for path, column in zip(options.pictures, probabilities.T, strict=True):
        best = int(np.argmax(column))
        print(f"{path!s:{width}}  {model.classes[best]}  {column[best]:.4f}")
    return DONE
