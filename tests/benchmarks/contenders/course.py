"""NumPy as the course writes it: columns, a cache a layer, dA0 included, the cost of every iteration."""

from collections.abc import Callable

import numpy as np

from ..problem import LEARNING_RATE, Problem


def prepare(problem: Problem) -> Callable[[int], Callable[[], float]]:
    parameters, done = dict(problem.parameters), 0

    def run(n: int) -> Callable[[], float]:
        nonlocal parameters, done
        for batch in problem.examples(done, n * problem.case.unit):
            X, Y = (problem.X, problem.Y) if batch is None else (problem.X[:, batch], problem.Y[:, batch])
            AL, caches = forward(X, parameters)
            compute_cost(AL, Y)
            parameters = update(parameters, backward(AL, Y, caches), LEARNING_RATE)
        done += n * problem.case.unit
        return lambda: problem.cost(parameters)

    return run


def forward(X, parameters):
    L = len(parameters) // 2
    A, caches = X, []
    for l in range(1, L + 1):
        W, b = parameters[f"W{l}"], parameters[f"b{l}"]
        Z = np.dot(W, A) + b
        caches.append(((A, W, b), Z))
        A = np.maximum(0, Z) if l < L else sigmoid(Z) if len(Z) == 1 else softmax(Z)
    return A, caches


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def softmax(Z):
    exponentials = np.exp(Z - Z.max(axis=0, keepdims=True))
    return exponentials / exponentials.sum(axis=0, keepdims=True)


def compute_cost(AL, Y):
    m = Y.shape[1]
    if len(AL) == 1:
        return -np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL)) / m
    return -np.sum(Y * np.log(AL)) / m


def backward(AL, Y, caches):
    grads, m = {}, Y.shape[1]
    dA = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL)) if len(AL) == 1 else None
    for l in range(len(caches), 0, -1):
        (A_prev, W, _), Z = caches[l - 1]
        if l < len(caches):
            dZ = np.array(dA, copy=True)
            dZ[Z <= 0] = 0
        elif dA is not None:
            s = sigmoid(Z)
            dZ = dA * s * (1 - s)
        else:
            dZ = AL - Y
        grads[f"dW{l}"] = np.dot(dZ, A_prev.T) / m
        grads[f"db{l}"] = np.sum(dZ, axis=1, keepdims=True) / m
        grads[f"dA{l - 1}"] = dA = np.dot(W.T, dZ)
    return grads


def update(parameters, grads, learning_rate):
    return {name: value - learning_rate * grads["d" + name] for name, value in parameters.items()}
