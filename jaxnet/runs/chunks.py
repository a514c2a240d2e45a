"""How many steps a run makes between two looks at it: about a second's worth, and a divisor of a row's."""

import itertools
from collections.abc import Sequence


ROW = 100  # steps between two rows of the history
RATE = 5e10  # FLOPs a second: two cores make more of large products, and less of small ones
UPDATE = 50  # FLOPs in the time in which an optimizer reads and writes all it keeps of one parameter


def ends_row(step: int) -> bool:
    """Whether a row of the history follows this step, also where the run goes on."""
    return step % ROW == 0


def step_flops(layer_dims: Sequence[int], batch_size: int) -> int:
    """b (6 sum_l n_l n_{l-1} - 2 n_1 n_0): 2 each for W_l A_{l-1}, dZ_l A_{l-1}^T and, but for dA_0, W_l^T dZ_l.

    Exact for the matrix products of a step on b examples, beside which the rest is little in all but tiny layers.
    """
    products = [n * n_prev for n_prev, n in itertools.pairwise(layer_dims)]
    return batch_size * (6 * sum(products) - 2 * products[0])


def chunk_length(layer_dims: Sequence[int], batch_size: int, dtype: str = "float32") -> int:
    """The largest divisor of ROW that makes a chunk of at most about a second, or 1.

    A function of sizes alone, so that it is the same on every machine; and a divisor, so that every row of the history
    stands at the end of a chunk. What is small enough has a row after every chunk.
    """
    parameters = sum((n_prev + 1) * n for n_prev, n in itertools.pairwise(layer_dims))
    seconds = (step_flops(layer_dims, batch_size) + UPDATE * parameters) / RATE * (2 if dtype == "float64" else 1)
    return max((n for n in range(1, ROW + 1) if ROW % n == 0 and n * seconds <= 1), default=1)
