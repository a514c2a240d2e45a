"""The code of a notebook: IPython's own lines are left out, and no other."""

import json

import pytest

import jaxnet
from jaxnet.crosscheck.coursework.notebook import code_cells, without_magics


@pytest.mark.parametrize(
    "source, kept",
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!pip install numpy \\\n  scipy\nx = 1", "pass\n\nx = 1"),
        ("if x:\n    %time f()\ny = 2", "if x:\n    pass\ny = 2"),
        ("?print\nx = 1", "pass\nx = 1"),
        ("np.sum??\nx = 1", "pass\nx = 1"),
        ("files = !ls\nx = 1", "pass\nx = 1"),
        ("%%time\nx = 1", "pass\nx = 1"),
        ("%%bash\nrm -r x", ""),
        ("\n%%writefile a.py\nx = 1", ""),
        ("x = (a\n  % b)", "x = (a\n  % b)"),
        ("%pylab\nx = (a\n  % b)", "pass\nx = (a\n  % b)"),
        ('%pylab\nx = """\n%no magic\n!nor this\n"""', 'pass\nx = """\n%no magic\n!nor this\n"""'),
        ("%pylab\nx = a \\\n  % b", "pass\nx = a \\\n  % b"),
        ('def f():\n    """Is it right?"""\n    ?f', 'def f():\n    """Is it right?"""\n    pass\n'),
        ("def f(:\n    pass", "def f(:\n    pass"),
    ],
)
def test_magics_are_left_out(source, kept):
    assert without_magics(source).rstrip("\n") == kept.rstrip("\n")


def notebook(*sources, **more):
    return {"cells": [{"cell_type": "code", "source": source} for source in sources], **more}


@pytest.mark.parametrize(
    "content, cells",
    [
        (notebook("x = 1", ["y = 2\n", "z = 3"]), ["x = 1", "y = 2\nz = 3"]),
        ({"cells": [{"cell_type": "markdown", "source": "# a"}, {"cell_type": "code", "source": "x"}]}, ["x"]),
        ({"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}], "nbformat": 3}, ["x = 1"]),
        (notebook("x", metadata={"kernelspec": {"language": "python"}}), ["x"]),
        (notebook("x", metadata=None), ["x"]),
        (notebook(), []),
    ],
    ids=["text and list", "markdown", "format 3", "python", "no metadata", "empty"],
)
def test_code_cells(content, cells):
    assert code_cells(json.dumps(content).encode()) == cells
    assert code_cells(b"\xef\xbb\xbf" + json.dumps(content).encode()) == cells


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "it is not a notebook: Expecting value"),
        (b"<<<<<<< HEAD\n{}", "it is not a notebook: Expecting value"),
        (b"\xff\xfe\x00\x01", "it is not a notebook: 'utf-16-le' codec|it is not a notebook"),
        (b"[" * 100_000, "it is not a notebook: maximum recursion depth"),
        (b"[1]", "it is not a notebook: its JSON is a list"),
        (b"{}", "not a notebook, or a damaged one: expected a list of cells"),
        (b'{"cells": {"a": 1}}', "a damaged one: expected a list of cells"),
        (b'{"cells": [1]}', "a damaged one: expected a list of cells"),
        (b'{"worksheets": 3}', "a damaged one: expected a list of cells"),
        (json.dumps(notebook("x", 5)).encode(), "damaged: the source of code cell 2 is not text"),
        (json.dumps(notebook(["x", None])).encode(), "damaged: the source of code cell 1 is not text"),
        (b'{"cells": [], "metadata": {"language_info": {"name": "R"}}}', "a notebook in r; expected one in Python"),
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_an_error(content, message):
    with pytest.raises(jaxnet.InputError, match=message):
        code_cells(content)
