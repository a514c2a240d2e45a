"""jaxnet check"""

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..text import printable
from .options import ACTIVATIONS, DONE, FAILED, INCONCLUSIVE, LOSSES, positive_float, positive_int, seed


if TYPE_CHECKING:
    from ..crosscheck import FileReport, Report


EXIT_CODES = {"agree": DONE, "disagree": FAILED, "inconclusive": INCONCLUSIVE}


def add(commands: Any) -> None:
    """What `jaxnet check` takes."""
    parser = commands.add_parser(
        "check",
        help="check a gradient, and show where and why it is wrong",
        description="Checks a gradient in float64 against jax.grad, finite differences, or both. Errors are given in "
        "units of roundoff: of the last digit, at the size of the terms that were summed.",
        epilog="Exit codes: 0 it agrees, 1 it does not, 2 unusable input, 3 inconclusive.",
    )
    parser.set_defaults(command=run)
    parser.add_argument(
        "what",
        nargs="?",
        metavar="FILE or MODULE:FUNCTION",
        help="a Python file or notebook with functions of the course, such as L_model_backward; or a function, whose "
        "gradient --grad gives; without it: this library's own backward pass, on a random network",
    )
    function = parser.add_argument_group("for MODULE:FUNCTION")
    function.add_argument(
        "--grad",
        metavar="MODULE:FUNCTION",
        help="the function that returns its gradient; without it, FUNCTION is a jax.custom_vjp",
    )
    function.add_argument(
        "--args", metavar="MODULE:NAME", help="its arguments: a tuple, or a function that returns one"
    )
    function.add_argument(
        "--wrt", type=seed, default=0, metavar="N", help="the argument to differentiate by (default: %(default)s)"
    )
    file = parser.add_argument_group("for FILE")
    file.add_argument(
        "--time-limit",
        type=positive_float,
        default=60.0,
        metavar="S",
        help="seconds that the check may take (default: 60)",
    )
    network = parser.add_argument_group("for the random network")
    network.add_argument(
        "--layers",
        nargs="+",
        type=positive_int,
        default=[12, 20, 7, 5, 1],
        metavar="N",
        help="n_x, n_1, ..., n_L (default: 12 20 7 5 1)",
    )
    network.add_argument(
        "--hidden", choices=ACTIVATIONS, default="relu", help="activation of the hidden layers (default: %(default)s)"
    )
    network.add_argument("--loss", choices=LOSSES, default="binary_cross_entropy", help="loss (default: %(default)s)")
    network.add_argument(
        "--examples",
        type=positive_int,
        default=11,
        metavar="M",
        help="number of examples, the columns of X (default: %(default)s)",
    )
    network.add_argument("--seed", type=seed, default=0, metavar="S", help="random seed (default: %(default)s)")
    output = parser.add_argument_group("output")
    output.add_argument("--json", type=Path, metavar="FILE", help="write the report to FILE as JSON")
    output.add_argument("--plot", type=Path, metavar="FILE", help="draw the errors, entry by entry, to FILE")


def run(options: argparse.Namespace) -> int:
    """Prints the report of what was asked for."""
    for path in (options.json, options.plot):
        if path is not None and not path.parent.is_dir():
            raise InputError(f"{path.parent} is not a folder; expected one to write {path.name} to")
        if path is not None and path.is_dir():
            raise InputError(f"{path} is a folder; expected the name of a file to write to")
    if options.what is None:
        report = _check_drawn_network(options)
    elif options.what.lower().endswith((".py", ".ipynb")) or os.path.lexists(options.what):
        report = _check_file(options)
    else:
        report = _check_function(options)
    if options.json is not None:
        from ..storage import durable

        durable.write(options.json, report.to_json().encode() + b"\n")
    print(report)  # last: whoever reads it may go away, as `head -1` does
    return EXIT_CODES[report.verdict]


def _check_drawn_network(options: argparse.Namespace) -> "Report":
    import jax

    from ..crosscheck import check_backward, good_point
    from ..network import Network
    from ..training import check_memory

    if len(options.layers) < 2:
        raise InputError(f"--layers is {options.layers}; expected the inputs and at least one layer: --layers 12 1")
    if options.loss == "softmax_cross_entropy" and options.layers[-1] == 1:
        raise InputError("a softmax over one output is always 1 and has no gradient; expected at least two outputs")
    check_memory(options.layers, options.examples)
    network = Network(options.hidden, options.loss)
    X, Y, parameters = good_point(options.layers, network, key=jax.random.key(options.seed), m=options.examples)
    report = check_backward(X, Y, parameters, network)
    _draw(report, options.plot)
    return report


def _check_file(options: argparse.Namespace) -> "FileReport":
    from ..crosscheck import check_file

    if options.plot is not None:
        raise InputError("--plot draws the check of a function or of the random network; a file has many functions")
    return check_file(options.what, time_limit=options.time_limit)


def _check_function(options: argparse.Namespace) -> "Report":
    from ..crosscheck import check_gradient

    if options.args is None:
        raise InputError("a function needs arguments: --args MODULE:NAME, a tuple or a function that returns one")
    # Modules of the folder the command is typed in; last, so that a random.py there does not stand in for Python's own.
    sys.path.append("")
    function, named = _named(options.what), _named(options.args)
    gradient = None if options.grad is None else _named(options.grad)
    try:
        arguments: Any = named() if callable(named) else named
        report = check_gradient(function, gradient, args=arguments, wrt=options.wrt)
    except InputError:
        raise
    except Exception as error:
        names = filter(None, (options.what, options.grad, options.args))
        places = [place for name in names if (place := _place_in(name, error))]
        if not places:  # the fault is not theirs
            raise
        raise InputError(f"{places[0]} raised {_text_of(error)}") from error
    _draw(report, options.plot)
    return report


def _named(name: str) -> Any:
    """The object that MODULE:NAME names."""
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise InputError(f"{name!r} names nothing; expected FILE or MODULE:NAME, as in package.module:function")
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever somebody's module raises
        raise InputError(f"{module} cannot be imported: {_text_of(error)}") from error
    try:
        return getattr(imported, attribute)
    except AttributeError as error:
        where = getattr(imported, "__file__", None) or "of Python itself"
        raise InputError(f"{module} ({where}) has no {attribute}") from error


def _text_of(error: BaseException) -> str:
    from ..crosscheck import error_text

    return printable(error_text(error))


def _place_in(name: str, error: Exception) -> str:
    """The module of MODULE:NAME and the last line in it on the error's way; "" where it is not on it."""
    from ..crosscheck import location

    module = name.partition(":")[0]
    line = location(error, getattr(sys.modules[module], "__file__", None))
    return f"{module}{line}" if line else ""


def _draw(report: "Report", path: Path | None) -> None:
    if path is None:
        return
    try:
        from ..runs.plots import plot_check
    except ImportError as error:
        raise InputError("drawing needs matplotlib: pip install 'jaxnet[demo]'") from error
    plot_check(path, report)
