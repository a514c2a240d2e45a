import jax
import optax
import optax.contrib
import pytest

from jaxnet import FrozenDict
from jaxnet.rotation import commutes_with_rotation


def weights(parameters):
    return FrozenDict({name: name[0] == "W" for name in parameters})


def no_W1(parameters):
    return FrozenDict({name: name != "W1" for name in parameters})


def of_a_random_sign():
    """Gradient descent, up or down, by a number that is drawn from the shape of the first gradient."""

    def update(updates, state, params=None):
        key, subkey = jax.random.split(state)
        sign = jax.random.normal(subkey, updates["W1"].shape)[0, -1]
        return jax.tree.map(lambda g: sign * g, updates), key

    return optax.GradientTransformation(lambda params: jax.random.key(0), update)


def failing():
    def update(updates, state, params=None):
        raise RuntimeError("not today")

    return optax.GradientTransformation(lambda params: (), update)


def chain(*transformations):
    return optax.chain(*transformations, optax.sgd(0.1))


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
    "Adam for all but W1": optax.partition(
        {True: optax.adam(0.001), False: optax.sgd(0.1)}, lambda parameters: no_W1(parameters)
    ),
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
    "Muon": optax.contrib.muon(0.1),
    "clipping by value": chain(optax.clip(1.0)),
    "clipping by RMS, which counts inputs": chain(optax.clip_by_block_rms(1.0)),
    "clipping by unit": chain(optax.adaptive_grad_clip(0.01)),
    "centred gradients": chain(optax.centralize()),
    "noise": optax.noisy_sgd(0.1, key=0),
    "random sign": of_a_random_sign(),
    "momentum in bfloat16": optax.sgd(0.1, momentum=0.9, accumulator_dtype="bfloat16"),
    "weights that are not negative": optax.chain(optax.sgd(0.1), optax.keep_params_nonnegative()),
    "Adam every eighth step": optax.MultiSteps(optax.adam(0.001), 8).gradient_transformation(),
    "no step within those that are tried": optax.MultiSteps(optax.sgd(0.1), 100).gradient_transformation(),
    "no step at all": optax.set_to_zero(),
    "failing": failing(),
}


@pytest.mark.parametrize("name", COMMUTING)
def test_these_optimizers_commute_with_a_rotation(name):
    assert commutes_with_rotation(COMMUTING[name], 3)


@pytest.mark.parametrize("name", REFUSED)
def test_these_do_not(name):
    assert not commutes_with_rotation(REFUSED[name], 3)
