"""What `jaxnet train` does, as a library: a run, its settings, its folder and checkpoints, and what is drawn of it."""

from .checkpoint import Checkpoints as Checkpoints
from .evaluation import class_probabilities as class_probabilities
from .run import History as History, Row as Row, Run as Run
from .settings import (
    FILE as FILE,
    NAMES as NAMES,
    Settings as Settings,
    read_config as read_config,
    read_run as read_run,
    write_settings as write_settings,
)
from .trackers import ScalarLog as ScalarLog
