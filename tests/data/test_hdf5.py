"""HDF5 files that name other files, or hold no plain arrays: refused by name, and nothing outside is read."""

import os
import subprocess

import h5py
import numpy as np
import pytest

from jaxnet.data import hdf5, load_dataset
from jaxnet.data.hdf5 import read_h5
from jaxnet.errors import InputError
from jaxnet.storage import untrusted

from ..images import drawn_images


IMAGES, LABELS = drawn_images(8, (3, 3))
X, SHAPE, SECRET = "train_set_x", (8, 3, 3), b"root:x:0:0:" * 9


def written(path, add, labels=LABELS):
    with h5py.File(path, "w", libver="latest") as file:
        file["train_set_y"] = labels
        add(file, path.with_name("secret"))
    return path


def read(path):
    return load_dataset(path, test_fraction=0.25, seed=0)


def virtual(file, secret):
    layout = h5py.VirtualLayout(SHAPE, "u1")
    layout[:] = h5py.VirtualSource(f"{secret}.h5", "x", SHAPE)
    file.create_virtual_dataset(X, layout)


def endless(file, secret):
    """A virtual dataset whose shape depends on its source."""
    whole, view = (h5py.h5s.create_simple(SHAPE, (h5py.h5s.UNLIMITED, 3, 3)) for _ in range(2))
    for space in (whole, view):
        space.select_hyperslab((0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1), block=(1, 3, 3))
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_virtual(whole, os.fsencode(secret), b"/x", view)
    h5py.h5d.create(file.id, X.encode(), h5py.h5t.NATIVE_UINT8, whole, layout)


def soft(file, secret):
    file["way"] = h5py.ExternalLink(f"{secret}.h5", "/")
    file[X] = h5py.SoftLink("/way/x")


def references(file, secret):
    file["other"] = IMAGES
    file.create_dataset(X, (8,), h5py.regionref_dtype)
    file[X][0] = file["other"].regionref[:1]


def plugin(file, secret):
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk(SHAPE)
    layout.set_filter(32123, h5py.h5z.FLAG_OPTIONAL, (1,))
    h5py.h5d.create(file.id, X.encode(), h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(SHAPE), layout)


def put(values):
    return lambda file, secret: file.__setitem__(X, values)


def declared(*args, **kwargs):
    return lambda file, secret: file.create_dataset(X, *args, **kwargs)


OUTSIDE = "jaxnet reads no file that a data file names: store the values in a.h5 itself"
REFUSED = {
    "external storage": (
        lambda file, secret: file.create_dataset(X, SHAPE, "u1", external=[(secret, 0, 72)]),
        rf"train_set_x is stored in another file, .*secret; {OUTSIDE}",
    ),
    "external names": (
        lambda file, secret: (
            put(IMAGES)(file, secret),
            file.create_dataset("list_classes", (2,), "S9", external=[(secret, 0, 18)]),
        ),
        "list_classes is stored in another file",
    ),
    "a virtual dataset": (virtual, rf"train_set_x is a virtual dataset, a view of .*secret.h5; {OUTSIDE}"),
    "a virtual dataset without end": (endless, "train_set_x is a virtual dataset, a view of .*secret;"),
    "an external link": (
        lambda file, secret: file.__setitem__(X, h5py.ExternalLink(secret, "/x")),
        rf"train_set_x is a link to .*secret, /x; {OUTSIDE}",
    ),
    "a soft link": (soft, "train_set_x is a link to /way/x"),
    "references": (references, "train_set_x is object; expected"),
    "a filter of a shared library": (plugin, "is packed by filter 32123 .*shared library; expected gzip, shuffle"),
    "a group": (lambda file, secret: file.create_group(X), "train_set_x is not a dataset"),
    "a type": (put(np.dtype("u1")), "train_set_x is not a dataset"),
    "a struct": (put(np.zeros(8, [("a", "u1")])), "train_set_x is .*; expected plain numbers"),
    "complex": (put(np.zeros((3, 8), complex)), "train_set_x is complex128; expected plain numbers"),
    "text": (put(["a"] * 8), "train_set_x is object; expected plain numbers"),
    "arrays of any length": (declared((8,), h5py.vlen_dtype("u1")), "train_set_x is object; expected plain"),
    "no space": (put(h5py.Empty("u1")), "train_set_x has no values, not even a shape"),
    "a giant": (
        declared((2**40, 64, 64, 3), "u1", chunks=(1, 64, 64, 3)),
        r"train_set_x of shape \(1099511627776, 64, 64, 3\) would take 12,582,912.0 GiB, twice while it is read, and",
    ),
    "nothing written": (declared(SHAPE, "u1", chunks=True), "but no values were ever written to it"),
    "an escape sequence": (
        lambda file, secret: file.__setitem__("\x1b[2J", IMAGES),
        r"has no train_set_x; it has \\x1b\[2J, train_set_y$",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_plain_dataset_is_refused_by_name(tmp_path, name):
    add, message = REFUSED[name]
    (tmp_path / "secret").write_bytes(SECRET)
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["x"] = IMAGES
    with pytest.raises(InputError, match=message):
        read(written(tmp_path / "a.h5", add))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["external storage", "a virtual dataset without end", "an external link"])
def test_a_pipe_that_is_named_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / "secret")
    with pytest.raises(InputError, match="jaxnet reads no file that a data file names"):
        read(written(tmp_path / "a.h5", REFUSED[name][0]))


PLAIN = {
    "packed": declared(data=IMAGES, compression="gzip", shuffle=True, fletcher32=True),
    "lzf": declared(data=IMAGES, compression="lzf"),
    "big-endian": put(IMAGES.astype(">f4") / 255),
    "float16": put(np.float16(IMAGES / 255)),
    "columns": put(np.asfortranarray(IMAGES.reshape(8, -1).T)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_datasets_are_read_however_they_are_stored(tmp_path, name):
    dataset = read(written(tmp_path / "a.h5", PLAIN[name]))
    rows = np.concatenate([dataset.train.rows, dataset.test.rows]).astype(float)
    expected = IMAGES.reshape(8, -1) / (1 if rows.max() > 1 else 255)
    assert sorted(rows.sum(axis=1)) == pytest.approx(sorted(expected.sum(axis=1)), rel=1e-3)


def test_any_text_names_classes_and_damaged_text_ends(tmp_path, monkeypatch):
    path = written(tmp_path / "a.h5", lambda file, _: file.update({X: IMAGES, "list_classes": ["Kätzchen", "犬"]}))
    assert read(path).classes == ("Kätzchen", "犬")

    def slow(*args, **kwargs):
        raise subprocess.TimeoutExpired(args, kwargs["timeout"])

    monkeypatch.setattr(hdf5.subprocess, "run", slow)
    with pytest.raises(InputError, match="a.h5: list_classes cannot be read: its text is damaged"):
        read(path)


def test_a_packed_chunk_that_may_not_fit_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path / "a.h5", PLAIN["packed"])
    monkeypatch.setattr(untrusted, "memory", lambda: 2**15)  # of which HDF5 might unpack 1032 times what is stored
    with pytest.raises(InputError, match="the largest chunk of train_set_x would take 0.0 GiB, twice while it is read"):
        read_h5(path, "train")
    read_h5(written(tmp_path / "b.h5", put(IMAGES)), "train")
