"""What is chosen from the data, and what is typed beside it."""

import numpy as np
import pytest

from jaxnet import runs
from jaxnet.data import Dataset, Examples, MappedRows
from jaxnet.runs.defaults import Facts, defaults_for, facts_of


FACTS = {
    "course": Facts(209, 12288, 2, 4600, is_course=True),
    "large course": Facts(5000, 12288, 2, 4600, is_course=True),
    "mnist": Facts(60000, 784, 10, 102),
    "digits": Facts(1348, 64, 10, 20),
    "dark digits": Facts(1348, 64, 10, 1.2, is_scaled=False),
    "few photographs": Facts(150, 12288, 2, 5500),
    "many classes": Facts(10**6, 784, 1000, 102),
    "numbers": Facts(400, 10, 3, 1e6, is_scaled=False),
    "a table": Facts(400, 10, 3, 1e6, is_scaled=False, is_table=True),
    "a large table": Facts(4000, 10, 3, 1e6, is_scaled=False, is_table=True),
    "black": Facts(64, 9, 2, 0, is_scaled=False),
    "a handful": Facts(2, 4, 2, 2),
}


@pytest.mark.parametrize(
    "name, chosen",
    [
        ("course", "20 7 5, sgd 0.0075, all, 2500 steps"),
        ("large course", "20 7 5, sgd 0.0075, 128, 2500 steps"),
        ("mnist", "512, adam 0.0013 cosine, 128, 10 epochs"),
        ("digits", "512, adam 0.002 cosine, 32, 95 epochs"),
        ("dark digits", "512, adam 0.002 cosine, 32, 95 epochs, standardised"),
        ("few photographs", "512, adam 2.3e-05 cosine, 32, 100 epochs"),
        ("many classes", "1000, adam 0.0013 cosine, 128, 10 epochs"),
        ("numbers", "512, adam 0.002 cosine, 32, 100 epochs, standardised"),
        ("a table", "128, adam 0.002 cosine, 32, 100 epochs, standardised, keep 0.5"),
        ("a large table", "512, adam 0.002 cosine, 64, 65 epochs, standardised"),
        ("a handful", "512, adam 0.002 cosine, 2, 100 epochs"),
    ],
)
def test_what_is_chosen(name, chosen):
    assert shown(defaults_for(FACTS[name], {})) == chosen


@pytest.mark.parametrize(
    "name, typed, chosen",
    [
        ("mnist", {"layers": (20, 7, 5)}, "adam 0.0013 cosine, 128, 10 epochs"),
        ("mnist", {"optimizer": "sgd"}, "512, 0.0047 constant, 128, 10 epochs"),
        ("mnist", {"optimizer": "adam"}, "512, 0.0013 cosine, 128, 10 epochs"),
        ("mnist", {"learning_rate": 0.01}, "512, adam cosine, 128, 10 epochs"),
        ("mnist", {"num_iterations": 7}, "512, adam 0.00063 constant, 128"),
        ("mnist", {"epochs": 7}, "512, adam 0.00063 constant, 128"),
        ("mnist", {"epochs": 7, "schedule": "cosine"}, "512, adam 0.0013, 128"),
        ("mnist", {"schedule": "step", "step_every": 9}, "512, adam 0.00063, 128, 10 epochs"),
        ("mnist", {"weight_decay": 0.1}, "512, adamw 0.0013 cosine, 128, 10 epochs"),
        ("mnist", {"batch_size": 1000}, "512, adam 0.0013 cosine, 67 epochs"),
        ("mnist", {"batch_size": "all"}, "512, adam 0.0013 cosine, 2500 steps"),
        ("black", {"standardise": False}, "512, adam 0.002 cosine, 32, 100 epochs"),
        ("a table", {"layers": ()}, "adam 0.002 cosine, 32, 100 epochs, standardised"),
        ("a table", {"keep_prob": 1.0}, "128, adam 0.002 cosine, 32, 100 epochs, standardised"),
        ("few photographs", {"standardise": True}, "512, adam 8.3e-05 cosine, 32, 100 epochs"),
        ("few photographs", {"optimizer": "momentum", "epochs": 60}, "512, 8.7e-05 constant, 32"),
        ("course", {"optimizer": "adam"}, "20 7 5, 0.001, all, 2500 steps"),
        ("course", {"epochs": 60}, "20 7 5, sgd 0.0075, all"),
    ],
)
def test_what_is_typed_is_kept_and_the_rest_fits_it(name, typed, chosen):
    found = defaults_for(FACTS[name], typed)
    assert shown(found) == chosen and not set(found) & set(typed)
    runs.Settings(**found, **typed)


def shown(found):
    """The choices in a line; those of a typed setting are not there."""
    rate = f" {found['learning_rate']}" if "learning_rate" in found else ""
    schedule = f" {found['schedule']}" if "schedule" in found else ""
    said = [
        " ".join(map(str, found.get("layers", ()))),
        f"{found.get('optimizer', '')}{rate}{schedule}".strip(),
        str(found.get("batch_size", "")),
        f"{found['epochs']} epochs" if "epochs" in found else "",
        f"{found['num_iterations']} steps" if "num_iterations" in found else "",
        "standardised" if found.get("standardise") else "",
        f"keep {found['keep_prob']}" if "keep_prob" in found else "",
    ]
    return ", ".join(word for word in said if word)


def dataset(rows, classes=2):
    examples = Examples(rows, np.arange(len(rows)) % classes)
    return Dataset("drawn", examples, examples, tuple(map(str, range(classes))), (rows.shape[1],), "")


@pytest.mark.parametrize(
    "rows, reach, is_scaled",
    [
        (np.full((8, 4), 51, np.uint8), 0.8, True),
        (np.full((8, 4), 16, np.uint8), 4 * 16 / 255, False),  # 16 shades, as scikit-learn's digits have
        (np.full((8, 4), 0.5, np.float32), 2, True),
        (np.full((8, 4), -0.5, np.float32), 2, False),
        (np.full((8, 4), 7, np.float32), 28, False),
    ],
)
def test_facts_are_of_the_inputs(tmp_path, rows, reach, is_scaled):
    settings = runs.Settings(data="a.npz", validation_fraction=0.25)
    assert facts_of(dataset(rows), settings) == Facts(6, 4, 2, pytest.approx(reach), is_scaled)
    if rows.dtype == np.uint8:
        (tmp_path / "rows").write_bytes(rows.tobytes())
        assert facts_of(dataset(MappedRows(tmp_path / "rows", 4)), settings) == facts_of(dataset(rows), settings)


@pytest.mark.parametrize("data, is_course", [(None, True), ("a/train_cat.H5", True), ("a.npz", False), ("a", False)])
def test_the_course_is_known_by_its_files(data, is_course):
    assert facts_of(dataset(np.ones((8, 4), np.float32)), runs.Settings(data=data)).is_course == is_course
