"""What a file defines, as its syntax tree shows: functions, classes, what they take and return, and training loops."""

import ast
from collections.abc import Iterator
from typing import NamedTuple


class Parameter(NamedTuple):
    """A parameter of a function."""

    name: str
    required: bool


class Defined(NamedTuple):
    """A function or a method."""

    name: str
    parameters: tuple[Parameter, ...]  # without self
    returns: tuple[str, ...]  # the names after its last `return`; "" for what has none
    globals: frozenset[str]  # what it declares global


class Class(NamedTuple):
    """A class, with those of its base classes that are in the file."""

    name: str
    methods: dict[str, Defined]
    attributes: tuple[str, ...]  # what is assigned to self


class Loop(NamedTuple):
    """A loop at the level of the module, from the line after its head to its last."""

    first: int
    last: int
    assigned: frozenset[str]
    read: frozenset[str]


class Source(NamedTuple):
    """Everything that a file defines."""

    functions: dict[str, Defined]
    classes: dict[str, Class]
    loops: tuple[Loop, ...]  # of a file; none of a notebook, whose lines have no numbers


def read_source(texts: list[str]) -> Source:
    """Of a file, or of the cells of a notebook; what is not Python is left out."""
    functions: dict[str, Defined] = {}
    classes: dict[str, Class] = {}
    loops: list[Loop] = []
    for text in texts:
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                functions[node.name] = _function(node, method=False)
            elif isinstance(node, ast.ClassDef):
                classes[node.name] = _class(node, classes)
            elif isinstance(node, (ast.For, ast.While)) and len(texts) == 1:
                loops.append(_loop(node))
    return Source(functions, classes, tuple(loops))


def _function(node: ast.FunctionDef, *, method: bool) -> Defined:
    a = node.args
    plain = [*a.posonlyargs, *a.args]
    required = len(plain) - len(a.defaults)
    found = [Parameter(p.arg, i < required) for i, p in enumerate(plain)]
    found += [Parameter(p.arg, value is None) for p, value in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    returned = [n for n in _own(node) if isinstance(n, ast.Return) and n.value is not None]
    names: tuple[str, ...] = ()
    if returned:
        value = returned[-1].value
        parts = value.elts if isinstance(value, ast.Tuple) else [value]
        names = tuple(part.id if isinstance(part, ast.Name) else "" for part in parts)
    declared = frozenset(name for n in _own(node) if isinstance(n, ast.Global) for name in n.names)
    return Defined(node.name, tuple(found[1:] if method and not static else found), names, declared)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function that are not of a function in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            yield child
            yield from _own(child)


def _class(node: ast.ClassDef, known: dict[str, Class]) -> Class:
    bases = [known[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in known]
    methods = {name: method for base in bases for name, method in base.methods.items()}
    methods |= {n.name: _function(n, method=True) for n in node.body if isinstance(n, ast.FunctionDef)}
    assigned = [
        n.attr
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
    ]
    inherited = [name for base in bases for name in base.attributes]
    return Class(node.name, methods, tuple(dict.fromkeys([*inherited, *assigned])))


def _loop(node: ast.For | ast.While) -> Loop:
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    assigned = frozenset(n.id for n in names if isinstance(n.ctx, ast.Store))
    read = frozenset(n.id for n in names if isinstance(n.ctx, ast.Load))
    return Loop(node.body[0].lineno - 1, node.body[-1].end_lineno or 0, assigned, read)
