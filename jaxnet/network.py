"""The whole network: forward, cost, and the one backward loop.

    forward   (X, parameters)   -> AL, caches
    backward  (AL, Y, caches)   -> grads

`network` says which functions the layers apply. Its default is the course's network: relu layers under one sigmoid with
cross-entropy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .activations import ACTIVATIONS, STRAIGHT_THROUGH, Activation, as_activation
from .checks import (
    as_targets,
    check_array,
    check_caches,
    check_finite,
    check_float_dtype,
    check_floats,
    check_gradient,
    check_inputs,
    check_masks,
    check_output,
    check_parameters,
    check_tree,
)
from .companions import per_example
from .errors import InputError
from .feedback import RULES, Crossing, Feedback, Rule, as_rule, backprop
from .layers import LayerCache, affine, linear_gradient, linear_transpose
from .losses import LOSSES, Loss, as_loss, loss_function
from .members import described, itself
from .parameters import FrozenDict, layer_dims
from .types import AnyArray, Cost, DTypeLike, Grads, Inputs, Labels, Masks, Outputs, Parameters
from .weighting import SampleWeight, as_sample_weight, weighted


@jax.tree_util.register_static
@dataclass(frozen=True, init=False, repr=False)
class Network:
    """The functions of a network, as parameters are its arrays.

    A value without arrays, which JAX sees as static: a compiled function takes it like any other argument.
    `dataclasses.replace(network, hidden="tanh")` is the network with another part.

    Args:
        hidden: The activation of the hidden layers, a name or an `Activation`.
        loss: The loss over the output, a name or a `Loss`; it brings the output's own activation with it.
        feedback: How the error travels back, a name or a `Rule`. Default: backpropagation.

    Raises:
        InputError: for an unknown name, with a list of the known ones.

    Example:
        >>> jaxnet.Network(hidden="tanh", loss="softmax_cross_entropy")
        Network('tanh', 'softmax_cross_entropy')
    """

    hidden: Activation
    loss: Loss
    feedback: Rule

    __copy__ = __deepcopy__ = itself

    def __init__(
        self,
        hidden: str | Activation = "relu",
        loss: str | Loss = "binary_cross_entropy",
        feedback: str | Rule = "backprop",
    ) -> None:
        object.__setattr__(self, "hidden", as_activation(hidden))
        object.__setattr__(self, "loss", as_loss(loss))
        object.__setattr__(self, "feedback", as_rule(feedback))

    def __repr__(self) -> str:
        hidden = described(self.hidden, ACTIVATIONS | STRAIGHT_THROUGH)
        loss = described(self.loss, LOSSES)
        if self.feedback == backprop:
            return f"Network({hidden}, {loss})"
        return f"Network({hidden}, {loss}, {described(self.feedback, {name: make() for name, make in RULES.items()})})"

    @property
    def by_backprop(self) -> "Network":
        """The same network under backpropagation, whose grads are the derivative of its cost."""
        return replace(self, feedback=backprop)


COURSE = Network()


def L_model_forward(
    X: Inputs, parameters: Parameters, network: Network = COURSE, *, masks: Masks = None
) -> tuple[Float[Array, "n_L m"], list[LayerCache]]:
    """A_l = g(W_l A_{l-1} + b_l) for l = 1 ... L-1,  AL = output(W_L A_{L-1} + b_L), and the cache of each layer.

    Args:
        X: Inputs, `(n_x, m)`, one column per example; A_0.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers. Default: the course's network.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}: see `dropout_masks`.

    Returns:
        AL, `(n_L, m)`, and the list of L caches `((A_prev, W, b), Z)`.

    Raises:
        InputError: naming the layer, where shapes do not fit or X or a parameter is not finite.

    Example:
        >>> X = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> AL, caches = jaxnet.L_model_forward(X, parameters)
        >>> AL.shape, len(caches)
        ((1, 4), 2)
    """
    _check(X, parameters, network, masks)
    return _forward(X, parameters, network, masks)


def _check(X: Inputs, parameters: Parameters, network: Network, masks: Masks = None) -> int:
    """n_L, once all the arguments are found to fit each other and to be finite."""
    dims = check_parameters(parameters)
    check_network(network)
    check_inputs(X, dims[0])
    check_masks(masks, [(n, X.shape[1]) for n in dims[:-1]])
    return dims[-1]


def _forward(
    X: Inputs, parameters: Parameters, network: Network, masks: Masks
) -> tuple[Float[Array, "n_L m"], list[LayerCache]]:
    """`L_model_forward` without its checks."""
    L = len(parameters) // 2
    A = masked(X, masks, 0)
    caches = []
    for l in range(1, L + 1):
        Z, linear_cache = affine(A, parameters[f"W{l}"], parameters[f"b{l}"])
        caches.append(LayerCache(linear_cache, Z))
        if l < L:
            A = masked(network.hidden.forward(Z), masks, l)
    return network.loss.output(caches[-1].Z), caches


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
    """dZ_l and dA_{l-1} as in `backward_signals`, and dW_l = dZ_l A_{l-1}^T / m, db_l = mean of the columns of dZ_l.

    Args:
        dZL: The cotangent to start from, `(n_L, m)`: column i is the derivative of example i's loss with respect to its
            logits, without 1/m. Any array of that shape will do.
        caches: One `((A_prev, W, b), Z)` per layer, as `L_model_forward` returns them.
        network: The functions of the layers. Default: the course's network.
        masks: Those of the forward pass; `dA_l` then belongs to A_l before its mask, as in the course.
        B: The feedback weights of the network's rule; None for backpropagation.
        Y: The targets, `(n_L, m)`, which some feedback rules send back.
        sample_weight: `(m,)` factors on the columns of all dZ_l and dA_l.

    Returns:
        Grads with the keys dA0 ... dA{L-1}, dW1, db1, ..., dWL, dbL. `dA0` is m times the derivative of the cost with
        respect to X.

    Raises:
        InputError: naming the layer, where the arrays of the caches do not fit or are not finite.

    Example:
        >>> X = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> AL, caches = jaxnet.L_model_forward(X, parameters)
        >>> grads = jaxnet.backpropagate(jnp.ones((1, 4)), caches)
        >>> list(grads), grads["dW1"].shape
        (['dA0', 'dA1', 'dW1', 'db1', 'dW2', 'db2'], (3, 2))
    """
    check_network(network)
    _check_way_back("dZL", dZL, caches, masks)
    check_floats("dZL", dZL)
    return gradients_from(dZL, caches, network, masks=masks, B=B, Y=Y, sample_weight=sample_weight)


def _check_way_back(name: str, start: AnyArray, caches: Sequence[tuple], masks: Masks) -> None:
    """Raises `InputError` unless `start`, the masks and the caches fit each other."""
    check_caches(caches)
    ZL = caches[-1][1]
    if np.shape(start) != ZL.shape:
        raise InputError(
            f"{name} has shape {np.shape(start)}, but the last cache holds a ZL of shape {ZL.shape}; expected one shape"
        )
    check_masks(masks, [np.shape(A_prev) for (A_prev, _, _), _ in caches])


def gradients_from(
    dZL: Float[AnyArray, "n_L m"],
    caches: Sequence[tuple],
    network: Network,
    *,
    masks: Masks = None,
    B: Feedback = None,
    Y: Outputs | None = None,
    sample_weight: SampleWeight = None,
) -> FrozenDict:
    """`backpropagate` without its checks."""
    signals = backward_signals(jnp.asarray(dZL), caches, network, masks=masks, B=B, Y=Y, sample_weight=sample_weight)
    grads = {}
    for l, ((A_prev, _, _), _) in enumerate(caches, start=1):
        grads[f"dA{l - 1}"] = signals.dA[l - 1]
        grads[f"dW{l}"], grads[f"db{l}"] = linear_gradient(signals.dZ[l - 1], jnp.asarray(A_prev))
    return FrozenDict(grads)


class Signals(NamedTuple):
    """The signals that travel backward, without 1/m: column i belongs to example i."""

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

    Under another rule than backpropagation, `network.feedback` determines dA_1 ... dA_{L-1} by means of its weights
    `B`. With `sample_weight`, column i of every signal is multiplied by w_i; the rule, which need not be linear, does
    not see the weights. For the other arguments see `backpropagate`.

    Raises `InputError` where B is missing, or where dZL or what the rule returns has not the shape of Z_L or A_{l-1}.
    """
    rule = network.feedback
    if dZL.shape != np.shape(caches[-1][1]):
        raise InputError(f"dZL has shape {dZL.shape}, but the last cache holds a ZL of shape {np.shape(caches[-1][1])}")
    weight = as_sample_weight(sample_weight, dZL)
    if B is None and rule != backprop:
        raise InputError("this network has a feedback rule: pass B=initialize_feedback(parameters, network, key=key)")
    if rule == backprop and jax.tree.leaves(B):
        raise InputError("B is given, but this network uses backpropagation; pass Network(..., feedback=rule)")
    check_tree("B", B)
    L, targets = len(caches), None if Y is None else jnp.asarray(Y)
    dZL = weighted(dZL, weight) if rule == backprop else dZL  # a linear rule: weighting its start weights every signal
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

    With `AL` the output of `L_model_forward`, dZL is AL - Y, even where both saturate; with any other `AL`, dZL is the
    course's chain `dAL * sigmoid'(ZL)`. Columns of `dA` carry no 1/m; `dW` and `db` are means over the examples.

    Args:
        AL: Outputs, `(n_L, m)`; probabilities under the cross-entropies.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`. 0 and 1 of any dtype, or probabilities.
        caches: One `((A_prev, W, b), Z)` per layer, as `L_model_forward` returns them.
        network: The functions of the layers. Default: the course's network.
        masks: Those of the forward pass.
        B: The feedback weights of the network's rule; None for backpropagation.
        sample_weight: `(m,)` weights of the examples, from 0: see `cost_and_grads`.

    Raises:
        InputError: naming the layer, where shapes do not fit or a number is not finite, and for labels that the loss
            does not take.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> AL, caches = jaxnet.L_model_forward(X, parameters)
        >>> grads = jaxnet.L_model_backward(AL, Y, caches)
        >>> bool(jnp.allclose(grads["dW1"], jax.grad(jaxnet.cost, argnums=2)(X, Y, parameters)["W1"]))
        True
    """
    check_network(network)
    check_output(AL, network.loss)
    _check_way_back("AL", AL, caches, masks)
    AL, ZL = jnp.asarray(AL), jnp.asarray(caches[-1][1])
    Y = as_targets(Y, AL, network.loss)
    dZL = network.loss.gradient_from_AL(AL, Y, ZL)
    return gradients_from(dZL, caches, network, masks=masks, B=B, Y=Y, sample_weight=sample_weight)


def masked(A: AnyArray, masks: Masks, l: int) -> AnyArray:
    """A_l times its mask, and likewise dA_l, since a diagonal matrix is its own transpose."""
    mask = None if masks is None else masks[l]
    return A if mask is None else jnp.asarray(A) * mask


def compute_cost(AL: Outputs, Y: Labels, network: Network = COURSE, *, sample_weight: SampleWeight = None) -> Cost:
    """J = mean over the examples of loss(AL, Y); for the course's network -(Y log AL + (1 - Y) log(1 - AL)).

    0 log 0 is 0: an output of exactly 0 or 1 costs nothing where it is right, and infinity where it is wrong.

    Args:
        AL: Outputs, `(n_L, m)`; probabilities under the cross-entropies.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        network: Its loss is used. Default: binary cross-entropy.
        sample_weight: `(m,)` weights of the examples, from 0: see `cost_and_grads`.

    Raises:
        InputError: where shapes or values do not fit, or AL does not determine the value of the loss.

    Example:
        >>> jaxnet.compute_cost(jnp.array([[0.5, 0.9]]), jnp.array([[1, 1]]))
        Array(0.399, dtype=float32)
    """
    check_network(network)
    check_output(AL, network.loss)
    value_from_AL, AL = loss_function(network.loss, "value_from_AL"), jnp.asarray(AL)
    losses = per_example(value_from_AL, AL, as_targets(Y, AL, network.loss))
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
    """J and the grads of `L_model_backward`, both computed from the logits, so that nothing saturates: what training
           uses.

    With weights w_i, J = (1/m) sum_i w_i loss_i, and column i of every dZ_l and dA_l is multiplied by w_i. The mean
    stays one over m examples, so weights that sum to m keep the scale of the cost.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers. Default: the course's network.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}: see `dropout_masks`.
        B: The feedback weights of the network's rule; None for backpropagation.
        dtype: The compute dtype, such as `"bfloat16"`: layers are computed in it, forward and backward, and the grads
            have it. Cost and `dZL` stay in the parameter dtype. Default: the parameter dtype.
        sample_weight: `(m,)` weights w_i of the examples, from 0.

    Raises:
        InputError: naming the layer, where shapes do not fit or a number is not finite, and for labels that the loss
            does not take.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> J, grads = jaxnet.cost_and_grads(X, Y, parameters)
        >>> J.shape, grads["dA0"].shape, grads["dW2"].shape
        ((), (2, 4), (1, 3))
    """
    _check(X, parameters, network, masks)
    wide = jnp.result_type(*parameters.values())
    if dtype is not None:
        X, parameters, masks = jax.tree.map(lambda value: jnp.asarray(value, dtype), (X, dict(parameters), masks))
        B = jax.tree.map(lambda value: _in_dtype(value, dtype), B)
    _, caches = _forward(X, parameters, network, masks)
    ZL = caches[-1].Z if dtype is None else caches[-1].Z.astype(wide)
    Y = as_targets(Y, ZL, network.loss)
    weight = as_sample_weight(sample_weight, ZL)
    J = jnp.mean(weighted(per_example(network.loss.value, ZL, Y), weight))
    dZL = network.loss.gradient(ZL, Y)
    if dtype is not None:
        dZL, Y = dZL.astype(dtype), Y.astype(dtype)
    return J, gradients_from(dZL, caches, network, masks=masks, B=B, Y=Y, sample_weight=weight)


def _in_dtype(value: Any, dtype: DTypeLike) -> Any:
    """Floats are cast to that dtype; a key or a counter, which a rule may keep, is left alone."""
    return jnp.asarray(value, dtype) if jnp.issubdtype(jnp.result_type(value), jnp.floating) else value


def parameter_grads(grads: Grads, parameters: Parameters) -> Parameters:
    """{name: grads["d" + name]} in the tree structure and the dtypes of `parameters`, which is what optax takes.

    Raises `InputError`, naming the entry, for a gradient that is missing or has not the shape of its parameter.

    Example:
        >>> parameters = {"W1": jnp.ones((1, 2)), "b1": jnp.zeros((1, 1))}
        >>> _, grads = jaxnet.cost_and_grads(jnp.eye(2), jnp.array([[0, 1]]), parameters)
        >>> jaxnet.parameter_grads(grads, parameters)["W1"]
        Array([[ 0.366, -0.134]], dtype=float32)
    """
    layer_dims(parameters)
    for name, value in parameters.items():
        check_array(name, value)
        check_float_dtype(name, value)
        check_gradient(f"d{name}", grads, value.shape)
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
    """J as a function that JAX differentiates through the hand-written backward pass (a `jax.custom_vjp`).

    `jax.grad(cost, argnums=2)` returns the gradient that `cost_and_grads` computes. Reverse mode only: `jax.jvp`
    raises. The gradient is the derivative of the cost even where the network has a feedback rule, whose grads are not.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        network: The functions of the layers. Default: the course's network.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}. They are constants: no derivative reaches them.
        sample_weight: `(m,)` weights of the examples, from 0. The derivative with respect to w_i is loss_i / m.

    Raises:
        InputError: as `cost_and_grads` does.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> gradient = jax.grad(jaxnet.cost, argnums=2)(X, Y, parameters)
        >>> list(gradient)
        ['W1', 'b1', 'W2', 'b2']
    """
    n_L, X = _check(X, parameters, network, masks), jnp.asarray(X)
    AL = outputs_like(X, parameters, n_L)
    Y, weight = as_targets(Y, AL, network.loss), as_sample_weight(sample_weight, AL)
    return _cost(network, *_varying_alike((X, Y, weight, parameters, masks)))


def _varying_alike(arrays: Any) -> Any:
    """Inside `jax.shard_map`, the arrays as ones that all vary over the axes of the mesh over which any of them does.

    The cotangent of the cost's rule then varies too, and the transpose of this is the sum over the axes over which an
    argument did not vary.
    """
    axes = frozenset().union(*(jax.typeof(value).mat.varying for value in jax.tree.leaves(arrays)))
    return jax.tree.map(
        lambda value: jax.lax.pcast(value, tuple(sorted(axes - jax.typeof(value).mat.varying)), to="varying"), arrays
    )


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _cost(network: Network, X: Inputs, Y: Outputs, weight: SampleWeight, parameters: Parameters, masks: Masks) -> Cost:
    return _cost_forward(network, X, Y, weight, parameters, masks)[0]


def _cost_forward(network, X, Y, weight, parameters, masks):
    _, caches = _forward(X, parameters, network, masks)
    losses = per_example(network.loss.value, caches[-1].Z, Y)
    return jnp.mean(weighted(losses, weight)), (X, caches, Y, weight, parameters, masks)


def _cost_backward(network, residuals, dJ):
    X, caches, Y, weight, parameters, masks = residuals
    ZL, m = caches[-1].Z, Y.shape[1]
    dZL = network.loss.gradient(ZL, Y)
    grads = gradients_from(dZL, caches, network.by_backprop, masks=masks, sample_weight=weight)
    dparameters = parameter_grads({name: dJ * g for name, g in grads.items()}, parameters)
    _, value_transpose = jax.vjp(lambda Y, w: jnp.mean(weighted(network.loss.value(ZL, Y), w)), Y, weight)
    return jnp.asarray(dJ / m * grads["dA0"], X.dtype), *value_transpose(dJ), dparameters, None


_cost.defvjp(_cost_forward, _cost_backward)


def predict(X: Inputs, parameters: Parameters, network: Network = COURSE) -> Array:
    """The predicted label of each example: 1 where AL > 1/2, else 0, of shape (n_L, m).

    Under softmax it is the index of the largest output, (1, m), and under squared error AL itself. Raises `InputError`
    where shapes do not fit, and where an output is not finite, since NaN is not a label.

    Example:
        >>> parameters = {"W1": jnp.array([[1.0, -1.0]]), "b1": jnp.zeros((1, 1))}
        >>> jaxnet.predict(jnp.array([[2.0, 1.0], [1.0, 2.0]]), parameters)
        Array([[1, 0]], dtype=int32)
    """
    _check(X, parameters, network)
    AL, _ = _forward(X, parameters, network, None)
    check_finite("the output AL", AL)
    return loss_function(network.loss, "decide")(AL)


def outputs_like(X: Inputs, parameters: Parameters, n_L: int) -> jax.ShapeDtypeStruct:
    """The shape and dtype of the network's output for X."""
    return jax.ShapeDtypeStruct((n_L, X.shape[1]), jnp.result_type(X, *parameters.values()))


def check_network(network: Network) -> None:
    """Raises `InputError` for anything but a `Network`, such as the name of an activation."""
    if not isinstance(network, Network):
        raise InputError(
            f"network is {network!r:.60}; expected a `Network`, such as jaxnet.Network('relu', 'binary_cross_entropy')"
        )
