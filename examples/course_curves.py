"""The course's two published training curves, digit for digit, in float64.

    python examples/course_curves.py DIR [--plot curves.png]

DIR holds the course's train_catvnoncat.h5 and test_catvnoncat.h5, and published_curves.json: the costs that public
notebooks of the course print. Prints, for each network, the largest difference to a published cost and both
accuracies: 8e-15 with 1.0 and 0.72 for 12288-7-1, 2e-16 with 0.98565 and 0.80 for 12288-20-7-5-1.

The initial weights are drawn by NumPy, since no JAX key draws the numbers of `np.random.seed(1)`.
"""

import argparse
import json
from pathlib import Path

import h5py
import jax
import numpy as np

import jaxnet


def read(directory: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    with h5py.File(directory / f"{split}_catvnoncat.h5") as file:
        images, labels = file[f"{split}_set_x"][:], file[f"{split}_set_y"][:]
    return images.reshape(len(images), -1).T / 255.0, labels.reshape(1, -1)


def published_start(layer_dims: list[int]) -> jaxnet.FrozenDict:
    """The course's initial weights: times 0.01 in its 2-layer network, over sqrt(n_prev) in its L-layer network."""
    np.random.seed(1)
    parameters = {}
    for l in range(1, len(layer_dims)):
        n, n_prev = layer_dims[l], layer_dims[l - 1]
        scale = 0.01 if len(layer_dims) == 3 else 1 / np.sqrt(n_prev)
        parameters[f"W{l}"] = np.random.randn(n, n_prev) * scale
        parameters[f"b{l}"] = np.zeros((n, 1))
    return jaxnet.FrozenDict(parameters)


def accuracy(X: np.ndarray, Y: np.ndarray, parameters: jaxnet.FrozenDict) -> float:
    return float(np.mean(np.asarray(jaxnet.predict(X, parameters)) == Y))


def reproduce(published: dict, directory: Path, learning_rate: float, num_iterations: int) -> dict:
    """Trains one of the two networks as the notebooks do, and compares."""
    X, Y = read(directory, "train")
    parameters, costs = jaxnet.L_layer_model(
        X,
        Y,
        published["layer_dims"],
        learning_rate,
        num_iterations,
        parameters=published_start(published["layer_dims"]),
    )
    printed = np.array([float(cost) for cost in published["costs_as_printed"]])
    return {
        "name": "-".join(map(str, published["layer_dims"])),
        "iterations": published["iterations"],
        "costs": np.array(costs),
        "differences": np.abs(np.array(costs) - printed),
        "train_accuracy": accuracy(X, Y, parameters),
        "test_accuracy": accuracy(*read(directory, "test"), parameters),
        "published_accuracies": (float(published["train_accuracy"]), float(published["test_accuracy"])),
    }


def reproduce_all(directory: Path) -> list[dict]:
    curves = json.loads((directory / "published_curves.json").read_text())
    with jax.enable_x64(True):
        return [
            reproduce(model, directory, curves["learning_rate"], curves["num_iterations"]) for model in curves["models"]
        ]


def plot(results: list[dict], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for result in results:
        label = f"{result['name']}, test accuracy {result['test_accuracy']:.2f}"
        axes.plot(result["iterations"], result["costs"], "o-", markersize=3, label=label)
    axes.set(xlabel="iteration", ylabel="cost", title="Cats or not: the course's training curves, learning rate 0.0075")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--plot", type=Path, default=Path("course_curves.png"), metavar="FILE")
    options = parser.parse_args()
    results = reproduce_all(options.directory)
    for result in results:
        last = int(np.argmax(result["differences"]))
        print(
            f"{result['name']}: costs differ by at most {result['differences'].max():.1e} "
            f"(iteration {result['iterations'][last]}), median {np.median(result['differences']):.1e}; accuracy "
            f"train {result['train_accuracy']:.5f} (published {result['published_accuracies'][0]:.5f}), "
            f"test {result['test_accuracy']:.2f} (published {result['published_accuracies'][1]:.2f})"
        )
    plot(results, options.plot)
    print(f"curves drawn in {options.plot}")


if __name__ == "__main__":
    main()
