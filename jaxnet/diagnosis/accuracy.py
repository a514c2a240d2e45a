"""Is an accuracy better than guessing, and does it hold for examples that were not trained on?"""

import numpy as np
from jaxtyping import Float, Int

from .symptoms import Accuracy, Remedy, Symptom


NORMAL_975 = 1.959963984540054  # of the normal distribution's mass, 95 % lies between minus and plus this
# Of what training accuracy gained over guessing, less than this share reaches the test: most of it was learnt by heart.
# The course's own cat network, trained to 0.99 and tested at 0.76, keeps two thirds.
CARRIED_OVER = 1 / 2
FAR = 0.15  # between accuracies: so much less for the test than for training is far, whatever guessing gives
LEARNED = 0.01  # R^2 on the training examples, from which a regression has learned something


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """The 95 % interval of a share: all p with |successes/trials - p| <= z sqrt(p (1 - p) / trials), solved for p.

    Wilson 1927. Unlike the textbook's p +- z sqrt(p (1 - p) / n) it is right for few trials and never leaves [0, 1].
    It is an approximation of the exact binomial interval, and narrower than that.
    """
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, NORMAL_975**2 / trials
    centre = share + z2 / 2
    reach = np.sqrt(z2 * share * (1 - share) + z2**2 / 4)
    # At 0 and at all successes, rounding would leave a bound of 1e-17 where it is exactly 0 or 1.
    low = 0.0 if successes == 0 else (centre - reach) / (1 + z2)
    high = 1.0 if successes == trials else (centre + reach) / (1 + z2)
    return float(low), float(high)


def compared_with_guessing(
    predicted: Int[np.ndarray, " m"],
    labels: Int[np.ndarray, " m"],
    train_counts: Int[np.ndarray, " classes"],
    by_class: Float[np.ndarray, " classes"] | None = None,
) -> Accuracy | None:
    """The share of right answers, its Wilson interval, and the share that one answer to all of them gets.

    The answer is the class most frequent in training: of the test, a guesser has not seen how frequent classes are. But
    where the network gives one answer to all examples, it is that one. With weights `by_class` every example counts as
    much as its class, and the interval is that of as many equal examples as have the same variance: Kish 1965,
    (sum w)^2 / sum w^2. None where no example counts.
    """
    weight = np.ones(len(labels)) if by_class is None else np.asarray(by_class, float)[labels]
    total = float(weight.sum())
    if total == 0:
        return None
    counts = np.asarray(train_counts, float) * (1 if by_class is None else by_class)
    answer = predicted[0] if (predicted == predicted[0]).all() else counts.argmax()
    accuracy = float(weight[predicted == labels].sum()) / total
    trials = total**2 / float((weight**2).sum())
    guessed = float(weight[labels == answer].sum()) / total
    return Accuracy(accuracy, guessed, *wilson_interval(accuracy * trials, trials), bool((weight != weight[0]).any()))


def guessing(tested: Accuracy, trained: Accuracy | None = None) -> Symptom | None:
    """The accuracy's interval reaches down to guessing. Where that of training does too, more steps may help."""
    if not tested.is_guessing:
        return None
    remedies = (Remedy("longer"),) if trained is not None and trained.is_guessing else ()
    interval = tested.low, tested.high
    return Symptom("guessing", tested.value, tested.guessing, None, None, interval, remedies, tested.is_weighted)


def overfitting(trained: Accuracy, tested: Accuracy) -> Symptom | None:
    """The upper end of the test's interval is `FAR` below train, or has less than `CARRIED_OVER` of train - guessing.

    Each part has a guessing of its own: the test may have its classes in other shares.
    """
    carried_over = tested.high - tested.guessing >= CARRIED_OVER * (trained.value - trained.guessing)
    if trained.is_guessing or (carried_over and tested.high > trained.value - FAR):
        return None
    return Symptom("overfitting", tested.value, trained.value, interval=(tested.low, tested.high))


def no_better_than_mean(train_r2: float, test_r2: float) -> Symptom | None:
    """R^2 <= 0 on the test examples: their mean predicts them as well. Where training's is too, more steps may help."""
    if not test_r2 <= 0:
        return None
    return Symptom("mean", test_r2, 0.0, remedies=() if train_r2 > LEARNED else (Remedy("longer"),))


def overfitted_regression(train_r2: float, test_r2: float) -> Symptom | None:
    """Less than `CARRIED_OVER` of the training examples' R^2 holds for the test."""
    if not (train_r2 > LEARNED and test_r2 < CARRIED_OVER * train_r2):
        return None
    return Symptom("overfitting", test_r2, train_r2)
