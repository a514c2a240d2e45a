"""How long a chunk is."""

import jax
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet.runs.chunks import ROW, chunk_length, step_flops
from jaxnet.update import init_state, update


@pytest.mark.parametrize(
    "layer_dims, batch_size, dtype, length",
    [
        ((625, 20, 7, 5, 1), 150, "float32", 100),  # the demo
        ((12288, 20, 7, 5, 1), 209, "float32", 100),  # the course, in all inputs
        ((784, 512, 10), 128, "float32", 100),
        ((12288, 512, 1), 32, "float32", 25),
        ((12288, 512, 128, 1), 209, "float32", 5),
        ((12288, 512, 128, 1), 2000, "float32", 1),
        ((12288, 512, 128, 1), 10**9, "float32", 1),
        ((12288, 512, 1), 32, "float64", 20),
        ((3, 1), 4, "float64", 100),
    ],
)
def test_a_chunk_is_a_second_and_a_divisor_of_a_row(layer_dims, batch_size, dtype, length):
    assert chunk_length(layer_dims, batch_size, dtype) == length and ROW % length == 0


@pytest.mark.parametrize("layer_dims", [(70, 60, 50, 40), (90, 80)])
def test_the_flops_of_a_step_are_those_xla_counts(layer_dims):
    """But for a few for every unit and parameter."""
    network, optimizer, m = jaxnet.Network("relu", "softmax_cross_entropy"), optax.sgd(0.1), 64
    X, Y = np.ones((layer_dims[0], m), np.float32), np.eye(layer_dims[-1], m, dtype=np.float32)
    state = init_state(jaxnet.initialize_parameters_deep(layer_dims, key=jax.random.key(0)), optimizer, network)
    step = jax.jit(lambda X, Y, state: update(X, Y, state, optimizer, network))
    counted = step.lower(X, Y, state).compile().cost_analysis()["flops"]
    assert 1 <= counted / step_flops(layer_dims, m) < 1.1
