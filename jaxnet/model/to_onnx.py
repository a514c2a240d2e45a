"""Export: an ONNX graph of Gemm and activations, for onnxruntime and whatever else reads such files."""

import os
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..losses import binary_cross_entropy, squared_error
from .description import described
from .export import about_inputs, check_suffix, outputs_named, stated, to_torch
from .file import replace_file
from .model import Model


OPSET, IR = 17, 8  # of 2022, so that older runtimes read the files
MOST_BYTES = 2**31 - 2**20  # that a protobuf message can hold, and some for the graph
CONSTANTS = {"half": 0.5, "one": 1.0, "two": 2.0, "root_half": 0.5**0.5}


class Node(NamedTuple):
    """A node of the graph, between Z and A; other names belong to its layer, or are CONSTANTS."""

    kind: str
    inputs: tuple[str, ...]
    output: str = "A"
    attributes: tuple[tuple[str, Any], ...] = ()


ACTIVATION_NODES = {
    "relu": [Node("Relu", ("Z",))],
    "leaky_relu": [Node("LeakyRelu", ("Z",), attributes=(("alpha", 0.01),))],
    "sigmoid": [Node("Sigmoid", ("Z",))],
    "tanh": [Node("Tanh", ("Z",))],
    "gelu": [
        Node("Mul", ("Z", "root_half"), "scaled"),
        Node("Erf", ("scaled",), "erf"),
        Node("Add", ("erf", "one"), "twice_phi"),
        Node("Mul", ("Z", "twice_phi"), "twice"),
        Node("Mul", ("twice", "half")),
    ],
    "silu": [Node("Sigmoid", ("Z",), "sigmoid"), Node("Mul", ("Z", "sigmoid"))],
    "softplus": [Node("Softplus", ("Z",))],
    "elu": [Node("Elu", ("Z",), attributes=(("alpha", 1.0),))],
    "identity": [Node("Identity", ("Z",))],
    # sign(2 sign(Z) + 1) is 1 at 0, as here, where ONNX's Sign is 0.
    "sign": [
        Node("Sign", ("Z",), "sign"),
        Node("Mul", ("sign", "two"), "twice"),
        Node("Add", ("twice", "one"), "shifted"),
        Node("Sign", ("shifted",)),
    ],
}


def about_onnx(model: Model, *, fold_preprocessing: bool = False, channels_first: bool = False) -> dict[str, str]:
    """In words: what the inputs of the graph have to be, and what its outputs are."""
    outputs = "probabilities, (batch, classes) in the order of the classes; logits, (batch, n_L)"
    if model.network.loss == squared_error:
        outputs = f"outputs, (batch, n_L){outputs_named(model)}"
    inputs = about_inputs(model, fold_preprocessing, channels_first)
    return {"inputs": f"inputs, (batch, n_x) of float32: {inputs}", "outputs": outputs}


def save_onnx(
    path: str | os.PathLike, model: Model, *, fold_preprocessing: bool = False, channels_first: bool = False
) -> None:
    """An ONNX file: `inputs`, float32 `(batch, n_x)` of any batch, to `probabilities` and `logits`.

    Where the loss is squared_error there is one output, `outputs`. The metadata of the file say what the inputs and
    outputs are, with the preprocessing that is left to do.

    Args:
        path: The file, whose name ends in .onnx.
        model: The model to export. Parameters of float64 become float32.
        fold_preprocessing: Whether the first layer does the preprocessing, as in `to_torch`.
        channels_first: Whether images are flattened as (C, H, W), rather than as (H, W, C).

    Raises:
        InputError: where onnx is not installed, and for a model or a path that cannot be used.
    """
    check_suffix(path, ".onnx")
    choices = {"fold_preprocessing": fold_preprocessing, "channels_first": channels_first}
    about = about_onnx(model, **choices)
    metadata = {**about, **stated(model, fold_preprocessing, channels_first)}
    content = _encoded(model, to_torch(model, **choices), metadata)
    replace_file(path, content)


def check_onnx() -> None:
    """Raises `InputError` where the package onnx is not installed."""
    try:
        import onnx as onnx
    except ImportError as error:
        raise InputError("writing ONNX files needs onnx: pip install 'jaxnet[onnx]'") from error


def _encoded(model: Model, state: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    check_onnx()
    from onnx import TensorProto, checker, helper, numpy_helper

    state = {name: _as_float32(name, array) for name, array in state.items()}
    if sum(array.nbytes for array in state.values()) > MOST_BYTES:
        raise InputError("the model has 2 GiB of parameters or more, which no ONNX file can hold; export --to torch")
    constants = {name: np.float32(value) for name, value in CONSTANTS.items()}
    nodes, outputs = _nodes(model, len(state) // 2)
    used = {name for node in nodes for name in node.inputs}
    n_x, n_L = state["0.weight"].shape[1], len(list(state.values())[-1])
    sizes = {"probabilities": len(model.classes), "logits": n_L, "outputs": n_L}
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output], **dict(more)) for kind, inputs, output, more in nodes],
        "jaxnet",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", n_x])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", sizes[name]]) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (state | constants).items() if name in used],
    )
    made = helper.make_model(
        graph, producer_name="jaxnet", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR
    )
    helper.set_model_props(made, metadata)
    checker.check_model(made)
    return made.SerializeToString(deterministic=True)


def _nodes(model: Model, layers: int) -> tuple[list[Node], tuple[str, ...]]:
    """The nodes in order, and the names of the outputs."""
    hidden, loss = described(model)[0]["hidden"], model.network.loss
    last = "outputs" if loss == squared_error else "logits"
    nodes, A_prev = [], "inputs"
    for l in range(1, layers + 1):
        Z, weight = (last if l == layers else f"Z{l}"), f"{2 * l - 2}"
        nodes.append(Node("Gemm", (A_prev, f"{weight}.weight", f"{weight}.bias"), Z, (("transB", 1),)))
        if l < layers:
            nodes += [_of_layer(node, l) for node in ACTIVATION_NODES[hidden]]
        A_prev = f"A{l}"
    if loss == squared_error:
        return nodes, ("outputs",)
    if loss == binary_cross_entropy and len(model.parameters[f"b{layers}"]) > 1:
        nodes.append(Node("Sigmoid", ("logits",), "probabilities"))
    elif loss == binary_cross_entropy:
        nodes += [Node("Sigmoid", ("logits",), "last"), Node("Sub", ("one", "last"), "first")]
        nodes.append(Node("Concat", ("first", "last"), "probabilities", (("axis", 1),)))
    else:
        nodes.append(Node("Softmax", ("logits",), "probabilities", (("axis", 1),)))
    return nodes, ("probabilities", "logits")


def _of_layer(node: Node, l: int) -> Node:
    inputs = tuple(name if name in CONSTANTS else f"{name}{l}" for name in node.inputs)
    return node._replace(inputs=inputs, output=f"{node.output}{l}")


def _as_float32(name: str, array: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = np.asarray(array, np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{name} has entries that float32 cannot hold, which ONNX files have here; export --to torch")
    return values
