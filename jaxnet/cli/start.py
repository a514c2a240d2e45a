"""How a command's process starts: the environment that JAX and XLA read when they are imported.

Only for commands, since it changes the process. A script that wants to keep its compiled programs calls `prepare()`
before it imports JAX; importing jaxnet changes nothing.
"""

import hashlib
import os
import platform
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path


CACHE_BYTES = 2**26  # of compiled programs: about a hundred runs of different shapes
RESERVE_BYTES = 2**26  # on an almost full disk nothing is kept, since a truncated program is never replaced
CACHE_DIR, CACHE_ENABLED = "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"


def prepare() -> None:
    """Makes JAX keep compiled programs on disk; call it before JAX is imported. What the environment already sets
       stays.

    `JAX_COMPILATION_CACHE_DIR` chooses another folder, `JAX_ENABLE_COMPILATION_CACHE=false` keeps nothing. Where the
    folder cannot be used, or a program in it is damaged, programs are compiled as usual.
    """
    defaults = default_environment(os.environ)
    if defaults:
        os.environ.update(defaults)
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry", UserWarning)


def default_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What `prepare` adds to `environment`; empty where programs are not to be kept."""
    if environment.get(CACHE_ENABLED, "").lower() in ("0", "false", "f", "no", "n", "off"):
        return {}
    folder = environment.get(CACHE_DIR) if CACHE_DIR in environment else _own_folder()
    if not folder:
        return {}
    defaults = {
        CACHE_DIR: folder,
        # By default JAX keeps programs that took a second to compile; a run has thirty that took less.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        # With AVX-512, XLA logs an error for every program that it loads, and loads it: openxla/xla issue 44565.
        # Real errors are raised as well.
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return {name: value for name, value in defaults.items() if name not in environment}


def _own_folder() -> str | None:
    """The user's cache folder, after removing its oldest programs; None where it cannot be used."""
    try:
        import platformdirs

        folder = platformdirs.user_cache_path("jaxnet") / "compiled" / _processor()
        # Programs in this folder are run, so nobody else may write to it; JAXNET_CACHE may be shared and is not used.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = not hasattr(os, "geteuid") or folder.stat().st_uid == os.geteuid()
        if not (mine and os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).free > RESERVE_BYTES):
            return None
        remove_oldest(folder.parent, CACHE_BYTES)
    except (ImportError, OSError, RuntimeError):  # RuntimeError: no home folder
        return None
    return str(folder)


def _processor() -> str:
    """A name for this processor's features: XLA compiles for them, and machines of many kinds may share a home."""
    words = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            words += next((line for line in file if line.lower().startswith(("flags", "features"))), "")
    except OSError:  # not on Linux
        words += platform.processor()
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def remove_oldest(folder: Path, most: int) -> None:
    """Removes the oldest files below `folder` until the others take at most `most` bytes."""
    files = [(path.stat(), path) for path in folder.glob("*/*") if path.is_file()]
    total = 0
    for status, path in sorted(files, key=lambda file: file[0].st_mtime, reverse=True):
        total += status.st_size
        if total > most:
            path.unlink(missing_ok=True)
