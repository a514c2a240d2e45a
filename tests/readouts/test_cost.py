"""What readouts cost, read from the compiled programs and held to the formulas: nothing is run, nothing timed."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import readouts

from ..one_by_one import BCE, SOFTMAX


DIMS, M = (784, 1000, 500, 100, 10), 128
ONE_LOGIT = (784, 1000, 500, 100, 1)
C = DIMS[-1]
KEY = jax.random.key(0)


def record(X, Y, parameters, cotangent=readouts.loss_gradient):
    network = jaxnet.Network("relu", BCE if len(Y) == 1 else SOFTMAX)
    return readouts.record(X, Y, parameters, network, cotangent=cotangent)


def gradient(*at):
    return readouts.mean_gradient(record(*at))


def with_gradient(readout, cotangent=readouts.loss_gradient):
    """What a training step pays that reads out something as well: both of one program."""
    return lambda *at: (gradient(*at), readout(record(*at, cotangent=cotangent)))


def product(readout):
    """A product with a direction beside the gradient. The parameters themselves would share products with it."""

    def both(X, Y, parameters):
        V = jax.tree.map(lambda leaf: leaf[::-1, ::-1], parameters)
        return gradient(X, Y, parameters), readout(X, Y, parameters, V, jaxnet.Network("relu", SOFTMAX))

    return both


@cache
def compiled(function, dims=DIMS, m=M):
    """The program for arrays of these shapes, in float32; no array is made."""
    array = partial(jax.ShapeDtypeStruct, dtype=np.float32)
    layers = list(enumerate(zip(dims[1:], dims[:-1], strict=True), start=1))
    parameters = {f"W{l}": array((n, n_prev)) for l, (n, n_prev) in layers}
    parameters |= {f"b{l}": array((n, 1)) for l, (n, _) in layers}
    return jax.jit(function).lower(array((dims[0], m)), array((dims[-1], m)), parameters).compile()


def flops(function, dims=DIMS):
    return compiled(function, dims).cost_analysis()["flops"]


def temporary(function, dims=DIMS, m=M):
    """Bytes beyond arguments and results."""
    return compiled(function, dims, m).memory_analysis().temp_size_in_bytes


def over_layers(term, dims=DIMS, first=1):
    """The sum of term(n_l, n_{l-1}) over the layers from `first` on."""
    return sum(term(n, n_prev) for n, n_prev in list(zip(dims[1:], dims[:-1], strict=True))[first - 1 :])


# One matrix product for all layers, and that of the signals dA, which the first layer does not need.
U = over_layers(lambda n, n_prev: 2 * M * n * n_prev)
DA = over_layers(lambda n, n_prev: 2 * M * n * n_prev, first=2)
GRADIENT = 2 * U + DA
A_FACTORS = over_layers(lambda n, n_prev: 2 * M * (n_prev + 1) ** 2)
G_FACTORS = over_layers(lambda n, n_prev: 2 * M * n**2)
P = over_layers(lambda n, n_prev: n * (n_prev + 1))
SKETCH = 8
EXACT, SAMPLED, OUTPUT = readouts.hessian_root, readouts.sampled_labels(KEY), readouts.output_jacobian


def sketch(pairs):
    ones = [(jnp.ones((SKETCH, n)), jnp.ones((SKETCH, n_prev + 1))) for n, n_prev in zip(DIMS[1:], DIMS, strict=False)]
    return readouts.sketch(pairs, ones)


def kfra(X, Y, parameters):
    return readouts.kfra_factors(X, Y, parameters, jaxnet.Network("relu", SOFTMAX))


# What is asked for, and its multiplications and additions.
ROWS = {
    "gradient": (gradient, GRADIENT),
    "norms": (with_gradient(readouts.squared_norms), GRADIENT),
    "clipped": (lambda *at: readouts.clipped_gradient(record(*at), 1.0), GRADIENT),
    "noise scale": (with_gradient(readouts.noise_scale), GRADIENT),
    "second moment": (with_gradient(readouts.second_moment), GRADIENT + U),
    "variance": (with_gradient(readouts.variance), GRADIENT + U + 5 * P),
    "projection": (
        with_gradient(lambda pairs: readouts.projection(pairs, readouts.mean_gradient(pairs))),
        GRADIENT + U,
    ),
    "batch tests": (with_gradient(readouts.batch_tests), GRADIENT + U),
    "gram": (with_gradient(readouts.gram), GRADIENT + over_layers(lambda n, n_prev: 2 * M**2 * (n + n_prev))),
    "sketch": (with_gradient(sketch), GRADIENT + over_layers(lambda n, n_prev: 2 * M * SKETCH * (n + n_prev))),
    "trace, exact": (with_gradient(readouts.ggn_trace, EXACT), GRADIENT + C * DA),
    "diagonal, sampled": (with_gradient(readouts.ggn_diagonal, SAMPLED), GRADIENT + DA + U),
    "diagonal, exact": (with_gradient(readouts.ggn_diagonal, EXACT), GRADIENT + C * DA + U),
    "tangent kernel": (
        with_gradient(readouts.gram, OUTPUT),
        GRADIENT + C * DA + over_layers(lambda n, n_prev: 2 * M**2 * (C**2 * n + n_prev)),
    ),
    "K-FAC, empirical": (with_gradient(readouts.kronecker_factors), GRADIENT + A_FACTORS + G_FACTORS),
    "K-FAC, sampled": (with_gradient(readouts.kronecker_factors, SAMPLED), GRADIENT + DA + A_FACTORS + G_FACTORS),
    "KFLR": (with_gradient(readouts.kronecker_factors, EXACT), GRADIENT + C * DA + A_FACTORS + C * G_FACTORS),
    "KFRA": (
        kfra,
        U + A_FACTORS + over_layers(lambda n, n_prev: 2 * n * n_prev * (n + n_prev) + 2 * M * n_prev**2, first=2),
    ),
    "GGN times a direction": (product(readouts.ggn_vector_product), GRADIENT + 2 * (U + DA)),
    "Hessian times a direction": (product(readouts.hessian_vector_product), GRADIENT + 2 * U + 4 * DA),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.few(6)
def test_a_program_has_the_flops_of_its_formula(name):
    function, formula = ROWS[name]
    assert formula <= flops(function) <= 1.01 * formula


@pytest.mark.parametrize("name", ["norms", "noise scale"])
def test_norms_need_the_memory_of_the_gradient(name):
    assert temporary(ROWS[name][0]) <= 1.1 * temporary(gradient)


def test_clipping_keeps_every_dZ_until_the_norms_are_known():
    """Where the gradient alone lets go of each after its layer: a column for an example and no matrix."""
    every_dZ = 4 * M * sum(DIMS[1:])
    assert temporary(ROWS["clipped"][0]) <= min(temporary(gradient) + every_dZ, 1.2 * temporary(gradient))


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.few(10)
def test_no_readout_has_the_memory_of_m_gradients(name):
    assert memory(ROWS[name][0]) < gradients_bytes() / 4


def test_but_that_of_m_gradients():
    assert memory(lambda *at: readouts.per_example_gradients(record(*at))) >= gradients_bytes()


def memory(function):
    analysis = compiled(function).memory_analysis()
    return analysis.temp_size_in_bytes + analysis.output_size_in_bytes


def gradients_bytes():
    return 4 * M * P


@pytest.mark.parametrize("m, most", [(32, 1.1), (2**14, 1.3)])
def test_clipping_needs_the_memory_of_the_gradient(m, most):
    """The case in Opacus's own report on memory, where hooks need 58 times as much."""
    dims = (5120, 2560, 1280)
    assert temporary(ROWS["clipped"][0], dims, m) <= most * temporary(gradient, dims, m)


# ---- one logit, where every cotangent is a factor on the columns of one pass


def test_the_diagonal_of_one_logit_costs_a_second_moment():
    both = with_gradient(readouts.ggn_diagonal, EXACT)
    formula = over_layers(lambda n, n_prev: 6 * M * n * n_prev, ONE_LOGIT)  # forward, gradient, diagonal
    formula += over_layers(lambda n, n_prev: 2 * M * n * n_prev, ONE_LOGIT, first=2)
    assert formula <= flops(both, ONE_LOGIT) <= 1.01 * formula


def test_records_of_one_logit_from_every_cotangent_cost_one():
    one, from_all = (
        record,
        lambda *at: [record(*at, cotangent=cotangent) for cotangent in (readouts.loss_gradient, EXACT, SAMPLED)],
    )
    assert flops(from_all, ONE_LOGIT) <= 1.01 * flops(one, ONE_LOGIT)
    assert flops(from_all) >= flops(one) + (C + 1) * DA
