"""Does an optimizer commute with a rotation of the inputs? Asked of what it does, never of its name."""

from functools import cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .parameters import FrozenDict
from .reduction import expand
from .types import Parameters


STEPS = 64
SCALES = (1e-4, 1.0, 1e4)  # of parameters and gradients: optimizers clip, and add small numbers to denominators
TOLERANCE = 1e-8  # of the way that the parameters go, in float64
# A first layer with more directions than units, as in every reduction; sizes on both sides of 128, from where some
# optimizers treat a matrix as a product of two vectors.
N_X, DIRECTIONS, UNITS = 300, 100, 3


@cache
def commutes_with_rotation(optimizer: optax.GradientTransformation, L: int) -> bool:
    """Do steps from (V Q^T, ...) lead to (V' Q^T, ...) wherever steps from (V, ...) lead to (V', ...)?

    Tried with 64 steps along drawn gradients, at three scales, in float64, for the parameters of an L-layer network
    and a Q with orthonormal columns. An optimizer that fails, that does not move, or whose steps depend on numbers
    it draws does not commute. What it does for the first time after those steps is not seen.
    """
    generator = np.random.default_rng(0)
    Q, _ = np.linalg.qr(generator.normal(size=(N_X, DIRECTIONS)))
    shapes = {"W1": (UNITS, DIRECTIONS), "b1": (UNITS, 1)}
    for l in range(2, L + 1):
        shapes |= {f"W{l}": (UNITS, UNITS), f"b{l}": (UNITS, 1)}
    start = FrozenDict({name: generator.normal(size=shape) for name, shape in shapes.items()})
    forces = FrozenDict({name: generator.normal(size=(STEPS, *shape)) for name, shape in shapes.items()})
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # float64 is ours, so optax need not expect it
        try:
            ways, errors = map(np.asarray, _compare(optimizer, start, forces, Q))
        except Exception:  # whatever it is, training without a reduction raises it where it can be understood
            return False
    return bool(np.all(ways > 0) and np.all(errors <= TOLERANCE * ways))


@partial(jax.jit, static_argnums=0)
def _compare(
    optimizer: optax.GradientTransformation, start: FrozenDict, forces: FrozenDict, Q: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """At every scale, how far the parameters go, and how far from each other the two ways end."""

    def at(scale):
        begin, pull = jax.tree.map(lambda value: scale * value, (start, forces))
        end = _walk(optimizer, begin, pull)
        other = _walk(optimizer, expand(begin, Q), expand(pull, Q))
        return optax.tree.norm(optax.tree.sub(end, begin)), optax.tree.norm(optax.tree.sub(other, expand(end, Q)))

    return jax.lax.map(at, jnp.asarray(SCALES))


def _walk(optimizer: optax.GradientTransformation, parameters: Parameters, forces: Parameters) -> Parameters:
    """Steps down <G, p> + ||p||^2 / 20, for another G in each: both terms stay what they are under a rotation."""

    def step(state: tuple[Parameters, Any], G: Parameters) -> tuple[tuple[Parameters, Any], None]:
        parameters, opt_state = state

        def value_fn(p):
            return optax.tree.vdot(G, p) + optax.tree.norm(p, squared=True) / 20

        value, gradient = jax.value_and_grad(value_fn)(parameters)
        updates, opt_state = optax.with_extra_args_support(optimizer).update(
            gradient, opt_state, parameters, value=value, grad=gradient, value_fn=value_fn
        )
        return (cast(Parameters, optax.apply_updates(parameters, updates)), opt_state), None

    (parameters, _), _ = jax.lax.scan(step, (parameters, optimizer.init(parameters)), forces)
    return parameters
