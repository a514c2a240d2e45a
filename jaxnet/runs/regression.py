"""How good the values that a regression predicts are, as a value."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..text import printable
from .report.metrics import Fit, fit_of
from .run import Run


class RegressionEvaluation(NamedTuple):
    """The values that a regression predicted for labelled examples, and how far they are off.

    Measures over several outputs are their mean, as scikit-learn's `uniform_average`; `fits` has each by itself.

    Args:
        examples: What it was evaluated on, in words.
        outputs: The names of what is predicted.
        targets: `(n_L, m)`, the labels, a column for each example.
        predicted: `(n_L, m)`.

    Example:
        >>> evaluation = jaxnet.RegressionEvaluation("flats", ("price",), np.array([[1.0, 3]]), np.array([[1.0, 2]]))
        >>> round(evaluation.r2, 2), evaluation.mean_absolute_error
        (0.5, 0.5)
    """

    examples: str
    outputs: tuple[str, ...]
    targets: Float[np.ndarray, "n_L m"]
    predicted: Float[np.ndarray, "n_L m"]

    @property
    def fits(self) -> dict[str, Fit]:
        """For each output R^2, RMSE, the mean absolute error, and the RMSE of always predicting the mean, `spread`."""
        return {
            name: fit_of(labels, predicted)
            for name, labels, predicted in zip(self.outputs, self.targets, self.predicted, strict=True)
        }

    @property
    def r2(self) -> float:
        """1 - (mean squared error) / (variance of the targets); NaN where an output's targets do not vary."""
        return float(np.mean([fit.r2 for fit in self.fits.values()]))

    @property
    def rmse(self) -> float:
        """The root of the mean squared error, in the units of the targets."""
        return float(np.mean([fit.rmse for fit in self.fits.values()]))

    @property
    def mean_absolute_error(self) -> float:
        """The mean of |predicted - target|, in the units of the targets."""
        return float(np.mean([fit.mean_absolute_error for fit in self.fits.values()]))

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it; what is not a finite number is None."""
        measures = {name: getattr(self, name) for name in ("r2", "rmse", "mean_absolute_error")}
        return {
            "examples": self.examples,
            "count": self.targets.shape[1],
            **_finite(measures),
            "outputs": {name: _finite(fit._asdict()) for name, fit in self.fits.items()},
        }

    def __str__(self) -> str:
        width = max(8, *map(len, self.outputs))
        lines = [f"{'examples':<{width}}  {self.examples}"]
        if len(self.outputs) > 1:
            lines.append(f"{'R^2':<{width}}  {self.r2:.4f}, mean over {len(self.outputs)} outputs")
        lines += [
            f"{name:<{width}}  R^2 {fit.r2:.4f}; RMSE {fit.rmse:.4g}, always predicting the mean: {fit.spread:.4g}; "
            f"mean absolute error {fit.mean_absolute_error:.4g}"
            for name, fit in self.fits.items()
        ]
        return "\n".join(map(printable, lines))


def test_fit(run: Run, outputs: Float[np.ndarray, "n_L m"]) -> RegressionEvaluation:
    """How good a run's outputs for its test examples are."""
    test = run.dataset.test
    return RegressionEvaluation("its test examples", run.outputs, test.labels.T, outputs.astype(float))


def _finite(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in numbers.items()}
