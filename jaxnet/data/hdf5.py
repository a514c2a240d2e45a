"""The course's HDF5 files, of which only plain datasets in the file itself are read.

HDF5 lets a dataset be a view of any other file (external storage, virtual datasets, external links) and lets it name a
filter that is loaded from a shared library. All of these are refused by name before a value, or even a shape, is
requested: requesting the shape of a virtual dataset opens its sources.
"""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..storage import check_fits, listed, open_file, refuse


MOST_DEFLATED = 1032  # bytes that one packed byte can stand for (zlib, "Maximum compression factor")
NAMES = "list_classes"
SECONDS = 20  # for the names, which take half a second
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}


def read_h5(path: Path, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """train_set_x, train_set_y and, if present, list_classes, with `split` in place of train."""
    try:
        import h5py
    except ImportError as error:
        raise InputError("reading .h5 files needs h5py: pip install 'jaxnet[demo]'") from error
    try:
        open_file(path).close()
        with h5py.File(path, "r") as h5:
            found = list(h5)  # while `name in h5` follows links
            missing = [name for name in (f"{split}_set_x", f"{split}_set_y") if name not in found]
            if missing:
                raise InputError(f"{path} has no {' and no '.join(missing)}; it has {listed(found) or 'nothing'}")
            names = _values(path, h5, NAMES) if NAMES in found else None
            return _values(path, h5, f"{split}_set_x"), _values(path, h5, f"{split}_set_y"), names
    except InputError:
        raise
    except Exception as error:  # damaged files can fail in any way
        refuse(path, "an HDF5 file", error)


def _values(path: Path, h5: Any, name: str) -> np.ndarray:
    import h5py
    from h5py.h5l import TYPE_HARD

    if h5.id.links.get_info(name.encode()).type != TYPE_HARD:
        _refuse_reference(path, f"{name} is a link to {_target(h5.id.links.get_val(name.encode()))}")
    if not isinstance(h5[name], h5py.Dataset):
        raise InputError(f"{path}: {name} is not a dataset; expected an array")
    dataset, layout = h5[name], h5[name].id.get_create_plist()
    if layout.get_layout() == h5py.h5d.VIRTUAL:
        _refuse_reference(path, f"{name} is a virtual dataset, a view of {_target(layout.get_virtual_filename(0))}")
    if layout.get_external_count():
        _refuse_reference(path, f"{name} is stored in another file, {_target(layout.get_external(0)[0])}")
    _check_filters(path, name, layout)
    _check_dtype(path, name, dataset)
    if dataset.shape is None:
        raise InputError(f"{path}: {name} has no values, not even a shape; expected an array")
    check_fits(path, f"{name} of shape {dataset.shape!s:.99}", dataset.size * dataset.dtype.itemsize)
    if dataset.chunks is not None:
        _check_chunks(path, name, dataset, bool(layout.get_nfilters()))
    if dataset.size and not dataset.id.get_storage_size():
        raise InputError(f"{path}: {name} has the shape {dataset.shape!s:.99}, but no values were ever written to it")
    if h5py.check_string_dtype(dataset.dtype) is not None and dataset.dtype.hasobject:
        return _texts(path, name)
    return np.asarray(dataset[()])


def _texts(path: Path, name: str) -> np.ndarray:
    """Text of varying length, read in another process: in a damaged file HDF5 may look for its end forever."""
    code = (
        "import h5py, json, numpy, sys; values = h5py.File(sys.argv[1], 'r')[sys.argv[2]][()]; "
        "print(json.dumps([v.decode(errors='surrogateescape') for v in numpy.ravel(values).tolist()]))"
    )
    try:
        reading = subprocess.run(
            [sys.executable, "-P", "-c", code, path, name], capture_output=True, timeout=SECONDS, check=True
        )
        return np.array(json.loads(reading.stdout))
    except (subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"{path}: {name} cannot be read: its text is damaged") from error


def _check_filters(path: Path, name: str, layout: Any) -> None:
    for i in range(layout.get_nfilters()):
        number, _, _, name_of_filter = layout.get_filter(i)
        if number not in FILTERS:
            shown = (
                name_of_filter.decode(errors="replace") if isinstance(name_of_filter, bytes) else str(name_of_filter)
            )
            raise InputError(
                f"{path}: {name} is packed by filter {number} {shown:.60}, which HDF5 would load from a shared "
                f"library; expected {', '.join(FILTERS.values())}, or no filter"
            )


def _check_chunks(path: Path, name: str, dataset: Any, packed: bool) -> None:
    """HDF5 unpacks a chunk to its end, whatever size is declared, and holds it whole."""
    largest = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if packed:
        stored = [0]
        dataset.id.chunk_iter(lambda chunk: stored.append(chunk.size))  # stops where the callback returns a value
        largest = max(largest, MOST_DEFLATED * max(stored))
    check_fits(path, f"the largest chunk of {name}", largest)


def _check_dtype(path: Path, name: str, dataset: Any) -> None:
    """Numbers or text; other types, such as references to regions of datasets, are not arrays of values."""
    import h5py

    is_text = name == NAMES and h5py.check_string_dtype(dataset.dtype) is not None
    if dataset.dtype.kind not in "biuf" and not is_text:
        raise InputError(f"{path}: {name} is {dataset.dtype!s:.60}; expected plain numbers, or text for {NAMES}")


def _refuse_reference(path: Path, what: str) -> None:
    raise InputError(
        f"{path}: {what}; jaxnet reads no file that a data file names: store the values in {path.name} itself"
    )


def _target(names: Any) -> str:
    """The target of a link or a dataset: a path, or a file and a path in it."""
    parts = names if isinstance(names, tuple) else (names,)
    texts = [part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in parts]
    return f"{', '.join(texts):.199}"
