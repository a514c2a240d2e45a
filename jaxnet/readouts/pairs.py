"""A record of one backward pass: the pairs (A_{l-1}, dZ_l) of all layers.

The pass starts from the dZL that a `Cotangent` makes, (loss, ZL, Y) -> dZL, with C columns per example, of which column
c m + i belongs to example i. In between, the columns of an example are kept together, (n, m, C): so they stay where the
example is, if the examples are sharded over devices.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from ..arguments import check_number
from ..checks import as_targets, check_real
from ..companions import HessianRoot, Outputs, per_example
from ..errors import InputError
from ..feedback import Feedback, backprop
from ..layers import LayerCache, LinearCache
from ..losses import Loss, diagonal, loss_function
from ..network import COURSE, L_model_forward, Network, backward_signals
from ..parameters import layer_dims
from ..programs import let_go
from ..types import Inputs, Labels, Masks, Parameters, PRNGKeyArray
from ..weighting import SampleWeight, as_sample_weight, weighted


class _RecordFields(NamedTuple):
    A: tuple[Float[Array, "n_prev m"], ...]  # A_0 = X, A_1, ..., A_{L-1}
    D: tuple[Float[Array, "n ..."], ...]  # dZ_1, ..., dZ_L, each as `dZ` or as `by_example`
    loss: Float[Array, " m"]
    sample_weight: Float[Array, " m"] | None = None  # already contained in dZ and loss


class Record(_RecordFields):
    """The pairs of all layers, and the loss of each example. Readouts contract the pairs; columns carry no 1/m."""

    __slots__ = ()

    def __new__(
        cls,
        A: tuple[Float[Array, "n_prev m"], ...],
        dZ: tuple[Float[Array, "n ..."], ...],
        loss: Float[Array, " m"],
        sample_weight: Float[Array, " m"] | None = None,
    ):
        return super().__new__(cls, A, dZ, loss, sample_weight)

    @property
    def dZ(self) -> tuple[Float[Array, "n Cm"], ...]:
        """dZ_1, ..., dZ_L; C = 1 unless the cotangent has more columns."""
        return tuple(map(side_by_side, self.by_example))

    @property
    def by_example(self) -> tuple[Float[Array, "n m C"], ...]:
        """dZ_1, ..., dZ_L, with the columns of an example together."""
        return tuple(D if D.ndim == 3 else by_example(D, self.examples) for D in self.D)

    @property
    def examples(self) -> int:
        """m, the number of examples."""
        return self.A[0].shape[1]

    @property
    def layer_dims(self) -> tuple[int, ...]:
        """(n_x, n_1, ..., n_L)."""
        return (len(self.A[0]), *map(len, self.D))

    @property
    def columns(self) -> int:
        """C, the number of columns per example."""
        return self.D[0].size // (len(self.D[0]) * self.examples)


def by_example(columns: Float[Array, "... Cm"], m: int) -> Float[Array, "... m C"]:
    """What stands at c m + i, as [i, c]."""
    *rows, examples = jax.typeof(columns).sharding.spec
    return reshaped(columns, (*columns.shape[:-1], -1, m), *rows, None, examples).swapaxes(-1, -2)


def side_by_side(D: Float[Array, "... m C"]) -> Float[Array, "... Cm"]:
    """What stands at [i, c], as c m + i: unless C is 1, devices that have some of the examples exchange them."""
    *rows, examples, _ = jax.typeof(D).sharding.spec
    return reshaped(D.swapaxes(-1, -2), (*D.shape[:-2], -1), *rows, examples)


def flat(D: Float[Array, "n m C"]) -> Float[Array, "n mC"]:
    """What stands at [i, c], as i C + c: a matrix, whose columns are still where the examples are."""
    return reshaped(D, (len(D), -1), *jax.typeof(D).sharding.spec[:2])


def repeated(A: Float[Array, "n m"], C: int) -> Float[Array, "n mC"]:
    """Each column C times, as `flat` orders them."""
    return A if C == 1 else flat(jnp.broadcast_to(A[:, :, None], (*A.shape, C)))


def reshaped(array: Array, shape: tuple[int, ...], *spec: Any) -> Array:
    """Reshaped; over explicit axes of a mesh, JAX asks how the result is sharded."""
    return jnp.reshape(array, shape, out_sharding=NamedSharding(jax.typeof(array).sharding.mesh, PartitionSpec(*spec)))


Cotangent: TypeAlias = Callable[[Loss, Outputs, Outputs], Float[Array, "n_L Cm"]]


def loss_gradient(loss: Loss, ZL: Outputs, Y: Outputs) -> Outputs:
    """dZL, the gradient of the loss: for the gradient itself, and for the empirical Fisher matrix.

    Example:
        >>> loss = jaxnet.losses.squared_error
        >>> jaxnet.readouts.loss_gradient(loss, jnp.array([[3.0]]), jnp.array([[1.0]]))
        Array([[2.]], dtype=float32)
    """
    return loss.gradient(ZL, Y)


@dataclass(frozen=True, eq=False)  # keys are not hashable
class SampledLabels:
    """The function that `sampled_labels` returns."""

    key: PRNGKeyArray

    def __call__(self, loss: Loss, ZL: Outputs, Y: Outputs) -> Outputs:
        del Y
        return loss.gradient(ZL, loss_function(loss, "sample")(ZL, self.key))


def sampled_labels(key: PRNGKeyArray) -> Cotangent:
    """dZL at labels drawn from the model: for a Monte Carlo estimate of the Fisher matrix.

    For the losses of this library that is the generalized Gauss-Newton matrix, where the labels of an example sum to 1.

    Example:
        >>> cotangent = jaxnet.readouts.sampled_labels(jax.random.key(0))
        >>> cotangent(jaxnet.losses.squared_error, jnp.zeros((1, 2)), jnp.zeros((1, 2))).shape
        (1, 2)
    """
    return SampledLabels(key)


def hessian_root(loss: Loss, ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """S with S S^T = H, the Hessian of an example's loss in its logits: for the exact Gauss-Newton matrix, with C =
       n_L.

    Example:
        >>> jaxnet.readouts.hessian_root(jaxnet.losses.squared_error, jnp.zeros((1, 2)), jnp.zeros((1, 2)))
        Array([[1., 1.]], dtype=float32)
    """
    return loss.hessian_root(ZL, Y)


def hessian_roots(loss: Loss, ZL: Outputs, Y: Outputs) -> Float[Array, "n_L m C"]:
    """`hessian_root` by example."""
    if isinstance(loss.hessian_root, HessianRoot):
        return loss.hessian_root.by_example(ZL, Y)
    # Of each example by itself: side by side, columns of one would be far from each other.
    return jax.vmap(lambda zL, y: loss.hessian_root(zL[:, None], y[:, None]), in_axes=1, out_axes=1)(ZL, Y)


def output_jacobian(loss: Loss, ZL: Outputs, Y: Outputs) -> Float[Array, "n_L Cm"]:
    """Unit vectors, with C = n_L: column c makes the derivative of logit c. Their `gram` is the neural tangent kernel.

    Example:
        >>> jaxnet.readouts.output_jacobian(jaxnet.losses.squared_error, jnp.zeros((2, 1)), jnp.zeros((2, 1)))
        Array([[1., 0.],
               [0., 1.]], dtype=float32)
    """
    del loss, Y
    return diagonal(jnp.ones_like(ZL))


def record(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    network: Network = COURSE,
    *,
    cotangent: Cotangent = loss_gradient,
    masks: Masks = None,
    B: Feedback = None,
    sample_weight: SampleWeight = None,
) -> Record:
    """A_{l-1} and dZ_l of every layer, by one forward pass and one pass of the library's backward loop.

    C columns per example are one pass over a batch C times as wide. With one logit every cotangent is a factor on the
    columns of one pass, so that under one `jit` records from several cost one pass, and the exact Fisher matrix
    is free. Cost terms of the weights alone, such as L2, do not belong to any example.

    With weights w_i the record is that of the losses w_i loss_i: the columns of example i are multiplied by w_i under
    `loss_gradient`, by sqrt(w_i) under `sampled_labels` and `hessian_root`, whose outer products make w_i H_i, and not
    at all under `output_jacobian`.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers. Default: the course's network.
        cotangent: `(loss, ZL, Y) -> dZL`, `(n_L, C m)`, that the backward pass starts from. Default:
            `loss_gradient`.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}: see `dropout_masks`.
        B: The weights of the network's feedback rule, under which dZ_l is what that rule sends to layer l.
        sample_weight: `(m,)` weights w_i of the examples, from 0. A function of your own multiplies its columns itself.

    Raises:
        InputError: where shapes do not fit, the loss lacks what the cotangent asks for, or weights are given along with
            a cotangent of your own.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> [A.shape for A in pairs.A], [dZ.shape for dZ in pairs.dZ], pairs.loss.shape
        ([(2, 4), (3, 4)], [(3, 4), (1, 4)], (4,))
    """
    let_go()
    if not callable(cotangent):
        raise InputError(
            f"cotangent is {cotangent!r:.60}; expected a function of (loss, ZL, Y), such as readouts.loss_gradient"
        )
    _, caches = L_model_forward(X, parameters, network, masks=masks)
    ZL = caches[-1].Z
    Y = as_targets(Y, ZL, network.loss)
    dZL = _start(cotangent, network.loss, ZL, Y)
    A = tuple(cache.linear_cache.A for cache in caches)
    weight = as_sample_weight(sample_weight, ZL)
    losses = weighted(per_example(network.loss.value, ZL, Y), weight)
    return Record(A, _signals(dZL, caches, network, masks, B, Y, _factors(cotangent, weight)), losses, weight)


def _start(cotangent: Cotangent, loss: Loss, ZL: Outputs, Y: Outputs) -> Float[Array, "n_L m C"]:
    """The dZL of the cotangent, by example."""
    if cotangent is hessian_root:
        return hessian_roots(loss, ZL, Y)
    if cotangent is output_jacobian:
        ones = (jnp.isnan(ZL) | True).astype(ZL.dtype)  # sharded as ZL is; those of `ones_like` need not be
        return jnp.eye(len(ZL), dtype=ZL.dtype)[:, None, :] * ones[:, :, None]
    dZL, (n_L, m) = cotangent(loss, ZL, Y), ZL.shape
    if dZL.ndim != 2 or len(dZL) != n_L or dZL.shape[1] == 0 or dZL.shape[1] % m:
        raise InputError(f"cotangent made a dZL of shape {dZL.shape}; expected ({n_L}, C * {m}), C columns per example")
    return by_example(dZL, m)


def _factors(cotangent: Cotangent, weight: Float[Array, " m"] | None) -> Float[Array, " m"] | None:
    """The factors on the columns of each example with which they are those of w_i loss_i."""
    if weight is None or cotangent is output_jacobian:
        return None
    if cotangent is loss_gradient:
        return weight
    if cotangent is hessian_root or isinstance(cotangent, SampledLabels):
        return jnp.sqrt(weight)
    raise InputError(
        "sample_weight is given, but it is not known how the cotangent "
        f"{getattr(cotangent, '__name__', cotangent)!s:.60} depends on it; multiply its columns, by w_i for "
        "gradients and sqrt(w_i) for roots of Hessians"
    )


def _signals(
    dZL: Float[Array, "n_L m C"],
    caches: list[LayerCache],
    network: Network,
    masks: Masks,
    B: Feedback,
    Y: Float[Array, "n_L m"],
    factors: Float[Array, " m"] | None,
) -> tuple[Float[Array, "n m ..."], ...]:
    """dZ_1, ..., dZ_L by example, or as they are if C is 1: one pass over a batch C times as wide."""
    (n_L, m, C), dZL = dZL.shape, flat(dZL)
    if factors is not None:
        factors = repeated(factors[None], C)[0]
    if n_L == 1 and network.feedback == backprop:
        signals = backward_signals(jnp.ones_like(caches[-1].Z), caches, network, masks=masks)
        wide = [repeated(dZ, C) * weighted(dZL, factors) for dZ in signals.dZ]
    else:
        caches = [LayerCache(LinearCache(repeated(A, C), W, b), repeated(Z, C)) for (A, W, b), Z in caches]
        if masks is not None:
            masks = [None if mask is None else repeated(jnp.asarray(mask), C) for mask in masks]
        Y = repeated(Y, C)
        wide = backward_signals(dZL, caches, network, masks=masks, B=B, Y=Y, sample_weight=factors).dZ
    if C == 1:
        return tuple(wide)
    return tuple(reshaped(dZ, (len(dZ), m, C), *jax.typeof(dZ).sharding.spec, None) for dZ in wide)


def check_record(record: Record) -> None:
    """Raises `InputError` for anything but a record, such as the parameters."""
    if not isinstance(record, Record):
        raise InputError(
            f"the record is of type {type(record).__name__}; expected what readouts.record(X, Y, parameters) returns"
        )


def check_one_column(record: Record) -> None:
    """Raises `InputError` where an example has more than one column, so that none of them is its gradient."""
    check_record(record)
    if record.columns != 1:
        raise InputError(
            f"the record has {record.columns} columns per example; expected one, as from cotangent=loss_gradient"
        )


def check_same_layers(record: Record, other: Record) -> None:
    """Raises `InputError` where two records have different architectures."""
    check_record(record)
    check_record(other)
    if record.layer_dims != other.layer_dims:
        raise InputError(
            f"the records belong to networks with {record.layer_dims} and {other.layer_dims} units; expected the same"
        )


def check_direction(V: Parameters, dims: tuple[int, ...]) -> None:
    """Raises `InputError` where V is not a mapping like the parameters of such a network."""
    if isinstance(V, Mapping):
        for name, value in V.items():
            check_real(f"direction['{name}']", value)
    got = layer_dims(V)
    if got != dims:
        raise InputError(f"the direction has layers with {got} units, the network with {dims}; expected the same")


def check_positive(name: str, value: float | Array) -> None:
    """Raises `InputError` for anything but one number above 0; of a tracer only the shape is known."""
    check_number(name, value, "a number above 0", lambda number: number > 0)
