"""What one equation makes of W1 in two runs whose inputs differ by a rotation.

In one run W1 = V Q^T has n_x inputs, in the other V has r, and Q^T Q = I. A mark says how a value u of the first and
its counterpart v in the second belong together, whatever the numbers are:

    INVARIANT   u = v; where they have an axis of inputs, both are constant along it
    COVARIANT   u = v Q^T along the axis of inputs
    SUMMABLE    sum_i u_i = sum_j v_j along it
    FINITE      all u_i are true where all v_j are, and only there
    ZERO        u = 0 and v = 0, which is each of these

Sums, multiples by an invariant and products with an invariant matrix over another axis are linear, so they keep the
mark. A product of covariant values is summable, as sum_i (v Q^T)_i (w Q^T)_i = v Q^T Q w^T = sum_j v_j w_j; inner
products, norms and W W^T are sums of these, hence invariant. A row is finite in both runs or in neither, as it is the
same numbers times finite ones. What an equation makes of invariant values alone, with the same constants, is invariant:
Adam for W2, a draw from a key. A mean over the inputs is not, since it divides by n_x and by r. A `select` must ask for
an invariant value. Everything else is unknown: an entry of W1, its sign, its largest value, a draw of its shape, a
rounding to fewer digits than W1 has, and integers made from floats, such as seeds.

All of this holds for real numbers that do not overflow: rounding differs, and so may a decision at a tie.
"""

import math
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

import jax


class Kind(Enum):
    """The relation of two values, see above."""

    INVARIANT, COVARIANT, SUMMABLE, FINITE, ZERO = range(5)


INVARIANT, COVARIANT, SUMMABLE, FINITE, ZERO = Kind
LINEAR, CONSTANT = (COVARIANT, SUMMABLE), (INVARIANT, ZERO)


class Mark(NamedTuple):
    """What is known about two values, seen as arrays of the shapes (before, n_x, after) and (before, r, after)."""

    kind: Kind
    axis: tuple[int, int] | None = None  # (before, after); None where both have one shape, or are zero
    digits: int = 0  # of W1's mantissa, in what is made of W1
    term: Any = None  # which number this is, or is everywhere: equal terms are equal numbers
    unless: Any = None  # the term of a condition; where that is true, nothing is known

    @property
    def is_equal(self) -> bool:
        """Whether it is the same value in both runs."""
        return self.kind in CONSTANT and self.axis is None and self.unless is None


EQUAL, NOTHING = Mark(INVARIANT), Mark(ZERO)  # and None, where nothing is known


class NotComparable(Exception):
    """The programs differ, or do something besides computing."""


class Shapes(NamedTuple):
    """The shapes of a value in the two programs."""

    full: tuple[int, ...]
    reduced: tuple[int, ...]

    @property
    def axis(self) -> int | None:
        """Where the shapes differ: the axis of inputs, or one that it is flattened into."""
        axes = [k for k, (n, r) in enumerate(zip(*self, strict=False)) if n != r]
        if len(axes) > 1 or len(self.full) != len(self.reduced):
            raise NotComparable(f"shapes {self.full} and {self.reduced}")
        return axes[0] if axes else None

    def around(self, k: int) -> tuple[int, int]:
        """The number of entries of the axes before k, and of those after it."""
        return math.prod(self.full[:k]), math.prod(self.full[k + 1 :])

    def mark(self, kind: Kind, digits: int = 0) -> Mark:
        """The mark of a value whose axis of inputs is where the shapes differ."""
        return Mark(kind, None if self.axis is None else self.around(self.axis), digits)

    def within(self, mark: Mark) -> tuple[int, int] | None:
        """(before, after) in the axis where the shapes differ, (1, 1) if that is the axis of inputs alone.

        None where the axis of inputs is not within it.
        """
        if self.axis is None or mark.axis is None:
            return None
        (before, p), (after, q) = (divmod(*pair) for pair in zip(mark.axis, self.around(self.axis), strict=True))
        return None if p or q else (before, after)


class Pair(NamedTuple):
    """An equation in both programs."""

    full: Any  # a JaxprEqn, whose type does not know shapes
    reduced: Any

    @property
    def name(self) -> str:
        """The name of the primitive."""
        return self.full.primitive.name

    def both(self, name: str) -> tuple[Any, Any]:
        """A parameter in each."""
        return self.full.params[name], self.reduced.params[name]

    def param(self, name: str) -> Any:
        """A parameter that has to be the same in both."""
        u, v = self.both(name)
        if u != v:
            raise NotComparable(f"{name} of {self.name} is {u} and {v}")
        return u

    def operand(self, i: int) -> Shapes:
        """The shapes of an operand."""
        return Shapes(self.full.invars[i].aval.shape, self.reduced.invars[i].aval.shape)

    @property
    def result(self) -> Shapes:
        """The shapes of the only result."""
        return Shapes(self.full.outvars[0].aval.shape, self.reduced.outvars[0].aval.shape)


def join(marks: Iterable[Mark | None]) -> Mark | None:
    """The mark of a value that is one of these."""
    given = list(marks)
    known = [mark for mark in given if mark is not None]
    if len(known) < len(given):
        return None
    terms = {mark.term for mark in known}
    rest = {mark._replace(term=None) for mark in known} - {NOTHING} or {NOTHING}
    return rest.pop()._replace(term=terms.pop() if len(terms) == 1 else None) if len(rest) == 1 else None


def apply_rule(pair: Pair, marks: list[Mark]) -> Mark | None:
    """The mark of the result of an equation that has a rule here, from those of its operands."""
    try:
        if pair.name in RULES:
            return RULES[pair.name](pair, marks)
        if pair.name in ENTRYWISE:
            given = [_broadcast_to_result(pair, mark, i) for i, mark in enumerate(marks)]
            known = [mark for mark in given if mark is not None]
            return ENTRYWISE[pair.name](pair, known) if len(known) == len(given) else None
    except NotComparable:
        pass
    return None


def _broadcast_to_result(pair: Pair, mark: Mark, i: int) -> Mark | None:
    """Axes of length 1 become those of the result; a value without an axis of inputs is constant along it."""
    shapes = pair.operand(i)
    if mark.axis is None or shapes == pair.result:
        return mark
    k = shapes.axis
    return mark._replace(axis=pair.result.around(k)) if k is not None and shapes.within(mark) == (1, 1) else None


def _function(pair: Pair, marks: list[Mark]) -> Mark | None:
    """Any function of the entries, of values that are constant along the axis of inputs."""
    axes = {mark.axis for mark in marks} - {None}
    if len(axes) > 1 or any(mark.kind not in CONSTANT for mark in marks):
        return None
    for name in pair.full.params:
        pair.param(name)
    return Mark(INVARIANT, axes.pop()) if axes else pair.result.mark(INVARIANT)


def _comparison(pair: Pair, marks: list[Mark]) -> Mark | None:
    terms = [mark.term for mark in marks]
    mark = _function(pair, marks)
    return mark if mark is None or None in terms else mark._replace(term=(pair.name, *terms))


def _sum(pair: Pair, marks: list[Mark]) -> Mark | None:
    mark = join(marks)
    if mark is None or mark.kind not in (*LINEAR, ZERO):
        return _function(pair, marks)
    return mark._replace(term=None)


def _product(pair: Pair, marks: list[Mark]) -> Mark | None:
    x, y = marks
    if x.kind is y.kind is ZERO:
        return NOTHING
    if x.kind is COVARIANT and x == y:
        return x._replace(kind=SUMMABLE)
    if x.kind in CONSTANT:
        x, y = y, x
    return x if x.kind in LINEAR and _scales(y, x) else _function(pair, marks)


def _scales(mark: Mark, value: Mark) -> bool:
    """Whether this is one number for everything along the value's axis of inputs."""
    return mark.kind in CONSTANT and mark.axis in (None, value.axis)


def _quotient(pair: Pair, marks: list[Mark]) -> Mark | None:
    x, y = marks
    return x if x.kind in LINEAR and _scales(y, x) else _function(pair, marks)


def _power(pair: Pair, marks: list[Mark]) -> Mark | None:
    y = 2 if pair.name == "square" else pair.param("y")
    if y == 1:
        return marks[0]
    return _product(pair, [*marks, *marks]) if y == 2 else _function(pair, marks)


def _select(pair: Pair, marks: list[Mark]) -> Mark | None:
    which, *cases = marks
    mark = join(cases)
    if mark is not None and mark.kind not in CONSTANT:
        return mark if _scales(which, mark) else None
    if mark is not None and mark.kind is ZERO:
        return mark
    first, *others = cases
    if first.kind in LINEAR and len(others) == 1 and which.term is not None and _scales(which, first):
        return first._replace(unless=which.term)
    return _function(pair, marks)


def _same_entries(pair: Pair, marks: list[Mark]) -> Mark | None:
    return marks[0] if pair.full.params.get("dimensions") is None or pair.name == "squeeze" else None


def _linear(pair: Pair, marks: list[Mark]) -> Mark | None:
    return marks[0]._replace(term=None)


def _is_finite(pair: Pair, marks: list[Mark]) -> Mark | None:
    return Mark(FINITE, marks[0].axis) if marks[0].kind is COVARIANT else _function(pair, marks)


def _broadcast(pair: Pair, marks: list[Mark]) -> Mark | None:
    pair.param("broadcast_dimensions")
    [mark] = marks
    moved = pair.result.mark(mark.kind) if mark.is_equal and mark.kind is INVARIANT else _moved(pair, mark, 0)
    return moved if moved is None else moved._replace(term=mark.term)


def _transpose(pair: Pair, marks: list[Mark]) -> Mark | None:
    pair.param("permutation")
    return _moved(pair, marks[0], 0)


def _moved(pair: Pair, mark: Mark, i: int) -> Mark | None:
    """The axis of inputs of operand i goes where the shapes of the result differ."""
    if mark.kind is ZERO:
        return NOTHING
    return pair.result.mark(mark.kind, mark.digits) if pair.operand(i).within(mark) == (1, 1) else None


def _reduction(pair: Pair, marks: list[Mark]) -> Mark | None:
    [mark], shapes, axes = marks, pair.operand(0), pair.param("axes")
    whole, parts = (FINITE, (FINITE, INVARIANT)) if pair.name == "reduce_and" else (SUMMABLE, (*LINEAR, *CONSTANT))
    if shapes.axis in axes and mark.kind is not ZERO:
        return EQUAL if mark.kind is whole and shapes.within(mark) else None
    return _moved(pair, mark, 0) if mark.kind in parts else None


def _dot(pair: Pair, marks: list[Mark]) -> Mark | None:
    (contracted, _), precision = pair.param("dimension_numbers"), pair.param("precision")
    if not (precision is None or all(isinstance(each, jax.lax.Precision) for each in precision)):
        return None  # it may be of fewer digits
    shapes = [pair.operand(i) for i in range(2)]
    k, l = (shape.axis for shape in shapes)
    if k is not None and l is not None:
        x, y = (shape.within(mark) for shape, mark in zip(shapes, marks, strict=True))
        is_inner = (k, l) in zip(*contracted, strict=True) and x == y and x is not None
        return EQUAL if is_inner and marks[0].kind is marks[1].kind is COVARIANT else None
    i = 0 if l is None else 1
    return _moved(pair, marks[i], i) if marks[1 - i].kind in CONSTANT else None


Rule: TypeAlias = Callable[[Pair, list[Mark]], Mark | None]
FUNCTIONS = "abs and ceil clamp exp exp2 expm1 floor log log1p logistic max min not or pow rem round rsqrt sign sqrt"
ENTRYWISE: dict[str, Rule] = {
    **dict.fromkeys(FUNCTIONS.split(), _function),
    **dict.fromkeys(("eq", "ge", "gt", "le", "lt", "ne"), _comparison),
    **dict.fromkeys(("add", "sub", "add_any"), _sum),
    **dict.fromkeys(("square", "integer_pow"), _power),
    **dict.fromkeys(("neg", "convert_element_type"), _linear),
    "mul": _product,
    "div": _quotient,
    "select_n": _select,
    "is_finite": _is_finite,
}
RULES: dict[str, Rule] = {
    **dict.fromkeys(("copy", "stop_gradient", "reshape", "squeeze"), _same_entries),
    **dict.fromkeys(("reduce_sum", "reduce_and"), _reduction),
    "broadcast_in_dim": _broadcast,
    "transpose": _transpose,
    "dot_general": _dot,
}
