"""jaxnet average"""

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..text import printable
from .models import load_exactly
from .options import DONE
from .output import add_output, check_output


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet average`."""
    parser = commands.add_parser(
        "average",
        help="make one model that averages the outputs of several",
        description="Writes a model whose outputs, before sigmoid or softmax, are the mean of those of the models: "
        "networks of one kind, trained with different --seed, make fewer mistakes together.",
    )
    parser.set_defaults(command=run)
    parser.add_argument(
        "models", nargs="+", type=Path, metavar="MODEL", help="two or more: a model.safetensors, or a run's folder"
    )
    add_output(parser, "the model to write, MODEL.safetensors", required=True)


def run(options: argparse.Namespace) -> int:
    """Writes the average and prints what it is."""
    import jax

    from ..model import average, described, save_model

    if len(options.models) < 2:
        raise InputError(f"there is only {options.models[0]} to average; expected two models or more")
    check_output(options.out, options.overwrite)
    models = [load_exactly(path) for path in options.models]
    with jax.enable_x64(True):
        model = average(models)
        save_model(options.out, model)
        settings, _ = described(model)
    print(f"saved    {printable(str(options.out))}, the average of {len(options.models)} models")
    print(f"network  {'-'.join(map(str, settings['layer_dims']))}, {settings['hidden']}, {settings['loss']}")
    return DONE
