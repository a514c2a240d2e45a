"""PyTorch: one network after the other, and all of them by `torch.func.vmap`."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from ..sweep import STEPS, Problem


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def prepare(problem: Problem) -> Callable[[int], float]:
    X, Y, order, rates, cost = _given(problem)

    def train(i: int) -> float:
        model = _model(problem, i)
        optimizer = torch.optim.SGD(model.parameters(), lr=float(rates[i]))
        J = torch.zeros(())
        for step in range(STEPS):
            J = cost(model(X), Y) if order is None else cost(model(X[order[i, step]]), Y[order[i, step]])
            optimizer.zero_grad()
            J.backward()
            optimizer.step()
        return J.item()

    def run(n: int) -> float:
        del n
        return float(np.mean([train(i) for i in range(len(rates))]))

    return run


def prepare_vmap(problem: Problem) -> Callable[[int], float]:
    X, Y, order, rates, cost = _given(problem)
    model = _model(problem, 0)

    def cost_of(parameters, X, Y):
        return cost(functional_call(model, parameters, (X,)), Y)

    own = None if order is None else 0
    gradient = vmap(grad_and_value(cost_of), in_dims=(0, own, own))

    def run(n: int) -> float:
        del n
        parameters, J = _stacked(problem), torch.zeros(())
        for step in range(STEPS):
            gradients, J = gradient(parameters, *((X, Y) if order is None else (X[order[:, step]], Y[order[:, step]])))
            for name, value in gradients.items():
                parameters[name] -= rates.reshape(-1, *[1] * (value.ndim - 1)) * value
        return J.mean().item()

    return run


def _given(problem: Problem):
    X = torch.from_numpy(np.ascontiguousarray(problem.X.T)).to(DEVICE)
    binary = len(problem.Y) == 1
    Y = torch.from_numpy(problem.Y.T.copy() if binary else problem.Y.argmax(axis=0)).to(DEVICE)
    order = None if problem.order is None else torch.from_numpy(problem.order.astype(np.int64)).to(DEVICE)
    rates = torch.from_numpy(problem.rates.astype(np.float32)).to(DEVICE)
    return X, Y, order, rates, nn.BCEWithLogitsLoss() if binary else nn.CrossEntropyLoss()


def _stacked(problem: Problem) -> dict[str, torch.Tensor]:
    found = {}
    for l in range(1, len(problem.case.layer_dims)):
        found[f"{2 * l - 2}.weight"] = torch.from_numpy(problem.parameters[f"W{l}"]).to(DEVICE).clone()
        found[f"{2 * l - 2}.bias"] = torch.from_numpy(problem.parameters[f"b{l}"][:, :, 0]).to(DEVICE).clone()
    return found


def _model(problem: Problem, i: int) -> nn.Sequential:
    dims, layers = problem.case.layer_dims, []
    for n_prev, n in zip(dims[:-1], dims[1:], strict=True):
        layers += [nn.Linear(n_prev, n), nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).to(DEVICE)
    model.load_state_dict({name: value[i] for name, value in _stacked(problem).items()})
    return model
