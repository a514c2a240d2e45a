"""jaxnet export"""

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..text import printable
from .options import DONE
from .output import add_output, check_output


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet export`."""
    parser = commands.add_parser(
        "export",
        help="write a trained model for torch or NumPy",
        description="Writes a model as the state dict of a torch.nn.Sequential, in a safetensors file, or as an .npz "
        "file of W1, b1, ..., and prints how to use it.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument("--to", choices=("torch", "npz"), required=True, help="the kind of file")
    add_output(parser, "FILE.safetensors for torch, FILE.npz for npz", required=True)
    torch = parser.add_argument_group("for torch")
    torch.add_argument(
        "--fold",
        action="store_true",
        help="put the preprocessing of the inputs into the first layer, which then takes pixels from 0 to 255",
    )
    torch.add_argument(
        "--channels-first",
        action="store_true",
        help="for images flattened as torch has them, (channel, height, width), instead of (height, width, channel)",
    )


def run(options: argparse.Namespace) -> int:
    """Writes the file and prints how to use it."""
    from ..model import about_torch, load_model, save_npz, save_torch

    model = load_model(options.model)
    check_output(options.out, options.overwrite)
    if options.to == "npz":
        if options.fold or options.channels_first:
            raise InputError("--fold and --channels-first are for --to torch")
        save_npz(options.out, model)
        print(f"saved    {printable(str(options.out))}: np.load reads {', '.join(model.parameters)} and what they mean")
        return DONE
    choices = {"fold_preprocessing": options.fold, "channels_first": options.channels_first}
    about = about_torch(model, **choices)
    save_torch(options.out, model, **choices)
    print(f"saved    {printable(str(options.out))}")
    print(f"module   {about['module']}, all of torch.nn")
    print(f"         module.load_state_dict(safetensors.torch.load_file({str(options.out)!r}))")
    print(f"inputs   {about['inputs']}")
    print(f"outputs  {about['outputs']}")
    return DONE
