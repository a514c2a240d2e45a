"""Symptoms in words: what was found in the same words everywhere, and what to try in those of the command or of Python.

Only what shows a diagnosis calls this; nothing is ever decided by the words.
"""

from collections.abc import Callable
from typing import TypeAlias

from .symptoms import Accuracy, Remedy, Symptom


Dialect: TypeAlias = Callable[[Remedy], str]
NAMED = {
    "smaller_rate": "a learning rate ten times smaller",
    "larger_rate": "a learning rate ten times larger",
    "examples": "more examples",
    "longer": "more steps",
    "shallower": "fewer layers",
}
IN_PYTHON = {
    "learning_rate": "a learning rate of {}",
    "standardise": "standardised inputs",
    "init": 'init="{}"',
    "hidden": 'Network(hidden="{}")',
    "class_weight": 'class_weight="{}"',
    "optimizer": "optax.{}",
    "more_num_iterations": "num_iterations={} from trained.state",
}


def command(remedy: Remedy) -> str:
    """A remedy as options of the command line."""
    setting, value = remedy
    if setting in NAMED:
        return NAMED[setting]
    resume = "--resume " if setting.startswith("more_") else ""
    option = f"{resume}--{setting.removeprefix('more_').replace('_', '-')}"
    return option if value is True else f"{option} {value}"


def python(remedy: Remedy) -> str:
    """A remedy as arguments of the library's functions."""
    setting, value = remedy
    return NAMED[setting] if setting in NAMED else IN_PYTHON.get(setting, f"{setting}={{}}").format(value)


def symptom_line(symptom: Symptom, dialect: Dialect) -> str:
    """What is wrong, and what to try."""
    if not symptom.remedies:
        return symptom_text(symptom)
    *others, last = map(dialect, symptom.remedies)
    tried = f"{', '.join(others)}{',' * (len(others) > 1)} or {last}" if others else last
    return f"{symptom_text(symptom)}: try {tried}"


def tested_text(tested: Accuracy) -> str:
    """The accuracy beside guessing."""
    is_above = "cannot be told from" if tested.is_guessing else "is above"
    if tested.high < tested.guessing:
        is_above = "is below"
    digits = 2 if tested.high - tested.low > 0.02 else 3
    interval = f"95 % interval {tested.low:.{digits}f} to {tested.high:.{digits}f}"
    interval += ", weighted by class" if tested.is_weighted else ""
    return f"test {tested.value:.3f} {is_above} guessing, {tested.guessing:.3f} ({interval})"


def symptom_text(symptom: Symptom) -> str:
    """What is wrong."""
    code, value, reference, layer, step, interval, _, is_weighted = symptom
    match code:
        case "guessing":
            return tested_text(Accuracy(value, reference, *(interval or (0.0, 1.0)), is_weighted))
        case "mean":
            return f"test R² {value:.3f} is no better than always predicting the mean of the labels"
        case "rose":
            return f"the cost rose from {reference:.3g} to {value:.3g}, at step {step}"
        case "dead":
            return f"{100 * value:.0f} % of layer {layer} is dead {_since(step)}".rstrip()
        case "vanishing":
            return f"the error vanishes on its way back: {value / reference:.1e} of it reaches layer 1"
        case "entropy":
            stands = f"the cost stands at {value:.4g} {_since(step)}"
            return f"{stands}: nothing is learnt but how frequent the classes are, whose entropy is {reference:.4g}"
        case "constant":
            stands = f"the cost stands at {value:.4g} {_since(step)}"
            return f"{stands}: nothing is learnt but the mean of the labels, which costs {reference:.4g}"
        case "overfitting":
            return f"train {reference:.3f} is far above test {value:.3f}, which is overfitting"
        case "falling":
            return f"the cost still falls: from {reference:.3g} to {value:.3g} in the last tenth of the run"


def _since(step: int | None) -> str:
    return "" if step is None else f"since step {step}" if step else "from the start"
