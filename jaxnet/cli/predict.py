"""jaxnet predict"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InputError
from ..text import printable
from .images import find_images, read_batches
from .options import DONE, FAILED
from .output import add_output, check_output, open_output
from .predict_rows import csv_header, digits, line_for, run as predict_rows
from .streams import Tolerant


if TYPE_CHECKING:
    from ..model import Model


BATCH = 256  # images at a time, or
BATCH_VALUES = 2**26  # fewer large ones: this many values take a quarter of a GiB in float32


class Prediction(NamedTuple):
    """What the network predicts for one image."""

    path: str
    values: tuple[float, ...]  # the probability of every class, or amounts


class Failure(NamedTuple):
    """The reason why there is no prediction for an image."""

    reason: str


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet predict`."""
    parser = commands.add_parser(
        "predict",
        help="classify image files, or the rows of a table, with a trained model",
        description="Prints the most probable class of each image or row and its probability, or the amounts that a "
        "regression predicts. Images of any size and mode are resized and scaled as in training. Those that cannot be "
        "read are named, and left out.",
        epilog="Exit codes: 0 done, 1 some images were left out, 2 unusable input, 130 interrupted.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="JPEG, PNG, ... files, and folders, which are searched for them at all depths; for a model of a table one "
        "such table, whose columns may have any order; for one of columns of numbers an .npz file of X",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json",
        action="store_true",
        help="one JSON object per line: path or row, class, probability, probabilities; or values",
    )
    form.add_argument(
        "--csv",
        action="store_true",
        help="a table: path or row, class, probability, and a column for each class; or amounts",
    )
    add_output(parser, "the file to write to", required=False)


def run(options: argparse.Namespace) -> int:
    """Prints the most probable class of every image."""
    from tqdm import tqdm

    from ..model import load_model

    model = load_model(options.model)
    _check_probabilities(options.model, model)
    if len(model.input_shape) == 1:
        return predict_rows(options, model)
    paths, closed = find_images(options.images)
    if options.out is not None:
        check_output(options.out, options.overwrite)
    line = line_for(options, model, "path", max(map(len, map(printable, paths)), default=0))
    # A progress bar on a terminal, if there are many images and the results do not appear on the same terminal.
    hidden = len(paths) <= BATCH or not sys.stderr.isatty() or (options.out is None and sys.stdout.isatty())
    left_out = len(closed)
    with open_output(options.out) as file, tqdm(total=len(paths), unit=" images", disable=hidden) as bar:
        for reason in closed:
            bar.write(f"jaxnet: {printable(reason)}", file=sys.stderr)
        if options.csv:
            print(csv_header(model, "path"), file=file)
        for results in _predictions(paths, model):
            options.stop.check()
            for result in results:
                if isinstance(result, Failure):
                    left_out += 1
                    bar.write(f"jaxnet: {printable(result.reason)}", file=sys.stderr)
                else:
                    print(line(*result), file=file)
            file.flush()
            if isinstance(file, Tolerant) and file.error is not None:  # nobody would read the rest
                raise BrokenPipeError
            bar.update(len(results))
    if left_out and len(paths) > 1:
        print(f"jaxnet: {left_out} of {len(paths)} images or folders were left out", file=sys.stderr)
    return FAILED if left_out else DONE


def _check_probabilities(path: Path, model: "Model") -> None:
    from ..losses import softmax_cross_entropy, squared_error
    from ..parameters import layer_dims

    if model.network.loss == squared_error and model.classes:
        raise InputError(f"{path} was trained on squared_error, so its outputs are not probabilities of classes")
    if model.network.loss == softmax_cross_entropy and layer_dims(model.parameters)[-1] == 1:
        raise InputError(f"{path} has a softmax of one output, which is always 1 and cannot tell classes apart")


def _predictions(paths: Sequence[str], model: "Model") -> Iterator[list[Prediction | Failure]]:
    """The prediction for each image, or the reason why there is none, a batch at a time."""
    import numpy as np

    from ..runs import class_probabilities

    n_x, dtype = math.prod(model.input_shape), str(model.parameters["W1"].dtype)
    size = min(len(paths), BATCH, max(1, BATCH_VALUES // n_x))
    for batch in read_batches(paths, model.input_shape, size):
        # The last batch is padded, and gaps stay: another number of columns would mean another compilation.
        rows = np.zeros((size, n_x), np.uint8)
        for i, (_, pixels) in enumerate(batch):
            if not isinstance(pixels, str):
                rows[i] = pixels
        columns = class_probabilities(model.preprocessing.columns(rows, dtype), model.parameters, model.network)
        yield [
            Failure(pixels) if isinstance(pixels, str) else _prediction(path, columns[:, i])
            for i, (path, pixels) in enumerate(batch)
        ]


def _prediction(path: str, column: Any) -> Prediction | Failure:
    values = digits(column)
    if not all(map(math.isfinite, values)):
        return Failure(f"{path}: the network's outputs are not finite")
    return Prediction(path, values)
