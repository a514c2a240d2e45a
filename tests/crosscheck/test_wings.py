"""The wings of the cross-check import only those below them.

`function` knows nothing of networks, `backprop` nothing of files, `anycode` nothing of the course's files, and nothing
below knows a wing.
"""

import pytest

from ..test_house import FILES, imports


BELOW = {
    "": [""],
    "function": ["", "function"],
    "backprop": ["", "function", "backprop"],
    "anycode": ["", "function", "backprop", "anycode"],
}
ROOM = [name for name in FILES if name.startswith("crosscheck.")]


def wing(name):
    """ "" for what all wings share."""
    return name.split(".")[1] if name.count(".") > 1 or name.split(".")[1] in (*BELOW, "coursework") else ""


@pytest.mark.parametrize("name", [name for name in ROOM if wing(name) != "coursework"])
def test_a_wing_imports_only_those_below(name):
    siblings = {sibling for sibling in imports(name)[0] if sibling.startswith("crosscheck")}
    assert {wing(sibling) for sibling in siblings} <= set(BELOW[wing(name)])
