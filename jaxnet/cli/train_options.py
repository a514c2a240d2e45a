"""The options of `jaxnet train`, from the command line and from files of settings."""

import argparse
import os
import re
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError
from .options import (
    ACTIVATIONS,
    DTYPES,
    FEATURES,
    FEEDBACKS,
    INITS,
    OPTIMIZERS,
    SCHEDULES,
    STRAIGHT_THROUGH,
    TASKS,
    fraction,
    from_zero,
    positive_float,
    positive_int,
    probability,
    seed,
)


# NAME=W. A name may hold commas and equals signs: only a comma after a number ends a pair.
PAIR = re.compile(r"(.+?)=([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?=,)|[^=,]*$)(?:,|$)", re.IGNORECASE)
CHOSEN = "(default: chosen from the data and printed)"
FLAGS = ("grey", "exact-decoding", "standardise", "augment", "flip", "reduce")
COLUMNS = ("label", "categories", "drop")  # options that are typed once for every name


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that are settings of the run: only those that are typed are in the namespace."""
    parser.add_argument(
        "data",
        nargs="?",
        default=argparse.SUPPRESS,
        metavar="DATA",
        help="a folder of images: a subfolder per class, or files named cat.0.jpg, dog.1.jpg, or train/ and test/ of "
        "either; the course's FILE.h5; an .npz file of X and Y; a folder with MNIST's idx files; a .csv, .tsv or "
        ".parquet table, with --label; without DATA: 200 photographs, face or not, that come with scikit-image",
    )
    _add_data(_adder(parser, "data"))
    _add_network(_adder(parser, "network"))
    _add_training(_adder(parser, "training"))


def _adder(parser: argparse.ArgumentParser, name: str) -> Callable[..., None]:
    """Adds options to a group of this name."""
    group = parser.add_argument_group(name)

    def option(name: str, help: str, **how: Any) -> None:
        group.add_argument(f"--{name}", default=argparse.SUPPRESS, help=help, **how)

    return option


def _add_data(option: Callable[..., None]) -> None:
    option("size", "height and width that images are resized to (default: 64)", type=positive_int, metavar="N")
    option("grey", "convert images to greyscale", action=argparse.BooleanOptionalAction)
    option(
        "exact-decoding",
        "decode JPEG files in full before resizing, as PIL does by default; so does predict then (default: no)",
        action=argparse.BooleanOptionalAction,
    )
    option("label", "for a table: the column to predict; repeat it for several", action="append", metavar="COLUMN")
    option("categories", "for a table: a column whose numbers are categories", action="append", metavar="COLUMN")
    option("drop", "for a table: a column to leave out, such as an identifier", action="append", metavar="COLUMN")
    option(
        "test-fraction",
        "fraction held out for testing where DATA has no test examples (default: 0.25)",
        type=fraction,
        metavar="F",
    )
    option(
        "validation-fraction",
        "fraction of the training examples held out for validation (default: 0, or 0.2 with --early-stopping)",
        type=fraction,
        metavar="F",
    )
    option(
        "features",
        "what the network sees instead of pixels: hog, histograms of oriented gradients (needs scikit-image)",
        choices=FEATURES,
    )
    option(
        "standardise",
        f"subtract each input's mean and divide by its standard deviation over the training examples {CHOSEN}",
        action=argparse.BooleanOptionalAction,
    )


def _add_network(option: Callable[..., None]) -> None:
    option("layers", f"units in each hidden layer {CHOSEN}", nargs="*", type=_units, metavar="N")
    option("hidden", "activation of the hidden layers (default: relu)", choices=ACTIVATIONS + STRAIGHT_THROUGH)
    option("init", "weight initialisation (default: he)", choices=INITS)
    option(
        "loss",
        "cross_entropy predicts classes, squared_error numbers (default: classes where labels are text or whole "
        "numbers, in a table at most 20 different ones; else numbers)",
        choices=TASKS,
    )
    option(
        "feedback",
        f"how the error travels back: one of {', '.join(FEEDBACKS)} (default: backprop)",
        choices=FEEDBACKS,
        metavar="RULE",
    )
    option(
        "keep-prob",
        "dropout: the probability of keeping a hidden unit (default: 1, or 0.5 for small tables)",
        type=probability,
        metavar="P",
    )
    option(
        "input-keep-prob", "dropout: the probability of keeping an input (default: 1)", type=probability, metavar="P"
    )
    option(
        "augment",
        "mirror and move the images of every step at random, by up to a twentieth of their side; with --features, "
        "draw one of ten such views",
        action=argparse.BooleanOptionalAction,
    )
    option("flip", "with --augment: mirror images (default: yes)", action=argparse.BooleanOptionalAction)


def _add_training(option: Callable[..., None]) -> None:
    option("optimizer", f"the optimizer {CHOSEN}", choices=OPTIMIZERS)
    option("learning-rate", f"the learning rate {CHOSEN}", type=positive_float, metavar="A")
    option("schedule", f"learning-rate schedule {CHOSEN}", choices=SCHEDULES)
    option("warm-up", "steps over which the learning rate rises from 0 (default: 0)", type=seed, metavar="N")
    option("step-every", "with --schedule step: steps between drops of the rate", type=positive_int, metavar="N")
    option(
        "step-factor",
        "with --schedule step: what each drop multiplies the rate by (default: 0.1)",
        type=positive_float,
        metavar="F",
    )
    option("num-iterations", f"number of steps {CHOSEN}", type=positive_int, metavar="N")
    option(
        "epochs",
        "number of passes over the training examples, instead of --num-iterations",
        type=positive_int,
        metavar="N",
    )
    option("batch-size", f"examples per step, a number or all {CHOSEN}", type=_batch_size, metavar="M")
    option(
        "class-weight",
        "weights of the losses by class (default: 1): balanced, so that all classes count alike, or a weight by name",
        nargs="+",
        action=_ClassWeight,
        metavar="CLASS=W",
    )
    option("weight-decay", "decoupled weight decay (default: 0; 0.0001 with adamw)", type=from_zero, metavar="F")
    option("lambd", "the course's L2 penalty, lambd / (2 m) ||W||^2 (default: 0)", type=from_zero, metavar="F")
    option(
        "early-stopping",
        "stop once the validation cost has not fallen for N rows of the history, 100 steps each, and keep the best",
        type=positive_int,
        metavar="N",
    )
    option(
        "record-every",
        "steps between records of the angles to backpropagation (default: 100 with --feedback, else none)",
        type=positive_int,
        metavar="N",
    )
    option("dtype", "bfloat16: layers in bfloat16, weights and cost in float32 (default: float32)", choices=DTYPES)
    option(
        "reduce",
        "reduce the inputs to the directions that the examples span, where that is exact and faster (default: yes)",
        action=argparse.BooleanOptionalAction,
    )
    option(
        "init-from",
        "start from the parameters of a trained model, a file or the folder of a run; --layers, --hidden, "
        "--standardise and --exact-decoding are then taken from it",
        type=_model_path,
        metavar="MODEL",
    )
    option(
        "seed", "random seed of the weights, the splits, the batches and dropout (default: 1)", type=seed, metavar="S"
    )
    option(
        "devices",
        "share the examples of every step between N devices, parts of the CPU or GPUs; it pays from hundreds of "
        "examples each on (default: 1)",
        type=positive_int,
        metavar="N",
    )


def settings_of(options: argparse.Namespace, config: Path | None) -> dict[str, Any]:
    """The settings in the file, overridden by what was typed.

    Where anything is typed, what the run of the file had chosen from its data is left to be chosen anew.
    """
    from ..runs import read_chosen, read_config

    chosen, in_file = typed(options), {} if config is None else _as_typed(config, read_config(config))
    if chosen and config is not None:
        in_file = {name: value for name, value in in_file.items() if name not in read_chosen(config)}
    if {"num_iterations", "epochs"} & set(chosen):  # one of them in the file does not contradict the other, typed
        in_file = {name: value for name, value in in_file.items() if name not in ("num_iterations", "epochs")}
    return in_file | chosen


def typed(options: argparse.Namespace) -> dict[str, Any]:
    """The settings among the options."""
    from ..runs import NAMES

    found = {name: value for name, value in vars(options).items() if name in NAMES}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _as_typed(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Values of a file, read by the rules of the command line."""

    class Refusing(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            raise InputError(f"{path}: {message}")

    parser = Refusing(prog="jaxnet train", add_help=False, allow_abbrev=False)
    add_settings(parser)
    words = []
    by_class = values.pop("class-weight", None)
    columns = {name: _column_names(path, name, values.pop(name)) for name in COLUMNS if name in values}
    for name, value in values.items():
        kind, fits = _kind_of(name)
        if not fits(value):
            raise InputError(f"{path}: {name} is {_shown(value)}; expected {kind}")
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{name}")
        elif isinstance(value, list):
            words += [f"--{name}", *map(str, value)]
        elif name != "data":
            words.append(f"--{name}={value}")  # as one word, so that no value is taken for an option
    found = typed(parser.parse_args(words))
    if by_class is not None:
        found["class_weight"] = _class_weight_in_file(path, by_class)
    return found | columns | ({"data": values["data"]} if "data" in values else {})


def _column_names(path: Path, name: str, value: Any) -> tuple[str, ...]:
    """The names as they are: one that begins with a dash is not an option."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(each, str) for each in names):
        raise InputError(f"{path}: {name} is {_shown(value)}; expected names of columns in a list")
    return tuple(names)


def _shown(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of thousands of digits"


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**63  # as TOML has it


def _kind_of(name: str) -> tuple[str, Callable[[Any], bool]]:
    """What an option's value has to be in a file, in words, and whether a value is."""
    if name in FLAGS:
        return "true or false", lambda value: type(value) is bool
    if name == "layers":
        return "numbers in a list", lambda value: type(value) is list and all(map(_whole, value))
    if name == "data":
        return "a path", lambda value: type(value) is str
    return "one value, a number or a name", lambda value: type(value) in (float, str) or _whole(value)


def _model_path(text: str) -> str:
    """Kept as an absolute path, as the settings of a run may be used from another folder."""
    return os.path.abspath(text)


class _ClassWeight(argparse.Action):
    """`balanced`, or NAME=W in words of their own or with commas between them."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        try:
            setattr(namespace, self.dest, _class_weight(values))
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None


def _class_weight(words: list[str]) -> str | tuple[tuple[str, float], ...]:
    if words == ["balanced"]:
        return "balanced"
    pairs = []
    for word in words:
        parts = PAIR.findall(word)
        if not parts or ",".join(map("=".join, parts)) != word.removesuffix(","):
            raise argparse.ArgumentTypeError(
                f"{word!r} is neither balanced nor CLASS=W, such as cat=2; DATA goes before --class-weight"
            )
        for name, weight in parts:
            try:
                pairs.append((name, from_zero(weight)))
            except argparse.ArgumentTypeError:
                raise argparse.ArgumentTypeError(
                    f"the weight of {name!r} is {weight!r}; expected a number from 0"
                ) from None
    return tuple(sorted(pairs))


def _class_weight_in_file(path: Path, value: Any) -> str | tuple[tuple[str, float], ...]:
    """A table of weights by name, or the words of the command line."""
    if isinstance(value, dict):
        for name, weight in value.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
                raise InputError(f"{path}: class-weight has {weight!r:.60} for {name!a}; expected a number from 0")
        return tuple(sorted((name, float(weight)) for name, weight in value.items()))
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise InputError(f"{path}: class-weight is {value!r:.60}; expected 'balanced' or a table of weights by class")
    try:
        return _class_weight(words)
    except argparse.ArgumentTypeError as error:
        raise InputError(f"{path}: class-weight: {error}") from None


def _batch_size(text: str) -> int | str:
    """A whole number from 1, or `all`."""
    if text == "all":
        return text
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or all") from None


def _units(text: str) -> int:
    """A whole number from 1. `--layers` takes all that follows, DATA too."""
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError as error:
        if text.isdecimal():
            raise
        if set(text) <= set("0123456789,x-"):
            raise argparse.ArgumentTypeError(f"{error}; units are typed apart: --layers 512 128") from None
        raise argparse.ArgumentTypeError(
            f"{error}; DATA goes before --layers: jaxnet train {text} --layers ..."
        ) from None
