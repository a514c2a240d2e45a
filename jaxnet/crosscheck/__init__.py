"""Is this gradient right, and if not, where and why.

check_gradient   any function and its gradient, in JAX or NumPy
check_training_step   one update of any training code, whatever it is written like
check_backward   the backward pass of an L-layer network, step by step
good_point       a point at which every known error of a backward pass shows
"""

from .anycode.step import check_training_step as check_training_step
from .backprop.check import check_backward as check_backward
from .backprop.power import good_point as good_point
from .coursework.files import FileReport as FileReport, check_file as check_file
from .foreign import error_text as error_text, location as location
from .function.check import (
    GradientMismatch as GradientMismatch,
    assert_gradient as assert_gradient,
    check_gradient as check_gradient,
)
from .report import (
    Finding as Finding,
    LeafCheck as LeafCheck,
    Power as Power,
    Property as Property,
    Report as Report,
    ThreeWay as ThreeWay,
    Verdict as Verdict,
)
