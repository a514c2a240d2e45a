"""A proof, from the optimizer's own program, that it commutes with a rotation of the inputs.

A run in reduced inputs is the run in all of them while W1 = V Q^T, where Q^T Q = I. The gradients are such a pair,
dW1 = dV Q^T, and whatever else an optimizer is given is equal in both runs. Its program is that of `init` and that of
one step, each traced with n_x inputs and with r, and read by `pairing`, with the marks of `covariance`. Let the first
state be as `expand` makes it: what stands under W1 covariant, all else invariant; and let a step keep that for
parameters and state. Then, by induction, W1 = V Q^T after every step, whenever and however the optimizer changes its
kind. One that cannot be read so is refused, even if it commutes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.extend.core import ClosedJaxpr

from ..optimizer import descend
from ..types import Parameters
from .covariance import COVARIANT, EQUAL, NOTHING, Mark, NotComparable, Shapes
from .input_basis import is_W1
from .pairing import read


class Traced(NamedTuple):
    """A function's program, and its arguments and results: trees of shapes."""

    program: ClosedJaxpr
    arguments: Any
    results: Any


def commutes_with_rotation(optimizer: optax.GradientTransformation, parameters: Parameters, r: int) -> bool:
    """Whether steps from (V Q^T, ...) lead to (V' Q^T, ...) wherever steps from (V, ...) lead to (V', ...).

    True is a proof, for parameters of these shapes and dtypes, for every Q with r < n_x orthonormal columns, and for
    steps as `update` makes them. Two traces of a step, and nothing is compiled.
    """
    sizes = parameters["W1"].shape[1], r
    try:
        pairs = zip(*(_trace(optimizer, parameters, n) for n in sizes), strict=True)
        return sizes[0] > r and all(_keeps(full, reduced, sizes) for full, reduced in pairs)
    except Exception:  # whatever it is, training without a reduction raises it where it can be understood
        return False


def _trace(optimizer: optax.GradientTransformation, parameters: Parameters, n: int) -> tuple[Traced, Traced]:
    """`init` and a step, where W1 has n inputs."""

    def shape(path, value):
        return jax.ShapeDtypeStruct((*value.shape[:-1], n) if is_W1(path, value) else value.shape, value.dtype)

    def step(gradient, opt_state, parameters, J):
        def objective(parameters):
            """In place of the cost, of which it is known that it is equal in both runs; no derivative of exp is 0."""
            terms = jax.tree.map(lambda W, G: jnp.sum(W * (W + G)).astype(J.dtype), parameters, gradient)
            return J + jnp.exp(sum(jax.tree.leaves(terms), start=jnp.zeros_like(J)))

        return descend(optimizer, gradient, opt_state, parameters, J, objective)

    shapes = jax.tree_util.tree_map_with_path(shape, parameters)
    init, opt_state = jax.make_jaxpr(optimizer.init, return_shape=True)(shapes)
    arguments = (shapes, opt_state, shapes, jax.ShapeDtypeStruct((), shapes["W1"].dtype))
    program, results = jax.make_jaxpr(step, return_shape=True)(*arguments)
    return Traced(init, (shapes,), opt_state), Traced(program, arguments, results)


def _keeps(full: Traced, reduced: Traced, sizes: tuple[int, int]) -> bool:
    """Whether the results have the marks that `expand` requires wherever the arguments have them."""
    digits = int(jnp.finfo(full.arguments[0]["W1"].dtype).nmant)
    found = read(full.program, reduced.program, _asked(full.arguments, reduced.arguments, sizes, digits))
    asked = _asked(full.results, reduced.results, sizes, digits)
    marks = [mark and mark._replace(term=None) for mark in found]
    return all(mark in (NOTHING, wanted) for mark, wanted in zip(marks, asked, strict=True))


def _asked(full: Any, reduced: Any, sizes: tuple[int, int], digits: int) -> list[Mark]:
    """What `expand` requires: W1 = V Q^T of every array under the key W1, and equality of all others."""

    def mark(path, u, v):
        if is_W1(path, u):
            fits = u.shape == (*v.shape[:-1], sizes[0]) and v.shape[-1] == sizes[1]
        else:
            fits = u.shape == v.shape
        if not fits or u.dtype != v.dtype:
            raise NotComparable(f"{jax.tree_util.keystr(path)} has the shapes {u.shape} and {v.shape}")
        return Shapes(u.shape, v.shape).mark(COVARIANT, digits) if is_W1(path, u) else EQUAL

    marks = jax.tree_util.tree_map_with_path(mark, full, reduced)
    return jax.tree.leaves(marks, is_leaf=lambda node: isinstance(node, Mark))
