"""What the contenders of `peers` are all given: the same weights, data, rate, and examples of every step."""

import ast
import itertools
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np


LEARNING_RATE = 0.0075
RECOGNISED = 256  # examples whose cost is compared, after every burst
EPOCHS = 4  # whose order is drawn; then it begins again


class Case(NamedTuple):
    """A network and its data; `unit` steps are one turn of it, so that a turn can be one compiled chunk."""

    layer_dims: tuple[int, ...]
    m: int  # examples in a step
    batches: int | None = None  # in the data set; None: every step has all examples, and they are m
    loss: str = "softmax_cross_entropy"
    dtype: str = "float32"
    unit: int = 1


class Problem(NamedTuple):
    """A case with its numbers, in NumPy and in the course's layout; `order[i]` are the examples of step i."""

    case: Case
    X: np.ndarray  # (n_x, examples), of full rank, from 0 to 1
    Y: np.ndarray  # (n_L, examples), 0 and 1
    parameters: dict[str, np.ndarray]
    order: np.ndarray | None

    def examples(self, start: int, length: int) -> list[np.ndarray] | itertools.repeat:
        """Those of each of the steps start, ..., start + length - 1; None is all."""
        if self.order is None:
            return itertools.repeat(None, length)
        return [self.order[i % len(self.order)] for i in range(start, start + length)]

    def labels(self) -> np.ndarray:
        """Y as the index of each example's class."""
        return self.Y[0].astype(np.int64) if len(self.Y) == 1 else self.Y.argmax(axis=0)

    def cost(self, parameters: dict[str, np.ndarray]) -> float:
        """Of the first examples, in float64: what the contenders are recognised by."""
        A, Y, L = self.X[:, :RECOGNISED].astype(np.float64), self.Y[:, :RECOGNISED], len(parameters) // 2
        for l in range(1, L + 1):
            Z = parameters[f"W{l}"].astype(np.float64) @ A + parameters[f"b{l}"].reshape(-1, 1)
            A = np.maximum(Z, 0)
        if len(Y) == 1:
            return float(np.mean(np.logaddexp(0, Z) - Y * Z))
        return float(np.mean(np.logaddexp.reduce(Z, axis=0) - np.sum(Y * Z, axis=0)))


def draw(case: Case) -> Problem:
    """Images of two kinds or ten under noise, so that there is something to learn, and weights of N(0, 1/n_prev)."""
    generator = np.random.default_rng(0)
    n_x, n_L = case.layer_dims[0], case.layer_dims[-1]
    labels = generator.integers(0, max(n_L, 2), case.m * (case.batches or 1))
    kinds = generator.random((max(n_L, 2), n_x), case.dtype)
    X = (0.1 * kinds[labels] + 0.9 * generator.random((len(labels), n_x), case.dtype)).T
    Y = (labels == (1 if n_L == 1 else np.arange(n_L)[:, None])).reshape(n_L, -1)
    parameters = {}
    for l, (n_prev, n) in enumerate(itertools.pairwise(case.layer_dims), start=1):
        std = np.sqrt(1 / n_prev).astype(case.dtype)
        parameters[f"W{l}"] = std * generator.standard_normal((n, n_prev), case.dtype)
        parameters[f"b{l}"] = np.zeros((n, 1), case.dtype)
    return Problem(case, np.ascontiguousarray(X), Y.astype(case.dtype), parameters, _order(case))


def _order(case: Case) -> np.ndarray | None:
    """The one that `jaxnet.train` draws from key 0."""
    if case.batches is None:
        return None
    import jax

    from jaxnet.training import batch_indices

    with jax.default_device(jax.devices("cpu")[0]):
        return batch_indices(jax.random.key(0), case.m * case.batches, case.m, 0, EPOCHS * case.batches)


def save(file: Path, problem: Problem) -> None:
    arrays = {"X": problem.X, "Y": problem.Y, **problem.parameters}
    if problem.order is not None:
        arrays["order"] = problem.order
    np.savez(file, case=np.array(repr(tuple(problem.case))), **arrays)


def load(file: str | Path) -> Problem:
    with np.load(file) as arrays:
        given = {name: arrays[name] for name in arrays.files}
    case = Case(*ast.literal_eval(str(given.pop("case"))))
    X, Y, order = given.pop("X"), given.pop("Y"), given.pop("order", None)
    return Problem(case, X, Y, given, order)


if __name__ == "__main__":
    save(Path(sys.argv[2]), draw(Case(*ast.literal_eval(sys.argv[1]))))
