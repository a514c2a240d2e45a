"""scikit-learn's `MLPClassifier` as plain gradient descent: no momentum, no penalty, no shuffling of its own.

It does every case exactly: one logistic output for two classes, a softmax for more. Full batches are epochs of one
`fit`, minibatches those of a `partial_fit` for each epoch, of its examples in order.
"""

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from ..problem import LEARNING_RATE, Problem


def prepare(problem: Problem) -> Callable[[int], Callable[[], float]]:
    X, y, unit = np.ascontiguousarray(problem.X.T), problem.labels(), problem.case.unit
    model, done = _model(problem, X, y), 0
    # That the last epoch was not the optimum is what it says after a fixed number of steps.
    warnings.simplefilter("ignore", ConvergenceWarning)

    def run(n: int) -> Callable[[], float]:
        nonlocal done
        if problem.order is None:
            model.set_params(max_iter=n * unit, n_iter_no_change=n * unit + 1).fit(X, y)
        for first, last in _epochs(done, done + n * unit, problem.case.batches):
            examples = np.concatenate(problem.examples(first, last - first))
            model.partial_fit(X[examples], y[examples])
        done += n * unit
        return lambda: problem.cost(_parameters(model))

    return run


def _model(problem: Problem, X: np.ndarray, y: np.ndarray) -> MLPClassifier:
    model = MLPClassifier(
        problem.case.layer_dims[1:-1],
        solver="sgd",
        alpha=0,
        batch_size=problem.case.m,
        learning_rate_init=LEARNING_RATE,
        momentum=0,
        nesterovs_momentum=False,
        shuffle=False,
        warm_start=problem.order is None,
        random_state=0,
    )
    few = np.concatenate([np.flatnonzero(y == label)[:1] for label in np.unique(y)])
    model.set_params(batch_size=len(few)).partial_fit(X[few], y[few], classes=np.unique(y))
    model.set_params(batch_size=problem.case.m)
    for l, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True), start=1):
        W[:], b[:] = problem.parameters[f"W{l}"].T, problem.parameters[f"b{l}"].ravel()
    return model


def _epochs(start: int, end: int, length: int | None) -> list[tuple[int, int]]:
    """The steps from start to end, cut where an epoch ends."""
    if length is None:
        return []
    cuts = sorted({start, end, *range(length * (start // length + 1), end, length)})
    return list(zip(cuts, cuts[1:], strict=False))


def _parameters(model: MLPClassifier) -> dict[str, np.ndarray]:
    found = {}
    for l, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True), start=1):
        found |= {f"W{l}": W.T, f"b{l}": b}
    return found
