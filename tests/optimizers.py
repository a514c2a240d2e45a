"""Optimizers that commute with a rotation of the inputs, and those that do not, or that nobody can read so."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib

from jaxnet import FrozenDict


def weights(parameters):
    return FrozenDict({name: name[0] == "W" for name in parameters})


def no_W1(parameters):
    return FrozenDict({name: name != "W1" for name in parameters})


def chain(*transformations):
    return optax.chain(*transformations, optax.sgd(0.1))


def of(change):
    """Steps 0.1 W1's gradient, changed by `change(dW1, W1, count)`, and plain ones for all others."""

    def update(updates, count, params=None):
        changed = change(updates["W1"], params["W1"], count)
        return jax.tree.map(lambda g: -0.1 * g, updates | {"W1": changed}), count + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)


def keeping(first, then=lambda kept, g: kept + g):
    """Gradient descent that keeps something under the key W1 of its state."""

    def update(updates, state, params=None):
        return jax.tree.map(lambda g: -0.1 * g, updates), {"W1": then(state["W1"], updates["W1"])}

    return optax.GradientTransformation(lambda params: {"W1": first(params["W1"])}, update)


def norm(x):
    return jnp.sqrt(jnp.sum(x * x))


def rows(x):
    return jnp.sqrt(jnp.sum(x * x, axis=1, keepdims=True))


def halved(g, W, count):
    return jax.lax.while_loop(lambda g: norm(g) > 1, lambda g: g / 2, g)


def scanned(g, W, count):
    return jax.lax.scan(lambda carry, row: (carry + jnp.sum(row * row), row / 2), jnp.zeros((), g.dtype), g)[1]


def of_a_random_sign():
    """Gradient descent, up or down, by a number that is drawn from the shape of the first gradient."""

    def update(updates, state, params=None):
        key, subkey = jax.random.split(state)
        sign = jax.random.normal(subkey, updates["W1"].shape)[0, -1]
        return jax.tree.map(lambda g: sign * g, updates), key

    return optax.GradientTransformation(lambda params: jax.random.key(0), update)


def of_the_objective(value):
    """Steps whose length is the cost at parameters that `value` makes of W1."""

    def update(updates, state, params=None, *, value_fn, **_):
        J = value_fn(params | {"W1": value(params["W1"])})
        return jax.tree.map(lambda g: -0.01 * g * (2 + jnp.tanh(J)), updates), state

    return optax.GradientTransformationExtraArgs(lambda params: (), update)


def failing():
    def update(updates, state, params=None):
        raise RuntimeError("not today")

    return optax.GradientTransformation(lambda params: (), update)


def remembering(g, W, count):
    memory = jax.new_ref(jnp.ones((), g.dtype))
    memory[...] = W[0, 0]
    return memory[...] * g


def printing(g, W, count):
    jax.debug.print("{}", g[0, 0])
    return g


COMMUTING = {
    "gradient descent": optax.sgd(0.0075),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "Nesterov momentum": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "schedule": optax.sgd(optax.cosine_decay_schedule(0.1, 1000)),
    "weight decay with momentum": optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.1, momentum=0.9)),
    "weight decay of weights": chain(optax.add_decayed_weights(0.01, mask=weights)),
    "decay and clipping by global norm": chain(optax.clip_by_global_norm(1.0), optax.add_decayed_weights(0.01)),
    "normalized": chain(optax.normalize_by_update_norm()),
    "Polyak": optax.polyak_sgd(),
    "LARS": optax.lars(0.001),
    "Adam for all but W1": optax.partition({True: optax.adam(0.001), False: optax.sgd(0.1)}, no_W1),
}
STRANGE = {
    "joined schedules": optax.sgd(
        optax.join_schedules([optax.linear_schedule(0.0, 0.1, 5), optax.exponential_decay(0.1, 9, 0.5)], [5])
    ),
    "injected rate": optax.inject_hyperparams(optax.sgd)(optax.cosine_decay_schedule(0.1, 100)),
    "moving average": chain(optax.ema(0.9)),
    "finite only": optax.apply_if_finite(optax.sgd(0.1), 3),
    "from step 20": chain(optax.conditionally_mask(optax.trace(0.9), lambda step: step >= 20)),
    "trust ratio": chain(optax.scale_by_trust_ratio()),
    "NovoGrad": optax.novograd(0.01),
    "optimistic": optax.optimistic_gradient_descent(0.1),
    "schedule-free": optax.contrib.schedule_free_sgd(0.01),
    "W1 stands still": optax.partition({True: optax.sgd(0.1), False: optax.set_to_zero()}, no_W1),
    "decision by step": of(lambda g, W, n: jax.lax.cond(n % 3 == 0, lambda: g, lambda: g + W)),
    "decision by norm": of(lambda g, W, n: jax.lax.cond(norm(W) > 1, lambda: g / norm(W), lambda: g)),
    "norms of rows": of(lambda g, W, n: g / (rows(g) + 1e-8)),
    "clipped rows": of(lambda g, W, n: jnp.where(rows(g) > 1, g / rows(g), g)),
    "inner products of rows": of(lambda g, W, n: jnp.tanh(g @ W.T) @ g),
    "the other way round": of(lambda g, W, n: (g.T @ jnp.cumsum(jnp.eye(len(g)), axis=0).astype(g.dtype)).T),
    "as one vector": of(lambda g, W, n: g * jnp.tanh(jnp.vdot(g.ravel(), W.ravel()))),
    "halved in a loop": of(halved),
    "row by row": of(scanned),
    "constant along inputs": of(lambda g, W, n: g * jnp.where(jnp.ones_like(W) > 0, jnp.tanh(rows(W)), 1)),
    "a norm of broadcast products": of(
        lambda g, W, n: g * jnp.tanh((W[:, None, :, None] * g[None, :, :, None]).reshape(3, -1).sum(1, keepdims=True))
    ),
    "the mean of the units": of(lambda g, W, n: g - g.mean(axis=0, keepdims=True)),
    "another loss": of_the_objective(lambda W: W / 2),
}
LATE = {
    "Adam from step 100": optax.conditionally_mask(optax.adam(1e-4), lambda step: step >= 100),
    "Adam for W1 from step 100": optax.partition(
        {
            True: optax.sgd(0.1),
            False: chain(optax.conditionally_mask(optax.scale_by_adam(), lambda step: step >= 100)),
        },
        no_W1,
    ),
    "signs from step 500": chain(optax.conditionally_transform(optax.scale_by_sign(), lambda step: step >= 500)),
    "an entry from step 300": of(lambda g, W, n: g * jnp.where(n > 300, W[0, 0], 1)),
}
REFUSED = {
    "Adam": optax.adam(0.001),
    "AdamW": optax.adamw(0.001),
    "RMSprop": optax.rmsprop(0.001),
    "Adagrad": optax.adagrad(0.01),
    "Adafactor": optax.adafactor(0.001),
    "Lion": optax.lion(0.001),
    "sign": optax.sign_sgd(0.001),
    "Rprop": optax.rprop(0.001),
    "LAMB": optax.lamb(0.001),
    "SM3": optax.sm3(0.1),
    "Yogi": optax.yogi(0.001),
    "clipping by value": chain(optax.clip(1.0)),
    "clipping by RMS, which counts inputs": chain(optax.clip_by_block_rms(1.0)),
    "clipping by unit": chain(optax.adaptive_grad_clip(0.01)),
    "centred gradients": chain(optax.centralize()),
    "noise": optax.noisy_sgd(0.1, key=0),
    "random sign": of_a_random_sign(),
    "momentum in bfloat16": optax.sgd(0.1, momentum=0.9, accumulator_dtype="bfloat16"),
    "weights that are not negative": optax.chain(optax.sgd(0.1), optax.keep_params_nonnegative()),
    "Adam every eighth step": optax.MultiSteps(optax.adam(0.001), 8).gradient_transformation(),
    "an entry": of(lambda g, W, n: g * W[0, 0]),
    "a decision by an entry": of(lambda g, W, n: jax.lax.cond(W[0, 0] > 0, lambda: g, lambda: g / 2)),
    "a decision by entries": of(lambda g, W, n: jnp.where(g > 0, g, 0)),
    "the largest": of(lambda g, W, n: g / jnp.abs(g).max()),
    "where the largest is": of(lambda g, W, n: g * jnp.argmax(g)),
    "sorted": of(lambda g, W, n: jnp.sort(g, axis=1)),
    "summed up along inputs": of(lambda g, W, n: jnp.cumsum(g, axis=1)),
    "sums over inputs": of(lambda g, W, n: g * jnp.tanh(g.sum(axis=1, keepdims=True))),
    "neighbours": of(lambda g, W, n: (g + jnp.roll(g, 1, axis=1)) / 2),
    "backwards": of(lambda g, W, n: g[:, ::-1]),
    "weighed inputs": of(lambda g, W, n: g * jnp.arange(g.shape[1], dtype=g.dtype)),
    "norms of columns": of(lambda g, W, n: g / (1e-8 + jnp.sqrt((g * g).sum(axis=0, keepdims=True)))),
    "products of entries": of(lambda g, W, n: g * g),
    "one added": of(lambda g, W, n: g + 1),
    "divided by its size": of(lambda g, W, n: g / g.size),
    "mean square": of(lambda g, W, n: g / jnp.sqrt(jnp.mean(g * g))),
    "rounded to bfloat16": of(lambda g, W, n: g.astype(jnp.bfloat16).astype(g.dtype)),
    "rounded to whole numbers": of(lambda g, W, n: jnp.round(g)),
    "rounded to 8 bits": of(lambda g, W, n: jax.lax.reduce_precision(g, 8, 8)),
    "a sum of absolutes": of(lambda g, W, n: g / jnp.linalg.norm(g, 1)),
    "half of the inputs": of(lambda g, W, n: g.at[:, 0].set(0)),
    "a loop of as many rounds as inputs": of(
        lambda g, W, n: jax.lax.fori_loop(0, g.shape[1], lambda _, g: 0.99 * g, g)
    ),
    "a loop over the inputs": of(lambda g, W, n: jax.lax.scan(lambda c, x: (c + x, c), g[:, 0], g.T)[1].T),
    "a loop that asks an entry": of(
        lambda g, W, n: jax.lax.while_loop(lambda g: jnp.abs(g[0, 0]) > 1, lambda g: g / 2, g)
    ),
    "an axis that was broadcast": of(
        lambda g, W, n: (W[:, None, :, None] + g[None, :, :, None]).reshape(3, -1)[:, : g.shape[1]]
    ),
    "a norm that is not masked": of(lambda g, W, n: g * norm(jnp.where(norm(g) <= 1, jnp.ones_like(g), g))),
    "a norm that is masked otherwise": of(
        lambda g, W, n: g * jnp.where(norm(g) <= 2, norm(jnp.where(norm(g) <= 1, jnp.ones_like(g), g)), 0)
    ),
    "memory": of(remembering),
    "a loss where it is not the same": of_the_objective(jnp.sign),
    "no step for NaN": chain(optax.zero_nans()),
}
# Not because they would differ: their steps cannot be read, or what they keep is no state that could be expanded.
UNREAD = {
    "Muon, which scales by its shape": optax.contrib.muon(0.1),
    "L-BFGS": optax.lbfgs(),
    "all as one vector": optax.flatten(optax.sgd(0.1, momentum=0.9)),
    "bits of a norm": of(lambda g, W, n: g * (jax.lax.bitcast_convert_type(norm(g), jnp.int32) % 2)),
    "a seed of a norm": of(
        lambda g, W, n: g * jax.random.normal(jax.random.key((1e6 * norm(g)).astype(jnp.int32)), dtype=g.dtype)
    ),
    "a callback": of(
        lambda g, W, n: (
            g * jax.pure_callback(np.tanh, jax.ShapeDtypeStruct((), g.dtype), norm(g), vmap_method="sequential")
        )
    ),
    "printing": of(printing),
    "row norms under the key W1": keeping(rows, lambda kept, g: kept + rows(g)),
    "zeros of another shape under the key W1": keeping(lambda W: jnp.zeros_like(W.T), lambda kept, g: kept),
    "a matrix of units under the key W1": keeping(lambda W: W @ W.T, lambda kept, g: kept + g @ g.T),
    "failing": failing(),
}
