"""Times contenders against jaxnet: each in a process of its own, taking turns, one timed burst of steps at a time.

A benchmark is a module with two tables that ends in `harness.main(__doc__, __spec__.name, CASES, CONTENDERS)`:

    CASES       name -> case, whatever its contenders understand; or load(name) -> case, where cases are files
    CONTENDERS  name -> prepare, one of them "jaxnet";  prepare(case) -> run,  run(n) -> value

`run(n)` makes n more steps, for any n without compiling anew, waits until they are done and returns a number to
recognise them by, such as the last step's cost, or a function that returns it and is called when the clock stands.
After the first steps it must be the same for all contenders of a case; else the benchmark fails. A peer is imported
inside its own `prepare`, or that is written "module:function", so that no other process loads it.
"""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any


BURST_SECONDS = 0.3
CHECKED_STEPS = 4  # few, because roundings grow from step to step
CHECKED_TOLERANCE = 1e-3  # relative, for float32: a unit that rounding switches on shows by 1e-4 in 8 examples


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


class Failed(Exception):
    """A contender's process ended, or said why it cannot go on."""


def interleaved_bursts(module: str, case: str, contenders: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """The seconds a step of each contender in each round; one that fails ends the benchmark."""
    failures = {}
    seconds, _ = take_turns(module, case, contenders, rounds, failures)
    for name, reason in failures.items():
        sys.exit(f"{case}: {name} failed: {reason}")
    return seconds


def take_turns(
    module: str,
    case: str,
    contenders: Sequence[str],
    rounds: int,
    failures: dict[str, str],
    fixed: Mapping[str, int] | None = None,
    checked_steps: int = CHECKED_STEPS,
) -> tuple[dict[str, list[float]], dict[str, list[Any]]]:
    """The seconds a step of each contender in each round, and its values; every second round in the opposite order.

    A burst of a contender in `fixed` has so many steps, that of any other takes BURST_SECONDS. A contender that fails
    is left out, and its reason put into `failures`.
    """
    with ExitStack() as running:
        workers, steps, checked = {}, {}, {}
        for name in contenders:
            try:
                worker = running.enter_context(_start(module, name, case))
                _, value = _run(worker, checked_steps)  # compiles too
                steps[name] = (fixed or {}).get(name) or _steps_of_a_burst(worker)
                _run(worker, steps[name])  # in which a fixed number may compile once more
                workers[name], checked[name] = worker, value
            except Failed as failure:
                failures[name] = str(failure)
        check_values(case, checked, CHECKED_TOLERANCE)
        seconds, values = {name: [] for name in workers}, {name: [] for name in workers}
        for turn in range(rounds):
            for name in workers if turn % 2 == 0 else reversed(workers):
                spent, value = _run(workers[name], steps[name])
                seconds[name].append(spent / steps[name])
                values[name].append(value)
    return seconds, values


def whole_runs(
    module: str, case: str, contenders: Sequence[str], steps: int, rounds: int, failures: dict[str, str]
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The seconds of a first run of so many steps, each in a new process with empty caches; and the values after it.

    The clock starts with the libraries imported and the case loaded, and stops with the last step.
    """
    seconds, values = {}, {}
    for turn in range(rounds):
        for name in contenders if turn % 2 == 0 else reversed(contenders):
            with tempfile.TemporaryDirectory() as empty, _start(module, name, case, Path(empty)) as worker:
                try:
                    spent, values[name] = _run(worker, steps)
                    seconds.setdefault(name, []).append(spent)
                except Failed as failure:
                    failures[name] = str(failure)
    return seconds, values


def ask(module: str, case: str, contender: str) -> Any:
    """The value of one step of a contender that is measured by something else than time."""
    with _start(module, contender, case) as worker:
        return _run(worker, 1)[1]


def check_values(case: str, values: Mapping[str, float], tolerance: float) -> None:
    """Ends the benchmark where a contender's steps are not jaxnet's; values that are no numbers are not compared."""
    ours = values.get("jaxnet")
    for name, value in values.items():
        if isinstance(value, int | float) and ours is not None and not abs(value - ours) <= tolerance * abs(ours):
            sys.exit(f"{case}: after the checked steps {name} returns {value}, jaxnet {ours}")


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


def describe_load() -> str:
    """How many processes others keep busy: libraries whose threads wait for each other suffer more than the rest."""
    if not hasattr(os, "getloadavg"):
        return "load unknown"
    load = os.getloadavg()[0]
    return f"load {load:.1f}" + ("" if load < 0.5 else ": others compute too, so the ratios are rough")


def _start(module: str, contender: str, case: str, caches: Path | None = None) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.benchmarks.harness", module, contender, case]
    # By default JAX takes most of a GPU's memory at once, and leaves none for the next worker.
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ}
    if caches is not None:
        places = {"JAX_COMPILATION_CACHE_DIR": "jax", "TORCHINDUCTOR_CACHE_DIR": "torch", "TRITON_CACHE_DIR": "triton"}
        environment |= {variable: str(caches / folder) for variable, folder in places.items()}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _run(worker: subprocess.Popen, steps: int) -> tuple[float, Any]:
    """The seconds and the value of `run(steps)` in the worker."""
    with suppress(BrokenPipeError):
        print(steps, file=worker.stdin, flush=True)
    answer = worker.stdout.readline()
    if not answer:
        raise Failed("its process ended, see above")
    seconds, value, failure = json.loads(answer)
    if failure is not None:
        raise Failed(failure)
    return seconds, value


def _steps_of_a_burst(worker: subprocess.Popen) -> int:
    steps = 1
    while (seconds := _run(worker, steps)[0]) < BURST_SECONDS / 2:
        steps *= 2
    return max(1, round(steps * BURST_SECONDS / seconds))


def _serve(module: str, contender: str, case: str) -> None:
    """The worker: reads a number of steps a line, answers each with a line [seconds, value, failure].

    The first answer's seconds include preparing and compiling.
    """
    try:
        benchmark = importlib.import_module(module)
        given = getattr(benchmark, "load", benchmark.CASES.get)(case)
        prepare, run = benchmark.CONTENDERS[contender], None
        prepare = pkgutil.resolve_name(prepare) if isinstance(prepare, str) else prepare
        for line in sys.stdin:
            start = time.perf_counter()
            run = run or prepare(given)
            value = run(int(line))
            seconds = time.perf_counter() - start
            print(json.dumps([seconds, value() if callable(value) else value, None]), flush=True)
    except Exception as failure:
        traceback.print_exc()
        print(json.dumps([0, 0, f"{type(failure).__name__}: {failure}".splitlines()[0]]), flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
