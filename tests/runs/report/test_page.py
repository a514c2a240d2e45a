"""The report tells what it was given, whatever that is, and needs nothing but a browser."""

import base64
import os
import re
import shutil
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from jaxnet.errors import InputError
from jaxnet.runs.report import Record, write_report

from ...reports import BARE, NO_ROWS, ONE_ROW, Page, record


SECTIONS = ["training", "classes", "probabilities", "mistakes", "weights", "layers", "check", "settings"]


@pytest.fixture
def page(tmp_path):
    """Writes the report of a record and reads it back."""

    def write(record: Record) -> Page:
        write_report(tmp_path / "report.html", record)
        return Page(tmp_path / "report.html")

    return write


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Page:
    """The report of a record that has everything."""
    path = tmp_path_factory.mktemp("full") / "report.html"
    write_report(path, record())
    return Page(path)


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.partition("base64,")[2]))).convert("RGB"))


# ---- what it tells


def test_every_section_is_there_and_filled(full):
    assert [heading["id"] for heading in full.all("h2")] == SECTIONS
    for text in (
        "A run", "90-4-1", "75.0 %", "9 of 12; 95 % interval 46.8 % to 91.1 %", "validation, at the end 60.0 %",
        "3 wrong predictions", "photo 3.jpg", "layer 2", "roundings agrees", "learning_rate 0.0075", "jax 0.10.2",
    ):  # fmt: skip
        assert text in full.text
    assert len(full.all("svg")) == 6 and len(full.all("img")) == 3 + 4


def test_it_asks_nobody_for_anything(full):
    addresses = [value for _, tag in full.tags for name, value in tag.items() if name in ("src", "href", "xlink:href")]
    assert addresses and all(address.startswith(("data:", "#")) for address in addresses)
    assert not full.all("script") and "url(http" not in full.source and "@import" not in full.source


def test_a_report_is_the_same_file_every_time(tmp_path):
    for name in ("a", "b"):
        write_report(tmp_path / name, record(history=NO_ROWS))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_ids_of_the_figures_are_not_confused(full):
    clips = [tag["id"] for tag in full.all("clippath")]
    assert clips and len(clips) == len(set(clips))


def test_mistakes_are_shown_the_surest_first(page):
    probabilities = np.array([[0.9, 0.3, 0.8, 0.4], [0.1, 0.7, 0.2, 0.6]])
    labels = np.array([0, 0, 1, 0])
    images = np.stack([np.full((6, 5), shade, np.uint8) for shade in (0, 60, 120, 180)])
    names = ("a", "second", "first", "third")
    made = record(4, shape=(6, 5), probabilities=probabilities, labels=labels, images=images, names=names, **BARE)
    shown = [tag for tag in page(made).all("img") if "weights" not in tag["alt"]]
    assert [tag["alt"] for tag in shown] == ["first", "second", "third"]
    for tag, shade in zip(shown, (120, 60, 180), strict=True):
        assert np.abs(pixels(tag["src"]).astype(int) - shade).max() <= 1


def test_weights_are_blue_below_0_white_at_0_and_red_above(page):
    W1 = np.array([[-2.0, 0.0, 2.0, 0.0]])
    made = record(shape=(2, 2), images=None, W1=W1, **BARE)
    (below, zero), (above, _) = pixels(page(made).all("img")[0]["src"]).astype(int)
    assert below[2] - below[0] > 50 and above[0] - above[2] > 50 and zero.min() > 235


def test_a_hundred_units_of_the_largest_norm_are_shown(page):
    W1 = np.repeat(np.arange(1.0, 131)[:, None], 90, axis=1)
    shown = [int(tag["alt"].split()[-1]) for tag in page(record(W1=W1, **BARE)).all("img") if "weights" in tag["alt"]]
    assert shown == list(range(130, 30, -1))


# ---- whatever it was given


HOSTILE = "<script>alert('a & \"b\"')</script>"


NAMES = (HOSTILE, "猫 $\\frac{1}{", "_a", "{{ 7 * 7 }}", "\udcff")


def test_names_are_text_and_nothing_else(page):
    as_keys = dict(zip(NAMES, NAMES, strict=True))
    made = record(20, NAMES, names=NAMES * 4, summary=tuple(as_keys.items()), settings=as_keys, versions=as_keys)
    found = page(made._replace(title="".join(NAMES), check="".join(NAMES), watched=HOSTILE))
    assert not found.all("script")
    for name in NAMES:
        shown = name.encode("utf-8", "backslashreplace").decode()
        assert found.text.count(shown) > 10, shown


SURE = np.where(np.arange(2)[:, None] == np.arange(12) % 2, 1.0, 0.0)
SOME_NAN = np.where(np.arange(12) == 3, np.nan, SURE)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({}, ["No cost was", "at the last of 0 steps", "No accuracy was", "No gradient norms", "No shares of dead"]),
        ({"history": ONE_ROW}, ["training, at the end 100.0 %", "No gradient norms"]),
        ({"costs": np.array([0.5, np.nan, np.inf, 0.0, -1.0])}, ["training, every step"]),
        ({"probabilities": SURE}, ["No test example was mistaken for another class", "100.0 %"]),
        ({"probabilities": 1 - SURE}, ["12 wrong predictions", "∞"]),
        ({"probabilities": SOME_NAN}, ["1 of 12 test examples have probabilities that are not finite", "91.7 %"]),
        ({"probabilities": np.full((2, 12), np.nan)}, ["0 of 12", "There are no test examples with finite"]),
        ({"images": None}, ["photo 3.jpg", "90.0 %"]),
        ({"images": None, "names": ()}, ["test example 4"]),
        ({"labels": np.zeros(12, int)}, ["there is nothing to tell apart", "cat 12"]),
        ({"W1": np.full((4, 90), np.nan)}, ["units are ordered"]),
        ({"images": None, "input_shape": (90,)}, ["a row for each unit"]),
        ({"images": np.full((12, 6, 5, 3), np.nan, np.float32)}, ["3 wrong predictions"]),
        ({"check": ""}, ["was not checked"]),
        ({"settings": {}, "summary": ()}, ["None were recorded"]),
    ],
)  # fmt: skip
@pytest.mark.few(8)
def test_what_is_missing_is_said(page, changes, told):
    found = page(record(**BARE | changes))
    assert [text for text in told if text not in found.text] == []
    assert "nan" not in found.text.lower().split()


def test_what_cannot_be_shown_has_no_section(page):
    """Weights of too many columns; settings, where nothing was trained."""
    found = page(record(images=None, input_shape=(2000,), W1=np.ones((4, 2000)), **BARE))
    assert "weights" not in [heading["id"] for heading in found.all("h2")] and "#weights" not in found.source
    evaluated = page(record(settings={}, **BARE | {"costs": None}))
    assert "Settings" not in evaluated.text and "None were recorded" not in evaluated.text


def test_the_table_of_the_check_is_folded_if_all_agrees(page):
    for sentence, is_open in (("It agrees", False), ("It does not agree", True)):
        found = page(record(check=f"{sentence}\n\ndW1  0.5", **BARE))
        [details] = found.all("details")
        assert ("open" in details) == is_open and f"{sentence}." in found.text and "dW1 0.5" in found.text


def test_settings_are_shown_as_they_are_typed(page):
    settings = {"layers": (512, 128), "augment": False, "class_weight": (("cat", 2.0), ("dog", 0.5)), "label": ("a",)}
    found = page(record(settings=settings, **BARE))
    assert "layers 512 128 augment no class_weight cat=2.0 dog=0.5 label a" in found.text


def test_no_examples_at_all(page):
    empty = {"labels": np.zeros(0, int), "probabilities": np.zeros((2, 0)), "names": (), "images": None}
    assert "0 of 0; 95 % interval 0.0 % to 100.0 %" in page(record(**BARE | empty)).text


def test_a_class_absent_from_the_test_examples(page):
    found = page(record(classes=("a", "b", "c"), labels=np.arange(12) % 2, **BARE))
    assert re.search(r"c 0 – 0.0 % –", found.text) and "macro average" in found.text


def test_a_thousand_classes_are_pairs_and_not_a_matrix(page):
    classes = tuple(f"class {i}" for i in range(1000))
    labels = np.arange(60)
    said = np.where(labels % 20 == 0, 999, labels)
    probabilities = np.where(np.arange(1000)[:, None] == said, 0.5, 0.5 / 999)
    made = record(60, classes[:2], labels=labels, probabilities=probabilities, **BARE)._replace(classes=classes)
    found = page(made)
    assert "The pairs confused most often" in found.text and "class 40 class 999 1 100.0 %" in found.text
    assert len(found.all("td")) < 500


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"probabilities": np.ones((1, 12))}, r"probabilities have shape \(1, 12\); expected \(2, 12\)"),
        ({"labels": np.full(12, 2)}, "labels lie between 2 and 2; expected 0 to 1"),
        ({"images": np.zeros((3, 6, 5))}, r"images have shape \(3, 6, 5\)"),
        ({"names": ("a",)}, "there are 1 names"),
        ({"W1": np.ones((4, 7))}, r"W1 has shape \(4, 7\); expected \(n_1, 90\)"),
        ({"history": ONE_ROW | {"cost": np.zeros(2)}}, "columns of the history have lengths {'cost': 2}; expected 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        write_report(tmp_path / "report.html", record(**changes))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_its_packages_the_extra_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("jaxnet.runs.report.page", "jaxnet.runs.report.figures"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delattr("jaxnet.runs.report.page", raising=False)
    monkeypatch.delattr("jaxnet.runs.report.figures", raising=False)
    with pytest.raises(InputError, match=r"pip install 'jaxnet\[demo\]'"):
        write_report(tmp_path / "report.html", record())


def test_500_photographs_make_a_file_below_3_megabytes(tmp_path):
    noise = np.random.default_rng(0)
    images = noise.integers(0, 256, (500, 64, 64, 3), np.uint8)
    W1 = noise.normal(size=(120, 64 * 64 * 3))
    made = record(500, images=images, input_shape=(64, 64, 3), W1=W1, costs=noise.random(10_000))
    write_report(tmp_path / "report.html", made)
    assert (tmp_path / "report.html").stat().st_size < 3e6


# ---- in a browser


@pytest.fixture(scope="module")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"no browser on PATH: {', '.join(names)}")
    return found


def test_a_browser_shows_it_without_complaint(tmp_path, browser):
    write_report(tmp_path / "report.html", record(40, ("cat", "dog", HOSTILE)))
    options = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --v=0"
    )
    shot = tmp_path / "page.png"
    own = [f"--user-data-dir={tmp_path / 'browser'}", f"--screenshot={shot}", "--window-size=1200,2400"]
    command = [browser, *options.split(), *own, (tmp_path / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | {"HOME": str(tmp_path)})
    assert shot.exists(), done.stderr
    assert "CONSOLE" not in done.stderr
    image = np.asarray(Image.open(shot).convert("RGB"))
    for half in np.array_split(image @ [1, 256, 65536], 2):
        assert len(np.unique(half)) > 100


def test_a_real_network_on_real_photographs(page, shared_data):
    """Weights of the difference of the two means: the plainest network there is."""
    with np.load(shared_data / "cats_dogs_64.npz") as arrays:
        images, labels = arrays["test_x"][::5], arrays["test_y"][::5].astype(int)
    X = images.reshape(len(images), -1) / 255
    w = X[labels == 1].mean(axis=0) - X[labels == 0].mean(axis=0)
    z = X @ w - np.median(X @ w)
    dog = 1 / (1 + np.exp(-z))
    made = record(len(images), labels=labels, images=images, input_shape=(64, 64, 3), W1=w[None], **BARE)
    found = page(made._replace(probabilities=np.stack([1 - dog, dog])))
    right = np.count_nonzero((dog > 0.5) == labels)
    assert f"{right} of {len(images)};" in found.text and "AUC" in found.text
