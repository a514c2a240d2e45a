"""Arrays and words about them in one safetensors file, which shows when a bit of it has changed."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .errors import InputError


DIGEST = "sha256"  # of all else in the file, in its metadata


class Tensors(NamedTuple):
    """What a file holds."""

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]
    verified: bool  # against its own digest; files that others wrote have none


def encode(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of the file, the same for equal arrays and metadata."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    words = {**metadata, DIGEST: _digest(arrays, metadata)}
    content = save(arrays, words)
    # safetensors writes the metadata in the order of a hash table, another in every process.
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(words.items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, memoryview(content)[start:]))


def read(path: str | os.PathLike[str]) -> Tensors:
    """Reads the file. Raises `InputError` where it is cut off, of another format, or not what was written."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is cut off, or cannot be read as a safetensors file: {error}") from error
    except (TypeError, AttributeError, KeyError) as error:  # float8 and float4
        raise InputError(
            f"{path} cannot be read as a safetensors file of floats: NumPy has no dtype of one of its tensors: {error}"
        ) from error
    digest = metadata.pop(DIGEST, None)
    if digest is not None and digest != _digest(arrays, metadata):
        raise InputError(f"{path} is damaged, or was changed by another program: its content does not fit its {DIGEST}")
    return Tensors(arrays, metadata, digest is not None)


def _digest(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, array.dtype.name, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
