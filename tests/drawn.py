"""Networks and data made from sizes and a seed, and what hypothesis draws of those; and how arrays are compared."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st


dims = st.lists(st.integers(1, 40), min_size=2, max_size=9)  # 1 to 8 layers
m = st.integers(1, 30)
seeds = st.integers(0, 2**32 - 1)


def problem(dims, m, loss="binary_cross_entropy", *, seed=0, soft=False, scale=1.0, dtype=np.float64):
    """X, Y and parameters: NumPy arrays in a plain dict. `scale` multiplies weights of variance 1/n_prev."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(dims[0], m))
    parameters = {}
    for l, (n, n_prev) in enumerate(zip(dims[1:], dims[:-1], strict=True), start=1):
        parameters[f"W{l}"] = scale * random.normal(size=(n, n_prev)) / np.sqrt(n_prev)
        parameters[f"b{l}"] = random.normal(size=(n, 1))
    Y = labels(random, (dims[-1], m), loss, soft)
    return X.astype(dtype), Y.astype(dtype), {name: value.astype(dtype) for name, value in parameters.items()}


def labels(random, shape, loss, soft):
    """Labels that the loss takes: hard are 0 and 1, one-hot under softmax; soft lie between."""
    n_L, m = shape
    if loss == "squared_error":
        return random.normal(size=shape)
    if loss == "softmax_cross_entropy":
        return random.dirichlet(np.ones(n_L), m).T if soft else np.eye(n_L)[:, random.integers(n_L, size=m)]
    return random.random(shape) if soft else random.integers(2, size=shape).astype(float)


def assert_close(actual, desired, roundings):
    """Equal up to that many units roundoff of `actual`'s type, of the largest entry; array by array in a tree."""
    desired = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(desired)}
    for path, leaf in jax.tree_util.tree_leaves_with_path(actual):
        name = jax.tree_util.keystr(path)
        want = np.asarray(desired.pop(name), np.float64)
        assert np.shape(leaf) == want.shape, name
        error = np.max(np.abs(np.asarray(leaf, np.float64) - want), initial=0)
        unit = np.finfo(np.asarray(leaf).dtype).eps / 2 * np.max(np.abs(want), initial=0)
        assert error <= roundings * unit, f"{name} is off by {error / unit if unit else np.inf:.3g} units of rounding"
    assert not desired, f"missing: {', '.join(desired)}"


def compiled(function):
    """`jit` of a function of a network: one compilation, where every operation by itself would take many."""
    return jax.jit(function, static_argnames="network")


def copies(tree):
    return jax.tree.map(np.array, tree)


def assert_same(actual, desired):
    """The same structure and the same bits: for arguments that a function must not touch."""
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)


def autodiff_cost(X, Y, parameters, network):
    """The cost in plain JAX, which `jax.grad` differentiates: nothing of the hand-written backward."""
    L = len(parameters) // 2
    A = X
    for l in range(1, L):
        A = network.hidden.forward(parameters[f"W{l}"] @ A + parameters[f"b{l}"])
    return jnp.mean(network.loss.value(parameters[f"W{L}"] @ A + parameters[f"b{L}"], jnp.asarray(Y)))
