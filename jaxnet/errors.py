"""The error that a user's mistake raises."""


class InputError(ValueError):
    """An input that cannot be used. The message says what was got, what was expected and what to do."""
