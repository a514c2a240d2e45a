"""From what was seen of a run to all that is wrong with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .accuracy import LEARNED, guessing, no_better_than_mean, overfitted_regression, overfitting
from .costs import entropy, falling, rose
from .layers import dead
from .remedies import with_remedies
from .symptoms import Accuracy, Setup, Symptom
from .words import Dialect, python, symptom_line, tested_text


MASTERED = 0.95  # a training accuracy from which more steps make answers more certain rather than right


@dataclass(frozen=True)
class Diagnosis:
    """What was found at the end of a run; `print` shows it in words.

    `tested` compares the test accuracy with guessing; None where there are no test examples, or they have no classes.
    `of_costs_only`: neither the data nor the network was looked at.
    """

    symptoms: tuple[Symptom, ...] = ()
    tested: Accuracy | None = None
    of_costs_only: bool = False

    @property
    def healthy(self) -> bool:
        """Whether nothing was found to be wrong."""
        return not self.symptoms

    def lines(self, dialect: Dialect) -> list[str]:
        """One line for the test and one for each symptom, with remedies in the words of the command or of Python."""
        lines = [symptom_line(symptom, dialect) for symptom in self.symptoms]
        if self.tested is not None and not self.tested.is_guessing:
            lines.insert(0, tested_text(self.tested))
        alone = " in the costs; jaxnet.diagnose looks at the data too" if self.of_costs_only else ""
        return lines or [f"nothing wrong was found{alone}"]

    def __str__(self) -> str:
        return "\n".join(self.lines(python))


class Evidence(NamedTuple):
    """What was seen of a run. What is left out is not known, and nothing is said about it."""

    costs: Sequence[float] | np.ndarray  # of every step
    first_step: int = 0  # the step of the first cost
    constant: float | None = None  # see `constant_cost`
    has_classes: bool = True  # whether that is an entropy
    penalty: float = 0.0  # the part of the last cost that is the L2 penalty
    dead_shares: np.ndarray | None = None  # of the layers 1 ... L-1, a row for each time of looking
    dead_steps: Sequence[int] | np.ndarray | None = None  # when that was
    has_weights: bool = False  # whether the costs are weighted, so that they do not aim at the most right answers
    trained: Accuracy | None = None  # the accuracy on the training examples, all of which count alike
    tested: Accuracy | None = None  # likewise, on the test examples
    weighted: Accuracy | None = None  # the same with the weights of their classes, if they have any
    r2: tuple[float, float] | None = None  # of a regression, on the training and the test examples
    can_improve: bool = True  # whether more steps may help: not where the watched cost has risen since
    is_suspect: bool = False  # whether the errors are to be measured in any case
    measured: Callable[[], Symptom | None] | None = None  # measures the errors, which takes a while: see `vanishing`


def diagnosis_of(seen: Evidence, setup: Setup) -> Diagnosis:
    """All symptoms, with what to try: the test first, then causes before what they cause."""
    judged = seen.tested if seen.weighted is None else seen.weighted
    steps = np.arange(seen.first_step, seen.first_step + len(seen.costs))
    stands = None
    has_learned = seen.r2 is not None and seen.r2[0] > LEARNED  # dropout can hold the costs of a step above that
    if (
        seen.constant is not None
        and not has_learned
        and (seen.trained is None or seen.trained.is_guessing or seen.has_weights)
    ):
        stands = entropy(seen.costs, seen.constant, seen.penalty, seen.first_step)
        stands = stands._replace(code="constant") if stands is not None and not seen.has_classes else stands
    is_mastered = seen.trained is not None and seen.trained.value > MASTERED
    are_dead = None if seen.dead_shares is None else dead(seen.dead_shares, seen.dead_steps)
    gone = None
    if seen.measured is not None and are_dead is None and (stands is not None or seen.is_suspect):
        gone = seen.measured()
    found = [
        None if judged is None else guessing(judged, seen.trained),
        None if seen.r2 is None else no_better_than_mean(*seen.r2),
        rose(seen.costs, steps),
        are_dead,
        gone,
        stands,
        None if seen.trained is None or seen.tested is None else overfitting(seen.trained, seen.tested),
        None if seen.r2 is None else overfitted_regression(*seen.r2),
        falling(seen.costs, seen.constant) if seen.can_improve and not is_mastered else None,
    ]
    return Diagnosis(with_remedies([symptom for symptom in found if symptom is not None], setup), judged)
