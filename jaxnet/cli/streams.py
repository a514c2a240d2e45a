"""Standard output and error that may be closed, or have nobody who reads them: a command goes on without them."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


GONE = {errno.EPIPE, errno.EBADF, errno.EIO}  # a reader, a descriptor or a terminal, which is no fault of the command


class Tolerant:
    """A stream that is written to until that fails; `error` says why it did, and what comes then goes nowhere."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Of a stream."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Of a stream."""
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        if self.error is None:
            try:
                action()
            except OSError as error:
                self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def tolerant() -> Iterator[Tolerant]:
    """`sys.stdout` and `sys.stderr` are `Tolerant` for the length of the block; it is given the first of them."""
    _open_closed()
    before: list[Any] = [sys.stdout, sys.stderr]
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):  # a name the terminal cannot show is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    streams: list[Any] = [Tolerant(stream) for stream in before]
    sys.stdout, sys.stderr = streams
    try:
        yield streams[0]
    finally:
        sys.stdout, sys.stderr = before
        for number, stream in enumerate(streams, start=1):
            stream.flush()
            if stream.error is not None and isinstance(before[number - 1], io.TextIOWrapper):
                _discard(number)


def _open_closed() -> None:
    """Opens descriptors 0 to 2: else the next files opened would have their numbers, and C code would print to them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout, sys.stderr = (open(os.devnull, "w") if s is None else s for s in (sys.stdout, sys.stderr))


def _discard(number: int) -> None:
    """What Python still keeps for the descriptor, and would fail to write at its end, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
