"""The runs of a sweep, each as what `train` would make its steps from."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from ..arguments import check_number
from ..checks import as_targets
from ..errors import InputError
from ..hoisting import digest_of
from ..network import Network, outputs_like
from ..optimizer import with_numbers_as_arguments
from ..parameters import initialize_parameters_deep
from ..training import (
    ALL_INPUTS,
    Augmentation,
    InputBasis,
    Order,
    StepConfig,
    as_rows,
    before_steps,
    check_augmentation,
    check_data,
    check_regularization,
    check_schedule,
    complete,
    in_fewest_inputs,
    order_of,
    with_weights,
)
from ..types import AnyArray, Inputs, Labels, PRNGKeyArray
from ..update import TrainState
from ..weighting import ClassWeight, SampleWeight, example_weights
from .grid import SEED, Settings, without_addresses


OF_A_RUN = "layer_dims", "hidden", "loss", "feedback", "init", "lambd", "keep_prob", "input_keep_prob", "batch_size"


class Member(NamedTuple):
    """A run about to be made."""

    network: Network
    config: StepConfig  # whose optimizer's numbers are arguments
    state: TrainState  # in the inputs of `basis`
    key: PRNGKeyArray
    rows: jax.Array
    Y_rows: jax.Array
    batch_size: int | None
    basis: InputBasis = ALL_INPUTS

    @property
    def identity(self) -> str:
        """A short name for the functions, the numbers and the key of its steps, the same in every process."""
        text = without_addresses(str(jax.tree.structure(self.config)))
        numbers = [np.asarray(number) for number in jax.tree.leaves(self.config)]
        return digest_of([np.frombuffer(text.encode(), np.uint8), *numbers, self.key])

    @property
    def order(self) -> Order | None:
        """Which examples are in which step."""
        return order_of(len(self.rows), self.batch_size, self.key)


@dataclass(frozen=True, eq=False)
class Task:
    """What all runs of a sweep have in common."""

    X: Inputs
    Y: Labels
    network: Network
    num_iterations: int
    chunk: int
    key: PRNGKeyArray | None
    augment: Augmentation | None
    dtype: str | None
    sample_weight: SampleWeight
    class_weight: ClassWeight
    reduce_inputs: bool
    _kept: dict[Any, Any] = field(default_factory=dict)

    def member(self, settings: Settings, state: TrainState | None) -> Member:
        """The run of these settings, from its first step, or from a state that it has reached."""
        network, optimizer = self._network(settings), self._optimizer(settings)
        own_key = jax.random.key(settings[SEED])
        first = state
        if first is None:
            drawn = initialize_parameters_deep(settings["layer_dims"], key=own_key, init=settings["init"])
            first = TrainState(drawn)
        key = own_key if self.key is None else self.key
        self._check(settings, network, first, key)
        m = self.X.shape[1]
        labels, is_weighted = self._labels(network, first)
        config = StepConfig(
            optimizer=optimizer,
            network=network,
            l2=float(settings["lambd"]) / m,
            keep_prob=float(settings["keep_prob"]),
            input_keep_prob=float(settings["input_keep_prob"]),
            dtype=self.dtype,
            weighted=is_weighted,
            augment=self.augment,
        )
        first = complete(first, optimizer, network, key)
        X, first, basis = self._inputs(first, config, settings["batch_size"])
        first = before_steps(first, optimizer)
        hoisted = with_numbers_as_arguments(optimizer, first.parameters, first.opt_state)
        config = replace(config, optimizer=hoisted)
        return Member(network, config, first, key, self._rows(X), self._rows(labels), settings["batch_size"], basis)

    def _once(self, name: str, what: Any, make: Callable[[], Any]) -> Any:
        """What runs have in common, made for the first of them."""
        if (name, what) not in self._kept:
            self._kept[name, what] = make()
        return self._kept[name, what]

    def _network(self, settings: Settings) -> Network:
        parts = {name: settings[name] for name in ("hidden", "loss", "feedback") if settings[name] is not None}
        return replace(self.network, **parts)

    def _optimizer(self, settings: Settings) -> optax.GradientTransformation:
        """The same object for the same settings: one that cannot be read is known by nothing else."""
        numbers = {name: value for name, value in settings.items() if name not in (*OF_A_RUN, "optimizer", SEED)}
        known = settings["optimizer"], repr(sorted(numbers.items(), key=str))
        return self._once("optimizer", known, lambda: make_optimizer(settings["optimizer"], numbers))

    def _check(self, settings: Settings, network: Network, first: TrainState, key: PRNGKeyArray) -> None:
        dims = tuple(int(n) for n in settings["layer_dims"])
        self._once("data", (dims, network), lambda: check_data(self.X, self.Y, first.parameters, network))
        check_schedule(self.X.shape[1], self.num_iterations, settings["batch_size"], key, self.chunk)
        check_regularization(settings["lambd"], settings["keep_prob"], settings["input_keep_prob"], key)
        check_augmentation(self.augment, self.X.shape[0], key)

    def _labels(self, network: Network, first: TrainState) -> tuple[np.ndarray, bool]:
        """The labels as its loss takes them, with the weights of the examples."""
        like = outputs_like(self.X, first.parameters, len(first.parameters[f"b{len(first.parameters) // 2}"]))

        def make():
            Y = as_targets(self.Y, like, network.loss)
            weight = example_weights(Y, network.loss.output, self.sample_weight, self.class_weight)
            return with_weights(np.asarray(Y), weight), weight is not None

        return self._once("labels", (network.loss, like.shape, like.dtype), make)

    def _inputs(
        self, first: TrainState, config: StepConfig, batch_size: int | None
    ) -> tuple[AnyArray, TrainState, InputBasis]:
        if not self.reduce_inputs:
            return self.X, first, ALL_INPUTS
        steps = self.num_iterations - int(first.step)
        X, first, basis = in_fewest_inputs(self.X, first, config, batch_size or self.X.shape[1], steps)
        if X is self.X:
            return X, first, basis
        before = self._once("reduced", X.shape, lambda: X)
        return before if np.array_equal(before, X) else X, first, basis

    def _rows(self, columns: AnyArray) -> jax.Array:
        return self._once("rows", id(columns), lambda: (columns, as_rows(columns)))[1]


def make_optimizer(optimizer: Any, numbers: Mapping[str, Any]) -> optax.GradientTransformation:
    """`optimizer(**numbers)`, of a function of optax. Raises `InputError` for numbers that it does not take."""
    if isinstance(optimizer, optax.GradientTransformation) or not callable(optimizer):
        raise InputError(
            f"optimizer is {optimizer!r:.60}; expected a function that makes one of a learning_rate, such as optax.adam"
        )
    name = getattr(optimizer, "__name__", "optimizer")
    taken = inspect.signature(optimizer).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    for number, value in numbers.items():
        if number not in taken and not takes_all:
            raise InputError(f"{name} takes no {number}; expected some of {', '.join(taken)}")
        if isinstance(value, float | int) and not isinstance(value, bool):
            check_number(number, value, "a number")
    try:
        made = optimizer(**numbers)
    except Exception as error:  # foreign code may raise anything
        raise InputError(f"{name}({_call(numbers)}) fails: {type(error).__name__}: {error!s:.200}") from error
    if not isinstance(made, optax.GradientTransformation):
        raise InputError(f"{name}({_call(numbers)}) is {made!r:.60}; expected an optimizer of optax")
    return made


def _call(numbers: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r:.40}" for name, value in numbers.items())
