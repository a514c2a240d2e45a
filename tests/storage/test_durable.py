"""Files that are replaced as a whole or stay as they were."""

import errno
import os

import pytest

from jaxnet.storage import durable


def test_content_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    durable.write(path, b"after")
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), durable.replacing(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FileNotFoundError, match="No such file or directory: '.*none/a.txt'"):
        durable.write(tmp_path / "none" / "a.txt", b"x")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device: '.*/a.txt'"):
        durable.write(tmp_path / "a.txt", b"x")


def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(durable.os, "fsync", lambda descriptor: done.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    durable.write(tmp_path / "a.txt", b"x")
    assert done == [str(tmp_path / f".a.txt.{os.getpid()}"), str(tmp_path)]


def test_a_long_name_can_be_written(tmp_path):
    durable.write(tmp_path / ("a" * 250), b"x")
    assert os.listdir(tmp_path) == ["a" * 250]
