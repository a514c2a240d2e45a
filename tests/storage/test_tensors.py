"""Files of tensors: equal content is equal bytes, and other bytes are not taken for it."""

import subprocess
import sys

import numpy as np
import pytest

from jaxnet.errors import InputError
from jaxnet.storage import tensors


ARRAYS = {
    "W1": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "count": np.asarray(3, np.int32),
    "none": np.zeros((0, 2)),
    "flags": np.asarray([True, False]),
}
WORDS = {name: f"{name} é犬" for name in "gfedcba"}


def test_what_was_written_is_what_is_read(tmp_path):
    (tmp_path / "a").write_bytes(tensors.encode(ARRAYS, WORDS))
    arrays, metadata, verified = tensors.read(tmp_path / "a")
    assert metadata == WORDS and verified and set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_equal_content_is_equal_bytes_in_every_process():
    code = "from tests.storage.test_tensors import *; print(tensors.encode(ARRAYS, WORDS).hex())"
    command = [sys.executable, "-c", code]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert {tensors.encode(ARRAYS, WORDS).hex() for _ in range(3)} == {there}


def test_every_flipped_bit_is_noticed(tmp_path):
    """But for those in the name of the digest: the file then is one that has none, and is not verified."""
    content = tensors.encode(ARRAYS, WORDS)
    name = content.index(b'"sha256"')
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        (tmp_path / "a").write_bytes(damaged)
        if name < place <= name + 6:
            continue
        with pytest.raises(InputError):
            tensors.read(tmp_path / "a")


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F4"])
def test_a_dtype_that_numpy_lacks_is_an_input_error(tmp_path, dtype):
    header = f'{{"W1":{{"dtype":"{dtype}","shape":[8],"data_offsets":[0,{4 if dtype == "F4" else 8}]}}}}'.encode()
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 if dtype == "F4" else 8))
    with pytest.raises(InputError, match=f"W1 is {dtype}, which cannot be computed with; .*convert it to float32"):
        tensors.read(tmp_path / "a")
