"""How good the probabilities of a model of classes are, as a value."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..text import printable
from .report.metrics import (
    MOST_CLASSES,
    brier_score,
    confusion_matrix,
    cross_entropy,
    mean_area,
    most_confused,
    reliability,
    roc_curve,
    wilson_interval,
)


PAIRS = 10


class Evaluation(NamedTuple):
    """The probabilities that a model gave to labelled examples, and what they say of it.

    Args:
        examples: What it was evaluated on, in words.
        classes: The names of the classes.
        labels: `(m,)`, the index of the class of each example.
        class_probabilities: `(classes, m)`.
    """

    examples: str
    classes: tuple[str, ...]
    labels: Int[np.ndarray, " m"]
    class_probabilities: Float[np.ndarray, "classes m"]

    @property
    def predicted(self) -> Int[np.ndarray, " m"]:
        """The index of the most probable class of each example."""
        return self.class_probabilities.argmax(axis=0)

    @property
    def right(self) -> int:
        """How many examples are decided rightly."""
        return int(np.count_nonzero(self.predicted == self.labels))

    @property
    def accuracy(self) -> float:
        """The share of the examples that are decided rightly."""
        return self.right / len(self.labels)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, by Wilson 1927."""
        return wilson_interval(self.right, len(self.labels))

    @property
    def baseline(self) -> float:
        """The accuracy of always guessing the most frequent class."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def cost(self) -> float:
        """Cross-entropy, the mean of -log p of the true class."""
        return cross_entropy(self.class_probabilities, self.labels)

    @property
    def brier_score(self) -> float:
        """The mean squared error of the probabilities, see Brier 1950; of one of them for two classes."""
        return brier_score(self.class_probabilities, self.labels)

    @property
    def calibration_error(self) -> float:
        """ECE, how far confidence and accuracy are apart, in 15 bins of equal width; Guo et al. 2017."""
        return reliability(self.class_probabilities, self.labels).expected_calibration_error

    @property
    def roc_area(self) -> float:
        """AUC of the second of two classes; of more the mean, each against the rest. NaN where all are of one class."""
        return mean_area([roc_curve(self.labels == j, p) for j, p in enumerate(self.class_probabilities)])

    @property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """How many examples of class i, a row, were taken for class j, a column."""
        return confusion_matrix(self.labels, self.predicted, len(self.classes))

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it; what is not a finite number is None."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        return {
            "examples": self.examples,
            "count": len(self.labels),
            "right": self.right,
            **{name: value if np.isfinite(value) else None for name, value in numbers.items()},
            "interval": list(self.interval),
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        low, high = self.interval
        guess = self.classes[int(np.bincount(self.labels).argmax())]
        mean = "" if len(self.classes) == 2 else ", mean over the classes"
        lines = [
            f"examples  {self.examples}",
            f"accuracy  {self.accuracy:.4f}, {self.right} of {len(self.labels)}, 95 % interval {low:.4f} to "
            f"{high:.4f}; always guessing {guess}: {self.baseline:.4f}",
            f"cost      {self.cost:.4f}, cross-entropy; Brier score {self.brier_score:.4f}; expected calibration error "
            f"{self.calibration_error:.4f}",
            f"ROC AUC   {self.roc_area:.4f}{mean}",
            *_confusion_lines(self),
        ]
        return "\n".join(map(printable, lines))


NUMBERS = ("accuracy", "baseline", "cost", "brier_score", "calibration_error", "roc_area")


def _confusion_lines(evaluation: Evaluation) -> list[str]:
    names, confusion = evaluation.classes, evaluation.confusion
    if len(names) > MOST_CLASSES:
        pairs = most_confused(confusion, PAIRS)
        return ["confusion of classes, most frequent first"] + [
            f"{names[i]} taken for {names[j]}: {count}" for i, j, count in pairs
        ]
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = (np.diag(confusion) / confusion.sum(axis=axis) for axis in (1, 0))
    width = max(map(len, ("confusion", *names)))
    columns = [max(len(name), len(str(confusion.max()))) for name in names]
    head = "  ".join(f"{name:>{column}}" for name, column in zip(names, columns, strict=True))
    lines = [f"{'confusion':<{width}}  {head}  recall  precision"]
    for i, name in enumerate(names):
        counts = "  ".join(f"{count:>{column}}" for count, column in zip(confusion[i], columns, strict=True))
        shares = f"{recall[i]:6.4f}  {precision[i]:9.4f}".replace("nan", "  -")
        lines.append(f"{name:<{width}}  {counts}  {shares}")
    return [*lines, "(a row for each true class, a column for each predicted one)"]
