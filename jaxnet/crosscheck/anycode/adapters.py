"""Adapters for a file: the few lines that make one update of its code a `step(X, Y, weights)`, in the ways to try.

What a parameter means is read from its name: X, y, weights, lr, epochs, hidden_size. Each adapter is Python that can be
pasted at the end of the file; which of them is right is decided by running it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .source import Class, Defined, Loop, Parameter, Source


RATE, HIDDEN = 0.1, 4

# The role of a parameter by its name, in small letters without underscores.
ROLES = {
    "X": r"x|xs|xtrain|trainx|xbatch|inputs?|inputdata|inputvector|data|features|a0|aprev|batch|inputslist",
    "Y": r"y|ys|t|ytrain|trainy|ybatch|ytrue|targets?|labels?|expected|desired|outputs?|truth|targetslist|yhot",
    "weights": r"params?|parameters|weights?|w|p|theta|thetas|model|net|network|layers|nn",
    "rate": r"lr|learningrate|alpha|eta|rate|stepsize|learnrate|a",
    "one": r"n?epochs?|num(ber)?(of)?(iters?|iterations|epochs|steps)|n?iterations?|n?iters?|maxiters?|nsteps|steps",
    "m": r"(mini)?batchsize|bs|m|nsamples|numexamples",
    "no": r"verbose|print\w*|plot|debug|show\w*|shuffle|log\w*|la?mbda?|reg\w*|l2\w*|weightdecay|momentum|dropout",
    "grads": r"grads?|gradients?|deltas|derivatives|dparams|nabla",
    "output": r"al|a2|a3|yhat|ypred|yp|out|output|pred|preds|prediction|predictions|probs|a",
    "cache": r"caches?|memory|activations|cached|forwardcache",
    "signal": r"grad\w*|d(a|z|out|y|values|loss|output)?|delta|error|outputgradient|outputerror|upstream\w*",
}  # fmt: skip
SIZES = {
    "sizes": r"layers?|sizes?|layers?(dims|sizes)|dims|dimensions|architecture|shape|topology|structure|units|neurons",
    "n_x": r"nx|nin|in|ni|input\w*|in(features|size|dim)|din|ninputs?|nfeatures|numinputs|d|inodes|dim",
    "n_h": r"nh|h|hidden\w*|nhidden|numhidden|dhidden|hnodes|hs",
    "n_L": r"ny|nout\w*|no|out\w*|dout|numoutputs?|noutputs?|numclasses|nclasses|c|k|classes|onodes",
    "zero": r"seed|randomstate",
    **{role: ROLES[role] for role in ("rate", "one", "m", "no")},
}
OWN_DATA = {"X": r"x|xs|xtrain|trainx", "Y": r"y|ys|ytrain|trainy"}

FORWARD = r"(forward|feedforward|feed_forward|propagate|predict|model_forward|net|hypothesis|__call__)"
BACKWARD = r"(back|grad|compute_grad|calc_grad)"
UPDATE = r"(update|apply|step|optimi[sz]e|gradient_descent|descent|sgd|gd)"
TRAIN = r"(train_step|train_on|step|partial_fit|train|fit|learn|update|one_step|gradient_descent|sgd|back|optimi[sz]e)"
INIT = r"(init|create|make|build|random)"


class Layout(NamedTuple):
    """Data to draw."""

    line: str  # of Python
    n_L: int
    m: int

    @property
    def sizes(self) -> dict[str, str]:
        """What stands for the sizes of the layers."""
        values = {"n_x": "3", "n_h": str(HIDDEN), "n_L": str(self.n_L), "sizes": f"[3, {HIDDEN}, {self.n_L}]"}
        return values | {"rate": str(RATE), "one": "1", "m": str(self.m), "no": "0", "zero": "0"}


def layouts(own: Mapping[str, str]) -> list[Layout]:
    """The file's own data, where it has some, and data in rows and in columns, for one output and for two classes."""
    binary, normal = "rng.integers(2, size={}) * 1.0", "rng.normal(size={})"
    found = [Layout(f"X, Y = {own['X']}, {own['Y']}", 1, 0)] if len(own) == 2 else []
    for x, y in (("(8, 3)", "(8, 1)"), ("(3, 8)", "(1, 8)"), ("(8, 3)", "8")):
        found.append(Layout(f"X, Y = {normal.format(x)}, {binary.format(y)}", 1, 8))
    one_hot = "np.eye(2)[[0, 1, 1, 0, 1, 0, 0, 1]]"
    found += [
        Layout(f"X, Y = {normal.format('(8, 3)')}, {one_hot}", 2, 8),
        Layout(f"X, Y = {normal.format('(3, 8)')}, {one_hot}.T", 2, 8),
        Layout(f"X, Y = {normal.format('(8, 3)')}, rng.integers(2, size=8)", 2, 8),
    ]
    for x, y in (("(1, 3)", "(1, 1)"), ("(3, 1)", "(1, 1)")):
        found.append(Layout(f"X, Y = {normal.format(x)}, {binary.format(y)}", 1, 1))
    return found


class Adapter(NamedTuple):
    """Lines to paste, and what of the file they check."""

    subject: str
    data: str
    weights: str  # the expression, or the lines, that make them
    body: tuple[str, ...]
    before: tuple[str, ...] = ()  # lines that run first, for code that makes its weights when it trains

    @property
    def lines(self) -> list[str]:
        """Without the last one, which prints the report."""
        draws = ["rng = np.random.default_rng(0)"] if "rng" in self.data + self.weights else []
        step = ["def one_step(X, Y, weights):", *(f"    {line}" for line in self.body)]
        more = ", pathlib, textwrap" if any("textwrap" in line for line in self.body) else ""
        return [
            f"import numpy as np, jaxnet{more}",
            *draws,
            self.data,
            f"weights = {self.weights}",
            *self.before,
            *step,
        ]

    @property
    def text(self) -> str:
        """As it is pasted."""
        return "\n".join([*self.lines, "print(jaxnet.check_training_step(one_step, X, Y, weights))"])


def adapters(
    source: Source, own: Mapping[str, str], file: str, arrays: Sequence[str], *, single: bool = False
) -> Iterator[Adapter]:
    """Those worth trying, likelier ones first. `arrays` are the names of the file that hold arrays.

    With `single` those of one example, for code that updates after each.
    """
    for layout in [layout for layout in layouts(own) if (layout.m == 1) == single]:
        for kind in source.classes.values():
            yield from _of_class(kind, layout)
        yield from _of_functions(source, layout, arrays)
    if len(own) == 2 and not single:
        yield from (
            Adapter(f"the loop of lines {loop.first + 1} to {loop.last}", *_of_loop(loop, own, file, arrays))
            for loop in source.loops
        )


def _role(name: str, roles: Mapping[str, str]) -> list[str]:
    small = name.lower().replace("_", "")
    return [role for role, pattern in roles.items() if re.fullmatch(pattern, small)]


def _call(parameters: Sequence[Parameter], values: Mapping[str, str], roles: Mapping[str, str]) -> str | None:
    """The arguments by name or role; None where one that is required has neither."""
    arguments = []
    for name, required in parameters:
        role = next((role for role in _role(name, roles) if role in values), None)
        value = values.get(name, values[role] if role else None)
        if value is None and required:
            return None
        if value is not None and (required or role in ("X", "Y", "one", "m", "no") or name in values):
            arguments.append(value if required else f"{name}={value}")
    return ", ".join(arguments)


def _pick(functions: Mapping[str, Defined], pattern: str) -> list[Defined]:
    """Those whose name begins or continues so, in the order of the pattern."""
    words = pattern.strip("()").split("|")
    found = [f for word in words for name, f in functions.items() if re.match(rf"_?{word}", name)]
    found += [f for word in words for name, f in functions.items() if re.search(rf"_{word}", name)]
    return list({f.name: f for f in found}.values())


def _of_class(kind: Class, layout: Layout) -> Iterator[Adapter]:
    constructor = kind.methods.get("__init__", Defined("", (), (), frozenset()))
    made = []
    for values in (layout.sizes, layout.sizes | {"n_h": f"[{HIDDEN}]"}, layout.sizes | {"X": "X", "Y": "Y"}):
        roles = OWN_DATA | SIZES if "X" in values else SIZES
        call = _call(constructor.parameters, values, roles)
        if call is not None and call not in made:
            made.append(call)
    methods = {name: method for name, method in kind.methods.items() if not name.startswith("__") or name == "__call__"}
    for call in made:
        for body in dict.fromkeys(_bodies(methods, kind, layout, holds_data="X, Y" in call)):
            used = re.findall(r"weights\.(\w+)\(", "\n".join(body))
            subject, made_by = f"{kind.name}.{used[-1] if used else '__call__'}", f"{kind.name}({call})"
            yield Adapter(subject, layout.line, made_by, body)
            if len(body) == 1:
                yield from (Adapter(subject, layout.line, made_by, *two) for two in _second_steps(body, kind))


def _second_steps(body: tuple[str, ...], kind: Class) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """For code that makes its weights as it trains: the step from one iteration to two, from the same start."""
    yield body, body
    seed = "np.random.seed(0)"
    count = next((a for a in kind.attributes if _role(a, {"one": ROLES["one"]})), None)
    twice = tuple(re.sub(r"(\w+=)1\b|(?<=, )1\b", lambda found: (found[1] or "") + "2", line) for line in body)
    if twice != body:
        yield (seed, *twice), (seed, *body)
    elif count is not None:
        yield (seed, f"weights.{count} = 2", *body), (seed, f"weights.{count} = 1", *body)


def _bodies(methods: Mapping[str, Defined], kind: Class, layout: Layout, *, holds_data: bool) -> Iterator[tuple]:
    """One training method; or forward, backward and update."""
    values = {"X": "X", "Y": "Y", "rate": str(RATE), "one": "1", "no": "0", "m": str(layout.m or "len(X)")}
    names = {role: next((a for a in kind.attributes if _role(a, {role: ROLES[role]})), None) for role in ("X", "Y")}
    given = (f"weights.{names['X']}, weights.{names['Y']} = X, Y",) if holds_data and all(names.values()) else ()
    for method in _pick(methods, TRAIN):
        wants = {role for p in method.parameters for role in _role(p.name, ROLES)}
        call = _call(method.parameters, values, ROLES)
        if call is not None and {"X", "Y"} <= wants:
            yield (*given, f"weights.{method.name}({call})")
    for forward in _pick(methods, FORWARD):
        for backward in _pick(methods, BACKWARD):
            yield from _chained(forward, backward, _pick(methods, UPDATE), values, given, "weights.", kind.attributes)


def _chained(
    forward: Defined,
    backward: Defined,
    updates: Sequence[Defined],
    values: Mapping[str, str],
    given: tuple[str, ...],
    prefix: str,
    attributes: Sequence[str],
) -> Iterator[tuple[str, ...]]:
    """forward, backward, and the update: a function of the file, or written out."""
    values = dict(values)
    call = _call(forward.parameters, values, ROLES)
    if call is None:
        return
    outputs = [name or f"out{i}" for i, name in enumerate(forward.returns)] or ["out"]
    values |= {name: name for name in outputs} | {"output": outputs[0], "cache": outputs[-1]}
    lines = [*given, f"{', '.join(outputs)} = {prefix}{forward.name}({call})"]
    signals = [""]
    wants = {role for p in backward.parameters for role in _role(p.name, ROLES)}
    if "signal" in wants and "Y" not in wants:
        signals = [f"({outputs[0]} - Y) / len(X)", f"{outputs[0]} - Y"]
    for signal in signals:
        call = _call(backward.parameters, values | ({"signal": signal} if signal else {}), ROLES)
        if call is None:
            continue
        grads = [
            name or ("grads" if len(backward.returns) == 1 else f"g{i}") for i, name in enumerate(backward.returns)
        ]
        target = f"{', '.join(grads)} = " if grads else ""
        after = {name: name for name in grads} | ({"grads": grads[0]} if grads else {})
        steps = [f"{target}{prefix}{backward.name}({call})"]
        for update in updates:
            call = _call(update.parameters, values | after, ROLES)
            if call is not None and update.name != backward.name:
                result = "return " if update.returns and not prefix else ""
                yield (*lines, *steps, f"{result}{prefix}{update.name}({call})")
        yield from ((*lines, *steps, *written) for written in _written_out(grads, prefix, attributes, values))
        if prefix:
            yield (*lines, *steps)  # it may update by itself


def _written_out(
    grads: Sequence[str], prefix: str, attributes: Sequence[str], known: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """weights - rate * gradient, for gradients kept in attributes, returned, or returned in a dict."""
    if prefix:
        forms = ("d{}", "d_{}", "grad_{}", "{}_grad", "nabla_{}")
        kept = [
            (a, f.format(n)) for a in attributes for f in forms for n in (a, a.lower()) if f.format(n) in attributes
        ]
        if kept:
            yield tuple(f"weights.{a} = weights.{a} - {RATE} * weights.{g}" for a, g in dict(kept).items())
        named = [(a, g) for g in grads for a in attributes if g.lower() in (f"d{a}".lower(), f"d_{a}".lower())]
        if named:
            yield tuple(f"weights.{a} = weights.{a} - {RATE} * {g}" for a, g in named)
        single = [a for a in attributes if re.fullmatch(r"[Ww]\d*|b\d*", a)]
        if len(grads) == 1 and single:
            yield (
                f"for name in {single}:",
                f'    setattr(weights, name, getattr(weights, name) - {RATE} * {grads[0]}["d" + name])',
            )
        return
    if len(grads) == 1:
        yield (f'return {{name: weights[name] - {RATE} * {grads[0]}["d" + name] for name in weights}}',)
        yield (f"return {{name: weights[name] - {RATE} * {grads[0]}[name] for name in weights}}",)
    named = {re.sub(r"(?i)^(grad_|d_?)", "", g): g for g in grads if re.match(r"(?i)(grad_|d_?)[wb]", g)}  # dW1 of W1
    if named:
        moved = ", ".join(f'"{n}": {known.get(n, f"weights[{n!r}]")} - {RATE} * {g}' for n, g in sorted(named.items()))
        yield (f"return {{{moved}}}",)


def _of_functions(source: Source, layout: Layout, arrays: Sequence[str]) -> Iterator[Adapter]:
    functions = source.functions
    values = {"X": "X", "Y": "Y", "rate": str(RATE), "one": "1", "no": "0", "m": str(layout.m or "len(X)")}
    for weights, opened, known in _weights(functions, layout, arrays):
        values_here = values | known
        for train in _pick(functions, TRAIN):
            wants = [p.name for p in train.parameters]
            call = _call(train.parameters, values_here, ROLES)
            uses = {role for name in wants for role in _role(name, ROLES)}
            if call is None or not {"X", "Y"} <= uses or not (uses & {"weights"} or set(known) & set(wants)):
                continue
            yield Adapter(train.name, layout.line, weights, (*opened, f"return {train.name}({call})"))
        for forward in _pick(functions, FORWARD):
            for backward in _pick(functions, BACKWARD):
                bodies = _chained(forward, backward, _pick(functions, UPDATE), values_here, opened, "", ())
                yield from (Adapter(backward.name, layout.line, weights, body) for body in bodies)
    changed = [f for f in functions.values() if f.globals & set(arrays)]
    for f in changed:  # it updates names of the module
        call = _call(f.parameters, values, ROLES)
        names = sorted(f.globals & set(arrays))
        if call is not None:
            body = (
                "globals().update(weights)",
                f"{f.name}({call})",
                "return {name: globals()[name] for name in weights}",
            )
            yield Adapter(f.name, layout.line, "{" + ", ".join(f'"{n}": {n}' for n in names) + "}", body)


def _weights(
    functions: Mapping[str, Defined], layout: Layout, arrays: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Expressions that make weights, the line that unpacks them, and the names by which they are known then."""
    for init in _pick(functions, INIT):
        for values in (layout.sizes, layout.sizes | {"X": "X", "Y": "Y"}):
            call = _call(init.parameters, values, SIZES if "X" not in values else OWN_DATA | SIZES)
            if call is None:
                continue
            names = [name for name in init.returns if name]
            if len(names) > 1:
                known = {name: name for name in names} | {"weights": "weights"}
                yield f"{init.name}({call})", (f"{', '.join(names)} = weights",), known
            else:
                yield f"{init.name}({call})", (), {"weights": "weights"}
            break
    wanted = {
        p.name: None for f in functions.values() for p in f.parameters if re.fullmatch(r"[Ww]\d*|b\d*|theta\d*", p.name)
    }
    if wanted and not {"W", "w"} >= set(wanted):
        for form in _shapes(list(wanted), layout):
            made = "{" + ", ".join(f'"{n}": rng.normal(size={shape})' for n, shape in form.items()) + "}"
            yield made, (), {n: f'weights["{n}"]' for n in wanted}
    held = [name for name in arrays if re.fullmatch(r"[Ww]\d*|b\d*|weights?\w*|bias\w*|params?|parameters|theta", name)]
    if held:
        yield "{" + ", ".join(f'"{n}": {n}' for n in held) + "}", (), {n: f'weights["{n}"]' for n in held}


def _shapes(names: Sequence[str], layout: Layout) -> Iterator[dict[str, str]]:
    """Shapes of W1, b1, ... for examples in rows and in columns."""
    matrices = sorted(name for name in names if name[0] != "b")
    dims = [3, *[HIDDEN] * (len(matrices) - 1), layout.n_L]
    sizes = {name: (dims[i], dims[i + 1]) for i, name in enumerate(matrices)}
    biases = {name: dims[i + 1] for i, name in enumerate(sorted(name for name in names if name[0] == "b"))}
    yield {n: str(s) for n, s in sizes.items()} | {n: f"(1, {s})" for n, s in biases.items()}
    yield {n: str(s[::-1]) for n, s in sizes.items()} | {n: f"({s}, 1)" for n, s in biases.items()}
    if layout.n_L == 1 and len(matrices) == 1:
        yield {n: "3" for n in matrices} | {n: "()" for n in biases}


def _of_loop(loop: Loop, own: Mapping[str, str], file: str, arrays: Sequence[str]) -> tuple:
    """The lines of a loop, run once on names of their own."""
    names = sorted((loop.assigned & set(arrays)) - set(own.values()))
    held = [n for n in names if re.match(r"[Ww]|b\d*$|bias|syn|theta|coef|intercept", n)] or names
    body = (
        f"lines = pathlib.Path({file!r}).read_text().split('\\n')[{loop.first}:{loop.last}]",
        f'names = globals() | weights | {{"{own["X"]}": X, "{own["Y"]}": Y}}',
        "exec(textwrap.dedent('\\n'.join(lines)), names)",
        "return {name: names[name] for name in weights}",
    )
    return f"X, Y = {own['X']}, {own['Y']}", "{" + ", ".join(f'"{n}": {n}.copy()' for n in held) + "}", body
