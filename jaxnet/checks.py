"""What an input must be: the types, dtypes, shapes and values of the arrays that people pass.

Types, dtypes and shapes are checked at no cost under `jit`. Values are checked in one pass, and only where they are
known: nothing is known of traced values, and nothing is added to the program.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from .errors import InputError
from .losses import Loss, binary_cross_entropy, softmax_cross_entropy
from .parameters import layer_dims
from .types import AnyArray, Grads, Inputs, Labels, Masks, Outputs, Parameters


ROUNDING = 1e-6  # by how much a label or a probability may leave [0, 1], and
SUM_ROUNDING = 1e-3  # by how much the sum over an example may differ from 1


def is_concrete(value: Any) -> bool:
    """Whether the numbers of an array are known, on this machine. Those of a tracer are not."""
    if isinstance(value, Tracer):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable


def check_array(name: str, value: Any, hint: str = "") -> None:
    """Raises `InputError` unless the value is an array of NumPy or JAX that means its numbers and nothing more."""
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(
            f"{name} is a masked array of NumPy, whose mask would be ignored; leave the masked examples out, or pass "
            f"{name}.filled(value)"
        )
    if isinstance(value, np.matrix):
        raise InputError(f"{name} is a matrix of NumPy, whose * is a matrix product; pass numpy.asarray({name})")
    if not isinstance(value, jax.Array | np.ndarray):
        raise InputError(
            f"{name} is of type {type(value).__name__}; expected an array{hint}: pass jax.numpy.array({name})"
        )


def check_floats(name: str, value: Any, row: str = "") -> None:
    """Raises `InputError` unless the value is an array of floats that are finite, as far as they are known."""
    check_array(name, value)
    check_float_dtype(name, value)
    check_finite(name, value, row)


def check_float_dtype(name: str, value: AnyArray) -> None:
    """Raises `InputError` for an array of anything but floats."""
    if not _is_float(value.dtype):
        raise InputError(f"{name} is {value.dtype}; expected floats{_remedy(name, value.dtype)}")
    if isinstance(value, np.ndarray) and not value.dtype.isnative:
        raise InputError(f"{name} has another byte order than this machine; pass {name}.astype({value.dtype.name!r})")


def check_real(name: str, value: Any, expected: str = "floats") -> None:
    """Raises `InputError` unless the value is an array of booleans, integers or finite floats."""
    check_array(name, value)
    if not _is_real(value.dtype):
        raise InputError(f"{name} is {value.dtype}; expected {expected}{_remedy(name, value.dtype)}")
    if _is_float(value.dtype):
        check_finite(name, value)


def check_finite(name: str, value: AnyArray, row: str = "") -> None:
    """Raises `InputError` where a known number is NaN or infinite, or would be in the dtype that JAX gives it."""
    if not is_concrete(value) or value.size == 0:
        return
    if isinstance(value, jax.Array) and value.is_deleted():
        raise InputError(f"{name} was donated to a compiled step and is gone; use the arrays that the step returned")
    low, high = _range(value)
    largest = float(jnp.finfo(jax.dtypes.canonicalize_dtype(value.dtype)).max)
    if -largest <= low and high <= largest:
        return
    values = np.asarray(value).astype(float)
    bad = ~(np.abs(values) <= largest)
    first = tuple(np.argwhere(bad)[0].tolist())
    what = "not finite" if not np.isfinite(values).all() else f"beyond the range of {jnp.result_type(value)}"
    raise InputError(
        f"{name} has {np.count_nonzero(bad)} entries that are {what}, the first is "
        f"{name}[{', '.join(map(str, first))}] = {values[first]}{f' ({row} {first[0]})' if row else ''}; expected "
        "finite numbers"
    )


def check_parameters(parameters: Parameters) -> tuple[int, ...]:
    """`layer_dims` of them. Raises `InputError`, naming the entry, unless they are arrays of finite floats that fit."""
    if isinstance(parameters, Mapping):
        for name, value in parameters.items():
            check_array(name, value)
    dims = layer_dims(parameters)
    for name, value in parameters.items():
        check_floats(name, value, "unit")
    return dims


def check_gradient(name: str, grads: Grads, shape: tuple[int, ...]) -> None:
    """Raises `InputError` unless `grads` holds an array with that name and shape; another one might broadcast."""
    if not isinstance(grads, Mapping):
        raise InputError(f"grads are of type {type(grads).__name__}; expected the mapping `L_model_backward` returns")
    if name not in grads:
        raise InputError(f"grads have the keys {', '.join(map(str, grads)) or 'none'}; expected a {name} among them")
    check_array(name, grads[name])
    check_float_dtype(name, grads[name])
    if grads[name].shape != shape:
        raise InputError(f"{name} has shape {grads[name].shape}; expected {shape}, that of {name[1:]}")


def check_inputs(X: Inputs, n_x: int) -> None:
    """Raises `InputError` unless X holds finite floats and has shape (n_x, m)."""
    check_array("X", X, ", (n_x, m)")
    if X.ndim != 2 or X.shape[0] != n_x:
        hint = "; examples are columns: pass X.T" if X.ndim == 2 and X.shape[1] == n_x else ""
        raise InputError(f"layer 1: X has shape {X.shape}, but W1 takes {n_x} inputs; expected ({n_x}, m){hint}")
    check_floats("X", X, "input")


def as_targets(Y: Labels, AL: Outputs | jax.ShapeDtypeStruct, loss: Loss) -> Float[jax.Array, "n_L m"]:
    """Y in the shape and dtype of AL. With one output, (m,) and (m, 1) are reshaped, as in the course.

    Raises `InputError` for any other shape, since reshaping (m, n_L) would mix the examples, and where there are no
    examples, since their mean would be NaN. Labels that are known must be finite numbers, and for the cross-entropies
    probabilities.
    """
    n_L, m = AL.shape
    Y = _as_labels(Y)
    shape = Y.shape
    if m == 0:
        raise InputError(f"there are no examples: the output has shape {(n_L, m)} and Y {shape}; expected at least one")
    if shape != (n_L, m) and not (n_L == 1 and shape in [(m,), (m, 1)]):
        hint = ""
        if shape == (m, n_L):
            hint = "; examples are columns: pass Y.T"
        elif n_L > 1 and shape in [(m,), (1, m), (m, 1)]:
            hint = f"; for class indices pass jax.nn.one_hot(Y.ravel(), {n_L}).T"
        raise InputError(f"Y has shape {shape}; expected {(n_L, m)}, one column per example{hint}")
    _check_label_values(Y, loss)
    return jnp.asarray(Y, AL.dtype).reshape(n_L, m)


def _as_labels(Y: Any) -> AnyArray:
    """Y as an array. Raises `InputError` unless it holds real numbers."""
    if not isinstance(Y, jax.Array):
        if isinstance(Y, np.ndarray):
            check_array("Y", Y)
        try:
            Y = np.asarray(Y)
        except Exception as error:  # foreign conversions may raise anything
            raise InputError(
                f"Y is of type {type(Y).__name__}, which is not an array: {error!s:.200}; expected labels"
            ) from None
    if not _is_real(Y.dtype):
        raise InputError(f"Y has dtype {Y.dtype}; expected numbers: 0 and 1, or probabilities between them")
    return Y


def _check_label_values(Y: AnyArray, loss: Loss) -> None:
    if not is_concrete(Y):
        return
    if _is_float(Y.dtype):
        check_finite("Y", Y, "output" if Y.ndim == 2 else "")
    if loss not in (binary_cross_entropy, softmax_cross_entropy):
        return
    low, high = _range(Y)
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise InputError(f"labels lie between {low:g} and {high:g}; expected 0 and 1, or probabilities between them")
    if loss == softmax_cross_entropy:
        sums = np.asarray(Y).reshape(-1, Y.shape[-1] if Y.ndim == 2 else Y.size).sum(axis=0, dtype=float)
        worst = int(np.argmax(np.abs(sums - 1)))
        few_digits = 0.0 if not _is_float(Y.dtype) else 4 * float(jnp.finfo(Y.dtype).eps)
        if abs(sums[worst] - 1) > max(SUM_ROUNDING, few_digits):
            raise InputError(
                f"column {worst} of Y sums to {sums[worst]:g}; softmax cross-entropy expects columns that sum to 1, "
                "one-hot or probabilities"
            )


def check_output(AL: Outputs, loss: Loss) -> None:
    """Raises `InputError` unless AL is (n_L, m) finite floats, and probabilities where the loss takes logarithms."""
    check_array("AL", AL)
    if AL.ndim != 2 or not _is_float(AL.dtype):
        raise InputError(
            f"AL has shape {AL.shape} and dtype {_in_jax(AL.dtype)}; expected (n_L, m) floats, one column per example"
        )
    check_float_dtype("AL", AL)
    check_finite("AL", AL)
    if loss in (binary_cross_entropy, softmax_cross_entropy) and is_concrete(AL) and AL.size:
        low, high = _range(AL)
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise InputError(
                f"AL lies between {low:g} and {high:g}; expected the probabilities that `L_model_forward` returns, "
                "which are between 0 and 1, and not logits"
            )


def check_masks(masks: Masks, shapes: Sequence[tuple[int, ...]]) -> None:
    """Raises `InputError` unless there is a mask, or None, with the shape of each of A_0, ..., A_{L-1}."""
    if masks is None:
        return
    if not isinstance(masks, Sequence) or len(masks) != len(shapes):
        got = f"{len(masks)} masks" if isinstance(masks, Sequence) else f"masks of type {type(masks).__name__}"
        raise InputError(f"got {got}; expected a list of {len(shapes)}, one or None for each of A0, ..., A{{L-1}}")
    for l, (mask, shape) in enumerate(zip(masks, shapes, strict=True)):
        if mask is None:
            continue
        check_array(f"masks[{l}]", mask)
        if mask.shape != shape:
            raise InputError(f"masks[{l}] has shape {mask.shape}; expected {shape}, that of A{l}")
        check_real(f"masks[{l}]", mask, "numbers: 0, or 1 / keep_prob")


def check_caches(caches: Sequence[tuple]) -> None:
    """Raises `InputError`, naming the layer, unless the arrays of all caches fit each other and are finite floats."""
    if not isinstance(caches, Sequence) or isinstance(caches, str | bytes):
        raise InputError(
            f"caches are of type {type(caches).__name__}; expected the list that `L_model_forward` returns"
        )
    if len(caches) == 0:
        raise InputError("caches are empty; expected one cache per layer, as `L_model_forward` returns them")
    for l, cache in enumerate(caches, start=1):
        check_layer_cache(cache, f"layer {l}: ")
    shapes = [(np.shape(A_prev), np.shape(W), np.shape(Z)) for (A_prev, W, _), Z in caches]
    for l, (A, W, Z) in enumerate(shapes, start=1):
        below = A if l == 1 else shapes[l - 2][2]
        if len(A) != 2 or W != (*W[:1], A[0]) or Z != (*W[:1], A[1]) or A != below:
            raise InputError(
                f"layer {l}: the cache holds A{l - 1} of shape {A}, W{l} {W} and Z{l} {Z}; expected (n_prev, m), "
                f"(n, n_prev) and (n, m), where (n_prev, m) is {below}"
            )
    for l, ((A_prev, W, _), Z) in enumerate(caches, start=1):
        for name, value in ((f"A{l - 1}", A_prev), (f"W{l}", W), (f"Z{l}", Z)):
            check_floats(name, value)


def check_layer_cache(cache: Any, where: str = "") -> None:
    """Raises `InputError` unless the cache unpacks as ((A_prev, W, b), Z)."""
    if not (_is_tuple(cache, 2) and _is_tuple(cache[0], 3)):
        raise InputError(
            f"{where}the cache is {_made_of(cache)}; expected ((A_prev, W, b), Z), as the forward function returns it"
        )


def check_linear_cache(cache: Any) -> None:
    """Raises `InputError` unless the cache unpacks as (A_prev, W, b)."""
    if not _is_tuple(cache, 3):
        raise InputError(f"the cache is {_made_of(cache)}; expected (A_prev, W, b), as `linear_forward` returns it")


def _is_tuple(value: Any, length: int) -> bool:
    return isinstance(value, tuple | list) and len(value) == length


def _made_of(value: Any) -> str:
    return f"a {type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else f"{value!r:.60}"


def check_tree(name: str, tree: Any) -> None:
    """Raises `InputError` for a leaf that is an array which means more than its numbers: see `check_array`."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, np.ndarray):
            check_array(name + jax.tree_util.keystr(path), leaf)


def check_same_shape(dA: AnyArray, Z: AnyArray) -> None:
    """Raises `InputError` where dA and Z would broadcast, or are not floats; NaN and infinity pass."""
    check_array("dA", dA)
    check_array("Z", Z)
    if dA.shape != Z.shape:
        raise InputError(
            f"dA has shape {dA.shape} and Z {Z.shape}; expected one shape, (n, m), that of the layer's units"
        )
    for name, value in (("dA", dA), ("Z", Z)):
        check_float_dtype(name, value)


def _range(value: AnyArray) -> tuple[float, float]:
    """The smallest and the largest number; NaN where there is one."""
    values = np.asarray(value)
    with np.errstate(all="ignore"):
        return float(values.min()), float(values.max())


def _is_float(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize <= 8  # JAX has no long double


def _in_jax(dtype: Any) -> Any:
    """The dtype that JAX gives such an array, if it has one."""
    return jax.dtypes.canonicalize_dtype(dtype) if _is_real(dtype) else dtype


def _is_real(dtype: Any) -> bool:
    """Booleans, integers and floats; times are excluded, although NumPy counts them among the integers."""
    whole = jnp.issubdtype(dtype, jnp.integer) and not jnp.issubdtype(dtype, np.timedelta64)
    return jnp.issubdtype(dtype, jnp.bool_) or whole or _is_float(dtype)


def _remedy(name: str, dtype: Any) -> str:
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return f", as the network has real ones: pass {name}.real, or real and imaginary parts as inputs of their own"
    if jnp.issubdtype(dtype, jnp.integer) and name == "X":
        return ": for images of 0 to 255 pass X / 255"
    return (
        f": pass {name}.astype(float)" if jnp.issubdtype(dtype, jnp.bool_) or jnp.issubdtype(dtype, jnp.integer) else ""
    )
