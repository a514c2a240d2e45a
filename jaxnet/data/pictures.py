"""One picture file in: JPEG, PNG, WebP, GIF, BMP or TIFF of any size and mode, as 8-bit pixels of the size wanted."""

import errno
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError


FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # and no other parser: fewer to attack, none that runs code
MOST_PIXELS = 2**26  # of a file, by its header: beyond, decoding would fill the memory
OF_THE_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)  # errors that say nothing about a picture
DRAFT = 2  # JPEG files are decoded at the smallest scale that is at least so many times the size wanted


class Picture(NamedTuple):
    """The pixels, row after row, and the width and height that the file had."""

    pixels: UInt8[np.ndarray, " n_x"]
    size: tuple[int, int]


def read_pixels(path: Path, input_shape: tuple[int, ...]) -> UInt8[np.ndarray, " n_x"]:
    """A picture file as the pixels of one example: turned upright, laid on white, resized (bicubic, not cropped).

    Of an animation or of several pages, the first. Raises `InputError` for a file that is no picture, is damaged, or
    has more than `MOST_PIXELS`.
    """
    with quiet_decoders():
        picture = try_picture(path, input_shape)
    if isinstance(picture, str):
        raise InputError(f"{path} cannot be read as a picture: {picture}")
    return picture.pixels


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """No warnings of odd but readable files. Filters belong to the process, so threads are started inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def try_picture(path: Path, input_shape: tuple[int, ...]) -> Picture | str:
    """The picture, or why there is none. Raises `InputError` where it is the machine's fault."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise InputError("reading pictures needs Pillow: pip install 'jaxnet[photos]'") from error
    if not os.path.isfile(path):
        return "it is no file"
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return f"it has more than {MOST_PIXELS:,} pixels ({image.width} x {image.height})"
            size = image.size
            return Picture(_pixels(image, input_shape), size)
    except UnidentifiedImageError:
        kinds = ", ".join(FORMATS)
        return f"it is none of {kinds}" if path.stat().st_size else "it is empty"
    except Image.DecompressionBombError:
        return f"it has more than {MOST_PIXELS:,} pixels"
    except Exception as error:  # the decoders of damaged files fail in every way there is
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
            raise InputError(f"{path} cannot be read now: {error.strerror}; try again") from error
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return re.sub(r"\s+", " ", reason) or type(error).__name__


def _pixels(image, input_shape: tuple[int, ...]) -> UInt8[np.ndarray, " n_x"]:
    from PIL import Image

    height, width = input_shape[:2]
    enough = DRAFT * max(width, height)  # of both sides, as the picture may lie on its side
    image.draft(None, (enough, enough))
    image.load()
    image = _on_white(_eight_bits(_upright(image)))
    image = image.convert("RGB") if image.mode == "LAB" else image  # Pillow knows no other way out of LAB
    image = image.convert("RGB" if len(input_shape) == 3 else "L")
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)).reshape(-1)


def _upright(image):
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data says nothing about how the camera was held
        return image


def _eight_bits(image):
    """Sixteen-bit grey as eight; Pillow's own conversion would clip it."""
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
