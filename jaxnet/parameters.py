"""Parameters as an immutable mapping, and `initialize_parameters_deep`, which draws one."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from .arguments import check_key, check_number
from .errors import InputError
from .types import DTypeLike, Parameters, PRNGKeyArray


class FrozenDict(Mapping[str, Any]):
    """An immutable dict and JAX pytree whose keys are in layer order: `W1, b1, ..., W10, b10`.

    As with Python's coming builtin `frozendict` (PEP 814), read it as a dict and make a changed copy with `|`. Unlike
    `frozendict`, it sorts its keys, so that equal sets of keys are equal tree structures in whatever order they were
    written.
    """

    __slots__ = ("_items",)

    def __init__(self, *args: Any, **kwargs: Any):
        items = dict(*args, **kwargs)
        self._items = {name: items[name] for name in sorted(items, key=_layer_order)}

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __or__(self, other: Mapping[str, Any]) -> "FrozenDict":
        return FrozenDict({**self, **other}) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[str, Any]) -> "FrozenDict":
        return FrozenDict({**other, **self}) if isinstance(other, Mapping) else NotImplemented

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        raise TypeError(
            f'this mapping is immutable: instead of `parameters["{name}"] = value` '
            f'write `parameters = parameters | {{"{name}": value}}`'
        )

    def __delitem__(self, name: str) -> NoReturn:
        raise TypeError(
            f'this mapping is immutable: instead of `del parameters["{name}"]` '
            f'write `parameters = FrozenDict({{k: v for k, v in parameters.items() if k != "{name}"}})`'
        )

    def __reduce__(self):
        return FrozenDict, (self._items,)

    def __repr__(self) -> str:
        return f"FrozenDict({self._items!r})"


def _layer_order(name: str) -> tuple[float, str]:
    """`dA0, dA1, dW1, db1, ..., dW10`: by number, then by name; names without a number come last."""
    number = re.search(r"\d+$", name)
    return (int(number.group()) if number else math.inf, name)


def _flatten_with_keys(mapping: FrozenDict):
    return [(jax.tree_util.DictKey(name), value) for name, value in mapping.items()], tuple(mapping)


# Every call of a jitted function flattens its arguments and unflattens its results, so these two have to be fast.
def _flatten(mapping: FrozenDict):
    return tuple(mapping._items.values()), tuple(mapping._items)


def _unflatten(names: tuple[str, ...], values: Iterable[Any]) -> FrozenDict:
    mapping = object.__new__(FrozenDict)
    mapping._items = dict(zip(names, values, strict=True))
    return mapping


jax.tree_util.register_pytree_with_keys(FrozenDict, _flatten_with_keys, _unflatten, _flatten)


def layer_dims(parameters: Parameters) -> tuple[int, ...]:
    """`(n_x, n_1, ..., n_L)`, read off the shapes of `W1, b1, ..., WL, bL`.

    Raises `InputError`, naming the layer, where a key is missing or unknown or two shapes do not fit.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> jaxnet.layer_dims(parameters)
        (2, 3, 1)
    """
    if not isinstance(parameters, Mapping):
        raise InputError(
            f"parameters is of type {type(parameters).__name__}; expected a mapping of W1, b1, ..., WL, bL: "
            "check the order of the arguments"
        )
    L = len(parameters) // 2
    expected = [name for l in range(1, L + 1) for name in (f"W{l}", f"b{l}")]
    if L == 0 or set(parameters) != set(expected):
        got = ", ".join(sorted(parameters, key=_layer_order)) or "none"
        raise InputError(f"parameters have the keys {got}; expected W1, b1, ..., WL, bL")
    dims = []
    for l in range(1, L + 1):
        W, b = np.shape(parameters[f"W{l}"]), np.shape(parameters[f"b{l}"])
        if len(W) != 2:
            raise InputError(f"layer {l}: W{l} has shape {W}; expected (n_{l}, n_{l - 1})")
        if dims and W[1] != dims[-1]:
            raise InputError(
                f"layer {l}: W{l} has shape {W}, but layer {l - 1} has {dims[-1]} units; expected W{l} of shape "
                f"({W[0]}, {dims[-1]})"
            )
        if b != (W[0], 1):
            raise InputError(
                f"layer {l}: b{l} has shape {b}, but W{l} has shape {W}; expected b{l} of shape ({W[0]}, 1), a column"
            )
        dims += [W[1], W[0]] if not dims else [W[0]]
    return tuple(dims)


def checked_layer_dims(layer_dims: Sequence[int]) -> list[int]:
    """The sizes as a list. Raises `InputError` unless they are at least two positive integers."""
    is_sequence = isinstance(layer_dims, Sequence | np.ndarray) and not isinstance(layer_dims, str | bytes)
    dims = list(layer_dims) if is_sequence else []
    if len(dims) < 2 or not all(type(n) is not bool and isinstance(n, int | np.integer) and n > 0 for n in dims):
        raise InputError(
            f"layer_dims is {dims if is_sequence else layer_dims!r:.60}; expected at least two positive integers: the "
            "inputs, then the units of each layer"
        )
    if math.prod(sorted(dims)[-2:]) >= 2**40:
        raise InputError(f"layer_dims is {dims!s:.200}; expected layers that fit in memory: choose smaller ones")
    return dims


# The standard deviation of the entries of W_l, as a function of n_l and n_{l-1}.
INITS = {
    "lecun": lambda n, n_prev: 1 / math.sqrt(n_prev),  # LeCun et al. 1998, "Efficient BackProp", eq. 16
    "he": lambda n, n_prev: math.sqrt(2 / n_prev),  # He et al. 2015, eq. 10
    "xavier": lambda n, n_prev: math.sqrt(2 / (n_prev + n)),  # Glorot & Bengio 2010, eq. 12
}


def initialize_parameters_deep(
    layer_dims: Sequence[int],
    *,
    key: PRNGKeyArray,
    init: str | float = "lecun",
    dtype: DTypeLike | None = None,
) -> FrozenDict:
    """W_l ~ N(0, std_l^2) of shape (n_l, n_{l-1}),  b_l = 0 of shape (n_l, 1).

    Args:
        layer_dims: `(n_x, n_1, ..., n_L)`, the number of inputs and then the units of each layer.
        key: A random key of JAX, such as `jax.random.key(0)`.
        init: The name of std_l: `"lecun"` is 1/sqrt(n_{l-1}), `"he"` is sqrt(2/n_{l-1}), `"xavier"` is
            sqrt(2/(n_{l-1} + n_l)). Or std_l itself as a number; 0.01 is the course's first choice.
        dtype: Of the parameters. Default: JAX's default float.

    Raises:
        InputError: for sizes that are not positive integers, an unknown `init`, and anything but a key.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0), init="he")
        >>> {name: value.shape for name, value in parameters.items()}
        {'W1': (3, 2), 'b1': (3, 1), 'W2': (1, 3), 'b2': (1, 1)}
    """
    dims = checked_layer_dims(layer_dims)
    if not (isinstance(init, str) and init in INITS):
        check_number("init", init, f"a number from 0 or one of {', '.join(INITS)}", lambda std: std >= 0)
    check_key(key)
    sizes = [n * n_prev for n_prev, n in itertools.pairwise(dims)]
    # One draw for all layers: for every shape, the generator is compiled anew, which takes a third of a second.
    entries = jax.random.normal(key, (sum(sizes),), dtype or float)
    parameters, start = {}, 0
    for l, size in enumerate(sizes, start=1):
        n, n_prev = dims[l], dims[l - 1]
        std = INITS[init](n, n_prev) if isinstance(init, str) else init
        parameters[f"W{l}"] = std * entries[start : start + size].reshape(n, n_prev)
        parameters[f"b{l}"] = jnp.zeros((n, 1), dtype or float)
        start += size
    return FrozenDict(parameters)
