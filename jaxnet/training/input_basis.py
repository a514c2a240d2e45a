"""Lossless reduction of the inputs: the same run of training, in as many inputs as the examples have directions.

Every step of gradient descent adds to the rows of W1 a combination of the examples, since dW1 = dZ1 X^T / m. So where
the columns of Q are an orthonormal basis of the span of the examples and of the rows of the first W1, the rows of W1
stay in that span for good: W1 = V Q^T, and W1 X = V Q^T X. The network with inputs Q^T X and first weights V = W1 Q
is the same network, and its gradient dV = dW1 Q the same gradient. That holds for every optimizer that commutes with
a rotation of the inputs, which is proven of it before anything is reduced, see `rotation`: gradient descent, momentum,
weight decay, clipping by norm; not Adam.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import jax
import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..types import AnyArray, Inputs


# The FLOPs of the factorisation count for more than those of the steps: LAPACK makes them at a third of the rate.
FACTORISATION_RATE = 1 / 3
START = 5e10  # FLOPs in the time that it takes to read the optimizer


class InputBasis:
    """The inputs in which the steps of a run are made, and the way between them and all inputs. Here: all of them."""

    digest = ""  # what a state in these inputs belongs to

    @property
    def size(self) -> int | None:
        """How many inputs there are in the place of n_x; None for all of them."""
        return None

    def columns(self, X: Inputs) -> AnyArray:
        """X in these inputs."""
        return X

    def project(self, tree: Any) -> Any:
        """Parameters, optimizer state or any tree of all inputs, as that of these."""
        return tree

    def expand(self, tree: Any) -> Any:
        """Parameters, optimizer state or any tree of these inputs, as that of all: the inverse of `project`."""
        return tree


ALL_INPUTS = InputBasis()


@dataclass(frozen=True, eq=False)
class ReducedInputs(InputBasis):
    """Q^T X in the place of X, W1 Q in the place of every W1."""

    Q: Float[AnyArray, "n_x r"]  # orthonormal columns

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(np.asarray(self.Q).tobytes()).hexdigest()

    def columns(self, X: Inputs) -> AnyArray:
        return _columns(self.Q, X)

    def project(self, tree: Any) -> Any:
        return _project(tree, self.Q)

    def expand(self, tree: Any) -> Any:
        return _expand(tree, self.Q)

    @property
    def size(self) -> int:
        return self.Q.shape[1]


def reduce(X: Inputs, tree: Any) -> tuple[Float[np.ndarray, "r m"], Any, ReducedInputs]:
    """Q R = [X, W1^T],  Q^T X = R[:, :m],  W1 Q = R[:, m:]^T: r = min(n_x, m + n_1) inputs instead of n_x.

    Returns Q^T X, the tree with each of its W1 replaced by W1 Q, and the basis. `tree` holds the parameters, or
    parameters and optimizer state, or any pytree: every array in it under the key W1 is reduced, momentum as well as
    weights, and its rows are in the span of Q.
    Householder's QR, by LAPACK, is as exact for examples that are given twice or depend on each other as for any
    others; the Gram matrix X^T X would lose half of the digits, or all of them.
    Raises `InputError` for a W1 that does not take X. When to train so: see `pays` and `rotation`.
    """
    import scipy.linalg
    from threadpoolctl import threadpool_limits

    n_x, m = X.shape
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    rows = [np.asarray(leaf).reshape(-1, np.shape(leaf)[-1]) for path, leaf in leaves if is_W1(path, leaf)]
    for W in rows:
        if W.shape[1] != n_x:
            raise InputError(f"W1 takes {W.shape[1]} inputs, but X has shape {X.shape}; expected ({W.shape[1]}, m)")
    A = np.concatenate([X, *[W.T for W in rows]], axis=1)
    # On two threads 0.7 of the time, and a hundred times it where the processor has other work: they wait in loops.
    with threadpool_limits(1, user_api="blas"):
        Q, R = cast(tuple[np.ndarray, np.ndarray], scipy.linalg.qr(A, mode="economic", check_finite=False))
    Vs = iter(np.split(R[:, m:].T, np.cumsum([len(W) for W in rows])))
    values = [
        next(Vs).reshape(*np.shape(leaf)[:-1], Q.shape[1]) if is_W1(path, leaf) else leaf for path, leaf in leaves
    ]
    reduced, Q = jax.device_put((jax.tree.unflatten(structure, values), Q))
    return R[:, :m], reduced, ReducedInputs(Q)


def directions(X: Inputs, tree: Any) -> int:
    """r, the number of inputs that `reduce` leaves."""
    n_x, m = X.shape
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return min(n_x, m + sum(np.size(leaf) // n_x for path, leaf in leaves if is_W1(path, leaf)))


@jax.jit  # one program instead of one for every array
def _expand(tree: Any, Q: Float[AnyArray, "n_x r"]) -> Any:
    """W1 = V Q^T for every V that stands under the key W1: exact for arrays in the span of Q."""
    return jax.tree_util.tree_map_with_path(lambda path, V: V @ Q.T if is_W1(path, V) else V, tree)


@jax.jit
def _project(tree: Any, Q: Float[AnyArray, "n_x r"]) -> Any:
    """V = W1 Q for every W1: what `reduce` does, for a basis that is there already."""
    return jax.tree_util.tree_map_with_path(lambda path, W: W @ Q if is_W1(path, W) else W, tree)


@jax.jit  # else the transposed Q is a program, and an array, of its own
def _columns(Q: Float[AnyArray, "n_x r"], X: Inputs) -> AnyArray:
    return Q.T @ X


def pays(n_x: int, n_1: int, m: int, batch_size: int, steps: float) -> bool:
    """Whether so many steps in m + n_1 inputs, with the factorisation before them, take fewer FLOPs than in n_x.

    A step spends 2 n_1 n_x on W1 X and on dW1, each, for every example of its batch; QR takes 4 n_x r^2.
    """
    r = m + n_1
    saved = 4 * n_1 * batch_size * (n_x - r) * steps
    return r < n_x and saved > 4 * n_x * r**2 / FACTORISATION_RATE + START


def is_W1(path: tuple, leaf: Any) -> bool:
    """Whether a leaf of a tree is an array under the key W1, whose last axis is the inputs."""
    # Optimizers keep numbers for a parameter under its key too.
    return bool(path) and getattr(path[-1], "key", None) == "W1" and np.ndim(leaf) >= 2
