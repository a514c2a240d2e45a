"""One image file, JPEG, PNG, WebP, GIF, BMP or TIFF of any size and mode, as 8-bit pixels of the size wanted."""

import errno
import hashlib
import io
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError
from ..storage import open_file
from ..text import printable


FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # and no other: fewer parsers to attack, none that runs code
MOST_PIXELS = 2**26  # of a file, by its header: beyond, decoding would fill the memory
MOST_BYTES = 2**30  # of a file as it is: MOST_PIXELS of any kind take less
HASHED = 2**18  # bytes of a file are hashed at a time
MOST_IN_FLIGHT = 2**30  # bytes for everything being decoded at a time, whatever the number of processors
COPIES = 16  # bytes per pixel: at most four copies are alive at once, of four bytes each
COEFFICIENTS = 8  # bytes per pixel: up to four channels of 16-bit coefficients
OF_THE_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # errors that are not the image's fault
DRAFT = 2  # JPEG files are decoded at the smallest scale of at least this many times the size wanted


class Decoded(NamedTuple):
    """The outcome of decoding an image file."""

    pixels: UInt8[np.ndarray, " n_x"] | None  # row after row
    size: tuple[int, int]  # width and height of the file
    content: str  # the file's SHA-256, or why it could not be read
    problem: str = ""  # the reason, where there are no pixels


def read_pixels(path: Path, input_shape: tuple[int, ...]) -> UInt8[np.ndarray, " n_x"]:
    """An image file as the pixels of one example: turned upright, laid on white, resized (bicubic, not cropped).

    `input_shape` is (height, width) or (height, width, 3). Of an animation or a file of several pages the first is
    taken. Raises `InputError` for a file that is not an image, is damaged, or has more than `MOST_PIXELS`.

    Example:
        >>> import pathlib
        >>> from PIL import Image
        >>> path = pathlib.Path("red.png")
        >>> Image.new("RGB", (20, 10), "red").save(path)
        >>> jaxnet.data.read_pixels(path, (1, 2, 3))
        array([255,   0,   0, 255,   0,   0], dtype=uint8)
    """
    with quiet_decoders():
        image = try_image(path, input_shape)
    if image.pixels is None:
        raise InputError(f"{path} cannot be read as an image: {image.problem}")
    return image.pixels


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Silences warnings about odd but readable files. Filters belong to the process, so start threads inside.

    Example:
        >>> import warnings
        >>> with jaxnet.data.quiet_decoders():
        ...     warnings.warn("odd EXIF data")
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def try_image(path: Path, input_shape: tuple[int, ...]) -> Decoded:
    """The decoded image, or the reason why there is none. Raises `InputError` where the machine is at fault.

    Example:
        >>> import pathlib
        >>> jaxnet.data.try_image(pathlib.Path("missing.png"), (1, 2, 3)).problem
        'No such file or directory'
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("reading images needs Pillow: pip install 'jaxnet[photos]'") from error
    content = ""
    try:
        with open_file(path) as file:
            length = os.fstat(file.fileno()).st_size
            if length > MOST_BYTES:
                problem = f"it has more than {MOST_BYTES:,} bytes ({length:,})"
                return Decoded(None, (0, 0), f"{length} bytes", problem)
            if not length:  # as are files of /proc, some of which never end
                return Decoded(None, (0, 0), "0 bytes", "it is empty")
            # Here most formats have only their header read.
            with IN_FLIGHT.taking(length), Image.open(file, formats=FORMATS) as header:
                size, needed = header.size, length + _decoding_bytes(header, input_shape)
            with IN_FLIGHT.taking(needed):
                file.seek(0)
                encoded = file.read(length)
                content = hashlib.sha256(encoded).hexdigest()
                with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                    return Decoded(_pixels(image, input_shape), size, content)
    except Exception as error:  # decoders can fail in any way on a damaged file
        seen = error.strerror if isinstance(error, OSError) else ""
        return Decoded(None, (0, 0), content or seen or content_of(path), _problem(path, error))


def content_of(path: Path) -> str:
    """A file's contents as one word: its SHA-256; or, where it will not be decoded, its length or the reason."""
    try:
        with open_file(path) as file:
            length = os.fstat(file.fileno()).st_size
            if not 0 < length <= MOST_BYTES:
                return f"{length} bytes"
            digest = hashlib.sha256()
            while length > 0 and (block := file.read(min(length, HASHED))):  # rather than to an end that may never come
                digest.update(block)
                length -= len(block)
            return digest.hexdigest()
    except OSError as error:
        return error.strerror or str(error)


def _problem(path: Path, error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than {MOST_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        raise InputError(f"{path} cannot be read now: {error.strerror}; try again") from error
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(re.sub(r"\s+", " ", reason))[:200] or type(error).__name__


def _decoding_bytes(header, input_shape: tuple[int, ...]) -> int:
    """The most that decoding takes, by the header: JPEG is decoded smaller, but a progressive one is unpacked whole."""
    width, height = header.size
    if width * height > MOST_PIXELS:
        raise ValueError(f"it has more than {MOST_PIXELS:,} pixels ({width} x {height})")
    unpacked = width * height * COEFFICIENTS if header.info.get("progressive") else 0
    _draft(header, input_shape)
    return unpacked + COPIES * (header.width * header.height + math.prod(input_shape[:2]))


def _draft(image, input_shape: tuple[int, ...]) -> None:
    enough = DRAFT * max(input_shape[:2])  # of both sides, as the image may lie on its side
    image.draft(None, (enough, enough))


class Allowance:
    """A number of bytes shared by all threads. A request for more than the total is served when it is alone."""

    def __init__(self, most: int):
        self.most, self.free = most, most
        self.changed = threading.Condition()

    @contextmanager
    def taking(self, amount: int) -> Iterator[None]:
        """Waits until `amount` is free, and gives it back at the end of the block."""
        amount = min(amount, self.most)
        with self.changed:
            self.changed.wait_for(lambda: self.free >= amount)
            self.free -= amount
        try:
            yield
        finally:
            with self.changed:
                self.free += amount
                self.changed.notify_all()


IN_FLIGHT = Allowance(MOST_IN_FLIGHT)


def _pixels(image, input_shape: tuple[int, ...]) -> UInt8[np.ndarray, " n_x"]:
    from PIL import Image

    height, width = input_shape[:2]
    _draft(image, input_shape)
    image.load()
    image = _on_white(_eight_bits(_upright(image)))
    image = image.convert("RGB") if image.mode == "LAB" else image  # the only way that Pillow has out of LAB
    image = image.convert("RGB" if len(input_shape) == 3 else "L")
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)).reshape(-1)


def _upright(image):
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data says nothing about how the camera was held
        return image


def _eight_bits(image):
    """Sixteen-bit grey as eight bits; Pillow's own conversion would clip it."""
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise ValueError(f"its pixels are of mode {image.mode}, whose range is unknown; save it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    from PIL import Image

    return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))


def _on_white(image):
    if "transparency" not in image.info and image.mode not in ("RGBA", "LA", "PA"):
        return image
    from PIL import Image

    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
