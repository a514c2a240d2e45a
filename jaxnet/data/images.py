"""One image, a JPEG, PNG, WebP, GIF, BMP or TIFF file or a PIL image, of any size and mode, as 8-bit pixels of the size
wanted.

A JPEG file that is far larger than wanted is decoded at a half, a quarter or an eighth of its size (Pillow's `draft`),
which is faster. On 800 photographs resized to 64 x 64, pixels are then 0.8 of 255 from those of the exact way,

    Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)

which `exact` takes: it gives the same pixels to the last bit for images that are upright and opaque.
"""

import errno
import hashlib
import io
import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError
from ..storage import open_file
from ..text import printable
from .threads import Allowance, quiet_decoders


FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # and no other: fewer parsers to attack, none that runs code
MOST_PIXELS = 2**26  # of a file, by its header: beyond, decoding would fill the memory
MOST_BYTES = 2**30  # of a file as it is: MOST_PIXELS of any kind take less
HASHED = 2**18  # bytes of a file are hashed at a time
MOST_IN_FLIGHT = 2**30  # bytes for everything being decoded at a time, whatever the number of processors
COPIES = 16  # bytes per pixel: at most four copies are alive at once, of four bytes each
COEFFICIENTS = 8  # bytes per pixel: up to four channels of 16-bit coefficients
OF_THE_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # errors that are not the image's fault
IN_FLIGHT = Allowance(MOST_IN_FLIGHT)
DRAFT = 2  # JPEG files are decoded at the smallest scale of at least this many times the size wanted


class Decoded(NamedTuple):
    """The outcome of decoding an image file."""

    pixels: UInt8[np.ndarray, " n_x"] | None  # row after row
    size: tuple[int, int]  # width and height of the file
    content: str  # the file's SHA-256, or why it could not be read
    problem: str = ""  # the reason, where there are no pixels


def read_image(
    image: Any, input_shape: tuple[int, ...], *, exact: bool = False
) -> UInt8[np.ndarray, "height width *rgb"]:
    """An image as the pixels of one example: turned upright, laid on white, resized (bicubic, not cropped).

    `image` is the path of a file, of whose pages or frames the first is taken, or a PIL image. `input_shape` is
    (height, width) or (height, width, 3). JPEG files are decoded at the smallest scale of at least twice the size
    wanted, or, if `exact`, in full, as `PIL.Image.open(path).convert("RGB").resize(...)` does. Raises `InputError` for
    what is not an image, is damaged, or has more than `MOST_PIXELS`.

    Example:
        >>> from PIL import Image
        >>> Image.new("RGB", (20, 10), "red").save("red.png")
        >>> jaxnet.read_image("red.png", (1, 2, 3))
        array([[[255,   0,   0],
                [255,   0,   0]]], dtype=uint8)
    """
    check_kind(image)
    _check_image_shape(input_shape)
    with quiet_decoders():
        decoded = try_image(image, input_shape, exact)
    if decoded.pixels is None:
        raise InputError(f"{image_name(image)} cannot be read as an image: {decoded.problem}")
    return decoded.pixels.reshape(input_shape)


def check_kind(image: Any) -> None:
    """Raises `InputError` for what is neither a path nor a PIL image."""
    if isinstance(image, str) or (isinstance(image, os.PathLike) and isinstance(os.fspath(image), str)):
        return
    if isinstance(image, bytes | bytearray | memoryview) or hasattr(image, "read"):
        got = "an open file" if hasattr(image, "read") else "bytes"
        raise InputError(
            f"the image is {got}; expected a path or a PIL image, as PIL.Image.open(io.BytesIO(...)) makes"
        )
    if not _is_pil(image):
        raise InputError(f"the image is {image!r:.60}, a {type(image).__name__}; expected a path or a PIL image")


def _is_pil(image: Any) -> bool:
    try:
        from PIL import Image
    except ImportError:  # then nobody has one
        return False
    return isinstance(image, Image.Image)


def _check_image_shape(input_shape: Any) -> None:
    sizes = isinstance(input_shape, tuple | list) and all(isinstance(n, int) and n > 0 for n in input_shape)
    if not sizes or len(input_shape) not in (2, 3) or tuple(input_shape[2:]) not in ((), (3,)):
        raise InputError(f"input_shape is {input_shape!r:.60}; expected (height, width) or (height, width, 3)")


def image_name(image: Any) -> str:
    """What messages call an image: its path, or its size and mode.

    Example:
        >>> from PIL import Image
        >>> jaxnet.data.image_name(Image.new("L", (3, 2)))
        'the PIL image of 3 x 2 pixels of mode L'
    """
    if isinstance(image, str | os.PathLike):
        return os.fspath(image) or "an empty path"
    return f"the PIL image of {image.width} x {image.height} pixels of mode {image.mode}"


def try_image(image: Any, input_shape: tuple[int, ...], exact: bool = False) -> Decoded:
    """The decoded file or PIL image, or the reason why there is none. Raises `InputError` for a fault of the machine.

    Example:
        >>> jaxnet.data.try_image("missing.png", (1, 2, 3)).problem
        'No such file or directory'
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("reading images needs Pillow: pip install 'jaxnet[photos]'") from error
    if isinstance(image, Image.Image):
        return _try_opened(image, input_shape, exact)
    path, content = Path(image), ""
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
                size, needed = header.size, length + _decoding_bytes(header, input_shape, exact)
            with IN_FLIGHT.taking(needed):
                file.seek(0)
                encoded = file.read(length)
                content = hashlib.sha256(encoded).hexdigest()
                with Image.open(io.BytesIO(encoded), formats=FORMATS) as opened:
                    return Decoded(_pixels(opened, input_shape, exact), size, content)
    except Exception as error:  # decoders can fail in any way on a damaged file
        seen = error.strerror if isinstance(error, OSError) else ""
        return Decoded(None, (0, 0), content or seen or content_of(path), _problem(path, error))


def _try_opened(image, input_shape: tuple[int, ...], exact: bool) -> Decoded:
    """The pixels of a PIL image, which keeps its size."""
    from PIL import Image, JpegImagePlugin

    name = image_name(image)
    try:
        if isinstance(image, JpegImagePlugin.JpegImageFile) and image.tile:
            # It is not decoded yet, and `draft` would change the caller's image. A later one of several stays chosen.
            image = image.copy() if image.tell() or image.fp is None else Image.open(image.fp, formats=("JPEG",))
        size = image.size
        with IN_FLIGHT.taking(_decoding_bytes(image, input_shape, exact)):
            return Decoded(_pixels(image, input_shape, exact), size, "")
    except Exception as error:
        return Decoded(None, (0, 0), "", _problem(name, error))


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


def _problem(name: Path | str, error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than {MOST_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        raise InputError(f"{name} cannot be read now: {error.strerror}; try again") from error
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(re.sub(r"\s+", " ", reason))[:200] or type(error).__name__


def _decoding_bytes(header, input_shape: tuple[int, ...], exact: bool) -> int:
    """The most that decoding takes, by the header: JPEG is decoded smaller, but a progressive one is unpacked whole."""
    width, height = header.size
    if width * height == 0:
        raise ValueError("it has no pixels")
    if width * height > MOST_PIXELS:
        raise ValueError(f"it has more than {MOST_PIXELS:,} pixels ({width} x {height})")
    unpacked = width * height * COEFFICIENTS if header.info.get("progressive") else 0
    if not exact:
        _draft(header, input_shape)
    return unpacked + COPIES * (header.width * header.height + math.prod(input_shape[:2]))


def _draft(image, input_shape: tuple[int, ...]) -> None:
    enough = DRAFT * max(input_shape[:2])  # of both sides, as the image may lie on its side
    image.draft(None, (enough, enough))


def _pixels(image, input_shape: tuple[int, ...], exact: bool) -> UInt8[np.ndarray, " n_x"]:
    from PIL import Image

    height, width = input_shape[:2]
    if not exact:
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
