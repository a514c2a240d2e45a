"""The same quantities from BackPACK, the extension of torch's backward pass; `gradient` is that of torch alone."""

import warnings

import torch
from backpack import backpack, extend, extensions
from backpack.hessianfree.ggnvp import ggn_vector_product
from backpack.hessianfree.hvp import hessian_vector_product


EXTENSIONS = {
    "norms": ("BatchL2Grad",),
    "second moment": ("SumGradSquared",),
    "variance": ("Variance",),
    "norms, second moment, gram": ("BatchL2Grad", "SumGradSquared", "Variance"),
    "clipped sum": ("BatchGrad", "BatchL2Grad"),
    "GGN diagonal, sampled": ("DiagGGNMC",),
    "GGN diagonal": ("DiagGGNExact",),
    "K-FAC": ("KFAC",),
    "KFLR": ("KFLR",),
    "KFRA": ("KFRA",),
    "per-example gradients": ("BatchGrad",),
}
# The name of what it leaves at each parameter, and what turns its scale into jaxnet's, with m examples.
SAVED = {
    "norms": ("batch_l2", lambda m: m**2),
    "second moment": ("sum_grad_squared", lambda m: m),
    "variance": ("variance", lambda m: m**2),
    "GGN diagonal": ("diag_ggn_exact", lambda m: 1),
    "GGN diagonal, sampled": ("diag_ggn_mc", lambda m: 1),
    "per-example gradients": ("grad_batch", lambda m: m),
}


def prepare(given):
    warnings.simplefilter("ignore")
    L, (_, m) = len(given.parameters) // 2, given.X.shape
    layers = []
    for l in range(1, L + 1):
        W, b = (torch.from_numpy(given.parameters[f"{kind}{l}"]) for kind in "Wb")
        layer = torch.nn.Linear(W.shape[1], W.shape[0])
        layer.weight.data, layer.bias.data = W.clone(), b[:, 0].clone()
        layers += [layer] if l == L else [layer, torch.nn.ReLU()]
    one_logit = layers[-1].out_features == 1
    model = torch.nn.Sequential(*layers)
    criterion = torch.nn.BCEWithLogitsLoss() if one_logit else torch.nn.CrossEntropyLoss()
    X = torch.from_numpy(given.X.T.copy())
    y = torch.from_numpy(given.labels)
    y = y.float()[:, None] if one_logit else y
    V = [
        torch.from_numpy(given.direction[f"{kind}{l}"].reshape(shape).copy())
        for l in range(1, L + 1)
        for kind, shape in (("W", layers[2 * l - 2].weight.shape), ("b", layers[2 * l - 2].bias.shape))
    ]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, criterion, X, y, V = (
        model.to(device),
        criterion.to(device),
        X.to(device),
        y.to(device),
        [v.to(device) for v in V],
    )
    if given.quantity in EXTENSIONS:
        model, criterion = extend(model), extend(criterion)
    parameters = list(model.parameters())

    def compute():
        for parameter in parameters:
            parameter.grad = None
        output = model(X)
        cost = criterion(output, y)
        if given.quantity in ("GGN-vector", "Hessian-vector"):
            cost.backward(retain_graph=True, create_graph=given.quantity == "Hessian-vector")
            if given.quantity == "GGN-vector":
                return ggn_vector_product(cost, output, model, V)
            return hessian_vector_product(cost, parameters, V)
        with backpack(*(getattr(extensions, name)() for name in EXTENSIONS.get(given.quantity, ()))):
            cost.backward()
        if given.quantity == "clipped sum":
            # Norms from an extension of their own: no second array of m gradients.
            norms = m * sum(parameter.batch_l2 for parameter in parameters).sqrt()
            weights = (given.max_norm / norms).clamp(max=1)
            return [(weights @ parameter.grad_batch.flatten(1)).view_as(parameter) for parameter in parameters]
        return None

    def run(steps):
        for _ in range(steps):
            answer = compute()
        if device == "cuda":
            torch.cuda.synchronize()
        return lambda: recognised(given, parameters, answer)

    return run


def recognised(given, parameters, answer):
    """The number of `readouts_jaxnet.recognised`."""
    m = given.X.shape[1]
    if answer is not None:
        return float(sum(part.abs().sum() for part in answer))
    if given.quantity == "gradient":
        return float(sum(parameter.grad.abs().sum() for parameter in parameters))
    if given.quantity in ("K-FAC", "KFLR", "KFRA"):
        saved = {"K-FAC": "kfac", "KFLR": "kflr", "KFRA": "kfra"}[given.quantity]
        return float(sum(getattr(parameter, saved)[0].trace() for parameter in parameters if parameter.ndim == 2))
    quantities = ["norms", "second moment"] if "," in given.quantity and "norms" in given.quantity else [given.quantity]
    return sum(
        SAVED[quantity][1](m)
        * float(sum(getattr(parameter, SAVED[quantity][0]).abs().sum() for parameter in parameters))
        for quantity in quantities
    )
