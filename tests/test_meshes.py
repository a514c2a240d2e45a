"""Arrays over a mesh of devices, by example: the same numbers, and nothing moved that autodiff would not move."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxnet
from jaxnet import readouts

from .collectives import moved
from .drawn import assert_close, autodiff_cost, problem


DIMS, M = (6, 5, 4, 3), 16
NETWORK = jaxnet.Network("tanh", "softmax_cross_entropy")
DERIVED = jaxnet.Network("tanh", NETWORK.loss._replace(hessian_root=None))
X, Y, PARAMETERS = problem(DIMS, M, "softmax_cross_entropy", dtype=np.float32)
COUNT = sum(value.size for value in PARAMETERS.values())
WEIGHT = np.linspace(0, 2, M, dtype=np.float32)
BY_EXAMPLE, EVERYWHERE = PartitionSpec(None, "examples"), PartitionSpec()
KINDS = pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=lambda kind: kind.name)
HESSIAN, OUTPUT = readouts.hessian_root, readouts.output_jacobian


def mesh_of(kind):
    return jax.make_mesh((8,), ("examples",), axis_types=(kind,))


def over(kind, function, *arrays):
    """The program for X, Y and parameters over the mesh, and these."""
    mesh = mesh_of(kind)
    specs = [BY_EXAMPLE, BY_EXAMPLE, EVERYWHERE]
    placed = [jax.device_put(a, NamedSharding(mesh, spec)) for a, spec in zip(arrays, specs, strict=True)]
    return jax.jit(function).lower(*placed).compile(), placed


def record(*at, cotangent=readouts.loss_gradient, **options):
    return readouts.record(*at, NETWORK, cotangent=cotangent, **options)


def of(readout, cotangent=readouts.loss_gradient, **options):
    return lambda *at: readout(record(*at, cotangent=cotangent, **options))


def product(readout):
    return lambda X, Y, p: readout(X, Y, p, jax.tree.map(jnp.cos, p), NETWORK)


def by_rule(name):
    network = jaxnet.Network("tanh", "softmax_cross_entropy", name)
    B = jaxnet.initialize_feedback(PARAMETERS, network, key=jax.random.key(4))

    def both(X, Y, parameters):
        state = jaxnet.TrainState(parameters, optax.sgd(0.1).init(parameters), B)
        after, J = jaxnet.update(X, Y, state, optax.sgd(0.1), network, key=jax.random.key(5))
        return after.parameters, after.B, J

    return both


def update(X, Y, parameters):
    optimizer = optax.sgd(0.1, momentum=0.9)
    state = jaxnet.TrainState(parameters, optimizer.init(parameters))
    after, J = jaxnet.update(X, Y, state, optimizer, NETWORK, l2=0.1)
    return after.parameters, J


def mask(X, Y, parameters):
    masks = jaxnet.dropout_masks(DIMS, M, 0.5, key=jax.random.key(9), dtype=np.float32)
    return jaxnet.cost_and_grads(X, Y, parameters, NETWORK, masks=masks)


# What is computed, and what devices have to exchange for it: nothing, sums over the examples, or, where every example
# meets every other or the columns of all examples stand side by side in the result, those.
NOTHING, SUMS, EXAMPLES = set(), {"all-reduce"}, {"all-reduce", "all-gather", "all-to-all"}
ROWS = {
    "cost": (lambda *at: jaxnet.cost(*at, NETWORK), SUMS),
    "cost and grads": (lambda *at: jaxnet.cost_and_grads(*at, NETWORK), SUMS),
    "weighted": (lambda *at: jaxnet.cost_and_grads(*at, NETWORK, sample_weight=WEIGHT), SUMS),
    "masked": (mask, SUMS),
    "predicted": (lambda X, Y, p: jaxnet.predict(X, p, NETWORK).astype(np.float32), NOTHING),
    "update": (update, SUMS),
    "feedback alignment": (by_rule("feedback_alignment"), SUMS),
    "weight mirror": (by_rule("weight_mirror"), SUMS),
    "random target": (by_rule("direct_random_target"), SUMS),
    "alignment": (lambda *at: jaxnet.alignment(*at, NETWORK)[:2], SUMS),
    "mean gradient": (of(readouts.mean_gradient), SUMS),
    "second moment": (of(readouts.second_moment), SUMS),
    "variance": (of(readouts.variance), SUMS),
    "clipped": (of(lambda pairs: readouts.clipped_gradient(pairs, 0.1, 1.0, key=jax.random.key(0))), SUMS),
    "norms": (of(readouts.squared_norms), NOTHING),
    "each gradient": (of(readouts.per_example_gradients), NOTHING),
    "projection": (of(lambda pairs: readouts.projection(pairs, PARAMETERS)), NOTHING),
    "sketch": (
        of(lambda pairs: readouts.sketch(pairs, readouts.sketch_matrices(DIMS, 2, key=jax.random.key(1)))),
        NOTHING,
    ),
    "gram": (of(readouts.gram), EXAMPLES),
    "noise scale": (of(readouts.noise_scale), SUMS),
    "batch tests": (of(readouts.batch_tests), SUMS),
    "gsnr": (of(readouts.gsnr), SUMS),
    "GGN product": (product(readouts.ggn_vector_product), SUMS),
    "Hessian product": (product(readouts.hessian_vector_product), SUMS),
    "K-FAC": (of(readouts.kronecker_factors), SUMS),
    "K-FAC, weighted": (of(readouts.kronecker_factors, sample_weight=WEIGHT), SUMS),
    "KFLR": (of(readouts.kronecker_factors, HESSIAN), SUMS),
    "KFRA": (lambda *at: readouts.kfra_factors(*at, NETWORK), SUMS),
    "EK-FAC": (of(lambda pairs: readouts.ekfac(pairs, readouts.kronecker_factors(pairs)).s, HESSIAN), SUMS),
    "self-influence": (of(lambda pairs: readouts.self_influence([pairs], [0.1])), NOTHING),
    "influence": (of(lambda pairs: readouts.influence(pairs, pairs, 0.1)), EXAMPLES),
    "influence by the GGN": (
        lambda *at: readouts.influence(record(*at), record(*at), 0.1, record(*at, cotangent=HESSIAN)),
        EXAMPLES,
    ),
    "tracin": (of(lambda pairs: readouts.tracin([pairs], [pairs], [0.1])), EXAMPLES),
    "GGN diagonal": (of(readouts.ggn_diagonal, HESSIAN), SUMS),
    "GGN trace": (of(readouts.ggn_trace, HESSIAN), SUMS),
    "GGN spectrum": (of(readouts.ggn_spectrum, HESSIAN), EXAMPLES),
    "pairs of the GGN": (of(lambda pairs: (pairs.A, pairs.by_example), HESSIAN), NOTHING),
    "GGN trace, derived": (
        lambda *at: readouts.ggn_trace(readouts.record(*at, DERIVED, cotangent=HESSIAN)),
        SUMS,
    ),
    "norms of the GGN": (of(readouts.squared_norms, HESSIAN), EXAMPLES),
    "pairs of the outputs": (of(lambda pairs: (pairs.A, pairs.by_example), OUTPUT), NOTHING),
    "moments of the outputs": (of(readouts.second_moment, OUTPUT), SUMS),
    "gradients of the outputs": (of(readouts.per_example_gradients, OUTPUT), EXAMPLES),
    "tangent kernel": (of(readouts.gram, OUTPUT), EXAMPLES),
}


@KINDS
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.few(8)
def test_over_devices_all_is_as_on_one(kind, name):
    function, allowed = ROWS[name]
    program, placed = over(kind, function, X, Y, PARAMETERS)
    assert_close(program(*placed), jax.jit(function)(X, Y, PARAMETERS), 1000)
    assert {kind for kind, _ in moved(program)} <= allowed


@KINDS
def test_the_gradient_moves_what_autodiffs_does(kind):
    """One sum, of the cost and as many numbers as there are parameters; and for the update no more."""
    autodiff, placed = over(kind, jax.value_and_grad(partial(autodiff_cost, network=NETWORK), 2), X, Y, PARAMETERS)
    by_hand, _ = over(kind, jax.value_and_grad(partial(jaxnet.cost, network=NETWORK), 2), X, Y, PARAMETERS)
    assert_close(by_hand(*placed), autodiff(*placed), 64)
    assert moved(by_hand) == moved(autodiff) == [("all-reduce", 4 * (COUNT + 1))]
    for function in (update, ROWS["cost and grads"][0]):
        assert moved(over(kind, function, X, Y, PARAMETERS)[0]) == [("all-reduce", 4 * (COUNT + 1))]


@KINDS
def test_a_compiled_step_is_that_of_one_device(kind):
    step = jaxnet.make_update_step(optax.sgd(0.1), NETWORK)
    mesh = mesh_of(kind)
    placed = [jax.device_put(columns, NamedSharding(mesh, BY_EXAMPLE)) for columns in (X, Y)]
    state = jax.device_put(jaxnet.init_state(PARAMETERS, optax.sgd(0.1)), NamedSharding(mesh, EVERYWHERE))
    state, J = step(*placed, state)
    want, want_J = step(X, Y, jaxnet.init_state(PARAMETERS, optax.sgd(0.1)))
    assert_close((dict(state.parameters), J), (dict(want.parameters), want_J), 64)


@pytest.mark.parametrize("argnums", [2, (0, 1, 2)])
def test_in_shard_map_the_gradient_is_autodiffs(argnums):
    """Each device has some of the examples, and all have the parameters: over these JAX sums the devices' gradients."""

    def mapped(cost, *, mean):
        def local(X, Y, parameters):
            def J(*at):
                return jax.lax.pmean(cost(*at, NETWORK), "examples") if mean else cost(*at, NETWORK)

            J, gradient = jax.value_and_grad(J, argnums)(X, Y, parameters)
            return jax.lax.pmean(J, "examples"), gradient

        specs = (BY_EXAMPLE, BY_EXAMPLE, EVERYWHERE)
        out = EVERYWHERE if argnums == 2 else specs
        mesh = mesh_of(AxisType.Auto)
        return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=(EVERYWHERE, out)))(X, Y, PARAMETERS)

    assert_close(mapped(jaxnet.cost, mean=False), mapped(autodiff_cost, mean=False), 64)
    whole = jax.value_and_grad(partial(jaxnet.cost, network=NETWORK), argnums)(X, Y, PARAMETERS)
    assert_close(mapped(jaxnet.cost, mean=True), whole, 64)


@pytest.mark.parametrize("name", ["cost and grads", "GGN trace, derived", "each gradient", "KFRA", "weight mirror"])
@pytest.mark.few(2)
def test_in_shard_map_readouts_are_those_of_its_examples(name):
    """As typed, where what does not vary over the devices may meet what does."""
    function, _ = ROWS[name]

    def local(*at):
        return jax.tree.map(lambda value: jnp.asarray(value)[None], function(*at))

    mapped = jax.shard_map(
        local,
        mesh=mesh_of(AxisType.Auto),
        in_specs=(BY_EXAMPLE, BY_EXAMPLE, EVERYWHERE),
        out_specs=PartitionSpec("examples"),
    )
    first = jax.tree.map(lambda value: value[0], jax.jit(mapped)(X, Y, PARAMETERS))
    assert_close(first, jax.jit(function)(X[:, :2], Y[:, :2], PARAMETERS), 1000)


@KINDS
@pytest.mark.parametrize(
    "readout",
    [of(readouts.per_example_gradients), of(readouts.kronecker_factors, HESSIAN), of(readouts.ggn_trace, OUTPUT)],
    ids=["each gradient", "KFLR", "norm of the outputs' gradients"],
)
@pytest.mark.few(4)
def test_a_device_needs_the_memory_of_its_examples(kind, readout):
    dims, m = (64, 32, 16, 10), 4096
    given = problem(dims, m, "softmax_cross_entropy", dtype=np.float32)
    whole = jax.jit(readout).lower(*given).compile().memory_analysis()
    part = over(kind, readout, *given)[0].memory_analysis()
    parameters = sum(value.nbytes for value in given[2].values())
    assert part.temp_size_in_bytes <= whole.temp_size_in_bytes / 8 + parameters
