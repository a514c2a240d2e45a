"""jaxnet's jitted update step against the same step made with `jax.value_and_grad`, in float32.

    python -m tests.benchmarks.step [--rounds N] [--json FILE]

Both make the same forward, cost from the logits and `optax.sgd` update, from the same weights and data, and donate
parameters and state; autodiff's parameters are a plain dict, as anybody would write it. It ends by saying whether
jaxnet takes at most 1.05 times autodiff's time in every case.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet
from jaxnet.types import Parameters

from . import harness
from .contenders.autodiff import autodiff_step


OPTIMIZER = optax.sgd(0.0075)
LIMIT = 1.05  # jaxnet / autodiff


class Case(NamedTuple):
    layer_dims: tuple[int, ...]
    m: int
    loss: str


CASES = {
    "12288-20-7-5-1 m=209": Case((12288, 20, 7, 5, 1), 209, "binary_cross_entropy"),
    "784-512-512-10 m=128": Case((784, 512, 512, 10), 128, "softmax_cross_entropy"),
    "784-128-64-10 m=32": Case((784, 128, 64, 10), 32, "softmax_cross_entropy"),
    "2048-2048-2048-2048-10 m=512": Case((2048, 2048, 2048, 2048, 10), 512, "softmax_cross_entropy"),
}


def prepare_jaxnet(case: Case) -> Callable[[int], float]:
    return _repeat(jaxnet.make_update_step(OPTIMIZER, jaxnet.Network(loss=case.loss)), case, by_jaxnet)


def prepare_autodiff(case: Case) -> Callable[[int], float]:
    return _repeat(autodiff_step(OPTIMIZER, case.loss), case, by_autodiff)


CONTENDERS = {"jaxnet": prepare_jaxnet, "autodiff": prepare_autodiff}


def _repeat(step: Callable, case: Case, start: Callable) -> Callable[[int], float]:
    generator = np.random.default_rng(0)
    n_x, n_L = case.layer_dims[0], case.layer_dims[-1]
    X = jnp.asarray(generator.random((n_x, case.m), np.float32))
    labels = generator.integers(0, max(n_L, 2), case.m)
    Y = jnp.asarray(labels == np.arange(n_L)[:, None], np.float32)
    drawn = jaxnet.initialize_parameters_deep(case.layer_dims, key=jax.random.key(0), dtype=np.float32)
    return repeat(step, start(drawn, OPTIMIZER), X, Y)


by_jaxnet = jaxnet.init_state


def by_autodiff(parameters: Parameters, optimizer: optax.GradientTransformation) -> tuple:
    """The state of autodiff's step: a plain dict and the optimizer's."""
    return dict(parameters), optimizer.init(dict(parameters))


def repeat(step: Callable, state: Any, X: jax.Array, Y: jax.Array) -> Callable[[int], float]:
    """`step` from this state, any number of times; the value is the cost before the last step."""

    def run(n: int) -> float:
        nonlocal state
        for _ in range(n):
            state, J = step(X, Y, state)
        jax.block_until_ready((state, J))
        return float(J)

    return run


if __name__ == "__main__":
    rows = harness.main(__doc__, __spec__.name, CASES, CONTENDERS)
    print(f"\njaxnet / autodiff <= {LIMIT}:")
    for row in rows:
        if row["contender"] == "autodiff":
            quotient = 1 / row["ratio"]
            print(f"{row['case']:<32}{quotient:6.3f}   {'holds' if quotient <= LIMIT else 'does not hold'}")
