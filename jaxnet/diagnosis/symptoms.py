"""What can be wrong with a training, as values: text is made of them where it is shown, see `words`."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias


Code: TypeAlias = Literal[
    "guessing", "mean", "rose", "dead", "vanishing", "entropy", "constant", "overfitting", "falling"
]


class Remedy(NamedTuple):
    """Something to try: a setting of a run and its new value, or, without a value, a name that `words` explains."""

    setting: str
    value: Any = None


class Symptom(NamedTuple):
    """One thing that is wrong. What the numbers are depends on the code:

    | code          | value                                      | reference                              |
    |---------------|--------------------------------------------|----------------------------------------|
    | `guessing`    | test accuracy                              | accuracy of the best constant answer   |
    | `mean`        | R^2 of a regression on the test examples   | 0, that of always predicting their mean |
    | `rose`        | largest cost                               | smallest cost before it                |
    | `dead`        | share of the layer's units                 | 1                                      |
    | `vanishing`   | size of dZ_1                               | size of dZ_L                           |
    | `entropy`     | cost at the end, without the L2 penalty    | the entropy of the labels              |
    | `constant`    | the same of a squared error                | cost of the labels' mean               |
    | `overfitting` | test accuracy or R^2                       | training accuracy or R^2               |
    | `falling`     | cost at the end                            | cost a tenth of the run before the end |
    """

    code: Code
    value: float
    reference: float
    layer: int | None = None
    step: int | None = None  # since when; of `rose`, where the cost was largest
    interval: tuple[float, float] | None = None  # in which the value lies with a confidence of 95 %
    remedies: tuple[Remedy, ...] = ()
    is_weighted: bool = False  # of `guessing`, whether examples count as much as their classes weigh


class Accuracy(NamedTuple):
    """An accuracy beside what guessing would give."""

    value: float
    guessing: float  # of the best constant answer that can be given without looking at these examples
    low: float  # the 95 % interval of the accuracy
    high: float
    is_weighted: bool = False  # whether examples count as much as their classes weigh

    @property
    def is_guessing(self) -> bool:
        """Whether the accuracy cannot be told from guessing, or is worse."""
        return self.low <= self.guessing


@dataclass(frozen=True)
class Setup:
    """What a run was made with, as far as it is known. None: not known."""

    learning_rate: float | None = None
    optimizer: str | None = None
    schedule: str | None = None
    init: str | float | None = None
    hidden: str | None = None
    standardise: bool | None = None
    keep_prob: float | None = None
    lambd: float | None = None
    weight_decay: float | None = None
    early_stopping: bool | None = None
    class_weight: bool | None = None
    num_iterations: int | None = None
    epochs: int | None = None
    features: bool | None = None  # whether the network sees features of images; None where it cannot
    augment: bool | None = None
