"""Readouts as sums over single examples, from Jacobians that JAX takes of a plain forward pass."""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxnet
from jaxnet import readouts

from .drawn import problem


COTANGENTS = {
    "loss": readouts.loss_gradient,
    "sample": readouts.sampled_labels(jax.random.key(3)),
    "exact": readouts.hessian_root,
    "output": readouts.output_jacobian,
}
COLUMNS = {name: jax.jit(made, static_argnums=0) for name, made in COTANGENTS.items()}


class Case(NamedTuple):
    """A network at a point. Rows and columns of the matrices are parameters, in their order."""

    X: jax.Array
    Y: jax.Array
    parameters: dict
    network: jaxnet.Network
    ZL: np.ndarray  # (n_L, m)
    J: np.ndarray  # (m, n_L, P): dZL / dparameters of each example
    H: np.ndarray  # (m, n_L, n_L): the Hessian of each example's loss in ZL

    def tree(self, flat):
        """A vector of parameters as W1, b1, ..."""
        return ravel_pytree(self.parameters)[1](jnp.asarray(flat))

    def columns(self, cotangent: str) -> np.ndarray:
        """The dZL of this cotangent, (n_L, C m)."""
        return np.asarray(COLUMNS[cotangent](self.network.loss, self.ZL, self.Y))

    def rows(self, cotangent: str) -> np.ndarray:
        """(C m, P): the gradient behind each column, J_i^T times the cotangent's column."""
        dZL, m = self.columns(cotangent), self.X.shape[1]
        return np.stack([dZL[:, column] @ self.J[column % m] for column in range(dZL.shape[1])])

    def ggn(self) -> np.ndarray:
        return np.mean([J.T @ H @ J for J, H in zip(self.J, self.H, strict=True)], axis=0)


@cache
def reading(readout, network):
    """A compiled readout of the record from given columns, one program for all cotangents with as many."""

    def read(X, Y, parameters, dZL, *others):
        return readout(readouts.record(X, Y, parameters, network, cotangent=lambda loss, ZL, Y: dZL), *others)

    return jax.jit(read)


def whole(pairs):
    """The record itself."""
    return pairs


def flat(tree) -> np.ndarray:
    return np.asarray(ravel_pytree(dict(tree))[0])


def logits(x, parameters, network):
    """ZL of one example, a vector."""
    L = len(parameters) // 2
    A = x[:, None]
    for l in range(1, L):
        A = network.hidden.forward(parameters[f"W{l}"] @ A + parameters[f"b{l}"])
    return (parameters[f"W{L}"] @ A + parameters[f"b{L}"])[:, 0]


BCE, SOFTMAX, SQUARED = jaxnet.losses.LOSSES
CASES = {
    "one logit": ([5, 4, 3, 1], 6, BCE, "gelu", False),
    "one logit, soft labels": ([5, 4, 1], 6, BCE, "relu", True),
    "several logits": ([4, 5, 3], 7, BCE, "silu", True),
    "softmax": ([4, 6, 5, 3], 7, SOFTMAX, "tanh", False),
    "softmax, soft labels": ([4, 5, 3], 7, SOFTMAX, "relu", True),
    "squared error": ([4, 3, 2], 5, SQUARED, "silu", False),
    "one layer": ([5, 3], 6, SOFTMAX, "relu", False),
    "one example": ([4, 3, 2], 1, SOFTMAX, "tanh", False),
}


@cache
def case(name: str, *, seed: int = 0) -> Case:
    dims, m, loss, hidden, soft = CASES[name]
    return made(dims, m, loss, hidden, soft, seed)


def made(dims, m, loss, hidden, soft=False, seed=0) -> Case:
    X, Y, parameters = jax.tree.map(jnp.asarray, problem(dims, m, loss, soft=soft, seed=seed))
    network = jaxnet.Network(hidden, loss)
    start, unravel = ravel_pytree(parameters)

    @jax.jit
    def derivatives(start, X, Y):
        def output(start, x):
            return logits(x, unravel(start), network)

        def value(z, y):
            return network.loss.value(z[:, None], y[:, None])[0]

        ZL = jax.vmap(output, (None, 1), 1)(start, X)
        J = jax.vmap(jax.jacrev(output), (None, 1))(start, X)
        return ZL, J, jax.vmap(jax.hessian(value), (1, 1))(ZL, Y)

    return Case(X, Y, parameters, network, *map(np.asarray, derivatives(start, X, Y)))


def cost_of(case: Case):
    """The cost as a function of the flat parameters."""
    _, unravel = ravel_pytree(case.parameters)

    def cost(start):
        ZL = jax.vmap(lambda x: logits(x, unravel(start), case.network), 1, 1)(case.X)
        return jnp.mean(case.network.loss.value(ZL, case.Y))

    return cost
