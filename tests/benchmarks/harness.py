"""Times contenders against jaxnet: each in a process of its own, taking turns, one timed burst of steps at a time.

A benchmark is a module with two tables that ends in `harness.main(__doc__, __spec__.name, CASES, CONTENDERS)`:

    CASES       name -> case, whatever its contenders understand
    CONTENDERS  name -> prepare, one of them "jaxnet";  prepare(case) -> run,  run(n) -> value

`run(n)` makes n more steps, for any n without compiling anew, waits until they are done and returns a number to
recognise them by, such as the last step's cost. After the first steps it must be the same for all contenders of a
case; else the benchmark fails. A peer is imported inside its own `prepare`, so that no other process loads it.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any


BURST_SECONDS = 0.3
CHECKED_STEPS = 4  # few, because roundings grow from step to step
CHECKED_TOLERANCE = 1e-4  # relative, for float32


def main(
    description: str, module: str, cases: Iterable[str], contenders: Mapping[str, Callable]
) -> list[dict[str, Any]]:
    """Measures the cases of `module` as the command line says, prints the table, and returns the rows of the JSON."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="timed bursts of each contender (default: 11)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the machine and the rows to FILE")
    arguments = parser.parse_args()
    machine = describe_machine()
    print(machine)
    print(f"time of a step over jaxnet's: medians of {arguments.rounds} rounds; least and most of single rounds")
    rows = []
    for case in cases:
        for row in compare(case, interleaved_bursts(module, case, list(contenders), arguments.rounds)):
            least, most = row["spread"]
            print(f"{case:<32}{row['contender']:<12}{row['ratio']:7.3f}{least:10.3f}{most:8.3f}", flush=True)
            rows.append(row)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    return rows


def interleaved_bursts(module: str, case: str, contenders: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """The seconds a step of each contender in each round; every second round runs in the opposite order."""
    with ExitStack() as running:
        workers, steps, values = {}, {}, {}
        for name in contenders:
            workers[name] = running.enter_context(_start(module, name, case))
            _, values[name] = _run(workers[name], CHECKED_STEPS)  # compiles too
            steps[name] = _steps_of_a_burst(workers[name])
        ours = values["jaxnet"]
        for name, value in values.items():
            if not abs(value - ours) <= CHECKED_TOLERANCE * abs(ours):
                sys.exit(f"{case}: after {CHECKED_STEPS} steps {name} returns {value}, jaxnet {ours}")
        seconds = {name: [] for name in contenders}
        for turn in range(rounds):
            for name in contenders if turn % 2 == 0 else reversed(contenders):
                seconds[name].append(_run(workers[name], steps[name])[0] / steps[name])
    return seconds


def compare(case: str, bursts: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """The rows of a case: median seconds a step, its ratio to jaxnet's, and the extremes of the rounds' own ratios."""
    rows = []
    for name, seconds in bursts.items():
        median = statistics.median(seconds)
        ratio = median / statistics.median(bursts["jaxnet"])
        ratios = [theirs / ours for theirs, ours in zip(seconds, bursts["jaxnet"], strict=True)]
        spread = [min(ratios), max(ratios)]
        rows.append({"case": case, "contender": name, "median": median, "ratio": ratio, "spread": spread})
    return rows


def describe_machine() -> str:
    """Processor, cores, and the versions of JAX and Python."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, jax {version('jax')}, Python {platform.python_version()}"


def _start(module: str, contender: str, case: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.benchmarks.harness", module, contender, case]
    # By default JAX takes most of a GPU's memory at once, and leaves none for the next worker.
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _run(worker: subprocess.Popen, steps: int) -> tuple[float, float]:
    """The seconds and the value of `run(steps)` in the worker."""
    print(steps, file=worker.stdin, flush=True)
    answer = worker.stdout.readline()
    if not answer:
        sys.exit(f"failed, see above: {' '.join(worker.args[3:])}")
    return tuple(json.loads(answer))


def _steps_of_a_burst(worker: subprocess.Popen) -> int:
    steps = 1
    while (seconds := _run(worker, steps)[0]) < BURST_SECONDS / 2:
        steps *= 2
    return max(1, round(steps * BURST_SECONDS / seconds))


def _serve(module: str, contender: str, case: str) -> None:
    """The worker: reads a number of steps a line, answers each with a line [seconds, value]."""
    benchmark = importlib.import_module(module)
    run = benchmark.CONTENDERS[contender](benchmark.CASES[case])
    for line in sys.stdin:
        start = time.perf_counter()
        value = run(int(line))
        print(json.dumps([time.perf_counter() - start, value]), flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
