"""jaxnet evaluate"""

import argparse
import contextlib
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
    from ..runs import Settings


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a trained model on labelled data",
        description="Prints the accuracy of a model with its 95 % interval, the confusion matrix, calibration and ROC, "
        "or R^2, RMSE and mean absolute error of a regression, on the test part of DATA. Where DATA has no test part, "
        "that is what the run of MODEL held out of it, if these are the data of that run; else all of DATA.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument(
        "data", nargs="?", type=Path, metavar="DATA", help="as for train, with labels (default: the data of the run)"
    )
    parser.add_argument("--part", choices=("test", "train", "all"), help="the part of DATA (default: see above)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    add_output(parser, "a report page, FILE.html, beside what is printed", required=False, otherwise="")


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
    for note in dataset.notes:
        print(f"          {printable(note)}")
    print(evaluation)
    if options.out is not None:
        print(f"saved     {printable(str(options.out))}")
    return DONE


def _data(options: argparse.Namespace, model: "Model") -> tuple["Dataset", dict[str, str]]:
    """The data to evaluate on, divided as in the run of the model if they are its data, and what its parts are."""
    from ..runs import HELD_OUT, OF_A_RUN, PARTS, load_for

    known = _run_of(options.model)
    path = options.data
    if path is None:
        if known is None:
            raise InputError(f"{options.model} is not the folder of a run, whose data are known; expected DATA")
        path = None if known[0].data is None else Path(known[0].data)
    with image_bar(options.stop, "decoding") as show:
        dataset = load_for(model, path, on_image=show)
    if known is None:
        return dataset, PARTS
    settings, fingerprint = known
    if len(dataset.test.labels):
        return dataset, OF_A_RUN if dataset.fingerprint == fingerprint else PARTS
    with contextlib.suppress(InputError):  # other data need not have two examples of each class
        divided = load_for(model, path, test_fraction=settings.test_fraction, seed=settings.seed)
        if divided.fingerprint == fingerprint:
            return divided, HELD_OUT
    return dataset, PARTS


def _run_of(path: Path) -> tuple["Settings", str] | None:
    """The settings of the run that a model is of, and the fingerprint of its data; None outside the folder of a run."""
    from .. import runs

    folder = path if path.is_dir() else path.parent
    if not (folder / runs.FILE).is_file() or (path != folder and path.name != "model.safetensors"):
        return None
    return runs.Settings(**settings_of(argparse.Namespace(), folder / runs.FILE)), runs.read_run(folder)["fingerprint"]
