"""One record of a backward pass: the pairs (A_{l-1}, dZ_l) of all layers, from a seed.

A seed is what the pass starts from: (loss, ZL, Y) -> dZL with C columns an example, column c m + i example i's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..arguments import check_number
from ..checks import as_targets, check_real
from ..companions import Outputs, per_example
from ..errors import InputError
from ..feedback import Feedback, backprop
from ..layers import LayerCache, LinearCache
from ..losses import Loss, diagonal, loss_piece
from ..network import COURSE, L_model_forward, Network, backward_signals
from ..parameters import layer_dims
from ..programs import let_go
from ..types import Inputs, Labels, Masks, Parameters, PRNGKeyArray
from ..weighting import SampleWeight, as_sample_weight, weighted


class Record(NamedTuple):
    """The pairs of all layers, and what each example costs. Readouts contract it; columns carry no 1/m."""

    A: tuple[Float[Array, "n_prev m"], ...]  # A_0 = X, A_1, ..., A_{L-1}
    dZ: tuple[Float[Array, "n Cm"], ...]  # dZ_1, ..., dZ_L; C = 1 unless the seed has more
    loss: Float[Array, " m"]
    sample_weight: Float[Array, " m"] | None = None  # which dZ and loss hold already

    @property
    def examples(self) -> int:
        """m."""
        return self.A[0].shape[1]

    @property
    def layer_dims(self) -> tuple[int, ...]:
        """(n_x, n_1, ..., n_L)."""
        return (len(self.A[0]), *map(len, self.dZ))

    @property
    def columns(self) -> int:
        """C, the columns of an example."""
        return self.dZ[0].shape[1] // self.examples


Seed: TypeAlias = Callable[[Loss, Outputs, Outputs], Float[Array, "n_L Cm"]]


def loss_gradient(loss: Loss, ZL: Outputs, Y: Outputs) -> Outputs:
    """dZL: pairs of the gradient itself, and of the empirical Fisher matrix."""
    return loss.gradient(ZL, Y)


@dataclass(frozen=True, eq=False)  # keys are not hashable
class SampledLabels:
    """The seed that `sampled_labels` makes."""

    key: PRNGKeyArray

    def __call__(self, loss: Loss, ZL: Outputs, Y: Outputs) -> Outputs:
        del Y
        return loss.gradient(ZL, loss_piece(loss, "sample")(ZL, self.key))


def sampled_labels(key: PRNGKeyArray) -> Seed:
    """dZL at labels drawn from the model: a Monte-Carlo estimate of the Fisher matrix.

    For these losses that is the generalized Gauss-Newton matrix, where the labels of an example sum to 1.
    """
    return SampledLabels(key)


def hessian_root(loss: Loss, ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """S with S S^T = H, the Hessian of an example's loss in its logits: the exact Gauss-Newton matrix, with C = n_L."""
    return loss.hessian_root(ZL, Y)


def output_jacobian(loss: Loss, ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """Unit vectors: column c is the derivative of logit c, C = n_L. Their `gram` is the neural tangent kernel."""
    del loss, Y
    return diagonal(jnp.ones_like(ZL))


def record(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    network: Network = COURSE,
    *,
    seed: Seed = loss_gradient,
    masks: Masks = None,
    B: Feedback = None,
    sample_weight: SampleWeight = None,
) -> Record:
    """A_{l-1} and dZ_l of every layer, by one forward pass and the library's backward loop from `seed`.

    C columns an example are one pass over a C times wider batch. With one logit every seed is a factor on the columns
    of one pass, so that under one `jit` records from several seeds cost one: the exact Fisher matrix is free.
    `masks` are those of `dropout_masks`; `B` are the weights of the network's feedback rule, under which dZ_l is what
    that rule sends to layer l. Cost terms of the weights alone, such as L2, belong to no example.

    With `sample_weight` the record is that of the losses w_i loss_i: the columns of example i are multiplied by w_i
    from `loss_gradient`, by sqrt(w_i) from `sampled_labels` and `hessian_root`, whose outer products make w_i H_i, and
    by nothing from `output_jacobian`. A seed of your own multiplies its columns itself.
    Raises `InputError` where the shapes do not fit, the loss lacks what the seed asks for, or weights are given to a
    seed of your own.
    """
    let_go()
    if not callable(seed):
        raise InputError(f"seed is {seed!r:.60}; expected a function of (loss, ZL, Y), such as readouts.loss_gradient")
    _, caches = L_model_forward(X, parameters, network, masks=masks)
    ZL = caches[-1].Z
    Y = as_targets(Y, ZL, network.loss)
    dZL = seed(network.loss, ZL, Y)
    if dZL.ndim != 2 or len(dZL) != len(ZL) or dZL.shape[1] == 0 or dZL.shape[1] % ZL.shape[1]:
        n_L, m = ZL.shape
        raise InputError(f"the seed made a dZL of shape {dZL.shape}; expected ({n_L}, C * {m}), C columns an example")
    A = tuple(cache.linear_cache.A for cache in caches)
    weight = as_sample_weight(sample_weight, ZL)
    factors = _factors(seed, weight)
    columns = None if factors is None else jnp.tile(factors, dZL.shape[1] // ZL.shape[1])
    losses = weighted(per_example(network.loss.value, ZL, Y), weight)
    return Record(A, _signals(dZL, caches, network, masks, B, Y, columns), losses, weight)


def _factors(seed: Seed, weight: Float[Array, " m"] | None) -> Float[Array, " m"] | None:
    """What the columns of each example are multiplied by, so that they are those of w_i loss_i."""
    if weight is None or seed is output_jacobian:
        return None
    if seed is loss_gradient:
        return weight
    if seed is hessian_root or isinstance(seed, SampledLabels):
        return jnp.sqrt(weight)
    raise InputError(
        f"sample_weight is given, but nothing tells how the seed {getattr(seed, '__name__', seed)!s:.60} depends on "
        "it; multiply the columns in the seed, by w_i for gradients and sqrt(w_i) for roots of Hessians"
    )


def _signals(
    dZL: Float[Array, "n_L Cm"],
    caches: list[LayerCache],
    network: Network,
    masks: Masks,
    B: Feedback,
    Y: Float[Array, "n_L m"],
    factors: Float[Array, " Cm"] | None,
) -> tuple[Array, ...]:
    ZL = caches[-1].Z
    if len(ZL) == 1 and network.feedback == backprop:
        signals, dZL = backward_signals(jnp.ones_like(ZL), caches, network, masks=masks), weighted(dZL, factors)
        return tuple(repeated(dZ, dZL) * dZL for dZ in signals.dZ)
    wide = [LayerCache(LinearCache(repeated(A, dZL), W, b), repeated(Z, dZL)) for (A, W, b), Z in caches]
    wide_masks = (
        None if masks is None else [None if mask is None else repeated(jnp.asarray(mask), dZL) for mask in masks]
    )
    Y = repeated(Y, dZL)
    return backward_signals(dZL, wide, network, masks=wide_masks, B=B, Y=Y, sample_weight=factors).dZ


def repeated(A: Float[Array, "n m"], dZ: Float[Array, "k Cm"]) -> Float[Array, "n Cm"]:
    """A beside itself C times, a column for each of dZ."""
    return jnp.tile(A, (1, dZ.shape[1] // A.shape[1]))


def check_record(record: Record) -> None:
    """Raises `InputError` for anything else, such as the parameters."""
    if not isinstance(record, Record):
        raise InputError(
            f"the record is of type {type(record).__name__}; expected what readouts.record(X, Y, parameters) returns"
        )


def check_one_column(record: Record) -> None:
    """Raises `InputError` where an example has more than one column, so that none is its gradient."""
    check_record(record)
    if record.columns != 1:
        raise InputError(
            f"the record has {record.columns} columns an example; expected one, as from seed=loss_gradient"
        )


def check_same_layers(record: Record, other: Record) -> None:
    """Raises `InputError` where two records are not of one architecture."""
    check_record(record)
    check_record(other)
    if record.layer_dims != other.layer_dims:
        raise InputError(
            f"the records are of networks of {record.layer_dims} and {other.layer_dims} units; expected one network"
        )


def check_direction(V: Parameters, dims: tuple[int, ...]) -> None:
    """Raises `InputError` where V is no mapping like the parameters of such a network."""
    if isinstance(V, Mapping):
        for name, value in V.items():
            check_real(f"direction['{name}']", value)
    got = layer_dims(V)
    if got != dims:
        raise InputError(f"the direction has layers of {got} units, the network of {dims}; expected the same")


def check_positive(name: str, value: float | Array) -> None:
    """Raises `InputError` for anything but one number above 0; of a tracer only the shape is known."""
    check_number(name, value, "a number above 0", lambda number: number > 0)
