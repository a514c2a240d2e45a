"""equinox: layers of `eqx.nn.Linear` under `vmap`, `eqx.filter_jit` with donation, `optax.sgd`."""

from collections.abc import Callable
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..problem import LEARNING_RATE, Problem


class Network(eqx.Module):
    layers: list[eqx.nn.Linear]

    def __init__(self, problem: Problem):
        self.layers = []
        for l, (n_prev, n) in enumerate(pairwise(problem.case.layer_dims), start=1):
            layer = eqx.nn.Linear(n_prev, n, key=jax.random.key(0))
            W, b = jnp.asarray(problem.parameters[f"W{l}"]), jnp.asarray(problem.parameters[f"b{l}"].ravel())
            self.layers.append(eqx.tree_at(lambda layer: (layer.weight, layer.bias), layer, (W, b)))

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


def prepare(problem: Problem) -> Callable[[int], Callable[[], float]]:
    model, optimizer, done = Network(problem), optax.sgd(LEARNING_RATE), 0
    opt_state = optimizer.init(eqx.filter(model, eqx.is_array))
    binary = problem.case.layer_dims[-1] == 1
    X, Y = jnp.asarray(problem.X.T), jnp.asarray(problem.Y.T if binary else problem.labels())

    def cost(model, X, Y):
        Z = jax.vmap(model)(X)
        if binary:
            return optax.sigmoid_binary_cross_entropy(Z, Y).mean()
        return optax.softmax_cross_entropy_with_integer_labels(Z, Y).mean()

    @eqx.filter_jit(donate="all-except-first")
    def step(data, model, opt_state):
        X, Y, batch = data
        X, Y = (X, Y) if batch is None else (X[batch], Y[batch])
        J, gradient = eqx.filter_value_and_grad(cost)(model, X, Y)
        updates, opt_state = optimizer.update(gradient, opt_state, model)
        return eqx.apply_updates(model, updates), opt_state, J

    def run(n: int) -> Callable[[], float]:
        nonlocal model, opt_state, done
        for batch in problem.examples(done, n * problem.case.unit):
            model, opt_state, _ = step((X, Y, batch), model, opt_state)
        done += n * problem.case.unit
        jax.block_until_ready(eqx.filter(model, eqx.is_array))
        return lambda: problem.cost(_parameters(model))

    return run


def _parameters(model: Network) -> dict[str, np.ndarray]:
    found = {}
    for l, layer in enumerate(model.layers, start=1):
        found |= {f"W{l}": np.asarray(layer.weight), f"b{l}": np.asarray(layer.bias)}
    return found
