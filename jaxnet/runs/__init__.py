"""What `jaxnet train` does, as a library: a run, its settings, its folder and checkpoints, and what is drawn of it."""

from .checkpoint import Checkpoints as Checkpoints
from .defaults import Facts as Facts, defaults_for as defaults_for, facts_of as facts_of
from .evaluation import class_probabilities as class_probabilities, sample_size as sample_size
from .execution import execute as execute, kept as kept
from .history import History as History, Row as Row
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
from .trackers import ScalarLog as ScalarLog
