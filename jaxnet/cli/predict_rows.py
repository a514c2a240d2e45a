"""jaxnet predict for models of rows of numbers: the examples of a table or of an .npz file."""

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..text import printable
from .options import DONE, FAILED
from .output import check_output, csv_line, open_output


if TYPE_CHECKING:
    import numpy as np

    from ..model import Answer, Estimate, Model


Line = Callable[[Any, Any], str]  # of an example, by its path or row, and its prediction


def run(options: argparse.Namespace, model: "Model") -> int:
    """Prints the prediction for every row."""
    from ..model import file_rows

    if len(options.images) != 1:
        raise InputError(f"{options.model} predicts the rows of one file; got {len(options.images)} names")
    rows, ignored = file_rows(Path(options.images[0]), model.input_shape, model.table, str(options.model))
    if options.out is not None:
        check_output(options.out, options.overwrite)
    if ignored:
        names = ", ".join(ignored)
        print(f"jaxnet: columns that the model does not know are ignored: {printable(names):.500}", file=sys.stderr)
    line, failed = line_for(options, model, "row"), 0
    with open_output(options.out) as file:
        if options.csv:
            print(csv_header(model, "row"), file=file)
        for row, answer in enumerate(_answers(rows, model), start=1):
            if answer is not None:
                print(line(row, answer), file=file)
            else:
                failed += 1
                print(f"jaxnet: row {row}: the network's outputs are not finite", file=sys.stderr)
    return FAILED if failed else DONE


def _answers(rows: "np.ndarray", model: "Model") -> "Iterator[Answer | None]":
    from ..data import row_blocks

    return itertools.chain.from_iterable(model.answers(rows[part]) for part in row_blocks(rows.shape))


def csv_header(model: "Model", key: str) -> str:
    """The names of the columns that `line_for` writes; `key` is what an example is called."""
    return csv_line([key, *(model.output_names or ("class", "probability", *model.classes))])


def line_for(options: argparse.Namespace, model: "Model", key: str, width: int = 0) -> Line:
    """A function from an example and its prediction to the line that is written for it."""
    if model.classes:
        return _class_line(options, key, width)
    if options.json:
        return lambda name, answer: json.dumps({key: name, "values": answer.values})
    if options.csv:
        return lambda name, answer: csv_line([name, *answer.values.values()])

    def text(name: Any, answer: "Estimate") -> str:
        shown = (f"{printable(output)} {value:.7g}" for output, value in answer.values.items())
        return f"{printable(str(name)):{width}}  {'  '.join(shown)}"

    return text


def _class_line(options: argparse.Namespace, key: str, width: int) -> Line:
    if options.json:
        return lambda name, p: json.dumps(
            {key: name, "class": p.label, "probability": p.probability, "probabilities": p.probabilities}
        )
    if options.csv:
        return lambda name, p: csv_line([name, p.label, p.probability, *p.probabilities.values()])
    return lambda name, p: f"{printable(str(name)):{width}}  {p.label}  {p.probability:.4f}"
