"""The network that is inspected, and the inputs it is given."""

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InputError
from ..text import printable
from .images import find_images


if TYPE_CHECKING:
    import numpy as np

    from ..data import Table
    from ..diagnosis import Setup, Symptom
    from ..model import Model
    from ..network import Network
    from ..types import Parameters, PRNGKeyArray


ARRAYS = (".h5", ".hdf5", ".npz")


class Subject(NamedTuple):
    """The network to inspect, with its parameters."""

    name: str
    activation: str
    network: "Network"
    parameters: "Parameters"
    model: "Model | None" = None  # a saved one
    setup: "Setup | None" = None  # how it was made, as far as that is known
    symptoms: "tuple[Symptom, ...]" = ()  # of its training


class Inputs(NamedTuple):
    """X, Y, and where they come from."""

    X: Any
    Y: Any
    description: str
    labelled: bool = False  # where Y was not drawn


def inputs_for(options: argparse.Namespace, subject: Subject, data: str | None) -> Inputs:
    """Examples of DATA, or drawn ones: at most --examples. Raises `InputError` for DATA that do not fit the network."""
    import jax

    from ..data import TABLES, is_idx
    from ..parameters import layer_dims

    dims, key = layer_dims(subject.parameters), jax.random.fold_in(jax.random.key(options.seed), 1)
    if data is None:
        if subject.model is not None and len(subject.model.input_shape) > 1:
            return _drawn_pixels(subject, dims, options.examples, key)
        X, Y = drawn_examples(dims[0], dims[-1], options.examples, subject.network, key)
        return Inputs(X, Y, f"{options.examples} random examples, standard normal; random labels")
    table = None if subject.model is None else subject.model.table
    if subject.model is not None and table is not None and data.lower().endswith(TABLES):
        return _of_table(data, subject.model, table, options.examples)
    if data.lower().endswith(ARRAYS) or (os.path.isdir(data) and is_idx(Path(data))):
        return _labelled(data, subject, dims, options)
    return _images(data, subject, dims, options.examples, key)


def drawn_examples(n_x: int, n_L: int, m: int, network: "Network", key: "PRNGKeyArray") -> tuple[Any, Any]:
    """Standard normal X, and labels drawn with equal probabilities."""
    import jax
    import jax.numpy as jnp

    from ..losses import loss_function

    X_key, Y_key = jax.random.split(key)
    return jax.random.normal(X_key, (n_x, m)), loss_function(network.loss, "sample")(jnp.zeros((n_L, m)), Y_key)


def _drawn_pixels(subject: Subject, dims: tuple[int, ...], m: int, key: "PRNGKeyArray") -> Inputs:
    import jax
    import numpy as np

    rows = np.asarray(jax.random.randint(key, (m, _pixels(subject, dims)), 0, 256, "uint8"))
    _, Y = drawn_examples(1, dims[-1], m, subject.network, key)
    description = f"{m} images of random pixels, scaled as in training; random labels; name DATA for real ones"
    return Inputs(_columns(rows, subject), Y, description)


def _pixels(subject: Subject, dims: tuple[int, ...]) -> int:
    """How many numbers an example has, before features are made of it."""
    return dims[0] if subject.model is None else math.prod(subject.model.input_shape)


def _columns(rows: "np.ndarray", subject: Subject) -> Any:
    from ..data import Preprocessing

    preprocessing = Preprocessing() if subject.model is None else subject.model.preprocessing
    return preprocessing.columns(rows, str(subject.parameters["W1"].dtype))


def _labelled(data: str, subject: Subject, dims: tuple[int, ...], options: argparse.Namespace) -> Inputs:
    import numpy as np

    from ..data import load_dataset, targets

    is_regression = subject.model is not None and not subject.model.classes
    regression = True if is_regression else None
    dataset = load_dataset(Path(data), test_fraction=0.25, seed=options.seed, regression=regression)
    n_x, outputs = math.prod(dataset.input_shape), len(targets(dataset.train.labels[:1], dataset.classes))
    kinds = f"{len(dataset.classes)} classes" if dataset.classes else "regression targets as labels"
    taken = _pixels(subject, dims)
    if n_x != taken:
        raise InputError(
            f"the examples of {data} are {n_x} numbers each, but the network takes {taken}; expected DATA of its "
            f"shape, or --layers {n_x} ..."
        )
    if outputs != dims[-1]:
        raise InputError(f"{data} has {kinds}, but the network {dims[-1]} outputs; expected {outputs} of them")
    m = len(dataset.train.labels)
    some = dataset.train.take(np.linspace(0, m - 1, min(m, options.examples)).astype(int))
    description = f"{len(some.labels)} of the {m} training examples of {dataset.description}"
    return Inputs(_columns(some.rows[:], subject), targets(some.labels, dataset.classes), description, labelled=True)


def _of_table(data: str, model: "Model", table: "Table", most: int) -> Inputs:
    import numpy as np

    from ..data import labelled_rows, targets

    examples = labelled_rows(Path(data), table, model.classes)
    m = len(examples.labels)
    some = examples.take(np.linspace(0, m - 1, min(m, most)).astype(int))
    X = model.preprocessing.columns(some.rows[:], str(model.parameters["W1"].dtype))
    description = f"{len(some.labels)} of the {m} rows of {printable(data)}"
    return Inputs(X, targets(some.labels, model.classes), description, labelled=True)


def in_standard_units(subject: Subject, inputs: Inputs) -> tuple[Subject, Inputs]:
    """A regression whose outputs have mean 0 and standard deviation 1 over the inputs: sizes then have no units."""
    import numpy as np

    from ..network import L_model_forward
    from ..runs import TargetScale

    outputs = np.asarray(L_model_forward(inputs.X, subject.parameters, subject.network)[0], float)
    spread = outputs.std(axis=1)
    scale = TargetScale(outputs.mean(axis=1), np.where(spread > 0, spread, 1.0))
    Y = np.float32(scale.standardise_labels(inputs.Y.T).T) if inputs.labelled else inputs.Y
    description = f"{inputs.description}; outputs standardised over them"
    return subject._replace(parameters=scale.standardise(subject.parameters)), Inputs(inputs.X, Y, description)


def _images(data: str, subject: Subject, dims: tuple[int, ...], m: int, key: "PRNGKeyArray") -> Inputs:
    import numpy as np

    from ..data import decode_images

    shape = _image_shape(dims[0]) if subject.model is None else subject.model.input_shape
    if len(shape) == 1:
        raise InputError(
            f"the network takes {dims[0]} numbers, which do not make a square image, so {printable(data)} cannot be "
            "shown to it; expected an .npz file of X and Y"
        )
    paths, _ = find_images([data])
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(m, len(paths))).astype(int))]
    decoded = decode_images(chosen, shape, subject.model is not None and subject.model.exact_decoding)
    rows = [image.pixels for image in decoded if image.pixels is not None]
    if not rows:
        reason = f"{chosen[0]} cannot be read as an image: {decoded[0].problem}" if chosen else f"no image is in {data}"
        raise InputError(printable(reason))
    _, Y = drawn_examples(1, dims[-1], len(rows), subject.network, key)
    left_out = f", {len(chosen) - len(rows)} of them left out" if len(rows) < len(chosen) else ""
    description = f"{len(rows)} of the {len(paths)} images in {printable(data)}{left_out}; random labels"
    return Inputs(_columns(np.stack(rows).reshape(len(rows), -1), subject), Y, description)


def _image_shape(n_x: int) -> tuple[int, ...]:
    """(64, 64, 3) for 12288, (28, 28) for 784, and (n_x,) for numbers that do not make a square image."""
    side = math.isqrt(n_x // 3)
    if 3 * side * side == n_x:
        return (side, side, 3)
    side = math.isqrt(n_x)
    return (side, side) if side * side == n_x else (n_x,)
