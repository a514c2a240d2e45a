"""Many networks at once: one training with many seeds and settings, in one program for each kind of network."""

from .running import SweepProgress as SweepProgress
from .sweep import sweep as sweep
from .swept import Run as Run, Swept as Swept
