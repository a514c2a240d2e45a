"""How many runs are made at the same time: as many as fit into memory, and into the caches of a processor."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..arguments import check_number
from ..errors import InputError
from ..storage import free_memory
from .members import Member
from .together import Arguments, Plan, arguments_of, group_of, kept_of, plan_of, program


SHARE = 0.5  # of the memory that is free
CACHE = 2**23  # bytes of states that a processor keeps at hand; beyond, the steps of 64 runs take a sixth longer


def parts_of(members: Sequence[Member], length: int, memory_limit: float | None) -> list[tuple[list[int], Plan]]:
    """The runs, in parts of which each is one program, with the plan of their group.

    All parts of a group have the same size, and so the same program: its last run fills them up. Raises `InputError`
    where their states alone do not fit.
    """
    if memory_limit is not None:
        check_number("memory_limit", memory_limit, "a number of bytes above 0", lambda limit: limit > 0)
    groups: dict[Any, list[int]] = {}
    for i, member in enumerate(members):
        groups.setdefault(group_of(member), []).append(i)
    limit = _limit() if memory_limit is None else memory_limit
    states = 3 * sum(state_bytes(member) for member in members)  # before and after a chunk, and before the last one
    if limit is not None and states > limit:
        raise InputError(
            f"the states of {len(members)} networks need {states / 2**30:.3g} GiB, and the limit is "
            f"{limit / 2**30:.3g}; choose fewer runs or smaller layers, or another memory_limit"
        )
    parts = []
    for indices in groups.values():
        group = [members[i] for i in indices]
        plan = plan_of(group)
        n = _size(group, plan, length, None if limit is None else limit - states)
        count = -(-len(indices) // n)
        n = -(-len(indices) // count)
        indices = [*indices, *indices[-1:] * (n * count - len(indices))]
        parts += [(indices[start : start + n], plan) for start in range(0, len(indices), n)]
    return parts


def _size(group: Sequence[Member], plan: Plan, length: int, limit: float | None) -> int:
    """How many runs of a group are made at a time."""
    n = len(group)
    if jax.default_backend() == "cpu":
        n = min(n, max(1, CACHE // state_bytes(group[0])))
    while n > 1 and limit is not None:
        needed = program_bytes(group[0], plan, n, length)
        if needed <= limit:
            break
        n = max(1, min(n - 1, int(n * limit / needed)))
    return n


def program_bytes(one: Member, plan: Plan, n: int, length: int) -> int:
    """What the program of a chunk of n runs like this one needs beside its arguments, as its compiler says."""

    def shapes(tree: Any, axis: int | None) -> Any:
        many = () if axis is None else (n,)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*many, *jnp.shape(leaf)), jnp.result_type(leaf)), tree)

    needed = program(
        Arguments(*map(shapes, arguments_of(one, plan, length), plan.axes)), plan.axes, length
    ).memory_analysis()
    return 0 if needed is None else needed.temp_size_in_bytes


def state_bytes(member: Member) -> int:
    """The parameters, the optimizer's state and the feedback weights of a run."""
    return sum(np.size(leaf) * jnp.result_type(leaf).itemsize for leaf in jax.tree.leaves(kept_of(member.state)))


def _limit() -> float | None:
    device = jax.devices()[0].memory_stats()
    if device is not None and "bytes_limit" in device:
        return SHARE * (device["bytes_limit"] - device["bytes_in_use"])
    free = free_memory()
    return None if free is None else SHARE * free
