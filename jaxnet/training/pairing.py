"""One program at two sizes, read side by side: what its results have in common, from what its arguments have.

The marks are those of `covariance`, the programs are jaxprs: with n_x inputs, and with r.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from .covariance import EQUAL, FINITE, INVARIANT, ZERO, Mark, NotComparable, Pair, apply_rule, join


Program: TypeAlias = Jaxpr | ClosedJaxpr
Marks: TypeAlias = list[Mark | None]


def read(full: Program, reduced: Program, marks: Iterable[Mark | None]) -> Marks:
    """The marks of a program's results, from those of its arguments.

    Raises where the two programs are not the same but for the number of inputs, or have effects.
    """
    constants = zip(getattr(full, "consts", ()), getattr(reduced, "consts", ()), strict=True)
    marks = [*(_of_constants(u, v) for u, v in constants), *marks]
    full, reduced = (getattr(program, "jaxpr", program) for program in (full, reduced))
    known = {}

    def write(us, vs, marks):
        known.update({u: (v, mark) for u, v, mark in zip(us, vs, marks, strict=True)})

    def look(us, vs):
        return [_look(u, v, known) for u, v in zip(us, vs, strict=True)]

    write([*full.constvars, *full.invars], [*reduced.constvars, *reduced.invars], marks)
    for pair in map(Pair._make, zip(full.eqns, reduced.eqns, strict=True)):
        if pair.full.primitive != pair.reduced.primitive or pair.full.effects or pair.reduced.effects:
            raise NotComparable(f"{pair.name} and {pair.reduced.primitive.name}")
        found = _results(pair, look(pair.full.invars, pair.reduced.invars))
        write(pair.full.outvars, pair.reduced.outvars, found)
    return look(full.outvars, reduced.outvars)


def _look(u: Any, v: Any, known: dict) -> Mark | None:
    if isinstance(u, Literal):
        return _of_constants(u.val, v.val) if isinstance(v, Literal) else None
    counterpart, mark = known[u]
    return mark if counterpart is v else None


def _of_constants(u: Any, v: Any) -> Mark | None:
    u, v = (np.asarray(jax.random.key_data(x) if _is_key(x) else x) for x in (u, v))
    bits = [(x.dtype, x.shape, x.tobytes()) for x in (u, v)]
    if u.dtype == v.dtype and not u.any() and not v.any():
        return Mark(ZERO, term=bits[0] if u.size == v.size == 1 else None)
    return Mark(INVARIANT, term=bits[0] if u.size == 1 else None) if bits[0] == bits[1] else None


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(getattr(x, "dtype", float), jax.dtypes.prng_key)


def _results(pair: Pair, marks: Marks) -> Marks:
    """The marks of an equation's results."""
    known = [mark for mark in marks if mark is not None]
    digits = 0
    if pair.name in STRUCTURES:
        found = STRUCTURES[pair.name](pair, marks)
    elif None in marks or _asks_for_last_digits(pair):
        found = [None] * len(pair.full.outvars)
    else:
        found, digits = _of_known(pair, known), max((mark.digits for mark in known), default=0)
    return [
        _named(mark, u.aval) if mark is not None and _is_tenable(mark, u.aval, v.aval, digits) else None
        for mark, u, v in zip(found, pair.full.outvars, pair.reduced.outvars, strict=True)
    ]


def _asks_for_last_digits(pair: Pair) -> bool:
    """Whether it makes integers from floats, such as seeds: two roundings of one float may give any two."""
    if pair.name not in ("convert_element_type", "bitcast_convert_type"):
        return False
    dtypes = pair.full.invars[0].aval.dtype, pair.full.outvars[0].aval.dtype
    return jnp.issubdtype(dtypes[0], jnp.floating) and jnp.issubdtype(dtypes[1], jnp.integer)


def _named(mark: Mark, value: Any) -> Mark:
    """A number that is made here is a number of its own."""
    is_new = mark.kind is INVARIANT and mark.term is None and math.prod(value.shape) == 1 and mark.axis is None
    return mark._replace(term=object()) if is_new else mark


def _is_tenable(mark: Mark, u: Any, v: Any, digits: int) -> bool:
    """Whether two values of these shapes and dtypes, made from so many digits of W1, can have this mark."""
    if u.dtype != v.dtype or (mark.kind is not ZERO and (mark.axis is None) != (u.shape == v.shape)):
        return False
    if mark.kind is FINITE:
        return u.dtype == bool
    digits = max(digits, mark.digits)
    return digits == 0 or (jnp.issubdtype(u.dtype, jnp.floating) and int(jnp.finfo(u.dtype).nmant) >= digits)


def _of_known(pair: Pair, marks: list[Mark]) -> Marks:
    """From operands that are all known, perhaps unless a condition is true."""
    if pair.name == "select_n" and marks[0].term is not None and marks[0].term == marks[1].unless:
        marks = [marks[0], marks[1]._replace(unless=None), *marks[2:]]  # it is asked again, so nothing is lost
    conditions = {mark.unless for mark in marks} - {None}
    if len(conditions) > 1:
        return [None] * len(pair.full.outvars)
    marks = [mark._replace(unless=None) for mark in marks]
    mark = apply_rule(pair, marks)
    if mark is None and _is_equal(pair, marks):
        mark = EQUAL
    if mark is not None and conditions:
        mark = mark._replace(unless=conditions.pop())
    return [mark] * len(pair.full.outvars)


def _is_equal(pair: Pair, marks: list[Mark]) -> bool:
    """Whether it is the same function of the same values."""
    return (
        all(mark.is_equal and len(set(pair.operand(i))) == 1 for i, mark in enumerate(marks))
        and pair.name not in ("pure_callback", "rng_uniform", "empty")
        and all(_is_same(*pair.both(name)) for name in pair.full.params)
    )


def _is_same(u: Any, v: Any) -> bool:
    """Whether these parameters of two equations are the same."""
    if isinstance(u, Program):
        arguments, others = (getattr(program, "jaxpr", program).invars for program in (u, v))
        marks = [EQUAL if a.aval == b.aval else None for a, b in zip(arguments, others, strict=True)]
        return all(mark is not None and mark.is_equal for mark in read(u, v, marks))
    if isinstance(u, tuple | list):
        return len(u) == len(v) and all(map(_is_same, u, v))
    if isinstance(u, np.ndarray | jax.Array):
        return np.shape(u) == np.shape(v) and _of_constants(u, v) is not None
    return bool(u == v)


def _call(pair: Pair, marks: Marks) -> Marks:
    return read(*pair.both("jaxpr" if "jaxpr" in pair.full.params else "call_jaxpr"), marks)


def _cond(pair: Pair, marks: Marks) -> Marks:
    which, *operands = marks
    branches = zip(*pair.both("branches"), strict=True)
    results = zip(*(read(u, v, operands) for u, v in branches), strict=True)
    is_equal = which is not None and which.is_equal
    return [join(marks) if is_equal else None for marks in results]


def _settled(step: Callable[[Marks], Marks], carry: Marks) -> Marks:
    """The marks that a carry has in every round: in each one more may be lost, until none is."""
    while (joined := [join(pair) for pair in zip(carry, step(carry), strict=True)]) != carry:
        carry = joined
    return carry


def _while(pair: Pair, marks: Marks) -> Marks:
    asked, made = pair.param("cond_nconsts"), pair.param("body_nconsts")
    known, constants, carry = marks[:asked], marks[asked : asked + made], marks[asked + made :]
    carry = _settled(lambda carry: read(*pair.both("body_jaxpr"), [*constants, *carry]), carry)
    [goes_on] = read(*pair.both("cond_jaxpr"), [*known, *carry])
    return carry if goes_on is not None and goes_on.is_equal else [None] * len(carry)


def _scan(pair: Pair, marks: Marks) -> Marks:
    length = pair.param("length")
    pair.param("reverse")
    (first, kept), reduced = _scan_sizes(pair.full.params), _scan_sizes(pair.reduced.params)
    if (first, kept) != reduced:
        raise NotComparable(f"two scans with {(first, kept)} and {reduced} constants and carried values")
    constants, carry, xs = marks[:first], marks[first : first + kept], marks[first + kept :]

    def scaled(mark, numerator, denominator):
        if mark is None or mark.axis is None:
            return mark
        before, rest = divmod(mark.axis[0] * numerator, denominator)
        return None if rest else mark._replace(axis=(before, mark.axis[1]))

    # The axis of inputs must not be the one that is scanned along.
    shapes = [pair.operand(first + kept + i) for i in range(len(xs))]
    xs = [
        scaled(mark, 1, length) if shape.full[0] == shape.reduced[0] else None
        for mark, shape in zip(xs, shapes, strict=True)
    ]

    def step(carry):
        return read(*pair.both("jaxpr"), [*constants, *carry, *xs])

    carry = _settled(lambda carry: step(carry)[:kept], carry)
    # A result of each round has a term, and a condition, of that round.
    ys = [None if mark is None or mark.unless else mark._replace(term=None) for mark in step(carry)[kept:]]
    return [*carry, *(scaled(mark, length, 1) for mark in ys)]


def _scan_sizes(params: dict[str, Any]) -> tuple[int, int]:
    """How many of a scan's operands are constants, and how many are carried."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    constants, carry, _ = params["ft_in"].unpack()  # JAX from 0.12
    return len([*constants]), len([*carry])


STRUCTURES = {"cond": _cond, "while": _while, "scan": _scan} | dict.fromkeys(
    ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat2", "custom_jvp_call", "custom_vjp_call"), _call
)
