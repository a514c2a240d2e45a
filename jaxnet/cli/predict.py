"""jaxnet predict"""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..text import printable
from .images import find_images
from .options import DONE, FAILED
from .output import add_output, check_output, open_output
from .predict_rows import csv_header, line_for, run as predict_rows
from .streams import Tolerant


BATCH = 256  # images at a time


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet predict`."""
    parser = commands.add_parser(
        "predict",
        help="classify image files, or the rows of a table, with a trained model",
        description="Prints the most probable class of each image or row and its probability, or the values that a "
        "regression predicts. Images of any size and mode are resized and scaled as in training. Those that cannot be "
        "read are named and left out.",
        epilog="Exit codes: 0 done, 1 some images were left out, 2 unusable input, 130 interrupted.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="JPEG, PNG, ... files, and folders, which are searched for them at all depths; for a model of a table: a "
        "table, with its columns in any order; for a model of rows of numbers: an .npz file of X",
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
        help="a table: path or row, class, probability, and a column for each class; or predicted values",
    )
    add_output(parser, "the file to write to", required=False)


def run(options: argparse.Namespace) -> int:
    """Prints the most probable class of every image."""
    from tqdm import tqdm

    from ..model import Failure, load_model

    model = load_model(options.model)
    model.check_predicts(str(options.model))
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
        rest = iter(paths)
        for results in model.predictions(paths, BATCH):
            options.stop.check()
            for result, path in zip(results, rest, strict=False):
                if isinstance(result, Failure):
                    left_out += 1
                    bar.write(f"jaxnet: {printable(result.reason)}", file=sys.stderr)
                else:
                    print(line(path, result), file=file)
            file.flush()
            if isinstance(file, Tolerant) and file.error is not None:  # nobody would read the rest
                raise BrokenPipeError
            bar.update(len(results))
    if left_out and len(paths) > 1:
        print(f"jaxnet: {left_out} of {len(paths)} images or folders were left out", file=sys.stderr)
    return FAILED if left_out else DONE
