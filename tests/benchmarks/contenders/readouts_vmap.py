"""The same quantities from `jax.vmap(jax.grad)`, whose gradients are arrays m times as large as the parameters."""

import jax
import jax.numpy as jnp

from . import readouts_jaxnet


def prepare(given):
    n_L, L = given.parameters[f"b{len(given.parameters) // 2}"].shape[0], len(given.parameters) // 2
    X, V, parameters = jax.tree.map(jnp.asarray, (given.X, given.direction, given.parameters))
    labels = jnp.asarray(given.labels)

    def loss(parameters, x, label):
        a = x
        for l in range(1, L):
            a = jax.nn.relu(parameters[f"W{l}"] @ a + parameters[f"b{l}"][:, 0])
        z = parameters[f"W{L}"] @ a + parameters[f"b{L}"][:, 0]
        return -jax.nn.log_softmax(z)[label] if n_L > 1 else jax.nn.softplus(jnp.where(label == 1, -z, z))[0]

    def cost(parameters, X, labels):
        return jnp.mean(jax.vmap(loss, (None, 1, 0))(parameters, X, labels))

    def flat(gradients):
        return jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(gradients)], axis=1)

    def squares(gradients):
        return sum(jnp.sum(leaf**2, axis=(1, 2)) for leaf in jax.tree.leaves(gradients))

    def moment(gradients):
        return jax.tree.map(lambda leaf: jnp.mean(leaf**2, axis=0), gradients)

    def clipped(gradients):
        weights = jnp.minimum(1, given.max_norm / jnp.sqrt(squares(gradients)))
        return jax.tree.map(lambda leaf: jnp.einsum("i,ijk->jk", weights, leaf) / len(leaf), gradients)

    from_gradients = {
        "norms": squares,
        "second moment": moment,
        "variance": lambda gradients: jax.tree.map(lambda leaf: jnp.var(leaf, axis=0, ddof=1), gradients),
        "gram": lambda gradients: flat(gradients) @ flat(gradients).T,
        "norms, second moment, gram": lambda gradients: (
            squares(gradients),
            moment(gradients),
            flat(gradients) @ flat(gradients).T,
        ),
        "per-example gradients": lambda gradients: gradients,
    }

    @jax.jit
    def compute(parameters, X, labels, V):
        if given.quantity == "Hessian-vector":
            return jax.jvp(lambda parameters: jax.grad(cost)(parameters, X, labels), (parameters,), (V,))
        gradients = jax.vmap(jax.grad(loss), (None, 1, 0))(parameters, X, labels)
        if given.quantity == "clipped sum":
            return clipped(gradients)
        mean = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), gradients)
        return mean, from_gradients[given.quantity](gradients)

    def run(steps):
        for _ in range(steps):
            answer = jax.block_until_ready(compute(parameters, X, labels, V))
        return lambda: readouts_jaxnet.recognised(given, answer)

    return run
