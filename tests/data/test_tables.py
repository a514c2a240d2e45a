"""Tables: what a column is taken for, and what is refused, by its column and row."""

import numpy as np
import pytest

from jaxnet.data import Column, Table, fit_preprocessing, labelled_rows, load_dataset, load_table, read_rows, table_of
from jaxnet.errors import InputError

from ..tables import CITIES, csv_of, drawn_rows, write_csv


pa = pytest.importorskip("pyarrow", reason="tables are read by pyarrow, of the extra `tables`")
parquet = pytest.importorskip("pyarrow.parquet")
HOW = {"test_fraction": 0.25, "seed": 0}


def load(path, *labels, **kwargs):
    return load_table(path, labels=labels, **HOW, **kwargs)


def write_parquet(path, **columns):
    parquet.write_table(pa.table(columns), path)
    return path


def test_numbers_and_categories_become_inputs(tmp_path):
    dataset = load(write_csv(tmp_path / "a.csv"), "price")
    assert dataset.table == Table((Column("rooms"), Column("city", CITIES), Column("age")), ("price",))
    assert dataset.table.inputs == ("rooms", "city=Bern", "city=Oslo", "city=Rome", "age")
    assert dataset.input_shape == (5,) and dataset.classes == () and dataset.train.rows.dtype == np.float32
    assert len(dataset.train.labels) == 36 and dataset.test.labels.shape == (12, 1)
    one_hot = dataset.train.rows[:, 1:4]
    assert set(np.unique(one_hot)) == {0, 1} and (one_hot.sum(axis=1) == 1).all()
    by_row = {row["age"]: row for row in drawn_rows()}
    for values, label in zip(dataset.train.rows, dataset.train.labels, strict=True):
        row = next(row for age, row in by_row.items() if np.float32(age) == values[4])
        assert (values[0], label[0]) == (row["rooms"], row["price"]) and values[1 + CITIES.index(row["city"])] == 1


@pytest.mark.parametrize(
    "label, regression, classes, note",
    [
        ("kind", None, ("flat", "house", "loft"), "kind: 3 classes"),
        (
            "stars",
            None,
            ("0", "1", "2", "3"),
            "stars: 4 different whole numbers, taken as classes; --loss squared_error",
        ),
        ("stars", True, (), "stars: a regression target"),
        ("rooms", False, ("1", "2", "3", "4", "5"), "taken as classes"),
        ("price", None, (), "price: a regression target, predicted by squared error"),
    ],
)
def test_a_label_is_of_classes_or_a_target(tmp_path, label, regression, classes, note):
    path = write_csv(tmp_path / "a.csv", only=("age", "city", label))
    dataset = load(path, label, regression=regression)
    assert dataset.classes == classes and note in dataset.notes[0]
    rows = {np.float32(row["age"]): row[label] for row in drawn_rows()}
    for values, found in zip(dataset.test.rows, dataset.test.labels, strict=True):
        assert str(rows[values[0]]) == classes[found] if classes else float(rows[values[0]]) == found[0]


def test_more_than_twenty_whole_numbers_are_targets(tmp_path):
    rows = [row | {"n": i // 2} for i, row in enumerate(drawn_rows(60))]
    assert load(write_csv(tmp_path / "a.csv", rows, only=("age", "n")), "n").classes == ()
    rows = [row | {"n": i % 20} for i, row in enumerate(drawn_rows(60))]
    assert len(load(write_csv(tmp_path / "a.csv", rows, only=("age", "n")), "n").classes) == 20


def test_several_labels_are_targets(tmp_path):
    dataset = load(write_csv(tmp_path / "a.csv", only=("age", "city", "stars", "price")), "price", "stars")
    assert dataset.table.labels == ("price", "stars") and dataset.train.labels.shape == (36, 2)
    assert set(dataset.train.labels[:, 1]) <= {0, 1, 2, 3}


def test_formats_hold_the_same_table(tmp_path):
    """TSV, Parquet with types, and CSV with blanks and a byte-order mark."""
    text = csv_of(drawn_rows())
    (tmp_path / "a.tsv").write_text(text.replace(",", "\t"))
    marked = text.replace("Oslo", '"Oslo"').replace(",", " ,").replace("rooms", "\ufeffrooms", 1)
    (tmp_path / "b.csv").write_text(marked, encoding="utf-8")
    rows = drawn_rows()
    columns = {name: [row[name] for row in rows] for name in ("rooms", "city", "age", "price")}
    write_parquet(tmp_path / "a.parquet", **columns)
    want = load(write_csv(tmp_path / "a.csv"), "price")
    for name in ("a.tsv", "b.csv", "a.parquet"):
        got = load(tmp_path / name, "price")
        assert got.fingerprint == want.fingerprint and got.table == want.table, name


def test_numbers_as_categories_dropped_and_constant_columns(tmp_path):
    rows = [row | {"code": 10 * (i % 3), "id": i, "same": "x"} for i, row in enumerate(drawn_rows())]
    path = write_csv(tmp_path / "a.csv", rows, only=("code", "id", "same", "age", "price"))
    dataset = load(path, "price", categories=["code"], drop=["id"])
    assert dataset.table.columns == (Column("code", ("0", "10", "20")), Column("age"))
    assert any("left out, since all rows are the same there: same" in note for note in dataset.notes)
    plain = load(path, "price")
    assert dataset.fingerprint != plain.fingerprint and plain.table.inputs == ("code", "id", "age")


@pytest.mark.parametrize(
    "values, categories, asked, want",
    [
        (["01", "1", "x", "2.50"], ("1", "2.5", "x"), ["01", "01", "01"], [0, 0, 0]),
        (["01", "1", "x", "2.50"], ("1", "2.5", "x"), ["x", "2.5", "1.0"], [2, 1, 0]),
        (["01", "1", "2.50", "-0"], ("0", "1", "2.5"), ["+1", "25e-1", "0"], [1, 2, 0]),
        (["TRUE", "false", "True", "FALSE"], ("false", "true"), ["true", "true"], [1, 1]),
        (["True", "False", "unknown", "x"], ("false", "true", "unknown", "x"), ["TRUE", "true"], [1, 1]),
    ],
)
def test_a_category_does_not_depend_on_other_rows(tmp_path, values, categories, asked, want):
    rows = [{"c": values[i % 4], "y": i / 3} for i in range(24)]
    table = load(write_csv(tmp_path / "a.csv", rows, only=("c", "y")), "y", categories=["c"]).table
    assert table.columns == (Column("c", categories),)
    (tmp_path / "new.csv").write_text("\n".join(["c", *asked]))
    np.testing.assert_array_equal(read_rows(tmp_path / "new.csv", table)[0], np.eye(len(categories))[want])


def test_booleans_are_the_same_in_csv_and_parquet(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", old=[True, False] * 8, y=np.arange(16) / 3)
    table = load(path, "y").table
    (tmp_path / "new.csv").write_text("old\nTrue\nFALSE\n")
    np.testing.assert_array_equal(read_rows(tmp_path / "new.csv", table)[0], [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    "codes, words, column",
    [([0, 1], ["1", "2", "a"], Column("c")), ([1, 2], ["1", "a", "b", ""], Column("c", ("a", "b")))],
)
def test_unused_words_of_a_dictionary_count_nothing(tmp_path, codes, words, column):
    c = pa.DictionaryArray.from_arrays(pa.array(codes * 8), words)
    assert load(write_parquet(tmp_path / "a.parquet", c=c, y=np.arange(16) / 3), "y").table.columns == (column,)


@pytest.mark.parametrize("label, classes", [("code", 30), ("mixed", 2)])
def test_a_label_among_the_categories_is_of_classes(tmp_path, label, classes):
    rows = [row | {"code": i % 30, "mixed": ("01", "x")[i % 2]} for i, row in enumerate(drawn_rows(90))]
    path = write_csv(tmp_path / "a.csv", rows, only=("age", label))
    dataset = load(path, label, categories=[label])
    assert len(dataset.classes) == classes and f"{label}: {classes} classes" in dataset.notes[0]
    names = [dataset.classes[k] for k in labelled_rows(path, dataset.table, dataset.classes).labels]
    assert names == [str(row[label]).removeprefix("0") or "0" for row in rows]
    with pytest.raises(InputError, match=f"a label, {label}, is named for --categories, but --loss squared_error"):
        load(path, label, categories=[label], regression=True)


def test_a_category_of_the_test_part_alone_is_reported(tmp_path):
    rows = [row | {"city": "Bern" if i else "Oslo"} for i, row in enumerate(drawn_rows())]
    path = write_csv(tmp_path / "a.csv", rows)
    notes = [load_table(path, labels=["price"], test_fraction=0.5, seed=seed).notes[-1] for seed in (0, 1)]
    assert sorted("nothing is learnt of it: city=Bern, city=Oslo" in note for note in notes) == [False, True]


def test_booleans_are_categories_and_dictionaries_are_texts(tmp_path):
    columns = {"old": [True, False] * 8, "grade": pa.array(["a", "b"] * 8).dictionary_encode(), "y": np.arange(16) / 3}
    table = load(write_parquet(tmp_path / "a.parquet", **columns), "y").table
    assert table.columns == (Column("old", ("false", "true")), Column("grade", ("a", "b")))


def test_columns_of_other_types_can_be_left_out(tmp_path):
    path = write_parquet(
        tmp_path / "a.parquet", day=pa.array(range(12), pa.date32()), x=np.arange(12.0), y=np.arange(12) / 5
    )
    dataset = load(path, "y", drop=["day"])
    assert dataset.table.inputs == ("x",)
    assert read_rows(path, dataset.table)[1] == ("day",)


def test_one_name_may_be_a_text(tmp_path):
    path = write_csv(tmp_path / "a.csv")
    assert load_table(path, labels="price", drop="age", **HOW).table == load(path, "price", drop=["age"]).table


def test_numbers_are_the_same_class_however_they_are_written(tmp_path):
    dataset = load(write_csv(tmp_path / "a.csv", only=("age", "stars")), "stars")
    (tmp_path / "b.csv").write_text("age,stars\n1,3.0\n2,02\n3,1e0\n")
    np.testing.assert_array_equal(labelled_rows(tmp_path / "b.csv", dataset.table, dataset.classes).labels, [3, 2, 1])


def test_examples_are_named_by_their_rows(tmp_path):
    dataset = load(write_csv(tmp_path / "a.csv"), "price")
    ages = {f"row {i}": np.float32(row["age"]) for i, row in enumerate(drawn_rows(), start=1)}
    assert [ages[name] for name in dataset.test.names] == dataset.test.rows[:, 4].tolist()


def test_rows_are_read_by_the_names_of_their_columns(tmp_path):
    table = load(write_csv(tmp_path / "a.csv"), "price").table
    (tmp_path / "new.csv").write_text("id,age,city,rooms\n7,30.5,Rome,2\n8,1,Bern,4\n")
    rows, ignored = read_rows(tmp_path / "new.csv", table)
    np.testing.assert_array_equal(rows, np.float32([[2, 0, 0, 1, 30.5], [4, 1, 0, 0, 1]]))
    assert ignored == ("id",)
    write_parquet(tmp_path / "new.parquet", city=["Rome"], age=[30.5], rooms=[2], price=[1.0])
    np.testing.assert_array_equal(read_rows(tmp_path / "new.parquet", table)[0], rows[:1])
    assert read_rows(tmp_path / "new.parquet", table)[1] == ()


def test_labelled_rows_are_encoded_as_in_training(tmp_path):
    path = write_csv(tmp_path / "a.csv", only=("rooms", "city", "age", "kind"))
    dataset = load(path, "kind")
    examples = labelled_rows(path, dataset.table, dataset.classes)
    assert [dataset.classes[label] for label in examples.labels] == [row["kind"] for row in drawn_rows()]
    np.testing.assert_array_equal(examples.rows[:, 0], [row["rooms"] for row in drawn_rows()])
    with pytest.raises(InputError, match="has no column 'kind' of labels; it has rooms, city, age, price"):
        labelled_rows(write_csv(tmp_path / "b.csv"), dataset.table, dataset.classes)
    with pytest.raises(InputError, match="the label kind is 'loft' in some row, which is not one of the classes"):
        labelled_rows(path, dataset.table, ("flat", "house"))
    prices = load(write_csv(tmp_path / "b.csv"), "price")
    assert labelled_rows(tmp_path / "b.csv", prices.table, ()).labels.shape == (48, 1)


def changed(row: int, **cells) -> str:
    rows = drawn_rows()
    rows[row - 1] |= cells
    return csv_of(rows)


PLAIN = csv_of(drawn_rows())
BAD = {
    "no label named": (
        PLAIN,
        {"labels": ()},
        "is a table: name the column to predict, --label; it has rooms, city, age",
    ),
    "a label that is not there": (
        PLAIN,
        {"labels": ["cost"]},
        "has no column 'cost' for --label; it has rooms, city, age, p",
    ),
    "a label twice": (PLAIN, {"labels": ["price", "price"]}, "the label price is named twice"),
    "a label that is dropped": (PLAIN, {"drop": ["price"]}, "the label price is named twice, or to be dropped too"),
    "a category that is not there": (
        PLAIN,
        {"categories": ["town"]},
        "has no column 'town' for --categories; it has rooms",
    ),
    "a dropped column that is not there": (PLAIN, {"drop": ["id"]}, "has no column 'id' for --drop; it has rooms"),
    "a category that is dropped": (
        PLAIN,
        {"categories": ["rooms"], "drop": ["rooms"]},
        "the column rooms is named for --categories and for --drop; expected one of these",
    ),
    "several labels, one of classes": (
        PLAIN,
        {"labels": ["price", "rooms"], "categories": ["rooms"]},
        "there are 2 labels, price, rooms; expected one of classes",
    ),
    "a category beyond 2^53": (
        changed(4, city=2**53 + 2),
        {"categories": ["city"]},
        "row 4 of column city is 9.0072e+15; expected whole numbers of at most 2^53",
    ),
    "a category beyond 1e30": (
        changed(4, rooms="1e999"),
        {"categories": ["rooms"]},
        "row 4 of column rooms is inf; expected numbers of at most 1e30",
    ),
    "a class beyond 1e30": (
        changed(4, city="1e999"),
        {"labels": ["city"], "categories": ["city"]},
        "row 4 of column city is inf; expected numbers of at most 1e30",
    ),
    "too many columns": (
        ",".join(f"c{i}" for i in range(2**16 + 1)) + "\n",
        {},
        "a.csv has 65,537 columns; expected at most 65,536",
    ),
    "nothing but the label": (PLAIN, {"drop": ["rooms", "city", "age"]}, "beside the label, none that varies"),
    "text among numbers": (
        changed(7, age="old"),
        {},
        "row 7 of column age is 'old', and 47 rows have numbers there; expected numbers only: correct it, take the "
        "column as categories, --categories age, or leave it out, --drop age",
    ),
    "a number among text": (changed(3, city="17"), {}, "row 1 of column city is 'Bern', and 1 rows have numbers there"),
    "text in the label": (changed(2, price="much"), {}, "row 2 of column price is 'much', and 47 rows have numbers"),
    "missing values": (
        changed(5, age="", city="NaN"),
        {},
        "has missing values in city (1, the first in row 5), age (1, the first in row 5); fill them in",
    ),
    "a missing label": (changed(5, price="N/A"), {}, "has missing values in price (1, the first in row 5)"),
    "an infinite number": (changed(4, age="inf"), {}, "row 4 of column age is 'inf', and 47 rows have numbers there"),
    "beyond float32": (
        changed(4, age="1e39"),
        {},
        "row 4 of column age is 1e+39; expected numbers of at most 1e30",
    ),
    "a huge whole number": (
        changed(4, rooms=2**63),
        {},
        "row 4 of column rooms is 9.22337e+18; expected whole numbers of",
    ),
    "digits of thousands of places": (
        changed(4, rooms="9" * 5000),
        {},
        "row 4 of column rooms is inf; expected numbers",
    ),
    "numbers that float32 rounds to one": (
        csv_of([row | {"age": 1.7e9 + i} for i, row in enumerate(drawn_rows())]),
        {},
        "column age lies between 1700000000 and 1700000047, and float32 would round by up to",
    ),
    "a label beyond 1e30": (
        changed(4, price="-1e31"),
        {},
        "row 4 of column price is -1e+31; expected numbers of at most",
    ),
    "a name for every row": (
        csv_of([row | {"city": f"city {i}"} for i, row in enumerate(drawn_rows())]),
        {},
        "column city has 48 different values in 48 rows, such as 'city 0'; expected numbers, or at most 256 categories",
    ),
    "targets as classes": (
        PLAIN,
        {"regression": False},
        "expected whole numbers or text for classes; --loss squared_error",
    ),
    "words as targets": (
        PLAIN,
        {"labels": ["city"], "regression": True},
        "row 1 of column city is 'Bern', and 0 rows have",
    ),
    "several labels as classes": (
        PLAIN,
        {"labels": ["price", "rooms"], "regression": False},
        "there are 2 labels, price, rooms; expected one of classes",
    ),
    "a class of one row": (
        changed(1, city="Turin"),
        {"labels": ["city"]},
        "class Turin has 1 example; expected at least two",
    ),
    "whole numbers with a class of one row": (
        changed(1, rooms=9),
        {"labels": ["rooms"]},
        "class 9 has 1 example; expected at least two, one to train on and one to test on; --loss squared_error takes",
    ),
    "one class": (
        csv_of([row | {"city": "Oslo"} for row in drawn_rows()]),
        {"labels": ["city"]},
        "the label city has 1 different values, such as 'Oslo'; expected 2 to 1,000 classes",
    ),
    "a class that cannot be printed": (
        changed(1, city="\x1b[2J").replace("Oslo", "\x1b[2J"),
        {"labels": ["city"]},
        "printable",
    ),
    "a column twice": (PLAIN.replace("rooms", "age", 1), {}, "has 2 columns of the name age; expected one of each"),
    "a column twice but for blanks": (PLAIN.replace("rooms", " age ", 1), {}, "has 2 columns of the name age"),
    "a column without a name": (
        PLAIN.replace("rooms", "", 1),
        {},
        "a column has the name ''; expected a header of printable names; was it",
    ),
    "a name that cannot be printed": (
        PLAIN.replace("rooms", "a\x07", 1),
        {},
        "a column has the name 'a\\x07'; expected",
    ),
    "semicolons": (PLAIN.replace(",", ";"), {}, "are its columns separated by semicolons? expected commas"),
    "rows of different lengths": (PLAIN + "1,2\n", {}, "CSV parse error: Row #50: Expected 4 columns, got 2"),
    "no rows": (PLAIN[: PLAIN.index("\n") + 1], {}, "has the columns rooms, city, age, price, but no rows"),
    "one row": (PLAIN[: PLAIN.index("\n", 30) + 1], {}, "beside the label, none that varies; expected inputs"),
    "an empty file": ("", {}, "is empty; expected a header of column names, and rows"),
    "not UTF-8": (PLAIN.replace("Oslo", "Malm\xf6").encode("latin-1"), {}, "cannot be read as a CSV table in UTF-8"),
    "a header that is not UTF-8": (PLAIN.replace("age", "\xe4ge", 1).encode("latin-1"), {}, "as a CSV table in UTF-8"),
    "UTF-16": (PLAIN.encode("utf-16"), {}, "cannot be read as a CSV table in UTF-8"),
    "an image by another name": (b"\x89PNG\r\n\x1a\n" + bytes(99), {}, "a.csv"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_refused(tmp_path, name, no_shape_checks):
    content, options, message = BAD[name]
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load_table(path, **HOW | {"labels": ["price"]} | options)
    assert message in str(caught.value) and "a.csv" in str(caught.value)


PARQUET = {
    "a date": (
        {"day": pa.array([0, 1], pa.date32())},
        "column day is date32[day]; expected numbers, true and false, or text",
    ),
    "a list": ({"parts": [[1], [2, 3]]}, "column parts is list<"),
    "bytes": ({"raw": [b"a", b"b"]}, "column raw is binary; expected numbers"),
    "an index of pandas": (
        {"__index_level_0__": [0, 1]},
        "a column has the name '__index_level_0__'; expected a header of printable names; was it written with an "
        "index? pandas leaves it out with index=False",
    ),
    "too many columns": ({f"x{i}": [1, 2] for i in range(9)}, "a.parquet has 10 columns; expected at most 9"),
    "an infinite category": ({"c": [1.0, float("inf")]}, "row 2 of column c is inf; expected numbers of at most 1e30"),
    "nulls of numbers": ({"x": [1.0, None]}, "missing values in x (1, the first in row 2)"),
    "nulls of text": ({"x": [None, "a"]}, "missing values in x (1, the first in row 1)"),
    "NaN": ({"x": [1.0, float("nan")]}, "missing values in x (1, the first in row 2)"),
    "infinity": ({"x": [1.0, float("inf")]}, "row 2 of column x is inf; expected numbers of at most 1e30"),
    "a huge identifier": (
        {"x": [1, 2**60]},
        "row 2 of column x is 1.15292e+18; expected whole numbers of at most 2^53",
    ),
}


@pytest.mark.parametrize("name", PARQUET)
def test_a_bad_parquet_table_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr("jaxnet.data.tables.MOST_COLUMNS", 9)
    columns, message = PARQUET[name]
    path = write_parquet(tmp_path / "a.parquet", y=[0.5, 1.5], **columns)
    with pytest.raises(InputError) as caught:
        load(path, "y", categories=["c"] if "c" in columns else [])
    assert message in str(caught.value)


def test_damaged_and_oversized_parquet_tables_are_refused(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "a.parquet", y=np.arange(64) / 3, x=["long " * 99] * 32 + ["b"] * 32)
    content = path.read_bytes()
    for damaged in (content[:100], content[:-20], content[:4] + bytes(400) + content[404:], b"PAR1"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read as a Parquet table"):
            load(path, "y")
    path.write_bytes(content)
    monkeypatch.setattr("jaxnet.storage.untrusted.memory", lambda: 1000)
    with pytest.raises(InputError, match="64 rows of 2 columns would take"):
        load(path, "y")
    monkeypatch.setattr("jaxnet.storage.untrusted.memory", lambda: 50_000)
    assert load(path, "y").train.rows.shape == (48, 2)
    write_parquet(path, y=np.arange(64) / 3, x=[f"{i}" * 999 for i in range(64)])  # each text is stored
    with pytest.raises(InputError, match="64 rows of 2 columns would take"):
        load(path, "y")


def test_a_table_larger_than_memory_is_refused(tmp_path, monkeypatch):
    path = write_csv(tmp_path / "a.csv")
    monkeypatch.setattr("jaxnet.storage.untrusted.memory", lambda: 15 * path.stat().st_size)
    with pytest.raises(InputError, match="the table would take"):
        load(path, "price")


NEW = {
    "a missing column": ("rooms,age\n1,2\n", "lacks the column city; it has rooms, age"),
    "missing columns": ("rooms\n1\n", "lacks the columns city, age; it has rooms"),
    "an unknown category": (
        "rooms,city,age\n1,Oslo,2\n1,Paris,2\n",
        "row 2 of column city is 'Paris', which is not one of",
    ),
    "a missing value": ("rooms,city,age\n1,Oslo,\n", "missing values in age (1, the first in row 1)"),
    "text for a number": (
        "rooms,city,age\n1,Oslo,new\n",
        "row 1 of column age is 'new', and 0 rows have numbers there",
    ),
    "a number for a category": (
        "rooms,city,age\n1,3,2\n",
        "row 1 of column city is '3', which is not one of the categories",
    ),
    "no rows": ("rooms,city,age\n", "has the columns rooms, city, age, but no rows"),
}


@pytest.mark.parametrize("name", NEW)
def test_new_rows_that_do_not_fit_are_refused(tmp_path, name):
    table = load(write_csv(tmp_path / "a.csv"), "price").table
    content, message = NEW[name]
    (tmp_path / "new.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        read_rows(tmp_path / "new.csv", table)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        {"columns": [["a", []]]},
        {"columns": [["a", []]], "labels": []},
        {"columns": [["a", []]], "labels": ["a"]},
        {"columns": [["a", []], ["a", []]], "labels": ["y"]},
        {"columns": [["a", ["x", "x"]]], "labels": ["y"]},
        {"columns": [["a", [1]]], "labels": ["y"]},
        {"columns": [["", []]], "labels": ["y"]},
        {"columns": [["a\x1b", []]], "labels": ["y"]},
        {"columns": [["a"]], "labels": ["y"]},
        {"columns": "a", "labels": ["y"]},
        {"columns": [["a", ["x", "y"]]], "labels": ["y"]},
    ],
)
def test_a_hostile_table_of_a_model_is_refused(stored):
    with pytest.raises(InputError, match="table (says|has)"):
        table_of(stored, 1)


def test_a_table_survives_its_lists():
    table = Table((Column("age"), Column("city", ("Oslo", "a, b"))), ("price", "rent"))
    assert table_of(table.as_json(), 3) == table


def test_names_of_columns_are_of_tables_only(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(2, 8), Y=np.arange(8) % 2)
    with pytest.raises(InputError, match="--label, --categories and --drop are of tables; .*a.npz is not"):
        load_dataset(tmp_path / "a.npz", **HOW, labels=["y"])


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"reading tables needs pyarrow: pip install 'jaxnet\[tables\]'"):
        load(write_csv(tmp_path / "a.csv"), "price")


def test_small_numbers_are_standardised_too(tmp_path):
    rows = [row | {"age": 1e-8 * row["age"]} for row in drawn_rows()]
    dataset = load(write_csv(tmp_path / "a.csv", rows), "price")
    X = fit_preprocessing(dataset.train.rows).columns(dataset.train.rows)
    np.testing.assert_allclose(X.std(axis=1), 1, rtol=1e-4)
