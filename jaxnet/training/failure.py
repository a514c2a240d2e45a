"""A run that stops being finite: where it broke, and which of its parameters can still be used."""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp

from ..network import L_model_forward, Network
from ..types import AnyArray, Masks, Parameters


BLOCK = 4096  # examples at a time


class NotFiniteError(FloatingPointError):
    """The cost or a parameter stopped being a finite number.

    `iteration` is the step and `layer` the first layer at fault. `parameters` are those after `kept` steps: the last
    whose cost, and whose outputs for all examples at hand, are finite. `kept` is None where there are none such; then
    they are the ones that the run started from.
    """

    def __init__(self, iteration: int, layer: int, culprit: str, parameters: Parameters, kept: int | None = None):
        super().__init__(iteration, layer, culprit, parameters, kept)
        self.iteration, self.layer, self.culprit = iteration, layer, culprit
        self.parameters, self.kept = parameters, kept

    def __str__(self) -> str:
        kept = f"The parameters after {self.kept} steps are kept, the last whose cost and outputs are finite"
        if self.kept is None:
            kept = "No parameters with a finite cost and finite outputs are left: those of the start are kept"
        return (
            f"training stopped at iteration {self.iteration}: {self.culprit} is not finite, layer {self.layer} is the "
            f"first at fault; try a smaller learning rate. {kept}"
        )

    def with_parameters(self, parameters: Parameters) -> "NotFiniteError":
        """The same with the parameters in another form."""
        return NotFiniteError(self.iteration, self.layer, self.culprit, parameters, self.kept)


def first_not_finite_signal(X: AnyArray, parameters: Parameters, network: Network, masks: Masks) -> tuple[int, str]:
    """The layer, and the signal of the forward pass; the last layer and the cost where all signals are finite."""
    _, caches = L_model_forward(X, parameters, network, masks=masks)
    for l, ((A_prev, _, _), Z) in enumerate(caches, start=1):
        if not jnp.isfinite(A_prev).all():
            return l - 1, f"A{l - 1} in the forward pass"
        if not jnp.isfinite(Z).all():
            return l, f"Z{l} in the forward pass"
    return len(caches), "the cost"


def newest_useful(
    candidates: Iterable[tuple[int, Parameters]], rows: AnyArray, Y_rows: AnyArray, network: Network
) -> tuple[int, Parameters] | None:
    """The last of the candidates, (steps made, parameters), whose outputs and losses are finite for all examples.

    A cost that was finite in its step is not enough: it is that of one batch, under one draw of dropout.
    """
    blocks = [slice(i, i + BLOCK) for i in range(0, len(rows), BLOCK)]
    for kept, parameters in list(candidates)[::-1]:
        if all(_is_finite(rows[block], Y_rows[block], parameters, network) for block in blocks):
            return kept, parameters
    return None


@partial(jax.jit, static_argnames="network")
def _is_finite(rows: AnyArray, Y_rows: AnyArray, parameters: Parameters, network: Network) -> jax.Array:
    AL, caches = L_model_forward(rows.T, parameters, network)
    J = jnp.mean(network.loss.value(caches[-1].Z, jnp.asarray(Y_rows).T))
    return jnp.isfinite(AL).all() & jnp.isfinite(J)
