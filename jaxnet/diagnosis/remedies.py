"""What to try against a symptom: not what the run had already."""

import math
from collections.abc import Sequence

from .symptoms import Remedy, Setup, Symptom


IMBALANCED = 0.7  # the share of a class from which weights may make the others count


def with_remedies(symptoms: Sequence[Symptom], setup: Setup) -> tuple[Symptom, ...]:
    """The symptoms with what to try; that which explains others has the remedies, and those others none."""
    codes = {symptom.code for symptom in symptoms}
    causes = codes & {"rose", "dead", "vanishing"}
    kept = []
    for symptom in symptoms:
        is_explained = (symptom.code in ("guessing", "mean") and len(codes) > 1) or (
            symptom.code in ("entropy", "constant") and causes
        )
        remedies = () if is_explained else symptom.remedies or _remedies(symptom, setup)
        kept.append(symptom._replace(remedies=remedies))
    return tuple(kept)


def lower_rate(setup: Setup) -> Remedy:
    """A tenth of the learning rate, as a round number where it is known."""
    return Remedy("smaller_rate") if setup.learning_rate is None else _rate(setup.learning_rate / 10)


def _rate(rate: float) -> Remedy:
    """The nearest of 1, 2 and 5 times a power of ten."""
    decade = 10.0 ** math.floor(math.log10(rate))
    nearest = min((1, 2, 5, 10), key=lambda digit: abs(math.log(digit * decade / rate)))
    return Remedy("learning_rate", float(f"{nearest * decade:.0e}"))


def _remedies(symptom: Symptom, setup: Setup) -> tuple[Remedy, ...]:
    standardise = [Remedy("standardise", True)] if setup.standardise is False else []
    match symptom.code:
        case "rose":
            return (lower_rate(setup),)
        case "dead":
            return (lower_rate(setup), *standardise)
        case "vanishing":  # which has its own, as they depend on the network
            return ()
        case "entropy" | "constant":
            return _to_move(setup, standardise)
        case "overfitting":
            return _against_overfitting(setup)
        case "falling":
            return _more_steps(setup)
        case "mean":
            return (Remedy("examples"),)
        case "guessing":
            balance = symptom.reference >= IMBALANCED and setup.class_weight is False
            if balance:
                return (Remedy("class_weight", "balanced"),)
            features = [Remedy("features", "hog")] if setup.features is False else []
            return (*features, Remedy("examples"))


def _to_move(setup: Setup, standardise: list[Remedy]) -> tuple[Remedy, ...]:
    """Where signals arrive and nothing is learnt, steps are too small, or the inputs far from 0."""
    rate = Remedy("larger_rate") if setup.learning_rate is None else _rate(setup.learning_rate * 10)
    adam = Remedy("optimizer", "adamw" if setup.weight_decay else "adam")  # adam has no decay of its own
    others = [adam] if setup.optimizer in ("sgd", "momentum") else []
    return tuple([*standardise, *others, rate][:2])


def _against_overfitting(setup: Setup) -> tuple[Remedy, ...]:
    """The first two that the run did not have, and more examples, which always help."""
    untried = [
        (setup.features is False, Remedy("features", "hog")),
        (setup.augment is False, Remedy("augment", True)),
        (setup.early_stopping is False, Remedy("early_stopping", 5)),
        (setup.keep_prob == 1, Remedy("keep_prob", 0.5)),
        (setup.lambd == 0 and not setup.weight_decay, Remedy("lambd", 1)),
    ]
    return (*[remedy for is_untried, remedy in untried if is_untried][:2], Remedy("examples"))


def _more_steps(setup: Setup) -> tuple[Remedy, ...]:
    """Twice as many, going on from here unless every rate depends on their number."""
    prefix = "" if setup.schedule == "cosine" else "more_"
    if setup.epochs is not None:
        return (Remedy(f"{prefix}epochs", 2 * setup.epochs),)
    if setup.num_iterations is not None:
        return (Remedy(f"{prefix}num_iterations", 2 * setup.num_iterations),)
    return (Remedy("longer"),)
