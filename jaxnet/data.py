"""Pictures and arrays in: every source ends as columns of floats and whole-numbered labels.

Examples stand in rows on disk and in columns in the library; the one transposition is in this file.
"""

import gzip
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, UInt8

from .errors import InputError


BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error)
LARGEST_LABEL = 2**53  # beyond, float64 does not tell one whole number from the next
PIXEL_SCALE = 1 / 255  # pixels are whole numbers from 0 to 255


class Examples(NamedTuple):
    """Columns of inputs and the class of each."""

    X: Float32[np.ndarray, "n_x m"]
    labels: Int[np.ndarray, " m"]


class Dataset(NamedTuple):
    """What a network is trained and tested on."""

    description: str
    train: Examples
    test: Examples
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]  # (height, width) or (height, width, 3); (n_x,) where the inputs are no pictures


def load_dataset(path: Path | None, *, test_fraction: float, seed: int) -> Dataset:
    """The data at `path`: the course's .h5, an .npz of X and Y, a folder of MNIST's idx files; None is `load_faces`.

    Where a source has no test examples of its own, `test_fraction` of each class is held out, drawn from `seed`.
    Raises `InputError` for anything that cannot be used.
    """
    if not 0 < test_fraction < 1:
        raise InputError(f"the test fraction is {test_fraction}; expected a number between 0 and 1")
    if path is None:
        return load_faces(test_fraction=test_fraction, seed=seed)
    if not path.exists():
        raise InputError(f"{path} does not exist; expected an .h5 or .npz file or a folder of MNIST idx files")
    if path.is_dir():
        return load_idx(path)
    loaders = {".h5": load_h5, ".hdf5": load_h5, ".npz": load_npz}
    if path.suffix.lower() not in loaders:
        raise InputError(f"{path} ends in {path.suffix!r}; expected .h5, .npz or a folder of MNIST idx files")
    return loaders[path.suffix.lower()](path, test_fraction=test_fraction, seed=seed)


def load_faces(*, test_fraction: float, seed: int) -> Dataset:
    """200 photographs of 25 x 25 grey pixels, half of them faces: the sample of LFW that scikit-image ships."""
    try:
        from skimage.data import lfw_subset
    except ImportError as error:
        raise InputError("the default pictures come with scikit-image: pip install 'jaxnet[demo]'") from error
    images = np.asarray(lfw_subset(), np.float32)  # the faces first, values from 0 to 1
    examples = Examples(images.reshape(len(images), -1).T, np.arange(len(images)) < len(images) // 2)
    description = "lfw_subset of scikit-image, photographs of faces and of other things"
    return _with_held_out_test(description, examples, ("not a face", "face"), images.shape[1:], test_fraction, seed)


def load_h5(path: Path, *, test_fraction: float, seed: int) -> Dataset:
    """The course's `train_*.h5`: train_set_x, train_set_y, list_classes; its `test_*.h5` beside it is the test set."""
    try:
        import h5py
    except ImportError as error:
        raise InputError("reading .h5 files needs h5py: pip install 'jaxnet[demo]'") from error

    def read(file: Path, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        try:
            with h5py.File(file) as h5:
                missing = [name for name in (f"{split}_set_x", f"{split}_set_y") if name not in h5]
                if missing:
                    raise InputError(f"{file} has no {' and no '.join(missing)}; it has {', '.join(h5) or 'nothing'}")
                names = np.asarray(h5["list_classes"]) if "list_classes" in h5 else None
                return np.asarray(h5[f"{split}_set_x"]), np.asarray(h5[f"{split}_set_y"]), names
        except (OSError, KeyError, RuntimeError, AttributeError, TypeError) as error:
            raise InputError(f"{file} cannot be read as an HDF5 file: {error}") from error

    images, labels, names = read(path, "train")
    beside = path.with_name(path.name.replace("train", "test"))
    test = read(beside, "test")[:2] if beside != path and beside.exists() else None
    description = str(path) if test is None else f"{path} and {beside.name}"
    return _dataset(description, images, labels, test, names, test_fraction, seed)


def load_npz(path: Path, *, test_fraction: float, seed: int) -> Dataset:
    """Arrays X and Y, or train_x, train_y, test_x and test_y; and, if it is there, classes.

    Pictures are uint8, (m, height, width) or (m, height, width, 3). X of floats is (n_x, m), one column an example.
    """
    try:
        with path.open("rb") as file:
            npz = np.load(file, allow_pickle=False)
            arrays = {} if isinstance(npz, np.ndarray) else {name.lower(): npz[name] for name in npz.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, NotImplementedError, *BROKEN_ARCHIVE) as error:
        raise InputError(f"{path} cannot be read as an .npz file of plain arrays: {error}") from error
    if isinstance(npz, np.ndarray):
        raise InputError(f"{path} holds one array, as an .npy file does; expected np.savez(path, X=X, Y=Y)")
    names = arrays.get("classes")
    if {"x", "y"} <= set(arrays):
        return _dataset(str(path), arrays["x"], arrays["y"], None, names, test_fraction, seed)
    if {"train_x", "train_y", "test_x", "test_y"} <= set(arrays):
        test = arrays["test_x"], arrays["test_y"]
        return _dataset(str(path), arrays["train_x"], arrays["train_y"], test, names, test_fraction, seed)
    raise InputError(
        f"{path} has the arrays {', '.join(arrays) or 'none'}; expected X and Y, or train_x, train_y, test_x and test_y"
    )


def load_idx(folder: Path) -> Dataset:
    """MNIST's four files, as they are published or unpacked: train-images-idx3-ubyte[.gz] and so on."""
    train = read_idx(folder, "train-images-idx3-ubyte"), read_idx(folder, "train-labels-idx1-ubyte")
    test = read_idx(folder, "t10k-images-idx3-ubyte"), read_idx(folder, "t10k-labels-idx1-ubyte")
    return _dataset(str(folder), *train, test, None, 0.5, 0)


def read_idx(folder: Path, name: str) -> UInt8[np.ndarray, "..."]:
    """One idx file: two zero bytes, the type (8 for uint8), the number of axes, their sizes, the values."""
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise InputError(f"{folder} has no {name} or {name}.gz; expected a folder with the four idx files of MNIST")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, axes = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an idx file: {error}") from error
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if zero != 0 or kind != 8 or axes not in (1, 3) or values.size != math.prod(shape):
        raise InputError(f"{path} is no idx file of bytes, or is cut off: {values.size} values for the shape {shape}")
    return values.reshape(shape)


def read_picture(path: Path, input_shape: tuple[int, ...], scale: float) -> Float32[np.ndarray, " n_x"]:
    """A picture file of any size and mode as one input column: turned upright, resized (bicubic), pixels times `scale`.

    Transparent pictures are laid on white. Raises `InputError` for a file that is no picture, or too large a one.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError("reading pictures needs Pillow: pip install 'jaxnet[demo]'") from error
    if not path.is_file():
        raise InputError(f"{path} is no file; expected a picture")
    height, width = input_shape[:2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data, say
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = ImageOps.exif_transpose(Image.open(path))
            image = _on_white(_eight_bits(image))
            image = image.convert("RGB") if image.mode == "LAB" else image  # Pillow knows no other way out of LAB
            image = image.convert("RGB" if len(input_shape) == 3 else "L")
            image = image.resize((width, height), Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} cannot be read as a picture: {error}") from error
    return (np.asarray(image, np.float32) * np.float32(scale)).reshape(-1)


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


def targets(labels: Int[np.ndarray, " m"], classes: Sequence[str]) -> Float32[np.ndarray, "n_L m"]:
    """Y as the network is trained on it: one row of 0 and 1 for two classes, one-hot columns for more."""
    if len(classes) == 2:
        return np.asarray(labels, np.float32)[None]
    return np.asarray(np.arange(len(classes))[:, None] == labels, np.float32)


def _dataset(
    description: str,
    values: np.ndarray,
    labels: np.ndarray,
    test: tuple[np.ndarray, np.ndarray] | None,
    names: np.ndarray | None,
    test_fraction: float,
    seed: int,
) -> Dataset:
    """The arrays of a file as a `Dataset`; classes are the distinct labels, in order, called `names` where given."""
    if test is not None and (test[0].dtype == np.uint8) != (values.dtype == np.uint8):
        raise InputError(
            f"{description}: training inputs are {values.dtype}, test inputs {test[0].dtype}; expected one"
        )
    X, input_shape = _columns(description, values)
    labels = _whole_labels(description, labels, X.shape[1])
    found = np.unique(labels)
    if len(found) < 2:
        raise InputError(f"{description}: all {len(labels)} labels are {found[0]}; expected at least two classes")
    classes = tuple(map(str, found)) if names is None or names.size == 0 else _class_names(description, names)
    if len(classes) != len(found):
        raise InputError(f"{description}: {len(classes)} names of classes, but the labels are {found.tolist()}")
    train = Examples(X, np.searchsorted(found, labels))
    if test is None:
        return _with_held_out_test(description, train, classes, input_shape, test_fraction, seed)
    test_X, test_shape = _columns(f"{description} (test)", test[0])
    if test_shape != input_shape:
        raise InputError(f"{description}: training inputs have shape {input_shape}, test inputs {test_shape}")
    test_labels = _whole_labels(f"{description} (test)", test[1], test_X.shape[1])
    if not np.isin(test_labels, found).all():
        stranger = test_labels[~np.isin(test_labels, found)][0]
        raise InputError(f"{description}: the test label {stranger} is not among the training labels {found.tolist()}")
    return Dataset(description, train, Examples(test_X, np.searchsorted(found, test_labels)), classes, input_shape)


def _columns(description: str, values: np.ndarray) -> tuple[Float32[np.ndarray, "n_x m"], tuple[int, ...]]:
    if values.size == 0:
        raise InputError(f"{description}: the inputs have shape {values.shape}, which is empty")
    if values.ndim not in (2, 3, 4) or (values.ndim == 4 and values.shape[3] != 3):
        raise InputError(
            f"{description}: the inputs have shape {values.shape}; expected pictures (m, height, width) or "
            "(m, height, width, 3), or columns (n_x, m)"
        )
    if values.dtype == np.uint8:
        X = np.asarray(values, np.float32) * np.float32(PIXEL_SCALE)
    elif values.dtype.kind == "f":
        X = np.asarray(values, np.float32)
    else:
        raise InputError(f"{description}: the inputs are {values.dtype}; expected uint8 pixels or floats")
    if not np.isfinite(X).all():
        count = np.count_nonzero(~np.isfinite(X))
        raise InputError(f"{description}: {count} input values are NaN or infinite; expected finite numbers")
    if X.ndim == 2:
        return X, (X.shape[0],)
    if values.dtype != np.uint8 and not 0 <= X.min() <= X.max() <= 1:
        raise InputError(
            f"{description}: pictures of floats lie between {X.min():g} and {X.max():g}; expected 0 to 1, or uint8"
        )
    return X.reshape(len(X), -1).T, X.shape[1:]


def _class_names(description: str, names: np.ndarray) -> tuple[str, ...]:
    """The names as text, each of which can be told from the others where it is printed."""
    texts = names.tolist() if names.ndim == 1 else []
    if not texts or not all(isinstance(name, str | bytes) for name in texts):
        raise InputError(
            f"{description}: the names of classes have dtype {names.dtype} and shape {names.shape}; expected one text "
            "a class, (classes,)"
        )
    classes = tuple(name.decode(errors="surrogateescape") if isinstance(name, bytes) else name for name in texts)
    if not all(name.strip() and name.isprintable() for name in classes) or len(set(classes)) < len(classes):
        raise InputError(f"{description}: the names of classes are {texts!r:.200}; expected different, printable ones")
    return classes


def _whole_labels(description: str, labels: np.ndarray, m: int) -> Int[np.ndarray, " m"]:
    if labels.dtype.kind not in "biuf":
        raise InputError(f"{description}: labels are {labels.dtype}; expected whole numbers, one per class")
    if labels.ndim == 2 and labels.shape[1] == m and labels.shape[0] > 1:  # one-hot columns
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=0) == 1).all()):
            raise InputError(f"{description}: Y has shape {labels.shape} but its columns are not one-hot")
        return np.argmax(labels, axis=0)
    if labels.size != m or labels.ndim > 2:
        raise InputError(
            f"{description}: {m} examples, but labels of shape {labels.shape}; expected ({m},), one a column of X"
        )
    if not np.isfinite(labels).all() or not (labels == np.round(labels)).all():
        raise InputError(f"{description}: labels of dtype {labels.dtype} are no whole numbers; expected one per class")
    lowest, highest = float(labels.min()), float(labels.max())
    if max(-lowest, highest) > LARGEST_LABEL:
        raise InputError(f"{description}: labels lie between {lowest:g} and {highest:g}; expected at most 2^53")
    return labels.reshape(m).astype(int)


def _with_held_out_test(
    description: str,
    examples: Examples,
    classes: tuple[str, ...],
    input_shape: tuple[int, ...],
    test_fraction: float,
    seed: int,
) -> Dataset:
    """`test_fraction` of every class held out, at least one and not all; drawn from `seed`."""
    generator = np.random.default_rng(seed)
    is_test = np.zeros(len(examples.labels), bool)
    for label, name in enumerate(classes):
        members = generator.permutation(np.flatnonzero(examples.labels == label))
        if len(members) < 2:
            raise InputError(
                f"{description}: class {name} has {len(members)} example; expected at least two, one to train on "
                "and one to test on"
            )
        is_test[members[: int(np.clip(round(test_fraction * len(members)), 1, len(members) - 1))]] = True
    train, test = (Examples(examples.X[:, part], examples.labels[part].astype(int)) for part in (~is_test, is_test))
    return Dataset(description, train, test, classes, input_shape)
