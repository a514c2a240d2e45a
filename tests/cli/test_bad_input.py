"""Unusable input: what was got, what was expected and what to do, before any work and with nothing written."""

import json

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

import jaxnet
from jaxnet.cli import main

from ..images import drawn_images, write_h5, write_idx, write_npz
from ..model.test_file import drawn_model


X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
Y = np.array([[0, 1, 0, 1, 0, 1]])
DIMS = (4, 3, 1)
SOFTMAX = jaxnet.Network("relu", "softmax_cross_entropy")


def start(dims=DIMS):
    return jaxnet.initialize_parameters_deep(dims, key=jax.random.key(0))


def put(array, value, dtype=None):
    changed = np.array(array, dtype)
    changed[0, 1] = value
    return changed


def train(X=X, Y=Y, parameters=None, **kwargs):
    return jaxnet.train(X, Y, start() if parameters is None else parameters, num_iterations=2, **kwargs)


PYTHON = {
    "X of the wrong height": (
        lambda: jaxnet.L_model_forward(X[:3], start()),
        "layer 1: X has shape (3, 6), but W1 takes 4 inputs; expected (4, m)",
    ),
    "X with examples in rows": (lambda: jaxnet.predict(X.T, start()), "examples are columns: pass X.T"),
    "a layer that does not fit the one below": (
        lambda: jaxnet.L_model_forward(X, start() | {"W2": jnp.ones((1, 5))}),
        "layer 2: W2 has shape (1, 5), but layer 1 has 3 units; expected W2 of shape (1, 3)",
    ),
    "a bias that is no column": (
        lambda: jaxnet.L_model_forward(X, start() | {"b1": jnp.ones(3)}),
        "layer 1: b1 has shape (3,), but W1 has shape (3, 4); expected b1 of shape (3, 1), a column",
    ),
    "weights that are no matrix": (
        lambda: jaxnet.L_model_forward(X, start() | {"W1": jnp.ones(3)}),
        "layer 1: W1 has shape (3,); expected (n_1, n_0)",
    ),
    "a missing layer": (
        lambda: jaxnet.L_model_forward(X, {"W1": X, "b1": X, "W3": X, "b3": X}),
        "parameters have the keys W1, b1, W3, b3; expected W1, b1, ..., WL, bL",
    ),
    "no parameters": (lambda: jaxnet.L_model_forward(X, {}), "parameters have the keys none"),
    "shapes in linear_forward": (
        lambda: jaxnet.linear_forward(X, np.ones((2, 4)), np.ones(2)),
        "A has shape (4, 6), W (2, 4) and b (2,); expected (n_prev, m), (n, n_prev) and (n, 1)",
    ),
    "parameters in another place": (
        lambda: jaxnet.predict(X, Y, start()),
        "parameters is of type ndarray; expected a mapping of W1, b1, ..., WL, bL: check the order of the arguments",
    ),
    "parameters in another place of train": (lambda: train(parameters=Y), "parameters is of type ndarray; expected a"),
    "the name of an activation for a network": (
        lambda: jaxnet.L_model_forward(X, start(), "relu"),
        "network is 'relu'; expected a `Network`, such as jaxnet.Network('relu', 'binary_cross_entropy')",
    ),
    "no network for predict": (lambda: jaxnet.predict(X, start(), None), "network is None; expected a `Network`"),
    "no network for cost": (lambda: jaxnet.cost(X, Y, start(), None), "network is None; expected a `Network`"),
    "no network for compute_cost": (lambda: jaxnet.compute_cost(Y / 2, Y, None), "network is None; expected"),
    "no network for train": (lambda: train(network="relu"), "network is 'relu'; expected a `Network`"),
    "no network on the way back": (
        lambda: jaxnet.L_model_backward(Y / 2, Y, jaxnet.L_model_forward(X, start())[1], "relu"),
        "network is 'relu'; expected a `Network`",
    ),
    "no network from a seed": (
        lambda: jaxnet.backpropagate(Y / 2, jaxnet.L_model_forward(X, start())[1], "relu"),
        "network is 'relu'; expected a `Network`",
    ),
    "X that is a list": (
        lambda: jaxnet.predict(X.tolist(), start()),
        "X is of type list; expected an array, (n_x, m): pass jax.numpy.array(X)",
    ),
    "X that is a list for cost": (lambda: jaxnet.cost(X.tolist(), Y, start()), "X is of type list; expected an array"),
    "X that is a list for train": (lambda: train(X=X.tolist()), "X is of type list; expected an array"),
    "X that is a list for the course's model": (
        lambda: jaxnet.L_layer_model(X.tolist(), Y, DIMS),
        "X is of type list; expected an array",
    ),
    "no caches": (lambda: jaxnet.L_model_backward(Y / 2, Y, []), "caches are empty; expected one cache per layer"),
    "no caches for a cotangent": (lambda: jaxnet.backpropagate(Y / 2, []), "caches are empty; expected one cache"),
    "no examples in the cost": (
        lambda: jaxnet.compute_cost(np.ones((1, 0)), Y[:, :0]),
        "there are no examples: the output has shape (1, 0) and Y (1, 0); expected at least one",
    ),
    "no examples in the cost of X": (lambda: jaxnet.cost(X[:, :0], Y[:, :0], start()), "there are no examples"),
    "a seed of another shape": (
        lambda: jaxnet.backpropagate(Y[:, :1] / 2, jaxnet.L_model_forward(X, start())[1]),
        "dZL has shape (1, 1), but the last cache holds a ZL of shape (1, 6)",
    ),
    "AL of another network": (
        lambda: jaxnet.L_model_backward(np.ones((2, 6)) / 2, Y, jaxnet.L_model_forward(X, start())[1]),
        "AL has shape (2, 6), but the last cache holds a ZL of shape (1, 6)",
    ),
    "AL of whole numbers": (
        lambda: jaxnet.compute_cost(np.array([[3, 4]]), np.array([2.5, 3.5])),
        "AL has shape (1, 2) and dtype int32; expected (n_L, m) floats",
    ),
    "parameters of other sizes than layer_dims": (
        lambda: jaxnet.L_layer_model(X, Y, (4, 2, 1), parameters=start()),
        "layer_dims is [4, 2, 1], but the parameters are those of [4, 3, 1]",
    ),
    "too few labels": (
        lambda: jaxnet.cost_and_grads(X, Y[:, :5], start()),
        "Y has shape (1, 5); expected (1, 6), one column per example",
    ),
    "labels in rows": (
        lambda: jaxnet.compute_cost(np.full((3, 6), 1 / 3), np.ones((6, 3)), SOFTMAX),
        "Y has shape (6, 3); expected (3, 6), one column per example; examples are columns: pass Y.T",
    ),
    "class indices for softmax": (
        lambda: train(Y=np.arange(6) % 3, parameters=start((4, 3)), network=SOFTMAX),
        "for class indices pass jax.nn.one_hot(Y.ravel(), 3).T",
    ),
    "columns of Y that are no distributions": (
        lambda: train(Y=np.ones((3, 6)), parameters=start((4, 3)), network=SOFTMAX),
        "column 0 of Y sums to 3; softmax cross-entropy expects columns that sum to 1",
    ),
    "labels above 1": (lambda: train(Y=Y + 1), "labels lie between 1 and 2; expected 0 and 1"),
    "labels below 0": (lambda: train(Y=2 * Y - 1), "labels lie between -1 and 1; expected 0 and 1"),
    "labels that are NaN": (lambda: train(Y=put(Y, np.nan, float)), "Y has 1 entries that are not finite"),
    "labels that are words": (lambda: train(Y=np.full(6, "cat")), "Y has dtype <U3; expected numbers"),
    "images of whole numbers": (
        lambda: train(X=np.uint8(X)),
        "X is uint8; expected floats: for images of 0 to 255",
    ),
    "whole numbers under jit": (
        lambda: jax.jit(jaxnet.predict)(np.uint8(X), start()),
        "X is uint8; expected floats: for images of 0 to 255 pass X / 255",
    ),
    "images that are not flat": (
        lambda: train(X=np.ones((6, 2, 2, 1))),
        "X has shape (6, 2, 2, 1); expected (n_x, m), one column an example: for images",
    ),
    "no examples": (lambda: train(X=X[:, :0], Y=Y[:, :0]), "X has shape (4, 0), which is empty"),
    "NaN in X": (
        lambda: train(X=put(X, np.nan)),
        "X has 1 entries that are not finite, the first is X[0, 1] = nan (input 0); expected finite numbers",
    ),
    "infinity in X": (lambda: jaxnet.L_layer_model(put(X, np.inf), Y, DIMS), "the first is X[0, 1] = inf"),
    "NaN in the parameters": (
        lambda: train(parameters=start() | {"W2": jnp.full((1, 3), jnp.nan)}),
        "W2 has 3 entries that are not finite",
    ),
    "whole-numbered parameters": (
        lambda: train(parameters=start() | {"b2": jnp.ones((1, 1), int)}),
        "b2 is int32; expected floats",
    ),
    "parameters for other inputs": (lambda: train(X=X[:3]), "layer 1: W1 takes 4 inputs, but X has shape (3, 6)"),
    "a batch larger than the data": (
        lambda: train(batch_size=7, key=jax.random.key(0)),
        "batch_size is 7; expected 1 to 6, the number of examples",
    ),
    "minibatches without a key": (lambda: train(batch_size=2), "pass key=jax.random.key(0)"),
    "an unknown activation": (
        lambda: jaxnet.Network("swish"),
        "activation is 'swish'; expected an `Activation` or one of relu, leaky_relu, sigmoid",
    ),
    "an unknown loss": (lambda: jaxnet.Network(loss="hinge"), "loss is 'hinge'; expected a `Loss` or one of binary"),
    "an unknown init": (
        lambda: jaxnet.initialize_parameters_deep(DIMS, key=jax.random.key(0), init="kaiming"),
        "init is 'kaiming'; expected a number from 0 or one of lecun, he, xavier",
    ),
    "sizes of layers": (lambda: start((4, 0)), "layer_dims is [4, 0]; expected at least two positive integers"),
    "no sizes for the course's model": (
        lambda: jaxnet.L_layer_model(X, Y, ()),
        "layer_dims is []; expected at least two positive integers",
    ),
    "no layer": (lambda: start((4,)), "layer_dims is [4]; expected at least two positive integers"),
}


@pytest.mark.parametrize("name", PYTHON)
def test_mistake_in_python(name, no_shape_checks):
    call, message = PYTHON[name]
    with pytest.raises(jaxnet.InputError) as raised:
        call()
    assert message in str(raised.value)


def images(**kwargs):
    return dict(zip(("X", "Y"), drawn_images(12, **kwargs), strict=True))


def truncated(path, keep=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    return path


def saved_model(folder, edit=None):
    folder.mkdir(exist_ok=True)
    path = folder / "model.safetensors"
    jaxnet.save_model(path, drawn_model())
    if edit:
        metadata = {
            "jaxnet_format": 1,
            "jaxnet_version": "0",
            "layer_dims": [12, 5, 3],
            "hidden": "relu",
            "loss": "softmax_cross_entropy",
            "input_shape": [2, 2, 3],
            "classes": ["a", "b", "c"],
            "scale": 1.0,
        }
        metadata = {name: json.dumps(value) for name, value in (metadata | edit).items() if value is not None}
        save_file({name: np.asarray(value) for name, value in drawn_model().parameters.items()}, path, metadata)
    return path


def softmax_of_one(folder):
    jaxnet.save_model(folder / "m.safetensors", drawn_model(parameters=start((12, 1)), classes=("a", "b")))
    return folder / "m.safetensors"


def text(path, content="not an image"):
    path.write_text(content)
    return path


def npy_named_npz(folder):
    np.save(folder / "a.npy", X)
    return (folder / "a.npy").rename(folder / "a.npz")


def h5_with_classes(folder, names):
    path = write_h5(folder / "a.h5", "train", *drawn_images(12))
    with h5py.File(path, "a") as file:
        del file["list_classes"]
        file["list_classes"] = names
    return path


def named(folder, classes):
    return ["train", write_npz(folder / "a.npz", **images(), classes=np.array(classes))]


# What is typed, given an empty folder, and what is answered.
COMMANDS = {
    "no such file": (lambda d: ["train", d / "none.h5"], "none.h5 does not exist"),
    "a file of unknown kind": (
        lambda d: ["train", text(d / "a.txt")],
        "ends in '.txt'; expected an .h5 or .npz file, a folder of images or",
    ),
    "an empty folder": (
        lambda d: ["train", d],
        "expected at least two classes: a subfolder of images for each class",
    ),
    "an h5 file that is none": (lambda d: ["train", text(d / "a.h5")], "cannot be read as an HDF5 file"),
    "an h5 file cut off": (
        lambda d: ["train", truncated(write_h5(d / "train_a.h5", "train", *drawn_images(12)))],
        "cannot be read as an HDF5 file",
    ),
    "an h5 file without the course's names": (
        lambda d: ["train", write_h5(d / "a.h5", "other", *drawn_images(12))],
        "has no train_set_x and no train_set_y; it has list_classes, other_set_x, other_set_y",
    ),
    "an npz file that is none": (lambda d: ["train", text(d / "a.npz")], "cannot be read as an .npz file"),
    "an npz file cut off": (lambda d: ["train", truncated(write_npz(d / "a.npz", **images()))], "cannot be read as"),
    "an npy file named npz": (
        lambda d: ["train", npy_named_npz(d)],
        "holds one array, as an .npy file does; expected np.savez(path, X=X, Y=Y)",
    ),
    "an npz file with pickles": (
        lambda d: ["train", write_npz(d / "a.npz", X=np.array([{}]), Y=np.array([1]))],
        "X is object, not a plain array of numbers or of text, and would need a pickle",
    ),
    "an npz file without X": (
        lambda d: ["train", write_npz(d / "a.npz", Z=X)],
        "has the arrays Z; expected X and Y, or train_x, train_y, test_x and test_y",
    ),
    "fewer labels than images": (
        lambda d: ["train", write_npz(d / "a.npz", X=images()["X"], Y=Y[0, :5])],
        "12 examples, but labels of shape (5,); expected (12,), one per column of X",
    ),
    "one class only": (
        lambda d: ["train", write_npz(d / "a.npz", X=images()["X"], Y=np.ones(12))],
        "all 12 labels are 1; expected at least two classes",
    ),
    "a class of one image": (
        lambda d: ["train", write_npz(d / "a.npz", X=images()["X"], Y=np.arange(12) == 3)],
        "class 1 has 1 example; expected at least two",
    ),
    "labels between classes": (
        lambda d: ["train", write_npz(d / "a.npz", X=images()["X"], Y=np.linspace(0, 1, 12))],
        "are not whole numbers; expected one per class",
    ),
    "names of other classes": (
        lambda d: ["train", write_npz(d / "a.npz", **images(), classes=np.array(["a", "b", "c"]))],
        "3 names of classes, but the labels are [0, 1]",
    ),
    "one name of a class": (
        lambda d: named(d, "cat"),
        "the names of classes have dtype <U3 and shape (); expected one text per class, (classes,)",
    ),
    "numbers for names": (lambda d: named(d, [3, 7]), "the names of classes have dtype int64 and shape (2,); expected"),
    "names that cannot be printed": (
        lambda d: named(d, ["cat", "\x1b[2J"]),
        "the names of classes are ['cat', '\\x1b[2J']; expected different, printable ones",
    ),
    "names that are no UTF-8": (lambda d: named(d, [b"cat", b"\xff"]), "the names of classes are [b'cat', b'\\xff']"),
    "an empty name": (lambda d: named(d, ["cat", " "]), "the names of classes are ['cat', ' ']; expected different"),
    "one name twice": (
        lambda d: named(d, ["cat", "cat"]),
        "the names of classes are ['cat', 'cat']; expected different",
    ),
    "an h5 file with one number for the names": (
        lambda d: ["train", h5_with_classes(d, 2)],
        "the names of classes have dtype int64 and shape (); expected one text per class",
    ),
    "an h5 file with numbers for the names": (
        lambda d: ["train", h5_with_classes(d, [0, 1])],
        "the names of classes have dtype int64 and shape (2,); expected one text per class",
    ),
    "labels of more than 64 bits": (
        lambda d: [
            "train",
            write_npz(d / "a.npz", X=images()["X"], Y=np.uint64(2**64 - 1) * np.uint64(Y[0, [0, 1] * 6])),
        ],
        "labels lie between 0 and 1.84467e+19; expected at most 2^53",
    ),
    "labels that are huge floats": (
        lambda d: ["train", write_npz(d / "a.npz", X=images()["X"], Y=-1e300 * Y[0, [0, 1] * 6])],
        "labels lie between -1e+300 and -0; expected at most 2^53",
    ),
    "labels that are text": (
        lambda d: ["train", write_npz(d / "a.npz", X=images()["X"], Y=np.array(["0", "1"] * 6))],
        "labels are <U1; expected whole numbers, one per class",
    ),
    "test images of another type": (
        lambda d: ["train", write_npz(d / "a.npz", train_x=np.uint8(X), train_y=Y, test_x=X, test_y=Y)],
        "training inputs are uint8, test inputs float32; expected one",
    ),
    "no images": (
        lambda d: ["train", write_npz(d / "a.npz", X=np.zeros((0, 4, 4), np.uint8), Y=np.zeros(0))],
        "the inputs have shape (0, 4, 4), which is empty",
    ),
    "images with four channels": (
        lambda d: ["train", write_npz(d / "a.npz", **images(shape=(3, 3, 4)))],
        "the inputs have shape (12, 3, 3, 4); expected images (m, height, width)",
    ),
    "images of int64": (
        lambda d: ["train", write_npz(d / "a.npz", X=images()["X"].astype(int), Y=images()["Y"])],
        "the inputs are int64; expected uint8 pixels or floats",
    ),
    "images of floats up to 255": (
        lambda d: ["train", write_npz(d / "a.npz", X=images()["X"].astype(float), Y=images()["Y"])],
        "expected 0 to 1, or uint8",
    ),
    "NaN in the inputs": (
        lambda d: ["train", write_npz(d / "a.npz", X=put(X, np.nan), Y=Y)],
        "1 input values are NaN or infinite; expected finite numbers",
    ),
    "a test label that was never trained on": (
        lambda d: ["train", write_npz(d / "a.npz", train_x=X, train_y=Y, test_x=X, test_y=3 * Y)],
        "the test label 3 is not among the training labels [0, 1]",
    ),
    "test images of another size": (
        lambda d: ["train", write_npz(d / "a.npz", train_x=X, train_y=Y, test_x=X[1:], test_y=Y)],
        "training inputs have shape (4,), test inputs (3,)",
    ),
    "idx files cut off": (
        lambda d: [
            "train",
            truncated(
                write_idx(d / "i", drawn_images(9, (4, 4)), drawn_images(9, (4, 4)), packed=False)
                / "train-images-idx3-ubyte"
            ).parent,
        ],
        "is not an idx file of bytes, or is cut off",
    ),
    "a packed idx file cut off": (
        lambda d: [
            "train",
            truncated(
                write_idx(d / "i", drawn_images(9, (4, 4)), drawn_images(9, (4, 4))) / "t10k-images-idx3-ubyte.gz"
            ).parent,
        ],
        "cannot be read as an idx file",
    ),
    "a run folder that is in use": (
        lambda d: ["train", "--out", text(d / "notes.txt").parent],
        "exists and is not empty; choose another --out, or pass --overwrite to replace it\n",
    ),
    "a run that can go on": (
        lambda d: ["train", "--out", text(d / "settings.toml").parent],
        "pass --overwrite to replace it; `jaxnet train --resume --out ",
    ),
    "a run folder that is a file": (lambda d: ["train", "--out", text(d / "a")], "is a file; expected a folder"),
    "a folder below a file": (
        lambda d: ["train", "--out", text(d / "a") / "run"],
        "run cannot be made: [Errno 20] Not a directory",
    ),
    "layers larger than any machine": (
        lambda d: ["train", "--layers", "999999999"],
        "layers of 625, 999999999, 1 units need at least 7,566.1 GiB for 150 examples, and this machine has",
    ),
    "a batch larger than the data": (
        lambda d: ["train", "--batch-size", "151"],
        "batch_size is 151; expected 1 to 150",
    ),
    "no such model": (
        lambda d: ["predict", d / "m", text(d / "a.png")],
        "m is not a file; expected a model.safetensors",
    ),
    "a model cut off": (
        lambda d: ["predict", truncated(saved_model(d)), text(d / "a.png")],
        "cannot be read as a safetensors file, or is cut off",
    ),
    "an image in the place of the model": (
        lambda d: ["predict", text(d / "a.png"), text(d / "m.safetensors")],
        "a.png is an image by its name; expected a model.safetensors or a run's folder: MODEL first",
    ),
    "a model that is no safetensors": (
        lambda d: ["predict", text(d / "m.safetensors"), text(d / "a.png")],
        "cannot be read as a safetensors file, or is cut off",
    ),
    "a safetensors file of something else": (
        lambda d: ["predict", (save_file({"x": X}, d / "m.safetensors"), d / "m.safetensors")[1], text(d / "a.png")],
        "not a model of jaxnet: its metadata has no jaxnet_format",
    ),
    "a model of a newer jaxnet": (
        lambda d: ["predict", saved_model(d, {"jaxnet_format": 99, "jaxnet_version": "7.0"}), text(d / "a.png")],
        "has format 99, from jaxnet 7.0; this is jaxnet",
    ),
    "a model without its classes": (
        lambda d: ["predict", saved_model(d, {"classes": None}), text(d / "a.png")],
        "the metadata lacks classes",
    ),
    "a model that contradicts itself": (
        lambda d: ["predict", saved_model(d, {"layer_dims": [1, 1]}), text(d / "a.png")],
        "layer_dims says [1, 1], but the arrays are those of [12, 5, 3]",
    ),
    "a model of columns asked for images": (
        lambda d: ["predict", saved_model(d, {"input_shape": [12]}), text(d / "a.png")],
        "was trained on columns of 12 numbers, not on images",
    ),
    "a model without probabilities": (
        lambda d: ["predict", saved_model(d, {"loss": "squared_error"}), text(d / "a.png")],
        "was trained on squared_error, so its outputs are not probabilities of classes",
    ),
    "a softmax of one output": (
        lambda d: ["predict", softmax_of_one(d), text(d / "a.png")],
        "has a softmax of one output, which is always 1 and cannot tell classes apart",
    ),
    "augmentation of what is not an image": (
        lambda d: ["train", write_npz(d / "a.npz", X=X, Y=Y), "--augment"],
        "input_shape is (4,); expected (height, width) or (height, width, 3): only images are augmented",
    ),
    "features of what is not an image": (
        lambda d: ["train", write_npz(d / "a.npz", X=X, Y=Y), "--features", "hog"],
        "features are of images, (height, width) or (height, width, 3), but inputs are (4,)",
    ),
    "features of tiny images": (
        lambda d: ["train", write_npz(d / "a.npz", **images()), "--features", "hog"],
        "expected 8 to 4096 pixels a side, for features",
    ),
    "no mirror images of nothing": (
        lambda d: ["train", write_npz(d / "a.npz", X=X, Y=Y), "--no-flip"],
        "--no-flip is about --augment; pass both or neither",
    ),
    "the average of one": (
        lambda d: ["average", saved_model(d), "--out", "a.safetensors"],
        "to average; expected two models or more",
    ),
    "the average of different models": (
        lambda d: ["average", saved_model(d / "a"), saved_model(d / "b", {"hidden": "relu"}), "--out", "a.safetensors"],
        "model 1 has hidden gelu, and model 2 relu; expected the same",
    ),
    "no such image": (lambda d: ["predict", saved_model(d), d / "a.png"], "a.png is not a file; expected an image"),
    "a check without a layer": (lambda d: ["check", "--layers", "3"], "expected the inputs and at least one layer"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_mistake_on_the_command_line(name, tmp_path, capsys, monkeypatch, no_shape_checks):
    given, cwd = tmp_path / "given", tmp_path / "cwd"
    given.mkdir(), cwd.mkdir()
    monkeypatch.chdir(cwd)
    command, message = COMMANDS[name]
    arguments = list(map(str, command(given)))
    before = sorted(given.rglob("*"))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxnet: error: ") and message in error
    assert "Traceback" not in error
    assert sorted(given.rglob("*")) == before and not list(cwd.iterdir())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "--layers", "20", "0"], "'0' is not a positive whole number"),
        (["train", "--layers", "2", "3", "a.npz"], "DATA goes before --layers: jaxnet train a.npz --layers ..."),
        (["train", "--learning-rate", "-1"], "'-1' is not a positive number"),
        (["train", "--test-fraction", "1"], "'1' is not a number between 0 and 1"),
        (["train", "--keep-prob", "0"], "'0' is not a number above 0 and up to 1"),
        (["train", "--learning-rate", "nan"], "'nan' is not a positive number"),
        (["train", "--hidden", "swish"], "invalid choice: 'swish'"),
        (["predict", "model"], "the following arguments are required: IMAGE"),
        (["train", "--layers", "99999999999"], "'99999999999' is not a positive whole number of at most nine digits"),
        (["train", "--seed", "-5"], "'-5' is not a whole number from 0 to 999999999"),
        (["check", "--seed", "99999999999999999999"], "is not a whole number from 0 to 999999999"),
        (["fly"], "invalid choice: 'fly'"),
        (["train", "--epcohs", "5"], "jaxnet train: error: unrecognized arguments: --epcohs; did you mean --epochs?"),
        (["train", "--optimiser=adam"], "unrecognized arguments: --optimiser=adam; did you mean --optimizer?"),
        (["predict", "m", "a.png", "--frobnicate"], "unrecognized arguments: --frobnicate\n(jaxnet predict --help"),
        (["train", "--layers", "512,128"], "units are typed apart: --layers 512 128"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_mistyped_command(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
