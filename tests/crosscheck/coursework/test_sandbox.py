"""A file under test may do what it likes to its process: what comes back is a verdict, and nothing stays behind."""

import io
import json
import os
import subprocess
import sys
import time
from types import ModuleType

import pytest

import jaxnet
from jaxnet import Verdict
from jaxnet.crosscheck.coursework import files, sandbox, supervision

from .test_process_tree import LINUX, is_gone


RELU = "import numpy as np\ndef relu_backward(dA, cache):\n    return dA * (cache > 0)\n"
SIGMOID = "def sigmoid_backward(dA, cache):\n    s = 1 / (1 + np.exp(-cache))\n    return dA * s * (1 - s)\n"
STAYS = """
import atexit, os, threading, time
reads, writes = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("PID", "w") as file:
            file.write(str(os.getpid()))
        os.write(writes, b".")
        time.sleep(600)
    os._exit(0)
os.read(reads, 1)
threading.Thread(target=time.sleep, args=(600,)).start()
atexit.register(time.sleep, 600)
os.fork()  # both go on
"""
SAYS = """
import sys
for i in range(30):
    sys.stderr.write("x" * 1_000_000)
for descriptor in range(300):
    try:
        os.write(descriptor, b'{"result": NaN}\\n{"unusable": "forged"}\\n{"running"')
    except OSError:
        pass
"""
SPOILS = """
import json, random, warnings
from beside import nothing
random.random()
json.dumps = json.JSONEncoder = os.write = os.getpid = os._exit = sys.stdout = None
warnings.simplefilter("error")
np.seterr(all="raise")
def __getattr__(name): raise RuntimeError(name)
sys.modules.clear()
"""


@LINUX
def test_a_right_file_agrees_whatever_else_it_does(tmp_path):
    for name in ("numpy", "json", "random", "jax"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')")
    (tmp_path / "beside.py").write_text("nothing = None")
    file = tmp_path / "optax.py"  # whose name is that of a module as well
    file.write_text(STAYS.replace("PID", str(tmp_path / "pid")) + SAYS + RELU + SPOILS + SIGMOID)
    report = jaxnet.check_file(file, time_limit=300)
    assert report.agrees and [f.name for f in report.functions] == ["relu_backward", "sigmoid_backward"], report
    assert is_gone(int((tmp_path / "pid").read_text()))
    assert not (tmp_path / "__pycache__").exists()


def body(line):
    return f"import os, numpy as np\ndef relu_backward(dA, cache):\n    {line}\n" + SIGMOID


@pytest.mark.parametrize(
    "line, words",
    [
        ("os.closerange(0, 4000); open.own = [open(os.devnull) for _ in range(99)]", "it closed a descriptor"),
        ("os._exit(0)", "it ended the process with code 0; what comes after it was not checked"),
    ],
)
@pytest.mark.thorough
def test_a_function_that_ends_the_process_is_a_finding(line, words, tmp_path):
    line = line.replace("open.own", "globals()['kept']")
    (tmp_path / "mine.py").write_text(body(line))
    report = jaxnet.check_file(tmp_path / "mine.py", time_limit=300)
    assert report.verdict is Verdict.DISAGREE and words in report.functions[-1].reason


@pytest.mark.thorough
def test_memory_is_bounded_and_any_exception_is_a_finding(tmp_path):
    source = body("return np.ones(2**37)").replace(
        "    s = 1", "    raise KeyboardInterrupt('\\x1b[31m' * 1000)\n    s = 1"
    )
    (tmp_path / "mine.py").write_text(source)
    report = jaxnet.check_file(tmp_path / "mine.py", time_limit=300)
    assert "it raised MemoryError: Unable to allocate 1.00 TiB" in report.functions[0].reason
    assert "it raised KeyboardInterrupt: \\x1b[31m\\x1b[31m" in str(report)
    assert report.verdict is Verdict.DISAGREE and "\x1b" not in str(report) and len(str(report)) < 3000


@LINUX
def test_the_sandbox_dies_with_a_killed_parent(tmp_path):
    pid = tmp_path / "pid"
    (tmp_path / "mine.py").write_text(STAYS.replace("PID", str(pid)) + "while True: pass")
    code = f"import jaxnet; jaxnet.check_file({str(tmp_path / 'mine.py')!r}, time_limit=600)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 120
    while not (pid.exists() and pid.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    assert is_gone(int(pid.read_text()))


def test_the_limits_are_those_of_the_file_and_its_children(tmp_path):
    resource = pytest.importorskip("resource")
    (tmp_path / "mine.py").write_text(
        "import resource as r\n"
        "raise ValueError([r.getrlimit(w)[1] for w in (r.RLIMIT_CORE, r.RLIMIT_CPU, r.RLIMIT_DATA, r.RLIMIT_FSIZE)])"
    )
    with pytest.raises(jaxnet.InputError) as caught:
        jaxnet.check_file(tmp_path / "mine.py", time_limit=300)
    core, processor, data, size = json.loads("[" + str(caught.value).split("[")[1].split("]")[0] + "]")
    assert (core, size) == (0, sandbox.FILE_SIZE) and 300 <= processor <= 300 * (os.cpu_count() or 1) + 10
    assert 2**31 <= data <= sandbox.MEMORY
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] != sandbox.FILE_SIZE  # of this process they are not


# ---- the pieces


def test_only_lines_with_the_word_are_answers():
    said = b'word\n\nword{"running": "a"}\nNaN{"running": "b"}\nword{"x\n' + b"x" * 200_000 + b'\n\nword{"note": "n"}'
    messages = []
    supervision._read_answers(io.BytesIO(said), messages)
    assert messages == [{"running": "a"}, {"note": "n"}]


def test_only_the_tail_of_the_errors_is_kept():
    tail = bytearray()
    supervision._read_tail(io.BytesIO(b"x" * 10_000_000 + b"\nlast"), tail)
    assert len(tail) == supervision.LINE and supervision._ending(3, tail) == "ended the process with code 3: last"


RESULT = {"name": "relu", "verdict": "agree", "reason": "", "findings": [], "notes": [], "table": ""}


@pytest.mark.parametrize(
    "messages, verdict, words",
    [
        ([{"running": "relu"}, {"result": RESULT}, {"finished": True}], Verdict.AGREE, ""),
        ([{"running": "relu"}, {"result": RESULT}], Verdict.INCONCLUSIVE, "the file ended; what comes after `relu`"),
        ([{"running": "relu"}], Verdict.DISAGREE, "it ended; what comes after it was not checked"),
        ([{"running": "relu"}, {"finished": True}], Verdict.INCONCLUSIVE, "could not be read"),
        ([{"running": "relu"}, {"result": {"name": 3}}, {"finished": True}], Verdict.INCONCLUSIVE, "could not be read"),
        ([{"running": "relu"}, 3, None, {"odd": 1}, {"result": RESULT}, {"finished": True}], Verdict.AGREE, ""),
    ],
    ids=["all", "the end is missing", "a result is missing", "unsaid", "damaged", "odd lines"],
)
def test_what_was_not_checked_is_never_taken_for_right(messages, verdict, words, tmp_path, monkeypatch):
    (tmp_path / "mine.py").touch()
    monkeypatch.setattr(files, "answers_of", lambda path, limit: (messages, "ended"))
    report = jaxnet.check_file(tmp_path / "mine.py")
    assert report.verdict is verdict and words in report.functions[-1].reason


def test_what_a_learner_writes_is_shown_as_one_line(tmp_path, monkeypatch):
    spoof = RESULT | {"verdict": "disagree", "reason": "\x1b[2J\nAGREE  all of it", "notes": ["\x07\u202e"]}
    messages = [{"note": "code cell 1\x9b\r"}, {"running": "relu"}, {"result": spoof}, {"finished": True}]
    monkeypatch.setattr(files, "answers_of", lambda path, limit: (messages, ""))
    file = tmp_path / "my\n\x1bfile.py"
    file.touch()
    report = jaxnet.check_file(file)
    assert all(line.isprintable() for line in str(report).split("\n"))
    assert "AGREE  all of it" not in str(report).split("\n") and "my\\n\\x1bfile.py" in str(report)
    assert json.loads(report.to_json())["functions"][0]["reason"] == "\x1b[2J\nAGREE  all of it"


@pytest.mark.parametrize(
    "source, error",
    [
        (b"\xef\xbb\xbfx = 1\n", ""),
        ("# coding: latin-1\nx = 'é'\n".encode("latin-1"), ""),
        (b"", ""),
        ("\n\nx = 'é'\n".encode("latin-1"), "SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xe9"),
        (b"# coding: none\n", "SyntaxError: unknown encoding: none"),
        (b"x = 1\0", "source code string cannot contain null bytes"),
        (b"\x7fELF\x02\x01\x01\0\0", "source code string cannot contain null bytes"),
        (b"x = (\n", "SyntaxError: '(' was never closed (line 1)"),
        (b"x = 1\n  y = 2\n", "IndentationError: unexpected indent (line 2)"),
        (b"(" * 1000, "too many nested parentheses"),
        (b"\n\nraise SystemExit(3)", "SystemExit: 3 (line 3)"),
        (b"\nraise KeyboardInterrupt", "KeyboardInterrupt (line 2)"),
        (b"class E(BaseException): pass\nraise E", "E (line 2)"),
        (b"raise ValueError('one\\ntwo')", "ValueError: one (line 1)"),
        (b"raise ValueError('x' * 10**6)", "xxx... (line 1)"),
        (b"def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded (line 1)"),
        (b"class E(Exception):\n  def __str__(self): 1 / 0\nraise E", "E (line 3)"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_one_line(source, error):
    module = ModuleType("mine")
    module.__file__ = "mine.py"
    said = sandbox._error_of(source, "mine.py", module)
    assert (error in said and len(said.splitlines()) == 1 and len(said) < 400) if error else said == ""


def test_a_module_that_is_not_the_one_beside_is_named(tmp_path):
    (tmp_path / "random.py").write_text("mine = 1")
    module = ModuleType("mine")
    module.__file__ = str(tmp_path / "mine.py")
    said = sandbox._error_of("from random import mine", "mine.py", module)
    assert "cannot import name 'mine'" in said and "not the random.py beside the file: rename that" in said


@pytest.mark.parametrize(
    "name, message",
    [
        ("none.py", "none.py is not a file; expected a Python file"),
        ("folder.py", "folder.py is a folder; expected a Python file"),
        ("text.txt", "does not end in .py or .ipynb"),
        ("x" * 300 + ".py", "cannot be read: File name too long"),
        ("nul\0.py", r"nul\\x00.py is not a file"),
        ("esc\x1b.py", r"esc\\x1b.py is not a file"),
    ],
)
def test_what_is_no_source_is_told_before_a_process_starts(name, message, tmp_path, monkeypatch):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "text.txt").touch()
    monkeypatch.setattr(files, "answers_of", None)
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.check_file(tmp_path / name)


def test_a_source_that_is_none_by_its_size_is_told(tmp_path, monkeypatch):
    with open(tmp_path / "large.py", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(jaxnet.InputError, match="large.py has 1099511627776 bytes; expected source code"):
        jaxnet.check_file(tmp_path / "large.py")


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf")])
def test_a_time_limit_is_a_number_of_seconds(limit, tmp_path):
    (tmp_path / "mine.py").touch()
    with pytest.raises(jaxnet.InputError, match="expected seconds, more than 0"):
        jaxnet.check_file(tmp_path / "mine.py", time_limit=limit)


@pytest.mark.thorough
def test_a_notebook_is_run_cell_by_cell(tmp_path):
    sources = [
        "%matplotlib inline\nimport numpy as np\nopen('data.txt').read()",
        "!pip install nothing\n%load_ext autoreload",
        "%%bash\nrm -r /nowhere",
        "def relu_backward(dA, cache):\n    ### YOUR CODE\n    return dZ",
        ["assert relu_backward(1, 2) == 3, '\\x1b'\n", "1 / 0"],
        "?relu_backward",
        SIGMOID,
    ]
    cells = [{"cell_type": "code", "source": source} for source in sources]
    (tmp_path / "data.txt").touch()
    (tmp_path / "week 4.ipynb").write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "#"}, *cells]}))
    report = jaxnet.check_file(tmp_path / "week 4.ipynb", time_limit=300)
    assert report.notes == (
        "code cell 5 was run up to an error: NameError: name 'dZ' is not defined (code cell 4, line 3)",
    )
    relu, sigmoid = report.functions
    assert relu.reason == "it raised NameError: name 'dZ' is not defined (code cell 4, line 3)"
    assert sigmoid.verdict is Verdict.AGREE and "note: code cell 5 was run up to an error" in str(report)
