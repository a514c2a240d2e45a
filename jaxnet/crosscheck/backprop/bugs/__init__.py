"""The known single errors of a backward pass, each as the line that makes it.

A bug stands at one of five places: "head" (dZL from the loss), "dZ" (the activation), "dW", "db" and "dA" (the signal
to the layer below). `value(s)` is what the step `s` makes with that bug in it, or None where the shapes do not let it
be written. The same table diagnoses (which bug reproduces these numbers?) and measures power (which would show?).

Most come from reports: crossed and forgotten axes, derivatives taken at A or of another function, means that are sums.
"""

from collections.abc import Iterator

from ..steps import Layer, Step
from .activation import DZ
from .base import Bug as Bug
from .head import HEAD
from .linear import DA, DB, DW


def swapped(s: Step) -> Iterator[Bug]:
    """The gradient of another layer in place of this one's, where the shapes let it."""
    for name in ("dW", "db"):
        for k in range(1, len(s.layers) + 1):
            other = s.grads[f"{name}{k}"]
            if k != s.l and other.shape == s.grads[f"{name}{s.l}"].shape:
                text = f"it is {name}{k}: two layers are swapped"
                yield Bug("swapped", name, text, lambda s, value=other: value, "let layers differ")


def wrong_caches(s: Step) -> Iterator[Bug]:
    """Every other layer's cache in place of this one's, where the shapes let it."""
    for k, other in enumerate(s.layers, start=1):
        if k == s.l:
            continue
        yield from _of_layer(k, other, s)


def _of_layer(k: int, other: Layer, s: Step) -> Iterator[Bug]:
    code, own = f"cache-of-layer-{k}", s.layer
    reveal = "let layers differ"
    if other.slope.shape == own.slope.shape and not s.is_head and k < len(s.layers):
        yield Bug(
            code, "dZ", f"the derivative is taken at Z{k}, the cache of layer {k}", lambda s: other.slope * s.dA, reveal
        )
    if other.A_prev.shape == own.A_prev.shape:
        yield Bug(
            code,
            "dW",
            f"A{k - 1} stands where A{s.l - 1} belongs: the cache of layer {k}",
            lambda s: s.dZ @ other.A_prev.T / s.m,
            reveal,
        )
    if other.W.shape == own.W.shape:
        yield Bug(
            code, "dA", f"W{k} stands where W{s.l} belongs: the cache of layer {k}", lambda s: other.W.T @ s.dZ, reveal
        )


def known(s: Step) -> dict[str, list[Bug]]:
    """The bugs that can be made in this step, by the name of what they spoil: "dZ", "dW", "db", "dA"."""
    table: dict[str, list[Bug]] = {
        "dZ": list(HEAD if s.is_head else DZ),
        "dW": list(DW),
        "db": list(DB),
        "dA": list(DA),
    }
    for bug in (*wrong_caches(s), *swapped(s)):
        table[bug.place].append(bug)
    return table
