"""The examples print the numbers that they state."""

import importlib
import json
import re
from importlib.util import find_spec

import numpy as np
import pytest

from .images import drawn_images, write_npz


def test_course_curves_are_reproduced_digit_for_digit(shared_data):
    """One figure, where relu units of the two-layer network are switching, is sensitive beyond its last digits: NumPy
    itself is 2e-15 off there. All others are a few units in the 16th digit off, at most."""
    from examples import course_curves

    two_layer, L_layer = course_curves.reproduce_all(shared_data / "course")
    sensitive = two_layer["iterations"].index(1600)
    assert two_layer["differences"][sensitive] < 3e-14
    assert np.delete(two_layer["differences"], sensitive).max() < 2e-15
    assert L_layer["differences"].max() < 1e-15
    assert (two_layer["train_accuracy"], two_layer["test_accuracy"]) == (1.0, 0.72)
    assert (round(L_layer["train_accuracy"], 5), L_layer["test_accuracy"]) == (0.98565, 0.80)


def test_curves_are_drawn(tmp_path):
    from examples import course_curves

    result = {"name": "a", "iterations": [0, 100], "costs": [0.7, 0.6], "test_accuracy": 0.5}
    course_curves.plot([result], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000


@pytest.mark.thorough
def test_jit_training_ends_at_the_accuracy_it_states(capsys, default_promotion):
    example = importlib.import_module("examples.jit_training")
    example.main()
    stated = float(re.search(r"([\d.]+) at the end", example.__doc__).group(1))
    reached = float(re.search(r"epoch 60: .* test accuracy ([\d.]+)", capsys.readouterr().out).group(1))
    assert reached >= stated - 0.0201  # one photograph of fifty


def printed(text, before):
    """The number behind a word."""
    return float(re.search(re.escape(before) + r"\D*?([\d.]+)", text).group(1))


@pytest.mark.thorough
def test_cats_and_dogs_are_told_apart(tmp_path, capsys, monkeypatch, bare, default_promotion):
    """Small images and short runs, by the same commands."""
    from examples import cats_and_dogs

    for name in ("FEATURES", "PIXELS"):
        settings = re.sub(r"--layers \d+", "--layers 4", getattr(cats_and_dogs, name))
        settings = re.sub("--batch-size .*", "--batch-size 8 --epochs 2", settings)
        monkeypatch.setattr(cats_and_dogs, name, settings)
    images, labels = drawn_images(24, (9, 8, 3))
    data = write_npz(tmp_path / "a.npz", train_x=images, train_y=labels, test_x=images[:8], test_y=labels[:8])
    cats_and_dogs.main([str(data), "--out", str(tmp_path / "runs"), "--seeds", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("jaxnet ")] == ["train", "train", "average"] * 2
    said = [line for line in lines if "test accuracy" in line]
    assert len(said) == 4 and all(0 <= printed(line, "test accuracy") <= 1 for line in said)


@pytest.mark.thorough
def test_mislabelled_digits_are_found(shared_data, tmp_path, capsys, default_promotion):
    from examples import mislabelled_digits

    folder = str(shared_data / "mnist")
    mislabelled_digits.main([folder, "--plot", str(tmp_path / "digits.png"), "--digits", "2000"])
    out = capsys.readouterr().out
    assert printed(out, "\nself-influence: ") > 0.5
    assert printed(out, "\nloss: ") > 0.7
    assert printed(out, "at random: ") < 0.2
    assert (tmp_path / "digits.png").stat().st_size > 10_000


@pytest.mark.thorough
def test_the_noise_scale_is_drawn_beside_the_steps(shared_data, tmp_path, capsys, monkeypatch, default_promotion):
    """Two batch sizes and a high target, to be quick."""
    from examples import gradient_noise_scale

    monkeypatch.setattr(gradient_noise_scale, "TARGET", 0.6)
    monkeypatch.setattr(gradient_noise_scale, "SEEDS", (0,))
    monkeypatch.setattr(gradient_noise_scale, "RATES", [0.2])
    plot = tmp_path / "noise.png"
    gradient_noise_scale.main([str(shared_data / "mnist"), "--plot", str(plot), "--batches", "16", "64"])
    out = capsys.readouterr().out
    assert printed(out, "batches of 16: ") > printed(out, "batches of 64: ")
    assert printed(out, "B_simple: ") > 1
    assert plot.stat().st_size > 10_000


@pytest.mark.thorough
def test_kfac_needs_fewer_steps(shared_data, tmp_path, capsys, monkeypatch, default_promotion):
    """One setting of each, the best of the example's, to a higher cost."""
    from examples import kfac

    monkeypatch.setattr(kfac, "TARGET", 0.3)
    monkeypatch.setattr(kfac, "DIGITS", 4000)
    monkeypatch.setattr(kfac, "STEPS", 100)
    for name, values in {"K-FAC": (0.1, 0.003), "momentum": (1.0, 0.98)}.items():
        make, words, _ = kfac.METHODS[name]
        monkeypatch.setitem(kfac.METHODS, name, (make, words, [values]))
    kfac.main([str(shared_data / "mnist"), "--plot", str(tmp_path / "kfac.png")])
    assert printed(capsys.readouterr().out, "K-FAC takes ") > 1.5
    assert (tmp_path / "kfac.png").stat().st_size > 10_000


@pytest.mark.thorough
def test_akrout_s_first_epoch_is_the_published_one(shared_data, tmp_path, capsys, default_promotion):
    from examples import akrout_2019

    file = tmp_path / "akrout.json"
    mnist, plot = str(shared_data / "mnist"), tmp_path / "akrout.png"
    akrout_2019.main([mnist, "--epochs", "1", "--json", str(file), "--plot", str(plot)])
    runs = json.loads(file.read_text())
    for name, accuracies in akrout_2019.PUBLISHED.items():
        assert abs(runs[name]["accuracy"][0] - accuracies[0]) < (0.5 if name == "WM" else 0.3)
    for name, angles in akrout_2019.PUBLISHED_ANGLES.items():
        assert abs(runs[name]["angle"][0] - angles[1]) < 4
    assert "epoch 1" in capsys.readouterr().out and plot.stat().st_size > 10_000


@pytest.mark.thorough
def test_a_rule_of_ones_own_becomes_backpropagation(tmp_path, capsys, default_promotion):
    from examples import own_rule

    own_rule.main(["--plot", str(tmp_path / "own_rule.png")])
    out = capsys.readouterr().out
    assert "with B = W^T: at most 0.0 from backpropagation" in out
    first, last = map(float, re.search(r"angle of dZ1 .*: (\d+) -> (\d+) degrees", out).groups())
    assert first > 80 and last < 5 and printed(out, "test accuracy") > 0.9
    assert (tmp_path / "own_rule.png").stat().st_size > 10_000


@pytest.mark.thorough
def test_feedback_turns_until_it_is_of_use(tmp_path, capsys, monkeypatch):
    """One learning rate of each, the best of the example's, and one that is too large for any."""
    from examples import lillicrap_2016

    best = {"backpropagation": 0.16, "feedback alignment": 0.08, "last layer only": 400}
    for name, rate in best.items():
        rule, _ = lillicrap_2016.RULES[name]
        monkeypatch.setitem(lillicrap_2016.RULES, name, (rule, (1e6, rate)))
    lillicrap_2016.main(["--seeds", "2", "--plot", str(tmp_path / "lillicrap.png")])
    out = capsys.readouterr().out
    first, last = map(float, re.search(r"angle of B e to W2.T e: (\d+) -> (\d+) degrees", out).groups())
    assert 80 < first < 100 and 20 < last < 35
    by_rule = dict(re.findall(r"(.+), learning rate .*: squared error (\S+) of", out))
    assert float(by_rule["feedback alignment"]) < 1e-5
    assert float(by_rule["backpropagation"]) < 1e-10
    assert 0.2 < float(by_rule["last layer only"]) < 0.5
    assert (tmp_path / "lillicrap.png").stat().st_size > 10_000


@pytest.mark.thorough
def test_all_rules_are_seen_on_digits_and_cats(shared_data, tmp_path, capsys, monkeypatch, default_promotion):
    """One epoch of three of them; the cats' 500 steps tell already which random targets learn."""
    from examples import feedback_rules

    names = ("uniform_sign", "direct_random_target", "direct_random_target, centred")
    monkeypatch.setattr(feedback_rules, "RULES", {name: feedback_rules.RULES[name] for name in names})
    feedback_rules.main([str(shared_data), "--epochs", "1", "--starts", "1", "--plot", str(tmp_path / "rules.png")])
    table = re.findall(r"^  \w+(?:, centred)? +\d+ +\d+ +([\d.]+)", capsys.readouterr().out, re.MULTILINE)
    digits, _, _, cats, as_they_are, centred = map(float, table)
    assert digits > 85 and cats > 50
    assert as_they_are == 34 and centred > 50
    assert (tmp_path / "rules.png").stat().st_size > 10_000


@pytest.mark.thorough
def test_direct_feedback_trains_deep_nets_from_zero_weights(shared_data, tmp_path, capsys, default_promotion):
    from examples import nokland_2016

    mnist, plot = str(shared_data / "mnist"), tmp_path / "nokland.png"
    nokland_2016.main([mnist, "--depth", "3", "--epochs", "1", "--plot", str(plot)])
    out = capsys.readouterr().out
    assert float(re.search(r"direct feedback alignment: ([\d.]+) % after 1", out).group(1)) < 20
    least, largest = map(int, re.search(r"dZ (\d+) to (\d+) degrees", out).groups())
    assert 20 < least < largest < 60
    assert "backpropagation, epoch 1: test error 88.65 %, backpropagation's dZ is 0 in all hidden layers" in out
    assert plot.stat().st_size > 10_000


def test_angles_to_an_error_of_zero_are_told_as_such():
    from examples import nokland_2016

    said = nokland_2016.described(np.array([np.nan, 80.0, 95.0]))
    assert said == "dZ 80 to 95 degrees from backpropagation's, which is 0 in 1 of 3 layers"


@pytest.mark.thorough
def test_tables_are_learnt_as_well_as_by_scikit_learn(capsys, monkeypatch, default_promotion):
    pytest.importorskip("sklearn", reason="the tables come with scikit-learn")
    pytest.importorskip("pyarrow", reason="tables are read by pyarrow")
    from examples import tables

    monkeypatch.setattr("sys.argv", ["tables.py", "--seeds", "2"])
    tables.main()
    scores = re.findall(r"jaxnet ([\d.]+) ± .* scikit-learn (-?[\d.]+)", capsys.readouterr().out)
    assert len(scores) == 3 and all(float(ours) > float(theirs) - 0.05 for ours, theirs in scores)


@pytest.mark.thorough
def test_first_numbers_are_printed_beside_scikit_learns(tmp_path, capsys, monkeypatch):
    """One seed and ten steps of each; data of a package that is not there are left out."""
    from examples import first_numbers

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(first_numbers.SOURCES, "missing", ("no_such_package", first_numbers.digits))
    first_numbers.main(["--quick"])
    out = capsys.readouterr().out
    assert "missing                          left out: pip install" in out
    here = [name for name, (package, _) in first_numbers.SOURCES.items() if find_spec(package)]
    measured = re.findall(r"^(.{32}) +\d+ +\d+   0\.\d{4} \(0\.\d+\)", out, re.MULTILINE)
    assert [name.rstrip() for name in measured] == here
