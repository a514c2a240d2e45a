"""A run that stops being finite: where it broke, and which of its parameters can still be used."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from ..feedback import Feedback
from ..network import L_model_forward, Network
from ..parameters import FrozenDict
from ..types import AnyArray, Masks, Parameters
from ..update import TrainState


BLOCK = 4096  # examples at a time
RECENT = 8  # how many of the steps before one that fails are asked for parameters that can be used
Replayed = Iterable[tuple[TrainState, jax.Array, TrainState]]  # the state before a step, its cost, the state after it


class NotFiniteError(FloatingPointError):
    """The cost or a parameter stopped being a finite number.

    `iteration` is the step and `layer` the first layer at fault. `state` is that after `kept` steps: the last whose
    cost, and whose outputs for all examples at hand, are finite. `kept` is None where there is none such; then it is
    the state that the run started from. `train` goes on from it, with a smaller learning rate say.
    """

    def __init__(self, iteration: int, layer: int, culprit: str, state: TrainState, kept: int | None = None):
        super().__init__(iteration, layer, culprit, state, kept)
        self.iteration, self.layer, self.culprit = iteration, layer, culprit
        self.state, self.kept = state, kept

    @property
    def parameters(self) -> Parameters:
        """The parameters in `state`."""
        return self.state.parameters

    def __str__(self) -> str:
        kept = f"The parameters after {self.kept} steps are kept, the last whose cost and outputs are finite"
        if self.kept is None:
            kept = "No parameters with a finite cost and finite outputs are left: those of the start are kept"
        return (
            f"training stopped at iteration {self.iteration}: {self.culprit} is not finite, layer {self.layer} is the "
            f"first at fault; try a smaller learning rate. {kept}"
        )

    def with_state(self, state: TrainState) -> "NotFiniteError":
        """The same error with its state in another form."""
        return NotFiniteError(self.iteration, self.layer, self.culprit, state, self.kept)


def failure_of(
    steps: Replayed,
    steps_before: Replayed,
    first: TrainState,
    rows: AnyArray,
    Y_rows: AnyArray,
    network: Network,
    given: Callable[[int, TrainState], tuple[AnyArray, Masks]],
) -> NotFiniteError:
    """The first cost or parameter that is not finite in the steps of a scan that failed.

    `given(i, state)` are the X and the masks of step i, and `rows` all examples as predictions see them. The state to
    keep is that after the last useful step before it, in this scan or in `steps_before`, or the one that
    the run began with.
    """
    i, begin, state = 0, first, first
    costly = []  # the states of finite cost
    for i, (state, J, after) in enumerate(steps):
        begin = state if i == 0 else begin
        if not np.isfinite(J):
            X, masks = given(i, state)
            layer, culprit = first_not_finite_signal(X, state.parameters, network, masks)
            break
        costly = [*costly[-RECENT:], state]
        bad = _first_bad(after)
        if bad is not None:
            layer, culprit = int(bad[1:]), f"{bad} after the update"
            break
    else:  # step by step all is finite
        state, layer, culprit = begin, len(first.parameters) // 2, f"a number in the {i + 1} steps from here"
    kept = newest_useful(costly, rows, Y_rows, network)
    if kept is None:
        earlier = deque((state for state, _, _ in steps_before), maxlen=RECENT)
        kept = newest_useful([first, *earlier], rows, Y_rows, network)
    if kept is None:
        return NotFiniteError(int(state.step), layer, culprit, first)
    return NotFiniteError(int(state.step), layer, culprit, kept, int(kept.step))


def _first_bad(state: TrainState) -> str | None:
    """The name of the first parameter or feedback weight that is not finite."""
    for name, value in [*FrozenDict(state.parameters).items(), *feedback_weights(state.B).items()]:
        if not jnp.isfinite(value).all():
            return name
    return None


def feedback_weights(B: Feedback) -> dict[str, jax.Array]:
    """B2, ..., BL among what a rule keeps."""
    return {name: value for name, value in B.items() if name[1:].isdecimal()} if isinstance(B, Mapping) else {}


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
    states: Iterable[TrainState], rows: AnyArray, Y_rows: AnyArray, network: Network
) -> TrainState | None:
    """The last of the states whose outputs and losses are finite for all examples.

    A cost that was finite in its step is not enough: it is that of one batch, under one draw of dropout.
    """
    blocks = [slice(i, i + BLOCK) for i in range(0, len(rows), BLOCK)]
    for state in list(states)[::-1]:
        if all(_is_finite(rows[block], Y_rows[block], state.parameters, network) for block in blocks):
            return state
    return None


@jax.jit
def _is_finite(rows: AnyArray, Y_rows: AnyArray, parameters: Parameters, network: Network) -> jax.Array:
    AL, caches = L_model_forward(rows.T, parameters, network)
    J = jnp.mean(network.loss.value(caches[-1].Z, jnp.asarray(Y_rows).T))
    return jnp.isfinite(AL).all() & jnp.isfinite(J)
