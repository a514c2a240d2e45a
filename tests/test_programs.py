"""Programs are let go of: a process may call without end."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import programs


def compile_one(n: int) -> None:
    jax.jit(lambda x: x + n)(jnp.zeros(3))


@pytest.fixture
def cleared(monkeypatch) -> list[int]:
    """One entry for every time that JAX's caches are emptied."""
    calls = []
    monkeypatch.setattr(jax, "clear_caches", lambda: calls.append(1))
    monkeypatch.setattr(programs._Count, "since_clearing", 0)
    monkeypatch.setattr(programs._Count, "since_look", 0)
    monkeypatch.setattr(programs._Count, "maps", programs.memory_maps())
    monkeypatch.setattr(programs, "LOOKS", 3)
    return calls


def test_caches_are_emptied_after_so_many_programs(cleared, monkeypatch):
    monkeypatch.setattr(programs, "PROGRAMS", 6)
    for n in range(13):
        compile_one(n)
        programs.let_go()
    assert len(cleared) == 2


def test_caches_are_emptied_after_so_many_maps(cleared, monkeypatch):
    monkeypatch.setattr(programs, "memory_maps", iter([10**6, 10**6, 10**6]).__next__)
    for n in range(6):
        compile_one(n)
        programs.let_go()
    assert len(cleared) == 1  # those that stay after a clearing are not the programs'


def test_a_program_that_is_there_is_not_counted(cleared, monkeypatch):
    monkeypatch.setattr(programs, "PROGRAMS", 6)
    step = jax.jit(lambda x: x * 2)
    for _ in range(20):
        step(np.ones(3, np.float32))
        programs.let_go()
    assert cleared == []


MANY_CALLS = """
import jax, numpy as np, optax
import jaxnet
from jaxnet.programs import memory_maps

def train(i, X, parameters):
    optimizer = optax.adam(0.001 * (i + 1))
    network = jaxnet.Network("tanh", feedback=jaxnet.feedback.kolen_pollack(decay=0.001 * (i + 1)))
    jaxnet.train(X, X[0] > 0, parameters, num_iterations=2, optimizer=optimizer, network=network, key=jax.random.key(i))

def check(i, X, parameters):
    jaxnet.check_backward(X, X[0] > 0, parameters, thorough=False)

def record(i, X, parameters):
    jaxnet.readouts.squared_norms(jaxnet.readouts.record(X, X[0] > 0, parameters))

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

most_maps, after = 0, []
for i in range(500):
    X = np.linspace(-1, 1, 5 * (8 + i % 7), dtype=np.float32).reshape(5, -1)
    parameters = jaxnet.initialize_parameters_deep((5, 2 + i // 7, 1), key=jax.random.key(0))
    (train, check, record)[i % 3](i, X, parameters)
    most_maps = max(most_maps, memory_maps())
    after.append(resident())
print(most_maps, max(after[:250]), max(after[250:]))
"""


@pytest.mark.slow
def test_500_calls_keep_maps_and_memory_bounded():
    """Each with another optimizer and rule, or in another shape; were nothing let go, both would rise with each."""
    answer = subprocess.run([sys.executable, "-c", MANY_CALLS], capture_output=True, text=True, check=True).stdout
    most_maps, first_half, second_half = map(float, answer.split())
    assert most_maps < programs.MAPS + 2**12
    assert second_half < 1.2 * first_half < 4000  # MiB
