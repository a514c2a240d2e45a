"""jaxnet import, in a file with another name since `import` is a keyword."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..text import printable
from .options import ACTIVATIONS, DONE, LOSSES, positive_float, positive_int
from .output import add_output, check_output


if TYPE_CHECKING:
    from ..data import Preprocessing


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet import`."""
    parser = commands.add_parser(
        "import",
        help="import a dense network that another library trained",
        description="Reads the weights and biases of linear layers, a torch state dict in a safetensors file or an "
        ".npz file, and writes a model that `jaxnet predict` takes. Options that are not given are read from "
        "a file that `jaxnet export` wrote.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("file", type=Path, metavar="FILE", help="a .safetensors or .npz file; pickles are not read")
    add_output(parser, "the model to write, MODEL.safetensors", required=True)
    network = parser.add_argument_group("network")
    network.add_argument("--hidden", choices=ACTIVATIONS, help="activation of the hidden layers (default: relu)")
    network.add_argument(
        "--loss",
        choices=LOSSES,
        help="loss (default: binary_cross_entropy for one output, softmax_cross_entropy for more)",
    )
    network.add_argument(
        "--layers", nargs="+", metavar="NAME", help="the layers in order (default: in the order of their names)"
    )
    network.add_argument(
        "--classes", nargs="+", metavar="NAME", help="names of the classes (default: 0 1 ...; none for squared_error)"
    )
    inputs = parser.add_argument_group("inputs")
    inputs.add_argument(
        "--input-shape",
        nargs="+",
        type=positive_int,
        metavar="N",
        help="height width, or height width 3, of images (default: rows of numbers)",
    )
    inputs.add_argument(
        "--channels-first",
        action="store_true",
        default=None,
        help="images were flattened as (channel, height, width)",
    )
    inputs.add_argument(
        "--exact-decoding",
        action="store_true",
        default=None,
        help="JPEG files were decoded in full, as PIL.Image.open does",
    )
    inputs.add_argument(
        "--pixel-scale", type=positive_float, metavar="S", help="factor for pixels from 0 to 255 (default: 1/255)"
    )
    inputs.add_argument(
        "--mean", nargs="+", type=float, metavar="M", help="mean to subtract after that, one number or one per channel"
    )
    inputs.add_argument(
        "--std",
        nargs="+",
        type=positive_float,
        metavar="S",
        help="standard deviation to divide by, one number or one per channel",
    )


def run(options: argparse.Namespace) -> int:
    """Writes the model and prints how the file was understood."""
    from ..model import described, load_torch, save_model

    check_output(options.out, options.overwrite)
    model = load_torch(
        options.file,
        hidden=options.hidden,
        loss=options.loss,
        classes=options.classes,
        input_shape=options.input_shape,
        preprocessing=_preprocessing(options),
        channels_first=options.channels_first,
        exact_decoding=options.exact_decoding,
        layers=options.layers,
    )
    save_model(options.out, model)
    settings, _ = described(model)
    print(f"saved    {printable(str(options.out))}")
    print(f"network  {'-'.join(map(str, settings['layer_dims']))}, {settings['hidden']}, {settings['loss']}")
    outputs = f"classes {', '.join(model.classes)}" if model.classes else f"values {', '.join(model.output_names)}"
    print(f"inputs   {'x'.join(map(str, model.input_shape))}, {outputs}")
    if len(model.input_shape) == 1 and model.table is None:
        print("         (for images pass --input-shape HEIGHT WIDTH, or HEIGHT WIDTH 3)")
    return DONE


def _preprocessing(options: argparse.Namespace) -> "Preprocessing | None":
    import numpy as np

    from ..data import PIXEL_SCALE, Preprocessing

    if options.pixel_scale is None and options.mean is None and options.std is None:
        return None
    scale = options.pixel_scale or PIXEL_SCALE
    if options.mean is None and options.std is None:
        return Preprocessing(scale)
    if options.input_shape is None or len(options.input_shape) == 1:
        raise InputError("--mean and --std are for the channels of images: pass --input-shape too")
    channels = options.input_shape[2] if len(options.input_shape) == 3 else 1
    mean, std = options.mean or [0.0], options.std or [1.0]
    if len(mean) not in (1, channels) or len(std) not in (1, channels):
        raise InputError(
            f"there are {len(mean)} --mean and {len(std)} --std; expected one, or {channels}, one per channel"
        )
    shape = tuple(options.input_shape) if channels > 1 else (*options.input_shape[:2], 1)
    columns = [np.broadcast_to(np.asarray(values, np.float32), shape).reshape(-1, 1) for values in (mean, std)]
    return Preprocessing(scale, columns[0], columns[1])
