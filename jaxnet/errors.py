"""The error that is raised for a user's mistake."""

from .text import printable_lines


class InputError(ValueError):
    """An input that cannot be used. The message says what was got, what was expected and what to do.

    Anything that a terminal would act on, such as an escape sequence in the name of a file, is written out.
    """

    def __init__(self, message: str):
        super().__init__(printable_lines(message))
