"""`jaxnet.sweep` against what people would do instead: K networks, each with its first weights, rate and order.

    python -m tests.benchmarks.sweep [--runs K ...] [--rounds N] [--cases WORD ...] [--json FILE]

`loop` calls `jaxnet.train` K times, `joblib` does so in as many processes as there are cores, `torch` trains one
network after the other, and `torch-vmap` all of them by `torch.func.vmap`; every one in a process of its own, in turns.
A turn is a whole sweep; whatever is compiled was compiled before. All arrive at the same costs. `one-key` is
`sweep(key=...)`, in which all networks see the same examples in a step, and so at other costs. `first` is the first
sweep of a process, with compiling.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import harness


RATES = 0.002, 0.005, 0.01, 0.02
STEPS = 100  # of each network, in a turn
FILES = "tests.benchmarks.contenders"
CONTENDERS = {
    "jaxnet": f"{FILES}.sweep_jaxnet:prepare",
    "one-key": f"{FILES}.sweep_jaxnet:prepare_one_key",
    "loop": f"{FILES}.sweep_jaxnet:prepare_loop",
    "joblib": f"{FILES}.sweep_jaxnet:prepare_joblib",
    "torch": f"{FILES}.sweep_torch:prepare",
    "torch-vmap": f"{FILES}.sweep_torch:prepare_vmap",
}


class Case(NamedTuple):
    """Networks of one shape; `batch_size` None: every step has all examples."""

    layer_dims: tuple[int, ...]
    examples: int
    batch_size: int | None
    loss: str


class Problem(NamedTuple):
    """A case with its numbers: for each network, in the order of `sweep`, its weights, its rate and its batches."""

    case: Case
    X: np.ndarray
    Y: np.ndarray
    parameters: dict[str, np.ndarray]  # (K, n, n_prev) and (K, n, 1)
    rates: np.ndarray
    seeds: np.ndarray
    order: np.ndarray | None  # (K, STEPS, batch_size)


CASES = {
    "784-128-64-10 m=32": Case((784, 128, 64, 10), 8192, 32, "softmax_cross_entropy"),
    "the course's, reduced": Case((229, 20, 7, 5, 1), 209, None, "binary_cross_entropy"),
}


def draw(case: Case, K: int) -> Problem:
    """Kinds of examples under noise; weights and batches as `sweep` draws them from the seeds."""
    import jax

    import jaxnet
    from jaxnet.training import batch_indices

    generator = np.random.default_rng(0)
    n_x, n_L = case.layer_dims[0], case.layer_dims[-1]
    labels = generator.integers(0, max(n_L, 2), case.examples)
    kinds = generator.random((max(n_L, 2), n_x), np.float32)
    X = np.ascontiguousarray((0.1 * kinds[labels] + 0.9 * generator.random((len(labels), n_x), np.float32)).T)
    Y = (labels == (1 if n_L == 1 else np.arange(n_L)[:, None])).reshape(n_L, -1).astype(np.float32)
    rates, seeds = map(np.array, zip(*itertools.product(RATES, range(K // len(RATES))), strict=True))
    keys = [jax.random.key(int(seed)) for seed in seeds]
    drawn = [jaxnet.initialize_parameters_deep(case.layer_dims, key=key) for key in keys]
    parameters = {name: np.stack([np.asarray(some[name]) for some in drawn]) for name in drawn[0]}
    order = None
    if case.batch_size is not None:
        order = np.stack([batch_indices(key, case.examples, case.batch_size, 0, STEPS) for key in keys])
    return Problem(case, X, Y, parameters, rates, seeds, order)


def save(file: str, problem: Problem) -> None:
    arrays = {"X": problem.X, "Y": problem.Y, "rates": problem.rates, "seeds": problem.seeds, **problem.parameters}
    arrays |= {} if problem.order is None else {"order": problem.order}
    np.savez(file, case=np.array(json.dumps(problem.case)), **arrays)


def load(file: str) -> Problem:
    with np.load(file) as found:
        arrays = {name: found[name] for name in found.files}
    dims, *rest = json.loads(str(arrays.pop("case")))
    given = [arrays.pop(name, None) for name in ("X", "Y", "rates", "seeds", "order")]
    return Problem(Case(tuple(dims), *rest), *given[:2], arrays, *given[2:])


def measure(name: str, K: int, rounds: int) -> list[dict[str, Any]]:
    """The rows of a case, printed."""
    with tempfile.TemporaryDirectory() as folder:
        file, failures = f"{folder}/problem.npz", {}
        # By a process of its own: this one shall not hold JAX.
        subprocess.run([sys.executable, "-m", __spec__.name, "--draw", name, str(K), file], check=True)
        once = dict.fromkeys(CONTENDERS, 1)
        seconds, _ = harness.take_turns(__spec__.name, file, list(CONTENDERS), rounds, failures, once, checked_steps=1)
        first, _ = harness.whole_runs(__spec__.name, file, ["jaxnet"], 1, 1, failures)
    name = f"{name}, K={K}"
    rows = harness.compare(name, {**seconds, "first": first["jaxnet"] * len(seconds["jaxnet"])})
    for row in rows:
        least, most = row["spread"]
        print(f"{name:<34}{row['contender']:<12}{row['ratio']:7.2f}{least:9.2f}{most:8.2f}", flush=True)
    for contender, reason in failures.items():
        print(f"{name:<34}{contender:<12}not measured: {reason}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[16, 64, 256], metavar="K", help="networks")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default: 5)")
    parser.add_argument("--cases", nargs="+", default=[""], metavar="WORD", help="those with one of the words in them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the machine and the rows to FILE")
    parser.add_argument("--draw", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.draw:
        name, K, file = arguments.draw
        return save(file, draw(CASES[name], int(K)))
    machine = f"{harness.describe_machine()}, {harness.describe_load()}"
    print(
        f"{machine}\ntime of a sweep over jaxnet's: medians of {arguments.rounds} turns; least and most of single turns"
    )
    names = [name for name in CASES if any(word in name for word in arguments.cases)]
    rows = [row for name in names for K in arguments.runs for row in measure(name, K, arguments.rounds)]
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
