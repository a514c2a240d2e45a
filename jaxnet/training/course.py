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
    """The course's training loop: gradient descent on all examples in every iteration.

    Returns the trained parameters, and the costs of every 100th and the last iteration, each before its update.

    Args:
        X: Inputs, `(n_x, m)`, one column per example.
        Y: Labels, `(n_L, m)`; with one output also `(m,)`.
        layer_dims: n_x, n_1, ..., n_L.
        learning_rate: The course's 0.0075 unless given.
        num_iterations: How many updates are made. Default: 3000.
        print_cost: Whether to print these costs on the way.
        parameters: Where to start. Default: W_l ~ N(0, 1/n_{l-1}) drawn from `key`, b_l = 0.
        key: For the first parameters and a feedback rule's weights. Default: `jax.random.key(1)`.
        network: The functions of the layers. Default: the course's network.

    Raises:
        InputError: before any work, for arguments that do not fit each other.
        NotFiniteError: at the first cost or parameter that is not finite.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters, costs = jaxnet.L_layer_model(X, Y, (2, 3, 1), num_iterations=200)
        >>> list(parameters), len(costs)
        (['W1', 'b1', 'W2', 'b2'], 3)
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
