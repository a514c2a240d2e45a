"""What the page of a regression has in the place of classes: predicted against true values, and the largest errors."""

from typing import Any

import numpy as np

from . import figures
from .metrics import fit_of
from .record import Record


MOST_OUTPUTS = 6  # that are drawn
MOST_ERRORS = 60  # that are listed
MOST_POINTS = 2000  # of a scatter
PHOTOGRAPH = 96  # pixels, the larger side


def regression_sections(record: Record) -> dict[str, Any]:
    """The headline and the sections of the page, for the examples whose predictions are finite."""
    places = np.flatnonzero(np.isfinite(record.probabilities).all(axis=0))
    labels, predicted = np.asarray(record.labels, float)[places], np.asarray(record.probabilities, float).T[places]
    fits = [fit_of(labels[:, k], predicted[:, k]) for k in range(len(record.outputs))]
    return {
        "headline": _headline(record, [fit._asdict() for fit in fits]),
        "unjudged": len(record.labels) - len(places),
        "fits": list(zip(record.outputs, fits, strict=True)),
        "agreement": [_drawn(name, labels[:, k], predicted[:, k]) for k, name in enumerate(record.outputs)][
            :MOST_OUTPUTS
        ],
        "errors": _errors(record, places, labels, predicted),
    }


def number(value: float, digits: int = 4) -> str:
    """A few digits; a dash for NaN."""
    if np.isnan(value):
        return "–"
    return f"{value:.{digits}g}" if np.isfinite(value) else "∞"


def _headline(record: Record, fits: list[dict[str, float]]) -> list[dict[str, str]]:
    test = "" if record.costs is None else "test "
    average, one = {name: float(np.mean([fit[name] for fit in fits])) for name in fits[0]}, len(fits) == 1
    of_all = "" if one else f", mean over {len(fits)} outputs"
    cards = [
        {
            "label": f"{test}R²",
            "value": number(average["r2"], 3),
            "note": f"share of the labels' variance that is explained{of_all}; always predicting their mean has 0",
        }
    ]
    if one:
        note = f"root of the mean square error in {record.outputs[0]}; always predicting the mean has {{}}"
        cards.append(
            {"label": f"{test}RMSE", "value": number(fits[0]["rmse"]), "note": note.format(number(fits[0]["spread"]))}
        )
        note = "mean of |predicted − true|"
        cards.append({"label": "mean absolute error", "value": number(fits[0]["mean_absolute_error"]), "note": note})
    if record.costs is None:
        return cards
    steps = len(record.costs)
    note = (
        f"at the last of {steps:,} steps: half the squared error of the standardised labels; always predicting their "
        "mean has 0.5 per label"
    )
    value = number(float(record.costs[-1]) if steps else float("nan"))
    return [*cards, {"label": "training cost", "value": value, "note": note}]


def _drawn(name: str, labels: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """The figures of an output; of many examples as many as can be told apart, evenly spaced in the labels' order."""
    if not len(labels):
        return {"name": name, "scatter": None, "residuals": None}
    order = np.argsort(labels, kind="stable")
    some = order[np.linspace(0, len(labels) - 1, min(len(labels), MOST_POINTS)).astype(int)]
    return {
        "name": name,
        "scatter": figures.draw_agreement("predicted against true values", labels[some], predicted[some]),
        "residuals": figures.draw_histogram("errors", predicted - labels, "predicted - true"),
    }


def _errors(record: Record, places: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> list[dict[str, Any]]:
    """The largest errors, each over the standard deviation of its output's labels."""
    if not len(labels):
        return []
    spread = np.std(labels, axis=0)
    size = np.abs(predicted - labels) / np.where(spread > 0, spread, 1)
    rows = []
    for i in np.argsort(-size.max(axis=1), kind="stable")[:MOST_ERRORS]:
        place, k = int(places[i]), int(size[i].argmax())
        rows.append(
            {
                "name": record.names[place] if record.names else f"test example {place + 1}",
                "output": record.outputs[k],
                "predicted": float(predicted[i, k]),
                "actual": float(labels[i, k]),
                "image": None if record.images is None else figures.data_uri(record.images[place], PHOTOGRAPH),
            }
        )
    return rows
