"""Text that somebody else wrote, as it is shown."""

import pytest

from jaxnet.text import cell, counted, printable, printable_lines


@pytest.mark.parametrize(
    "text, shown",
    [
        ("cat.1.jpg", "cat.1.jpg"),
        ("Käse 🐈", "Käse 🐈"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_would_act_on_is_written_out(text, shown):
    assert printable(text) == shown


def test_a_message_keeps_its_line_breaks():
    assert printable_lines("one\ntwo\x1b") == "one\ntwo\\x1b"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_formula_is_not_computed(start):
    assert cell(f"{start}1+1")[0] in "'\\"


def test_a_name_stays():
    assert cell("cat/1.jpg") == "cat/1.jpg"


def test_a_noun_is_plural_unless_there_is_one():
    assert [counted(count, "image") for count in (0, 1, 2, 1234)] == ["0 images", "1 image", "2 images", "1,234 images"]
