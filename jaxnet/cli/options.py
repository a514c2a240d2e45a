"""What several commands have in common: exit codes, the names they offer, and how their numbers are read."""

import argparse


ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu", "identity")
LOSSES = ("binary_cross_entropy", "softmax_cross_entropy", "squared_error")
SCALINGS = ("he", "lecun", "xavier")
DONE, FAILED, UNUSABLE_INPUT, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130


def positive_int(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or len(text) > 9 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number of at most nine digits")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 999999999")
    return int(text)


def positive_float(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return value
