"""What the costs of a run say: that they rose, stand where nothing is learnt, or still fall at the end."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ..losses import Loss, binary_cross_entropy, softmax_cross_entropy, squared_error
from ..types import AnyArray
from .symptoms import Symptom


RISE = 100  # minibatches and restarts of a schedule change a cost severalfold; not a hundredfold
RECOVERED = 2  # a cost that ends within this factor of its first one has come back
TAIL = 10  # steps whose median is the cost at the end, so that it is not one batch's
SAME = 0.01  # of the entropy; a network that learnt something is below by more, unless labels are nearly noise
FEWEST = 20  # steps: of fewer, no trend is read
STEEP = 0.05  # of the cost, in a tenth of the run; a cost that falls as the root of the number of steps does so
LEFT = 1 / 4  # of the cost of the best constant answer; below it most has been learnt, however the rest falls
ERRORS = 3  # a fall of fewer standard errors may be the noise of batches


def rose(
    costs: Sequence[float] | np.ndarray, steps: Sequence[int] | np.ndarray | None = None, tail: int = TAIL
) -> Symptom | None:
    """The cost rose `RISE`-fold from its smallest value, and the last `tail` are above its first: steps are too large.

    `steps` are those that the costs belong to; by default 0, 1, 2, ...
    """
    costs = np.asarray(costs, float)
    if len(costs) < 2:
        return None
    steps = np.arange(len(costs)) if steps is None else np.asarray(steps)
    largest = int(np.argmax(costs))
    smallest = float(np.min(costs[: largest + 1]))
    end = float(np.quantile(costs[-min(tail, len(costs) - 1) :], 0.5, method="lower"))
    if not costs[largest] >= RISE * smallest > 0 or not end > RECOVERED * costs[0]:
        return None
    return Symptom("rose", float(costs[largest]), smallest, step=int(steps[largest]))


def constant_cost(
    Y: Float[AnyArray, "n_L m"], loss: Loss, sample_weight: Float[AnyArray, " m"] | None = None
) -> float | None:
    """min over constant outputs of (1/m) sum_i w_i loss_i: for cross-entropy the entropy of the labels, times mean w.

    The best constant is the weighted mean of the labels. None where the loss is none of the library's, or where all
    weights or all labels are such that nothing is to be learnt.
    """
    Y = np.asarray(Y, np.float64)
    weight = np.ones(Y.shape[1]) if sample_weight is None else np.asarray(sample_weight, np.float64)
    p = (Y * weight).sum(axis=1) / weight.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        if loss == binary_cross_entropy:
            terms = np.nan_to_num(p * np.log(p)) + np.nan_to_num((1 - p) * np.log(1 - p))
        elif loss == softmax_cross_entropy:
            terms = np.nan_to_num(p * np.log(p / p.sum()))
        elif loss == squared_error:
            terms = -((Y - p[:, None]) ** 2 * weight).sum(axis=1) / weight.sum() / 2
        else:
            return None
    cost = -float(terms.sum() * weight.mean())
    return cost if cost > 0 else None


def entropy(
    costs: Sequence[float] | np.ndarray, constant: float, penalty: float = 0.0, first_step: int = 0
) -> Symptom | None:
    """The cost stands, in the second half of the run, at that of the best constant answer or above it.

    Where the training accuracy is known, ask whether it is that of guessing too. `penalty` is the part of the costs
    that is the L2 penalty.
    """
    costs = np.asarray(costs, float) - penalty
    n = len(costs)
    if n < FEWEST:
        return None
    before, end = float(np.mean(costs[n // 2 : -(n // 4)])), float(np.mean(costs[-(n // 4) :]))
    if not end >= (1 - SAME) * constant or not abs(before - end) <= SAME * constant:
        return None
    size = max(1, n // 100)
    means = costs[: n // size * size].reshape(-1, size).mean(axis=1)
    elsewhere = np.flatnonzero(np.abs(means - end) > 2 * SAME * constant)
    since = int(elsewhere[-1] + 1) * size if len(elsewhere) else 0
    return Symptom("entropy", end, constant, step=first_step + since)


def falling(costs: Sequence[float] | np.ndarray, scale: float | None = None) -> Symptom | None:
    """The cost is above `LEFT` of `scale`, and in the last tenth of the run `STEEP` below the tenth before it.

    `scale` is the cost of the best constant answer; by default the first cost.
    """
    costs = np.asarray(costs, float)
    n = len(costs)
    if n < FEWEST:
        return None
    tenth = n // 10
    before, end = float(np.mean(costs[-2 * tenth : -tenth])), float(np.mean(costs[-tenth:]))
    # Of the differences of neighbours, whose trend is small beside their scatter where there is one.
    scatter = float(np.std(np.diff(costs[-2 * tenth :]))) / np.sqrt(tenth)
    is_noise = before - end <= ERRORS * scatter
    if is_noise or end < LEFT * (costs[0] if scale is None else scale) or before - end < STEEP * before:
        return None
    return Symptom("falling", end, before, step=n)


def is_at(cost: float, constant: float) -> bool:
    """Whether a cost, without its penalty, is that of the best constant answer."""
    return abs(cost - constant) <= SAME * constant
