"""What each quantity of the backward pass costs: here, in BackPACK, and with `jax.vmap(jax.grad)`.

    python -m tests.benchmarks.readouts [--rounds N] [--cases WORD ...] [--quantities NAME ...] [--json FILE]

Needs the extra `bench`. Every time includes that of the gradient itself. Each contender runs in a process of its own;
they take turns with both libraries' plain gradients, and the figures are medians over the rounds of ratios within a
round: to the library's own plain gradient (of `vmap` to that here), and to the time here. What they compute is compared
first, where nothing is sampled. On a GPU milliseconds are printed too.
"""

import argparse
import importlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import harness
from .peers import on_gpu


class Case(NamedTuple):
    layer_dims: tuple[int, ...]
    m: int
    quantity: str = "gradient"


NETWORKS = {
    "784-1000-500-100-10 m=128": Case((784, 1000, 500, 100, 10), 128),
    "784-128-64-10 m=32": Case((784, 128, 64, 10), 32),
    "784-1000-500-100-1 m=128": Case((784, 1000, 500, 100, 1), 128),
}
QUANTITIES = [
    "norms",
    "second moment",
    "variance",
    "gram",
    "norms, second moment, gram",
    "clipped sum",
    "GGN diagonal, sampled",
    "GGN diagonal",
    "K-FAC",
    "KFLR",
    "KFRA",
    "GGN-vector",
    "Hessian-vector",
    "per-example gradients",
]
LIBRARIES = ["jaxnet", "backpack", "vmap"]
SAMPLED = {"GGN diagonal, sampled", "K-FAC"}
MISSING = {"backpack": {"gram"}, "vmap": {*SAMPLED, "GGN diagonal", "KFLR", "KFRA", "GGN-vector"}}
CASES = {f"{name}, {q}": case._replace(quantity=q) for name, case in NETWORKS.items() for q in QUANTITIES}


class Problem(NamedTuple):
    X: np.ndarray  # (n_x, m)
    labels: np.ndarray  # (m,)
    parameters: dict[str, np.ndarray]
    quantity: str
    max_norm: float  # to which about half of the gradients are clipped
    direction: dict[str, np.ndarray]  # for the products


def load(case: str) -> Problem:
    """The problem, drawn anew in every process."""
    return draw(CASES[case])


def draw(case: Case) -> Problem:
    generator = np.random.default_rng(0)
    sizes = list(zip(case.layer_dims[1:], case.layer_dims[:-1], strict=True))
    parameters, direction = {}, {}
    for tree, scale in ((parameters, 2**0.5), (direction, 0.1)):
        for l, (n, n_prev) in enumerate(sizes, start=1):
            tree[f"W{l}"] = (scale * generator.normal(size=(n, n_prev)) / n_prev**0.5).astype("float32")
            tree[f"b{l}"] = (0.1 * generator.normal(size=(n, 1))).astype("float32")
    X = generator.normal(size=(case.layer_dims[0], case.m)).astype("float32")
    labels = generator.integers(max(2, case.layer_dims[-1]), size=case.m)
    return Problem(X, labels, parameters, case.quantity, 10.0, direction)


def prepare(library: str, quantity: str | None = None):
    """`prepare` of that library's file; of the case's quantity, or of another."""

    def prepared(given: Problem):
        module = importlib.import_module(f"tests.benchmarks.contenders.readouts_{library}")
        run = module.prepare(given._replace(quantity=quantity or given.quantity))
        return run if quantity is None and given.quantity not in SAMPLED else _uncompared(run)

    return prepared


def _uncompared(run):
    """The harness compares numbers, not lists."""

    def runs(steps):
        value = run(steps)
        return lambda: [value()]

    return runs


# In this order: what takes a turn after arrays of m gradients, here vmap's, is up to a sixth slower.
CONTENDERS = {
    "jaxnet gradient": prepare("jaxnet", "gradient"),
    "jaxnet": prepare("jaxnet"),
    "backpack gradient": prepare("backpack", "gradient"),
    "backpack": prepare("backpack"),
    "vmap": prepare("vmap"),
}


def measure(case: str, rounds: int) -> dict[str, Any]:
    """The row of a quantity."""
    failures = {}
    there = [name for name in CONTENDERS if CASES[case].quantity not in MISSING.get(name, ())]
    seconds, _ = harness.take_turns(__spec__.name, case, there, rounds, failures, checked_steps=1)
    row = {"case": case, "failures": failures, "median": {name: statistics.median(s) for name, s in seconds.items()}}
    bases = {"jaxnet": "jaxnet gradient", "vmap": "jaxnet gradient", "backpack": "backpack gradient"}
    for column, base in (("over_gradient", bases), ("over_jaxnet", dict.fromkeys(bases, "jaxnet"))):
        row[column] = {
            name: statistics.median(a / b for a, b in zip(seconds[name], seconds[base[name]], strict=True))
            for name in LIBRARIES
            if name in seconds and base[name] in seconds
        }
    return row


def line(row: dict[str, Any], quantity: str) -> str:
    cells = [*(row["over_gradient"].get(name) for name in LIBRARIES), *map(row["over_jaxnet"].get, LIBRARIES[1:])]
    text = "".join("         -" if cell is None else f"{cell:10.2f}" for cell in cells)
    times = "".join(f"  {name} {1e3 * row['median'][name]:.2f} ms" for name in row["median"]) if on_gpu() else ""
    return f"{quantity:<30}{text}{times}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="timed bursts of each contender (default: 5)")
    parser.add_argument("--cases", nargs="+", default=[""], metavar="WORD", help="networks with one of the words")
    parser.add_argument("--quantities", nargs="+", choices=QUANTITIES, default=QUANTITIES, metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the machine and the rows to FILE")
    options = parser.parse_args(arguments)
    machine = f"{harness.describe_machine()}, {harness.describe_load()}"
    print(f"{machine}\nmedians of {options.rounds} rounds")
    rows = []
    for network in NETWORKS:
        if not any(word in network for word in options.cases):
            continue
        print(f"\n{network:<30}{'over the own plain gradient':>30}{'time over jaxnet':>20}")
        print(f"{'':<30}" + "".join(f"{name:>10}" for name in [*LIBRARIES, *LIBRARIES[1:]]))
        for quantity in options.quantities:
            row = measure(f"{network}, {quantity}", options.rounds)
            print(line(row, quantity), flush=True)
            for name, reason in row["failures"].items():
                print(f"    {name}: {reason}")
            rows.append(row)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
