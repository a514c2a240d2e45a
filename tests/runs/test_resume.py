"""A run that is killed goes on, and ends with the bits of the run that was not."""

import argparse
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxnet.cli import main
from jaxnet.cli.train_options import settings_of
from jaxnet.runs import Settings, read_run, write_settings

from ..images import drawn_images, write_npz
from ..tables import write_csv, write_regression


# Eleven kinds of run; each is ended again and again, by every signal, and has to end as the one that was not.
OPTIONS = {
    "all examples, reduced": "--num-iterations 6000 --optimizer momentum --learning-rate 0.001 --batch-size all",
    "batches from memory": "--num-iterations 6000 --batch-size 7 --standardise",
    "batches from disk": "--num-iterations 6000 --batch-size 7 --dtype float64",
    "dropout": "--num-iterations 6000 --batch-size 7 --keep-prob 0.8 --input-keep-prob 0.9 --lambd 0.1",
    "adam, cosine": "--num-iterations 6000 --batch-size 9 --optimizer adamw --schedule cosine --warm-up 500",
    "early stopping": "--num-iterations 6000 --early-stopping 90 --learning-rate 0.001 --validation-fraction 0.2"
    " --optimizer sgd --batch-size all",
    "a regression of a table": "--num-iterations 6000 --batch-size 7 --optimizer adam --label price --categories rooms",
    "augmentation": "--num-iterations 6000 --batch-size 7 --augment --keep-prob 0.8",
    "features": "--num-iterations 6000 --batch-size 7 --augment --features hog --optimizer adam",
    "a feedback rule": "--num-iterations 6000 --batch-size 7 --feedback weight_mirror --record-every 50"
    " --optimizer sgd",
    "all of it chosen": "",
}
IMAGES = (8, 9, 3)  # large enough for features
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGKILL": -9, "SIGQUIT": -3}
# Inputs are reduced where that is exact, and examples read from disk: neither pays for so few. No report and no check,
# which take longer than the training.
COMMAND = """
import sys
from jaxnet import cli

def run(options):
    print("started", flush=True)  # before, a signal is Python's own to act on
    from jaxnet.runs import chunks, defaults, folder, streaming
    from jaxnet.training import in_memory
    folder.draw, cli.train._check = lambda *_: [], lambda *_: None
    if "batches from disk" in sys.argv[1]:
        streaming.RESIDENT_BYTES, streaming.SEGMENT_BYTES = 0, 20 * 7 * 90 * 8
    if "reduced" in sys.argv[1]:
        in_memory.pays = lambda *_: True
    if "chosen" in sys.argv[1]:  # 6000 steps in chunks of 20
        defaults.STEPS = defaults.MOST_EPOCHS = 6000
        chunks.RATE = 1.8e6
    return command(options)

command, cli.train.run = cli.train.run, run
sys.exit(cli.main(sys.argv[2:]))
"""


def start(kind, *arguments, cache):
    """jaxnet train in a process of its own; compiled functions are kept on disk, since there will be many."""
    command = [sys.executable, "-c", COMMAND, kind, "train", *map(str, arguments)]
    environment = os.environ | {
        "JAX_ENABLE_COMPILATION_CACHE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    return process


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def newest(out):
    """The iteration of the newest checkpoint."""
    return max([int(path.stem) for path in (out / "checkpoints").glob("[0-9]*.safetensors")], default=0)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Of programs, for all kinds of run."""
    return tmp_path_factory.mktemp("compiled")


@pytest.mark.slow
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_run_killed_repeatedly_ends_with_the_same_bits(tmp_path, kind, compiled):
    images, labels = drawn_images(24 if "reduced" in kind else 50, IMAGES if "features" in kind else (6, 5, 3))
    data, out = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "killed"
    data = write_csv(tmp_path / "a.csv") if "table" in kind else data
    new = [data, "--layers", 5, *OPTIONS[kind].split()]
    said = finish(start(kind, *new, "--out", tmp_path / "whole", cache=compiled))
    assert ("lossless" in said) == ("reduced" in kind)
    draw = random.Random(kind)
    names, codes, resumed = [*draw.sample(list(CODES), 5), "SIGKILL"], [], []
    for i, name in enumerate(names):
        arguments = ["--resume", "--out", out] if (out / "settings.toml").exists() else [*new, "--out", out]
        process = start(kind, *arguments, "--checkpoint-every", 0, cache=compiled)
        # The first one may come before any step, but not before Python has come to jaxnet, and has heard of signals.
        while not (newest(out) >= 800 * i if i else out.exists()) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.2))
        process.send_signal(getattr(signal, name))
        said, err = process.communicate(timeout=300)
        assert process.returncode == CODES[name] and "Traceback" not in err and "error" not in err, err
        resumed += [int(line.split()[-2]) for line in said.splitlines() if line.startswith("resumed")]
        codes.append(process.returncode)
    finish(start(kind, "--resume", "--out", out, cache=compiled))
    print(f"{kind}: {list(zip(names, codes, strict=True))}, resumed after {resumed}")
    for name in ("model.safetensors", "history.csv", *(["alignment.csv"] if "rule" in kind else [])):
        assert (tmp_path / "whole" / name).read_bytes() == (out / name).read_bytes()


def typed(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def interrupted_run(tmp_path, monkeypatch, *options, data=None, shape=(6, 5, 3)):
    """A run that Ctrl-C ended after 300 of 500 steps, and its data."""
    from jaxnet import runs

    images, labels = drawn_images(40, shape)
    data, execute = data or write_npz(tmp_path / "a.npz", X=images, Y=labels), runs.execute

    def interrupted(run, history, hooks, *rest):
        def interrupt(progress):
            if progress.iteration == 300:
                raise KeyboardInterrupt

        return execute(run, history, [interrupt], *rest)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "execute", interrupted)
        out = tmp_path / "run"
        assert typed("train", data, "--layers", 3, "--num-iterations", 500, "--out", out, *options) == 130
    return data, out


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """A run of the default options that was ended early, and its data: for the tests that change neither."""
    with pytest.MonkeyPatch.context() as patch:
        return interrupted_run(tmp_path_factory.mktemp("first"), patch)


@pytest.fixture
def ended(first_run, tmp_path):
    """The data of that run, and a copy of its folder, to go on in."""
    data, out = first_run
    return data, shutil.copytree(out, tmp_path / "run")


@pytest.fixture(scope="module")
def whole(first_run, tmp_path_factory):
    """The folder of the same run, not ended early; it has its report, and the check of its gradient."""
    data, out = first_run[0], tmp_path_factory.mktemp("whole") / "run"
    assert typed("train", data, "--layers", 3, "--num-iterations", 500, "--out", out) == 0
    return out


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, capsys, monkeypatch, whole):
    _, out = interrupted_run(tmp_path, monkeypatch)
    said = capsys.readouterr().err
    assert "interrupted; the model of 300 steps is in" in said and f"jaxnet train --resume --out {out}" in said
    assert typed("train", "--resume", "--out", out) == 0
    assert "after 300 steps" in capsys.readouterr().out
    for name, value in load_file(whole / "model.safetensors").items():
        np.testing.assert_array_equal(load_file(out / "model.safetensors")[name], value)
    capsys.readouterr()
    assert typed("train", "--resume", "--out", out) == 0
    assert "all 500 steps are done" in capsys.readouterr().out


def test_early_stopping_goes_on_with_its_patience_and_its_best(tmp_path, capsys, monkeypatch, bare):
    options = ["--early-stopping", 2, "--learning-rate", 0.05, "--validation-fraction", 0.3]
    data, out = interrupted_run(tmp_path, monkeypatch, *options)
    assert typed("train", "--resume", "--out", out) == 0
    assert typed("train", data, "--layers", 3, "--num-iterations", 500, "--out", tmp_path / "whole", *options) == 0
    for name, value in load_file(tmp_path / "whole" / "model.safetensors").items():
        np.testing.assert_array_equal(load_file(out / "model.safetensors")[name], value)
    assert (out / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()


@pytest.mark.parametrize("kind", ["an npz file", "a table"])
@pytest.mark.few(1)
def test_a_regression_goes_on_in_the_same_units(tmp_path, capsys, monkeypatch, bare, kind):
    options = ["--batch-size", 7, "--optimizer", "momentum", "--early-stopping", 50]
    if kind == "a table":
        data, options = write_csv(tmp_path / "a.csv"), [*options, "--label", "price", "--categories", "rooms"]
    else:
        data = write_regression(tmp_path / "a.npz", outputs=2)
    _, out = interrupted_run(tmp_path, monkeypatch, *options, data=data)
    assert typed("train", "--resume", "--out", out) == 0
    assert typed("train", data, "--layers", 3, "--num-iterations", 500, "--out", tmp_path / "whole", *options) == 0
    for name in ("model.safetensors", "history.csv"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    capsys.readouterr()
    if kind == "a table":
        data.write_text(data.read_text().replace("Rome", "Roma"))
        assert typed("train", "--resume", "--out", out, "--num-iterations", 600) == 2
        assert "has changed since" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--augment"], ["--augment", "--features", "hog"]], ids=["pixels", "features"])
@pytest.mark.few(1)
def test_augmentation_goes_on_as_if_nothing_had_been(tmp_path, monkeypatch, options, bare):
    options = [*options, "--batch-size", 7]
    data, out = interrupted_run(tmp_path, monkeypatch, *options, shape=(20, 8))
    assert typed("train", "--resume", "--out", out) == 0
    assert typed("train", data, "--layers", 3, "--num-iterations", 500, "--out", tmp_path / "whole", *options) == 0
    for name in ("model.safetensors", "history.csv"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("rule", ["weight_mirror", "direct_random_target"])
@pytest.mark.few(1)
def test_a_rule_goes_on_with_its_feedback_and_its_alignment(tmp_path, monkeypatch, bare, rule):
    """The mirror's B has changed in every step; the angles of targets to what is in W are no numbers, and kept."""
    options = ["--feedback", rule, "--batch-size", 7, "--record-every", 40]
    data, out = interrupted_run(tmp_path, monkeypatch, *options)
    assert len((out / "alignment.csv").read_text().splitlines()) == 1 + 8
    assert typed("train", "--resume", "--out", out) == 0
    assert typed("train", data, "--layers", 3, "--num-iterations", 500, "--out", tmp_path / "whole", *options) == 0
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
        (["--num-iterations", 400], "400 steps are asked for, but the run in {out} has 500; expected more"),
        (["--overwrite"], "expected no --config and no --overwrite"),
    ],
)
def test_other_settings_are_told(ended, capsys, arguments, message):
    _, out = ended
    capsys.readouterr()
    assert typed("train", "--resume", "--out", out, *arguments) == 2
    assert message.format(out=out) in capsys.readouterr().err


def test_class_weights_go_on_with_the_run(tmp_path, capsys, monkeypatch, bare):
    _, out = interrupted_run(tmp_path, monkeypatch, "--class-weight", "1=2", "0=0.25")
    whole = tmp_path / "whole"
    assert typed("train", tmp_path / "a.npz", "--config", out / "settings.toml", "--out", whole) == 0
    assert typed("train", "--resume", "--out", out, "--class-weight", "0=0.25,1=2") == 0
    assert "weights   0 0.25, 1 2: factors of the loss" in capsys.readouterr().out
    assert (out / "history.csv").read_text() == (whole / "history.csv").read_text()
    assert typed("train", "--resume", "--out", out, "--class-weight", "balanced") == 2
    assert "--class-weight is balanced, but the run in" in capsys.readouterr().err


def test_the_same_settings_typed_again_are_no_difference(ended, bare):
    data, out = ended
    assert typed("train", data, "--layers", 3, "--num-iterations", 500, "--out", out, "--resume") == 0


def test_other_data_is_told(tmp_path, capsys, monkeypatch, bare):
    data, out = interrupted_run(tmp_path, monkeypatch)
    images, labels = drawn_images(40, seed=1)
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


def test_a_settings_file_without_its_table_is_told(ended, capsys):
    _, out = ended
    content = (out / "settings.toml").read_text()
    (out / "settings.toml").write_text("run = 3\n" + content[: content.index("[run]")])
    assert typed("train", "--resume", "--out", out) == 2
    assert "it has no table [run]" in capsys.readouterr().err


def test_settings_that_were_edited_are_told(ended, capsys):
    _, out = ended
    content = (out / "settings.toml").read_text()
    (out / "settings.toml").write_text(content.replace("seed = 1", "seed = 2"))
    assert typed("train", "--resume", "--out", out) == 2
    assert "settings.toml was edited since the run was started" in capsys.readouterr().err


def test_two_processes_do_not_train_in_one_folder(ended, capsys, bare):
    from jaxnet.runs.folder import locked

    data, out = ended
    with locked(out):
        assert typed("train", "--resume", "--out", out) == 2
        assert typed("train", data, "--overwrite", "--out", out) == 2
    assert capsys.readouterr().err.count("another process trains in") == 2
    assert typed("train", "--resume", "--out", out) == 0


def test_ctrl_c_where_the_step_has_its_checkpoint_is_no_error(ended, capsys, monkeypatch, bare):
    _, out = ended

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jaxnet.runs.execution.measure", interrupt)
        assert typed("train", "--resume", "--out", out) == 130
    assert "to go on: jaxnet train --resume" in capsys.readouterr().err
    assert typed("train", "--resume", "--out", out) == 0


def test_an_unwritable_checkpoint_does_not_lose_the_model(tmp_path, capsys, monkeypatch):
    from jaxnet.errors import InputError
    from jaxnet.training import Checkpoints

    def refuse(*_):
        raise InputError("a checkpoint cannot be written")

    monkeypatch.setattr(Checkpoints, "save", refuse)
    images, labels = drawn_images(40)
    data = write_npz(tmp_path / "a.npz", X=images, Y=labels)
    arguments = ["--layers", 3, "--num-iterations", 300, "--checkpoint-every", 0, "--out", tmp_path / "run"]
    assert typed("train", data, *arguments) == 2
    assert "a checkpoint cannot be written" in capsys.readouterr().err
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("number, code", [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
@pytest.mark.few(1)
def test_a_signal_saves_as_ctrl_c_does(tmp_path, capsys, monkeypatch, bare, number, code):
    from jaxnet import runs

    images, labels = drawn_images(40)
    data, out, execute = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "run", runs.execute

    def ended(run, history, hooks, *rest):
        def end(progress):
            if progress.iteration == 200:
                os.kill(os.getpid(), getattr(signal, number))

        return execute(run, history, [end, *hooks], *rest)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "execute", ended)
        assert typed("train", data, "--layers", 3, "--num-iterations", 400, "--out", out) == code
    said = "interrupted" if number == "SIGINT" else f"ended by {number}"
    assert f"jaxnet: {said}; the model of 200 steps is in {out}" in capsys.readouterr().err
    assert typed("train", "--resume", "--out", out) == 0
    assert "after 200 steps" in capsys.readouterr().out
    assert typed("train", data, "--layers", 3, "--num-iterations", 400, "--out", tmp_path / "whole") == 0
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def test_a_signal_while_the_report_is_made_keeps_the_model(tmp_path, capsys, monkeypatch, bare):
    from jaxnet.runs import folder as run_folder

    images, labels = drawn_images(40)
    data, out = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "draw", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert typed("train", data, "--layers", 3, "--num-iterations", 250, "--out", out) == 143
    captured = capsys.readouterr()
    assert "the model of 250 steps is in" in captured.err and "accuracy" not in captured.out
    before = (out / "model.safetensors").read_bytes()
    assert typed("train", "--resume", "--out", out) == 0
    assert "after 250 steps" in capsys.readouterr().out and (out / "model.safetensors").read_bytes() == before
    assert typed("train", "--resume", "--out", out) == 0
    assert "all 250 steps are done" in capsys.readouterr().out


@pytest.mark.parametrize("damaged", [1, 9])
@pytest.mark.few(1)
def test_damaged_checkpoints_are_named_and_the_end_is_the_same(tmp_path, capsys, monkeypatch, bare, whole, damaged):
    data, out = interrupted_run(tmp_path, monkeypatch, "--checkpoint-every", 0)
    checkpoints = sorted((out / "checkpoints").iterdir())
    assert [path.name for path in checkpoints] == [f"{n}.safetensors" for n in (100, 200, 300)]
    for path in checkpoints[-damaged:]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    capsys.readouterr()
    assert typed("train", "--resume", "--out", out) == 0
    captured = capsys.readouterr()
    assert captured.err.count("jaxnet: a checkpoint is left out: ") == min(damaged, 3)
    assert f"after {200 if damaged == 1 else 0} steps" in captured.out
    for name in ("model.safetensors", "history.csv"):
        assert (whole / name).read_bytes() == (out / name).read_bytes()
    # What was set aside is of the run, and goes with it.
    assert typed("train", data, "--layers", 3, "--num-iterations", 1, "--out", out, "--overwrite") == 0
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["1.safetensors"]


def test_data_that_was_moved_is_found_where_it_is_said_to_be(tmp_path, capsys, monkeypatch, bare, whole):
    data, out = interrupted_run(tmp_path, monkeypatch)
    (tmp_path / "elsewhere").mkdir()
    moved = data.rename(tmp_path / "elsewhere" / "b.npz")
    assert typed("train", "--resume", "--out", out) == 2
    assert "does not exist" in capsys.readouterr().err
    images, labels = drawn_images(40, seed=1)
    other = write_npz(tmp_path / "other.npz", X=images, Y=labels)
    assert typed("train", other, "--resume", "--out", out) == 2
    assert "has changed since" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert typed("train", "b.npz", "--resume", "--out", out) == 0
    assert f'data = "{moved}"' in (out / "settings.toml").read_text()
    assert (whole / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def test_a_run_without_options_goes_on_with_its_choices(tmp_path, capsys, monkeypatch, bare):
    """Also under a later jaxnet, with other defaults and other chunks."""
    from jaxnet import runs

    monkeypatch.setattr("jaxnet.runs.defaults.STEPS", 260)
    monkeypatch.setattr("jaxnet.runs.defaults.WIDTH", 8)
    monkeypatch.setattr("jaxnet.runs.defaults.MOST_EPOCHS", 260)
    images, labels = drawn_images(40)
    data, out, execute = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "run", runs.execute

    def interrupted(run, history, hooks, *rest):
        def interrupt(progress):
            if progress.iteration == 120:
                raise KeyboardInterrupt

        return execute(run, history, [interrupt], *rest)

    with monkeypatch.context() as patch:
        patch.setattr("jaxnet.runs.chunks.RATE", 2.7e6)
        assert typed("train", data, "--out", tmp_path / "whole") == 0
        patch.setattr(runs, "execute", interrupted)
        assert typed("train", data, "--out", out) == 130
    assert read_run(out)["chunk"] == 20 and "the model of 120 steps is in" in capsys.readouterr().err
    monkeypatch.setattr("jaxnet.runs.defaults.WIDTH", 9)
    assert typed("train", "--resume", "--out", out) == 0
    said = capsys.readouterr().out
    assert "automatically: --no-standardise --layers 8 --optimizer adam" in said and "after 120 steps" in said
    for name in ("model.safetensors", "history.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (out / name).read_bytes()
    rows = (out / "history.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == [100, 200, 260]


def test_a_run_of_an_older_jaxnet_is_not_resumed(ended, capsys):
    _, out = ended
    facts = read_run(out)
    runs_settings = Settings(**settings_of(argparse.Namespace(), out / "settings.toml"))
    write_settings(out, runs_settings, {name: facts[name] for name in facts if name not in ("chunk", "chosen")})
    assert typed("train", "--resume", "--out", out) == 2
    assert "was made by an older jaxnet, whose steps this one cannot repeat; start another" in capsys.readouterr().err


@pytest.mark.parametrize("steps", [200, 250])
@pytest.mark.thorough
def test_a_chunked_run_continues_to_a_longer_ones_bits(tmp_path, capsys, monkeypatch, bare, steps):
    """The row and the chunk at the end of the shorter one are not the longer one's."""
    monkeypatch.setattr("jaxnet.runs.chunks.RATE", 9e5)
    images, labels = drawn_images(40)
    data, out = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "run"
    options = ["--layers", 3, "--early-stopping", 9, "--keep-prob", 0.8]
    assert typed("train", data, *options, "--num-iterations", steps, "--out", out) == 0
    assert read_run(out)["chunk"] == 20
    assert newest(out) == steps
    assert typed("train", "--resume", "--out", out, "--num-iterations", 330) == 0
    assert f"after {200 if steps == 200 else 240} steps" in capsys.readouterr().out
    assert typed("train", data, *options, "--num-iterations", 330, "--out", tmp_path / "whole") == 0
    for name in ("model.safetensors", "history.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (out / name).read_bytes()


def test_a_finished_run_continues_to_a_longer_ones_bits(tmp_path, capsys, bare):
    images, labels = drawn_images(40)
    data, out = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "run"
    options = ["--layers", 3, "--batch-size", 10, "--optimizer", "momentum", "--keep-prob", 0.8]
    assert typed("train", data, *options, "--num-iterations", 150, "--out", out) == 0
    for fewer, steps in ((["--num-iterations", 149], 149), (["--epochs", 2], 6)):
        assert typed("train", "--resume", "--out", out, *fewer) == 2
        assert f"{steps} steps are asked for, but the run in {out} has 150" in capsys.readouterr().err
    for same in (["--num-iterations", 150], ["--epochs", 50]):
        assert typed("train", "--resume", "--out", out, *same) == 0
        assert "all 150 steps are done" in capsys.readouterr().out
    assert typed("train", "--resume", "--out", out, "--epochs", 110) == 0
    said = capsys.readouterr().out
    assert "after 100 steps" in said and "330 steps of momentum" in said
    assert typed("train", data, *options, "--epochs", 110, "--out", tmp_path / "whole") == 0
    for name in ("model.safetensors", "history.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (out / name).read_bytes()
    assert typed("train", "--resume", "--out", out) == 0
    assert "all 330 steps are done" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, message",
    [
        (["--schedule", "cosine"], "with --schedule cosine every learning rate depends on their number; start another"),
        (["--early-stopping", 1], "after 200 steps, and would end a longer one there; start another"),
    ],
)
def test_a_run_that_cannot_be_continued(tmp_path, capsys, monkeypatch, bare, default_promotion, options, message):

    monkeypatch.setattr(
        "jaxnet.runs.execution.is_over",
        lambda history, settings: settings.early_stopping == 1 and len(history.rows) > 1,
    )
    images, labels = drawn_images(40)
    data, out = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "run"
    assert typed("train", data, "--layers", 3, "--num-iterations", 300, "--out", out, *options) == 0
    before = (out / "settings.toml").read_bytes()
    assert typed("train", "--resume", "--out", out, "--num-iterations", 400) == 2
    said = capsys.readouterr().err
    assert message in said and f"--init-from {out}" in said and (out / "settings.toml").read_bytes() == before


def test_a_run_from_a_model_is_the_rest_of_a_longer_one(tmp_path, capsys, monkeypatch, bare):
    """Gradient descent on all examples has no state but its parameters."""
    images, labels = drawn_images(40)
    data, out = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "run"
    options = ["--num-iterations", 100, "--learning-rate", 0.01, "--optimizer", "sgd", "--batch-size", "all"]
    network = ["--layers", 4, 3, "--hidden", "tanh", "--standardise"]
    assert typed("train", data, *options, *network, "--out", tmp_path / "a") == 0
    assert typed("train", data, *options, "--init-from", tmp_path / "a", "--out", out) == 0
    assert typed("train", "--resume", "--out", tmp_path / "a", "--num-iterations", 200) == 0
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    # The model may change: the run has a copy of what it started from.
    (out / "checkpoints" / "100.safetensors").write_bytes(b"")
    assert typed("train", "--resume", "--out", out, "--num-iterations", 150) == 0
    assert "after 0 steps" in capsys.readouterr().out
    assert typed("train", "--resume", "--out", out, "--num-iterations", 300, "--layers", 5) == 2
    assert typed("train", data, "--init-from", tmp_path / "a", "--layers", 9, "--out", tmp_path / "b") == 2
    assert "has layer_dims [90, 4, 3, 1], and the run [90, 9, 1]; pass --layers" in capsys.readouterr().err
    (out / "initial.safetensors").write_bytes((tmp_path / "a" / "model.safetensors").read_bytes())
    assert typed("train", "--resume", "--out", out, "--num-iterations", 200) == 2
    assert "initial.safetensors, which the run started from, is missing or was changed" in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_the_model_is_kept(tmp_path, capsys, monkeypatch, bare):
    from jaxnet.storage import durable

    def full(path, content):
        if os.path.basename(path) != "model.safetensors":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    images, labels = drawn_images(40)
    data, out, write = write_npz(tmp_path / "a.npz", X=images, Y=labels), tmp_path / "run", durable.write
    with monkeypatch.context() as patch:
        patch.setattr("jaxnet.runs.write_settings", lambda *_: None)
        patch.setattr(durable, "write", full)
        assert typed("train", data, "--layers", 3, "--num-iterations", 200, "--out", out) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("jaxnet: error: ") and error.endswith("No space left on device")
    assert (out / "model.safetensors").exists()
