"""The diagnosis of a run: at its end, and on its way, where it is too late afterwards."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import numpy as np

from ..data import targets
from ..diagnosis import (
    Accuracy,
    Diagnosis,
    Evidence,
    Setup,
    Symptom,
    compared_with_guessing,
    constant_cost,
    dead,
    diagnosis_of,
    is_at,
    is_suspect,
    rose,
    vanishing,
    wilson_interval,
    with_remedies,
)
from ..feedback import backprop
from ..parameters import layer_dims
from ..regularization import l2_cost
from ..signals import root_mean_square, signal_sizes
from ..types import Parameters
from .evaluation import SIGNALS_SAMPLE, sample, sample_size
from .history import History, Row
from .regression import test_fit
from .run import Run
from .settings import Settings


OUTLINED = 16  # pixels of a side, from which images have outlines to look at
IN_SUCCESSION = 2  # rows of the history that have to agree before there is a warning on the way
_signal_sizes = jax.jit(signal_sizes)


def setup_of(settings: Settings, steps: int | None = None, input_shape: tuple[int, ...] = ()) -> Setup:
    """What a run with these settings, of so many steps and for examples of this shape, was made with."""
    outlined = len(input_shape) > 1 and min(input_shape[:2]) >= OUTLINED
    return Setup(
        learning_rate=settings.first_rate,
        optimizer=settings.optimizer,
        schedule=settings.schedule,
        init=settings.init if settings.init_from is None else None,
        hidden=settings.hidden,
        standardise=settings.standardise if settings.init_from is None else None,
        keep_prob=settings.keep_prob if settings.layers else None,
        lambd=settings.lambd,
        weight_decay=settings.weight_decay,
        early_stopping=settings.early_stopping is not None,
        class_weight=settings.class_weight is not None,
        num_iterations=settings.num_iterations or steps,
        epochs=settings.epochs,
        features=settings.features is not None if outlined else None,
        augment=settings.augment if outlined else None,
    )


def row_symptoms(
    columns: Mapping[str, np.ndarray], setup: Setup, first_cost: float | None = None, rows: int = 1
) -> tuple[Symptom, ...]:
    """What the columns of a history show by themselves, for at least so many rows: a cost that rose, dead units."""
    steps, costs = columns["iteration"], columns["cost"]
    if first_cost is not None:
        steps, costs = np.append(0, steps), np.append(first_cost, costs)
    shares = [columns[name] for name in columns if name.startswith("dead_share_")]
    found = rose(costs, steps, rows), dead(np.stack(shares, axis=1), columns["iteration"], rows) if shares else None
    return with_remedies([symptom for symptom in found if symptom is not None], setup)


class Watch:
    """Looks at a run, of which nothing is changed or measured that a healthy one would have to wait for."""

    def __init__(self, run: Run):
        self._run = run
        self._said: set[str] = set()
        self._setup = setup_of(run.settings, run.num_iterations, run.dataset.input_shape)

    def new_symptoms(self, history: History) -> tuple[Symptom, ...]:
        """What has been wrong since the last rows, and was not returned before: it is too late for it at the end."""
        found = row_symptoms(history.columns(), self._setup, history.costs[0], IN_SUCCESSION)
        if all(symptom.code != "dead" for symptom in found):  # which would be the reason
            found += self._vanishing(history)
        new = tuple(symptom for symptom in found if symptom.code not in self._said)
        self._said |= {symptom.code for symptom in new}
        return new

    def diagnosis(self, history: History, parameters: Parameters, outputs: np.ndarray) -> Diagnosis:
        """All that is wrong at the end: `parameters` are those kept, `outputs` the test examples' probabilities."""
        run = self._run
        rows = history.rows[: history.best_row() + 1] if history.best_parameters is not None else history.rows
        last = rows[-1]
        if run.dataset.classes:
            scores = self._accuracies(last, outputs.argmax(axis=0))
        else:
            scores = {"has_classes": False, "r2": (last.train_accuracy, test_fit(run, outputs).r2)}
        seen = Evidence(
            history.costs[: last.iteration],
            constant=self._constant,
            penalty=self._penalty(parameters),
            dead_shares=np.array([row.dead_shares for row in rows]),
            dead_steps=[row.iteration for row in rows],
            has_weights=run.by_class is not None,
            can_improve=self._can_improve(rows),
            is_suspect=is_suspect(last.gradient_norms),
            measured=(lambda: self._measured(parameters)) if self._can_vanish else None,
        )
        return diagnosis_of(seen._replace(**scores), self._setup)

    def _accuracies(self, last: Row, predicted: np.ndarray) -> dict[str, Any]:
        """The accuracies beside guessing; `predicted` are the classes of the test examples."""
        run, test = self._run, self._run.dataset.test.labels
        counts = np.bincount(run.train.labels, minlength=len(run.dataset.classes))
        m = sample_size(run.train, run.watched, run.dtype)  # so many are measured
        measured = np.bincount(sample(run.train, m).labels, minlength=len(counts))
        found = {
            "trained": Accuracy(
                last.train_accuracy, float(measured.max() / m), *wilson_interval(last.train_accuracy * m, m)
            ),
            "tested": compared_with_guessing(predicted, test, counts),
        }
        if run.by_class is not None:
            found["weighted"] = compared_with_guessing(predicted, test, counts, run.by_class)
        return found

    def _can_improve(self, rows: list[Row]) -> bool:
        """Whether more steps may be of use to the watched examples: their cost is the smallest so far."""
        return self._run.settings.early_stopping is None and rows[-1].watched_cost <= min(r.watched_cost for r in rows)

    @cached_property
    def _constant(self) -> float | None:
        run = self._run
        weight = None if run.by_class is None else run.by_class[run.train.labels]
        return constant_cost(targets(run.train.labels, run.dataset.classes), run.network.loss, weight)

    def _penalty(self, parameters: Parameters) -> float:
        lambd = self._run.settings.lambd
        return float(l2_cost(parameters, lambd, len(self._run.train.labels))) if lambd else 0.0

    @property
    def _can_vanish(self) -> bool:
        return self._run.network.feedback == backprop and bool(self._run.settings.layers)

    def _vanishing(self, history: History) -> tuple[Symptom, ...]:
        """Errors that vanish: measured where the last rows make it likely."""
        rows = history.rows[-IN_SUCCESSION:]
        if len(rows) < IN_SUCCESSION or not self._can_vanish or "vanishing" in self._said or history.state is None:
            return ()
        parameters = history.state.parameters
        penalty = self._penalty(parameters)
        stands = self._constant is not None and all(is_at(row.cost - penalty, self._constant) for row in rows)
        if not stands and not all(is_suspect(row.gradient_norms) for row in rows):
            return ()
        found = self._measured(self._run.basis.expand(parameters))
        return () if found is None else (found,)

    def _measured(self, parameters: Parameters) -> Symptom | None:
        run = self._run
        some = sample(run.train, SIGNALS_SAMPLE)
        X = run.all_columns(some.rows[:], run.dtype)
        Y = targets(some.labels, run.dataset.classes, run.dtype)
        sizes = jax.device_get(_signal_sizes(X, Y, parameters, run.network.by_backprop))
        return vanishing(sizes, float(root_mean_square(X)), layer_dims(parameters), run.network, self._setup)
