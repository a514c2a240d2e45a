"""What `jaxnet train` and `evaluate` do, as a library: a run, its settings, folder, checkpoints and report."""

from ..training import Checkpoints as Checkpoints
from .assessment import (
    evaluate as evaluate,
    evaluate_examples as evaluate_examples,
    write_evaluation as write_evaluation,
)
from .classification import Evaluation as Evaluation
from .defaults import Facts as Facts, defaults_for as defaults_for, facts_of as facts_of
from .diagnosing import Watch as Watch, row_symptoms as row_symptoms, setup_of as setup_of
from .evaluation import sample_size as sample_size
from .execution import execute as execute, kept as kept
from .history import History as History, Row as Row
from .labelled import load_divided as load_divided, part_of as part_of
from .regression import RegressionEvaluation as RegressionEvaluation, test_fit as test_fit
from .resume import restore as restore, save as save
from .run import Run as Run, prepare as prepare
from .settings import (
    FILE as FILE,
    NAMES as NAMES,
    Settings as Settings,
    read_chosen as read_chosen,
    read_config as read_config,
    read_run as read_run,
    write_settings as write_settings,
)
from .target_scale import TargetScale as TargetScale
