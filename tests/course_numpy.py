"""The course's network in plain NumPy float64: relu layers under one sigmoid, and cross-entropy.

Written from the course's formulas, with its names and keys, and sharing no code with jaxnet: the oracle of the tests.
"""

import numpy as np


def forward(X, parameters):
    """AL, and the caches ((A_prev, W, b), Z) of the layers."""
    L = len(parameters) // 2
    A, caches = X, []
    for l in range(1, L + 1):
        W, b = parameters[f"W{l}"], parameters[f"b{l}"]
        Z = np.dot(W, A) + b
        caches.append(((A, W, b), Z))
        A = np.maximum(Z, 0) if l < L else 1 / (1 + np.exp(-Z))
    return A, caches


def cost(AL, Y):
    return float(-np.mean(np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL), axis=0)))


def backward(AL, Y, caches):
    """grads with dA0 ... dA{L-1}, dW1 ... dWL, db1 ... dbL; dAL goes through sigmoid' as the course has it."""
    grads, m = {}, Y.shape[1]
    dA = (1 - Y) / (1 - AL) - Y / AL
    for l in range(len(caches), 0, -1):
        (A_prev, W, _), Z = caches[l - 1]
        if l == len(caches):
            S = 1 / (1 + np.exp(-Z))
            dZ = dA * S * (1 - S)
        else:
            dZ = np.where(Z > 0, dA, 0.0)
        grads[f"dW{l}"] = np.dot(dZ, A_prev.T) / m
        grads[f"db{l}"] = np.mean(dZ, axis=1, keepdims=True)
        grads[f"dA{l - 1}"] = dA = np.dot(W.T, dZ)
    return grads


def update(parameters, grads, learning_rate):
    return {name: value - learning_rate * grads["d" + name] for name, value in parameters.items()}


def train(X, Y, parameters, learning_rate, num_iterations):
    """The parameters, and the cost before each of the updates."""
    costs = []
    for _ in range(num_iterations):
        AL, caches = forward(X, parameters)
        costs.append(cost(AL, Y))
        parameters = update(parameters, backward(AL, Y, caches), learning_rate)
    return parameters, costs
