"""From a record to the page: what each section of the template is given."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jinja2
import numpy as np

from . import figures
from .metrics import (
    MOST_CLASSES,
    Roc,
    confusion_matrix,
    cross_entropy,
    macro_average,
    mean_area,
    most_confused,
    reliability,
    roc_curve,
    wilson_interval,
)
from .record import Record
from .regression import number, regression_sections


MOST_MISTAKES = 60
MOST_UNITS = 100
MOST_CURVES = 6
PHOTOGRAPH, WEIGHTS = 96, 32  # pixels, the larger side
LONGEST_ROW = 1024  # of a heat map of W1


class Judged(NamedTuple):
    """The predictions that can be judged: examples whose probabilities are all finite."""

    places: np.ndarray  # among all test examples
    labels: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray

    @property
    def right(self) -> int:
        return int(np.count_nonzero(self.predicted == self.labels))


def render(record: Record) -> str:
    """The page. A section whose data are missing says so, or is left out."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxnet.runs.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": number, "setting": _setting}
    template = environment.get_template("page.html.jinja")
    if not record.classes:
        sections = _training(record) | regression_sections(record)
        return template.render(record=record, trained=record.costs is not None, weights=_weights(record), **sections)
    judged = _judge(record)
    rocs = _rocs(judged, len(record.classes))
    sections = _training(record) | _classes(record, judged, rocs) | _probabilities(record, judged, rocs)
    return template.render(
        record=record,
        judged=judged,
        headline=_headline(record, judged, rocs),
        trained=record.costs is not None,
        unjudged=len(record.labels) - len(judged.labels),
        mistakes=_mistakes(record, judged),
        weights=_weights(record),
        **sections,
    )


def _judge(record: Record) -> Judged:
    places = np.flatnonzero(np.isfinite(record.probabilities).all(axis=0))
    probabilities = np.asarray(record.probabilities, float)[:, places]
    return Judged(places, np.asarray(record.labels, int)[places], probabilities, probabilities.argmax(axis=0))


def _rocs(judged: Judged, classes: int) -> list[Roc | None]:
    """One for each class, against the rest."""
    return [roc_curve(judged.labels == j, judged.probabilities[j]) for j in range(classes)]


def _headline(record: Record, judged: Judged, rocs: list[Roc | None]) -> list[dict[str, str]]:
    m = len(record.labels)
    low, high = wilson_interval(judged.right, m)
    counts = np.bincount(np.asarray(record.labels, int), minlength=1)
    training, test = [], ""
    if record.costs is not None:
        steps, test = len(record.costs), "test "
        training = [
            {
                "label": "training cost",
                "value": number(record.costs[-1] if steps else float("nan")),
                "note": f"at the last of {steps:,} steps",
            }
        ]
    return [
        {
            "label": f"{test}accuracy",
            "value": _percent(judged.right / m if m else float("nan")),
            "note": f"{judged.right} of {m}; 95 % interval {_percent(low)} to {_percent(high)}",
        },
        {
            "label": "baseline",
            "value": _percent(counts.max() / m if m else float("nan")),
            "note": f"accuracy of always guessing the most frequent class of the {test}examples",
        },
        {
            "label": f"{test}cost",
            "value": number(cross_entropy(judged.probabilities, judged.labels)),
            "note": "cross-entropy, the mean of −log p of the true class",
        },
        *training,
        {
            "label": "AUC",
            "value": number(mean_area(rocs), 3),
            "note": "area under the ROC curve" + (", mean over the classes" if len(rocs) > 2 else ""),
        },
    ]


def _training(record: Record) -> dict[str, Any]:
    if record.costs is None:
        return {}
    history, watched = record.history, record.watched
    iteration = history.get("iteration", np.zeros(0))

    def lines(*columns: tuple[str, str]) -> list[figures.Line]:
        return [figures.Line(label, iteration, history[name]) for label, name in columns if name in history]

    def of_layers(name: str) -> list[figures.Line]:
        layers = [l for l in range(1, len(history) + 1) if f"{name}_{l}" in history]
        return lines(*((f"layer {l}", f"{name}_{l}") for l in layers))

    every_step = figures.Line("training, every step", np.arange(len(record.costs)), np.asarray(record.costs))
    cost = [every_step, *lines((watched, "watched_cost"))]
    score, shown = ("accuracy", _percent) if record.classes else ("r2", number)
    accuracy = lines(("training", f"train_{score}"), (watched, f"watched_{score}"))
    accuracy = [line._replace(label=_with_last(line, shown)) for line in accuracy]
    x, norm = "iteration", "norm of the gradient"
    sentence, _, table = record.check.rpartition("\n\n")
    return {
        "check": {"sentence": sentence, "table": table},
        "cost": figures.draw_lines("cost of every iteration", cost, x, "cost", log=True),
        "accuracy": figures.draw_lines(f"{score} over the iterations", accuracy, x, score.replace("r2", "R²")),
        "norms": figures.draw_lines("gradient norms by layer", of_layers("gradient_norm"), x, norm, log=True),
        "dead": figures.draw_lines(
            "share of dead units by layer", of_layers("dead_share"), x, "share of dead units", ylim=(-0.02, 1.02)
        ),
    }


def _with_last(line: figures.Line, shown: Callable[[float], str]) -> str:
    return f"{line.label}, at the end {shown(line.y[-1])}" if len(line.y) else line.label


def _classes(record: Record, judged: Judged, rocs: list[Roc | None]) -> dict[str, Any]:
    """The confusion of few classes as a matrix, of many as a list of pairs; and each class by itself."""
    names = record.classes
    confusion = confusion_matrix(judged.labels, judged.predicted, len(names))
    true, called, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.nan_to_num(confusion / true[:, None])
        recall, precision = right / true, right / called
    table = [
        {
            "name": name,
            "count": int(true[j]),
            "recall": float(recall[j]),
            "precision": float(precision[j]),
            "area": roc.area if (roc := rocs[j]) else float("nan"),
        }
        for j, name in enumerate(names)
    ]
    few = len(names) <= MOST_CLASSES
    pairs = [(names[i], names[j], count, shares[i, j]) for i, j, count in most_confused(confusion, MOST_CLASSES)]
    worst = sorted((row for row in table if row["count"]), key=lambda row: row["recall"])[:MOST_CLASSES]
    return {
        "confusion": [(name, confusion[i].tolist(), shares[i].tolist()) for i, name in enumerate(names)]
        if few
        else None,
        "pairs": pairs,
        "class_table": table if few else worst,
    }


def _probabilities(record: Record, judged: Judged, rocs: list[Roc | None]) -> dict[str, Any]:
    names = record.classes
    named = [(name, roc) for name, roc in zip(names, rocs, strict=True) if roc is not None]
    if len(rocs) == 2:
        named = named[1:]
    curves = sorted(named, key=lambda pair: pair[1].area)[:MOST_CURVES]
    labelled = [(f"{name}, AUC {number(roc.area, 3)}", roc) for name, roc in curves]
    if len(named) > 1:
        average = (f"macro average, AUC {number(mean_area(rocs), 3)}", macro_average([roc for _, roc in named]))
        labelled = [average, *labelled]
    bins = reliability(judged.probabilities, judged.labels) if len(judged.labels) else None
    return {
        "roc": figures.draw_roc("receiver operating characteristic", labelled) if labelled else None,
        "curves_left_out": len(named) - len(curves),
        "calibration": figures.draw_reliability("reliability diagram", bins) if bins else None,
        "calibration_error": bins.expected_calibration_error if bins else float("nan"),
    }


def _mistakes(record: Record, judged: Judged) -> list[dict[str, Any]]:
    """The wrong predictions, those of the highest probability first."""
    said = judged.probabilities.max(axis=0, initial=0)
    wrong = np.flatnonzero(judged.predicted != judged.labels)
    rows = []
    for i in wrong[np.argsort(-said[wrong], kind="stable")][:MOST_MISTAKES]:
        place = int(judged.places[i])
        rows.append(
            {
                "name": record.names[place] if record.names else f"test example {place + 1}",
                "predicted": record.classes[judged.predicted[i]],
                "actual": record.classes[judged.labels[i]],
                "probability": float(said[i]),
                "image": None if record.images is None else figures.data_uri(record.images[place], PHOTOGRAPH),
            }
        )
    return rows


def _weights(record: Record) -> dict[str, Any]:
    """Rows of W1 as images, or, where the inputs are not images, W1 as one; nothing where that has too many columns."""
    W1, shape = np.asarray(record.W1, float), record.input_shape
    norms = np.linalg.norm(W1, axis=1)
    units = np.argsort(-np.nan_to_num(norms), kind="stable")[:MOST_UNITS]
    if len(shape) == 1:
        if shape[0] > LONGEST_ROW:
            return {}
        return {"matrix": figures.data_uri(figures.weights_as_image(W1[units]), LONGEST_ROW), "units": []}

    def drawn(w: np.ndarray) -> str:
        # Averaged before they are scaled: so the means of the blocks use all of the colours.
        return figures.data_uri(figures.weights_as_image(figures.shrunk(w.reshape(shape), WEIGHTS)), WEIGHTS)

    block = figures.block_side(shape, WEIGHTS)
    shown = [{"unit": int(j) + 1, "norm": float(norms[j]), "image": drawn(W1[j])} for j in units]
    return {"matrix": None, "units": shown, "averaged": block if block > 1 else None}


def _setting(value: Any) -> str:
    """As it would be typed, except that nothing is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join("=".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in value) or "none"
    return str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "–"
