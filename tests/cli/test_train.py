"""The options of `jaxnet train`, typed and from files."""

import csv
import re
import subprocess
import sys
import tomllib

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from jaxnet import load_model, read_image, training
from jaxnet.cli import main, train
from jaxnet.feedback import RULES
from jaxnet.runs import folder as run_folder

from ..images import drawn_images, write_npz


def typed(*arguments) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def data(tmp_path):
    images, labels = drawn_images(40)
    return write_npz(tmp_path / "a.npz", X=images, Y=labels)


@pytest.mark.thorough
def test_a_config_holds_all_options_and_what_is_typed_wins(tmp_path, data, capsys):
    config = tmp_path / "a.toml"
    config.write_text(
        f'data = "{data}"\nlayers = [3, 2]\noptimizer = "momentum"\nschedule = "cosine"\nwarm-up = 4\nepochs = 30\n'
        "batch-size = 10\nkeep-prob = 0.9\ninput-keep-prob = 0.95\nlambd = 0.01\nstandardise = true\ngrey = false\n"
        "reduce = false\nvalidation-fraction = 0.2\nlearning-rate = 0.01\nseed = 3\n"
    )
    arguments = ["--epochs", 20, "--no-standardise", "--out", tmp_path / "run"]
    with jax.numpy_dtype_promotion("standard"):  # optax's schedules multiply floats with counts
        assert typed("train", "--config", config, *arguments) == 0
    output = capsys.readouterr().out
    assert "24 to train on, 6 to validate on, 10 to test on" in output
    assert "90-3-2-1" in output and "40 steps of momentum, learning rate 0.01, batches of 10" in output
    assert ", validation " in output
    [verdict] = re.findall(r"^verdict   (test .* guessing, 0\.\d{3} \(95 % interval .*)$", output, re.MULTILINE)
    assert verdict in (tmp_path / "run" / "report.html").read_text()
    used = tomllib.loads((tmp_path / "run" / "settings.toml").read_text())
    assert used["epochs"] == 20 and used["standardise"] is False and used["keep-prob"] == 0.9
    assert used["run"]["finished"] == 40
    # The run's own file is a config, of the same run.
    with jax.numpy_dtype_promotion("standard"):
        assert typed("train", "--config", tmp_path / "run" / "settings.toml", "--out", tmp_path / "again") == 0
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "again"))
    assert all((first[name] == second[name]).all() for name in first)


def test_exact_decoding_goes_with_the_model(tmp_path, monkeypatch, capsys, bare):
    """Into predict and into the runs that start from it: the test photographs are judged as they were in training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXNET_CACHE", "cache")
    for i, name in enumerate(("cat", "dog") * 4):
        shade = np.random.default_rng(i).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(shade).resize((90, 90), Image.Resampling.BICUBIC).save(f"{name}.{i}.jpg")
    options = ["--size", 4, "--layers", 3, "--num-iterations", 2, "--out"]
    assert typed("train", ".", "--exact-decoding", *options, "a") == 0
    model = load_model("a")
    assert model.exact_decoding and "JPEG files decoded exactly" in repr(model)
    pixels = read_image("cat.0.jpg", (4, 4, 3), exact=True)
    assert model("cat.0.jpg") == model(pixels) != model(read_image("cat.0.jpg", (4, 4, 3)))
    assert typed("train", ".", "--size", 4, "--num-iterations", 2, "--init-from", "a", "--out", "b") == 0
    assert load_model("b").exact_decoding
    capsys.readouterr()
    assert typed("train", ".", *options, "c", "--init-from", "a", "--no-exact-decoding") == 2
    assert "was trained with --exact-decoding; pass --exact-decoding" in capsys.readouterr().err


@pytest.fixture
def short(monkeypatch):
    """Few steps where the length is chosen."""
    monkeypatch.setattr("jaxnet.runs.defaults.STEPS", 120)
    monkeypatch.setattr("jaxnet.runs.defaults.LEAST_EPOCHS", 1)


def test_what_is_chosen_from_the_data_is_printed_and_kept(tmp_path, data, capsys, bare, short):
    assert typed("train", data, "--out", tmp_path / "run") == 0
    chosen = ["--no-standardise", "--layers 512", "--optimizer adam", "--learning-rate 0.002", "--schedule cosine"]
    chosen += ["--batch-size 30", "--epochs 100"]
    output = capsys.readouterr().out
    assert f"chosen    automatically: {' '.join(chosen)}\n" in output
    assert "100 steps of adam, learning rate 0.002, batches of 30, cosine schedule" in output
    used = tomllib.loads((tmp_path / "run" / "settings.toml").read_text())
    assert used["layers"] == [512] and used["epochs"] == 100 and "num-iterations" not in used
    # All of it typed is the same run, and so is its file.
    words = " ".join(chosen).split()
    assert typed("train", data, *words, "--out", tmp_path / "typed") == 0
    assert "chosen  " not in capsys.readouterr().out
    assert typed("train", "--config", tmp_path / "run" / "settings.toml", "--out", tmp_path / "again") == 0
    assert "chosen  " not in capsys.readouterr().out
    contents = {(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "typed", "again")}
    assert len(contents) == 1


def test_what_is_typed_beside_a_runs_file_is_chosen_for(tmp_path, data, capsys, bare, short):
    assert typed("train", data, "--layers", 3, "--out", tmp_path / "run") == 0
    config = ["--config", tmp_path / "run" / "settings.toml", "--out", tmp_path / "again"]
    capsys.readouterr()
    assert typed("train", *config, "--optimizer", "sgd", "--epochs", 2) == 0
    output = capsys.readouterr().out
    assert "90-3-1" in output and "2 steps of gradient descent, learning rate 0.0075, batches of 30\n" in output


def test_what_was_edited_in_a_runs_file_is_kept(tmp_path, data, capsys, bare, short):
    assert typed("train", data, "--epochs", 1, "--out", tmp_path / "run") == 0
    content = (tmp_path / "run" / "settings.toml").read_text()
    (tmp_path / "a.toml").write_text(re.sub(r"layers = \[\s*512,\s*\]", "layers = [4]", content))
    assert typed("train", "--config", tmp_path / "a.toml", "--seed", 2, "--out", tmp_path / "again") == 0
    assert "90-4-1" in capsys.readouterr().out


def test_a_sample_is_called_one(tmp_path, data, capsys, monkeypatch, bare):
    monkeypatch.setattr("jaxnet.runs.evaluation.SAMPLE", 20)
    assert typed("train", data, "--layers", 3, "--epochs", 1, "--out", tmp_path / "run") == 0
    assert re.search(r"^accuracy  train [\d.]+ \(on 20 of 30\), test ", capsys.readouterr().out, re.M)


def test_all_examples_in_every_step_can_be_typed(tmp_path, data, capsys, bare):
    assert typed("train", data, "--layers", 3, "--batch-size", "all", "--epochs", 3, "--out", tmp_path / "run") == 0
    assert "3 steps of adam, learning rate 0.001, all 30 examples" in capsys.readouterr().out
    assert tomllib.loads((tmp_path / "run" / "settings.toml").read_text())["batch-size"] == "all"
    assert typed("train", "--config", tmp_path / "run" / "settings.toml", "--out", tmp_path / "again") == 0
    assert "all 30 examples" in capsys.readouterr().out


def test_the_models_own_network_is_not_chosen(tmp_path, data, capsys, bare, short):
    first = ["--layers", 3, "--hidden", "tanh", "--standardise", "--epochs", 1]
    assert typed("train", data, *first, "--out", tmp_path / "a") == 0
    assert typed("train", data, "--init-from", tmp_path / "a", "--out", tmp_path / "b") == 0
    output = capsys.readouterr().out
    assert "chosen    automatically: --optimizer adam --learning-rate 0.002 --sch" in output


def test_the_check_is_one_line_and_its_table_is_verbose(tmp_path, data, capsys, monkeypatch):
    monkeypatch.setattr(run_folder, "draw", lambda *_: [])
    arguments = ["train", data, "--layers", 3, "--num-iterations", 2, "--overwrite", "--out", tmp_path / "run"]
    assert typed(*arguments) == 0
    said = capsys.readouterr().out
    line = "check     L_model_backward agrees with jax.grad, in float64 on some of the training examples\n"
    assert f"{line}saved " in said and "dW1" not in said
    assert typed(*arguments, "--verbose") == 0
    said = capsys.readouterr().out
    assert line in said and all(name in said for name in ("dA0", "dW1", "db2"))


def test_iterations_that_are_typed_win_over_epochs_in_a_file(tmp_path, data, capsys, bare):
    (tmp_path / "a.toml").write_text("epochs = 30\nlayers = [2]\n")
    arguments = ["train", data, "--config", tmp_path / "a.toml", "--num-iterations", 7, "--out", tmp_path / "run"]
    assert typed(*arguments) == 0
    assert "7 steps of adam" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content, message",
    [
        ("learning-rate = -1", "argument --learning-rate: '-1' is not a positive number"),
        ('optimizer = "lion"', "argument --optimizer: invalid choice: 'lion'"),
        ("batch-size = 0", "argument --batch-size: '0' is not a positive whole number of at most nine digits, or all"),
        ('batch-size = "some"', "argument --batch-size: 'some' is not a positive whole number"),
        ("layers = [0]", "argument --layers: '0' is not a positive whole number"),
        ("keep-prob = 1.5", "argument --keep-prob: '1.5' is not a number above 0 and up to 1"),
        ("lr = 1", "has lr; expected options of `jaxnet train`"),
        ("epochs = 3\nnum-iterations = 3", "3 iterations and 3 epochs"),
        ("size = true", "a.toml: size is True; expected one value"),
        ('grey = "false"', "a.toml: grey is 'false'; expected true or false"),
        ("standardise = 0", "a.toml: standardise is 0; expected true or false"),
        ("size = [32, 64]", "a.toml: size is [32, 64]; expected one value"),
        ("layers = true", "a.toml: layers is True; expected numbers in a list"),
        ("layers = [[1], [2]]", "a.toml: layers is [[1], [2]]; expected numbers in a list"),
        ('layers = ["--seed", "3"]', "a.toml: layers is ['--seed', '3']; expected numbers in a list"),
        (f"size = 0x{'f' * 5000}", "a.toml: size is a number of thousands of digits; expected one value"),
        (f"layers = [0x{'f' * 99}]", "expected numbers in a list"),
        ("layers = [1.5]", "a.toml: layers is [1.5]; expected numbers in a list"),
        ("size = 1979-05-27", "a.toml: size is datetime.date(1979, 5, 27); expected one value"),
        ("size.a.b.c = 1", "a.toml: size is {'a': {'b': {'c': 1}}}; expected one value"),
        (f"size{'.a' * 3000} = 1", "expected one value, a number or a name"),
        ("size = 64.0", "argument --size: '64.0' is not a positive whole number"),
        ("learning-rate = nan", "argument --learning-rate: 'nan' is not a positive number"),
        ("data = ['a.npz']", "a.toml: data is ['a.npz']; expected a path"),
        ('hidden = "--grey"', "argument --hidden: invalid choice: '--grey'"),
    ],
)
def test_a_config_that_is_wrong_is_told_by_name(tmp_path, data, capsys, content, message):
    (tmp_path / "a.toml").write_text(content)
    assert typed("train", data, "--config", tmp_path / "a.toml", "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("jaxnet: error: ")
    assert not (tmp_path / "run").exists()


def test_early_stopping_says_what_it_kept(tmp_path, data, capsys, bare):
    arguments = ["--layers", 3, "--optimizer", "momentum", "--learning-rate", 0.5, "--early-stopping", 1]
    assert typed("train", data, *arguments, "--num-iterations", 5000, "--seed", 2, "--out", tmp_path / "run") == 0
    output = capsys.readouterr().out
    assert "kept      the parameters of step " in output and ", validation " in output


@pytest.mark.parametrize("options", [["--tensorboard"], ["--tracker", "tensorboard", "--tracker", "tensorboard"]])
def test_scalars_for_tensorboard(tmp_path, data, bare, options):
    arguments = ["--layers", 3, "--num-iterations", 200, *options, "--out", tmp_path / "run"]
    assert typed("train", data, *arguments) == 0
    [events] = (tmp_path / "run" / "tensorboard").iterdir()
    content = events.read_bytes()
    for name in (b"cost", b"train_accuracy", b"test_accuracy", b"gradient_norm_2", b"dead_share_1"):
        assert name in content


def test_trackers_log_side_by_side(tmp_path, data, bare, monkeypatch):
    from jaxnet.hooks import trackers

    seen, closed = {}, []

    def opened(name, folder, settings):
        assert folder == tmp_path / "run" and settings["layers"] == (3,)
        seen[name] = []
        return trackers.Tracker(lambda *row: seen[name].append(row), close=closed.append)

    monkeypatch.setattr(trackers, "check_tracker", lambda name: None)
    monkeypatch.setattr(trackers, "tracker_of", opened)
    arguments = ["--layers", 3, "--num-iterations", 200, "--tracker", "mlflow", "--tracker", "wandb"]
    assert typed("train", data, *arguments, "--out", tmp_path / "run") == 0
    assert list(seen) == ["mlflow", "wandb"] and seen["mlflow"] == seen["wandb"] and closed == [False, False]
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert [steps for steps, _ in seen["wandb"]] == [100, 200]
    assert {name: float(value) for name, value in rows[-1].items() if name != "iteration"} == seen["wandb"][-1][1]


def test_a_tracker_that_is_missing_or_unknown_is_one_line(tmp_path, data, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert typed("train", data, "--tracker", "wandb", "--out", tmp_path / "run") == 2
    message = "jaxnet: error: the tracker wandb needs the package wandb: pip install 'jaxnet[wandb]'\n"
    assert capsys.readouterr().err == message and not (tmp_path / "run").exists()
    with pytest.raises(SystemExit, match="2"):
        typed("train", data, "--tracker", "comet", "--out", tmp_path / "run")
    error = capsys.readouterr().err
    assert "invalid choice: 'comet'" in error and all(name in error for name in ("tensorboard", "wandb", "mlflow"))


def test_float64(tmp_path, data, bare, request):
    request.addfinalizer(lambda: jax.config.update("jax_enable_x64", False))  # the command's process has it to its end
    arguments = ["--layers", 3, "--num-iterations", 2, "--dtype", "float64", "--out", tmp_path / "run"]
    assert typed("train", data, *arguments) == 0
    assert load_file(tmp_path / "run" / "model.safetensors")["W1"].dtype == "float64"


@pytest.mark.thorough
def test_early_stopping_keeps_its_best_before_nan(tmp_path, data, capsys, bare):
    arguments = [
        "--layers",
        3,
        "--early-stopping",
        50,
        "--learning-rate",
        0.3,
        "--schedule",
        "step",
        "--num-iterations",
        900,
    ]
    arguments += ["--step-every", 320, "--step-factor", 1e30, "--out", tmp_path / "run"]
    with jax.numpy_dtype_promotion("standard"):
        assert typed("train", data, *arguments) == 1
    error = capsys.readouterr().err
    assert "training stopped at iteration" in error and "were the best" in error
    assert abs(load_file(tmp_path / "run" / "model.safetensors")["W1"]).max() < 10


def test_overwrite_takes_nothing_that_is_not_a_runs(tmp_path, data, capsys, bare):
    (tmp_path / "mine" / "checkpoints").mkdir(parents=True)
    (tmp_path / "mine" / "checkpoints" / "precious.txt").write_text("precious")
    assert typed("train", data, "--num-iterations", 3, "--out", tmp_path / "mine", "--overwrite") == 2
    assert "is not of a run of jaxnet" in capsys.readouterr().err
    assert (tmp_path / "mine" / "checkpoints" / "precious.txt").exists()
    (tmp_path / "other" / "report.html").mkdir(parents=True)
    assert typed("train", data, "--num-iterations", 3, "--out", tmp_path / "other", "--overwrite") == 2
    assert "is a folder, where a file is to be written" in capsys.readouterr().err


def test_reduced_inputs_are_told_and_can_be_declined(tmp_path, data, capsys, monkeypatch, bare):
    monkeypatch.setattr("jaxnet.training.in_memory.pays", lambda *_: True)
    arguments = ["train", data, "--layers", 3, "--num-iterations", 20, "--optimizer", "sgd", "--batch-size", "all"]
    assert typed(*arguments, "--out", tmp_path / "a") == 0
    assert re.search(r"^ +inputs reduced (\d+) -> \d+, lossless$", capsys.readouterr().out, re.M)
    assert typed(*arguments, "--out", tmp_path / "b", "--no-reduce") == 0
    assert "inputs reduced" not in capsys.readouterr().out
    a, b = (load_model(tmp_path / name / "model.safetensors").parameters for name in "ab")
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5)


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.few(1)
def test_every_rule_trains_and_is_recorded_if_asked(tmp_path, data, capsys, monkeypatch, name):
    out, is_drawn = tmp_path / "run", name in ("backprop", "direct_random_target")  # where angles of B are no numbers
    if not is_drawn:
        monkeypatch.setattr(run_folder, "draw", lambda *_: [])
    arguments = ["--layers", 4, 3, "--num-iterations", 3, "--feedback", name, "--record-every", 2, "--out", out]
    assert typed("train", data, *arguments) == 0
    said, rows = capsys.readouterr().out, table(out / "alignment.csv")
    assert ("feedback  " in said) == (name != "backprop") and "L_model_backward agrees with jax.grad" in said
    assert "alignment.csv" in said and ("alignment.png" in said) == (out / "alignment.png").exists() == is_drawn
    assert [row["iteration"] for row in rows] == ["0", "2"]
    names = [f"{field}_{l}" for field in ("angle_dZ", "norm_dZ", "backprop_norm_dZ") for l in (1, 2)]
    names += [f"{field}_{l}" for field in ("angle_B", "norm_B", "norm_W") for l in (2, 3)]
    assert list(rows[0]) == ["iteration", "cost", "accuracy", *names]
    for row in rows:
        numbers = {field: float(value) for field, value in row.items()}
        missing = {field for field, value in numbers.items() if np.isnan(value)}
        assert missing == ({field for field in names if "_B_" in field} if is_drawn else set())
        assert (numbers["angle_dZ_1"] == numbers["angle_dZ_2"] == 0) == (name == "backprop")
    assert load_model(out / "model.safetensors").network.feedback is RULES["backprop"]()


@pytest.mark.thorough
def test_backpropagation_leaves_no_alignment_behind(tmp_path, data, capsys, monkeypatch):
    monkeypatch.setattr(train, "_check", lambda *_: None)
    arguments = ["train", data, "--layers", 3, "--num-iterations", 2, "--out", tmp_path / "run"]
    assert typed(*arguments, "--feedback", "uniform_sign") == 0
    assert (tmp_path / "run" / "alignment.csv").exists() and (tmp_path / "run" / "alignment.png").exists()
    capsys.readouterr()
    assert typed(*arguments, "--overwrite") == 0
    assert not list((tmp_path / "run").glob("alignment*")) and "alignment" not in capsys.readouterr().out


def test_a_sign_activation_trains_without_a_check(tmp_path, data, capsys, monkeypatch):
    monkeypatch.setattr(run_folder, "draw", lambda *_: [])
    out = tmp_path / "run"
    arguments = ["--layers", 6, "--hidden", "sign", "--num-iterations", 200, "--learning-rate", 0.05, "--out", out]
    assert typed("train", data, *arguments) == 0
    said = capsys.readouterr().out
    assert "check     none: a straight-through backward is not a derivative" in said and "agrees" not in said
    costs = [float(row["cost"]) for row in table(out / "history.csv")]
    assert costs[-1] < costs[0] and float(table(out / "history.csv")[-1]["train_accuracy"]) > 0.8


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--feedback", "fa"], "argument --feedback: invalid choice: 'fa'"),
        (["--record-every", "0"], "argument --record-every: '0' is not a positive whole number"),
    ],
)
def test_a_rule_or_interval_that_is_none_is_told(tmp_path, data, capsys, arguments, message):
    try:
        code = typed("train", data, *arguments, "--out", tmp_path / "run")
    except SystemExit as error:
        code = error.code
    assert code == 2 and message in capsys.readouterr().err and not (tmp_path / "run").exists()


def three_classes(tmp_path):
    images, labels = drawn_images(60, classes=3)
    return write_npz(tmp_path / "three.npz", X=images, Y=labels, classes=np.array(["cat", "dog", "a=b, c"]))


@pytest.mark.parametrize(
    "words, weights",
    [
        (["balanced"], None),
        (["cat=2", "a=b, c=0.5"], [2, 1, 0.5]),
        (["cat=2,a=b, c=0.5"], [2, 1, 0.5]),
    ],
)
@pytest.mark.few(2)
def test_class_weights_are_told_kept_and_trained_with(tmp_path, data, capsys, words, weights, bare):
    source = three_classes(tmp_path)
    arguments = ["--layers", 3, "--num-iterations", 20, "--optimizer", "sgd", "--batch-size", "all"]
    assert typed("train", source, "--class-weight", *words, *arguments, "--out", tmp_path / "run") == 0
    output = capsys.readouterr().out
    run = prepared(source, class_weight="balanced" if weights is None else (("a=b, c", 0.5), ("cat", 2.0)))
    counts = np.bincount(run.train.labels)
    weights = counts.sum() / (3 * counts) if weights is None else weights
    np.testing.assert_array_equal(run.by_class, weights)
    shown = ", ".join(f"{name} {weight:.6g}" for name, weight in zip(run.dataset.classes, weights, strict=True))
    assert f"weights   {shown}: factors of the loss of each class, in all costs" in output
    X = run.preprocessing.columns(run.train.rows[:], "float32")
    Y = np.eye(3, dtype=np.float32)[:, run.train.labels]
    network, w = run.network, np.asarray(weights)[run.train.labels]
    trained = training.train(
        X,
        Y,
        run.first.parameters,
        num_iterations=20,
        network=network,
        sample_weight=w,
        optimizer=run.config.optimizer,
    )
    kept = load_model(tmp_path / "run").parameters
    assert all((kept[name] == value).all() for name, value in trained.parameters.items())
    assert f"cost      {trained.costs[-1]:.6f}" in output
    # What the run kept of its settings is the same run.
    assert typed("train", "--config", tmp_path / "run" / "settings.toml", "--out", tmp_path / "again") == 0
    again = load_model(tmp_path / "again").parameters
    assert all((kept[name] == again[name]).all() for name in kept)


def prepared(source, **changes):
    from jaxnet import runs
    from jaxnet.data import load_dataset
    from jaxnet.runs.settings import Settings

    dataset = load_dataset(source, test_fraction=0.25, seed=1)
    return runs.prepare(dataset, Settings(layers=(3,), num_iterations=20, **changes))


@pytest.mark.parametrize(
    "words, message",
    [
        (["bird=2"], "class_weight has the class 'bird'; expected one of "),
        (["cat=2", "cat=3"], "--class-weight names 'cat' 2 times; expected once"),
        (["cat=-1"], "the weight of 'cat' is '-1'; expected a number from 0"),
        (["cat=nan"], "the weight of 'cat' is 'nan'; expected a number from 0"),
        (["cat=two"], "the weight of 'cat' is 'two'; expected a number from 0"),
        (["cat=two,dog=1"], "class_weight has the class 'cat=two,dog'; expected one of "),
        (["cat="], "the weight of 'cat' is ''; expected a number from 0"),
        (["=2"], "'=2' is neither balanced nor CLASS=W"),
        (["balance"], "'balance' is neither balanced nor CLASS=W, such as cat=2; DATA goes before --class-weight"),
        (["balanced", "cat=2"], "'balanced' is neither balanced nor CLASS=W"),
        (["cat=0", "dog=0", "a=b, c=0"], "class_weight is 0 for every class"),
        ([], "expected at least one argument"),
    ],
)
def test_class_weights_that_are_none_are_told_before_work(tmp_path, capsys, words, message):
    try:
        code = typed("train", three_classes(tmp_path), "--out", tmp_path / "run", "--class-weight", *words)
    except SystemExit as ended:  # of argparse
        code = ended.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        ("class-weight = 2", "class-weight is 2; expected 'balanced' or a table of weights by class"),
        ("class-weight = {cat = true}", "class-weight has True for 'cat'; expected a number from 0"),
        ('class-weight = {cat = "2"}', "class-weight has '2' for 'cat'; expected a number from 0"),
        ("class-weight = {cat = -inf}", "class-weight has -inf for 'cat'"),
        ('class-weight = "cat"', "class-weight: 'cat' is neither balanced nor CLASS=W"),
        ("class-weight = [1, 2]", "class-weight is [1, 2]; expected 'balanced' or a table"),
    ],
)
def test_class_weights_in_a_file_that_are_none_are_told(tmp_path, data, capsys, content, message):
    (tmp_path / "a.toml").write_text(content)
    assert typed("train", data, "--config", tmp_path / "a.toml", "--out", tmp_path / "run") == 2
    assert message in capsys.readouterr().err


def test_the_watched_cost_is_weighted_as_the_training_s(tmp_path):
    """All costs of a run are of one loss, so that early stopping and the curves compare like with like."""
    from jaxnet import runs

    source = three_classes(tmp_path)
    weighted, plain = (runs.History(), runs.History())
    run = prepared(source, class_weight=(("cat", 4.0), ("dog", 4.0), ("a=b, c", 4.0)), learning_rate=0.01)
    runs.execute(run, weighted)
    runs.execute(prepared(source, learning_rate=0.04), plain)
    np.testing.assert_allclose(weighted.costs, 4 * np.array(plain.costs), rtol=1e-4)
    np.testing.assert_allclose(weighted.rows[-1].watched_cost, 4 * plain.rows[-1].watched_cost, rtol=1e-4)
    norms = [row.rows[-1].gradient_norms for row in (weighted, plain)]
    np.testing.assert_allclose(norms[0], 4 * np.array(norms[1]), rtol=1e-3)


def test_devices_share_the_examples_of_a_step(tmp_path, data, capsys, bare):
    """The batch that is chosen fits them, one that is typed has to; and a run goes on over as many."""
    options = ["--layers", 3, "--epochs", 2, "--out"]
    with jax.numpy_dtype_promotion("standard"):
        assert typed("train", data, "--devices", 4, *options, tmp_path / "four") == 0
        assert ", batches of 28, shared by 4 devices" in capsys.readouterr().out
        assert typed("train", "--resume", "--out", tmp_path / "four", "--epochs", 3) == 0
    four = tomllib.loads((tmp_path / "four" / "settings.toml").read_text())
    assert four["devices"] == 4 and four["run"]["finished"] == 3
    capsys.readouterr()
    assert typed("train", data, "--devices", 4, "--batch-size", 6, *options, tmp_path / "six") == 2
    assert "batch_size is 6, but 4 devices share them; expected a multiple of 4" in capsys.readouterr().err
    assert typed("train", "--resume", "--out", tmp_path / "four", "--devices", 2, "--epochs", 4) == 2
    assert "--devices is 2, but the run in" in capsys.readouterr().err


@pytest.mark.thorough
def test_a_process_has_as_many_devices_as_it_is_asked_for(tmp_path, data):
    command = ["train", data, "--devices", "3", "--layers", "3", "--epochs", "1", "--out", tmp_path / "run"]
    done = subprocess.run([sys.executable, "-m", "jaxnet", *command], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "shared by 3 devices" in done.stdout, done.stderr
