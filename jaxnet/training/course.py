"""The course's own training loop."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ..arguments import check_count, check_number
from ..checks import check_array
from ..network import COURSE, Network
from ..optimizer import LEARNING_RATE, gradient_descent
from ..parameters import initialize_parameters_deep
from ..types import Inputs, Labels, Parameters, PRNGKeyArray
from .in_memory import train
from .loop import Progress
from .validation import check_sizes


def L_layer_model(
    X: Inputs,
    Y: Labels,
    layer_dims: Sequence[int],
    learning_rate: float = LEARNING_RATE,
    num_iterations: int = 3000,
    print_cost: bool = False,
    *,
    parameters: Parameters | None = None,
    key: PRNGKeyArray | None = None,
    network: Network = COURSE,
) -> tuple[Parameters, list[float]]:
    """Gradient descent on all examples: the trained parameters, and the costs of every 100th and the last iteration.

    Starts from `parameters`, or from W_l ~ N(0, 1/n_{l-1}) drawn from `key` (that of seed 1 unless given), from which
    a feedback rule's weights are drawn too.
    Costs are those before the update of their iteration.
    """
    check_array("X", X, ", (n_x, m)")
    key = jax.random.key(1) if key is None else key
    if parameters is None:
        is_float = jnp.issubdtype(X.dtype, jnp.floating)
        dtype = jnp.result_type(X) if is_float else None  # `train` reports what is wrong with X
        parameters = initialize_parameters_deep(layer_dims, key=key, dtype=dtype)
    check_sizes(parameters, layer_dims)
    check_count("num_iterations", num_iterations, 0)
    check_number("learning_rate", learning_rate, "a number")
    every = 100
    shown = sorted({*range(0, num_iterations, every), num_iterations - 1}) if num_iterations else []

    def show(progress: Progress) -> None:
        first = progress.iteration - len(progress.costs)
        for iteration in shown:
            if first <= iteration < progress.iteration:
                print(f"Cost after iteration {iteration}: {progress.costs[iteration - first]}")

    trained = train(
        X,
        Y,
        parameters,
        num_iterations=num_iterations,
        optimizer=gradient_descent(float(learning_rate)),
        network=network,
        key=key,
        chunk=every,
        on_chunk=show if print_cost else (),
    )
    return trained.parameters, trained.costs[shown].tolist()
