"""The memory that `jaxnet train` takes at most, on a folder of images and on one of ten times as many.

    python -m tests.benchmarks.memory [--images N]

Draws N and 10 N images of 96 x 80 pixels, trains on each in a process of its own, and prints the peak of its resident
memory, decoding included. Needs the resource module of POSIX systems.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image


TRAIN = ["--layers", "32", "--num-iterations", "300", "--batch-size", "128"]
CHILD = """
import resource, sys
from jaxnet.cli import main
code = main(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(f"\\npeak {peak:.0f}")
sys.exit(code)
"""


def draw_images(folder: Path, count: int) -> None:
    generator = np.random.default_rng(0)
    for i in range(count):
        path = folder / ("cat", "dog")[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((96, 80)).save(path)


def peak_of_training(folder: Path, place: Path) -> int:
    """In MiB."""
    command = [sys.executable, "-c", CHILD, "train", str(folder), "--out", str(place / "run"), *TRAIN]
    environment = os.environ | {"JAXNET_CACHE": str(place / "cache")}
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return int(answer.stdout.rsplit("peak ", 1)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000, metavar="N")
    count = parser.parse_args().images
    for images in (count, 10 * count):
        with tempfile.TemporaryDirectory() as place:
            draw_images(Path(place) / "images", images)
            print(f"{images:6} images: {peak_of_training(Path(place) / 'images', Path(place))} MiB", flush=True)


if __name__ == "__main__":
    main()
