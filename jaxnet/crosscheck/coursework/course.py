"""The functions of the course that a learner wrote, each by itself with right inputs, then in the chain.

Runs inside the process that imports the learner's file; `files.py` starts that process and reads what it finds.
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from ...errors import InputError
from ..report import Verdict
from . import backward, forward
from .reports import FunctionReport, worst
from .trying import Functions, Point, Refused, make_point


# Sizes that all differ, where crossed axes are errors of shape, and equal ones, where they are silent.
POINTS = ((5, 4, 3, 1), 7), ((4, 4, 4, 1), 4)

CHECKS: dict[str, Callable[[Functions, Point], FunctionReport]] = {
    "linear_forward": forward.check_linear_forward,
    "sigmoid": forward.check_sigmoid,
    "relu": forward.check_relu,
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
    for name in CHECKS:
        if name in functions:
            yield name, lambda name=name: worst([_checked(name, functions, make_point(*sizes)) for sizes in POINTS])


def _checked(name: str, functions: Functions, point: Point) -> FunctionReport:
    try:
        with np.errstate(all="ignore"), jax.enable_x64(True):
            return CHECKS[name](functions, point)
    except (Refused, InputError) as error:
        return FunctionReport(name, Verdict.DISAGREE, str(error))
