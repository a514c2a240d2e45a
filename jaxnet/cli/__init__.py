"""The command `jaxnet`: what is typed and printed. The commands import JAX themselves, so that --help is instant."""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from ..errors import InputError
from ..text import printable_lines
from . import average, bring, check, evaluate, export, inspect, predict, start, train
from .options import DONE, UNUSABLE_INPUT
from .stopping import Stop, stopping
from .streams import GONE, tolerant


OF_THE_EXTRA = ("filelock", "tomli_w", "tqdm")  # what commands need and `import jaxnet` does not


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 failed, 2 unusable input, 128 + n ended by signal n."""
    with tolerant() as out, stopping() as stop:
        try:
            code = _run(arguments, stop)
            out.flush()
        except KeyboardInterrupt:  # after everything was done
            code = stop.exit_code
        if out.error is not None and out.error.errno not in GONE:
            _print_error(f"the output cannot be written: {out.error}")
            code = code or UNUSABLE_INPUT
        return code


def _run(arguments: Sequence[str] | None, stop: Stop) -> int:
    try:
        options, unknown = build_parser().parse_known_args(arguments, argparse.Namespace(stop=stop))
        if unknown:
            options.parser.refuse_unknown(unknown)
        start.prepare()
        return options.command(options)
    except BrokenPipeError:  # the reader of the output has seen enough
        return DONE
    except (InputError, OSError) as error:  # OSError: a name too long, a folder that may not be read, a full disk
        if stop.signal is None:
            _print_error(error)
            return UNUSABLE_INPUT
        print(f"jaxnet: {stop.name}: {printable_lines(str(error))}", file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        print(f"jaxnet: {stop.name}", file=sys.stderr)
        return stop.exit_code
    except Exception as error:
        if stop.signal is None:
            if not isinstance(error, ModuleNotFoundError) or error.name not in OF_THE_EXTRA:
                raise
            _print_error(f"this command needs {error.name}: pip install 'jaxnet[photos]'")
            return UNUSABLE_INPUT
        print(f"jaxnet: {stop.name}", file=sys.stderr)  # interrupted code may raise anything
        return stop.exit_code


def _print_error(error: object) -> None:
    print(f"jaxnet: error: {printable_lines(str(error))}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE_INPUT, f"{self.prog}: error: {printable_lines(message)}\n({self.prog} --help says more)\n")

    def refuse_unknown(self, arguments: Sequence[str]) -> NoReturn:
        """Of options that do not exist, names the one that was meant."""
        options = re.findall(r"--[a-z][a-z0-9-]*", self.format_help())
        meant = difflib.get_close_matches(arguments[0].partition("=")[0], options, 1)
        hint = f"; did you mean {meant[0]}?" if meant else ""
        self.error(f"unrecognized arguments: {' '.join(arguments)}{hint}")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; `options.command` runs the one that was typed."""
    parser = _Parser(
        prog="jaxnet",
        description="L-layer networks in JAX with a backward pass written by hand, checked against jax.grad.",
        epilog="Exit codes: 0 done, 1 the run or the check failed, 2 unusable input, 130 interrupted, 128 + n ended by "
        "signal n.",
    )
    parser.add_argument("--version", action="version", version=f"jaxnet {version('jaxnet')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (train, predict, evaluate, check, inspect, export, bring, average):
        command.add(commands)
    for command in commands.choices.values():
        command.set_defaults(parser=command)
    return parser
