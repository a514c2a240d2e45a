"""jaxnet predict"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..text import cell, printable
from .images import find_images
from .options import DONE, FAILED
from .output import add_output, check_output
from .streams import Tolerant


if TYPE_CHECKING:
    from ..model import Prediction


BATCH = 256  # images at a time


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet predict`."""
    parser = commands.add_parser(
        "predict",
        help="classify image files with a trained model",
        description="Prints the most probable class of each image and its probability. Images of any size and "
        "mode are resized and scaled as in training. Those that cannot be read are named, and left out.",
        epilog="Exit codes: 0 done, 1 some images were left out, 2 unusable input, 130 interrupted.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="JPEG, PNG, ... files, and folders, which are searched for them at all depths",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="one JSON object per line: path, class, probability, probabilities"
    )
    form.add_argument(
        "--csv", action="store_true", help="a table: path, class, probability, and a column for each class"
    )
    add_output(parser, "the file to write to", required=False)


def run(options: argparse.Namespace) -> int:
    """Prints the most probable class of every image."""
    from tqdm import tqdm

    from ..model import Failure, load_model

    model = load_model(options.model)
    model.check_takes_images(str(options.model))
    model.check_classifies(str(options.model))
    paths, closed = find_images(options.images)
    if options.out is not None:
        check_output(options.out, options.overwrite)
    line = _line(options, paths)
    # A progress bar on a terminal, if there are many images and the results do not appear on the same terminal.
    hidden = len(paths) <= BATCH or not sys.stderr.isatty() or (options.out is None and sys.stdout.isatty())
    left_out = len(closed)
    with _output(options.out) as file, tqdm(total=len(paths), unit=" images", disable=hidden) as bar:
        for reason in closed:
            bar.write(f"jaxnet: {printable(reason)}", file=sys.stderr)
        if options.csv:
            print(_csv_line(["path", "class", "probability", *model.classes]), file=file)
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


def _output(path: Path | None) -> Any:
    # A name that is not valid text is written as a terminal shows it, so that the file is valid UTF-8.
    return (
        nullcontext(sys.stdout)
        if path is None
        else path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    )


def _line(options: argparse.Namespace, paths: Sequence[str]) -> Callable[[str, "Prediction"], str]:
    """A function from a path and its prediction to the line that is written for it."""
    if options.json:
        return lambda path, p: json.dumps(
            {"path": path, "class": p.label, "probability": p.probability, "probabilities": p.probabilities}
        )
    if options.csv:
        return lambda path, p: _csv_line([path, p.label, p.probability, *p.probabilities.values()])
    width = max(map(len, map(printable, paths)), default=0)
    return lambda path, p: f"{printable(path):{width}}  {p.label}  {p.probability:.4f}"


def _csv_line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    # What a spreadsheet would compute or a terminal would act on is written out; --json keeps the names as they are.
    csv.writer(text).writerow([cell(value) if isinstance(value, str) else value for value in cells])
    return text.getvalue().removesuffix("\r\n")
