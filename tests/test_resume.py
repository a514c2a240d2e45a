"""A run that is killed goes on, and ends with the bits of the run that was not."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxnet.cli import main

from .pictures import drawn_pictures, write_npz


KILLS = 20
OPTIONS = {
    "all examples": ["--layers", "5", "--iterations", "12000", "--optimizer", "momentum", "--learning-rate", "0.001"],
    "batches, dropout, AdamW, cosine": [
        *("--layers", "6", "4", "--iterations", "12000", "--batch-size", "7", "--optimizer", "adamw"),
        *(
            "--schedule",
            "cosine",
            "--warm-up",
            "500",
            "--keep-prob",
            "0.8",
            "--input-keep-prob",
            "0.9",
            "--lambd",
            "0.1",
        ),
        *("--validation-fraction", "0.2", "--standardise", "--dtype", "bfloat16"),
    ],
}


def start(data, out, *arguments, cache):
    """jaxnet train in a process of its own; compiled functions are kept on disk, since there will be many."""
    command = [sys.executable, "-m", "jaxnet", "train", str(data), "--out", str(out), *map(str, arguments)]
    environment = os.environ | {
        "JAX_ENABLE_COMPILATION_CACHE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


@pytest.mark.slow
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path, kind):
    images, labels = drawn_pictures(50)
    data, cache = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "compiled"
    finish(start(data, tmp_path / "whole", *OPTIONS[kind], cache=cache))
    moments, resumed, killed, latest = random.Random(0), [], 0, 6.0
    arguments = OPTIONS[kind]
    while killed < KILLS // len(OPTIONS) or not any(resumed):
        process = start(data, tmp_path / "killed", *arguments, "--checkpoint-every", 0, cache=cache)
        time.sleep(moments.uniform(0.2, latest))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        assert "Traceback" not in err and "error" not in err, err
        resumed += [int(line.split()[-2]) for line in out.splitlines() if line.startswith("resumed")]
        arguments = ["--resume"] if (tmp_path / "killed" / "settings.toml").exists() else OPTIONS[kind]
        if "finished" in out:
            break
        if not any(resumed):  # a machine with other work to do has not come to a step yet
            latest *= 1.25
    finish(start(data, tmp_path / "killed", "--resume", cache=cache))
    assert resumed == sorted(resumed) and resumed[-1] > 0
    whole, again = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == again.keys()
    for name in whole:
        np.testing.assert_array_equal(again[name], whole[name])
    assert (tmp_path / "whole" / "history.csv").read_text() == (tmp_path / "killed" / "history.csv").read_text()


def typed(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def interrupted_run(tmp_path, monkeypatch, *options):
    """A run that Ctrl-C ended after 300 of 500 steps, and its data."""
    from jaxnet import runs

    images, labels = drawn_pictures(40)
    data, execute = write_npz(tmp_path / "a.npz", X=images, Y=labels), runs.execute

    def interrupted(run, history, on_row, *rest):
        def interrupt(row):
            if row.iteration == 300:
                raise KeyboardInterrupt

        return execute(run, history, interrupt, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "execute", interrupted)
        out = tmp_path / "run"
        assert typed("train", data, "--layers", 3, "--iterations", 500, "--out", out, *options) == 130
    return data, out


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    data, out = interrupted_run(tmp_path, monkeypatch)
    said = capsys.readouterr().err
    assert "interrupted; the model of 300 steps is in" in said and f"jaxnet train --resume --out {out}" in said
    assert typed("train", "--resume", "--out", out) == 0
    assert "after 300 steps" in capsys.readouterr().out
    assert typed("train", data, "--layers", 3, "--iterations", 500, "--out", tmp_path / "whole") == 0
    for name, value in load_file(tmp_path / "whole" / "model.safetensors").items():
        np.testing.assert_array_equal(load_file(out / "model.safetensors")[name], value)
    capsys.readouterr()
    assert typed("train", "--resume", "--out", out) == 0
    assert "all its 500 steps are made" in capsys.readouterr().out


def test_early_stopping_goes_on_with_its_patience_and_its_best(tmp_path, capsys, monkeypatch):
    options = ["--early-stopping", 2, "--learning-rate", 0.05, "--validation-fraction", 0.3]
    data, out = interrupted_run(tmp_path, monkeypatch, *options)
    assert typed("train", "--resume", "--out", out) == 0
    assert typed("train", data, "--layers", 3, "--iterations", 500, "--out", tmp_path / "whole", *options) == 0
    for name, value in load_file(tmp_path / "whole" / "model.safetensors").items():
        np.testing.assert_array_equal(load_file(out / "model.safetensors")[name], value)
    assert (out / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()


@pytest.mark.parametrize("rule", ["weight_mirror", "direct_random_target"])
def test_a_rule_goes_on_with_its_feedback_and_its_alignment(tmp_path, monkeypatch, rule):
    """The mirror's B has changed in every step; the angles of targets to what is in W are no numbers, and kept."""
    options = ["--feedback", rule, "--batch-size", 7, "--record-every", 40]
    data, out = interrupted_run(tmp_path, monkeypatch, *options)
    assert len((out / "alignment.csv").read_text().splitlines()) == 1 + 8
    assert typed("train", "--resume", "--out", out) == 0
    assert typed("train", data, "--layers", 3, "--iterations", 500, "--out", tmp_path / "whole", *options) == 0
    for name, value in load_file(tmp_path / "whole" / "model.safetensors").items():
        np.testing.assert_array_equal(load_file(out / "model.safetensors")[name], value)
    for name in ("history.csv", "alignment.csv"):
        assert (out / name).read_text() == (tmp_path / "whole" / name).read_text()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--feedback", "uniform_sign"], "--feedback is uniform_sign, but the run in {out} was started with backprop"),
        (["--seed", 5], "--seed is 5, but the run in {out} was started with 1"),
        (["--layers", 3, 3], "--layers is (3, 3), but the run in {out} was started with (3,)"),
        (["--iterations", 900], "--iterations is 900, but the run in {out} was started with 500"),
        (["--overwrite"], "expected no --config and no --overwrite"),
    ],
)
def test_other_settings_are_told(tmp_path, capsys, monkeypatch, arguments, message):
    _, out = interrupted_run(tmp_path, monkeypatch)
    capsys.readouterr()
    assert typed("train", "--resume", "--out", out, *arguments) == 2
    assert message.format(out=out) in capsys.readouterr().err


def test_class_weights_go_on_with_the_run(tmp_path, capsys, monkeypatch):
    _, out = interrupted_run(tmp_path, monkeypatch, "--class-weight", "1=2", "0=0.25")
    whole = tmp_path / "whole"
    assert typed("train", tmp_path / "a.npz", "--config", out / "settings.toml", "--out", whole) == 0
    assert typed("train", "--resume", "--out", out, "--class-weight", "0=0.25,1=2") == 0
    assert "weights   0 0.25, 1 2: times the loss" in capsys.readouterr().out
    assert (out / "history.csv").read_text() == (whole / "history.csv").read_text()
    assert typed("train", "--resume", "--out", out, "--class-weight", "balanced") == 2
    assert "--class-weight is balanced, but the run in" in capsys.readouterr().err


def test_the_same_settings_typed_again_are_no_difference(tmp_path, capsys, monkeypatch):
    data, out = interrupted_run(tmp_path, monkeypatch)
    assert typed("train", data, "--layers", 3, "--iterations", 500, "--out", out, "--resume") == 0


def test_other_data_is_told(tmp_path, capsys, monkeypatch):
    data, out = interrupted_run(tmp_path, monkeypatch)
    images, labels = drawn_pictures(40, seed=1)
    write_npz(data, X=images, Y=labels)
    capsys.readouterr()
    assert typed("train", "--resume", "--out", out) == 2
    assert "has changed since" in capsys.readouterr().err


def test_nothing_to_resume(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert typed("train", "--resume") == 2
    assert "there is no run in runs" in capsys.readouterr().err
    assert typed("train", "--resume", "--out", tmp_path) == 2
    assert "has no settings.toml" in capsys.readouterr().err


def test_a_settings_file_without_its_table_is_told(tmp_path, capsys, monkeypatch):
    _, out = interrupted_run(tmp_path, monkeypatch)
    content = (out / "settings.toml").read_text()
    (out / "settings.toml").write_text("run = 3\n" + content[: content.index("[run]")])
    assert typed("train", "--resume", "--out", out) == 2
    assert "it has no table [run]" in capsys.readouterr().err


def test_settings_that_were_edited_are_told(tmp_path, capsys, monkeypatch):
    _, out = interrupted_run(tmp_path, monkeypatch)
    content = (out / "settings.toml").read_text()
    (out / "settings.toml").write_text(content.replace("seed = 1", "seed = 2"))
    assert typed("train", "--resume", "--out", out) == 2
    assert "settings.toml was edited since the run was started" in capsys.readouterr().err


def test_two_processes_do_not_train_in_one_folder(tmp_path, capsys, monkeypatch):
    from jaxnet.run_folder import locked

    data, out = interrupted_run(tmp_path, monkeypatch)
    with locked(out):
        assert typed("train", "--resume", "--out", out) == 2
        assert typed("train", data, "--overwrite", "--out", out) == 2
    assert capsys.readouterr().err.count("another process trains in") == 2
    assert typed("train", "--resume", "--out", out) == 0


def test_ctrl_c_where_the_step_has_its_checkpoint_is_no_error(tmp_path, capsys, monkeypatch):
    from jaxnet import runs

    _, out = interrupted_run(tmp_path, monkeypatch)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "measure", interrupt)
        assert typed("train", "--resume", "--out", out) == 130
    assert "to go on: jaxnet train --resume" in capsys.readouterr().err
    assert typed("train", "--resume", "--out", out) == 0


def test_a_checkpoint_that_cannot_be_written_does_not_lose_the_model(tmp_path, capsys, monkeypatch):
    from jaxnet.checkpoint import Checkpoints
    from jaxnet.errors import InputError

    def refuse(*_):
        raise InputError("a checkpoint cannot be written")

    monkeypatch.setattr(Checkpoints, "save", refuse)
    images, labels = drawn_pictures(40)
    data = write_npz(tmp_path / "a.npz", X=images, Y=labels)
    arguments = ["--layers", 3, "--iterations", 300, "--checkpoint-every", 0, "--out", tmp_path / "run"]
    assert typed("train", data, *arguments) == 2
    assert "a checkpoint cannot be written" in capsys.readouterr().err
    assert (tmp_path / "run" / "model.safetensors").exists()
