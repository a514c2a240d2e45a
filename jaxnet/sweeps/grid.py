"""The runs of a sweep, as the settings of each: every combination of the values that are given, or a list of them."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ..arguments import check_count
from ..errors import InputError


Settings = dict[str, Any]
SEED = "seed"


def runs_of(given: Settings, some: Sequence[Mapping[str, Any]] | None, seeds: Iterable[int]) -> list[Settings]:
    """A dict for each run: for each of `some`, each combination of what is given, and each seed, which varies fastest.

    Raises `InputError` for seeds or values that are none, and for what is given twice.
    """
    seeds = _as_seeds(seeds)
    axes = {name: _values(name, value) for name, value in given.items()}
    some = [{}] if some is None else _as_settings(some, axes)
    runs = []
    for chosen in some:
        names = {**axes, **{name: [value] for name, value in chosen.items()}}
        for values in itertools.product(*names.values()):
            runs += [{**dict(zip(names, values, strict=True)), SEED: seed} for seed in seeds]
    return runs


def without_addresses(text: str) -> str:
    """A text in which functions are not known by where they lie in memory, which another process has elsewhere."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _as_seeds(seeds: Iterable[int]) -> list[int]:
    expected = "seeds is {!r:.60}; expected whole numbers from 0, each once, such as range(16)"
    if isinstance(seeds, str | bytes | Mapping) or not isinstance(seeds, Iterable):
        raise InputError(expected.format(seeds))
    found = list(seeds)
    for seed in found:
        check_count("a seed", seed, 0)
    found = [int(seed) for seed in found]
    if not found or len(set(found)) < len(found):
        raise InputError(expected.format(found))
    if max(found) >= 2**32:
        raise InputError(f"a seed is {max(found)}; expected one below 2^32")
    return found


def _values(name: str, value: Any) -> list[Any]:
    """The values of a setting: those in a list, or the one that is given."""
    if not is_many(name, value):
        return [value]
    values = value.tolist() if isinstance(value, np.ndarray | jax.Array) else list(value)
    if not values:
        raise InputError(f"{name} is empty; expected at least one value")
    return values


def is_many(name: str, value: Any) -> bool:
    """Whether it is several values. A tuple with names, such as an `Activation`, is one; so are the sizes of layers."""
    if isinstance(value, np.ndarray | jax.Array):
        return value.ndim == 1 and name != "layer_dims"
    several = type(value) in (list, tuple, range)
    return several and (name != "layer_dims" or any(isinstance(sizes, list | tuple) for sizes in value))


def _as_settings(some: Sequence[Mapping[str, Any]], axes: Mapping[str, list[Any]]) -> list[Mapping[str, Any]]:
    is_list = isinstance(some, list | tuple) and some and all(isinstance(chosen, Mapping) for chosen in some)
    if not is_list:
        raise InputError(
            f'settings is {some!r:.60}; expected a list of dicts, such as [{{"hidden": "relu", "learning_rate": 0.1}}]'
        )
    for name in dict.fromkeys(name for chosen in some for name in chosen):
        if name == SEED:
            raise InputError('settings has "seed"; every one of them is run with each of `seeds`')
        if len(axes.get(name, ())) > 1:
            raise InputError(f"{name} has several values, and is in settings too; expected one of both")
    return list(some)
