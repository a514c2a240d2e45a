"""jaxnet train"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import ACTIVATIONS, DONE, FAILED, INTERRUPTED, SCALINGS, positive_float, positive_int, seed


if TYPE_CHECKING:
    from ..runs import History, Row, Run, Settings
    from ..types import Parameters


CHECKED_EXAMPLES = 64


def add(commands: Any) -> None:
    """What `jaxnet train` takes."""
    parser = commands.add_parser(
        "train",
        help="train a network on pictures, test it, and check its gradient",
        description="Trains a network, tests it on pictures held out, checks its gradient against jax.grad, and "
        "writes the model, the history and pictures of both to a folder.",
    )
    parser.set_defaults(command=run)
    parser.add_argument(
        "data",
        nargs="?",
        type=Path,
        metavar="DATA",
        help="the course's FILE.h5, an .npz file of X and Y, or a folder with MNIST's idx files; "
        "without it: 200 photographs, face or not, that come with scikit-image",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--layers",
        nargs="*",
        type=_units,
        default=[20, 7, 5],
        metavar="N",
        help="units of the hidden layers (default: 20 7 5)",
    )
    network.add_argument(
        "--activation", choices=ACTIVATIONS, default="relu", help="of the hidden layers (default: %(default)s)"
    )
    network.add_argument(
        "--scaling", choices=SCALINGS, default="he", help="of the first weights (default: %(default)s)"
    )
    steps = parser.add_argument_group("training")
    steps.add_argument(
        "--learning-rate",
        type=positive_float,
        default=0.0075,
        metavar="A",
        help="of gradient descent (default: %(default)s)",
    )
    steps.add_argument(
        "--iterations", type=positive_int, default=2500, metavar="N", help="steps to make (default: %(default)s)"
    )
    steps.add_argument(
        "--batch-size",
        type=positive_int,
        metavar="M",
        help="examples a step (default: all, or 128 where there are more than 2048)",
    )
    steps.add_argument(
        "--test-fraction",
        type=float,
        default=0.25,
        metavar="F",
        help="held out where DATA has no test examples (default: %(default)s)",
    )
    steps.add_argument(
        "--seed",
        type=seed,
        default=1,
        metavar="S",
        help="of the weights, the split and the batches (default: %(default)s)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/<time>)")
    output.add_argument("--overwrite", action="store_true", help="write to DIR even if it is not empty")


def _units(text: str) -> int:
    """A whole number from 1. `--layers` takes all that follows, DATA too."""
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError as error:
        if text.isdecimal():
            raise
        raise argparse.ArgumentTypeError(
            f"{error}; DATA goes before --layers: jaxnet train {text} --layers ..."
        ) from None


def run(options: argparse.Namespace) -> int:
    """Trains, tests, checks the gradient, and writes the run folder."""
    from .. import runs
    from ..data import load_dataset
    from ..training import NotFiniteError

    settings = runs.Settings(
        tuple(options.layers),
        options.activation,
        options.scaling,
        learning_rate=options.learning_rate,
        iterations=options.iterations,
        batch_size=options.batch_size,
        seed=options.seed,
    )
    dataset = load_dataset(options.data, test_fraction=options.test_fraction, seed=options.seed)
    run = runs.prepare(dataset, settings)
    folder = runs.open_folder(options.out, options.overwrite)
    _print_plan(run, settings)
    history = runs.History()
    try:
        parameters = _train_with_progress(run, settings, history)
    except NotFiniteError as error:
        runs.write(folder, run, error.parameters, history)
        print(f"jaxnet: {error}, in {folder}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        if history.parameters is None:
            raise
        runs.write(folder, run, history.parameters, history)
        print(f"jaxnet: interrupted; the model of {history.rows[-1].iteration} steps is in {folder}", file=sys.stderr)
        return INTERRUPTED
    written = runs.write(folder, run, parameters, history)
    last = history.rows[-1]
    print(f"cost      {last.cost:.6f}")
    print(f"accuracy  train {last.train_accuracy:.4f}, test {last.test_accuracy:.4f}")
    agrees = _print_check(run, parameters)
    print(f"saved     {folder}: {', '.join(written)}")
    if "history.png" not in written:
        print("          (for pictures of the run: pip install 'jaxnet[demo]')")
    return DONE if agrees else FAILED


def _print_plan(run: "Run", settings: "Settings") -> None:
    from ..losses import binary_cross_entropy
    from ..parameters import layer_dims

    dataset, dims = run.dataset, layer_dims(run.parameters)
    m, held_out = len(dataset.train.labels), len(dataset.test.labels)
    shape = "x".join(map(str, dataset.input_shape))
    head = "sigmoid" if run.network.loss is binary_cross_entropy else "softmax"
    size = sum(value.size for value in run.parameters.values())
    batch = f"batches of {run.batch_size}" if run.batch_size else f"all {m} examples"
    print(f"data      {dataset.description}")
    print(f"          {m} to train on, {held_out} to test on, of shape {shape}: {', '.join(dataset.classes)}")
    print(f"network   {'-'.join(map(str, dims))}, {settings.activation}, {head} output, {size:,} parameters")
    print(f"training  {settings.iterations} steps of gradient descent, learning rate {settings.learning_rate}, {batch}")


def _train_with_progress(run: "Run", settings: "Settings", history: "History") -> "Parameters":
    from tqdm import tqdm

    from .. import runs

    batch = run.batch_size or len(run.dataset.train.labels)
    with tqdm(total=settings.iterations * batch, unit=" examples", unit_scale=True) as bar:

        def show(row: "Row") -> None:
            bar.set_description(f"step {row.iteration}/{settings.iterations}, cost {row.cost:.4f}", refresh=False)
            bar.update(row.iteration * batch - bar.n)

        return runs.execute(run, settings, history, show)


def _print_check(run: "Run", parameters: "Parameters") -> bool:
    from ..crosscheck import check_backward
    from ..data import targets

    dataset = run.dataset
    some = slice(None, None, -(-len(dataset.train.labels) // CHECKED_EXAMPLES))
    Y = targets(dataset.train.labels[some], dataset.classes)
    report = check_backward(dataset.train.X[:, some], Y, parameters, run.network, thorough=False)
    verdict = "agrees with" if report.agrees else "does not agree with"
    print(f"check     L_model_backward {verdict} jax.grad, in float64 on {Y.shape[1]} of the training examples:")
    print("\n".join(f"          {line}" for line in [report.reason, *report.table().splitlines()]))
    return report.agrees
