"""A trained network with what its inputs and outputs mean, which can be called."""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from ..data import Preprocessing, Table, decode_images, image_name, named_images, output_names, row_blocks
from ..errors import InputError
from ..losses import softmax_cross_entropy, squared_error
from ..network import Network
from ..parameters import layer_dims
from ..text import printable
from ..types import Parameters
from .calling import are_arrays, input_rows
from .prediction import MOST_VALUES, Estimate, Failure, Prediction, answer_of, class_probabilities


IMAGES = 256  # decoded at a time
SHOWN = 10  # names of classes in a repr
Answer: TypeAlias = Prediction | Estimate


class TrainingData(NamedTuple):
    """The data that a model was trained on, so that it can be evaluated on what was held out of them.

    Args:
        fingerprint: Of the data set, divided as it was.
        test_fraction: What was held out of it, where it has no test part of its own.
        seed: What the division was drawn from.
    """

    fingerprint: str
    test_fraction: float | None
    seed: int


class Model(NamedTuple):
    """Parameters, the functions they belong to, and what their inputs and outputs mean; `model(images)` uses it.

    Args:
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers.
        input_shape: Of one example: `(height, width)`, `(height, width, 3)` or `(n_x,)`.
        classes: The names of the classes; none for a regression, whose loss is squared_error.
        preprocessing: What is done to an image's pixels, or to a row of floats, before layer 1. Default: pixels / 255.
        exact_decoding: Whether JPEG files are decoded in full, see `read_image`. Default: False.
        table: What the inputs and the labels are called, of a model trained on a table. Default: None.
        trained_on: The data of the run that made it, several of an average of models. Default: none known.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((4, 1), key=jax.random.key(0))
        >>> model = jaxnet.Model(parameters, jaxnet.Network(), (2, 2), ("cat", "dog"))
        >>> model(np.zeros((2, 2), "uint8"))
        Prediction(label='cat', probabilities={'cat': 0.5, 'dog': 0.5})
        >>> model
        Model 4-1, Network('relu', 'binary_cross_entropy')
        classes: cat, dog
        inputs: images of 2 x 2 pixels in grey, times 0.00392157
    """

    parameters: Parameters
    network: Network
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    preprocessing: Preprocessing = Preprocessing()
    exact_decoding: bool = False
    table: Table | None = None
    trained_on: tuple[TrainingData, ...] = ()

    def __call__(self, inputs: Any) -> Answer | list[Answer]:
        """The class and the probabilities of an example, or a regression's values, as `jaxnet predict` prints them.

        Args:
            inputs: For images, a path or a PIL image, which is turned upright, laid on white and resized as in
                training, or a list of such. For a table, the path of one; a mapping of the columns' names to a row's
                values, or a list of such; or a mapping of the names to columns, or a data frame. Or, for any model, an
                array: one image of `input_shape`, `(m, *input_shape)`, or columns `(n_x, m)`. Arrays are uint8 pixels,
                or floats as in training, which are not scaled.

        Raises:
            InputError: for what cannot be read, for columns that are missing or unknown, and for an array of another
                shape, before anything is computed. A file's other columns are named in a warning instead.
        """
        self.check_predicts()
        if len(self.input_shape) == 1 or are_arrays(inputs):
            rows, names, one, ignored = input_rows(inputs, self.input_shape, self.table)
            if ignored:
                text = f"columns that the model does not know are ignored: {printable(', '.join(ignored)):.500}"
                warnings.warn(text, stacklevel=2)
            results = [_named(answer, name) for name, answer in zip(names, self.answers(rows), strict=True)]
        else:
            images, one = named_images(inputs)
            results = [result for some in self.predictions(images) for result in some]
        predictions = [_usable(result) for result in results]
        return predictions[0] if one else predictions

    def predictions(self, images: Sequence[Any], size: int = IMAGES) -> Iterator[list[Answer | Failure]]:
        """The prediction for each path or PIL image, or the reason why there is none, `size` of them at a time."""
        size = min(size, max(1, MOST_VALUES // math.prod(self.input_shape)))
        for start in range(0, len(images), size):
            some = images[start : start + size]
            decoded = decode_images(some, self.input_shape, self.exact_decoding)
            read = [image.pixels for image in decoded if image.pixels is not None]
            answers = iter(self.answers(np.stack(read)) if read else [])
            yield [
                Failure(f"{image_name(image)} cannot be read as an image: {problem}")
                if pixels is None
                else _named(next(answers), image_name(image))
                for image, (pixels, _, _, problem) in zip(some, decoded, strict=True)
            ]

    def answers(self, rows: Any) -> list[Answer | None]:
        """The prediction for each row of pixels or floats; None where it is not finite."""
        return [answer_of(column, self.classes, self.output_names) for column in self.probabilities(rows).T]

    def probabilities(self, rows: Any) -> Float[np.ndarray, "classes m"]:
        """The probabilities of the classes for rows `(m, n_x)` of pixels or floats; of a regression, the outputs."""
        dtype = str(self.parameters["W1"].dtype)
        columns = (self.preprocessing.columns(rows[part], dtype) for part in row_blocks(rows.shape))
        return np.concatenate([class_probabilities(X, self.parameters, self.network) for X in columns], axis=1)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs of a regression; none of a model of classes."""
        return () if self.classes else output_names(self.table, layer_dims(self.parameters)[-1])

    def check_predicts(self, name: str = "the model") -> None:
        """Raises `InputError` where there are classes, but the outputs are not their probabilities."""
        if self.network.loss == squared_error and self.classes:
            raise InputError(f"{name} was trained on squared_error, so its outputs are not probabilities of classes")
        if self.network.loss == softmax_cross_entropy and layer_dims(self.parameters)[-1] == 1:
            raise InputError(f"{name} has a softmax of one output, which is always 1 and cannot tell classes apart")

    def __repr__(self) -> str:
        try:
            dims = "-".join(map(str, layer_dims(self.parameters)))
            inputs = _inputs_text(self.input_shape, self.preprocessing)
        except (InputError, AttributeError, TypeError):  # of parts that do not fit each other
            return tuple.__repr__(self)
        kind, names = ("classes", self.classes) if self.classes else ("predicts", self.output_names)
        more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
        exact = ", JPEG files decoded exactly" if self.exact_decoding else ""
        return f"Model {dims}, {self.network}\n{kind}: {', '.join(names[:SHOWN])}{more}\ninputs: {inputs}{exact}"


def _inputs_text(shape: tuple[int, ...], preprocessing: Preprocessing) -> str:
    standardised = ", standardised" if preprocessing.mean is not None else ""
    if len(shape) == 1:
        return f"columns of {shape[0]} numbers{standardised}"
    colours = "in colour" if len(shape) == 3 else "in grey"
    featured = "" if preprocessing.features is None else f", {preprocessing.features.size} HOG features"
    pixels = f"images of {shape[0]} x {shape[1]} pixels {colours}, times {preprocessing.pixel_scale:.6g}"
    return f"{pixels}{featured}{standardised}"


def _usable(result: Answer | Failure) -> Answer:
    if isinstance(result, Failure):
        raise InputError(result.reason)
    return result


def _named(answer: Answer | None, name: str) -> Answer | Failure:
    return Failure(f"{name}: the network's outputs are not finite") if answer is None else answer
