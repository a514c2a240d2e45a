"""Standard measures of predicted probabilities, as pure functions of NumPy arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ...diagnosis import wilson_interval as wilson_interval


MOST_CLASSES = 20  # whose confusion is a table that can be read


class Roc(NamedTuple):
    """The receiver operating characteristic: both rates for every threshold, from none called positive to all."""

    false_positive_rate: Float[np.ndarray, " points"]
    true_positive_rate: Float[np.ndarray, " points"]

    @property
    def area(self) -> float:
        """AUC, the chance that a positive example scores higher than a negative one; a tie counts as one half."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))


def roc_curve(positive: Bool[np.ndarray, " m"], scores: Float[np.ndarray, " m"]) -> Roc | None:
    """The rates where score >= threshold is called positive, a point for every distinct score.

    None where all examples are positive, or none is: one of the rates would be 0 / 0.
    """
    positives = np.count_nonzero(positive)
    if positives in (0, len(positive)):
        return None
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of each group of equal scores
    true = np.cumsum(positive[order])[ends]
    false = ends + 1 - true
    rates = (np.append(0, false) / (len(order) - positives), np.append(0, true) / positives)
    return Roc(*rates)


def macro_average(curves: Sequence[Roc], points: int = 201) -> Roc:
    """The mean of the true positive rates of several classes at each false positive rate."""
    grid = np.linspace(0, 1, points)
    mean = np.mean([np.interp(grid, curve.false_positive_rate, curve.true_positive_rate) for curve in curves], axis=0)
    return Roc(np.append(0, grid), np.append(0, mean))


class Reliability(NamedTuple):
    """Examples sorted into bins by the probability of the class predicted; NaN where a bin is empty."""

    edges: Float[np.ndarray, " bins_plus_1"]
    counts: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]  # the mean probability of the class predicted
    accuracy: Float[np.ndarray, " bins"]  # the share that is right

    @property
    def expected_calibration_error(self) -> float:
        """ECE = sum over the bins of (examples in it / all) |accuracy - confidence|; NaN where there are none."""
        if not self.counts.any():
            return float("nan")
        return float(np.nansum(self.counts * np.abs(self.accuracy - self.confidence)) / self.counts.sum())


def reliability(
    probabilities: Float[np.ndarray, "classes m"], labels: Int[np.ndarray, " m"], bins: int = 15
) -> Reliability:
    """How the confidence of a network compares with how often it is right.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.

    Bins of equal width over [0, 1]; each holds its upper edge, as there.
    """
    edges = np.linspace(0, 1, bins + 1)
    confidence = probabilities.max(axis=0).astype(float)
    right = probabilities.argmax(axis=0) == labels
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, values, minlength=bins) / counts for values in (confidence, right.astype(float))]
    return Reliability(edges, counts, *means)


def confusion_matrix(
    labels: Int[np.ndarray, " m"], predicted: Int[np.ndarray, " m"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """How many examples of class i, a row, were taken for class j, a column."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def most_confused(confusion: Int[np.ndarray, "classes classes"], most: int) -> list[tuple[int, int, int]]:
    """The pairs of different classes with the largest counts, largest first: true, predicted, count."""
    wrong = confusion - np.diag(np.diag(confusion))
    largest = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [tuple(map(int, np.unravel_index(place, wrong.shape))) for place in largest]
    return [(true, predicted, int(wrong[true, predicted])) for true, predicted in pairs if wrong[true, predicted]]


def mean_area(curves: Sequence[Roc | None]) -> float:
    """AUC: of the second class where there are two, else the mean over the classes that have a curve; NaN for none."""
    areas = [curve.area for curve in (curves[1:] if len(curves) == 2 else curves) if curve is not None]
    return float(np.mean(areas)) if areas else float("nan")


def brier_score(probabilities: Float[np.ndarray, "classes m"], labels: Int[np.ndarray, " m"]) -> float:
    """The mean of sum_k (p_k - y_k)^2; of (p - y)^2, half of it, for two classes.

    Brier 1950; as `sklearn.metrics.brier_score_loss` has it.
    """
    Y = np.arange(len(probabilities))[:, None] == labels
    score = float(np.mean(np.sum(np.square(probabilities.astype(float) - Y), axis=0)))
    return score / 2 if len(probabilities) == 2 else score


def cross_entropy(probabilities: Float[np.ndarray, "classes m"], labels: Int[np.ndarray, " m"]) -> float:
    """The mean of -log of the true class's probability: infinite where one is 0, NaN where there are no examples."""
    if len(labels) == 0:
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(-np.mean(np.log(probabilities[labels, np.arange(len(labels))].astype(float))))


class Fit(NamedTuple):
    """How far the predictions of one output are from its labels, in the units of the labels."""

    r2: float  # 1 - (mean square error) / (variance of the labels): 0 for their mean, 1 where all are right
    rmse: float  # the root of the mean square error
    mean_absolute_error: float
    spread: float  # the standard deviation of the labels, which is the rmse of always predicting their mean


def fit_of(labels: Float[np.ndarray, " m"], predicted: Float[np.ndarray, " m"]) -> Fit:
    """The measures of one output; NaN where there are no examples, and R^2 also where the labels do not vary."""
    if len(labels) == 0:
        return Fit(*[float("nan")] * 4)
    error, spread = predicted - labels, float(np.std(labels))
    rmse = float(np.sqrt(np.mean(error**2)))
    r2 = 1 - (rmse / spread) ** 2 if spread > 0 else float("nan")
    return Fit(r2, rmse, float(np.mean(np.abs(error))), spread)
