"""K-FAC as an optax transformation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ..arguments import check_count, check_number
from ..errors import InputError
from ..parameters import layer_dims
from ..types import Parameters
from .kronecker import KroneckerFactors, Symmetric
from .pairs import check_positive


class KFACState(NamedTuple):
    """Running means of the factors, and the inverses of those at the last refresh."""

    step: Int[Array, ""]
    factors: KroneckerFactors
    inverses: KroneckerFactors


def precondition_by_kfac(
    damping: float, decay: float = 0.95, interval: int = 1
) -> optax.GradientTransformationExtraArgs:
    """[dW, db] -> G^{-1} [dW, db] A^{-1}  in every layer, with damped running means of the Kronecker factors.

    The damping is shared between (A + pi sqrt(damping) I) and (G + sqrt(damping) / pi I) by their mean eigenvalues,
    pi^2 = (tr A / dim A) / (tr G / dim G). Martens & Grosse 2015, arXiv:1503.05671, sections 5 and 6.3.

    `update` takes the factors of the step's batch as `factors=`. A single batch that is not finite would stay in the
    means; `optax.apply_if_finite` leaves it out.

    Args:
        damping: Above 0.
        decay: Of the running means, from 0 and below 1; they are unbiased from the first step on. Default: 0.95.
        interval: The inverses are computed anew every so many steps. Old ones call for a smaller learning rate.
            Default: 1.

    Raises:
        InputError: for a damping, decay or interval out of range, and, in `update`, where `factors` are not passed.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> pairs = jaxnet.readouts.record(X, Y, parameters)
        >>> gradient = jaxnet.readouts.mean_gradient(pairs)
        >>> optimizer = optax.chain(jaxnet.readouts.precondition_by_kfac(damping=0.1), optax.sgd(0.1))
        >>> state = optimizer.init(parameters)
        >>> factors = jaxnet.readouts.kronecker_factors(pairs)
        >>> updates, state = optimizer.update(gradient, state, parameters, factors=factors)
        >>> updates["W1"].shape
        (3, 2)
    """
    check_positive("damping", damping)
    check_number("decay", decay, "0 <= decay < 1", lambda decay: 0 <= decay < 1)
    check_count("interval", interval)

    def init(params: Any) -> KFACState:
        dims, dtype = layer_dims(params), jnp.result_type(*params.values())
        A, G = (tuple(jnp.zeros((n, n), dtype) for n in sizes) for sizes in ([n + 1 for n in dims[:-1]], dims[1:]))
        zeros = KroneckerFactors(A, G)
        # A copy, since a compiled step that donates its state cannot donate an array twice.
        return KFACState(jnp.zeros((), jnp.int32), zeros, jax.tree.map(jnp.copy, zeros))

    def update(updates: Any, state: Any, params: Any = None, *, factors: Any = None, **extra: Any) -> tuple[Any, Any]:
        del params, extra
        if factors is None:
            raise InputError(
                "no factors; call optimizer.update(..., factors=readouts.kronecker_factors(record)) in a step of your "
                "own: `train` and `make_update_step` pass none"
            )
        step = state.step + 1
        mean = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.factors, factors)
        unbiased = jax.tree.map(lambda factor: factor / (1 - decay ** step.astype(factor.dtype)), mean)
        inverses = jax.lax.cond(
            state.step % interval == 0, lambda: damped_inverses(unbiased, damping), lambda: state.inverses
        )
        return preconditioned(updates, inverses), KFACState(step, mean, inverses)

    return optax.GradientTransformationExtraArgs(init, update)


def damped_inverses(factors: KroneckerFactors, damping: float | Float[Array, ""]) -> KroneckerFactors:
    """(A + pi sqrt(damping) I)^{-1} and (G + sqrt(damping) / pi I)^{-1} of every layer."""
    A_inverses, G_inverses = [], []
    for A, G in zip(factors.A, factors.G, strict=True):
        pi = jnp.sqrt(_mean_eigenvalue(A) / _mean_eigenvalue(G))
        A_inverses.append(_inverse(A, pi * jnp.sqrt(damping)))
        G_inverses.append(_inverse(G, jnp.sqrt(damping) / pi))
    return KroneckerFactors(tuple(A_inverses), tuple(G_inverses))


def _mean_eigenvalue(S: Symmetric) -> Float[Array, ""]:
    # A factor of zeros only, as where all units are dead, would make pi 0 or infinite.
    return jnp.maximum(jnp.trace(S) / len(S), jnp.finfo(S.dtype).tiny ** 0.5)


def _inverse(S: Symmetric, damping: Float[Array, ""]) -> Symmetric:
    identity = jnp.eye(len(S), dtype=S.dtype)
    return jax.scipy.linalg.solve(S + damping * identity, identity, assume_a="pos")


def preconditioned(gradient: Parameters, inverses: KroneckerFactors) -> Parameters:
    """G^{-1} [dW, db] A^{-1} of every layer, in the tree of the gradient."""
    steps = {}
    for l, (A_inverse, G_inverse) in enumerate(zip(inverses.A, inverses.G, strict=True), start=1):
        dW_db = G_inverse @ jnp.concatenate([gradient[f"W{l}"], gradient[f"b{l}"]], axis=1) @ A_inverse
        steps[f"W{l}"], steps[f"b{l}"] = dW_db[:, :-1], dW_db[:, -1:]
    return jax.tree_util.tree_map_with_path(lambda path, _: steps[path[0].key], gradient)
