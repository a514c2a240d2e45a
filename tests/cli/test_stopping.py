"""Signals that end a command."""

import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxnet import data
from jaxnet.cli import main
from jaxnet.cli.stopping import AGAIN, SIGNALS, Stopped, stopping


@pytest.mark.parametrize(
    "number, code, said",
    [
        (signal.SIGINT, 130, "jaxnet: interrupted\n"),
        (signal.SIGTERM, 143, "jaxnet: ended by SIGTERM\n"),
        (signal.SIGHUP, 129, "jaxnet: ended by SIGHUP\n"),
    ],
)
@pytest.mark.parametrize("then", [None, ImportError("half an import"), OSError("interrupted")])
def test_a_signal_is_an_exit_code_and_a_line(capsys, monkeypatch, number, code, said, then):
    """Also where the code that it meets makes another exception of it."""

    def load(*_, **__):
        try:
            os.kill(os.getpid(), number)
        except Stopped:
            raise then or Stopped from None

    before = [signal.getsignal(each) for each in SIGNALS]
    monkeypatch.setattr(data, "load_dataset", load)
    assert main(["train"]) == code
    last = capsys.readouterr().err.splitlines(keepends=True)[-1]
    assert last.startswith(said.strip()) and (last == said or isinstance(then, OSError))
    assert [signal.getsignal(each) for each in SIGNALS] == before


@pytest.mark.parametrize("is_checked", [False, True])
def test_a_signal_that_is_lost_in_a_callback_is_raised_again(capsys, is_checked):
    """An exception of a callback of `gc`, as JAX has one, is printed and forgotten."""

    def callback(phase, info):
        if phase == "start":
            os.kill(os.getpid(), signal.SIGTERM)

    with stopping() as stop:
        stop.check()
        gc.callbacks.append(callback)
        try:
            with pytest.raises(Stopped):
                gc.collect()
                if is_checked:
                    stop.check()
                time.sleep(20)
        finally:
            gc.callbacks.remove(callback)
        time.sleep(3 * AGAIN)  # and not once more
    assert stop.exit_code == 143 and capsys.readouterr().err == ""


def test_a_signal_in_an_import_waits_for_its_end(tmp_path, monkeypatch):
    """C code prints what an import raises."""
    (tmp_path / "slow_to_import.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nwhole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with stopping(), pytest.raises(Stopped):
        importlib.import_module("slow_to_import")
        time.sleep(20)
    assert sys.modules.pop("slow_to_import").whole


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.signal is None and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_can_run_a_command():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["predict", "none", "none"])))
    thread.start()
    thread.join()
    assert codes == [2]


SAVING = """
import time
from jaxnet.cli.stopping import Stopped, stopping
with stopping():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except Stopped:
        print("saving", flush=True)
        time.sleep({seconds})
        print("saved", flush=True)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_two_at_once_are_one_and_a_second_one_ends_at_once(number):
    """`timeout` sends its signal to the process and to its group."""
    for seconds, said, code in ((0.1, "saved\n", 0), (60, "", -number)):
        command = [sys.executable, "-c", SAVING.format(seconds=seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            process.send_signal(number)
            assert process.stdout.readline() == "saving\n"
            if seconds == 60:
                process.send_signal(number)
            assert process.stdout.read() == said and process.wait() == code
