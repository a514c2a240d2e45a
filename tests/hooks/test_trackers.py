"""Scalars are read back by TensorBoard itself, where it is installed."""

import sys
import warnings

import numpy as np
import pytest
from jaxnet.runs.trackers import ScalarLog

from jaxnet.errors import InputError


def read(folder) -> dict[str, list[tuple[int, float]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what TensorBoard itself imports
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        events = accumulator.EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_scalars_are_read_back(tmp_path):
    folder = tmp_path / "new" / "log"
    with ScalarLog(folder) as log:
        log.write(100, {"cost/train": 0.5, "dead_share_1": np.float32(0.25)})
        log.write(200, {"cost/train": 0.25})
    assert read(folder) == {"cost/train": [(100, 0.5), (200, 0.25)], "dead_share_1": [(100, 0.25)]}


def test_what_was_written_before_an_error_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt), ScalarLog(tmp_path) as log:
        log.write(1, {"cost": 2.0})
        raise KeyboardInterrupt
    assert read(tmp_path) == {"cost": [(1, 2.0)]}


def test_numbers_that_are_none_are_kept_as_they_are(tmp_path):
    with ScalarLog(tmp_path) as log:
        log.write(1, {"cost": np.nan, "norm": np.inf})
    values = {tag: value for tag, [(_, value)] in read(tmp_path).items()}
    assert np.isnan(values["cost"]) and values["norm"] == np.inf


def test_a_file_is_no_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="cannot be written to"):
        ScalarLog(file)


def test_without_tensorboardX_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"pip install 'jaxnet\[tensorboard\]'"):
        ScalarLog(tmp_path)
