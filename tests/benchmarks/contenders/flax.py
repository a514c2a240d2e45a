"""flax: `nnx.Linear`, `nnx.Optimizer` over `optax.sgd`, split once; each step merges, updates, and is donated.

That is faster than `nnx.jit`, also through `nnx.cached_partial`.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ..problem import LEARNING_RATE, Problem


class Network(nnx.Module):
    def __init__(self, problem: Problem):
        layers = []
        for l, (n_prev, n) in enumerate(pairwise(problem.case.layer_dims), start=1):
            layer = nnx.Linear(n_prev, n, rngs=nnx.Rngs(0), param_dtype=problem.case.dtype)
            layer.kernel[...] = jnp.asarray(problem.parameters[f"W{l}"].T)
            layer.bias[...] = jnp.asarray(problem.parameters[f"b{l}"].ravel())
            layers.append(layer)
        self.layers = nnx.List(layers)

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)


def prepare(problem: Problem) -> Callable[[int], Callable[[], float]]:
    model, done = Network(problem), 0
    optimizer = nnx.Optimizer(model, optax.sgd(LEARNING_RATE), wrt=nnx.Param)
    graph, state = nnx.split((model, optimizer))
    binary = problem.case.layer_dims[-1] == 1
    X, Y = jnp.asarray(problem.X.T), jnp.asarray(problem.Y.T if binary else problem.labels())

    def cost(model, X, Y):
        Z = model(X)
        if binary:
            return optax.sigmoid_binary_cross_entropy(Z, Y).mean()
        return optax.softmax_cross_entropy_with_integer_labels(Z, Y).mean()

    @partial(jax.jit, donate_argnums=0)
    def step(state, X, Y, batch):
        model, optimizer = nnx.merge(graph, state)
        X, Y = (X, Y) if batch is None else (X[batch], Y[batch])
        J, gradient = nnx.value_and_grad(cost)(model, X, Y)
        optimizer.update(model, gradient)
        return nnx.state((model, optimizer)), J

    def run(n: int) -> Callable[[], float]:
        nonlocal state, done
        for batch in problem.examples(done, n * problem.case.unit):
            state, _ = step(state, X, Y, batch)
        done += n * problem.case.unit
        jax.block_until_ready(state)
        return lambda: problem.cost(_parameters(nnx.merge(graph, state)[0]))

    return run


def _parameters(model: Network) -> dict[str, np.ndarray]:
    found = {}
    for l, layer in enumerate(model.layers, start=1):
        found |= {f"W{l}": np.asarray(layer.kernel[...]).T, f"b{l}": np.asarray(layer.bias[...])}
    return found
