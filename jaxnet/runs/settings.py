"""The settings of a run: the file that keeps them, and the optimizer they describe."""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import optax

from ..errors import InputError
from ..parameters import FrozenDict
from ..storage import durable


FILE = "settings.toml"
MOMENTUM = 0.9
RECORD_EVERY = 100
ITERATIONS = 2500  # where neither iterations nor epochs are given
LEARNING_RATES = {"sgd": 0.0075, "momentum": 0.0075, "adam": 0.001, "adamw": 0.001}
WEIGHT_DECAY = 1e-4  # of adamw, as in optax


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of `jaxnet train`, under the same names. None: it depends on the other settings.

    These values are the course's; those for other data are chosen by `defaults_for`. Raises `InputError` for settings
    that contradict each other.
    """

    data: str | None = None
    size: int = 64
    grey: bool = False
    exact_decoding: bool = False
    label: tuple[str, ...] | None = None  # of a table: the columns to predict,
    categories: tuple[str, ...] | None = None  # those of numbers that name categories,
    drop: tuple[str, ...] | None = None  # and those to leave out
    test_fraction: float = 0.25
    validation_fraction: float | None = None
    features: str | None = None  # "hog"
    standardise: bool | None = None  # None: features are, and the inputs of a table
    layers: tuple[int, ...] = (20, 7, 5)
    hidden: str = "relu"
    init: str = "he"
    loss: str | None = None  # "cross_entropy" for classes, or "squared_error" for a regression
    feedback: str = "backprop"
    keep_prob: float = 1.0
    input_keep_prob: float = 1.0
    augment: bool = False
    flip: bool = True
    optimizer: str = "sgd"
    learning_rate: float | None = None
    schedule: str = "constant"
    warm_up: int = 0
    step_every: int | None = None
    step_factor: float = 0.1
    num_iterations: int | None = None
    epochs: int | None = None
    batch_size: int | str = "all"
    class_weight: str | tuple[tuple[str, float], ...] | None = None  # "balanced", or weights by the name of the class
    weight_decay: float | None = None
    lambd: float = 0.0
    early_stopping: int | None = None
    record_every: int | None = None
    dtype: str = "float32"
    reduce: bool = True
    init_from: str | None = None
    seed: int = 1
    devices: int = 1

    def __post_init__(self) -> None:
        for path in (self.data, self.init_from):
            if path is not None and not _is_text(path):
                raise InputError(f"the name {path!a} cannot be kept in {FILE}; rename it")
        for name in (*(self.label or ()), *(self.categories or ()), *(self.drop or ())):
            if not _is_text(name):
                raise InputError(f"the column {name!a} cannot be kept in {FILE}; rename it")
        if self.num_iterations is not None and self.epochs is not None:
            raise InputError(
                f"there are {self.num_iterations} iterations and {self.epochs} epochs; expected one of both"
            )
        if self.weight_decay and self.optimizer == "adam":
            raise InputError("adam has no weight decay of its own; choose --optimizer adamw, or the penalty --lambd")
        if (self.step_every is not None) != (self.schedule == "step"):
            raise InputError("--schedule step and --step-every N go together: the rate falls every N steps")
        if self.class_weight is not None and self.loss == "squared_error":
            raise InputError(
                "--class-weight is of classes, and --loss squared_error of regression targets; expected one of both"
            )
        if not self.flip and not self.augment:
            raise InputError("--no-flip is about --augment; pass both or neither")
        if isinstance(self.class_weight, tuple):
            names = [name for name, _ in self.class_weight]
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise InputError(f"--class-weight names {twice[0]!a} {names.count(twice[0])} times; expected once")
            strange = [name for name in names if name.encode(errors="replace").decode() != name]
            if strange:
                raise InputError(f"the class {strange[0]!a} cannot be kept in {FILE}; rename it")

    @property
    def watched_fraction(self) -> float:
        """The share of the training examples held out to watch; the test examples never end a training early."""
        if self.validation_fraction is not None:
            return self.validation_fraction
        return 0.2 if self.early_stopping is not None else 0.0

    @property
    def regression(self) -> bool | None:
        """Whether labels are regression targets; None: as the labels are."""
        return None if self.loss is None else self.loss == "squared_error"

    @property
    def recorded_every(self) -> int | None:
        """Steps between two that are recorded: of a run that feeds back otherwise than by backpropagation, 100."""
        if self.record_every is None and self.feedback != "backprop":
            return RECORD_EVERY
        return self.record_every

    @property
    def first_rate(self) -> float:
        """The learning rate, before its schedule."""
        return LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate


def _is_text(path: str) -> bool:
    """Whether the name of a file is UTF-8."""
    try:
        return bool(path.encode())
    except UnicodeEncodeError:
        return False


NAMES = frozenset(field.name for field in dataclasses.fields(Settings))


def learning_rate(settings: Settings, iterations: int) -> float | optax.Schedule:
    """The rate of every step: a linear warm-up from 0, then constant, half a cosine down to 0, or a stair."""
    rate = settings.first_rate
    if settings.warm_up >= iterations > 0:
        raise InputError(f"the warm-up takes {settings.warm_up} of {iterations} steps; expected fewer")
    if settings.schedule == "cosine":
        after = optax.cosine_decay_schedule(rate, iterations - settings.warm_up)
    elif settings.schedule == "step":
        after = optax.exponential_decay(rate, settings.step_every or 1, settings.step_factor, staircase=True)
    elif settings.warm_up == 0:
        return rate
    else:
        after = optax.constant_schedule(rate)
    if settings.warm_up == 0:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, rate, settings.warm_up), after], [settings.warm_up])


def make_optimizer(settings: Settings, iterations: int) -> optax.GradientTransformation:
    """W - rate (direction + weight_decay W), b - rate direction; see Loshchilov & Hutter 2019, algorithm 2."""
    direction = {
        "sgd": optax.identity,
        "momentum": lambda: optax.trace(MOMENTUM),
        "adam": optax.scale_by_adam,
        "adamw": optax.scale_by_adam,
    }[settings.optimizer]()
    decay = WEIGHT_DECAY if settings.weight_decay is None and settings.optimizer == "adamw" else settings.weight_decay
    decays = [optax.add_decayed_weights(decay, mask=_weights)] if decay else []
    return _under_any_flags(
        optax.chain(direction, *decays, optax.scale_by_learning_rate(learning_rate(settings, iterations)))
    )


def _under_any_flags(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer, whose steps mix floats with counts, also where the process lets JAX promote no dtypes."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)


def _weights(parameters: Mapping[str, Any]) -> FrozenDict:
    return FrozenDict({name: name.startswith("W") for name in parameters})


def read_config(path: Path) -> dict[str, Any]:
    """The options in a TOML file, by the names they have on the command line, without the dashes in front."""
    values = _read_toml(path)
    names = {name.replace("_", "-") for name in NAMES}
    strange = [name for name in values if name not in names and name != "run"]
    if strange:
        raise InputError(
            f"{path} has {', '.join(strange)!s:.199}; expected options of `jaxnet train`: {', '.join(sorted(names))}"
        )
    return {name: value for name, value in values.items() if name != "run"}


def read_chosen(path: Path) -> list[str]:
    """The options in a run's settings that were not typed but chosen from its data; of a file that was edited, none."""
    options = _read_toml(path)
    run = options.pop("run", None)
    if not isinstance(run, dict) or run.pop("digest", None) != _digest(options, run):
        return []
    return run.get("chosen", [])


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise InputError(f"{path} cannot be read as TOML: it is nested too deeply") from error
    except (OSError, ValueError) as error:  # ValueError: no text, no TOML, or a number of thousands of digits
        raise InputError(f"{path} cannot be read as TOML: {error}") from error


def write_settings(folder: Path, settings: Settings, run: Mapping[str, Any]) -> None:
    """settings.toml: every option, a file for --config; and the table [run], which `read_run` returns.

    A digest of all of it shows what was edited or damaged.
    """
    import tomli_w

    options = {
        field.name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(settings)
        if (value := getattr(settings, field.name)) is not None
    }
    if isinstance(settings.class_weight, tuple):
        options["class-weight"] = dict(settings.class_weight)
    table = {"jaxnet": version("jaxnet"), **run}
    table |= {"digest": _digest(options, table)}
    durable.write(folder / FILE, tomli_w.dumps(options | {"run": table}).encode())


def read_run(folder: Path) -> dict[str, Any]:
    """The table [run] of a folder's settings. Raises `InputError` where the file is not as it was written."""
    path = folder / FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {FILE}; expected the folder of a run, to resume it")
    options = _read_toml(path)
    run = options.pop("run", None)
    if not isinstance(run, dict):
        raise InputError(f"{path} cannot be read: it has no table [run]")
    if run.pop("digest", None) != _digest(options, run):
        raise InputError(
            f"{path} was edited since the run was started, or is damaged; undo that, or train anew with --config"
        )
    return run


def _digest(options: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([options, run], sort_keys=True, default=repr).encode()).hexdigest()
