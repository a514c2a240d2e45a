"""The diagnosis of runs of the command, healthy and made sick, at their end and on their way."""

import re

import numpy as np
import pytest

from jaxnet import runs
from jaxnet.cli import main
from jaxnet.data import load_dataset
from jaxnet.diagnosis import Evidence, Setup, command, diagnosis_of
from jaxnet.runs import folder as run_folder
from jaxnet.runs.folder import read_history

from ..images import drawn_images, write_npz


def typed(*arguments) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def data(tmp_path):
    images, labels = drawn_images(60)
    return write_npz(tmp_path / "a.npz", X=images, Y=labels)


def watched(data, **chosen):
    """A run's history, what its watch says after each chunk, and its diagnosis."""
    settings = runs.Settings(data=str(data), **chosen)
    run = runs.prepare(load_dataset(data, test_fraction=0.25, seed=1), settings)
    history, watch, seen = runs.History(), runs.Watch(run), []
    parameters = runs.execute(run, history, [lambda progress: seen.append(watch.new_symptoms(history)) or None])
    outputs = run_folder.test_probabilities(run, parameters)
    return history, seen, watch.diagnosis(history, parameters, outputs)


def test_a_healthy_run_has_no_symptom(data):
    _, seen, found = watched(data, layers=(6, 4), num_iterations=400)
    assert found.healthy and not any(seen), found
    assert found.tested is not None and not found.tested.is_guessing


@pytest.mark.thorough
def test_dead_units_are_seen_on_the_way_and_once(data):
    history, seen, found = watched(data, layers=(8, 4), learning_rate=3.0, num_iterations=400, seed=2)
    assert [[symptom.code for symptom in symptoms] for symptoms in seen] == [[], ["dead"], [], []]
    [dead] = seen[1]
    assert dead.step == 100 and dead.value == history.rows[1].dead_shares[dead.layer - 1] > 0.75
    assert dead.remedies[0] == ("learning_rate", 0.5 if dead.remedies[0].value == 0.5 else 0.2)
    assert "dead" in [symptom.code for symptom in found.symptoms]
    assert "vanishing" not in [symptom.code for symptom in found.symptoms]


@pytest.mark.thorough
def test_errors_that_vanish_are_seen_on_the_way(data):
    """Eight layers of sigmoid: nothing arrives at the first one, and the cost stays at the entropy of the labels."""
    _, seen, found = watched(
        data, layers=(6,) * 8, hidden="sigmoid", init="xavier", num_iterations=400, learning_rate=0.1
    )
    assert [[symptom.code for symptom in symptoms] for symptoms in seen] == [[], ["vanishing"], [], []]
    assert [symptom.code for symptom in found.symptoms] == ["guessing", "vanishing", "entropy"]
    assert found.symptoms[1].remedies and not found.symptoms[2].remedies


@pytest.mark.thorough
def test_a_run_that_keeps_its_best_is_judged_by_that(data):
    _, _, found = watched(data, layers=(6,), early_stopping=2, num_iterations=600)
    assert "falling" not in [symptom.code for symptom in found.symptoms]


@pytest.mark.thorough
def test_the_command_warns_on_the_way_and_inspect_knows_the_run(tmp_path, data, capsys, bare):
    """A network drawn with he, whose trouble is its rate, is not advised to be drawn with he."""
    arguments = ["--layers", 8, 4, "--learning-rate", 3, "--seed", 2, "--num-iterations", 400]
    assert typed("train", data, *arguments, "--out", tmp_path / "run") == 0
    output = capsys.readouterr()
    said = r" % of layer \d is dead since step 100: try --learning-rate 0\.2 or --standardise"
    assert len(re.findall("jaxnet: .*" + said, output.err)) == 1 and re.search(said, output.out)
    assert typed("inspect", tmp_path / "run", data) == 0
    inspected = capsys.readouterr().out
    assert re.search(r"^training  .*" + said, inspected, re.MULTILINE) and "--init he" not in inspected
    for name in ("settings.toml", "history.csv"):
        (tmp_path / "run" / name).unlink()
        assert typed("inspect", tmp_path / "run" / "model.safetensors", data) == 0
        assert "training  " not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        "",
        "iteration,cost\n",
        "iteration,cost\n1,2,3\n",
        "iteration,cost\n1,two\n",
        "iteration,cost\n1,nan\n",
        "iteration,dead_share_1\n1,0.5\n",
        "iteration,cost,dead_share_1\n1,0.5,7\n",
        "iteration,cost,dead_share_1\n1,0.5,nan\n",
        b"\xff\xfe\x00",
    ],
)
def test_a_history_that_is_damaged_is_none(tmp_path, content):
    (tmp_path / "history.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert read_history(tmp_path) is None


def test_a_history_that_was_written_says_what_was_wrong(tmp_path):
    (tmp_path / "history.csv").write_text("iteration,cost,test_cost,dead_share_1\n100,0.5,nan,0.5\n200,80,inf,0.9\n")
    columns = read_history(tmp_path)
    assert columns is not None
    found = runs.row_symptoms(columns, Setup(learning_rate=0.1))
    assert [(symptom.code, symptom.step) for symptom in found] == [("rose", 200), ("dead", 200)]
    assert runs.row_symptoms({"iteration": np.ones(0), "cost": np.ones(0)}, Setup()) == ()


def test_errors_of_features_are_measured(tmp_path):
    """The rows of such a run are features already; they once were made again, of features."""
    images, labels = drawn_images(40, (20, 8))
    data = write_npz(tmp_path / "a.npz", X=images, Y=labels)
    settings = runs.Settings(data=str(data), features="hog", layers=(4,), num_iterations=200)
    run = runs.prepare(load_dataset(data, test_fraction=0.25, seed=1), settings)
    assert runs.Watch(run)._measured(run.first.parameters) is None


@pytest.mark.parametrize(
    "r2, codes",
    [((0.9, 0.8), []), ((0.9, 0.2), ["overfitting"]), ((0.9, -0.5), ["mean", "overfitting"]), ((0.0, -0.1), ["mean"])],
)
def test_a_regression_is_judged_by_its_r2(r2, codes):
    found = diagnosis_of(Evidence(np.ones(3), has_classes=False, r2=r2), Setup())
    assert [symptom.code for symptom in found.symptoms] == codes
    assert all("R²" in line or "far above" in line or "nothing wrong" in line for line in found.lines(command))
