"""Signals that end a command, as an exception, so that the results so far can be saved."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
HAS_TIMER = hasattr(signal, "setitimer")
AGAIN = 0.05  # seconds until a signal that could not be acted on is delivered again
TOGETHER = 0.1  # seconds: `timeout`, and a shell that loses its terminal, send a signal twice in a row


class Stopped(KeyboardInterrupt):
    """A signal has arrived. It is raised wherever the main thread is, as Python does for Ctrl-C."""


class Stop:
    """Whether a signal has arrived, and which.

    The exception may be lost in code that suppresses every error, so whatever takes long calls `check` now and then.
    """

    signal: int | None = None

    def check(self) -> None:
        """Raises `Stopped` again if a signal has arrived."""
        if self.signal is not None:
            _again_in(0)
            raise Stopped

    @property
    def name(self) -> str:
        """How the signal is named on the screen."""
        return "interrupted" if self.signal in (None, signal.SIGINT) else f"ended by {signal.Signals(self.signal).name}"

    @property
    def exit_code(self) -> int:
        """The code that a shell reports: 130, 143, 129."""
        return 128 + (self.signal or signal.SIGINT)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Within the block the first signal raises `Stopped`, and a second one ends the process at once.

    A signal that is ignored, as under `nohup`, stays ignored. Only the main thread can receive signals.
    """
    stop, before = Stop(), {}
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def receive(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        time.sleep(TOGETHER)
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        stop.signal = number
        deliver(number, frame)

    def deliver(number: int, frame: FrameType | None) -> None:
        if _is_importing(frame) and HAS_TIMER:  # a half-imported module may raise anything, or print it
            _again_in(AGAIN)
        else:
            raise Stopped

    def forget(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, Stopped):
            _again_in(AGAIN)
        else:
            report(unraisable)

    report, sys.unraisablehook = sys.unraisablehook, forget
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, receive)
    timer = {signal.SIGALRM: signal.signal(signal.SIGALRM, deliver)} if HAS_TIMER else {}
    try:
        yield stop
    finally:
        _again_in(0)
        sys.unraisablehook = report
        for number, handler in (before | timer).items():
            signal.signal(number, handler)


def _again_in(seconds: float) -> None:
    """Has the signal delivered again after so many seconds; 0 cancels that."""
    if HAS_TIMER:
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
