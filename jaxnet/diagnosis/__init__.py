"""What is wrong with a training, as values: how it shows in costs, accuracies and layers, and what to try."""

from .accuracy import compared_with_guessing as compared_with_guessing, wilson_interval as wilson_interval
from .costs import constant_cost as constant_cost, is_at as is_at, rose as rose
from .diagnosis import Diagnosis as Diagnosis, Evidence as Evidence, diagnosis_of as diagnosis_of
from .layers import dead as dead, is_suspect as is_suspect
from .remedies import lower_rate as lower_rate, with_remedies as with_remedies
from .symptoms import Accuracy as Accuracy, Remedy as Remedy, Setup as Setup, Symptom as Symptom
from .ways import (
    BestInit as BestInit,
    Health as Health,
    Way as Way,
    backward_way as backward_way,
    best_init as best_init,
    forward_way as forward_way,
    health_of as health_of,
    signal_remedies as signal_remedies,
    vanishing as vanishing,
    way_of as way_of,
)
from .words import command as command, python as python, symptom_line as symptom_line
