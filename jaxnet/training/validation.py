"""Checks that data can be trained on, made once, on values, before any work starts.

Shapes are checked where they are used, at no cost under `jit`; values can only be looked at outside of it.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..arguments import check_count, check_key, check_number
from ..checks import as_targets, check_array, check_inputs, check_parameters
from ..errors import InputError
from ..network import Network, check_network
from ..parameters import layer_dims
from ..storage import memory as machine_memory
from ..types import Inputs, Labels, Parameters, PRNGKeyArray
from .augmentation import Augmentation


def check_data(X: Inputs, Y: Labels, parameters: Parameters, network: Network) -> None:
    """Raises `InputError` unless the parameters are finite, X is (n_x, m) of finite floats and Y are its labels."""
    check_network(network)
    dims = check_parameters(parameters)
    check_array("X", X, ", (n_x, m)")
    if X.ndim != 2:
        raise InputError(
            f"X has shape {X.shape}; expected (n_x, m), one column an example: for images (m, height, width, ...) "
            "pass X.reshape(m, -1).T"
        )
    if X.size == 0:
        raise InputError(f"X has shape {X.shape}, which is empty; expected at least one input and one example")
    if X.shape[0] != dims[0]:
        raise InputError(f"layer 1: W1 takes {dims[0]} inputs, but X has shape {X.shape}; expected ({dims[0]}, m)")
    check_inputs(X, dims[0])
    as_targets(Y, jax.ShapeDtypeStruct((dims[-1], X.shape[1]), jnp.float32), network.loss)


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


def check_augmentation(augment: Augmentation | None, n_x: int, key: PRNGKeyArray | None) -> None:
    """Raises `InputError` for an augmentation of images that have another size than the inputs, or without a key."""
    if augment is None:
        return
    if not isinstance(augment, Augmentation):
        raise InputError(
            f"augment is {augment!r:.60}; expected an Augmentation, such as jaxnet.Augmentation((64, 64, 3))"
        )
    if augment.size != n_x:
        raise InputError(
            f"augment is of images of the shape {augment.input_shape}, {augment.size} inputs, but X has {n_x}; "
            "expected the shape that its columns had before they were flattened"
        )
    if key is None:
        raise InputError("images are augmented at random: pass key=jax.random.key(0), or any other seed")
