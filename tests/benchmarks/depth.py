"""How long a deep network's update step takes to compile and to make, beside the same step with `jax.value_and_grad`.

    python -m tests.benchmarks.depth [--rounds N] [--json FILE]

Hidden layers of 64 relu units each, 64 examples, float32, `optax.sgd`. First the times of a step, as in
`tests.benchmarks.step`. Then the seconds until the first can be made, in three processes for each contender and depth,
which take turns: Python traces the step, JAX lowers it to StableHLO, XLA compiles that.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable

import jax
import numpy as np
import optax

import jaxnet

from . import harness
from .contenders.autodiff import autodiff_step
from .step import by_autodiff, by_jaxnet, repeat


WIDTH = 64  # units of a layer, and examples
OPTIMIZER = optax.sgd(1e-3)
CASES = {f"{L} hidden layers": L for L in (10, 30, 100, 300)}
PHASES = ("jaxpr_trace_duration", "jaxpr_to_mlir_module_duration", "backend_compile_duration")
PROCESSES = 3


def prepare_jaxnet(L: int) -> Callable[[int], float]:
    return _repeat(jaxnet.make_update_step(OPTIMIZER), L, by_jaxnet)


def prepare_autodiff(L: int) -> Callable[[int], float]:
    return _repeat(autodiff_step(OPTIMIZER, "binary_cross_entropy"), L, by_autodiff)


CONTENDERS = {"jaxnet": prepare_jaxnet, "autodiff": prepare_autodiff}


def _repeat(step: Callable, L: int, start: Callable) -> Callable[[int], float]:
    generator = np.random.default_rng(0)
    X = jax.device_put(generator.normal(size=(WIDTH, WIDTH)).astype(np.float32))
    Y = jax.device_put((generator.random((1, WIDTH)) > 0.5).astype(np.float32))
    dims = (*[WIDTH] * (L + 1), 1)
    draw = jax.jit(jaxnet.initialize_parameters_deep, static_argnames=("layer_dims", "init", "dtype"))
    # He's initialisation: with another, the numbers of a relu network of such a depth soon become subnormal.
    parameters = draw(layer_dims=dims, key=jax.random.key(0), init="he", dtype="float32")
    return repeat(step, start(parameters, OPTIMIZER), X, Y)


def phases(contender: str, L: int) -> list[float]:
    """The seconds of each phase in this process, after a step of another depth, which loads what all of them need."""
    seconds = dict.fromkeys(PHASES, 0.0)

    def listen(event: str, duration: float, **_: object) -> None:
        name = event.rsplit("/", 1)[1]
        if name in seconds:
            seconds[name] = max(seconds[name], duration)  # the step itself, of the functions within it

    CONTENDERS[contender](2)(1)
    run = CONTENDERS[contender](L)
    jax.monitoring.register_event_duration_secs_listener(listen)
    run(1)
    return [*seconds.values()]


def print_phases(L: int) -> None:
    seconds = {name: [] for name in CONTENDERS}
    for turn in range(PROCESSES):
        for name in CONTENDERS if turn % 2 == 0 else reversed(CONTENDERS):
            command = [sys.executable, "-m", __spec__.name, "phases", name, str(L)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            seconds[name].append(json.loads(answer.stdout))
    for name, all_of_it in seconds.items():
        medians = [statistics.median(phase) for phase in zip(*all_of_it, strict=True)]
        print(f"{f'{L} hidden layers':<32}{name:<12}" + "".join(f"{value:9.2f}" for value in medians), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["phases"]:
        print(json.dumps(phases(sys.argv[2], int(sys.argv[3]))))
    else:
        harness.main(__doc__, __spec__.name, CASES, CONTENDERS)
        print(f"\nseconds to trace, lower and compile a step: medians of {PROCESSES} processes")
        for L in CASES.values():
            print_phases(L)
