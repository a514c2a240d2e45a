"""What threads that decode images share: silence about odd files, and the memory that they take."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Quiet:
    """Warnings are silenced from the first thread that enters to the last that leaves.

    Filters belong to the process: if every thread restored those that it found, the last could restore another's.
    """

    def __init__(self):
        self._lock, self._inside, self._filters = threading.Lock(), 0, warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(None, None, None)


_QUIET = _Quiet()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Silences warnings about odd but readable files, in all threads.

    Example:
        >>> import warnings
        >>> with jaxnet.data.quiet_decoders():
        ...     warnings.warn("odd EXIF data")
    """
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()


class Allowance:
    """A number of bytes shared by all threads. A request for more than the total is served when it is alone."""

    def __init__(self, most: int):
        self.most, self.free = most, most
        self.changed = threading.Condition()

    @contextmanager
    def taking(self, amount: int) -> Iterator[None]:
        """Waits until `amount` is free, and gives it back at the end of the block."""
        amount = min(amount, self.most)
        with self.changed:
            self.changed.wait_for(lambda: self.free >= amount)
            self.free -= amount
        try:
            yield
        finally:
            with self.changed:
                self.free += amount
                self.changed.notify_all()
