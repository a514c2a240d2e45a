"""python -I -S process_tree.py COMMAND ...: runs a command and ends every process that it leaves behind.

The command, with everything it started, is ended when the standard input closes, which means that whoever started it
has died or does not need it any more. This process exits as the command did, with its code or by its signal, so it can
stand in for it. It uses only the standard library, so that it starts in milliseconds.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36  # linux/prctl.h
PATIENCE = 5.0  # seconds: killed processes are gone in milliseconds, unless they wait for a device


def main(command: list[str]) -> int:
    """Runs the command and returns its exit code."""
    _control(PR_SET_DUMPABLE, 0)  # a crash that is passed on does not dump core
    _control(PR_SET_CHILD_SUBREAPER, 1)  # orphans below become children of this process, where they can be found
    # In a session of its own, so that what the command does to its group does not reach this process.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.kill())
        follow_parent(signal.SIGTERM)  # the pipe does not close where a fork of the parent still holds it
        threading.Thread(target=_kill_at_end_of_input, args=(process,), daemon=True).start()
        code = process.wait()
        end_below(process.pid)
    if code < 0:
        with contextlib.suppress(OSError):  # of SIGKILL
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def follow_parent(number: signal.Signals) -> None:
    """Requests this signal for when the parent dies (Linux; a no-op elsewhere)."""
    _control(PR_SET_PDEATHSIG, number)


def end_below(pid: int) -> None:
    """Kills whatever is left of the tree below this process: on Linux all of it, elsewhere the group of `pid`.

    Groups are killed too: a process that keeps forking and exiting is never where it was seen, but keeps its group.
    """
    if not sys.platform.startswith("linux"):
        if hasattr(os, "killpg"):
            _kill(os.killpg, pid)
        return
    patience = time.monotonic() + PATIENCE
    while (left := _below(os.getpid())) and time.monotonic() < patience:
        for group in set(left.values()) - {os.getpgrp()}:
            _kill(os.killpg, group)
        for one in left:
            _kill(os.kill, one)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _below(pid: int) -> dict[int, int]:
    """The processes below `pid`, and the group of each."""
    children: dict[int, list[tuple[int, int]]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = stat.read_bytes().rpartition(b")")[2].split()  # after the name, which may be anything
            parent, group = fields[1:3]
            children.setdefault(int(parent), []).append((int(stat.parent.name), int(group)))
    found, waiting = {}, [pid]
    while waiting:
        below = dict(children.get(waiting.pop(), []))
        found |= below
        waiting += below
    return found


def _kill(how: Callable[[int, int], None], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        how(number, signal.SIGKILL)


def _kill_at_end_of_input(process: subprocess.Popen) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    process.kill()


def _control(option: int, value: int) -> None:
    """prctl(2), where it exists."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
