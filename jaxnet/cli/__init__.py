"""The command `jaxnet`: what is typed and printed. JAX is imported by the commands, so that --help need not wait."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from .. import start
from ..errors import InputError
from . import bring, check, export, inspect, predict, train
from .options import FAILED, INTERRUPTED, UNUSABLE_INPUT


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 it failed, 2 unusable input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name the terminal cannot show is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    start.prepare()
    try:
        return options.command(options)
    except InputError as error:
        print(f"jaxnet: error: {error}", file=sys.stderr)
        return UNUSABLE_INPUT
    except BrokenPipeError:  # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:  # a name too long, a folder that may not be read, a full disk
        print(f"jaxnet: error: {error}", file=sys.stderr)
        return UNUSABLE_INPUT
    except KeyboardInterrupt:
        print("jaxnet: interrupted", file=sys.stderr)
        return INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; `options.command` runs the one that was typed."""
    parser = argparse.ArgumentParser(
        prog="jaxnet",
        description="L-layer networks in JAX with a backward pass written by hand, checked against jax.grad.",
        epilog="Exit codes: 0 done, 1 the run or the check failed, 2 unusable input, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"jaxnet {version('jaxnet')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (train, predict, check, inspect, export, bring):
        command.add(commands)
    return parser
