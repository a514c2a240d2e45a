"""The commands as they are typed."""

import subprocess
import sys

import numpy as np
import pytest

import jaxnet
from jaxnet import data, runs
from jaxnet.activations import ACTIVATIONS, STRAIGHT_THROUGH
from jaxnet.cli import main, options
from jaxnet.feedback import RULES
from jaxnet.hooks.trackers import TRACKERS
from jaxnet.losses import LOSSES
from jaxnet.parameters import INITS
from jaxnet.runs import settings

from ..images import drawn_images, write_npz


def typed(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def test_the_default_run_tells_faces_from_other_things(tmp_path, capsys):
    assert typed("train", "--out", tmp_path / "run") == 0
    output = capsys.readouterr()
    for said in (
        "lfw_subset of scikit-image",
        "150 to train on, 50 to test on, of shape 25x25: not a face, face",
        "625-20-7-5-1, relu, sigmoid output, 12,713 parameters",
        "2500 steps of gradient descent, learning rate 0.0075, all 150 examples",
        "L_model_backward agrees with jax.grad",
        "model.safetensors, history.csv, report.html, predictions.png",
    ):
        assert said in output.out
    assert "step 2500/2500, cost" in output.err and "examples/s" in output.err
    accuracy = next(line for line in output.out.splitlines() if line.startswith("accuracy"))
    assert float(accuracy.split("test ")[1]) >= 0.94
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        ".lock",
        "checkpoints",
        "model.safetensors",
        "history.csv",
        "predictions.png",
        "report.html",
        "settings.toml",
    }


def test_overwrite_replaces_a_run(tmp_path, capsys, bare):
    out = tmp_path / "run"
    images, labels = drawn_images(40)
    data = write_npz(tmp_path / "a.npz", X=images, Y=labels)
    assert typed("train", data, "--layers", 3, "--num-iterations", 1, "--out", out) == 0
    assert typed("train", data, "--layers", 3, "--num-iterations", 2, "--out", out) == 2
    assert typed("train", data, "--layers", 3, "--num-iterations", 2, "--out", out, "--overwrite") == 0
    assert "2," in (out / "history.csv").read_text().splitlines()[-1]


def test_a_run_that_diverges_keeps_its_last_finite_parameters(tmp_path, capsys, bare):
    arguments = ["--learning-rate", 1e20, "--num-iterations", 50, "--out", tmp_path / "run"]
    assert typed("train", *arguments) == 1
    error = capsys.readouterr().err
    assert "training stopped at iteration" in error and "is the first at fault; try a smaller learning rate" in error
    model = jaxnet.load_model(tmp_path / "run")
    assert all(np.isfinite(value).all() for value in model.parameters.values())


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_ctrl_c_is_no_traceback(capsys, monkeypatch):
    monkeypatch.setattr(data, "load_dataset", interrupt)
    assert typed("train") == 130
    assert capsys.readouterr().err == "jaxnet: interrupted\n"


@pytest.mark.parametrize("command", [[], ["train"], ["predict"], ["check"]])
def test_help_does_not_wait_for_jax(command):
    code = (
        "import sys, contextlib\n"
        "from jaxnet.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    main({[*command, '--help']})\n"
        "print(sorted({'jax', 'numpy', 'optax', 'matplotlib'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("usage: jaxnet") and answer.stdout.endswith("[]\n")


def test_help_names_every_member():
    assert options.OPTIMIZERS == tuple(settings.LEARNING_RATES) and options.TRACKERS == tuple(TRACKERS)
    assert options.ACTIVATIONS == tuple(ACTIVATIONS) and options.LOSSES == tuple(LOSSES)
    assert set(options.INITS) == set(INITS)
    assert options.FEEDBACKS == tuple(RULES) and options.STRAIGHT_THROUGH == tuple(STRAIGHT_THROUGH)


def test_python_m_jaxnet():
    answer = subprocess.run([sys.executable, "-m", "jaxnet", "predict", "none", "none"], capture_output=True, text=True)
    assert answer.returncode == 2 and answer.stderr.startswith("jaxnet: error: none is not a file")


def test_ctrl_c_in_training_keeps_the_model_so_far(tmp_path, capsys, monkeypatch):
    execute = runs.execute

    def interrupted(run, history, hooks, *rest):
        def interrupt(progress):
            if progress.iteration == 200:
                raise KeyboardInterrupt

        return execute(run, history, [interrupt], *rest)

    monkeypatch.setattr(runs, "execute", interrupted)
    assert typed("train", "--out", tmp_path / "run") == 130
    assert "interrupted; the model of 200 steps is in" in capsys.readouterr().err
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 3
    assert jaxnet.load_model(tmp_path / "run").classes == ("not a face", "face")


def test_an_early_ctrl_c_leaves_the_older_run(tmp_path, capsys, monkeypatch):
    (tmp_path / "history.csv").write_text("older")
    monkeypatch.setattr("jaxnet.runs.execution.measure", interrupt)
    assert typed("train", "--out", tmp_path, "--overwrite") == 130
    assert capsys.readouterr().err.endswith("jaxnet: interrupted\n")
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "history.csv", "settings.toml"}


@pytest.mark.thorough
def test_a_reader_that_leaves_early_loses_nothing(tmp_path):
    """By then everything is written; before the training there is nothing to lose."""
    command = [sys.executable, "-u", "-m", "jaxnet", "train", "--num-iterations", "100", "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert any(line.startswith("cost") for line in running.stdout)
        running.stdout.close()
        assert "Traceback" not in running.stderr.read()
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_a_name_that_is_too_long_is_no_traceback(capsys):
    assert typed("train", "a" * 300 + ".npz") == 2
    assert capsys.readouterr().err.startswith("jaxnet: error: ")


@pytest.mark.parametrize("module", ["filelock", "tomli_w", "tqdm"])
def test_what_a_command_needs_is_named(tmp_path, capsys, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert typed("train", "--out", tmp_path / "run") == 2
    assert f"this command needs {module}: pip install 'jaxnet[photos]'" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit):
        typed("--version")
    assert capsys.readouterr().out.startswith("jaxnet 0.")
