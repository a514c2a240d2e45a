"""jaxnet export"""

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..text import printable
from .models import load_exactly
from .options import DONE
from .output import add_output, check_output


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet export`."""
    parser = commands.add_parser(
        "export",
        help="write a trained model for torch, ONNX or NumPy",
        description="Writes a model as the state dict of a torch.nn.Sequential in a safetensors file, as an ONNX file, "
        "or as an .npz file of W1, b1, ..., and prints how to use it.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.safetensors, or the run's folder")
    parser.add_argument("--to", choices=("torch", "onnx", "npz"), required=True, help="format of the file")
    add_output(parser, "FILE.safetensors for torch, FILE.onnx for onnx, FILE.npz for npz", required=True)
    group = parser.add_argument_group("for torch and onnx")
    group.add_argument(
        "--fold",
        action="store_true",
        help="put the preprocessing of the inputs into the first layer, which then takes pixels from 0 to 255",
    )
    group.add_argument(
        "--channels-first",
        action="store_true",
        help="for images flattened as torch has them, (channel, height, width), instead of (height, width, channel)",
    )


def run(options: argparse.Namespace) -> int:
    """Writes the file and prints how to use it."""
    from ..model import about_onnx, about_torch, check_onnx, save_npz, save_onnx, save_torch

    model, out = load_exactly(options.model), str(options.out)
    check_output(options.out, options.overwrite)
    if options.to == "npz":
        if options.fold or options.channels_first:
            raise InputError("--fold and --channels-first are for --to torch and --to onnx")
        save_npz(options.out, model)
        print(f"saved    {printable(out)}: np.load reads {', '.join(model.parameters)} and what they mean")
        return DONE
    choices = {"fold_preprocessing": options.fold, "channels_first": options.channels_first}
    if options.to == "onnx":
        check_onnx()
        about = about_onnx(model, **choices)
        save_onnx(options.out, model, **choices)
        use = [f"session  onnxruntime.InferenceSession({out!r}).run(None, {{'inputs': rows}})"]
    else:
        about = about_torch(model, **choices)
        save_torch(options.out, model, **choices)
        use = [
            f"module   {about['module']}, all of torch.nn",
            f"         module.load_state_dict(safetensors.torch.load_file({out!r}))",
        ]
    print("\n".join([f"saved    {printable(out)}", *use]))
    print(f"inputs   {about['inputs']}")
    print(f"outputs  {about['outputs']}")
    return DONE
