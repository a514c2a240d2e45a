"""What `jaxnet train` does, as a library: a run, its settings, its folder and checkpoints, and what is drawn of it."""

from ..training import Checkpoints as Checkpoints
from .evaluation import class_probabilities as class_probabilities
from .execution import execute as execute, kept as kept
from .history import History as History, Row as Row
from .resume import restore as restore, save as save
from .run import Run as Run, prepare as prepare
from .settings import (
    FILE as FILE,
    NAMES as NAMES,
    Settings as Settings,
    read_config as read_config,
    read_run as read_run,
    write_settings as write_settings,
)
