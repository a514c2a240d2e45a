"""Shared by the commands: exit codes, the names they offer, and how they read numbers."""

import argparse


ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu", "identity")
STRAIGHT_THROUGH = ("sign",)
FEEDBACKS = (
    "backprop",
    "feedback_alignment",
    "direct_feedback_alignment",
    "uniform_sign",
    "batch_random_sign",
    "fixed_random_sign",
    "kolen_pollack",
    "weight_mirror",
    "direct_random_target",
)
FEATURES = ("hog",)
LOSSES = ("binary_cross_entropy", "softmax_cross_entropy", "squared_error")
TASKS = ("cross_entropy", "squared_error")  # of `jaxnet train`: a classifier, or a regression
INITS = ("he", "lecun", "xavier")
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
TRACKERS = ("tensorboard", "wandb", "mlflow")
SCHEDULES = ("constant", "cosine", "step")
DTYPES = ("float32", "float64", "bfloat16")
DONE, FAILED, UNUSABLE_INPUT, INCONCLUSIVE = 0, 1, 2, 3


def positive_int(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or len(text) > 9 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number of at most nine digits")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 999999999")
    return int(text)


def positive_float(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def from_zero(text: str) -> float:
    """A number from 0."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return value


def fraction(text: str) -> float:
    """A number between 0 and 1."""
    value = _number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def probability(text: str) -> float:
    """A number above 0, up to 1."""
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and up to 1")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
