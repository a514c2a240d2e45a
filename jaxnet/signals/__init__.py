"""The signals of a network: how large they are, how they align with backpropagation's, and what that says."""

from .angles import Alignment as Alignment, alignment as alignment, angle as angle, decided_rightly as decided_rightly
from .diagnosis import LayerSignals as LayerSignals, layer_signals as layer_signals
from .sizes import (
    ExpectedSizes as ExpectedSizes,
    Profile as Profile,
    SignalSizes as SignalSizes,
    SingularValues as SingularValues,
    expected_sizes as expected_sizes,
    map_singular_values as map_singular_values,
    root_mean_square as root_mean_square,
    signal_sizes as signal_sizes,
    singular_values as singular_values,
)
