"""jaxnet inspect"""

import argparse
import itertools
import math
import operator
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..text import printable, printable_lines
from .inspect_inputs import Subject, drawn_examples, in_standard_units, inputs_for
from .inspect_run import training_of
from .inspect_text import advice_for, depth_text, network_text, written
from .options import ACTIVATIONS, DONE, INITS, LOSSES, STRAIGHT_THROUGH, positive_float, positive_int, seed


if TYPE_CHECKING:
    from ..network import Network
    from ..signals import Profile, SignalSizes
    from ..types import PRNGKeyArray


DEPTHS, WIDTH, EXAMPLES = [4, 10, 30, 100], 256, 64
DEPTH_INITS = ["he", "xavier", "lecun", 0.01, 1.0]  # the course's first number, and plain randn
MOST_LAYERS = 1000
LARGEST_SVD = 2048  # the shorter side, up to which the singular values of a matrix take only seconds


def add(commands: Any) -> None:
    """Adds the arguments of `jaxnet inspect`."""
    parser = commands.add_parser(
        "inspect",
        help="show whether signals vanish or explode on their way through the layers",
        description="Shows how large signals are in every layer, forward and backward, beside what theory expects: for "
        "a trained MODEL, for a random network with --layers, or for networks of several depths with --depth.",
        epilog="Exit codes: 0 done, whatever the verdict, 2 unusable input. MODEL and DATA go before the options.",
    )
    parser.set_defaults(command=run)
    parser.add_argument(
        "what",
        nargs="?",
        metavar="MODEL",
        help="a model.safetensors, or the run's folder; with --layers leave it out",
    )
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="inputs: images or a folder of them, the course's FILE.h5, an .npz file of X and Y, a folder with "
        "MNIST's idx files, a table for a MODEL of one; without it, random "
        "inputs: pixels for a MODEL of images, else standard normal",
    )
    drawn = parser.add_argument_group("random networks")
    drawn.add_argument("--layers", nargs="+", type=_size, metavar="N", help="n_x, n_1, ..., n_L")
    drawn.add_argument(
        "--depth",
        nargs="*",
        type=_size,
        metavar="L",
        help=f"networks of L layers of equal width, for every --init (without L: {' '.join(map(str, DEPTHS))})",
    )
    drawn.add_argument(
        "--width", type=positive_int, metavar="N", help=f"with --depth: units of every layer (default: {WIDTH})"
    )
    drawn.add_argument(
        "--init",
        nargs="+",
        type=_init,
        metavar="S",
        help=f"weight initialisation: {', '.join(INITS)}, or a standard deviation, such as 0.01 "
        f"(default: he; with --depth {' '.join(map(written, DEPTH_INITS))})",
    )
    drawn.add_argument(
        "--hidden", choices=ACTIVATIONS + STRAIGHT_THROUGH, help="activation of hidden layers (default: relu)"
    )
    drawn.add_argument(
        "--loss", choices=LOSSES, help="loss (default: binary, or softmax for --layers with several outputs)"
    )
    parser.add_argument(
        "--examples",
        type=positive_int,
        default=EXAMPLES,
        metavar="M",
        help="number of examples, the columns of X (default: %(default)s)",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="random seed (default: %(default)s)")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the sizes by layer, forward and backward, to FILE"
    )


def run(options: argparse.Namespace) -> int:
    """Prints the sizes and what they mean, and draws them on request."""
    if options.plot is not None:
        _check_plot(options.plot)
    title, profiles = (_inspect_network if options.depth is None else _inspect_depths)(options)
    if options.plot is not None:
        from ..runs.plots import plot_signals

        plot_signals(options.plot, title, profiles)
        print(f"drawn     {printable(str(options.plot))}")
    return DONE


def _check_plot(path: Path) -> None:
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder; expected one to write {path.name} to")
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file to draw to, such as signals.png")
    try:
        from ..runs.plots import check_format
    except ImportError as error:
        raise InputError("drawing needs matplotlib: pip install 'jaxnet[demo]'") from error
    check_format(path)


def _inspect_network(options: argparse.Namespace) -> tuple[str, dict[str, "Profile"]]:
    import jax

    from ..parameters import layer_dims
    from ..signals import map_singular_values, root_mean_square, signal_sizes, singular_values

    if options.width is not None:
        raise InputError("--width is for --depth; --layers gives the units of every layer itself")
    subject, data = (_drawn if options.layers is not None else _saved)(options)
    inputs = inputs_for(options, subject, data)
    if subject.model is not None and not subject.model.classes:
        subject, inputs = in_standard_units(subject, inputs)
    parameters, network = subject.parameters, subject.network
    dims = layer_dims(parameters)
    if not inputs.X.any():
        raise InputError(f"X is 0 everywhere, so nothing can be followed through the layers: {inputs.description}")
    measure = jax.jit(lambda X, Y, parameters: (root_mean_square(X), signal_sizes(X, Y, parameters, network)))
    X_size, measured = measure(inputs.X, inputs.Y, parameters)
    profile = with_theory(dims, network, X_size, measured)
    values = map_values = None
    if all(min(pair) <= LARGEST_SVD for pair in itertools.pairwise(dims)):
        values = jax.device_get(jax.jit(singular_values)(parameters))
        last_hidden = partial(map_singular_values, network=network, layer=max(len(dims) - 2, 1))
        map_values = jax.device_get(jax.jit(last_hidden)(inputs.X[:, :1], parameters))
    print(printable_lines(network_text(subject, inputs, profile, values, map_values)))
    return subject.name, {"measured": profile}


def _inspect_depths(options: argparse.Namespace) -> tuple[str, dict[str, "Profile"]]:
    import jax

    from ..network import Network
    from ..training import check_memory

    if options.what is not None or options.layers is not None:
        raise InputError("--depth draws networks and inputs of its own; expected no MODEL, no DATA and no --layers")
    depths, width = sorted(set(options.depth or DEPTHS)), options.width or WIDTH
    if not 2 <= depths[0] <= depths[-1] <= MOST_LAYERS:
        raise InputError(f"--depth is {options.depth}; expected numbers of layers from 2 to {MOST_LAYERS}")
    check_memory([width] * (depths[-1] + 1), options.examples)
    activation = options.hidden or "relu"
    network = Network(activation, options.loss or "binary_cross_entropy")
    key = jax.random.key(options.seed)
    inits = _different(options.init or DEPTH_INITS, width)
    profiles = {name: {} for name in inits}
    for depth in depths:
        drawn = _drawn_profiles([width] * (depth + 1), list(inits.values()), network, options.examples, key)
        for by_depth, profile in zip(profiles.values(), drawn, strict=True):
            by_depth[depth] = profile
    name = f"{activation}, {width} inputs and {width} units in every layer, the output too"
    inputs = f"{options.examples} standard normal examples, random labels; seed {options.seed}"
    print(depth_text(name, inputs, advice_for([width] * (depths[-1] + 1), network, activation), profiles))
    return f"{depths[-1]} layers, {name}", {init: by_depth[depths[-1]] for init, by_depth in profiles.items()}


def _different(inits: Sequence[str | float], width: int) -> dict[str, str | float]:
    """A name for each different standard deviation: where all layers have one width, xavier draws what lecun draws."""
    from ..parameters import INITS as RULES

    names: dict[str, list[str | float]] = {}
    for init in dict.fromkeys(inits):
        std = RULES[init](width, width) if isinstance(init, str) else init
        names.setdefault(f"{std:.9g}", []).append(init)
    return {", ".join(map(written, same)): same[0] for same in names.values()}


def _drawn_profiles(
    dims: list[int], inits: list[str | float], network: "Network", m: int, key: "PRNGKeyArray"
) -> "list[Profile]":
    """One profile per init of the same draw."""
    import jax
    import jax.numpy as jnp

    from ..parameters import initialize_parameters_deep
    from ..signals import root_mean_square, signal_sizes

    drawn = [initialize_parameters_deep(dims, key=key, init=init) for init in inits]
    parameters = jax.tree.map(lambda *same: jnp.stack(same), *drawn)
    X, Y = drawn_examples(dims[0], dims[-1], m, network, jax.random.fold_in(key, 1))
    # Compiling it as a whole would take ten seconds for a hundred layers, whose single operations are all alike.
    measured = jax.device_get(jax.vmap(lambda parameters: signal_sizes(X, Y, parameters, network))(parameters))
    one_by_one = (jax.tree.map(operator.itemgetter(i), measured) for i in range(len(inits)))
    return [with_theory(dims, network, root_mean_square(X), sizes) for sizes in one_by_one]


def with_theory(dims: Sequence[int], network: "Network", X_size: Any, measured: "SignalSizes") -> "Profile":
    """The sizes beside those that theory expects of random weights with the same norms."""
    import jax
    import numpy as np

    from ..signals import Profile, expected_sizes

    measured = jax.tree.map(np.asarray, measured)
    roots = [math.sqrt(n_prev * n) for n_prev, n in itertools.pairwise(dims)]
    start = float(measured.dZ[-1])
    # In float64, whose range holds what has left the range of float32.
    with jax.enable_x64(True):
        expect = jax.jit(lambda stds, X, dZL: expected_sizes(dims, stds, network, X_size=X, dZL_size=dZL))
        expected = expect(np.asarray(measured.W, float) / roots, float(X_size), start if math.isfinite(start) else 1.0)
    return Profile(np.asarray(X_size), measured, jax.tree.map(np.asarray, expected))


def _drawn(options: argparse.Namespace) -> tuple[Subject, str | None]:
    import jax

    from ..diagnosis import Setup
    from ..network import Network
    from ..parameters import initialize_parameters_deep
    from ..training import check_memory

    dims, loss = options.layers, options.loss
    if options.data is not None:
        raise InputError(
            f"--layers takes the place of MODEL, but got {options.what} and {options.data}; expected DATA only"
        )
    if not 2 <= len(dims) <= MOST_LAYERS + 1:
        raise InputError(f"--layers is {dims}; expected the inputs and 1 to {MOST_LAYERS} layers: --layers 12288 20 1")
    inits = options.init or ["he"]
    if len(inits) > 1:
        raise InputError(f"--init names {len(inits)}; expected one for --layers: several are for --depth")
    if loss == "softmax_cross_entropy" and dims[-1] == 1:
        raise InputError("a softmax over one output is always 1 and has no gradient; expected at least two outputs")
    check_memory(dims, options.examples)
    network = Network(
        options.hidden or "relu", loss or ("binary_cross_entropy" if dims[-1] == 1 else "softmax_cross_entropy")
    )
    parameters = initialize_parameters_deep(dims, key=jax.random.key(options.seed), init=inits[0])
    activation = options.hidden or "relu"
    name = f"{_chain(dims)}, {activation}, drawn with --init {written(inits[0])}, seed {options.seed}"
    return Subject(name, activation, network, parameters, setup=Setup(init=inits[0])), options.what


def _saved(options: argparse.Namespace) -> tuple[Subject, str | None]:
    from ..activations import ACTIVATIONS as DERIVED, STRAIGHT_THROUGH as ESTIMATED
    from ..model import load_model
    from ..parameters import layer_dims

    if options.what is None:
        raise InputError("nothing to inspect; expected a MODEL, such as runs/faces, or --layers 12288 20 1, or --depth")
    given = [name for name in ("init", "hidden", "loss") if getattr(options, name) is not None]
    if given:
        raise InputError(f"--{given[0]} is for networks that are drawn; a MODEL has its own: leave it out")
    model = load_model(Path(options.what))
    activation = next(name for name, member in (DERIVED | ESTIMATED).items() if member == model.network.hidden)
    name = f"{_chain(layer_dims(model.parameters))}, {activation}, in {options.what}"
    setup, symptoms = training_of(Path(options.what), activation, layer_dims(model.parameters))
    return Subject(name, activation, model.network, model.parameters, model, setup, symptoms), options.data


def _size(text: str) -> int:
    """A whole number from 1. The option takes everything that follows, names of files too."""
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError as error:
        if text.isdecimal():
            raise
        raise argparse.ArgumentTypeError(f"{error}; DATA goes before the options: jaxnet inspect {text} ...") from None


def _init(text: str) -> str | float:
    """The name of an init, or a standard deviation."""
    if text in INITS:
        return text
    try:
        return positive_float(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither one of {', '.join(INITS)} nor a positive number, the standard deviation; DATA "
            "goes before the options"
        ) from None


def _chain(dims: Sequence[int]) -> str:
    """12288-20-7-5-1; the ends only, where a network is deep."""
    shown = [*map(str, dims)] if len(dims) <= 12 else [*map(str, dims[:4]), "...", *map(str, dims[-3:])]
    return "-".join(shown) + (f" ({len(dims) - 1} layers)" if len(dims) > 12 else "")
