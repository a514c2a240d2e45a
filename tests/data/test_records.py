"""Rows that a model of a table is asked about, from values of Python: mappings, lists of them, and data frames."""

from decimal import Decimal

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import InputError
from jaxnet.data import Column, Table, read_rows, table_rows


pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
TABLE = Table((Column("rooms"), Column("city", ("Oslo", "Rome"))), ("price",))
EXPECTED = [[3, 0, 1], [2, 1, 0]]


class Frame:
    """What pandas has for a data frame: the names by `keys`, and each column by its name."""

    def __init__(self, **columns):
        self.columns = columns

    def keys(self):
        return list(self.columns)

    def __getitem__(self, name):
        return self.columns[name]


class Streamed:
    """What polars has for a data frame."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


COLUMNS = {"city": ["Rome", "Oslo"], "rooms": [3, 2]}
FORMS = {
    "columns": COLUMNS,
    "rows": [{"rooms": 3, "city": "Rome"}, {"city": "Oslo", "rooms": 2}],
    "columns with the label": COLUMNS | {"price": [1.0, 2.0]},
    "arrays": {"city": np.array(["Rome", "Oslo"]), "rooms": np.array([3, 2])},
    "objects and JAX": {"city": np.array(["Rome", "Oslo"], object), "rooms": jnp.array([3, 2])},
    "texts of numbers": {"city": ("Rome ", "Oslo"), "rooms": ["3", "2e0"]},
    "decimals": {"city": ["Rome", "Oslo"], "rooms": [Decimal(3), Decimal(2)]},
    "a data frame by its names": Frame(**COLUMNS),
    "a data frame by its stream": Streamed(pa.table(COLUMNS)),
    "an Arrow table": pa.table(COLUMNS),
    "a dictionary of texts": {"city": pa.array(["Rome", "Oslo"]).dictionary_encode(), "rooms": [3, 2]},
}


@pytest.mark.parametrize("name", FORMS)
def test_columns_and_rows_come_in_several_forms(name):
    rows, one = table_rows(FORMS[name], TABLE)
    assert rows.tolist() == EXPECTED and rows.dtype == np.float32 and not one


@pytest.mark.parametrize("row", [{"rooms": 3, "city": "Rome"}, Frame(city=np.str_("Rome"), rooms=np.array(3.0))])
def test_one_row_is_a_mapping_of_values(row):
    rows, one = table_rows(row, TABLE)
    assert rows.tolist() == EXPECTED[:1] and one


def test_truth_values_are_the_categories_of_a_file(tmp_path):
    table = Table((Column("old", ("false", "true")),), ("price",))
    (tmp_path / "a.csv").write_text("old\ntrue\nfalse\n")
    assert table_rows({"old": [True, False]}, table)[0].tolist() == read_rows(tmp_path / "a.csv", table)[0].tolist()


BAD = {
    "nothing": (None, "the model was trained on a table; expected the path of a table, .* got None"),
    "a number": (3, "got 3"),
    "no rows": ([], "the list of rows is empty"),
    "no columns": ({}, "the table lacks the columns rooms, city"),
    "empty columns": ({"rooms": [], "city": []}, "has the columns rooms, city, but no rows"),
    "a missing column": ({"rooms": 3}, "the table lacks the column city; it has rooms"),
    "a misspelt column": ({"rooms": 3, "town": "Rome"}, "the table lacks the column city; it has rooms, town"),
    "an unknown column": (
        {"rooms": 3, "city": "Rome", "age": 1},
        "the table has the column age, which the model does not know; expected rooms, city",
    ),
    "an unknown category": ({"rooms": 3, "city": "Bern"}, "row 1 of column city is 'Bern', which is not one of"),
    "text for a number": ({"rooms": ["3", "x"], "city": ["Rome"] * 2}, "row 2 of column rooms is 'x', and 1 rows"),
    "two lengths": ({"rooms": [3, 2], "city": ["Rome"]}, "2 values in the column rooms, but 1 in city"),
    "one value and several": ({"rooms": [3, 2], "city": "Rome"}, "one value in city, but several in rooms"),
    "mixed types": ({"rooms": [3, "a"], "city": ["Rome"] * 2}, "the column rooms cannot be read: .*; expected numbers"),
    "a set": ({"rooms": {3, 2}, "city": ["Rome"] * 2}, "the column rooms is a set; expected a sequence of values"),
    "a matrix": ({"rooms": np.ones((1, 2)), "city": ["Rome"]}, "the column rooms cannot be read"),
    "lists in rows": ([{"rooms": [3], "city": "Rome"}], "column rooms is list<.*>; expected numbers, true and false"),
    "bytes": ({"rooms": 3, "city": b"Rome"}, "column city is binary; expected numbers"),
    "None": ({"rooms": None, "city": "Rome"}, r"missing values in rooms \(1, the first in row 1\); fill them in, or"),
    "NaN": ({"rooms": [3, np.nan], "city": ["Rome"] * 2}, r"missing values in rooms \(1, the first in row 2\)"),
    "infinity": ({"rooms": np.inf, "city": "Rome"}, "row 1 of column rooms is inf; expected numbers of at most 1e30"),
    "a name that is a number": ({3: 1, "city": "Rome"}, "has a column of the name 3; expected texts"),
    "a name twice": ({"city": "Rome", "city ": "Rome", "rooms": 3}, "the table has 2 columns of the name city"),
    "rows that are not mappings": (
        [{"rooms": 3, "city": "Rome"}, 3],
        "row 2 of the list of 2 is 3; expected",
    ),
    "a row that lacks a column": (
        [{"rooms": 3, "city": "Rome"}, {"rooms": 3}],
        "row 1 has the column city, but row 2 has not; expected the same",
    ),
    "a row with another column": (
        [{"rooms": 3}, {"rooms": 3, "age": 1}],
        "row 2 has the column age, but row 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    inputs, message = BAD[name]
    with pytest.raises(InputError, match=message):
        table_rows(inputs, TABLE)
