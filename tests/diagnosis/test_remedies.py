"""What is advised, in the words of the command and of Python, and what is not, as it was tried already."""

from dataclasses import replace

import pytest

from jaxnet.diagnosis import Remedy, Setup, Symptom, command, python, symptom_line, with_remedies


COURSE = Setup(
    learning_rate=0.0075,
    optimizer="sgd",
    schedule="constant",
    init="he",
    hidden="relu",
    standardise=False,
    keep_prob=1.0,
    lambd=0.0,
    early_stopping=False,
    class_weight=False,
    num_iterations=2500,
)
ADAM = Setup(learning_rate=0.001, optimizer="adam", schedule="cosine", standardise=True, keep_prob=0.5, epochs=60)
PHOTOS = replace(COURSE, features=False, augment=False)
GUESSING = Symptom("guessing", 0.55, 0.5, interval=(0.481, 0.617))
IMBALANCED = Symptom("guessing", 0.95, 0.95, interval=(0.93, 0.96))
ROSE = Symptom("rose", 412.0, 0.693, step=30)
DEAD = Symptom("dead", 0.855, 1.0, layer=1, step=300)
GONE = Symptom("vanishing", 2.6e-7, 1.0, layer=1, remedies=(Remedy("init", "he"),))
ENTROPY = Symptom("entropy", 0.644, 0.644, step=400)
CONSTANT = Symptom("constant", 0.5, 0.5, step=0)
LABELS = "nothing is learnt but how frequent the classes are, whose entropy is 0.644"
MEAN = "nothing is learnt but the mean of the labels, which costs 0.5"
OVERFITTING = Symptom("overfitting", 0.604, 1.0, interval=(0.56, 0.65))
FALLING = Symptom("falling", 0.87, 0.94, step=2500)


@pytest.mark.parametrize(
    "symptom, setup, tried",
    [
        (GUESSING, COURSE, "more examples"),
        (IMBALANCED, COURSE, "--class-weight balanced"),
        (IMBALANCED, Setup(class_weight=True), "more examples"),
        (ROSE, COURSE, "--learning-rate 0.001"),
        (ROSE, Setup(learning_rate=0.3), "--learning-rate 0.02"),
        (DEAD, COURSE, "--learning-rate 0.001 or --standardise"),
        (DEAD, ADAM, "--learning-rate 0.0001"),
        (DEAD, Setup(), "a learning rate ten times smaller"),
        (GONE, COURSE, "--init he"),
        (ENTROPY, COURSE, "--standardise or --optimizer adam"),
        (ENTROPY, ADAM, "--learning-rate 0.01"),
        (CONSTANT, Setup(), "a learning rate ten times larger"),
        (OVERFITTING, COURSE, "--early-stopping 5, --keep-prob 0.5, or more examples"),
        (OVERFITTING, Setup(early_stopping=True, keep_prob=0.5, lambd=0.0), "--lambd 1 or more examples"),
        (OVERFITTING, Setup(early_stopping=True, keep_prob=0.5, lambd=0.0, weight_decay=0.01), "more examples"),
        (OVERFITTING, PHOTOS, "--features hog, --augment, or more examples"),
        (OVERFITTING, replace(PHOTOS, features=True), "--augment, --early-stopping 5, or more examples"),
        (GUESSING, PHOTOS, "--features hog or more examples"),
        (FALLING, COURSE, "--resume --num-iterations 5000"),
        (FALLING, ADAM, "--epochs 120"),
        (FALLING, Setup(epochs=60, schedule="step"), "--resume --epochs 120"),
        (FALLING, Setup(), "more steps"),
    ],
)
def test_what_is_advised_on_the_command_line(symptom, setup, tried):
    [found] = with_remedies([symptom], setup)
    assert symptom_line(found, command).partition(": try ")[2] == tried


@pytest.mark.parametrize(
    "symptoms, advised",
    [
        ([GUESSING, DEAD, OVERFITTING], ["dead", "overfitting"]),
        ([GUESSING, ROSE, DEAD, ENTROPY], ["rose", "dead"]),
        ([GUESSING, GONE, ENTROPY], ["vanishing"]),
        ([GUESSING, ENTROPY], ["entropy"]),
        ([], []),
    ],
)
def test_a_cause_has_the_advice_and_what_it_explains_has_none(symptoms, advised):
    found = with_remedies(symptoms, COURSE)
    assert [symptom.code for symptom in found] == [symptom.code for symptom in symptoms]
    assert [symptom.code for symptom in found if symptom.remedies] == advised


@pytest.mark.parametrize(
    "symptom, text",
    [
        (GUESSING, "test 0.550 cannot be told from guessing, 0.500 (95 % interval 0.48 to 0.62)"),
        (GUESSING._replace(interval=(0.3, 0.4)), "test 0.550 is below guessing, 0.500 (95 % interval 0.30 to 0.40)"),
        (ROSE, "the cost rose from 0.693 to 412, at step 30"),
        (DEAD, "86 % of layer 1 is dead since step 300"),
        (DEAD._replace(step=None), "86 % of layer 1 is dead"),
        (GONE._replace(remedies=()), "the error vanishes on its way back: 2.6e-07 of it reaches layer 1"),
        (ENTROPY, f"the cost stands at 0.644 since step 400: {LABELS}"),
        (CONSTANT, f"the cost stands at 0.5 from the start: {MEAN}"),
        (OVERFITTING, "train 1.000 is far above test 0.604, which is overfitting"),
        (FALLING, "the cost still falls: from 0.94 to 0.87 in the last tenth of the run"),
    ],
)
def test_what_is_wrong_in_words(symptom, text):
    assert symptom_line(symptom, command) == text


@pytest.mark.parametrize(
    "remedy, text",
    [
        (Remedy("keep_prob", 0.5), "keep_prob=0.5"),
        (Remedy("init", "he"), 'init="he"'),
        (Remedy("standardise", True), "standardised inputs"),
        (Remedy("hidden", "relu"), 'Network(hidden="relu")'),
        (Remedy("smaller_rate"), "a learning rate ten times smaller"),
        (Remedy("more_num_iterations", 200), "num_iterations=200 from trained.state"),
    ],
)
def test_what_is_advised_in_python(remedy, text):
    assert python(remedy) == text
