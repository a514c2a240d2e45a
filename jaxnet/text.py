"""Foreign text, made safe to show: in a terminal, and in a table that a spreadsheet opens."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet computes a cell that begins with one; OWASP, "CSV injection"


def printable(text: str) -> str:
    """The text with everything that a terminal would act on, such as an escape sequence, written out: `\\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def printable_lines(text: str) -> str:
    """`printable` line by line, so that a message keeps its line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def counted(count: int, noun: str) -> str:
    """The number and the noun: 1 image, 2 images."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cell(text: str) -> str:
    """The text as a cell of a CSV file, with an apostrophe in front where a spreadsheet would compute it."""
    text = printable(text)
    return f"'{text}" if text.startswith(FORMULA) else text
