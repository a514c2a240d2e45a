"""Strict JAX, derandomized hypothesis, and the few fixtures that several files share."""

import os
import shutil
import signal
import tempfile
from importlib.metadata import version
from pathlib import Path


# Before JAX is imported, and for the processes that tests start: nothing depends on who runs the tests.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_ENABLE_X64"] = "0"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"  # the user's is left alone
# Compiling is what the tests wait for. Without LLVM's optimisations, in one piece and with XLA's older emitters, which
# newer versions do not have, a program compiles in a third of the time, and none of it changes a result that they look
# at; XLA's own optimisations stay on. `XLA_FLAGS= pytest` tests what users run.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_parallel_codegen_split_count=1"
    + (" --xla_cpu_use_fusion_emitters=false" if version("jaxlib").startswith("0.10.") else ""),
)

import hypothesis
import jax
import jaxtyping
import pytest


# A shell lets what runs in the background ignore SIGINT and SIGQUIT, and nohup SIGHUP; what tests start and signal must
# not.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGHUP", "SIGQUIT", "SIGTERM"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)

jax.config.update("jax_enable_x64", False)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_traceback_in_locations_limit", 0)  # programs do not note the lines that made them

# Every drawn network has shapes of its own and is compiled anew, about a second each, so few are drawn by default;
# `pytest --hypothesis-profile=thorough` draws more.
fixed = {"derandomize": True, "deadline": None, "database": None}
hypothesis.settings.register_profile("quick", max_examples=2, **fixed)
hypothesis.settings.register_profile("thorough", max_examples=50, **fixed)
hypothesis.settings.load_profile("quick")


def pytest_configure(config):
    """Programs that several files compile are compiled once a process: JAX keeps them in a folder of the process."""
    folder = tempfile.mkdtemp(prefix="jaxnet-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.hookimpl(tryfirst=True)  # before `-m` looks
def pytest_collection_modifyitems(items):
    """Of a test marked `few(n)`, n cases that together show the most values of its tables; the others are thorough."""
    tables = {}
    for item in items:
        if item.get_closest_marker("few") is not None:
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in tables.values():
        n, seen = cases[0].get_closest_marker("few").args[0], set()
        step = max(1, len(cases) // n)
        cases = [case for start in range(step) for case in cases[start::step]]  # from all over the table
        # Not `indices`, which in newer versions of pytest number the cases.
        values = {case: {(name, repr(value)) for name, value in case.callspec.params.items()} for case in cases}
        while cases and n > 0:
            best = max(cases, key=lambda case: len(values[case] - seen))
            seen |= values[best]
            cases.remove(best)
            n -= 1
        for case in cases:
            case.add_marker("thorough")


@pytest.fixture(scope="module", autouse=True)
def programs_are_let_go():
    """A file's compiled programs end with it: one process for all files would run out of memory maps."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """float64 for the length of the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def default_promotion():
    """JAX as a user has it: some optax optimizers mix float and int themselves."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def no_shape_checks():
    """Without jaxtyping's checks, so that the library's own `InputError` is what a test sees."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, which lies outside the project."""
    folder = Path(os.environ.get("JAXNET_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}; set JAXNET_DATA to their folder")
    return folder


@pytest.fixture
def bare(monkeypatch):
    """Runs without a report and a check of the gradient, which take longer than the training."""
    from jaxnet.cli import train
    from jaxnet.runs import folder as run_folder

    monkeypatch.setattr(run_folder, "draw", lambda *_: [])
    monkeypatch.setattr(train, "_check", lambda *_: None)
