"""How much do gradient checkers see? jaxnet's, JAX's, PyTorch's and the course's, on planted bugs and on correct code.

    python -m tests.benchmarks.gradient_checkers [--rounds N] [--json FILE]

Every bug of `tests.planted_bugs` is shown to every tool at the same points: one drawn anew for each seed, in regimes of
which all but the first are hard. A bug is seen if the tool does not pass; placed if it names where the error is made
(PyTorch: the layer); diagnosed if it says what it is. A false alarm is correct code that does not pass. Bugs that leave
every number at a point as it is cannot be seen there; they count all the same, and the table says how many they are.
PyTorch need not be installed.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.test_util
import numpy as np

import jaxnet
from jaxnet import Network, Verdict
from jaxnet.losses import LOSSES

from ..planted_bugs import ACTIVATIONS, CATALOGUE, Backward, Bug, cost, diagnoses, forward, write
from . import harness


Parameters = Mapping[str, np.ndarray]


class Problem(NamedTuple):
    """A backward pass at a point."""

    backward: Backward
    hidden: str
    loss: str
    X: np.ndarray
    Y: np.ndarray
    parameters: Parameters

    @property
    def dtype(self) -> str:
        return str(self.X.dtype)

    def cost(self, X: np.ndarray, parameters: Parameters) -> np.ndarray:
        return cost(X, self.Y, parameters, self.hidden, self.loss)

    def arguments(self, X: np.ndarray, parameters: Parameters) -> tuple:
        """AL, Y, caches; fresh arrays, since there is code that writes into them."""
        return jax.tree.map(np.array, forward(X, self.Y, parameters, self.hidden, self.loss))

    def gradient(self, X: np.ndarray, parameters: Parameters) -> dict[str, np.ndarray]:
        """By X and by each parameter, from the backward pass: what a tool is given that knows no layers."""
        grads = self.backward(*self.arguments(X, parameters))
        return {"X": grads["dA0"] / self.Y.shape[1]} | {name: grads[f"d{name}"] for name in parameters}


class Answer(NamedTuple):
    """What a tool says; None where it has no word for it."""

    passes: bool
    place: str | None = None
    layer: int | None = None
    diagnoses: frozenset[str] = frozenset()
    invisible: tuple[str, ...] = ()


# ---- the tools


def by_jaxnet(p: Problem) -> Answer:
    check = partial(
        jaxnet.check_backward, p.X, p.Y, p.parameters, Network(p.hidden, p.loss), backward=p.backward, dtype=p.dtype
    )
    try:
        report = check(thorough=False)
        if report.verdict is not Verdict.DISAGREE or report.findings[0].code.startswith("unknown"):
            report = check()  # broken promises, and the power
    except Exception as error:  # the code under test raises none here
        return Answer(True, f"{type(error).__name__}: {error}", diagnoses=frozenset())
    invisible = report.power.invisible if report.power else ()
    passes = report.verdict is not Verdict.DISAGREE
    return Answer(passes, report.first_bad or "", diagnoses=frozenset(diagnoses(report)), invisible=invisible)


def by_jax(p: Problem) -> Answer:
    """`jax.test_util.check_vjp`, which is what `check_grads` does in reverse mode, with its own tolerances."""

    def value(X, parameters):
        return p.cost(*jax.tree.map(np.asarray, (X, parameters)))

    def value_and_vjp(X, parameters):
        X, parameters = jax.tree.map(np.asarray, (X, parameters))
        grads = p.gradient(X, parameters)

        def vjp(ct):
            gradient = {name: np.asarray(ct * grads[name], X.dtype) for name in grads}
            return gradient.pop("X"), gradient

        return p.cost(X, parameters), vjp

    with jax.enable_x64(p.dtype == "float64"):
        return Answer(_passes(jax.test_util.check_vjp, value, value_and_vjp, (p.X, dict(p.parameters))))


def by_torch(p: Problem, fast: bool) -> Answer:
    """`torch.autograd.gradcheck` of an `autograd.Function`; it names the first input whose gradient is off."""
    import torch

    torch.set_num_threads(1)  # there are as many processes as cores
    names = list(p.parameters)

    class Cost(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X, *leaves):
            ctx.args = X.numpy(), {name: leaf.numpy() for name, leaf in zip(names, leaves, strict=True)}
            return torch.as_tensor(p.cost(*ctx.args))

        @staticmethod
        def backward(ctx, ct):
            grads = p.gradient(*ctx.args).values()
            return tuple(ct * torch.as_tensor(np.array(g), dtype=ct.dtype) for g in grads)

    inputs = [torch.tensor(leaf, requires_grad=True) for leaf in (p.X, *p.parameters.values())]
    try:
        torch.autograd.gradcheck(Cost.apply, inputs, fast_mode=fast)
    except Exception as error:
        first = str(error).partition("with respect to input ")[2].partition(",")[0]
        layer = int(["X1", *names][int(first)][1:]) if first.isdecimal() else None
        return Answer(False, layer=layer or 0)
    return Answer(True, layer=0)


def by_the_course(p: Problem) -> Answer:
    """|grad - differences| / (|grad| + |differences|) < 2e-7, two-sided, with steps of 1e-7."""
    differences = _course_differences(p._replace(backward=write(p.hidden)))
    try:
        grads = p.gradient(p.X, p.parameters)
        grad = np.concatenate([np.ravel(grads[name]) for name in p.parameters])
        ratio = np.linalg.norm(grad - differences) / (np.linalg.norm(grad) + np.linalg.norm(differences))
    except Exception:
        return Answer(False)
    return Answer(bool(ratio < 2e-7))


TOOLS: dict[str, Callable[[Problem], Answer]] = {
    "jaxnet.check_backward": by_jaxnet,
    "jax.test_util.check_vjp": by_jax,
    "torch gradcheck": lambda p: by_torch(p, fast=False),
    "torch gradcheck, fast": lambda p: by_torch(p, fast=True),
    "the course's ratio": by_the_course,
}


def _passes(check: Callable[..., None], *args: Any) -> bool:
    try:
        check(*args)
    except Exception:  # of whatever kind: a shape that does not fit is seen as well
        return False
    return True


_differences: dict[bytes, np.ndarray] = {}


def _course_differences(p: Problem) -> np.ndarray:
    """The same for every bug at a point, so made once."""
    key = b"".join(leaf.tobytes() for leaf in (p.X, p.Y, *p.parameters.values())) + (p.hidden + p.loss).encode()
    if key not in _differences:
        found = []
        for name, value in p.parameters.items():
            for i in np.ndindex(value.shape):
                step = np.zeros_like(value)
                step[i] = 1e-7
                plus, minus = (p.cost(p.X, {**p.parameters, name: value + sign * step}) for sign in (1, -1))
                found.append((float(plus) - float(minus)) / 2e-7)
        _differences[key] = np.array(found)
    return _differences[key]


# ---- the points


class Setting(NamedTuple):
    """The network that a bug is for."""

    hidden: str
    loss: str
    dims: tuple[int, ...]
    m: int


Point = tuple[np.ndarray, np.ndarray, Parameters]


@cache
def generic(network: Setting, seed: int) -> Point:
    """`jaxnet.good_point`."""
    functions = Network(network.hidden, network.loss)
    X, Y, parameters = jaxnet.good_point(network.dims, functions, key=jax.random.key(seed), m=network.m)
    return X, Y, dict(parameters)


def tutorial(network: Setting, seed: int) -> Point:
    """Weights of 0.01 and biases of 0, as most tutorials begin."""
    X, Y, parameters = generic(network, seed)
    random = np.random.default_rng(seed)
    return X, Y, {k: 0.01 * random.normal(size=v.shape) if k[0] == "W" else 0 * v for k, v in parameters.items()}


def batch_of_one(network: Setting, seed: int) -> Point:
    X, Y, parameters = generic(network, seed)
    return X[:, 1:2], Y[:, 1:2], parameters


def exact_zeros(network: Setting, seed: int) -> Point:
    """Biases of 0 and an example of zeros: Z is exactly 0 there in the first layer, on the kink."""
    X, Y, parameters = generic(network, seed)
    return (
        np.where(np.arange(X.shape[1]) == 0, 0.0, X),
        Y,
        {k: v if k[0] == "W" else 0 * v for k, v in parameters.items()},
    )


def float32(network: Setting, seed: int) -> Point:
    return jax.tree.map(np.float32, generic(network, seed))


def saturated(network: Setting, seed: int) -> Point:
    """Weights 20 times too large."""
    X, Y, parameters = generic(network, seed)
    return X, Y, {k: 20 * v if k[0] == "W" else v for k, v in parameters.items()}


REGIMES: dict[str, Callable[[Setting, int], Point]] = {
    "generic point": generic,
    "weights of 0.01, b = 0": tutorial,
    "batch of one": batch_of_one,
    "b = 0, exact zeros": exact_zeros,
    "float32": float32,
    "saturated": saturated,
}


# ---- the tables


class Outcome(NamedTuple):
    """What one tool says of one bug, or of correct code, at one point."""

    regime: str
    seed: int
    tool: str
    bug: str | None
    effect: str
    answer: Answer
    seconds: float


def examine(regime: str, seed: int, tools: list[str]) -> list[Outcome]:
    """Every bug, and correct code for every network, shown to every tool at one point each."""
    settings = {bug.name: _setting(bug) for bug in CATALOGUE.values()}
    correct = dict.fromkeys(settings.values())
    codes = [(name, CATALOGUE[name].backward, setting) for name, setting in settings.items()]
    outcomes = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # torch's of float32, NumPy's of what overflows
        for name, backward, setting in codes + [(None, write(setting.hidden), setting) for setting in correct]:
            problem = Problem(backward, setting.hidden, setting.loss, *REGIMES[regime](setting, seed))
            effect = _effect(problem)
            for tool in tools:
                start = time.perf_counter()
                answer = TOOLS[tool](problem) if effect != "raises" else Answer(False)
                outcomes.append(Outcome(regime, seed, tool, name, effect, answer, time.perf_counter() - start))
    return outcomes


def summary(regime: str, tool: str, outcomes: list[Outcome]) -> dict[str, Any]:
    """A row of the table."""
    mine = [o for o in outcomes if (o.regime, o.tool) == (regime, tool)]
    alarms = [not o.answer.passes for o in mine if o.bug is None]
    judged = [(CATALOGUE[o.bug], o) for o in mine if o.bug is not None and o.effect != "raises"]
    later = [(bug, o) for bug, o in judged if bug.later]
    unlisted = [(bug, o) for bug, o in judged if not bug.listed]
    missed = [(bug, o) for bug, o in judged if o.answer.passes]
    return {
        "regime": regime,
        "tool": tool,
        "seeds": len({o.seed for o in mine}),
        "bugs": len(judged),
        "without_effect": sum(o.effect == "none" for _, o in judged),
        "raise_by_themselves": sum(o.effect == "raises" for o in mine),
        "detection": _percent(not o.answer.passes for _, o in judged),
        "localisation": _percent(_placed(bug, o.answer) for bug, o in judged),
        "diagnosis": _percent(_diagnosed(bug, o.answer) for bug, o in judged),
        "diagnosis_unlisted": _percent(_diagnosed(bug, o.answer) for bug, o in unlisted),
        "diagnosis_later": _percent(_diagnosed(bug, o.answer) for bug, o in later),
        "false_alarms": [sum(alarms), len(alarms)],
        "seconds": round(sum(o.seconds for o in mine), 1),
        "crashes": sorted({f"{bug.name}: {o.answer.place}" for bug, o in missed if o.answer.place}),
        "missed": _counted(bug.name for bug, _ in missed),
        "missed_with_effect": _counted(bug.name for bug, o in missed if o.effect == "some"),
        "unannounced": _counted(bug.name for bug, o in missed if not _announced(bug, o.answer)),
        "misplaced": _counted(bug.name for bug, o in judged if _placed(bug, o.answer) is False),
        "undiagnosed": _counted(bug.name for bug, o in judged if _diagnosed(bug, o.answer) is False),
    }


def _setting(bug: Bug) -> Setting:
    return Setting(bug.hidden, bug.loss, bug.dims, bug.m)


def _effect(p: Problem) -> str:
    """ "none" where every number is what correct code makes, up to rounding; "raises" where the bug stops by itself."""
    right = write(p.hidden)(*p.arguments(p.X, p.parameters))
    try:
        grads = p.backward(*p.arguments(p.X, p.parameters))
    except Exception:
        return "raises"
    room = 1e-12 if p.dtype == "float64" else 1e-5
    same = all(
        name in grads
        and np.shape(grads[name]) == value.shape
        and bool(np.all(np.abs(grads[name] - value) <= room * np.max(np.abs(value), initial=0)))
        for name, value in right.items()
    )
    return "none" if same else "some"


def _placed(bug: Bug, answer: Answer) -> bool | None:
    if answer.place is not None:
        return not answer.passes and answer.place == (bug.place or "")
    if answer.layer is not None and bug.place is not None:
        # dA_{l-1} is made in layer l
        return not answer.passes and answer.layer == int(bug.place[2:]) + (bug.place[1] == "A")
    return None


def _diagnosed(bug: Bug, answer: Answer) -> bool | None:
    if answer.place is None:
        return None
    return not answer.passes and not answer.diagnoses.isdisjoint(bug.codes)


def _announced(bug: Bug, answer: Answer) -> bool:
    """Does the power of the check name this bug, in this layer, as one that would not have shown?"""
    if bug.place is None:
        return False
    l = int(bug.place[2:]) + (bug.place[1] == "A")
    for said in answer.invisible:
        name, _, layers = said.partition(" (layer ")
        if name.partition(": ")[2] in bug.codes and str(l) in layers.rstrip(")").split(", "):
            return True
    return False


def _percent(outcomes: Iterable[bool | None]) -> float | None:
    told = [outcome for outcome in outcomes if outcome is not None]
    return round(100 * statistics.mean(told), 1) if told else None


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


DTYPES = ("float64", "float32", "bfloat16")


def false_alarms(hidden: str, seed: int = 0) -> list[tuple[str, str]]:
    """jaxnet on correct code with one activation: (case, verdict) for losses, depths, dtypes and regimes."""
    deep, shallow = (5, 4, 6, 3, 3), (5, 4, 3)
    found = []
    with np.errstate(all="ignore"):
        for loss, dims, regime in itertools.product(LOSSES, (deep, shallow), REGIMES):
            if regime == "float32" or (regime == "batch of one" and dims == deep):
                continue
            X, Y, parameters = REGIMES[regime](Setting(hidden, loss, dims, 7), seed)
            for dtype in DTYPES:
                report = jaxnet.check_backward(
                    X, Y, parameters, Network(hidden, loss), backward=write(hidden), dtype=dtype, thorough=False
                )
                case = f"{hidden}, {loss}, {len(dims) - 1} layers, {regime}, {dtype}"
                found.append((case, str(report.verdict)))
    return found


def main() -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="seeds at the generic point; a fifth of it elsewhere")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the machine and the rows to FILE")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    tools = [tool for tool in TOOLS if find_spec("torch") or not tool.startswith("torch")]
    unlisted, later = (sum(map(f, CATALOGUE.values())) for f in (lambda b: not b.listed, lambda b: b.later))
    print(machine)
    print(f"{len(CATALOGUE)} planted bugs, {unlisted} of which were not in jaxnet's table of known bugs when they were")
    print(f"written, and {later} of which were written after everything that names bugs")
    rows = []
    spawning = multiprocessing.get_context("spawn")  # JAX has threads, which a fork would lose
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawning) as pool:
        few = -(-arguments.rounds // 5)
        seeds = {regime: range(arguments.rounds if regime == "generic point" else few) for regime in REGIMES}
        futures = {r: [pool.submit(examine, r, seed, tools) for seed in seeds[r]] for r in REGIMES}
        correct = [pool.submit(false_alarms, hidden) for hidden in ACTIVATIONS]
        for regime in REGIMES:
            outcomes = [outcome for future in futures[regime] for outcome in future.result()]
            rows += [summary(regime, tool, outcomes) for tool in tools]
            _print_regime(rows[-len(tools) :])
            sys.stdout.flush()
        cases = [case for future in correct for case in future.result()]
    wrong = [case for case, verdict in cases if verdict != "agree"]
    rows.append({"tool": "jaxnet.check_backward", "runs_on_correct_code": len(cases), "not_agreeing": wrong})
    print(f"\njaxnet on correct code, in {', '.join(DTYPES)}: of {len(cases)} runs {len(wrong)} do not agree")
    print("".join(f"  {case}\n" for case in wrong), end="")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    return rows


def _print_regime(rows: list[dict[str, Any]]) -> None:
    first = rows[0]
    print(f"\n{first['regime']}: {first['bugs']} bugs over {first['seeds']} seeds", end="")
    print(f", {first['without_effect']} of which change no number here", end="")
    print(f"; {first['raise_by_themselves']} more raise an error by themselves" * bool(first["raise_by_themselves"]))
    print(f"  {'':<26}{'seen':>8}{'placed':>8}{'named':>8}{'false alarms':>15}{'seconds':>10}")
    for tool in TOOLS:
        row = next((row for row in rows if row["tool"] == tool), None)
        if row is None:
            print(f"  {tool:<26}not installed")
            continue
        cells = ("-" if row[k] is None else f"{row[k]:.1f}%" for k in ("detection", "localisation", "diagnosis"))
        alarms = "{} of {}".format(*row["false_alarms"])
        print(f"  {tool:<26}{''.join(f'{cell:>8}' for cell in cells)}{alarms:>15}{row['seconds']:10.1f}")
    print(
        f"    jaxnet names {first['diagnosis_unlisted']}% of the unlisted and {first['diagnosis_later']}% of the later"
    )
    for key, words in (
        ("crashes", "jaxnet raises"),
        ("missed_with_effect", "jaxnet misses though numbers change"),
        ("unannounced", "jaxnet misses and its power does not say so"),
    ):
        if first[key]:
            print(f"    {words}: {', '.join(first[key])}")


if __name__ == "__main__":
    main()
