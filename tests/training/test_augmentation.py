"""Images that are mirrored and moved inside the steps: which they may become, and when they are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Augmentation, InputError
from jaxnet.training import Views
from jaxnet.training.loop import AUGMENT

from ..drawn import assert_same, problem


KEY = jax.random.key(0)
SHAPE = (2, 3)
AUGMENT_SMALL = Augmentation(SHAPE, shift=1)


def variants(image, flip, shift):
    """All that an image may become, by NumPy's own padding."""
    height, width = image.shape[:2]
    wide = np.pad(image, [(shift, shift), (shift, shift), *[(0, 0)] * (image.ndim - 2)], mode="edge")
    places = range(2 * shift + 1)
    moved = [wide[y : y + height, x : x + width] for y in places for x in places]
    return {one.tobytes() for one in moved + ([one[:, ::-1] for one in moved] if flip else [])}


@pytest.mark.parametrize(
    "shape, flip, shift", [((4, 5, 3), True, 1), ((4, 5), True, 0), ((5, 4), False, 2)], ids=["both", "flip", "shift"]
)
def test_images_become_each_of_their_variants(shape, flip, shift):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    rows = np.broadcast_to(image.reshape(-1), (400, image.size))
    augmented = np.asarray(Augmentation(shape, flip, shift)(rows, key=KEY))
    assert {one.tobytes() for one in augmented} == variants(image, flip, shift)


def test_each_view_is_drawn():
    rows = np.arange(400 * 6, dtype=np.float32).reshape(400, 6)
    drawn = np.asarray(Views(3)(rows, key=KEY))
    which = (drawn[:, 0] - rows[:, 0]) / 2
    assert set(which) == {0, 1, 2}
    np.testing.assert_array_equal(drawn[:, 1], drawn[:, 0] + 1)


def test_steps_are_updates_on_what_their_number_draws(x64):
    X, Y, parameters = problem([6, 5, 1], 20)
    trained = jaxnet.train(X, Y, parameters, num_iterations=3, augment=AUGMENT_SMALL, key=KEY)
    state, costs = jaxnet.init_state(parameters, optax.sgd(0.0075)), []
    for step in range(3):
        key = jax.random.fold_in(jax.random.fold_in(KEY, AUGMENT), step)
        state, J = jaxnet.update(AUGMENT_SMALL(X.T, key=key).T, Y, state)
        costs.append(float(J))
    np.testing.assert_allclose(trained.costs, costs, rtol=1e-12)
    np.testing.assert_allclose(trained.parameters["W1"], state.parameters["W1"], rtol=1e-12)


def test_a_run_that_stops_goes_on_to_the_same_bits():
    X, Y, parameters = problem([6, 5, 1], 20, dtype=np.float32)
    options = {"augment": AUGMENT_SMALL, "batch_size": 6, "keep_prob": 0.8, "key": KEY, "chunk": 5}
    whole = jaxnet.train(X, Y, parameters, num_iterations=20, **options)
    half = jaxnet.train(X, Y, parameters, num_iterations=10, **options)
    assert_same(jaxnet.train(X, Y, half.state, num_iterations=20, **options).state, whole.state)


def test_inputs_that_move_are_not_reduced(monkeypatch):
    monkeypatch.setattr("jaxnet.training.in_memory.pays", lambda *_: True)
    X, Y, parameters = problem([6, 1], 2, dtype=np.float32)
    options = {"num_iterations": 3, "augment": AUGMENT_SMALL, "key": KEY}
    want = jaxnet.train(X, Y, parameters, **options, reduce_inputs=False)
    assert_same(jaxnet.train(X, Y, parameters, **options).parameters, want.parameters)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Augmentation((6,)), r"input_shape is \(6,\); expected \(height, width\)"),
        (lambda: Augmentation((2, 3, 4)), "expected .height, width. or .height, width, 3."),
        (lambda: Augmentation((0, 3)), "input_shape is"),
        (lambda: Augmentation((2.0, 3)), "input_shape is"),
        (lambda: Augmentation(6), "input_shape is 6; expected"),
        (lambda: Augmentation(SHAPE, shift=2), r"shift is 2, but the images have the shape \(2, 3\)"),
        (lambda: Augmentation(SHAPE, shift=-1), "shift is -1; expected a whole number from 0"),
        (lambda: Augmentation(SHAPE, shift=0.5), "shift is 0.5; expected a whole number"),
        (lambda: Augmentation(SHAPE, flip=1, shift=1), "flip is 1; expected True or False"),
        (lambda: Augmentation(SHAPE, flip=False, shift=0), "which changes no image; leave the augmentation out"),
        (lambda: trained_with(augment=SHAPE, key=KEY), "augment is .2, 3.; expected an Augmentation, such as"),
        (lambda: trained_with(augment=Augmentation((3, 3), shift=1), key=KEY), r"\(3, 3\), 9 inputs, but X has 6"),
        (lambda: trained_with(augment=AUGMENT_SMALL), "augmented at random: pass key=jax.random.key"),
    ],
)
def test_what_cannot_be_augmented_is_refused(make, message, no_shape_checks):
    with pytest.raises(InputError, match=message):
        make()


def trained_with(**options):
    X, Y, parameters = problem([6, 1], 5, dtype=np.float32)
    return jaxnet.train(X, Y, parameters, num_iterations=1, **options)


def test_shapes_are_the_same_as_a_list_or_a_tuple():
    assert Augmentation([2, 3], shift=1) == AUGMENT_SMALL and hash(AUGMENT_SMALL)
    assert AUGMENT_SMALL(jnp.ones((4, 6)), key=KEY).shape == (4, 6)
