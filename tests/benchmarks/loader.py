"""Images of a folder as batches of float32 columns: jaxnet's cache against `torch.utils.data.DataLoader`.

    python -m tests.benchmarks.loader [--images FOLDER] [--rounds N] [--json FILE]

An epoch is every image once, in random order, 128 a batch, at 64 x 64 pixels, scaled to 0 ... 1. jaxnet's first epoch
decodes all images into an empty cache and then reads them from there; later ones begin with the dataset loaded.
DataLoader decodes in every epoch, with 2 workers that stay: `torch` decodes in full with Pillow, as people write it,
`torch_draft` calls jaxnet's own `read_image`, so that the decoding is the same. All files are in the system's memory,
and importing is not timed. It ends by saying whether jaxnet is at least as fast at first and 5 times as fast later.
"""

import argparse
import atexit
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxnet.data import Examples, load_dataset, read_image
from jaxnet.data.preprocessing import Preprocessing

from . import harness


SHAPE = (64, 64, 3)
BATCH = 128
WORKERS = 2
LEAST = {"first epoch": 1.0, "later epoch": 5.0}  # torch / jaxnet, in seconds
FOLDER = "JAXNET_BENCHMARK_IMAGES"  # how the workers are told
IMAGES = Path(os.environ.get("JAXNET_DATA", Path(__file__).parents[3] / "shared" / "data")) / "photos"
CASES = {case: case for case in LEAST}


def prepare_jaxnet(case: str) -> Callable[[int], float]:
    import grain  # noqa: F401, which is imported before the clock runs, as torch is
    import PIL.Image  # noqa: F401

    generator = np.random.default_rng(0)
    cache = tempfile.TemporaryDirectory()
    atexit.register(cache.cleanup)  # which also keeps it until then

    def load(cache: str) -> list[Examples]:
        dataset = load_dataset(Path(os.environ[FOLDER]), test_fraction=0.2, seed=0, size=SHAPE[0], cache=Path(cache))
        return [dataset.train, dataset.test]

    def walk(parts: list[Examples]) -> int:
        seen = 0
        for examples in parts:
            order = generator.permutation(len(examples.labels))
            for start in range(0, len(order), BATCH):
                seen += Preprocessing().columns(examples.rows[order[start : start + BATCH]]).shape[1]
        return seen

    loaded = load(cache.name) if case == "later epoch" else None

    def run(n: int) -> float:
        seen = 0
        for _ in range(n):
            with tempfile.TemporaryDirectory() as empty:
                seen += walk(loaded or load(empty))
        return seen / n

    return run


def decoded_in_full(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        resized = image.convert("RGB").resize(SHAPE[1::-1], Image.Resampling.BICUBIC)
        return np.asarray(resized).reshape(-1)


def decoded_as_jaxnet_does(path: Path) -> np.ndarray:
    return read_image(path, SHAPE).ravel()


class Images:
    """What a DataLoader asks for examples."""

    def __init__(self, decode: Callable[[Path], np.ndarray]):
        self.decode = decode
        self.paths = sorted(Path(os.environ[FOLDER]).rglob("*.jpg"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> np.ndarray:
        return self.decode(self.paths[place]).astype(np.float32) * np.float32(1 / 255)


def prepare_torch(decode: Callable[[Path], np.ndarray]) -> Callable[[int], float]:
    from torch.utils.data import DataLoader

    loader = DataLoader(Images(decode), batch_size=BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True)

    def run(n: int) -> float:
        return sum(batch.T.shape[1] for _ in range(n) for batch in loader) / n

    return run


CONTENDERS = {
    "jaxnet": prepare_jaxnet,
    "torch": lambda case: prepare_torch(decoded_in_full),
    "torch_draft": lambda case: prepare_torch(decoded_as_jaxnet_does),
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--images", type=Path, default=IMAGES, help="a folder of JPEG files, a subfolder a class")
    chosen, others = parser.parse_known_args()
    os.environ[FOLDER] = str(chosen.images)
    sys.argv[1:] = others
    count = len(sorted(chosen.images.rglob("*.jpg")))
    print(f"{count} images of {chosen.images.name}")
    rows = harness.main(__doc__, __spec__.name, CASES, CONTENDERS)
    print("\nimages a second, and torch / jaxnet:")
    for row in rows:
        verdict = ""
        if row["contender"] != "jaxnet":
            least = LEAST[row["case"]]
            verdict = f">= {least}: {'holds' if row['ratio'] >= least else 'does not hold'}"
        print(f"{row['case']:<14}{row['contender']:<12}{count / row['median']:12,.0f}{row['ratio']:8.2f}   {verdict}")
