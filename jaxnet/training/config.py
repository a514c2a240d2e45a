"""What all steps of a run have in common: functions, which make a program, and numbers, with which it is called."""

from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import optax

from ..members import numbers_of, with_numbers, without_numbers
from ..network import COURSE, Network
from ..optimizer import GRADIENT_DESCENT, HoistedOptimizer
from ..types import Number
from .augmentation import Augmentation, Views


NUMBERS = {"l2": 0.0, "keep_prob": 1.0, "input_keep_prob": 1.0}  # and the value that stands for none of it


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class StepConfig:
    """What all steps of a run have in common. A pytree of its numbers, of which a compiled step is a function.

    A penalty of 0.0 and probabilities of 1.0 belong to the program: then nothing is added, and nothing dropped.
    """

    optimizer: optax.GradientTransformation = GRADIENT_DESCENT
    network: Network = COURSE
    l2: Number = 0.0
    keep_prob: Number = 1.0
    input_keep_prob: Number = 1.0
    dtype: str | None = None
    record_every: int | None = None
    weighted: bool = False  # the last entry of every row of labels is the weight of the example: see `with_weights`
    augment: Augmentation | Views | None = None

    def tree_flatten(self):
        """The numbers, and the rest, by which JAX knows the program."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        numbers = {name: value for name, value in numbers.items() if not _is_static(value, NUMBERS[name])}
        if isinstance(self.optimizer, HoistedOptimizer):
            numbers["optimizer"] = self.optimizer
        rest = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in numbers}
        template, rates = self.__dict__.get("_parts") or _parts(self.network)
        if rates:
            numbers["rates"], rest["network"] = rates, template
        return tuple(numbers.values()), (tuple(numbers), tuple(rest.items()))

    @classmethod
    def tree_unflatten(cls, static, numbers):
        """The config of these numbers."""
        names, rest = static
        config = object.__new__(cls)  # JAX puts all kinds of things in the place of numbers
        parts = {**dict(rest), **dict(zip(names, numbers, strict=True))}
        if "rates" in parts:
            template, rates = parts["network"], parts.pop("rates")
            parts["network"] = replace(template, feedback=with_numbers(template.feedback, rates))
            parts["_parts"] = template, rates  # since what stands for a number need not look like one
        for name, value in parts.items():
            object.__setattr__(config, name, value)
        return config


def _parts(network: Network) -> tuple[Network, list[float]]:
    """The network without the numbers of its rule, and these."""
    rates = numbers_of(network.feedback)
    return (replace(network, feedback=without_numbers(network.feedback)) if rates else network), rates


def _is_static(value: Any, none: float) -> bool:
    return isinstance(value, float | int) and value == none
