"""PyTorch: `nn.Linear`, `nn.ReLU`, `torch.optim.SGD`; eager, and the whole step through `torch.compile`."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from ..problem import LEARNING_RATE, Problem


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def prepare(problem: Problem) -> Callable[[int], Callable[[], float]]:
    model, cost = _model(problem), _cost(problem)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def step(X, Y, batch):
        X, Y = (X, Y) if batch is None else (X[batch], Y[batch])
        J = cost(model(X), Y)
        optimizer.zero_grad()
        J.backward()
        optimizer.step()

    return _repeat(step, model, problem)


def prepare_compiled(problem: Problem) -> Callable[[int], Callable[[], float]]:
    """One graph of gather, forward, backward and update: faster than the loss and `optimizer.step` compiled apart."""
    model, cost = _model(problem), _cost(problem)
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def cost_of(parameters, X, Y):
        return cost(torch.func.functional_call(model, parameters, (X,)), Y)

    @torch.compile
    def step(X, Y, batch):
        X, Y = (X, Y) if batch is None else (X[batch], Y[batch])
        for name, gradient in torch.func.grad(cost_of)(parameters, X, Y).items():
            parameters[name].sub_(gradient, alpha=LEARNING_RATE)

    return _repeat(step, model, problem)


def _repeat(step: Callable, model: nn.Sequential, problem: Problem) -> Callable[[int], Callable[[], float]]:
    X = torch.from_numpy(np.ascontiguousarray(problem.X.T)).to(DEVICE)
    Y = torch.from_numpy(problem.Y.T.copy() if _binary(problem) else problem.labels()).to(DEVICE)
    batches = None if problem.order is None else torch.from_numpy(problem.order.astype(np.int64)).to(DEVICE)
    done = 0

    def run(n: int) -> Callable[[], float]:
        nonlocal done
        for i in range(done, done + n * problem.case.unit):
            step(X, Y, None if batches is None else batches[i % len(batches)])
        done += n * problem.case.unit
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        return lambda: problem.cost(_parameters(model))

    return run


def _binary(problem: Problem) -> bool:
    return problem.case.layer_dims[-1] == 1


def _cost(problem: Problem) -> nn.Module:
    return nn.BCEWithLogitsLoss() if _binary(problem) else nn.CrossEntropyLoss()


def _model(problem: Problem) -> nn.Sequential:
    layers = []
    for l, (n_prev, n) in enumerate(pairwise(problem.case.layer_dims), start=1):
        layer = nn.Linear(n_prev, n, dtype=getattr(torch, problem.case.dtype))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(problem.parameters[f"W{l}"]))
            layer.bias.copy_(torch.from_numpy(problem.parameters[f"b{l}"].ravel()))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(DEVICE)


def _parameters(model: nn.Sequential) -> dict[str, np.ndarray]:
    found = {}
    for l, layer in enumerate(model[::2], start=1):
        found[f"W{l}"] = layer.weight.detach().cpu().numpy()
        found[f"b{l}"] = layer.bias.detach().cpu().numpy()
    return found
