"""Is right NumPy code accused? At drawn points, from weights of 0.01 to logits where a cost has no digits left.

    python -m tests.benchmarks.false_alarms [--cases N] [--json FILE]

`check_gradient` is shown the N right gradients of `tests.right_numpy`, and `check_backward` right backward passes of
every activation and loss, in float64 and float32, with last weights of 0.01 to 40. A false alarm is right code that is
said to disagree. Inconclusive is honest where digits are lost, but a checker that is never sure is worth nothing: so
the table has the share that agrees, and, of errors planted in gradients that agree when right, the share that is seen.
An error that changes no number by more than rounding is not counted.
"""

import argparse
import json
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxnet
from jaxnet import Network, Verdict

from .. import planted_bugs, right_numpy
from ..right_numpy import PLANTED, SCALES
from . import harness


class Outcome(NamedTuple):
    """What was found of one right gradient, and of the errors planted in it."""

    scale: float
    kind: str
    case: str
    verdict: Verdict
    reason: str
    planted: dict[str, bool]  # seen? of the errors that change numbers; empty where the right code does not agree


# ---- check_gradient


def examine(case: right_numpy.Case) -> Outcome:
    """The right gradient of one case and, if it agrees, every planted error."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # NumPy's, of what overflows
        code = right_numpy.write(case)
        report = jaxnet.check_gradient(code.fun, code.grad, args=code.args)
        planted = {}
        for name in PLANTED if report.agrees else ():
            wrong = right_numpy.write(case, name)
            if _changes(code, wrong):
                found = jaxnet.check_gradient(wrong.fun, wrong.grad, args=wrong.args, thorough=False)
                planted[name] = found.verdict is Verdict.DISAGREE
    return Outcome(case.scale, case.loss, str(tuple(case)), report.verdict, report.reason, planted)


def _changes(right: right_numpy.Code, wrong: right_numpy.Code) -> bool:
    """Does the error move an entry by more than rounding would?"""
    pairs = zip(*(jax.tree.leaves(code.grad(*code.args)) for code in (right, wrong)), strict=True)
    return any(np.max(np.abs(a - b)) > 1e3 * np.finfo(a.dtype).eps * np.max(np.abs(a)) for a, b in pairs)


# ---- check_backward


def chain(s: planted_bugs.Step) -> np.ndarray:
    """dZL as the course writes it: through dAL."""
    dA = -(s.Y / s.AL - (1 - s.Y) / (1 - s.AL))
    A = planted_bugs.sigmoid(s.Z)
    return dA * A * (1 - A)


HEADS = {
    "binary_cross_entropy": (1, None),
    "binary_cross_entropy, chain": (1, chain),
    "softmax_cross_entropy": (3, None),
    "squared_error": (2, None),
}
BACKWARD_PLANTED = ("factor 2", "sign of one leaf", "one entry off 1 %", "zero")


def examine_backward(hidden: str, head: str, scales: Iterable[float] = SCALES) -> list[Outcome]:
    """A right backward pass at every scale of the last weights, in both types."""
    n_L, line = HEADS[head]
    network = Network(hidden, head.partition(",")[0])
    right = planted_bugs.write(hidden, {"head": line} if line else None)
    X, Y, parameters = jaxnet.good_point((5, 4, 3, n_L), network, key=jax.random.key(0))
    outcomes = []
    for scale in scales:
        scaled = parameters | {"W3": scale * parameters["W3"]}
        for dtype in ("float64", "float32"):
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")

                def check(backward: Callable, point=scaled, dtype=dtype) -> jaxnet.Report:
                    return jaxnet.check_backward(X, Y, point, network, backward=backward, dtype=dtype, thorough=False)

                report = check(right)
                names = BACKWARD_PLANTED if report.agrees else ()
                planted = {name: check(_damaged(right, name)).verdict is Verdict.DISAGREE for name in names}
            case = f"{hidden}, {head}, {scale}, {dtype}"
            outcomes.append(Outcome(scale, f"backward: {head}", case, report.verdict, report.reason, planted))
    return outcomes


def _damaged(backward: Callable, plant: str) -> Callable:
    def wrong(AL, Y, caches):
        grads = backward(AL, Y, caches)
        own = {name[1:]: g for name, g in grads.items() if name[1] != "A"}
        return grads | {f"d{name}": g for name, g in PLANTED[plant](None, own).items()}

    return wrong


# ---- the table


def summary(name: str, outcomes: list[Outcome]) -> dict[str, Any]:
    """A row: of right code how often which verdict, of planted errors how many were seen."""
    count = {verdict: sum(o.verdict is verdict for o in outcomes) for verdict in Verdict}
    seen = [found for o in outcomes for found in o.planted.values()]
    return {
        "name": name,
        "cases": len(outcomes),
        **{str(verdict): n for verdict, n in count.items()},
        "planted": len(seen),
        "seen": sum(seen),
    }


def table(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """A row for every scale of the last weights, for every kind of code, and for everything."""
    rows = []
    for of in (lambda o: f"last weights {o.scale:g}", lambda o: o.kind):
        for name in dict.fromkeys(map(of, sorted(outcomes, key=lambda o: (o.scale, o.kind)))):
            rows.append(summary(name, [o for o in outcomes if of(o) == name]))
    return [*rows, summary("all", outcomes)]


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the table."""
    print(f"{'right code':<40}{'cases':>7}{'agree':>7}{'inconclusive':>14}{'false alarms':>14}{'planted, seen':>18}")
    for row in rows:
        counts = f"{row['cases']:7}{row['agree']:7}{row['inconclusive']:14}{row['disagree']:14}"
        print(f"{row['name']:<40}{counts}{row['seen']:9} of {row['planted']}")


def measure(cases: int, hiddens: Iterable[str], workers: int) -> tuple[list[Outcome], list[Outcome]]:
    """`check_gradient` over so many cases, `check_backward` over the activations; in processes of their own."""
    spawning = multiprocessing.get_context("spawn")  # JAX has threads, which a fork would lose
    with ProcessPoolExecutor(workers, mp_context=spawning) as pool:
        backward = [pool.submit(examine_backward, hidden, head) for hidden in hiddens for head in HEADS]
        gradient = list(pool.map(examine, map(right_numpy.draw, range(cases)), chunksize=4))
        return gradient, [outcome for future in backward for outcome in future.result()]


def main() -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=336, help="right gradients shown to check_gradient")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the machine and the rows to FILE")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(machine)
    rows = []
    gradient, backward = measure(arguments.cases, planted_bugs.ACTIVATIONS, arguments.workers)
    for name, outcomes in (("check_gradient", gradient), ("check_backward", backward)):
        print(f"\n{name}")
        rows += [{"tool": name, **row} for row in table(outcomes)]
        show([row for row in rows if row["tool"] == name])
        for o in outcomes:
            if o.verdict is Verdict.DISAGREE:
                print(f"  accused: {o.case}: {o.reason}")
            missed = [plant for plant, seen in o.planted.items() if not seen]
            if missed:
                print(f"  not seen: {', '.join(missed)} in {o.case}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    return rows


if __name__ == "__main__":
    main()
