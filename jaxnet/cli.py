"""The command `jaxnet`: what is typed and printed. JAX is imported by the commands, so that --help need not wait."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError


if TYPE_CHECKING:
    from .crosscheck import BackwardCheck
    from .runs import History, Run, Settings
    from .types import Parameters


ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu", "identity")
LOSSES = ("binary_cross_entropy", "softmax_cross_entropy", "squared_error")
SCALINGS = ("he", "lecun", "xavier")
DONE, FAILED, UNUSABLE_INPUT, INTERRUPTED = 0, 1, 2, 130
CHECKED_EXAMPLES = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 it failed, 2 unusable input."""
    options = build_parser().parse_args(arguments)
    try:
        return options.command(options)
    except InputError as error:
        print(f"jaxnet: error: {error}", file=sys.stderr)
        return UNUSABLE_INPUT
    except BrokenPipeError:  # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:  # a name too long, a folder that may not be read, a full disk
        print(f"jaxnet: error: {error}", file=sys.stderr)
        return UNUSABLE_INPUT
    except KeyboardInterrupt:
        print("jaxnet: interrupted", file=sys.stderr)
        return INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxnet",
        description="L-layer networks in JAX with a backward pass written by hand, checked against jax.grad.",
        epilog="Exit codes: 0 done, 1 the run or the check failed, 2 unusable input, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"jaxnet {version('jaxnet')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_predict(commands)
    _add_check(commands)
    return parser


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a network on pictures, test it, and check its gradient",
        description="Trains a network, tests it on pictures held out, checks its gradient against jax.grad, and "
        "writes the model, the history and pictures of both to a folder.",
    )
    parser.set_defaults(command=run_train)
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
        type=_positive_int,
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
        type=_positive_float,
        default=0.0075,
        metavar="A",
        help="of gradient descent (default: %(default)s)",
    )
    steps.add_argument(
        "--iterations", type=_positive_int, default=2500, metavar="N", help="steps to make (default: %(default)s)"
    )
    steps.add_argument(
        "--batch-size",
        type=_positive_int,
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
        type=_seed,
        default=1,
        metavar="S",
        help="of the weights, the split and the batches (default: %(default)s)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/<time>)")
    output.add_argument("--overwrite", action="store_true", help="write to DIR even if it is not empty")


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser(
        "predict",
        help="classify picture files with a trained model",
        description="Prints the most probable class of each picture and its probability. Pictures of any size and "
        "mode are resized and scaled as in training.",
    )
    parser.set_defaults(command=run_predict)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE", help="JPEG, PNG, ... files")


def _add_check(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="check the hand-written backward pass against jax.grad",
        description="Draws a network and data, and holds every gradient of L_model_backward against jax.grad in "
        "float64. Errors are counted in roundings: units of the last digit at the size of the terms that were summed.",
    )
    parser.set_defaults(command=run_check)
    parser.add_argument(
        "--layers",
        nargs="+",
        type=_positive_int,
        default=[12, 20, 7, 5, 1],
        metavar="N",
        help="n_x, n_1, ..., n_L (default: 12 20 7 5 1)",
    )
    parser.add_argument(
        "--activation", choices=ACTIVATIONS, default="relu", help="of the hidden layers (default: %(default)s)"
    )
    parser.add_argument(
        "--loss", choices=LOSSES, default="binary_cross_entropy", help="over the output (default: %(default)s)"
    )
    parser.add_argument(
        "--examples", type=_positive_int, default=11, metavar="M", help="columns of X (default: %(default)s)"
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="S", help="of everything drawn (default: %(default)s)")


def run_train(options: argparse.Namespace) -> int:
    """jaxnet train"""
    from . import runs
    from .data import load_dataset
    from .training import NotFiniteError

    settings = runs.Settings(
        tuple(options.layers),
        options.activation,
        options.scaling,
        options.learning_rate,
        options.iterations,
        options.batch_size,
        options.seed,
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
    from .losses import binary_cross_entropy
    from .parameters import layer_dims

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

    from . import runs

    batch = run.batch_size or len(run.dataset.train.labels)
    with tqdm(total=settings.iterations * batch, unit=" examples", unit_scale=True) as bar:

        def show(row: runs.Row) -> None:
            bar.set_description(f"step {row.iteration}/{settings.iterations}, cost {row.cost:.4f}", refresh=False)
            bar.update(row.iteration * batch - bar.n)

        return runs.execute(run, settings, history, show)


def _print_check(run: "Run", parameters: "Parameters") -> bool:
    from .crosscheck import check_backward
    from .data import targets

    dataset = run.dataset
    some = slice(None, None, -(-len(dataset.train.labels) // CHECKED_EXAMPLES))
    Y = targets(dataset.train.labels[some], dataset.classes)
    report = check_backward(dataset.train.X[:, some], Y, parameters, run.network)
    return _print_report(report, f"{Y.shape[1]} of the training examples")


def _print_report(report: "BackwardCheck", where: str) -> bool:
    verdict = "agrees with" if report.agrees else "DISAGREES with"
    print(f"check     L_model_backward {verdict} jax.grad, in float64 on {where}:")
    worst = report.worst
    print(f"          at most {worst.units:.2g} roundings off, in {worst.name}; rounding explains {worst.bound:.0f}")
    print("\n".join(f"          {line}" for line in str(report).splitlines()))
    return report.agrees


def run_predict(options: argparse.Namespace) -> int:
    """jaxnet predict"""
    import numpy as np

    from . import runs
    from .data import read_picture
    from .model import load_model

    model = load_model(options.model)
    if len(model.input_shape) == 1:
        raise InputError(f"{options.model} was trained on columns of {model.input_shape[0]} numbers, not on pictures")
    X = np.stack([read_picture(path, model.input_shape, model.scale) for path in options.pictures], axis=1)
    probabilities = runs.class_probabilities(X, model.parameters, model.network)
    width = max(len(str(path)) for path in options.pictures)
    for path, column in zip(options.pictures, probabilities.T, strict=True):
        best = int(np.argmax(column))
        print(f"{path!s:{width}}  {model.classes[best]}  {column[best]:.4f}")
    return DONE


def run_check(options: argparse.Namespace) -> int:
    """jaxnet check"""
    import jax
    import jax.numpy as jnp

    from .crosscheck import check_backward
    from .network import Network
    from .parameters import initialize_parameters_deep

    if len(options.layers) < 2:
        raise InputError(f"--layers is {options.layers}; expected the inputs and at least one layer: --layers 12 1")
    weights, biases, inputs, labels = jax.random.split(jax.random.key(options.seed), 4)
    parameters = initialize_parameters_deep(options.layers, key=weights, scaling="he")
    for l, key in enumerate(jax.random.split(biases, len(options.layers) - 1), start=1):
        b = parameters[f"b{l}"]
        parameters = parameters | {f"b{l}": jax.random.normal(key, b.shape)}  # zeros would hide errors in db
    shape = (options.layers[-1], options.examples)
    X = jax.random.normal(inputs, (options.layers[0], options.examples))
    if options.loss == "softmax_cross_entropy":
        Y = jax.nn.one_hot(jax.random.randint(labels, shape[1:], 0, shape[0]), shape[0]).T
    else:
        Y = jnp.asarray(jax.random.bernoulli(labels, 0.5, shape), jnp.float32)
    report = check_backward(X, Y, parameters, Network(options.activation, options.loss))
    return DONE if _print_report(report, f"{options.examples} drawn examples") else FAILED


def _positive_int(text: str) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number of at most nine digits")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 999999999")
    return int(text)


def _positive_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return value
