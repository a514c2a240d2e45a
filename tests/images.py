"""Small data made by the tests, in the formats that people bring."""

import gzip
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
from PIL import Image


def drawn_images(m: int, shape: tuple[int, ...] = (6, 5, 3), classes: int = 2, seed: int = 0):
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


def save_image(path: Path, colour=(200, 100, 50), size=(8, 6), mode: str = "RGB", **options) -> Path:
    """An image file of one colour; folders that it stands in are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def save_class(folder: Path, m: int = 4, shade: int = 0, form: str = "{}.png") -> list[Path]:
    """`m` images, of which no two are the same."""
    return [save_image(folder / form.format(i), (shade, 10 * i, 0)) for i in range(m)]


def save_cats_and_dogs(folder: Path, m: int = 4) -> Path:
    """A subfolder a class, `m` images in each."""
    save_class(folder / "cat", m, shade=60)
    save_class(folder / "dog", m, shade=190)
    return folder


def png(width: int, height: int, data: bytes = b"", mistake: int = 0) -> bytes:
    """A PNG file of grey pixels by hand, whatever its header promises; `mistake` is added to the checksum of data."""

    def chunk(name: bytes, content: bytes, mistake: int = 0) -> bytes:
        checksum = (zlib.crc32(name + content) + mistake) % 2**32
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data), mistake) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    """The first bytes of a GIF file, with one frame as large as its header promises."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def webp(width: int, height: int) -> bytes:
    """A lossless WebP file of nothing but its header."""
    bits = (width - 1) | (height - 1) << 14
    stream = b"\x2f" + struct.pack("<I", bits) + bytes(11)
    return b"RIFF" + struct.pack("<I", 12 + len(stream)) + b"WEBPVP8L" + struct.pack("<I", len(stream)) + stream
