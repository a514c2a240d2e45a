"""The generalized Gauss-Newton matrix (GGN), mean over the examples of J_i^T H_i J_i, and the Hessian of the cost.

J_i is the Jacobian of example i's logits with respect to the parameters, and H_i the Hessian of its loss with respect
to the logits. The GGN is the Fisher matrix of these losses; it is the Hessian without the term in the second
derivatives of the network. The vector products are those of the cost under every feedback rule, whereas a record holds
what its rule sends back. Schraudolph 2002, "Fast curvature matrix-vector products for second-order gradient descent";
Pearlmutter 1994, "Fast exact multiplication by the Hessian"; both in Neural Computation.
"""

from typing import cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..checks import as_targets, check_parameters
from ..layers import LayerCache, LinearCache, linear_gradient
from ..network import COURSE, L_model_forward, Network, backward_signals, gradients_from, masked, parameter_grads
from ..parameters import FrozenDict
from ..types import Inputs, Labels, Masks, Parameters
from ..weighting import SampleWeight, as_sample_weight
from .batch import second_moment
from .examples import gram, on_every_device, squared_norms_by_example
from .pairs import Record, check_direction


def ggn_diagonal(record: Record) -> Parameters:
    """The diagonal of the GGN, in the tree structure of the parameters, from `hessian_root` or `sampled_labels`.

    It is the `second_moment` of such a record.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters, cotangent=jaxnet.readouts.hessian_root)
        >>> jaxnet.readouts.ggn_diagonal(pairs)["W1"].shape
        (3, 2)
    """
    return second_moment(record)


def ggn_trace(record: Record) -> Float[Array, ""]:
    """tr GGN = sum of the columns' squared norms / m, from `hessian_root` or `sampled_labels`, without a matrix
       product.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters, cotangent=jaxnet.readouts.hessian_root)
        >>> diagonal = jaxnet.readouts.ggn_diagonal(pairs)
        >>> bool(jnp.allclose(jaxnet.readouts.ggn_trace(pairs), sum(d.sum() for d in diagonal.values())))
        True
    """
    return jnp.sum(squared_norms_by_example(record)) / record.examples


def ggn_spectrum(record: Record) -> Float[Array, " Cm"]:
    """The eigenvalues of K / m with K the `gram` of a record from `hessian_root`: the nonzero eigenvalues of the GGN.

    They are in ascending order. Where there are more columns than parameters, the surplus is 0 up to rounding. Dangel
    et al. 2022 ("ViViT"), arXiv:2106.02624.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters, cotangent=jaxnet.readouts.hessian_root)
        >>> jaxnet.readouts.ggn_spectrum(pairs).shape
        (4,)
    """
    return jnp.linalg.eigvalsh(on_every_device(gram(record)) / record.examples)


def ggn_vector_product(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    V: Parameters,
    network: Network = COURSE,
    *,
    masks: Masks = None,
    sample_weight: SampleWeight = None,
) -> FrozenDict:
    """GGN V = mean over the examples of J_i^T H_i J_i V:  forward along V, times H, and backward like a gradient.

    Schraudolph 2002.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        V: The vector, in the tree structure of the parameters, as is the product.
        network: The functions of the layers. Default: the course's network.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}: see `dropout_masks`.
        sample_weight: `(m,)` weights w_i of the examples, from 0; H_i becomes w_i H_i.

    Raises:
        InputError: where V has not the structure of the parameters, and as `cost_and_grads` does.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> V = jax.tree.map(jnp.ones_like, parameters)
        >>> jaxnet.readouts.ggn_vector_product(X, Y, parameters, V)["W1"].shape
        (3, 2)
    """
    V = _direction(V, parameters)
    _, caches = L_model_forward(X, parameters, network, masks=masks)
    R_caches = forward_along(V, caches, network, masks)
    R_dZL = _hessian_times(R_caches, caches, Y, network)
    grads = gradients_from(R_dZL, caches, network.by_backprop, masks=masks, sample_weight=sample_weight)
    return cast(FrozenDict, parameter_grads(grads, FrozenDict(parameters)))


def hessian_vector_product(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    V: Parameters,
    network: Network = COURSE,
    *,
    masks: Masks = None,
    sample_weight: SampleWeight = None,
) -> FrozenDict:
    """H V = mean over the examples of (R{dZ} A^T + dZ R{A}^T, R{dZ}),  with R{} the derivative along V.

    R{dA_{l-1}} = W^T R{dZ} + V_W^T dZ,  R{dZ_l} = g'(Z) R{dA} + g''(Z) R{Z} dA: Pearlmutter 1994. At the kink of relu,
    g'' is taken to be 0.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        parameters: `W1, b1, ..., WL, bL`.
        V: The vector, in the tree structure of the parameters, as is the product.
        network: The functions of the layers. Default: the course's network.
        masks: One factor, or None, for each of A_0, ..., A_{L-1}: see `dropout_masks`.
        sample_weight: `(m,)` weights of the examples, from 0: see `cost_and_grads`.

    Raises:
        InputError: where V has not the structure of the parameters, and as `cost_and_grads` does.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> V = jax.tree.map(jnp.ones_like, parameters)
        >>> product = jaxnet.readouts.hessian_vector_product(X, Y, parameters, V)
        >>> _, autodiff = jax.jvp(lambda p: jaxnet.cost_and_grads(X, Y, p)[1]["dW1"], (parameters,), (V,))
        >>> bool(jnp.allclose(product["W1"], autodiff))
        True
    """
    V = _direction(V, parameters)
    _, caches = L_model_forward(X, parameters, network, masks=masks)
    R_caches = forward_along(V, caches, network, masks)
    ZL = caches[-1].Z
    weight, Y = as_sample_weight(sample_weight, ZL), as_targets(Y, ZL, network.loss)
    dZL, R_dZL = network.loss.gradient(ZL, Y), _hessian_times(R_caches, caches, Y, network)
    # R{} of the backward loop is its derivative along (R{dZL}, R{caches}); g'' comes from that of each g's backward.
    dZ, R_dZ = jax.jvp(
        lambda dZL, caches: backward_signals(dZL, caches, network.by_backprop, masks=masks, sample_weight=weight).dZ,
        (dZL, caches),
        (R_dZL, R_caches),
    )
    product = {}
    for l, (cache, R_cache) in enumerate(zip(caches, R_caches, strict=True), start=1):
        A, R_A = cache.linear_cache.A, R_cache.linear_cache.A
        R_dW, product[f"b{l}"] = linear_gradient(R_dZ[l - 1], A)
        product[f"W{l}"] = R_dW + linear_gradient(dZ[l - 1], R_A)[0] if l > 1 else R_dW  # X does not move
    return FrozenDict(product)


def _direction(V: Parameters, parameters: Parameters) -> Parameters:
    """V in the dtypes of the parameters, once it is found to have their shapes."""
    check_direction(V, check_parameters(parameters))
    return {name: jnp.asarray(V[name], jnp.result_type(value)) for name, value in parameters.items()}


def forward_along(V: Parameters, caches: list[LayerCache], network: Network, masks: Masks) -> list[LayerCache]:
    """R{Z_l} = V_W A_{l-1} + W_l R{A_{l-1}} + V_b,  R{A_l} = g'(Z_l) * R{Z_l}:  the caches' derivatives along V."""
    R_A = jnp.zeros_like(caches[0].linear_cache.A)
    R_caches = []
    for l, ((A, W, _), Z) in enumerate(caches, start=1):
        V_W, V_b = V[f"W{l}"], V[f"b{l}"]
        R_Z = V_W @ A + W @ R_A + V_b if l > 1 else V_W @ A + V_b  # X does not move
        R_caches.append(LayerCache(LinearCache(R_A, V_W, V_b), R_Z))
        if l < len(caches):
            _, R_A = jax.jvp(network.hidden.forward, (Z,), (R_Z,))
            R_A = jnp.asarray(masked(R_A, masks, l))
    return R_caches


def _hessian_times(R_caches: list[LayerCache], caches: list[LayerCache], Y: Labels, network: Network) -> Array:
    """H R{ZL}, example by example."""
    ZL, R_ZL = caches[-1].Z, R_caches[-1].Z
    return network.loss.hessian_product(ZL, as_targets(Y, ZL, network.loss), R_ZL)
