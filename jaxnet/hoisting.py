"""The numbers in a program as its arguments, so that programs that differ in nothing but numbers are one.

To Python `optax.sgd(0.1)` and `optax.sgd(0.2)` are different functions, each of which JAX compiles. Here both are read
as one program, called with another number.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Literal, Var, jaxpr_as_fun


# How many of the operands are hoisted, where they are single floats. The others stay, as a compiler makes something
# else of a number that it sees: of x ** 2.0 a product, of x / 3.0 and of 2.0 * x / 3.0 a product with one number.
HOISTED = dict.fromkeys(("mul", "add", "sub", "max", "min", "lt", "le", "gt", "ge", "select_n", "clamp"), 3)
HOISTED |= {"div": 1, "pow": 1, "_where": 3, "clip": 3}
FOREIGN = re.compile(r"0x[0-9a-f]+|callback")  # a function in memory, of which a text shows no more


class NotHoistedError(Exception):
    """The program's text does not identify it, or its results depend on `unused`."""


class TracedConstantError(Exception):
    """A value that JAX is tracing is part of the program."""


@jax.tree_util.register_static
@dataclass(frozen=True, eq=False, repr=False)
class Program:
    """A program without its numbers, equal to any other with the same text, constants and structure of results."""

    jaxpr: ClosedJaxpr  # of the numbers, then of the arguments
    results: Any  # their structure
    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and (self.digest, self.results) == (other.digest, other.results)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Program({self.digest})"

    def __call__(self, numbers: dict[str, Any], *arguments: Any) -> Any:
        """What the function returns, with these numbers in the place of its own."""
        return jax.tree.unflatten(self.results, jaxpr_as_fun(self.jaxpr)(*jax.tree.leaves((numbers, arguments))))


def hoist(function: Callable, *arguments: Any, unused: Any) -> tuple[Program, dict[str, np.ndarray]]:
    """`function(*arguments, unused)` as a program, and the numbers that it is called with: a vector for each dtype.

    Nothing is compiled. Raises `NotHoistedError` where the results depend on `unused` or a function of the host is part
    of the program, and `TracedConstantError`.
    """
    read, results = jax.make_jaxpr(function, return_shape=True)(*arguments, unused)
    if any(isinstance(value, Tracer) for value in constants_of(read)):
        raise TracedConstantError
    called, literals = _with_inputs(read, len(jax.tree.leaves(arguments)))
    dtypes = [_dtype(literal).name for literal in literals]
    numbers = {
        dtype: np.array([literal.val for literal in literals if _dtype(literal) == dtype], jnp.dtype(dtype))
        for dtype in sorted(set(dtypes))
    }

    def with_numbers(numbers, *arguments):
        values = {dtype: iter([vector[i] for i in range(len(vector))]) for dtype, vector in numbers.items()}
        return called(*(next(values[dtype]) for dtype in dtypes), *jax.tree.leaves(arguments))

    program = jax.make_jaxpr(with_numbers)(numbers, *arguments)
    constants, text = constants_of(program), str(program)
    if FOREIGN.search(text):
        raise NotHoistedError
    digest = digest_of([np.frombuffer(text.encode(), np.uint8), *constants])
    return Program(program, jax.tree.structure(results), digest), numbers


def _with_inputs(program: ClosedJaxpr, known: int) -> tuple[Callable, list[Literal]]:
    """The program as a function of its numbers and its first so many arguments; and what the numbers are in it."""
    jaxpr, literals, inputs, equations = program.jaxpr, [], [], []
    quotients = [equation for equation in jaxpr.eqns if equation.primitive.name == "div"]
    divided = _variables([quotient.invars[0] for quotient in quotients if isinstance(quotient.invars[1], Literal)])
    for equation in jaxpr.eqns:
        operands = list(equation.invars)
        name = equation.params.get("name", equation.primitive.name)  # of a function of jax.numpy, or of a primitive
        n = 0 if equation.outvars[0] in divided else HOISTED.get(name, 0)
        for i, atom in enumerate(operands[:n]):
            if isinstance(atom, Literal) and jnp.issubdtype(_dtype(atom), jnp.floating):
                operands[i] = Var(atom.aval)
                literals.append(atom)
                inputs.append(operands[i])
        equations.append(equation.replace(invars=operands))
    if _variables([atom for equation in equations for atom in equation.invars] + jaxpr.outvars) & {
        *jaxpr.invars[known:]
    }:
        raise NotHoistedError
    jaxpr = jaxpr.replace(invars=[*inputs, *jaxpr.invars[:known]], eqns=equations)
    return jaxpr_as_fun(ClosedJaxpr(jaxpr, program.consts)), literals


def _dtype(literal: Literal) -> Any:
    return getattr(literal.aval, "dtype", None)


def _variables(atoms: Iterable[Any]) -> set[Var]:
    return {atom for atom in atoms if isinstance(atom, Var)}


def constants_of(program: Any) -> list[Any]:
    """The constants of a program and of those inside it: a text shows none of them."""
    if isinstance(program, tuple | list):
        return [constant for part in program for constant in constants_of(part)]
    equations = getattr(program, "eqns", ())  # of programs with constants and without
    inner = [constants_of(value) for equation in equations for value in equation.params.values()]
    return [*getattr(program, "consts", ()), *(constant for found in inner for constant in found)]


def digest_of(arrays: list[Any]) -> str:
    """A short name for the bits of arrays."""
    digest = hashlib.sha256()
    for value in arrays:
        is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        array = np.ascontiguousarray(jax.random.key_data(value) if is_key else value)
        digest.update(repr((array.dtype.name, array.shape)).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:16]
