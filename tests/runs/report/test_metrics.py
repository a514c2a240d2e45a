"""The measures of a report, against small cases worked out by hand and figures from the literature."""

import numpy as np
import pytest

from jaxnet.runs.report import metrics


def test_the_interval_is_the_one_of_the_literature():
    """81 of 263: Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3."""
    for (successes, trials), expected in {
        (81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0, 0.1611), (1, 29): (0.0061, 0.1718),
        (29, 29): (0.8830, 1), (0, 0): (0, 1),
    }.items():  # fmt: skip
        np.testing.assert_allclose(metrics.wilson_interval(successes, trials), expected, atol=5e-5)


@pytest.mark.parametrize(
    "positive, scores, points, area",
    [
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)], 0.75),
        ([0, 1], [0.2, 0.8], [(0, 0), (0, 1), (1, 1)], 1),
        ([1, 0], [0.2, 0.8], [(0, 0), (1, 0), (1, 1)], 0),
        ([1, 0, 0, 1], [0.5, 0.5, 0.5, 0.5], [(0, 0), (1, 1)], 0.5),
        ([1, 0, 1], [0.9, 0.5, 0.5], [(0, 0), (0, 0.5), (1, 1)], 0.75),
    ],
)
def test_roc(positive, scores, points, area):
    curve = metrics.roc_curve(np.array(positive, bool), np.array(scores))
    np.testing.assert_allclose(np.transpose(curve), points)
    assert curve.area == area


def test_area_is_the_share_of_pairs_in_order():
    generator = np.random.default_rng(0)
    positive, scores = generator.random(80) < 0.4, generator.integers(0, 12, 80) / 12  # with many ties
    difference = scores[positive][:, None] - scores[~positive]
    expected = np.mean((difference > 0) + (difference == 0) / 2)
    assert metrics.roc_curve(positive, scores).area == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("positive", [[True, True], [False, False], []])
def test_there_is_no_roc_of_one_kind(positive):
    assert metrics.roc_curve(np.array(positive, bool), np.zeros(len(positive))) is None


def test_macro_average_is_the_mean_at_each_rate():
    perfect = metrics.Roc(np.array([0.0, 0, 1]), np.array([0.0, 1, 1]))
    coin = metrics.Roc(np.array([0.0, 1]), np.array([0.0, 1]))
    average = metrics.macro_average([perfect, coin])
    np.testing.assert_allclose(average.true_positive_rate[1:], (1 + average.false_positive_rate[1:]) / 2)
    assert average.area == pytest.approx(0.75)


def test_calibration_by_hand():
    """Three bins of the class predicted: (1/3, 2/3] holds 0.6 (right) and 0.6 (wrong), (2/3, 1] holds 0.9 and 1."""
    first = np.array([0.6, 0.4, 0.9, 0.0])
    bins = metrics.reliability(np.stack([first, 1 - first]), np.array([0, 0, 1, 1]), bins=3)
    assert bins.counts.tolist() == [0, 2, 2]
    np.testing.assert_allclose(bins.confidence, [np.nan, 0.6, 0.95])
    np.testing.assert_allclose(bins.accuracy, [np.nan, 0.5, 0.5])
    assert bins.expected_calibration_error == pytest.approx(0.5 * 0.1 + 0.5 * 0.45)


def test_a_bin_holds_its_upper_edge():
    probabilities = np.array([[0.5, 0.75, 1.0], [0.5, 0.25, 0.0]])
    assert metrics.reliability(probabilities, np.zeros(3, int), bins=4).counts.tolist() == [0, 1, 1, 1]


def test_confusion_by_hand():
    confusion = metrics.confusion_matrix(np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 0, 2]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 1]]
    assert metrics.most_confused(confusion, 5) == [(2, 0, 2), (0, 1, 1)]
    assert metrics.most_confused(confusion, 1) == [(2, 0, 2)]


def test_cross_entropy_by_hand():
    probabilities = np.array([[0.5, 0.25], [0.5, 0.75]])
    assert metrics.cross_entropy(probabilities, np.array([0, 0])) == pytest.approx(np.log(2) * 1.5)
    assert metrics.cross_entropy(np.array([[0.0], [1.0]]), np.array([0])) == np.inf
    assert np.isnan(metrics.cross_entropy(np.zeros((2, 0)), np.zeros(0, int)))
