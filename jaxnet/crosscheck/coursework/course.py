"""The functions of the course that a learner wrote, each by itself with right inputs, then in the chain.

Runs inside the process that imports the learner's file; `files.py` starts that process and reads what it finds.
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from ...errors import InputError
from ..backprop.slopes import sigmoid
from ..report import FunctionReport, Verdict
from . import backward, forward
from .trying import Functions, Point, Refused, make_point, worst


POINTS = {  # sizes that all differ, where crossed axes are errors of shape, and equal ones, where they are silent
    "sizes that differ": ((5, 4, 3, 1), 7),
    "equal sizes": ((4, 4, 4, 1), 4),
}


CHECKS: dict[str, Callable[[Functions, Point], FunctionReport]] = {
    "linear_forward": forward.check_linear_forward,
    "sigmoid": forward.check_activation(
        "sigmoid",
        sigmoid,
        "A = 1 / (1 + exp(-Z))",
        lambda Z: {
            "sign": ("the sign of Z is wrong", lambda: sigmoid(-Z)),
            "derivative": ("this is the derivative of the sigmoid", lambda: sigmoid(Z) * sigmoid(-Z)),
        },
    ),
    "relu": forward.check_activation(
        "relu",
        lambda Z: np.maximum(Z, 0),
        "A = maximum(0, Z)",
        lambda Z: {
            "sign": ("it keeps what is below 0", lambda: np.minimum(Z, 0)),
            "derivative": ("this is the derivative of relu", lambda: np.where(Z > 0, 1.0, 0.0)),
            "absolute": ("this is the magnitude of Z", lambda: np.abs(Z)),
        },
    ),
    "linear_activation_forward": forward.check_linear_activation_forward,
    "L_model_forward": forward.check_L_model_forward,
    "compute_cost": forward.check_compute_cost,
    "linear_backward": backward.check_linear_backward,
    "relu_backward": backward.check_slope("relu_backward", "relu"),
    "sigmoid_backward": backward.check_slope("sigmoid_backward", "sigmoid"),
    "linear_activation_backward": backward.check_linear_activation_backward,
    "L_model_backward": backward.check_L_model_backward,
    "update_parameters": forward.check_update_parameters,
}


def checks(functions: Functions) -> Iterator[tuple[str, Callable[[], FunctionReport]]]:
    """The name of every function that is to be checked, in the order of the course, and its check."""

    def at_all_points(name: str) -> FunctionReport:
        return worst(name, [_checked(name, functions, make_point(*sizes)) for sizes in POINTS.values()])

    for name in CHECKS:
        if name in functions:
            yield name, lambda name=name: at_all_points(name)


def _checked(name: str, functions: Functions, point: Point) -> FunctionReport:
    try:
        with np.errstate(all="ignore"), jax.enable_x64(True):
            return CHECKS[name](functions, point)
    except (Refused, InputError) as error:
        return FunctionReport(name, Verdict.DISAGREE, str(error))
