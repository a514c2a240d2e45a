"""Where the steps of a run are made: on one device, or each on several, which have some of its examples each.

The program is the same. The examples of a step, or which they are, are an array that is sharded by example, all else is
on every device, and XLA makes of the sums over examples in cost and gradient sums over the devices: one exchange a
step, of as many numbers as there are parameters, and the cost.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ..errors import InputError


ALIGNMENT = 64  # bytes, of the arrays that XLA shares with NumPy


class Placement(NamedTuple):
    """The devices that share the examples of every step: `train(..., placement=Placement(mesh))`.

    n devices hold the parameters each, and 1/n of a step's examples; so `batch_size` is a multiple of n. A step is that
    of one device up to rounding, which a chaotic run amplifies; over a mesh of one device it is the same to the last
    bit. At the end of each step the devices add up their gradients, so that it pays only where they have enough to
    compute: with F FLOP/s in a device and B bytes/s between them, from about 1.3 F/B examples a device on.

    Args:
        mesh: The devices, along one axis: `jax.make_mesh((n,), ("examples",))`, of any axis type.
        exact: In how many parts a sum over examples is made. None, the only choice in this version: one on each device.

    Example:
        >>> placement = jaxnet.Placement(jax.make_mesh((1,), ("examples",)))
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> trained = jaxnet.train(X, Y, parameters, num_iterations=5, placement=placement)
        >>> bool((trained.costs == jaxnet.train(X, Y, parameters, num_iterations=5).costs).all())
        True
    """

    mesh: Mesh
    exact: int | None = None


def check_placement(placement: Placement | None, batch_size: int | None, m: int) -> None:
    """Raises `InputError` unless the examples of every step, m or `batch_size`, are as many on each device."""
    if placement is None:
        return
    if not isinstance(placement, Placement) or not isinstance(placement.mesh, Mesh):
        raise InputError(
            f'placement is {placement!r:.60}; expected jaxnet.Placement(jax.make_mesh((n,), ("examples",))), or None '
            "for one device"
        )
    if placement.exact is not None:
        raise InputError(f"placement.exact is {placement.exact!r:.60}, which this version does not have; expected None")
    names, n = placement.mesh.axis_names, placement.mesh.size
    if len(names) != 1:
        raise InputError(f"the mesh of placement has the axes {', '.join(map(str, names))}; expected one axis")
    size = m if batch_size is None else batch_size
    if size % n:
        said = f"there are {m} examples in every step" if batch_size is None else f"batch_size is {batch_size}"
        fitting = [f"{k}" for k in (size // n * n, -(-size // n) * n) if 0 < k <= m]
        remedy = f": pass a batch_size of {' or '.join(fitting)}" if fitting else ""
        raise InputError(f"{said}, but {n} devices share them; expected a multiple of {n}{remedy}")


def placement_of(X: Any) -> Placement | None:
    """The devices over which X is sharded by example, where they are all devices of its mesh."""
    sharding = X.sharding if isinstance(X, jax.Array) else None
    if not isinstance(sharding, NamedSharding):
        return None
    rows, examples = (*sharding.spec, None, None)[:2]
    if rows is not None or sharding.mesh.shape.get(examples) != sharding.mesh.size:
        return None
    return Placement(Mesh(sharding.mesh.devices.reshape(-1), (examples,)))  # pyright: ignore[reportOptionalMemberAccess]


def to_be_placed(X: Any, placement: Placement | None) -> Any:
    """X, in the host's memory if it is to be on several devices, or is."""
    is_spread = isinstance(X, jax.Array) and len(X.sharding.device_set) > 1
    return np.asarray(X) if is_spread or placement is not None else X


def on_first_devices(n: int) -> Placement:
    """The first n devices. Raises `InputError` where there are fewer."""
    if n > jax.device_count():
        raise InputError(f"{n} devices are asked for, but JAX has {jax.device_count()} ({jax.default_backend()})")
    return Placement(Mesh(np.array(jax.devices()[:n]), ("examples",)))


def on_every_device(tree: Any, placement: Placement | None) -> Any:
    """The arrays of a tree, whole on each device."""
    if placement is None:
        return jax.device_put(tree)
    whole = jax.tree.map(lambda value: _aligned(value) if isinstance(value, np.ndarray) else value, tree)
    return jax.device_put(whole, _sharding(placement))


def _aligned(array: np.ndarray) -> np.ndarray:
    """A copy where parts of a CPU can share it, instead of each having its own."""
    memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def by_example(arrays: Any, placement: Placement | None, axis: int = 0) -> Any:
    """Arrays with the examples along `axis`, so many on each device."""
    return jax.device_put(arrays, None if placement is None else _sharding(placement, *[None] * axis, True))


def on_one_device(tree: Any, placement: Placement | None) -> Any:
    """What is whole on each device, as arrays of the first: else all devices would repeat whatever is done with it."""
    return tree if placement is None else jax.device_put(tree, placement.mesh.devices.flat[0])


def over(placement: Placement | None) -> AbstractContextManager[Any]:
    """The context of computations with what was placed, whatever mesh the caller has set."""
    return nullcontext() if placement is None else jax.set_mesh(_mesh(placement))


def _sharding(placement: Placement, *is_split: bool | None) -> NamedSharding:
    [name] = placement.mesh.axis_names
    return NamedSharding(_mesh(placement), PartitionSpec(*(name if split else None for split in is_split)))


def _mesh(placement: Placement) -> Mesh:
    # Explicit axes would have optimizers and activations of others name the sharding of what they compute.
    return Mesh(placement.mesh.devices, placement.mesh.axis_names, axis_types=(AxisType.Auto,))
