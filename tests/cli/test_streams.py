"""Output that nobody reads, that is closed, or that does not fit on the disk."""

import os
import subprocess
import sys

import pytest

from jaxnet.cli import main


# A command of a thousand lines, and a mark that it came to its end.
SCRIPT = """
import pathlib, sys
from jaxnet import cli

def command(options):
    for line in range(1000):
        print("line", line, "." * 90, flush={flush})
    print("to stderr", file=sys.stderr)
    pathlib.Path(sys.argv[1]).write_text("done")
    return {code}

cli.train.run = command
sys.exit(cli.main(["train"]))
"""


def ended(tmp_path, redirection, code=0, flush=True):
    """The exit code, what was written to standard error, and whether the command came to its end."""
    (tmp_path / "script.py").write_text(SCRIPT.format(code=code, flush=flush))
    words = f'"{sys.executable}" script.py mark {redirection}'
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    answer = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words}"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    return answer.returncode, answer.stderr, (tmp_path / "mark").exists()


@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("redirection", ["| head -1", ">&-", "</dev/null >&0", "<&- >&- 2>&-"])
def test_output_that_nobody_reads_stops_nothing(tmp_path, redirection, flush):
    said = "" if redirection.endswith("2>&-") else "to stderr\n"
    assert ended(tmp_path, redirection, flush=flush) == (0, said, True)


def test_errors_that_nobody_reads_stop_nothing(tmp_path):
    assert ended(tmp_path, ">/dev/null 2>&-") == (0, "", True)
    assert ended(tmp_path, ">/dev/null 2>/dev/full") == (0, "", True)


def test_the_exit_code_stays_that_of_the_command(tmp_path):
    assert ended(tmp_path, "| head -1", code=1) == (1, "to stderr\n", True)


def test_output_that_does_not_fit_is_one_line_at_the_end(tmp_path):
    message = "to stderr\njaxnet: error: the output cannot be written: [Errno 28] No space left on device\n"
    assert ended(tmp_path, ">/dev/full") == (2, message, True)


def test_a_file_is_not_opened_where_the_screen_was(tmp_path):
    """XLA prints to descriptor 2, whatever it is."""
    code = (
        "import os, sys; from jaxnet.cli.streams import tolerant\n"
        "with tolerant():\n    print(open(sys.argv[1], 'w').fileno() > 2, file=open(sys.argv[2], 'w'))"
    )
    words = f'"{sys.executable}" -c "$0" a b <&- >&- 2>&-'
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    subprocess.run(["bash", "-c", words, code], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "b").read_text() == "True\n"


@pytest.mark.parametrize(
    "arguments", [["train", "\x1b[2J.npz"], ["predict", "\x1b[2J", "x"], ["check", "--seed", "1", "x", "\x1b]0;x\x07"]]
)
def test_control_characters_are_written_out_in_errors(capsys, arguments):
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    said = "".join(capsys.readouterr())
    assert code == 2 and "\\x1b" in said and "\x1b" not in said
