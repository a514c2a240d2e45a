"""Arrays in: the course's HDF5 files, .npz files, MNIST's idx files, and the faces of scikit-image."""

import gzip
import math
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped, UInt8

from ..errors import InputError
from .examples import Dataset, Examples, fingerprint_of, held_out


BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error)
LARGEST_LABEL = 2**53  # beyond, float64 does not tell one whole number from the next
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def load_faces(*, test_fraction: float, seed: int) -> Dataset:
    """200 photographs of 25 x 25 grey pixels, half of them faces: the sample of LFW that scikit-image ships."""
    try:
        from skimage.data import lfw_subset
    except ImportError as error:
        raise InputError("the default pictures come with scikit-image: pip install 'jaxnet[demo]'") from error
    images = np.asarray(lfw_subset(), np.float32)  # the faces first, values from 0 to 1
    labels = (np.arange(len(images)) < len(images) // 2).astype(int)
    examples = Examples(images.reshape(len(images), -1), labels)
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


def is_idx(folder: Path) -> bool:
    """Has the folder any of MNIST's files?"""
    # Unlike Path.is_file, it is False, and no error, in a folder that may not be read.
    return any(os.path.isfile(folder / f"{name}{suffix}") for name in IDX_FILES for suffix in ("", ".gz"))


def load_idx(folder: Path) -> Dataset:
    """MNIST's four files, as they are published or unpacked: train-images-idx3-ubyte[.gz] and so on."""
    images, labels, test_images, test_labels = (read_idx(folder, name) for name in IDX_FILES)
    return _dataset(str(folder), images, labels, (test_images, test_labels), None, 0.5, 0)


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
    rows, input_shape = _rows(description, values)
    labels = _whole_labels(description, labels, len(rows))
    found = np.unique(labels)
    if len(found) < 2:
        raise InputError(f"{description}: all {len(labels)} labels are {found[0]}; expected at least two classes")
    classes = tuple(map(str, found)) if names is None or names.size == 0 else _class_names(description, names)
    if len(classes) != len(found):
        raise InputError(f"{description}: {len(classes)} names of classes, but the labels are {found.tolist()}")
    train = Examples(rows, np.searchsorted(found, labels))
    if test is None:
        return _with_held_out_test(description, train, classes, input_shape, test_fraction, seed)
    test_rows, test_shape = _rows(f"{description} (test)", test[0])
    if test_shape != input_shape:
        raise InputError(f"{description}: training inputs have shape {input_shape}, test inputs {test_shape}")
    test_labels = _whole_labels(f"{description} (test)", test[1], len(test_rows))
    if not np.isin(test_labels, found).all():
        stranger = test_labels[~np.isin(test_labels, found)][0]
        raise InputError(f"{description}: the test label {stranger} is not among the training labels {found.tolist()}")
    return _with_fingerprint(
        description, train, Examples(test_rows, np.searchsorted(found, test_labels)), classes, input_shape
    )


def _rows(description: str, values: np.ndarray) -> tuple[Shaped[np.ndarray, "m n_x"], tuple[int, ...]]:
    """An example a row, and the shape of one."""
    if values.size == 0:
        raise InputError(f"{description}: the inputs have shape {values.shape}, which is empty")
    if values.ndim not in (2, 3, 4) or (values.ndim == 4 and values.shape[3] != 3):
        raise InputError(
            f"{description}: the inputs have shape {values.shape}; expected pictures (m, height, width) or "
            "(m, height, width, 3), or columns (n_x, m)"
        )
    if values.dtype != np.uint8 and values.dtype.kind != "f":
        raise InputError(f"{description}: the inputs are {values.dtype}; expected uint8 pixels or floats")
    rows = values if values.dtype == np.uint8 else np.asarray(values, np.float32)
    if not np.isfinite(rows).all():
        count = np.count_nonzero(~np.isfinite(rows))
        raise InputError(f"{description}: {count} input values are NaN or infinite; expected finite numbers")
    if rows.ndim == 2:
        return np.ascontiguousarray(rows.T), (rows.shape[0],)
    if rows.dtype != np.uint8 and not 0 <= rows.min() <= rows.max() <= 1:
        raise InputError(
            f"{description}: pictures of floats lie between {rows.min():g} and {rows.max():g}; expected 0 to 1, or "
            "uint8"
        )
    return rows.reshape(len(rows), -1), rows.shape[1:]


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
    try:
        is_test = held_out(examples.labels, classes, test_fraction, seed)
    except InputError as error:
        raise InputError(f"{description}: {error}") from error
    return _with_fingerprint(description, examples.take(~is_test), examples.take(is_test), classes, input_shape)


def _with_fingerprint(
    description: str, train: Examples, test: Examples, classes: tuple[str, ...], input_shape: tuple[int, ...]
) -> Dataset:
    return Dataset(description, train, test, classes, input_shape, fingerprint_of(train, test, classes, input_shape))
