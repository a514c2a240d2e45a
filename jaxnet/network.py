"""The whole network: forward, cost, and the one backward loop.

    forward   (X, parameters)   -> AL, caches
    backward  (AL, Y, caches)   -> grads

`network`, everywhere the last argument, says which functions the layers apply; the course's network, relu layers
under one sigmoid with cross-entropy, is its default.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .activations import Activation, as_activation
from .companions import per_example
from .errors import InputError
from .feedback import Crossing, Feedback, Rule, as_rule, backprop
from .layers import LayerCache, linear_activation_forward, linear_forward, linear_gradient, linear_transpose
from .losses import Loss, as_loss, loss_piece
from .parameters import FrozenDict, layer_dims
from .types import AnyArray, Cost, DTypeLike, Grads, Inputs, Labels, Masks, Outputs, Parameters
from .weighting import SampleWeight, as_sample_weight, weighted


class _NetworkFields(NamedTuple):
    hidden: Activation
    loss: Loss
    feedback: Rule


class Network(_NetworkFields):
    """The functions of a network, as parameters are its arrays: hidden activation, loss over the output, feedback rule.

    Names are accepted for all. Hashable, so one static argument under `jit`.
    """

    __slots__ = ()

    def __new__(
        cls,
        hidden: str | Activation = "relu",
        loss: str | Loss = "binary_cross_entropy",
        feedback: str | Rule = "backprop",
    ):
        return super().__new__(cls, as_activation(hidden), as_loss(loss), as_rule(feedback))

    @property
    def by_backprop(self) -> "Network":
        """The same network whose error travels back through W^T: the derivative of its cost."""
        return self._replace(feedback=backprop)


COURSE = Network()


def L_model_forward(
    X: Inputs, parameters: Parameters, network: Network = COURSE, *, masks: Masks = None
) -> tuple[Float[Array, "n_L m"], list[LayerCache]]:
    """A_l = g(W_l A_{l-1} + b_l) for l = 1 ... L-1,  AL = output(W_L A_{L-1} + b_L), and the cache of each layer.

    `masks`, one or None for each of A_0 = X, ..., A_{L-1}, multiply them: see `dropout_masks`.
    Raises `InputError`, naming the layer, where the shapes do not fit.
    """
    L = len(_checked_dims(X, parameters, network)) - 1
    A = masked(X, masks, 0)
    caches = []
    for l in range(1, L):
        A, cache = linear_activation_forward(A, parameters[f"W{l}"], parameters[f"b{l}"], network.hidden)
        A = masked(A, masks, l)
        caches.append(cache)
    ZL, linear_cache = linear_forward(A, parameters[f"W{L}"], parameters[f"b{L}"])
    return network.loss.output(ZL), [*caches, LayerCache(linear_cache, ZL)]


def backpropagate(
    dZL: Float[Array, "n_L m"],
    caches: Sequence[tuple],
    network: Network = COURSE,
    *,
    masks: Masks = None,
    B: Feedback = None,
    Y: Outputs | None = None,
    sample_weight: SampleWeight = None,
) -> FrozenDict:
    """dA_{l-1}, dZ_l of `backward_signals`, and dW_l = dZ_l A_{l-1}^T / m, db_l = mean of the columns of dZ_l.

    It starts from any `dZL`: column i is the derivative of example i's loss with respect to that example's logits,
    without 1/m. `dA0` is m times the derivative of the cost with respect to X.
    `masks` are those of the forward pass; `dA_l` then belongs to A_l before its mask, as in the course.
    `B` are the feedback weights of the network's rule, and `Y` the targets, which some rules send back.
    `sample_weight` multiplies the columns: `backward_signals`.
    Raises `InputError`, naming the layer, where the arrays of the caches do not fit.
    """
    check_network(network)
    _checked_logits(caches)
    signals = backward_signals(jnp.asarray(dZL), caches, network, masks=masks, B=B, Y=Y, sample_weight=sample_weight)
    grads = {}
    for l, ((A_prev, _, _), _) in enumerate(caches, start=1):
        grads[f"dA{l - 1}"] = signals.dA[l - 1]
        grads[f"dW{l}"], grads[f"db{l}"] = linear_gradient(signals.dZ[l - 1], jnp.asarray(A_prev))
    return FrozenDict(grads)


class Signals(NamedTuple):
    """What travels backward, without 1/m: column i belongs to example i."""

    dZ: tuple[Float[Array, "n m"], ...]  # dZ_1 ... dZ_L
    dA: tuple[Float[Array, "n m"], ...]  # dA_0 ... dA_{L-1}


def backward_signals(
    dZL: Float[Array, "n_L m"],
    caches: Sequence[tuple],
    network: Network = COURSE,
    *,
    masks: Masks = None,
    B: Feedback = None,
    Y: Outputs | None = None,
    sample_weight: SampleWeight = None,
) -> Signals:
    """dA_{l-1} = W_l^T dZ_l,  dZ_{l-1} = g'(Z_{l-1}) * dA_{l-1},  for l = L ... 1: the library's one backward loop.

    Under another rule than backpropagation, `network.feedback` says what dA_1 ... dA_{L-1} are, by its weights `B`.
    With `sample_weight`, column i of all of them is w_i times what it would be: weights of examples are not seen by
    the rule, which need not be linear.
    Raises `InputError` where B is missing, or dZL or what the rule makes has another shape than Z_L or A_{l-1}.
    """
    rule = network.feedback
    if dZL.shape != np.shape(caches[-1][1]):
        raise InputError(f"dZL has shape {dZL.shape}, but the last cache holds a ZL of shape {np.shape(caches[-1][1])}")
    weight = as_sample_weight(sample_weight, dZL)
    if B is None and rule != backprop:
        raise InputError("this network has a feedback rule: pass B=initialize_feedback(parameters, network, key=key)")
    if rule == backprop and jax.tree.leaves(B):
        raise InputError("B are given, but this network goes by backpropagation; pass Network(..., feedback=rule)")
    L, targets = len(caches), None if Y is None else jnp.asarray(Y)
    dZL = weighted(dZL, weight) if rule == backprop else dZL  # linear: once at its start, and all of it is weighted
    dZ, dA = {L: dZL}, {}
    for l in reversed(range(1, L + 1)):
        A_prev, W = map(jnp.asarray, caches[l - 1][0][:2])
        if l == 1:
            dA_prev = linear_transpose(dZ[1], W)
        else:
            dA_prev = rule.propagate(B, Crossing(l, dZ[l], W, A_prev, dZL, targets))
            if dA_prev.shape != (len(A_prev), dZL.shape[1]):
                raise InputError(
                    f"layer {l}: the feedback rule made a dA{l - 1} of shape {dA_prev.shape}; "
                    f"expected {(len(A_prev), dZL.shape[1])}"
                )
        dA[l - 1] = masked(dA_prev, masks, l - 1)
        if l > 1:
            _, Z_prev = caches[l - 2]
            dZ[l - 1] = network.hidden.backward(dA[l - 1], jnp.asarray(Z_prev))
    signals = Signals(tuple(dZ[l] for l in range(1, L + 1)), tuple(dA[l] for l in range(L)))
    if weight is None or rule == backprop:
        return signals
    return jax.tree.map(lambda columns: weighted(columns, weight), signals)


def L_model_backward(
    AL: Outputs,
    Y: Labels,
    caches: Sequence[tuple],
    network: Network = COURSE,
    *,
    masks: Masks = None,
    B: Feedback = None,
    sample_weight: SampleWeight = None,
) -> FrozenDict:
    """dZL = J_output(ZL)^T dAL, then `backpropagate`: grads with dA0 ... dA{L-1}, dW1 ... dWL, db1 ... dbL.

    With `AL` the output of `L_model_forward`, dZL is AL - Y, also where both saturate; with any other `AL`, dZL is
    the course's chain `dAL * sigmoid'(ZL)`. Columns of `dA` carry no 1/m; `dW` and `db` are means.
    `masks` and `B`: `backpropagate`; `sample_weight`: `cost_and_grads`.
    """
    AL, ZL = _checked_output(AL, network), _checked_logits(caches)
    if AL.shape != ZL.shape:
        raise InputError(f"AL has shape {AL.shape}, but the last cache holds a ZL of shape {ZL.shape}")
    Y = as_targets(Y, AL)
    dZL = network.loss.gradient_from_AL(AL, Y, ZL)
    return backpropagate(dZL, caches, network, masks=masks, B=B, Y=Y, sample_weight=sample_weight)


def masked(A: AnyArray, masks: Masks, l: int) -> AnyArray:
    """A_l times its mask, and dA_l likewise: a diagonal matrix is its own transpose."""
    mask = None if masks is None else masks[l]
    return A if mask is None else A * mask


def compute_cost(AL: Outputs, Y: Labels, network: Network = COURSE, *, sample_weight: SampleWeight = None) -> Cost:
    """J = mean over the examples of loss(AL, Y); for the course's network -(Y log AL + (1 - Y) log(1 - AL)).

    0 log 0 is 0: an output of exactly 0 or 1 that is right costs nothing, one that is wrong costs infinity.
    `sample_weight`: `cost_and_grads`. Raises `InputError` where the loss does not tell its value from AL.
    """
    AL = _checked_output(AL, network)
    value_from_AL = loss_piece(network.loss, "value_from_AL")
    losses = per_example(value_from_AL, AL, as_targets(Y, AL))
    return jnp.mean(weighted(losses, as_sample_weight(sample_weight, AL)))


def cost_and_grads(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    network: Network = COURSE,
    *,
    masks: Masks = None,
    B: Feedback = None,
    dtype: DTypeLike | None = None,
    sample_weight: SampleWeight = None,
) -> tuple[Cost, FrozenDict]:
    """J and the grads of `L_model_backward`, both from the logits, so that nothing saturates: what training uses.

    With `sample_weight`, (m,) numbers w_i from 0, J = (1/m) sum_i w_i loss_i, and column i of every dZ_l and dA_l is
    multiplied by w_i. The mean stays that over m examples: weights that sum to m keep the scale of the cost.

    With `dtype`, such as bfloat16, layers are computed in it, forward and back; cost and `dZL` stay in the dtype of
    `parameters`. The grads are of `dtype`. `masks` and `B`: `backpropagate`.
    """
    wide = jnp.result_type(*parameters.values())
    if dtype is not None:
        X, parameters, masks = jax.tree.map(lambda value: jnp.asarray(value, dtype), (X, dict(parameters), masks))
        B = jax.tree.map(lambda value: _in_dtype(value, dtype), B)
    _, caches = L_model_forward(X, parameters, network, masks=masks)
    ZL = caches[-1].Z if dtype is None else caches[-1].Z.astype(wide)
    Y = as_targets(Y, ZL)
    weight = as_sample_weight(sample_weight, ZL)
    J = jnp.mean(weighted(per_example(network.loss.value, ZL, Y), weight))
    dZL = network.loss.gradient(ZL, Y)
    if dtype is not None:
        dZL, Y = dZL.astype(dtype), Y.astype(dtype)
    return J, backpropagate(dZL, caches, network, masks=masks, B=B, Y=Y, sample_weight=weight)


def _in_dtype(value: Any, dtype: DTypeLike) -> Any:
    """Floats in that dtype; a key or a counter, which a rule may keep, as it is."""
    return jnp.asarray(value, dtype) if jnp.issubdtype(jnp.result_type(value), jnp.floating) else value


def parameter_grads(grads: Grads, parameters: Parameters) -> Parameters:
    """{name: grads["d" + name]} in the tree structure and the dtypes of `parameters`, which is what optax takes."""
    return jax.tree_util.tree_map_with_path(
        lambda path, parameter: jnp.asarray(grads[f"d{path[0].key}"], jnp.result_type(parameter)), parameters
    )


def cost(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    network: Network = COURSE,
    *,
    masks: Masks = None,
    sample_weight: SampleWeight = None,
) -> Cost:
    """J as a function that JAX differentiates through the hand-written backward (a `jax.custom_vjp`).

    `jax.grad(cost, argnums=2)` is the gradient that `cost_and_grads` makes. Reverse mode; `jax.jvp` alone is refused.
    `masks` are constants; the derivative with respect to `sample_weight` is loss_i / m. It is the derivative also
    where the network has another feedback rule, whose grads are not.
    """
    n_L, X = _checked_dims(X, parameters, network)[-1], jnp.asarray(X)
    AL = outputs_like(X, parameters, n_L)
    return _cost(network, X, as_targets(Y, AL), as_sample_weight(sample_weight, AL), parameters, masks)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _cost(network: Network, X: Inputs, Y: Outputs, weight: SampleWeight, parameters: Parameters, masks: Masks) -> Cost:
    return _cost_forward(network, X, Y, weight, parameters, masks)[0]


def _cost_forward(network, X, Y, weight, parameters, masks):
    _, caches = L_model_forward(X, parameters, network, masks=masks)
    losses = per_example(network.loss.value, caches[-1].Z, Y)
    return jnp.mean(weighted(losses, weight)), (X, caches, Y, weight, parameters, masks)


def _cost_backward(network, residuals, dJ):
    X, caches, Y, weight, parameters, masks = residuals
    ZL, m = caches[-1].Z, Y.shape[1]
    grads = backpropagate(network.loss.gradient(ZL, Y), caches, network.by_backprop, masks=masks, sample_weight=weight)
    dparameters = parameter_grads({name: dJ * g for name, g in grads.items()}, parameters)
    _, value_transpose = jax.vjp(lambda Y, w: jnp.mean(weighted(network.loss.value(ZL, Y), w)), Y, weight)
    return jnp.asarray(dJ / m * grads["dA0"], X.dtype), *value_transpose(dJ), dparameters, None


_cost.defvjp(_cost_forward, _cost_backward)


def predict(X: Inputs, parameters: Parameters, network: Network = COURSE) -> Array:
    """The predicted label of each example: 1 where AL > 1/2, else 0, of shape (n_L, m).

    Under softmax the index of the largest output, (1, m); under squared error AL itself.
    """
    AL, _ = L_model_forward(X, parameters, network)
    return loss_piece(network.loss, "decide")(AL)


def as_targets(Y: Labels, AL: Outputs | jax.ShapeDtypeStruct) -> Float[Array, "n_L m"]:
    """Y in the shape and dtype of AL. For one output (m,) and (m, 1) are reshaped, as in the course.

    Raises `InputError` for any other shape: reshaping (m, n_L) would mix the examples. So it does where there are no
    examples, since their mean would be NaN.
    """
    n_L, m = AL.shape
    shape = np.shape(Y)
    if m == 0:
        raise InputError(f"there are no examples: the output has shape {(n_L, m)} and Y {shape}; expected at least one")
    if shape != (n_L, m) and not (n_L == 1 and shape in [(m,), (m, 1)]):
        hint = ""
        if shape == (m, n_L):
            hint = "; examples are columns: pass Y.T"
        elif n_L > 1 and shape in [(m,), (1, m), (m, 1)]:
            hint = f"; for class indices pass jax.nn.one_hot(Y.ravel(), {n_L}).T"
        raise InputError(f"Y has shape {shape}; expected {(n_L, m)}, one column an example{hint}")
    return jnp.asarray(Y, AL.dtype).reshape(n_L, m)


def outputs_like(X: Inputs, parameters: Parameters, n_L: int) -> jax.ShapeDtypeStruct:
    """The shape and dtype of the network's output for X."""
    return jax.ShapeDtypeStruct((n_L, X.shape[1]), jnp.result_type(X, *parameters.values()))


def check_network(network: Network) -> None:
    """Raises `InputError` for anything else, such as the name of an activation."""
    if not isinstance(network, Network):
        raise InputError(
            f"network is {network!r:.60}; expected a `Network`, such as jaxnet.Network('relu', 'binary_cross_entropy')"
        )


def check_is_array(X: AnyArray) -> None:
    """Raises `InputError` for anything else, such as a list of lists."""
    if not isinstance(X, jax.Array | np.ndarray):
        raise InputError(f"X is of type {type(X).__name__}; expected an array, (n_x, m): pass jax.numpy.array(X)")


def _checked_output(AL: Outputs, network: Network) -> Array:
    """AL as an array of floats: labels take its dtype, so that whole numbers would cut soft ones off."""
    check_network(network)
    AL = jnp.asarray(AL)
    if AL.ndim != 2 or not jnp.issubdtype(AL.dtype, jnp.floating):
        raise InputError(
            f"AL has shape {AL.shape} and dtype {AL.dtype}; expected (n_L, m) floats, one column an example"
        )
    return AL


def _checked_logits(caches: Sequence[tuple]) -> Array:
    """ZL, which the last cache holds, once the arrays of all caches fit each other."""
    if len(caches) == 0:
        raise InputError("caches are empty; expected a cache for each layer, as `L_model_forward` returns them")
    shapes = [(np.shape(A_prev), np.shape(W), np.shape(Z)) for (A_prev, W, _), Z in caches]
    for l, (A, W, Z) in enumerate(shapes, start=1):
        below = A if l == 1 else shapes[l - 2][2]
        if len(A) != 2 or W != (*W[:1], A[0]) or Z != (*W[:1], A[1]) or A != below:
            raise InputError(
                f"layer {l}: the cache holds A{l - 1} of shape {A}, W{l} {W} and Z{l} {Z}; expected (n_prev, m), "
                f"(n, n_prev) and (n, m), where (n_prev, m) is {below}"
            )
    return jnp.asarray(caches[-1][1])


def _checked_dims(X: AnyArray, parameters: Parameters, network: Network) -> tuple[int, ...]:
    """`layer_dims(parameters)`, once X fits them and the network is one."""
    dims = layer_dims(parameters)
    check_network(network)
    check_is_array(X)
    shape, dtype = np.shape(X), jnp.result_type(X)
    if len(shape) != 2 or shape[0] != dims[0]:
        hint = "; examples are columns: pass X.T" if len(shape) == 2 and shape[1] == dims[0] else ""
        raise InputError(f"layer 1: X has shape {shape}, but W1 takes {dims[0]} inputs; expected ({dims[0]}, m){hint}")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(f"X is {dtype}; expected floats: for pictures of 0 to 255 pass X / 255")
    return dims
