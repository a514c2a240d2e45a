"""Files that somebody else wrote: what is in them is read right, or refused in one line, whatever their headers say."""

import io
import os
import pickle
import struct
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import jaxnet
from jaxnet.data import load_dataset, read_image
from jaxnet.errors import InputError
from jaxnet.model import load_torch, save_npz, save_torch
from jaxnet.storage import tensors, untrusted
from jaxnet.storage.untrusted import open_file, read_npz

from ..images import drawn_images, save_image, write_h5, write_idx, write_npz
from ..model.test_file import drawn_model


def npy(dtype, shape, data=b""):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    return content.getvalue() + data


def header(text, version=1):
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text


def archive(path, *members, password=False):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            file.writestr(name, content)
    if password:  # the first bit of the flags, in both headers
        content = bytearray(path.read_bytes())
        content[6] |= 1
        content[content.index(b"PK\1\2") + 8] |= 1
        path.write_bytes(content)
    return path


GOOD = npy("<f8", (2,), bytes(16))
NPZ = {
    "a header of terabytes": ([("X.npy", npy("<f8", (2**40, 9)))], "X is said to have shape (1099511627776, 9)"),
    "negative axes": ([("X.npy", npy("<f8", (-2, -1), bytes(16)))], "X is said to have shape (-2, -1)"),
    "axes of thousands of digits": ([("X.npy", npy("<f8", (10**999,)))], "X is said to have shape (1000"),
    "too little data": ([("X.npy", npy("<f8", (3,), bytes(16)))], "which are not the 16 bytes that the file has of"),
    "too much data": ([("X.npy", npy("<f8", (1,), bytes(16)))], "which are not the 16 bytes that the file has of"),
    "objects": ([("X.npy", npy("|O", (1,), pickle.dumps([1])))], "X is object, not a plain array of numbers or of"),
    "a struct": ([("X.npy", npy([("a", "<f4")], (1,), bytes(4)))], "X is [('a', '<f4')], not a plain array"),
    "a nested header": ([("X.npy", header(b"(" * 9000))], "cannot be read as an .npz file of plain arrays"),
    "a header of signs": ([("X.npy", header(b"-" * 9000 + b"1"))], "cannot be read as an .npz file of plain arrays"),
    "a header of code": ([("X.npy", header(b"__import__('os').abort()"))], "cannot be read as an .npz file"),
    "another version": ([("X.npy", header(b"{}", 3))], "X is not a plain array"),
    "no array": ([("X.npy", b"hello")], "cannot be read as an .npz file of plain arrays"),
    "one name twice": ([("X.npy", GOOD), ("X.npy", GOOD)], "has two arrays of the name X; expected one of each"),
    "an escape sequence": ([("\x1b[2J.npy", npy("|O", (1,)))], "a.npz: \\x1b[2J is object"),
}


@pytest.mark.parametrize("name", NPZ)
def test_an_archive_is_not_believed(tmp_path, name):
    members, message = NPZ[name]
    with pytest.raises(InputError) as raised:
        read_npz(archive(tmp_path / "a.npz", *members))
    assert message in str(raised.value) and str(raised.value).isprintable() and len(str(raised.value)) < 600


def test_an_encrypted_archive_is_refused(tmp_path):
    with pytest.raises(InputError, match="is encrypted, password required"):
        read_npz(archive(tmp_path / "a.npz", ("X.npy", GOOD), password=True))


def test_what_archivers_add_is_passed_over(tmp_path):
    members = [("X.npy", GOOD), ("__MACOSX/._X.npy", b"Mac"), ("README.txt", b"hello"), ("folder/", b"")]
    assert list(read_npz(archive(tmp_path / "a.npz", *members))) == ["X"]


def test_what_does_not_fit_in_memory_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "memory", lambda: 2**20)
    zeros = {"a": np.zeros(2**17, np.uint8), "b": np.zeros(2**19, np.uint8)}
    np.savez_compressed(tmp_path / "bomb.npz", **zeros)
    save_file(zeros, tmp_path / "bomb.safetensors")
    assert (tmp_path / "bomb.npz").stat().st_size < 2**12
    for read, name in ((read_npz, "bomb.npz"), (tensors.read, "bomb.safetensors")):
        with pytest.raises(InputError, match="would take 0.0 GiB, twice while it is read, and this machine has 0.0"):
            read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("suffix", [".npz", ".h5", ".safetensors", ".png"])
def test_pipes_and_devices_are_not_waited_for(tmp_path, suffix):
    pipe, device = tmp_path / f"pipe{suffix}", tmp_path / f"device{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device):
        with pytest.raises(OSError, match="it is not a file"):
            open_file(path)
        with pytest.raises(InputError, match=f"{path.name}"):
            if suffix == ".png":
                read_image(path, (4, 4))
            elif suffix == ".safetensors":
                jaxnet.load_model(path)
            else:
                load_dataset(path, test_fraction=0.25, seed=0)


def test_headers_are_parsed_in_many_threads(tmp_path):
    path = write_npz(tmp_path / "a.npz", **{f"a{i}": np.arange(i) for i in range(20)})
    with ThreadPoolExecutor(8) as threads:
        for arrays in threads.map(read_npz, [path] * 40):
            assert all(np.array_equal(arrays[f"a{i}"], np.arange(i)) for i in range(20))


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, struct.pack("<Q", 2**62), struct.pack("<Q", 9) + b'{"a": 1}}'])
def test_what_is_not_safetensors_is_refused(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a safetensors file, or is cut off: "):
        tensors.read(tmp_path / "a.safetensors")


ODD = {
    "float8": np.zeros((3, 8), ml_dtypes.float8_e4m3fn),
    "bfloat16": np.zeros((3, 8), ml_dtypes.bfloat16),
    "datetime64": np.zeros((3, 8), "M8[s]"),
    "complex64": np.zeros((3, 8), np.complex64),
    "text": np.full((3, 8), "a"),
    "no axis": np.float32(1),
    "one axis": np.zeros(8, np.float32),
    "floats beyond float32": np.full((3, 8), 1e300),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_arrays_are_refused_as_inputs_and_as_weights(tmp_path, name):
    Y = np.arange(8) % 2
    with pytest.raises(InputError, match="the inputs (are|have shape)|NaN or infinite"):
        load_dataset(write_npz(tmp_path / "a.npz", X=ODD[name], Y=Y), test_fraction=0.25, seed=0)
    if name != "floats beyond float32":
        with pytest.raises(InputError, match="W1 is|has no matrix as weight"):
            load_torch(write_npz(tmp_path / "b.npz", W1=ODD[name]))


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [">f4", "<f2", ">f8"])
def test_any_order_of_bytes_and_axes_is_the_same_data(tmp_path, dtype, order):
    X, Y = np.arange(24).reshape(3, 8) / 32, np.arange(8) % 2
    expected = load_dataset(write_npz(tmp_path / "a.npz", X=X, Y=Y), test_fraction=0.25, seed=0)
    odd = write_npz(tmp_path / "b.npz", X=np.array(X, dtype, order=order), Y=Y.astype(">i2"))
    assert load_dataset(odd, test_fraction=0.25, seed=0).fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"X": np.eye(4), "x": np.eye(4), "Y": [0, 1, 0, 1]}, "has both X and x; expected one of them"),
        ({"X": np.eye(4), "Y": [0, 1, 0, 1], "y": [0, 1, 0, 1]}, "has both Y and y"),
        (
            {name: np.eye(4) for name in ("X", "Y", "train_x", "train_y", "test_x", "test_y")},
            "has the arrays X, Y, train_x, train_y, test_x, test_y; expected X and Y, or train_x",
        ),
        ({f"a{i}": [0] for i in range(99)}, "a10, a11 and 87 more; expected X and Y"),
    ],
)
def test_arrays_that_may_mean_either_are_refused(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        load_dataset(write_npz(tmp_path / "a.npz", **arrays), test_fraction=0.25, seed=0)


def test_two_weights_of_one_layer_are_refused(tmp_path):
    W = np.ones((2, 3), np.float32)
    with pytest.raises(InputError, match="'1.weight' is the second W of its layer"):
        load_torch(write_npz(tmp_path / "a.npz", **{"W1": W, "1.weight": 2 * W}))


def drawn_files(folder):
    """One of each kind, and what reads it."""
    images, labels = drawn_images(12, (3, 3))
    shade = np.random.default_rng(0).integers(0, 255, 3).tolist()

    def load(path):
        return load_dataset(path, test_fraction=0.25, seed=0)

    yield write_npz(folder / "a.npz", X=images, Y=labels, classes=np.array(["a", "b"])), load
    yield write_h5(folder / "train.h5", "train", images, labels), load
    idx = write_idx(folder / "idx", (images, labels), (images, labels))
    yield idx / "train-images-idx3-ubyte.gz", lambda path: load(path.parent)
    jaxnet.save_model(folder / "m.safetensors", drawn_model())
    yield folder / "m.safetensors", jaxnet.load_model
    save_torch(folder / "t.safetensors", drawn_model())
    yield folder / "t.safetensors", load_torch
    save_npz(folder / "m.npz", drawn_model())
    yield folder / "m.npz", load_torch
    for suffix in ("png", "jpg", "gif", "bmp", "tif", "webp"):
        yield save_image(folder / f"a.{suffix}", tuple(shade)), lambda path: read_image(path, (4, 4, 3))


def mutated(content, generator):
    changed = bytearray(content)
    kind, place = generator.integers(4), generator.integers(len(content))
    if kind == 0:
        return bytes(changed[:place])
    if kind == 1:
        changed[place : place + 8] = b"\xff" * 8
    else:
        for place in generator.integers(len(content), size=kind):
            changed[place] ^= 1 << generator.integers(8)
    return bytes(changed)


def test_mutated_files_are_read_or_refused_in_one_line(tmp_path):
    generator = np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for path, read in drawn_files(tmp_path):
        content = path.read_bytes()
        for _ in range(15):
            path.write_bytes(mutated(content, generator))
            try:
                read(path)
                outcomes["read"] += 1
            except InputError as error:
                assert len(str(error)) < 2000 and str(error).isprintable()
                outcomes["refused"] += 1
        path.write_bytes(content)
    assert outcomes["refused"] > 30 < outcomes["read"]
