"""The readouts of jaxnet, each with the gradient, in one compiled function."""

import jax
import jax.numpy as jnp

import jaxnet
from jaxnet import readouts


def prepare(given):
    n_L = given.parameters[f"b{len(given.parameters) // 2}"].shape[0]
    network = jaxnet.Network(loss="softmax_cross_entropy" if n_L > 1 else "binary_cross_entropy")
    X, V = jnp.asarray(given.X), jaxnet.FrozenDict(jax.tree.map(jnp.asarray, given.direction))
    Y = jax.nn.one_hot(given.labels, n_L, axis=0) if n_L > 1 else jnp.asarray(given.labels, jnp.float32)[None]
    parameters = jaxnet.FrozenDict(jax.tree.map(jnp.asarray, given.parameters))

    @jax.jit
    def compute(X, Y, parameters, V, key):
        def record(cotangent=readouts.loss_gradient):
            return readouts.record(X, Y, parameters, network, cotangent=cotangent)

        pairs, sampled = record(), readouts.sampled_labels(key)
        if given.quantity == "clipped sum":  # in place of the gradient
            return readouts.clipped_gradient(pairs, given.max_norm)
        return readouts.mean_gradient(pairs), {
            "gradient": lambda: None,
            "norms": lambda: readouts.squared_norms(pairs),
            "second moment": lambda: readouts.second_moment(pairs),
            "variance": lambda: readouts.variance(pairs),
            "gram": lambda: readouts.gram(pairs),
            "norms, second moment, gram": lambda: (
                readouts.squared_norms(pairs),
                readouts.second_moment(pairs),
                readouts.gram(pairs),
            ),
            "GGN diagonal, sampled": lambda: readouts.ggn_diagonal(record(sampled)),
            "GGN diagonal": lambda: readouts.ggn_diagonal(record(readouts.hessian_root)),
            "K-FAC": lambda: readouts.kronecker_factors(record(sampled)),
            "KFLR": lambda: readouts.kronecker_factors(record(readouts.hessian_root)),
            "KFRA": lambda: readouts.kfra_factors(X, Y, parameters, network),
            "GGN-vector": lambda: readouts.ggn_vector_product(X, Y, parameters, V, network),
            "Hessian-vector": lambda: readouts.hessian_vector_product(X, Y, parameters, V, network),
            "per-example gradients": lambda: readouts.per_example_gradients(pairs),
        }[given.quantity]()

    def run(steps):
        for _ in range(steps):
            answer = jax.block_until_ready(compute(X, Y, parameters, V, jax.random.key(0)))
        return lambda: recognised(given, answer)

    return run


def recognised(given, answer):
    """A number that is the same where the quantity is: sums of entries, traces of the factors G."""
    m = given.X.shape[1]
    quantity = answer if given.quantity == "clipped sum" else answer[1]
    if given.quantity == "gradient":
        quantity = answer[0]
    if given.quantity in ("K-FAC", "KFLR", "KFRA"):
        return float(sum(jnp.trace(G) for G in quantity.G))
    if given.quantity == "norms, second moment, gram":
        quantity = quantity[:2]  # BackPACK has no Gram matrix
    share = (m - 1) / m if given.quantity == "variance" else 1
    return share * float(sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(quantity)))
