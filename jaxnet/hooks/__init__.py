"""What `train(..., on_chunk=...)` may call after every chunk of steps: validation, early stopping, and trackers.

A hook is any callable that takes a `jaxnet.Progress`; where it returns True, the training ends. Several are called in
the order in which they are given.
"""

from .trackers import Tracker as Tracker, log as log, tensorboard as tensorboard
from .validation import Validation as Validation
