"""Datasets from arrays: the course's HDF5 files, .npz files, MNIST's idx files, and the faces of scikit-image."""

import gzip
import math
import os
import struct
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped, UInt8

from ..errors import InputError
from ..storage import check_fits, listed, open_file, read_npz, refuse
from ..text import printable
from .examples import Dataset, Examples, NotClasses, fingerprint_of, held_out, regression_targets
from .hdf5 import read_h5
from .tables import LARGEST_WHOLE


WHOLE, PARTS = ("x", "y"), ("train_x", "train_y", "test_x", "test_y")
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def load_faces(*, test_fraction: float | None, seed: int) -> Dataset:
    """200 photographs of 25 x 25 grey pixels, half of them faces: the sample of LFW that scikit-image ships.

    Example:
        >>> dataset = jaxnet.data.load_faces(test_fraction=0.25, seed=0)
        >>> dataset.input_shape, len(dataset.train.labels), dataset.classes
        ((25, 25), 150, ('not a face', 'face'))
    """
    try:
        from skimage.data import lfw_subset
    except ImportError as error:
        raise InputError("the default images come with scikit-image: pip install 'jaxnet[demo]'") from error
    images = np.asarray(lfw_subset(), np.float32)  # the faces first, values from 0 to 1
    labels = (np.arange(len(images)) < len(images) // 2).astype(int)
    examples = Examples(images.reshape(len(images), -1), labels)
    description = "lfw_subset of scikit-image, photographs of faces and of other things"
    return _with_held_out_test(description, examples, ("not a face", "face"), images.shape[1:], test_fraction, seed)


def load_h5(path: Path, *, test_fraction: float | None, seed: int) -> Dataset:
    """The course's `train_*.h5`, with train_set_x, train_set_y, list_classes; `test_*.h5` beside it is the test set.

    Where there is no such file, `test_fraction` of each class is held out, drawn from `seed`.

    Example:
        >>> import h5py, pathlib
        >>> path = pathlib.Path("train_points.h5")
        >>> with h5py.File(path, "w") as file:
        ...     file["train_set_x"], file["train_set_y"] = np.zeros((8, 2, 2, 3), "uint8"), np.arange(8) % 2
        >>> jaxnet.data.load_h5(path, test_fraction=0.25, seed=0).input_shape
        (2, 2, 3)
    """
    images, labels, names = read_h5(path, "train")
    beside = path.with_name(path.name.replace("train", "test"))
    test = read_h5(beside, "test")[:2] if beside != path and beside.exists() else None
    description = printable(str(path) if test is None else f"{path} and {beside.name}")
    return _dataset(description, images, labels, test, names, test_fraction, seed)


def load_npz(path: Path, *, test_fraction: float | None, seed: int, regression: bool | None = None) -> Dataset:
    """Arrays X and Y, or train_x, train_y, test_x and test_y; and, if present, classes.

    Images are uint8, (m, height, width) or (m, height, width, 3). X of floats is (n_x, m), one column per example.
    Whole numbers in Y are classes, and floats with fractions regression targets, (m,) or (n_L, m), unless `regression`
    says otherwise. Without test arrays, `test_fraction` of each class, or of all, is held out, drawn from `seed`.

    Example:
        >>> import pathlib
        >>> path = pathlib.Path("points.npz")
        >>> np.savez(path, X=np.eye(2, 8, dtype="float32"), Y=np.arange(8) % 2, classes=["even", "odd"])
        >>> jaxnet.data.load_npz(path, test_fraction=0.25, seed=0).classes
        ('even', 'odd')
    """
    stored = read_npz(path)
    arrays = {name.lower(): array for name, array in stored.items()}
    for name in (*WHOLE, *PARTS, "classes"):
        same = [other for other in stored if other.lower() == name]
        if len(same) > 1:
            raise InputError(f"{path} has both {' and '.join(same)}; expected one of them")
    whole, parts = set(WHOLE) <= set(arrays), set(PARTS) <= set(arrays)
    if whole == parts:
        expected = "expected X and Y, or train_x, train_y, test_x and test_y"
        raise InputError(f"{path} has the arrays {listed(list(stored)) or 'none'}; {expected}")
    images, labels, *test = (arrays[name] for name in (WHOLE if whole else PARTS))
    tested = (test[0], test[1]) if test else None
    description, names = printable(str(path)), arrays.get("classes")
    if regression or (regression is None and _has_fractions(labels)):
        if names is not None:
            raise InputError(
                f"{path} names classes, but its labels are regression targets; expected whole numbers, one per class"
            )
        return _regression(description, images, labels, tested, test_fraction, seed)
    try:
        return _dataset(description, images, labels, tested, names, test_fraction, seed)
    except NotClasses as error:
        if regression is False or labels.dtype.kind == "b":
            raise
        raise InputError(f"{error}; or --loss squared_error, which takes labels as regression targets") from error


def read_inputs(path: Path, n_x: int) -> Shaped[np.ndarray, "m n_x"]:
    """The array X, `(n_x, m)`, of an .npz file as rows. Raises `InputError` for anything else.

    Example:
        >>> import pathlib
        >>> path = pathlib.Path("new.npz")
        >>> np.savez(path, X=np.eye(2, 3, dtype="float32"))
        >>> jaxnet.data.read_inputs(path, 2).shape
        (3, 2)
    """
    stored = read_npz(path)
    named = [name for name in stored if name.lower() == "x"]
    if len(named) != 1:
        raise InputError(f"{path} has the arrays {listed(list(stored)) or 'none'}; expected X, ({n_x}, m)")
    X = stored[named[0]]
    rows, shape = _rows(printable(str(path)), X)
    if shape != (n_x,):
        hint = ": examples are columns, save X.T" if X.ndim == 2 and X.shape[1] == n_x else ""
        raise InputError(f"{path}: X has shape {X.shape}; expected ({n_x}, m), as the model was trained on{hint}")
    return rows


def is_idx(folder: Path) -> bool:
    """Whether the folder holds any of MNIST's files.

    Example:
        >>> import pathlib
        >>> jaxnet.data.is_idx(pathlib.Path("."))
        False
    """
    # Unlike Path.is_file, it returns False, without an error, in a folder without read permission.
    return any(os.path.isfile(folder / f"{name}{suffix}") for name in IDX_FILES for suffix in ("", ".gz"))


def load_idx(folder: Path) -> Dataset:
    """MNIST's four files, as they are published or unpacked: train-images-idx3-ubyte[.gz] and so on.

    Example:
        >>> import pathlib, struct
        >>> images = struct.pack(">HBBIII", 0, 8, 3, 2, 1, 1) + bytes([10, 20])
        >>> labels = struct.pack(">HBBI", 0, 8, 1, 2) + bytes([0, 1])
        >>> folder = pathlib.Path(".")
        >>> for name in ("train", "t10k"):
        ...     _ = (folder / f"{name}-images-idx3-ubyte").write_bytes(images)
        ...     _ = (folder / f"{name}-labels-idx1-ubyte").write_bytes(labels)
        >>> jaxnet.data.load_idx(folder).train.rows
        array([[10],
               [20]], dtype=uint8)
    """
    images, labels, test_images, test_labels = (read_idx(folder, name) for name in IDX_FILES)
    return _dataset(printable(str(folder)), images, labels, (test_images, test_labels), None, 0.5, 0)


def read_idx(folder: Path, name: str) -> UInt8[np.ndarray, "..."]:
    """One idx file: two zero bytes, the type (8 for uint8), the number of axes, their sizes, the values.

    A packed file is unpacked only as far as its header declares, plus one byte to see that it ends there.
    """
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise InputError(f"{folder} has no {name} or {name}.gz; expected a folder with the four idx files of MNIST")
    try:
        with open_file(path) as packed, gzip.open(packed) if path.suffix == ".gz" else packed as file:
            zero, kind, axes = struct.unpack(">HBB", file.read(4))
            if zero != 0 or kind != 8 or axes not in (1, 3):
                raise InputError(f"{path} is not an idx file of bytes with one axis or three; expected one of MNIST's")
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            check_fits(path, f"an array of shape {shape}", math.prod(shape))
            content = file.read(math.prod(shape) + 1)  # and the checksum of a packed file, which comes at its end
    except InputError:
        raise
    except Exception as error:  # damaged archives can fail in any way
        refuse(path, "an idx file", error)
    if len(content) != math.prod(shape):
        more = "more than" if len(content) > math.prod(shape) else "or is cut off: it has"
        raise InputError(
            f"{path} is not an idx file of bytes, {more} {min(len(content), math.prod(shape)):,} values for the shape "
            f"{shape}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _dataset(
    description: str,
    values: np.ndarray,
    labels: np.ndarray,
    test: tuple[np.ndarray, np.ndarray] | None,
    names: np.ndarray | None,
    test_fraction: float | None,
    seed: int,
) -> Dataset:
    """The arrays of a file as a `Dataset`; its classes are the distinct labels in order, called `names` if given."""
    rows, input_shape = _rows(description, values)
    _check_order(description, values, labels)
    labels = _whole_labels(description, labels, len(rows))
    found = np.unique(labels)
    if len(found) < 2:
        raise InputError(f"{description}: all {len(labels)} labels are {found[0]}; expected at least two classes")
    classes = tuple(map(str, found)) if names is None or names.size == 0 else _class_names(description, names)
    if len(classes) != len(found):
        raise InputError(f"{description}: {len(classes)} names of classes, but the labels are {found.tolist()!s:.99}")
    train = Examples(rows, np.searchsorted(found, labels))
    if test is None:
        return _with_held_out_test(description, train, classes, input_shape, test_fraction, seed)
    test_rows = _test_rows(description, values, test[0], input_shape)
    test_labels = _whole_labels(f"{description} (test)", test[1], len(test_rows))
    if not np.isin(test_labels, found).all():
        stranger = test_labels[~np.isin(test_labels, found)][0]
        raise NotClasses(
            f"{description}: the test label {stranger} is not among the training labels {found.tolist()!s:.99}"
        )
    return _with_fingerprint(
        description, train, Examples(test_rows, np.searchsorted(found, test_labels)), classes, input_shape
    )


def _has_fractions(labels: np.ndarray) -> bool:
    """Whether labels can only be regression targets: finite floats, neither all whole nor all probabilities."""
    if labels.dtype.kind != "f" or labels.size == 0 or not np.isfinite(labels).all():
        return False
    return not (labels == np.round(labels)).all() and not 0 <= labels.min() <= labels.max() <= 1


def _regression(
    description: str,
    values: np.ndarray,
    labels: np.ndarray,
    test: tuple[np.ndarray, np.ndarray] | None,
    test_fraction: float | None,
    seed: int,
) -> Dataset:
    """The arrays of a file as a `Dataset` without classes, whose labels are regression targets."""
    rows, input_shape = _rows(description, values)
    _check_order(description, values, labels)
    train = Examples(rows, regression_targets(description, labels, len(rows)))
    notes = ("labels are regression targets, predicted by squared error",)
    if test is None:
        return _with_held_out_test(description, train, (), input_shape, test_fraction, seed)._replace(notes=notes)
    test_rows = _test_rows(description, values, test[0], input_shape)
    tested = Examples(test_rows, regression_targets(f"{description} (test)", test[1], len(test_rows)))
    if tested.labels.shape[1] != train.labels.shape[1]:
        raise InputError(
            f"{description}: {train.labels.shape[1]} labels for each training example, {tested.labels.shape[1]} "
            "for each of the test; expected one number of them"
        )
    return _with_fingerprint(description, train, tested, (), input_shape)._replace(notes=notes)


def _test_rows(
    description: str, values: np.ndarray, test_values: np.ndarray, input_shape: tuple[int, ...]
) -> Shaped[np.ndarray, "m n_x"]:
    """The rows of the test inputs, which are of the same kind and shape as the training's."""
    if (test_values.dtype == np.uint8) != (values.dtype == np.uint8):
        raise InputError(
            f"{description}: training inputs are {values.dtype}, test inputs {test_values.dtype}; expected one"
        )
    test_rows, test_shape = _rows(f"{description} (test)", test_values)
    if test_shape != input_shape:
        raise InputError(f"{description}: training inputs have shape {input_shape}, test inputs {test_shape}")
    return test_rows


def _check_order(description: str, values: np.ndarray, labels: np.ndarray) -> None:
    """Raises `InputError`, with the remedy, where X has an example in each row, as scikit-learn has them."""
    ends = {labels.size, *labels.shape[:1], *labels.shape[-1:]}  # one of which is the number of labels
    if values.ndim == 2 and values.shape[1] not in ends and len(values) in ends:
        raise InputError(
            f"{description}: X has shape {values.shape} and Y {labels.shape}: an example in each row, as scikit-learn "
            "has them; here examples are columns: save X.T"
        )


def _rows(description: str, values: np.ndarray) -> tuple[Shaped[np.ndarray, "m n_x"], tuple[int, ...]]:
    """One row per example, and the shape of one example."""
    if values.size == 0:
        raise InputError(f"{description}: the inputs have shape {values.shape}, which is empty")
    if values.ndim not in (2, 3, 4) or (values.ndim == 4 and values.shape[3] != 3):
        raise InputError(
            f"{description}: the inputs have shape {values.shape}; expected images (m, height, width) or "
            "(m, height, width, 3), or columns (n_x, m)"
        )
    if values.dtype != np.uint8 and values.dtype.kind != "f":
        raise InputError(f"{description}: the inputs are {values.dtype}; expected uint8 pixels or floats")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        rows = values if values.dtype == np.uint8 else np.asarray(values, np.float32)
    if not np.isfinite(rows).all():
        count = np.count_nonzero(~np.isfinite(rows))
        raise InputError(f"{description}: {count} input values are NaN or infinite; expected finite numbers")
    if rows.ndim == 2:
        return np.ascontiguousarray(rows.T), (rows.shape[0],)
    if rows.dtype != np.uint8 and not 0 <= rows.min() <= rows.max() <= 1:
        raise InputError(
            f"{description}: images of floats lie between {rows.min():g} and {rows.max():g}; expected 0 to 1, or uint8"
        )
    return rows.reshape(len(rows), -1), rows.shape[1:]


def _class_names(description: str, names: np.ndarray) -> tuple[str, ...]:
    """The names as text, each of which can be told from the others where it is printed."""
    texts = names.tolist() if names.ndim == 1 else []
    if not texts or not all(isinstance(name, str | bytes) for name in texts):
        raise InputError(
            f"{description}: the names of classes have dtype {names.dtype} and shape {names.shape}; expected one text "
            "per class, (classes,)"
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
            raise NotClasses(f"{description}: Y has shape {labels.shape} but its columns are not one-hot")
        return np.argmax(labels, axis=0)
    if labels.shape not in ((m,), (1, m), (m, 1)):
        raise InputError(
            f"{description}: {m} examples, but labels of shape {labels.shape}; expected ({m},), one per column of X"
        )
    if not np.isfinite(labels).all() or not (labels == np.round(labels)).all():
        raise NotClasses(f"{description}: labels of dtype {labels.dtype} are not whole numbers; expected one per class")
    lowest, highest = float(labels.min()), float(labels.max())
    if max(-lowest, highest) > LARGEST_WHOLE:
        raise InputError(f"{description}: labels lie between {lowest:g} and {highest:g}; expected at most 2^53")
    return labels.reshape(m).astype(int)


def _with_held_out_test(
    description: str,
    examples: Examples,
    classes: tuple[str, ...],
    input_shape: tuple[int, ...],
    test_fraction: float | None,
    seed: int,
) -> Dataset:
    try:
        is_test = held_out(examples.labels, classes, test_fraction, seed)
    except InputError as error:
        raise type(error)(f"{description}: {error}") from error
    return _with_fingerprint(description, examples.take(~is_test), examples.take(is_test), classes, input_shape)


def _with_fingerprint(
    description: str, train: Examples, test: Examples, classes: tuple[str, ...], input_shape: tuple[int, ...]
) -> Dataset:
    return Dataset(description, train, test, classes, input_shape, fingerprint_of(train, test, classes, input_shape))
