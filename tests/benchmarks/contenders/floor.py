"""The matrix products of a step and nothing else, each by itself, in the shapes and transpositions of columns.

The value is the seconds of each product; the floor of a step is their sum, each at the best that a library makes of it.
"""

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ..problem import Problem


Product = tuple[np.ndarray, np.ndarray]


def products(problem: Problem) -> list[Product]:
    """Z = W A_prev of every layer, dW = dZ A_prev^T of every layer, dA_prev = W^T dZ of all but the first."""
    generator, m, made = np.random.default_rng(0), problem.case.m, []
    for l, (n_prev, n) in enumerate(pairwise(problem.case.layer_dims), start=1):
        shapes = ((n, n_prev), (n_prev, m), (n, m))
        W, A_prev, dZ = (generator.standard_normal(shape, problem.case.dtype) for shape in shapes)
        made += [(W, A_prev), (dZ, A_prev.T)] + ([(W.T, dZ)] if l > 1 else [])
    return made


def prepare_numpy(problem: Problem) -> Callable[[int], Callable[[], list[float]]]:
    def multiplier(A, B):
        C = np.empty((len(A), B.shape[1]), A.dtype)
        return lambda: np.matmul(A, B, out=C)

    return _timed([multiplier(A, B) for A, B in products(problem)], lambda C: None)


def prepare_torch(problem: Problem) -> Callable[[int], Callable[[], list[float]]]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"

    def multiplier(A, B):
        A, B = torch.from_numpy(A).to(device), torch.from_numpy(B).to(device)  # which keeps strides
        C = A @ B
        return lambda: torch.mm(A, B, out=C)

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    return _timed([multiplier(A, B) for A, B in products(problem)], lambda C: wait())


def prepare_xla(problem: Problem) -> Callable[[int], Callable[[], list[float]]]:
    import jax
    import jax.numpy as jnp

    def multiplier(A, B):
        # A transposed array is the same memory in NumPy only: here the product transposes, as in a step.
        turned = tuple(not M.flags.c_contiguous for M in (A, B))
        product = jax.jit(lambda A, B: (A.T if turned[0] else A) @ (B.T if turned[1] else B))
        A, B = jnp.asarray(A.T if turned[0] else A), jnp.asarray(B.T if turned[1] else B)
        # On a CPU calls that do not wait for each other may run side by side, which those of a step cannot.
        return (lambda: product(A, B).block_until_ready()) if on_cpu else (lambda: product(A, B))

    on_cpu = jax.default_backend() == "cpu"
    return _timed([multiplier(A, B) for A, B in products(problem)], jax.block_until_ready)


def _timed(multipliers: list[Callable], wait: Callable) -> Callable[[int], Callable[[], list[float]]]:
    def run(n: int) -> Callable[[], list[float]]:
        seconds = []
        for multiply in multipliers:
            start = time.perf_counter()
            for _ in range(n):
                C = multiply()
            wait(C)
            seconds.append((time.perf_counter() - start) / n)
        return lambda: seconds

    return run
