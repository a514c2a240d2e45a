"""Arrays, and text about them, in one safetensors file that shows when a bit of it has changed."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from ..errors import InputError
from .untrusted import check_fits, open_file, refuse


KNOWN = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL", "C64")
DIGEST = "sha256"  # of all else in the file, in its metadata


class Tensors(NamedTuple):
    """The contents of a file."""

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]
    verified: bool  # against its own digest, which foreign files lack


def encode(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of the file, the same for equal arrays and metadata."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    words = {**metadata, DIGEST: _digest(arrays, metadata)}
    content = save(arrays, words)
    # safetensors writes the metadata in the order of a hash table, which differs from process to process.
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(words.items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, memoryview(content)[start:]))


def read(path: str | os.PathLike[str]) -> Tensors:
    """Reads the file. Raises `InputError` where it is cut off, has another format, or is not what was written."""
    path = Path(path)
    try:
        with open_file(path) as file:
            check_fits(path, "what it holds", os.fstat(file.fileno()).st_size)
        with safe_open(path, framework="numpy") as tensors:
            metadata = tensors.metadata() or {}
            arrays = {name: _array(path, name, tensors) for name in tensors.keys()}
    except InputError:
        raise
    except Exception as error:  # damaged files can fail in any way
        refuse(path, "a safetensors file, or is cut off", error)
    digest = metadata.pop(DIGEST, None)
    if digest is not None and digest != _digest(arrays, metadata):
        raise InputError(f"{path} is damaged, or was changed by another program: its content does not fit its {DIGEST}")
    return Tensors(arrays, metadata, digest is not None)


def _array(path: Path, name: str, tensors: safe_open) -> np.ndarray:
    dtype = tensors.get_slice(name).get_dtype()
    if dtype not in KNOWN:
        raise InputError(
            f"{path}: {name:.60} is {dtype}, which cannot be computed with; expected one of {', '.join(KNOWN)}: "
            "convert it to float32"
        )
    return tensors.get_tensor(name)


def _digest(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, array.dtype.name, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
