"""What `jaxnet train DATA` reaches with no option, beside scikit-learn's MLPClassifier with none on the same split.

    python examples/first_numbers.py [MNIST] [--seeds 3]

MNIST is a folder with its idx files; the other data come with scikit-learn and scikit-image, and what is not there is
left out. Every seed divides the data anew, MNIST apart, and draws new weights. Accuracy on the test examples:

    MNIST                             0.983   MLPClassifier 0.980, means of three seeds
    digits, 10 classes of 8x8         0.987   MLPClassifier 0.981, means of five seeds
    folder, 3 classes of 64x64        0.985   MLPClassifier 0.971, means of three seeds
    lfw_subset, 2 classes of 25x25    0.973   MLPClassifier 0.973, means of three seeds
"""

import argparse
import importlib.util
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxnet.data import load_dataset


class Result(NamedTuple):
    """Of one seed."""

    accuracy: float
    seconds: float  # of the command as a whole: reading, training, checking, the report
    cpu_seconds: float


def digits(folder: Path) -> Path:
    """1,797 digits of 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    np.savez(folder / "digits.npz", X=np.float32(found.images / 16), Y=found.target)
    return folder / "digits.npz"


def three_classes(folder: Path) -> Path:
    """A folder of images for each of 3, 5 and 8, which are read as 64 x 64 pixels in three colours."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    for i, (image, name) in enumerate(zip(found.images, found.target, strict=True)):
        if name in (3, 5, 8):
            (folder / "images" / str(name)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.uint8(image * 255 / 16)).save(folder / "images" / str(name) / f"{i}.png")
    return folder / "images"


def faces(folder: Path) -> Path:
    """The 200 photographs of the demo, faces or not, as data like any other."""
    from skimage.data import lfw_subset

    np.savez(folder / "faces.npz", X=np.float32(lfw_subset()), Y=np.arange(200) < 100)
    return folder / "faces.npz"


SOURCES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "digits, 10 classes of 8x8": ("sklearn", digits),
    "folder, 3 classes of 64x64": ("sklearn", three_classes),
    "lfw_subset, 2 classes of 25x25": ("skimage", faces),
}


def train(data: Path, seed: int, out: Path, options: list[str]) -> Result:
    """`jaxnet train` in a process of its own."""
    command = [sys.executable, "-m", "jaxnet", "train", str(data), "--seed", str(seed), "--out", str(out), *options]
    start, before = time.perf_counter(), _cpu_seconds()
    environment = os.environ | {"JAXNET_CACHE": str(out.parent / "cache")}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(answer.stderr)
    accuracy = re.search(r"^accuracy .*test ([\d.]+)", answer.stdout, re.MULTILINE)
    assert accuracy is not None, answer.stdout
    return Result(float(accuracy.group(1)), time.perf_counter() - start, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    """Of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def scikit_learn(data: Path, seed: int, cache: Path, **options: int) -> float:
    """The test accuracy of MLPClassifier on the examples of the same seed."""
    from sklearn.neural_network import MLPClassifier

    dataset = load_dataset(data, test_fraction=0.25, seed=seed, cache=cache)
    train, test = ((_inputs(part.rows[:]), part.labels) for part in (dataset.train, dataset.test))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged after 200 epochs
        return float(MLPClassifier(random_state=seed, **options).fit(*train).score(*test))


def _inputs(rows: np.ndarray) -> np.ndarray:
    return np.float32(rows / 255) if rows.dtype == np.uint8 else rows


def sources(mnist: Path | None, folder: Path) -> Iterator[tuple[str, Path]]:
    """The data that are there."""
    if mnist is not None:
        yield "MNIST, 10 classes of 28x28", mnist
    for name, (package, make) in SOURCES.items():
        if importlib.util.find_spec(package) is None:
            print(f"{name:<32} left out: pip install {'scikit-learn' if package == 'sklearn' else 'scikit-image'}")
        else:
            yield name, make(folder)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", nargs="?", type=Path, help="a folder with MNIST's idx files")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--quick", action="store_true", help="one seed and ten steps: does it run?")
    options = parser.parse_args(arguments)
    seeds, short = (1, ["--num-iterations", "10"]) if options.quick else (options.seeds, [])
    print(f"{'data':<32} {'seconds':>7} {'CPU s':>6}   {'jaxnet train':<28} {'MLPClassifier':<28}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, data in sources(options.mnist, folder):
            ours = [train(data, seed, folder / f"{name[:5]}{seed}", short) for seed in range(1, seeds + 1)]
            theirs = []
            if importlib.util.find_spec("sklearn") is not None:
                most = {"max_iter": 1} if options.quick else {}
                theirs = [scikit_learn(data, seed, folder / "cache", **most) for seed in range(1, seeds + 1)]
            seconds, cpu = (np.mean([result[i] for result in ours]) for i in (1, 2))
            shown = [_shown([result.accuracy for result in ours]), _shown(theirs)]
            print(f"{name:<32} {seconds:>7.0f} {cpu:>6.0f}   {shown[0]:<28} {shown[1]:<28}", flush=True)


def _shown(accuracies: list[float]) -> str:
    """The mean, and each."""
    each = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
    return f"{np.mean(accuracies):.4f} ({each})" if accuracies else "scikit-learn is not there"


if __name__ == "__main__":
    main()
