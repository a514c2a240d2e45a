"""What a compiled program has the devices of a mesh send each other, read from its text."""

import math
import re


COLLECTIVE = re.compile(
    r"= (.+?) (all-gather|all-reduce|all-to-all|collective-broadcast|collective-permute|reduce-scatter)(?:-start)?\("
)
ARRAY = re.compile(r"\b(pred|bf16|[suf](?:8|16|32|64))\[([0-9,]*)\]")


def moved(program):
    """(kind, bytes) of every collective operation, in the program's order. A loop's body counts once."""
    return [(kind, sum(map(_bytes, ARRAY.findall(arrays)))) for arrays, kind in COLLECTIVE.findall(program.as_text())]


def _bytes(array):
    dtype, sizes = array
    width = 1 if dtype == "pred" else int(re.sub(r"\D", "", dtype)) // 8
    return width * math.prod(int(size) for size in sizes.split(",") if size)
