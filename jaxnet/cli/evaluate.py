"""jaxnet evaluate"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..text import printable
from .image_bar import image_bar
from .options import DONE
from .output import add_output, check_output
from .train_options import settings_of


if TYPE_CHECKING:
    from ..data import Dataset
    from ..model import Model


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a trained model on labelled data",
        description="Prints the accuracy of a model with its 95 % interval, confusion matrix, calibration and ROC AUC, "
        "or the R^2, RMSE and mean absolute error of a regression, on the test part of DATA; where it has none, on "
        "what was held out of it when MODEL was trained on it; for other data, on all of it.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument(
        "data", nargs="?", type=Path, metavar="DATA", help="as for train, with labels (default: the data of the run)"
    )
    parser.add_argument("--part", choices=("test", "train", "all"), help="the part of DATA (default: see above)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    add_output(parser, "also write a report page, FILE.html", required=False, otherwise="")


def run(options: argparse.Namespace) -> int:
    """Prints the evaluation, and writes its report."""
    from ..model import load_model
    from ..runs import evaluate_examples, part_of, write_evaluation
    from ..runs.report import check_installed

    model = load_model(options.model)
    model.check_predicts(str(options.model))
    if options.out is not None:
        if options.out.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"{options.out} is a file of another kind by its name; expected one that ends in .html")
        check_output(options.out, options.overwrite)
        check_installed()
    dataset, parts = _data(options, model)
    examples, words = part_of(dataset, options.part, parts)
    evaluation = evaluate_examples(model, dataset, examples, words)
    options.stop.check()
    if options.out is not None:
        write_evaluation(options.out, str(options.model), model, examples, evaluation)
    if options.json:
        print(json.dumps(evaluation.as_dict(), indent=2))
        return DONE
    first, rest = str(evaluation).split("\n", 1)
    print(first)
    for note in dataset.notes:
        if note.startswith(("skipped", "warning")):  # the others are for training
            print(f"          {printable(note)}")
    print(rest)
    if options.out is not None:
        print(f"saved     {printable(str(options.out))}")
    return DONE


def _data(options: argparse.Namespace, model: "Model") -> tuple["Dataset", dict[str, str]]:
    """The data to evaluate on, and what their parts are."""
    from ..runs import load_divided

    path = _data_of_run(options.model) if options.data is None else options.data
    with image_bar(options.stop, "decoding") as show:
        return load_divided(model, path, show)


def _data_of_run(path: Path) -> Path | None:
    """The data that a run was trained on; None for the photographs of the demo."""
    from .. import runs

    folder = path if path.is_dir() else path.parent
    if not (folder / runs.FILE).is_file() or (path != folder and path.name != "model.safetensors"):
        raise InputError(f"{path} is not the folder of a run, whose data are known; expected DATA")
    data = settings_of(argparse.Namespace(), folder / runs.FILE).get("data")
    return None if data is None else Path(data)
