"""Small data made by the tests, in the formats that people bring."""

import gzip
import struct
from pathlib import Path

import h5py
import numpy as np


def drawn_pictures(m: int, shape: tuple[int, ...] = (6, 5, 3), classes: int = 2, seed: int = 0):
    """Pixels of 0 to 255 that are brighter in later classes, and labels 0, 1, ... in turn."""
    generator = np.random.default_rng(seed)
    labels = np.arange(m) % classes
    noise = generator.integers(0, 60, (m, *shape))
    bright = (labels * 180 // (classes - 1)).reshape(-1, *[1] * len(shape))
    return np.uint8(noise + bright), labels


def write_npz(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def write_h5(path: Path, split: str, images: np.ndarray, labels: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file[f"{split}_set_x"], file[f"{split}_set_y"] = images, labels
        file["list_classes"] = np.array([b"dark", b"bright"])
    return path


def write_idx(folder: Path, train, test, packed: bool = True) -> Path:
    """MNIST's four files."""
    folder.mkdir(exist_ok=True)
    for name, (images, labels) in {"train": train, "t10k": test}.items():
        for kind, values in ((f"{name}-images-idx3-ubyte", images), (f"{name}-labels-idx1-ubyte", labels)):
            content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            content += np.uint8(values).tobytes()
            if packed:
                (folder / f"{kind}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / kind).write_bytes(content)
    return folder
