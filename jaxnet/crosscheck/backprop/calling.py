"""Calls a backward pass as it wants to be called, and looks at the properties that need no reference."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from .. import properties
from ..compare import ROUNDOFF
from ..foreign import NotNumbers, as_numbers, kind_of_value
from ..properties import Answer, close, judged, listed, numbers_in, unclear, unlike
from ..report import Property
from .reference import Reference


Backward = Callable[..., Mapping[str, Any]]  # (AL, Y, caches) -> grads


class Caller:
    """The backward pass under test at a point, compiled, or with NumPy or with JAX arrays: the first way that works."""

    def __init__(self, backward: Backward, reference: Reference, dtype: str):
        self.backward, self.reference, self.dtype = backward, reference, dtype
        self._jitted = jax.jit(backward)
        self.unusable: dict[str, NotNumbers] = {}  # what was returned last that is not an array of numbers
        self.way: Callable[[tuple], dict[str, np.ndarray]] | None = None

    @property
    def is_compiled(self) -> bool:
        return self.way == self.compiled

    def arguments(self) -> tuple:
        """AL, Y and caches in the dtype asked for; fresh arrays. A last row of Y holds weights, if any."""
        r, dtype = self.reference, jnp.dtype(self.dtype)
        Y = r.Y if r.sample_weight is None else np.concatenate([r.Y, r.sample_weight[None]])
        return jax.tree.map(lambda x: np.asarray(x).astype(dtype), (r.AL, Y, r.caches))

    def __call__(self, arguments: tuple | None = None) -> dict[str, np.ndarray]:
        """The grads, at the point unless given other arguments; what the last of the ways raises is passed on."""
        arguments = self.arguments() if arguments is None else arguments
        for way in (self.compiled, self.plain) if self.way is None else ():
            try:
                grads = way(arguments)
            except Exception:  # of whatever kind: NumPy code, say, that cannot be traced
                continue
            self.way = way
            return grads
        self.way = self.way or self.with_jax_arrays
        return self.way(arguments)

    def compiled(self, arguments: tuple) -> dict[str, np.ndarray]:
        """Under `jit`."""
        return self._arrays(self._jitted, arguments)

    def plain(self, arguments: tuple) -> dict[str, np.ndarray]:
        """With NumPy arrays."""
        return self._arrays(self.backward, arguments)

    def with_jax_arrays(self, arguments: tuple) -> dict[str, np.ndarray]:
        """With JAX arrays, for code that uses their methods."""
        return self._arrays(lambda *a: self.backward(*jax.tree.map(jnp.asarray, a)), arguments)

    def traced(self) -> tuple[str, list[bytes]]:
        """The program that it is traced to now, and its constants."""
        with jax.enable_x64(self.dtype == "float64"):
            program = jax.make_jaxpr(lambda *arguments: self.backward(*arguments))(*self.arguments())
        text = re.sub(r"0x[0-9a-f]+", "", str(program))  # addresses of functions, which are others every time
        return text, [np.asarray(constant).tobytes() for constant in program.consts]

    def example_by_example(self) -> dict[str, np.ndarray]:
        """The grads of every example alone: under one `vmap` where it is compiled."""
        AL, Y, caches = self.arguments()
        columns = AL, Y, [A for (A, _, _), _ in caches], [Z for _, Z in caches]

        def alone(columns: tuple) -> tuple:
            AL, Y, As, Zs = jax.tree.map(lambda column: column[:, None], columns)
            fresh = self.arguments()[2]
            return AL, Y, [((A, W, b), Z) for A, ((_, W, b), _), Z in zip(As, fresh, Zs, strict=True)]

        if self.is_compiled:
            return self._arrays(jax.jit(jax.vmap(lambda columns: self.backward(*alone(columns)), 1)), (columns,))
        each = [self(alone(jax.tree.map(lambda x, i=i: np.array(x[:, i]), columns))) for i in range(AL.shape[1])]
        return {name: np.stack([grads[name] for grads in each]) for name in each[0]}

    def _arrays(self, function: Callable[..., Mapping[str, Any]], arguments: tuple) -> dict[str, np.ndarray]:
        with jax.enable_x64(self.dtype == "float64"):
            grads = function(*arguments)
        if not isinstance(grads, Mapping):
            raise InputError(f"the backward pass returned {type(grads).__name__}; expected a dict with dW1, db1, ...")
        arrays, self.unusable = {}, {}
        for name, value in grads.items():
            try:
                arrays[str(name)] = as_numbers(value)
            except NotNumbers as reason:
                self.unusable[str(name)] = reason
        return arrays


def deterministic(call: Caller, grads: Answer) -> Property:
    """Called twice, the same twice: as it was called for `grads`, and, since `jit` freezes randomness, traced anew."""
    pairs = [(grads, call())]
    if call.is_compiled and call.traced() != call.traced():
        try:
            pairs.append((call.plain(call.arguments()), call.plain(call.arguments())))
        except Exception:  # of whatever kind: it wants JAX arrays
            pass
    off = dict.fromkeys(name for a, b in pairs for name in unlike(a, b))
    text = f"called twice with the same arguments, {', '.join(off)} differ: does it draw random numbers?"
    return judged("deterministic", not off, text)


def protocol(call: Caller, returned: Collection[str]) -> list[Property]:
    """Structure, arguments unchanged, jit, vmap and additive over the batch."""
    first, reference = call(), call.reference
    missing = [place for place in reference.leaves if place not in returned and place.kind != "dA"]

    def differ(a: Answer, b: Answer) -> list[str]:
        return [name for name in a if name in b and name in reference.S and _differ(a[name], b[name], name, reference)]

    structure = judged("structure", not missing, f"{listed(missing)} were not returned")
    return [structure, *_called_plainly(call, first, differ), *_of_examples(call, first, differ)]


def _differ(a: np.ndarray, b: np.ndarray, name: str, reference: Reference) -> bool:
    u, S = max(ROUNDOFF.get(str(x.dtype), 0.0) for x in (a, b)), reference.S[name]
    return a.shape != S.shape or not close(a, b, 2 * reference.bound * u * S + 1e-300)


def _called_plainly(call: Caller, first: Answer, differ: properties.Differ) -> list[Property]:
    """Called as it stands, with NumPy arrays: nothing is written into its arguments, and compiled it is the same."""
    arguments = call.arguments()
    before = numbers_in(arguments)
    try:
        plain = call.plain(arguments)
    except Exception as error:  # it wants JAX arrays, which cannot be written to
        text = f"it does not take NumPy arrays: {kind_of_value(error)}"
        return [unclear("jit", text)] if call.is_compiled else []
    layers = range(1, len(call.reference.layers) + 1)
    words = jax.tree.leaves(("AL", "Y", [((f"A{l - 1}", f"W{l}", f"b{l}"), f"Z{l}") for l in layers]))
    names = dict(zip(before, words, strict=True))
    before, after = ({names.get(k, k): a for k, a in found.items()} for found in (before, numbers_in(arguments)))
    checks = [properties.arguments_unchanged(before, after)]
    return [*checks, properties.under_jit(first, plain, differ)] if call.is_compiled else checks


def _of_examples(call: Caller, first: Answer, differ: properties.Differ) -> list[Property]:
    """The gradient of a batch is the mean over its examples. Compiled code makes them all at once, under `vmap`."""
    if call.reference.m < 2:
        return []
    try:
        each = call.example_by_example()
    except Exception as error:
        if call.is_compiled:
            return [judged("vmap", False, f"it cannot be mapped: {kind_of_value(error)}")]
        return [unclear("additive over the batch", f"of one example alone it raises {kind_of_value(error)}")]
    mapped = [judged("vmap", True)] if call.is_compiled else []
    parameters = {name: array for name, array in each.items() if name[:2] in ("dW", "db")}
    return [*mapped, properties.additive(parameters, first, differ)]
