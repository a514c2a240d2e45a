"""Promises that a gradient keeps whatever its values are: the same twice, inputs untouched, compiled or not."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ..compare import ROUNDOFF
from ..foreign import NotNumbers, as_numbers
from ..properties import close, promise, same
from ..report import ProtocolCheck, Verdict
from .reference import Reference


Backward = Callable[..., Mapping[str, Any]]  # (AL, Y, caches) -> grads


def backward_protocol(call: "Caller", reference: Reference, grads: Mapping[str, np.ndarray]) -> list[ProtocolCheck]:
    """Structure, deterministic, inputs unchanged, jit, vmap and additive over the batch, of a backward pass."""
    first = call(reference)
    return [
        _structure(reference, grads),
        *_plain(call, reference, first),
        *_example_by_example(call, reference, first),
    ]


def _structure(reference: Reference, grads: Mapping[str, np.ndarray]) -> ProtocolCheck:
    missing = [name for name in reference.leaves if name not in grads and not name.startswith("dA")]
    return promise("structure", not missing, f"{', '.join(missing)} were not returned")


def deterministic(call: "Caller", reference: Reference, grads: Mapping[str, np.ndarray]) -> ProtocolCheck:
    """Called twice, the same twice: as it was called for `grads`, and, since `jit` freezes randomness, traced anew."""
    pairs = [(grads, call(reference))]
    if call.way == call.compiled and call.traced(reference) != call.traced(reference):
        try:
            pairs.append((call.plain(call.arguments(reference)), call.plain(call.arguments(reference))))
        except Exception:  # of whatever kind: it wants JAX arrays
            pass
    differing = {n: None for a, b in pairs for n in [*a, *b] if n not in a or n not in b or not same(a[n], b[n])}
    text = f"called twice with the same arguments, {', '.join(differing)} differ: does it draw random numbers?"
    return promise("deterministic", not differing, text)


def _plain(call: "Caller", reference: Reference, first: Mapping[str, np.ndarray]) -> list[ProtocolCheck]:
    """Called as it stands, with NumPy arrays: the same as compiled, and nothing written into its arguments."""
    arguments = call.arguments(reference)
    before = jax.tree.map(np.array, arguments)
    try:
        plain = call.plain(arguments)
    except Exception as error:  # it wants JAX arrays, which cannot be written to
        if call.way != call.compiled:
            return []
        return [ProtocolCheck("jit", Verdict.INCONCLUSIVE, f"it does not take NumPy arrays: {type(error).__name__}")]
    same = jax.tree.map(lambda a, b: bool(np.array_equal(a, b, equal_nan=True)), before, arguments)
    changed = [_argument(path) for path, equal in jax.tree_util.tree_leaves_with_path(same) if not equal]
    checks = [promise("inputs unchanged", not changed, f"it writes into its arguments: {', '.join(changed)}")]
    if call.way == call.compiled:
        off = _differing(plain, first, reference)
        checks.append(promise("jit", not off, f"compiled and not, {', '.join(off)} differ"))
    return checks


def _argument(path: tuple) -> str:
    """The name of a leaf of (AL, Y, caches)."""
    where = [key.idx for key in path]
    if where[0] < 2:
        return ("AL", "Y")[where[0]]
    l = where[1] + 1
    return f"Z{l}" if where[2] == 1 else (f"A{l - 1}", f"W{l}", f"b{l}")[where[3]]


def _example_by_example(call: "Caller", reference: Reference, first: Mapping[str, np.ndarray]) -> list[ProtocolCheck]:
    """The gradient of a batch is the mean over its examples. Compiled code makes them all at once, under `vmap`."""
    if reference.m < 2:
        return []
    if call.way == call.compiled:
        try:
            each = call.mapped(reference)
        except Exception as error:
            return [promise("vmap", False, f"it cannot be mapped: {type(error).__name__}")]
        checks = [promise("vmap", True, "")]
    else:
        try:
            alone = [call.on(*one_example(call.arguments(reference), i)) for i in range(reference.m)]
        except Exception as error:
            text = f"of one example alone it raises {type(error).__name__}"
            return [ProtocolCheck("additive over the batch", Verdict.INCONCLUSIVE, text)]
        each, checks = {name: np.stack([part[name] for part in alone]) for name in alone[0]}, []
    means = {name: np.mean(each[name].astype(np.float64), axis=0) for name in each if name.startswith(("dW", "db"))}
    off = _differing({name: value.astype(first[name].dtype) for name, value in means.items()}, first, reference)
    return [*checks, promise("additive over the batch", not off, f"{', '.join(off)} are no means over the examples")]


def one_example(arguments: tuple, i: int) -> tuple:
    """AL, Y and caches of example i alone."""
    AL, Y, caches = arguments
    one = slice(i, i + 1)
    return AL[:, one], Y[:, one], [((A[:, one], W, b), Z[:, one]) for (A, W, b), Z in caches]


def _differing(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], reference: Reference) -> list[str]:
    """The leaves in which two answers differ by more than rounding."""
    names = []
    for name in a:
        if name not in b or name not in reference.S:
            continue
        u = max(ROUNDOFF.get(str(answer[name].dtype), 0.0) for answer in (a, b))
        x, y = a[name].astype(np.float64), b[name].astype(np.float64)
        if x.shape != reference.S[name].shape or not close(x, y, 2 * reference.bound * u * reference.S[name] + 1e-300):
            names.append(name)
    return names


class Caller:
    """Calls the backward pass under test as it wants to be called: compiled, or with NumPy or with JAX arrays."""

    def __init__(self, backward: Backward, dtype: str):
        self.backward, self.dtype = backward, dtype
        self._compiled = jax.jit(backward)
        self.unusable: dict[str, str] = {}  # what was returned last that is no array of numbers, and what it is
        self.way: Callable[[tuple], dict[str, np.ndarray]] | None = None

    def __call__(self, reference: Reference) -> dict[str, np.ndarray]:
        """The grads at the reference's point."""
        return self.on(*self.arguments(reference))

    def arguments(self, reference: Reference) -> tuple:
        """AL, Y and caches in the dtype asked for; fresh arrays. A last row of Y holds weights, if any."""
        dtype, Y = jnp.dtype(self.dtype), reference.Y
        Y = Y if reference.sample_weight is None else np.concatenate([Y, reference.sample_weight[None]])
        return jax.tree.map(lambda x: np.asarray(x).astype(dtype), (reference.AL, Y, reference.caches))

    def on(self, AL: np.ndarray, Y: np.ndarray, caches: list) -> dict[str, np.ndarray]:
        """The grads, made in the first way that works; what the last of them raises is passed on."""
        arguments = (AL, Y, caches)
        if self.way is not None:
            return self.way(arguments)
        for way in (self.compiled, self.plain):
            try:
                grads = way(arguments)
            except Exception:  # of whatever kind: NumPy code, say, that cannot be traced
                continue
            self.way = way
            return grads
        self.way = self.with_jax_arrays
        return self.way(arguments)

    def compiled(self, arguments: tuple) -> dict[str, np.ndarray]:
        """Under `jit`."""
        return self._arrays(self._compiled, arguments)

    def plain(self, arguments: tuple) -> dict[str, np.ndarray]:
        """With NumPy arrays."""
        return self._arrays(self.backward, arguments)

    def with_jax_arrays(self, arguments: tuple) -> dict[str, np.ndarray]:
        """With JAX arrays, for code that uses their methods."""
        return self._arrays(lambda *a: self.backward(*jax.tree.map(jnp.asarray, a)), arguments)

    def traced(self, reference: Reference) -> tuple[str, list[bytes]]:
        """The program that it is traced to now, and its constants."""
        with jax.enable_x64(self.dtype == "float64"):
            program = jax.make_jaxpr(lambda *arguments: self.backward(*arguments))(*self.arguments(reference))
        text = re.sub(r"0x[0-9a-f]+", "", str(program))  # addresses of functions, which are others every time
        return text, [np.asarray(constant).tobytes() for constant in program.consts]

    def mapped(self, reference: Reference) -> dict[str, np.ndarray]:
        """The grads of every example alone, under one `vmap`."""

        def alone(columns, matrices):
            AL, Y, As, Zs = jax.tree.map(lambda column: column[:, None], columns)
            caches = [((A, W, b), Z) for A, (W, b), Z in zip(As, matrices, Zs, strict=True)]
            return self.backward(AL, Y, caches)

        AL, Y, caches = self.arguments(reference)
        columns = (AL, Y, [A for (A, _, _), _ in caches], [Z for _, Z in caches])
        matrices = [(W, b) for (_, W, b), _ in caches]
        return self._arrays(jax.jit(jax.vmap(alone, (1, None))), (columns, matrices))

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
                self.unusable[str(name)] = str(reason)
        return arrays
