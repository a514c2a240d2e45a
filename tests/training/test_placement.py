"""The examples of every step shared by the devices of a mesh."""

import jax
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import jaxnet
from jaxnet import Checkpoints, InputError, Network, NotFiniteError, Placement
from jaxnet.training import by_example, on_every_device, on_first_devices
from jaxnet.training.loop import StepConfig, before_steps, run_chunk

from ..collectives import moved
from ..drawn import assert_close, assert_same, problem


DIMS, M, KEY = (16, 8, 3), 50, jax.random.key(3)
NETWORK = Network("tanh", "softmax_cross_entropy")
X, Y, PARAMETERS = problem(DIMS, M, "softmax_cross_entropy", dtype=np.float32)
COUNT = sum(value.size for value in PARAMETERS.values())
MOMENTUM = optax.sgd(0.05, momentum=0.9)


def over(n, kind=AxisType.Explicit):
    return Placement(jax.make_mesh((n,), ("examples",), axis_types=(kind,)))


def train(placement=None, X=X, Y=Y, parameters=PARAMETERS, **changes):
    options = dict(num_iterations=20, optimizer=MOMENTUM, network=NETWORK, key=KEY, reduce_inputs=False) | changes
    return jaxnet.train(X, Y, parameters, placement=placement, **options)


@pytest.mark.parametrize("options", [{}, dict(batch_size=16, keep_prob=0.8)], ids=["all", "minibatches"])
def test_over_one_device_not_a_bit_is_another(options):
    assert_same(train(over(1), **options), train(**options))


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=lambda kind: kind.name)
def test_a_step_over_devices_is_that_of_one(kind):
    one, eight = train(batch_size=16), train(over(8, kind), batch_size=16)
    np.testing.assert_allclose(eight.costs, one.costs, rtol=1e-5)
    step = train(batch_size=16, num_iterations=1), train(over(8, kind), batch_size=16, num_iterations=1)
    assert_close(dict(step[1].parameters), dict(step[0].parameters), 64)
    assert eight.parameters["W1"].devices() == {jax.devices()[0]}


CHUNKS = {
    "plain": {},
    "dropout": dict(keep_prob=0.5, input_keep_prob=0.8, l2=0.1),
    "augmented": dict(augment=jaxnet.Augmentation((4, 4), shift=1)),
    "bfloat16": dict(dtype="bfloat16"),
    "feedback": dict(network=Network("tanh", "softmax_cross_entropy", "weight_mirror")),
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.few(3)
def test_a_step_moves_as_many_numbers_as_parameters(name, batch_size):
    """And the cost, once; no example leaves its device, of which each has its part of a step."""
    placement = over(8)
    config = StepConfig(**dict(optimizer=MOMENTUM, network=NETWORK) | CHUNKS[name])
    B = jaxnet.initialize_feedback(PARAMETERS, config.network, key=KEY)
    state, key = on_every_device((before_steps(jaxnet.TrainState(PARAMETERS, B=B), config.optimizer), KEY), placement)
    place = by_example if batch_size is None else on_every_device
    batches = None if batch_size is None else by_example(np.zeros((3, 16), np.int32), placement, axis=1)
    with jax.set_mesh(Mesh(placement.mesh.devices, ("examples",), axis_types=(AxisType.Auto,))):
        examples = place((X.T[:48], Y.T[:48]), placement)
        program = run_chunk.lower(state, *examples, batches, key, config, length=3).compile()
    assert moved(program) == [("all-reduce", 4 * (COUNT + 1))]
    assert f"f32[8,{(batch_size or 48) // 8}]" in program.as_text().replace("[8,1,", "[8,")


def test_parts_of_a_cpu_share_the_examples():
    rows = on_every_device(X, over(8))
    assert len({shard.data.unsafe_buffer_pointer() for shard in rows.addressable_shards}) == 1
    np.testing.assert_array_equal(rows, X)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=lambda kind: kind.name)
@pytest.mark.parametrize("batch_size", [None, 16])
def test_sharded_examples_are_trained_where_they_are(kind, batch_size):
    """Also where the caller has set their mesh."""
    mesh = over(8, kind).mesh
    want = train(X=X[:, :48], Y=Y[:, :48], batch_size=batch_size)
    with jax.set_mesh(mesh):
        given = jax.device_put((X[:, :48], Y[:, :48]), NamedSharding(mesh, PartitionSpec(None, "examples")))
        parameters = jax.device_put(PARAMETERS, NamedSharding(mesh, PartitionSpec()))
        got = train(None, *given, parameters, batch_size=batch_size)
        with pytest.raises(InputError, match="batch_size is 12, but 8 devices share them"):
            train(None, *given, parameters, batch_size=12)
    np.testing.assert_allclose(got.costs, want.costs, rtol=1e-5)


def test_examples_on_a_mesh_of_one_device_or_of_two_axes():
    for shape, spec in [((1,), PartitionSpec()), ((4, 2), PartitionSpec(None, "a"))]:
        mesh = jax.make_mesh(shape, ("a", "b")[: len(shape)])
        given = jax.device_put((X[:, :48], Y[:, :48]), NamedSharding(mesh, spec))
        assert_same(train(None, *given, num_iterations=2), train(X=X[:, :48], Y=Y[:, :48], num_iterations=2))


@pytest.mark.parametrize(
    "placement, options, message",
    [
        (
            over(8),
            dict(batch_size=12),
            "batch_size is 12, but 8 devices .* multiple of 8: pass a batch_size of 8 or 16",
        ),
        (over(8), {}, "there are 50 examples in every step, but 8 devices .* a batch_size of 48"),
        (over(8).mesh, {}, r"placement is Mesh.*; expected jaxnet.Placement\("),
        (Placement(8), {}, r"expected jaxnet.Placement\("),
        (Placement(jax.make_mesh((4, 2), ("a", "b"))), {}, "has the axes a, b; expected one axis"),
        (over(2)._replace(exact=8), {}, "placement.exact is 8"),
    ],
)
def test_placements_that_do_not_fit(no_shape_checks, placement, options, message):
    with pytest.raises(InputError, match=message):
        train(placement, **options)


def test_more_devices_than_there_are():
    with pytest.raises(InputError, match="9 devices are asked for, but JAX has 8"):
        on_first_devices(9)


def test_hooks_and_failures_have_states_of_one_device():
    seen = []
    train(over(2), on_chunk=lambda progress: seen.append(progress.state), chunk=7)
    assert [int(state.step) for state in seen] == [7, 14, 20]
    assert {device for leaf in jax.tree.leaves(seen) for device in leaf.devices()} == {jax.devices()[0]}
    wild = dict(optimizer=optax.sgd(1e30), network=Network("relu", "squared_error"), batch_size=16)
    with pytest.raises(NotFiniteError) as one:
        train(**wild)
    with pytest.raises(NotFiniteError) as two:
        train(over(2), **wild)
    assert str(two.value) == str(one.value)
    assert two.value.parameters["W1"].devices() == {jax.devices()[0]}


def test_checkpoints_are_those_of_as_many_devices(tmp_path):
    def run(n, num_iterations):
        checkpoints = Checkpoints(tmp_path, seconds=0)
        return train(over(n), num_iterations=num_iterations, batch_size=16, chunk=5, checkpoints=checkpoints)

    run(2, 10)
    with pytest.raises(InputError, match="of a run with another placement"):
        run(4, 20)
    assert_same(run(2, 20), train(over(2), batch_size=16, chunk=5))
