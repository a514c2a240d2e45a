"""Standard output and error that may be closed, or that nobody reads: a command goes on without them."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


GONE = {errno.EPIPE, errno.EBADF, errno.EIO}  # of a reader, a descriptor or a terminal: not the command's fault


class Tolerant:
    """A stream that is written to until that fails; `error` is the reason, and later writes are discarded."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Writes the text, as a stream does."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flushes, as a stream does."""
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
    """Within the block `sys.stdout` and `sys.stderr` are `Tolerant`; yields the first of them."""
    _open_closed()
    before: list[Any] = [sys.stdout, sys.stderr]
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show should not end the command
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
    """Opens descriptors 0 to 2 where they are closed: otherwise the next files opened would get their numbers, and C
           code would
    print into them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout, sys.stderr = (open(os.devnull, "w") if s is None else s for s in (sys.stdout, sys.stderr))


def _discard(number: int) -> None:
    """Discards what Python still buffers for the descriptor, and would fail to write at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
