"""A command ends, and with it everything that it started, however it tries to stay."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jaxnet.crosscheck.coursework import process_tree


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere only the group is found")
DAEMON = """
import os, time
reads, writes = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, f"{os.getpid()}\\n".encode())
        os.write(writes, b".")
        time.sleep(600)
    os._exit(0)
os.read(reads, 1)
"""
FORKS_AND_EXITS = """
import os, time
reads, writes = os.pipe()
if os.fork() == 0:
    os.write(1, f"{os.getpgrp()}\\n".encode())
    while True:
        os.write(writes, b".")
        if os.fork():
            os._exit(0)
for _ in range(100):
    os.read(reads, 1)
"""


def start(code):
    command = [sys.executable, "-I", "-S", process_tree.__file__, sys.executable, "-I", "-S", "-c", code]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)


def is_gone(pid, patience=10.0):
    """Also where somebody has not yet fetched its exit code."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    "code, ends",
    [
        ("pass", 0),
        ("import sys; sys.exit(7)", 7),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.killpg(0, signal.SIGKILL)", -signal.SIGKILL),
    ],
    ids=["done", "code", "abort", "killed", "its group"],
)
def test_it_ends_as_its_command_does(code, ends):
    with start(code) as process:
        assert process.wait(60) == ends


@LINUX
@pytest.mark.parametrize("rest", ["", "time.sleep(600)"], ids=["the command ends", "the input closes"])
def test_a_daemon_ends_with_the_command(rest):
    with start(DAEMON + rest) as process:
        daemon = int(process.stdout.readline())
        if rest:
            process.stdin.close()
        process.wait(60)
    assert is_gone(daemon)


@LINUX
def test_what_forks_and_exits_endlessly_is_caught():
    with start(FORKS_AND_EXITS) as process:
        group = int(process.stdout.readline())
        assert process.wait(60) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


@LINUX
def test_it_ends_with_its_parent_though_the_pipe_is_open():
    reads, writes = os.pipe()  # the end that is written to lives on in this process
    command = [
        sys.executable,
        "-I",
        "-S",
        process_tree.__file__,
        sys.executable,
        "-I",
        "-S",
        "-c",
        DAEMON + "time.sleep(600)",
    ]
    code = f"import subprocess, time\nsubprocess.Popen({command!r}, stdin={reads})\ntime.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, pass_fds=[reads])
    with parent:
        daemon = int(parent.stdout.readline())
        parent.kill()
    os.close(reads), os.close(writes)
    assert is_gone(daemon)
