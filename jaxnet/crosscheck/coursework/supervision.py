"""Runs `sandbox` in a process of its own, for a limited time, and reads what it answers."""

import contextlib
import io
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ..foreign import cut


LINE, MESSAGES = 2**16, 100_000  # bytes that are read at once, and lines that are kept
UNHEARD = 77  # the exit code of a process whose answers cannot be written any more


def answers_of(path: Path, time_limit: float) -> tuple[list[Any], str]:
    """What the process answered line by line, and how it ended."""
    package = Path(__file__).parents[2]
    # -P: modules in the folder where this is typed stand in for none.
    start = "import sys; sys.path.append(sys.argv[1]); from jaxnet.crosscheck.coursework import sandbox; "
    start += "sandbox.main(*sys.argv[2:])"
    child = [sys.executable, "-P", "-c", start, str(package.parent), str(path), str(time_limit)]
    keeper = [
        sys.executable,
        "-I",
        "-S",
        str(Path(__file__).with_name("process_tree.py")),
    ]  # until its standard input closes
    pipe = subprocess.PIPE
    process = subprocess.Popen([*keeper, *child], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    messages: list[Any] = []
    errors = bytearray()
    readers = [
        threading.Thread(target=_read_answers, args=(process.stdout, messages), daemon=True),
        threading.Thread(target=_read_tail, args=(process.stderr, errors), daemon=True),
    ]
    late = False
    try:
        for reader in readers:
            reader.start()
        process.wait(time_limit)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        _end(process)
    for reader in readers:
        reader.join(5)  # elsewhere than on Linux, what left the group of the process may hold a pipe open
    end = f"did not return within {time_limit:g} s" if late else _ending(process.returncode, errors)
    return messages, end


def _end(process: subprocess.Popen) -> None:
    """Ends the process and all that it started."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ending(code: int, errors: bytearray) -> str:
    """How it ended, and the last line of its standard error, which says why."""
    if code < 0:
        return f"crashed the process (signal {-code})"
    if code == UNHEARD:
        return "closed a descriptor that is not its own, on which the answers are written"
    lines = errors.decode(errors="replace").strip().splitlines()
    return f"ended the process with code {code}" + (f": {cut(lines[-1])}" if lines else "")


def _read_answers(stream: io.BufferedIOBase, messages: list[Any]) -> None:
    """The lines that begin with the word of the first line; whatever else is written there is dropped."""
    with stream:
        word = stream.readline(LINE).strip()
        while line := stream.readline(LINE):
            if word and line.startswith(word) and len(messages) < MESSAGES:
                with contextlib.suppress(ValueError):
                    messages.append(json.loads(line.removeprefix(word)))


def _read_tail(stream: io.BufferedIOBase, tail: bytearray) -> None:
    with stream:
        while piece := stream.read(LINE):
            tail += piece
            del tail[:-LINE]
