"""jaxnet against what people would take instead: the same training, in the time of each over jaxnet's.

    python -m tests.benchmarks.peers [--rounds N] [--cases WORD ...] [--contenders NAME ...] [--json FILE]
    python -m tests.benchmarks.peers --figure FILE.png [--rounds N] [--contenders NAME ...] [--json FILE]

Needs the extra `bench`; a library that is not there is left out, and its row says so. Everybody has the same weights,
data, precision, rate, and examples in every step, and must arrive at the same cost.

The course's network trains for 2,500 iterations on all examples. Without compiling, jaxnet's time is that of whole
calls of `train`, which begin with a reduction of the inputs; that of the others is that of a step in bursts of 0.3
seconds. With compiling, all are whole runs in new processes that have imported their library and hold the data in
NumPy; no cache of compiled code is there. The other cases are minibatches in the order that `train` draws; gathering
them counts. There no inputs are reduced, as none can be where examples are many.

`floor` is the matrix products of a step alone, each at the best rate that any of NumPy, torch and XLA reaches.
`--figure` draws how the ratios grow instead, with width, depth, batch, and data.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import harness, problem
from .problem import Case


ITERATIONS = 2500
# After so many steps, and where an input lies near a kink, roundings have grown; float64 tells that it is no more.
FINAL_TOLERANCE = {"float32": 1e-2, "float64": 1e-6}
COURSE = Case((12288, 20, 7, 5, 1), 209, loss="binary_cross_entropy")
TRAININGS = {
    "12288-20-7-5-1 m=209 float32": COURSE,
    "12288-20-7-5-1 m=209 float64": COURSE._replace(dtype="float64"),
}
STEPS = {
    "784-128-64-10 m=32": Case((784, 128, 64, 10), 32, batches=256, unit=64),
    "784-512-512-10 m=128": Case((784, 512, 512, 10), 128, batches=64, unit=16),
    "2048-2048-2048-2048-10 m=512": Case((2048, 2048, 2048, 2048, 10), 512, batches=4, unit=4),
}
CASES = TRAININGS | STEPS
SAME_AS_ANOTHER = {"jaxnet-unreduced", "jaxnet-step"}  # whose whole runs would only cost time
FILES = "tests.benchmarks.contenders"
PEERS = {
    "jaxnet": f"{FILES}.jaxnet:prepare_train",
    "jaxnet-unreduced": f"{FILES}.jaxnet:prepare_unreduced",
    "jaxnet-step": f"{FILES}.jaxnet:prepare_step",
    "autodiff": f"{FILES}.autodiff:prepare",
    "numpy": f"{FILES}.course:prepare",
    "torch": f"{FILES}.pytorch:prepare",
    "torch-compile": f"{FILES}.pytorch:prepare_compiled",
    "equinox": f"{FILES}.equinox:prepare",
    "flax": f"{FILES}.flax:prepare",
    "sklearn": f"{FILES}.sklearn:prepare",
}
FLOORS = {f"floor-{library}": f"{FILES}.floor:prepare_{library}" for library in ("numpy", "torch", "xla")}
MEMORY = {"memory": f"{FILES}.memory:prepare"}
CONTENDERS = PEERS | FLOORS | MEMORY


def load(file: str) -> problem.Problem:
    """The case, in a process that makes its arrays in the case's precision: JAX, not yet imported, is told here."""
    given = problem.load(file)
    os.environ["JAX_ENABLE_X64"] = str(int(given.case.dtype == "float64"))
    return given


def main() -> None:
    arguments = _arguments()
    machine = f"{harness.describe_machine()}, {harness.describe_load()}"
    print(f"{machine}\ntime over jaxnet's: medians of {arguments.rounds} rounds; least and most of single rounds")
    if arguments.figure:
        from . import growth

        rows = growth.draw(arguments.figure, arguments)
    else:
        cases = {name: case for name, case in CASES.items() if any(word in name for word in arguments.cases)}
        rows = [row for name, case in cases.items() for row in measure(name, case, arguments)]
        print("\n" + table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="timed bursts of each contender (default: 5)")
    parser.add_argument("--whole", type=int, default=1, metavar="N", help="runs with compiling (default: 1)")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, metavar="N", help="of a training (default: 2500)")
    parser.add_argument("--cases", nargs="+", default=[""], metavar="WORD", help="those with one of the words in them")
    parser.add_argument("--contenders", nargs="+", choices=[*PEERS, "floor"], metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the machine and the rows to FILE")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the growth curves instead, to FILE.png")
    return parser.parse_args()


def measure(name: str, case: Case, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of a case, printed as they come."""
    chosen = arguments.contenders or [*PEERS, "floor"]
    peers = ["jaxnet", *(peer for peer in PEERS if peer in chosen and peer != "jaxnet")]
    with tempfile.TemporaryDirectory() as folder:
        file = draw(case, Path(folder))
        if case.batches is None:
            return measure_training(name, case, file, peers, arguments)
        return measure_steps(name, case, file, [peer for peer in peers if peer != "jaxnet-unreduced"], arguments)


def draw(case: Case, folder: Path) -> str:
    """The file of the problem, made by a process of its own: this one shall not hold JAX, nor a GPU's memory."""
    file = folder / "problem.npz"
    command = [sys.executable, "-m", "tests.benchmarks.problem", repr(tuple(case)), str(file)]
    subprocess.run(command, check=True)
    return str(file)


def measure_training(
    name: str, case: Case, file: str, peers: Sequence[str], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    iterations = arguments.iterations
    failures = {}
    # The first is a whole training, since the reduction is a part of it; the second a chunk, since nothing is.
    fixed = {"jaxnet": iterations, "jaxnet-unreduced": min(100, iterations)}
    seconds, _ = harness.take_turns(__spec__.name, file, peers, arguments.rounds, failures, fixed)
    rows = report(name, seconds, failures)
    if arguments.whole:
        name, failures = f"{name}, compiling", {}
        alive = [peer for peer in seconds if peer not in SAME_AS_ANOTHER]
        seconds, costs = harness.whole_runs(__spec__.name, file, alive, iterations, arguments.whole, failures)
        harness.check_values(name, costs, FINAL_TOLERANCE[case.dtype])
        per_step = {peer: [spent / iterations for spent in runs] for peer, runs in seconds.items()}
        rows += report(name, per_step, failures)
        print(f"{name:<44}cost {costs['jaxnet']:.4f}, the others within {_apart(costs):.0e} of it", flush=True)
    return rows


def _apart(costs: Mapping[str, float]) -> float:
    return max(abs(cost / costs["jaxnet"] - 1) for cost in costs.values())


def measure_steps(
    name: str, case: Case, file: str, peers: Sequence[str], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    failures = {}
    probes = list(FLOORS) if "floor" in (arguments.contenders or ["floor"]) else []
    # One turn is enough: a unit that rounding switches on in one library and not in another is soon seen in the cost.
    seconds, values = harness.take_turns(
        __spec__.name, file, [*peers, *probes], arguments.rounds, failures, checked_steps=1
    )
    seconds = {peer: [turn / case.unit for turn in turns] for peer, turns in seconds.items()}
    rounds = list(zip(*(values[probe] for probe in probes if probe in values), strict=True))
    seconds = {peer: turns for peer, turns in seconds.items() if peer in PEERS}
    if rounds:
        # Each product at the fastest library's rate of that round.
        seconds["floor"] = [sum(min(times) for times in zip(*libraries, strict=True)) for libraries in rounds]
    rows = report(name, seconds, failures)
    ours, theirs = harness.ask(__spec__.name, file, "memory")
    print(f"{name:<44}temporary memory of a step: {ours / 2**20:.2f} MiB, autodiff's {theirs / 2**20:.2f}", flush=True)
    return [row | {"temporary_memory": ours, "autodiff_temporary_memory": theirs} for row in rows]


def report(name: str, seconds: Mapping[str, list[float]], failures: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of what was measured and of what failed, printed; on a GPU, where they mean something, times too."""
    rows = harness.compare(name, seconds)
    for row in rows:
        least, most = row["spread"]
        time = f"{row['median'] * 1e6:12.1f} us a step" if on_gpu() else ""
        print(f"{name:<44}{row['contender']:<18}{row['ratio']:7.2f}{least:9.2f}{most:8.2f}{time}", flush=True)
    for peer, reason in failures.items():
        print(f"{name:<44}{peer:<18}not measured: {reason}", flush=True)
    return rows + [{"case": name, "contender": peer, "failure": reason} for peer, reason in failures.items()]


def on_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()


def table(rows: Iterable[dict[str, Any]]) -> str:
    """The ratios in Markdown, a row for each contender."""
    rows = list(rows)
    cases = list(dict.fromkeys(row["case"] for row in rows))
    cells = {(row["contender"], row["case"]): f"{row['ratio']:.2f}" if "ratio" in row else "failed" for row in rows}
    lines = [["", *cases], ["---", *["---:"] * len(cases)]]
    for peer in dict.fromkeys(row["contender"] for row in rows):
        lines.append([peer, *(cells.get((peer, case), "") for case in cases)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
