"""Is this data fit to train on? Asked once, of the values, before any work starts.

Shapes are checked where they are used, at no cost under `jit`; values can only be looked at outside of it.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .arguments import check_count, check_key, check_number
from .errors import InputError
from .losses import binary_cross_entropy, softmax_cross_entropy
from .machine import memory as machine_memory
from .network import Network, as_targets, check_is_array, check_network
from .parameters import layer_dims
from .types import Inputs, Labels, Parameters, PRNGKeyArray


def check_data(X: Inputs, Y: Labels, n_L: int, network: Network) -> None:
    """Raises `InputError` unless X is (n_x, m) of finite floats and Y are labels of its m examples."""
    check_network(network)
    check_is_array(X)
    X = np.asarray(X)
    if X.ndim != 2:
        raise InputError(
            f"X has shape {X.shape}; expected (n_x, m), one column an example: for pictures (m, height, width, ...) "
            "pass X.reshape(m, -1).T"
        )
    if X.size == 0:
        raise InputError(f"X has shape {X.shape}, which is empty; expected at least one input and one example")
    if not jnp.issubdtype(X.dtype, jnp.floating):
        raise InputError(f"X is {X.dtype}; expected floats: for pictures of 0 to 255 pass X / 255")
    _check_finite("X", X, "input")
    _check_labels(np.asarray(Y), n_L, X.shape[1], network)


def check_parameters(parameters: Parameters, X: Inputs) -> None:
    """Raises `InputError`, naming the entry, unless the parameters are finite and take X."""
    dims = layer_dims(parameters)
    if dims[0] != X.shape[0]:
        raise InputError(f"layer 1: W1 takes {dims[0]} inputs, but X has shape {X.shape}; expected ({dims[0]}, m)")
    for name, value in parameters.items():
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise InputError(f"{name} is {value.dtype}; expected floats")
        _check_finite(name, np.asarray(value), "unit")


def check_sizes(parameters: Parameters, sizes: Sequence[int]) -> None:
    """Raises `InputError` unless `sizes` are the `layer_dims` of the parameters."""
    dims = layer_dims(parameters)
    if dims != tuple(sizes):
        raise InputError(f"layer_dims is {list(sizes)}, but the parameters are those of {list(dims)}")


def check_memory(sizes: Sequence[int], m: int) -> None:
    """Raises `InputError` where a network of these sizes cannot be trained on m examples in this machine's memory.

    Asked before anything is allocated, since what XLA cannot allocate ends the process.
    """
    parameters = sum((n_prev + 1) * n for n_prev, n in itertools.pairwise(sizes))
    # The parameters before and after a step and the gradient; and the widest layer, for all examples.
    needed = (3 * parameters + m * max(sizes)) * np.dtype(np.float32).itemsize
    memory = machine_memory()
    if memory is not None and needed > memory:
        raise InputError(
            f"layers of {', '.join(map(str, sizes))} units need at least {needed / 2**30:,.1f} GiB for {m} examples, "
            f"and this machine has {memory / 2**30:,.1f}; choose smaller layers"
        )


def check_schedule(
    m: int, num_iterations: int, batch_size: int | None, key: PRNGKeyArray | None, chunk: int = 1
) -> None:
    """Raises `InputError` for steps that cannot be made with `m` examples."""
    check_count("num_iterations", num_iterations, 0)
    check_count("chunk", chunk)
    if key is not None:
        check_key(key)
    if batch_size is None:
        return
    check_count("batch_size", batch_size)
    if batch_size > m:
        raise InputError(f"batch_size is {batch_size}; expected 1 to {m}, the number of examples")
    if key is None:
        raise InputError("minibatches are drawn at random: pass key=jax.random.key(0), or any other seed")


def check_regularization(lambd: float, keep_prob: float, input_keep_prob: float, key: PRNGKeyArray | None) -> None:
    """Raises `InputError` for a penalty or a dropout that is none."""
    check_number("lambd", lambd, "a number from 0", lambda lambd: lambd >= 0)
    for name, keep in (("keep_prob", keep_prob), ("input_keep_prob", input_keep_prob)):
        check_number(name, keep, "a number above 0 and up to 1", lambda keep: 0 < keep <= 1)
        if keep < 1 and key is None:
            raise InputError("units are dropped at random: pass key=jax.random.key(0), or any other seed")


def _check_finite(name: str, values: np.ndarray, row: str) -> None:
    if not np.isfinite(values).all():
        i, j = np.argwhere(~np.isfinite(values))[0]
        count = np.count_nonzero(~np.isfinite(values))
        raise InputError(
            f"{name} has {count} entries that are not finite, the first is {name}[{i}, {j}] = {values[i, j]} "
            f"({row} {i}); expected finite numbers"
        )


def _check_labels(Y: np.ndarray, n_L: int, m: int, network: Network) -> None:
    if Y.dtype.kind not in "biu" and not jnp.issubdtype(Y.dtype, jnp.floating):
        raise InputError(f"Y has dtype {Y.dtype}; expected numbers: 0 and 1, or probabilities between them")
    as_targets(Y, jax.ShapeDtypeStruct((n_L, m), jnp.float32))
    Y = Y.astype(float).reshape(n_L, m)
    _check_finite("Y", Y, "output")
    if network.loss in (binary_cross_entropy, softmax_cross_entropy) and (Y.min() < 0 or Y.max() > 1):
        raise InputError(
            f"labels lie between {Y.min():g} and {Y.max():g}; expected 0 and 1, or probabilities between them"
        )
    if network.loss is softmax_cross_entropy:
        sums = Y.sum(axis=0)
        worst = int(np.argmax(np.abs(sums - 1)))
        if abs(sums[worst] - 1) > 1e-3:
            raise InputError(
                f"column {worst} of Y sums to {sums[worst]:g}; softmax cross-entropy expects columns that sum to 1, "
                "one-hot or probabilities"
            )
