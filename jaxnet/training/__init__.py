"""The training loop: chunks of compiled steps, over all inputs or as few as the examples have directions."""

from .augmentation import Augmentation as Augmentation, Views as Views
from .batches import (
    Feed as Feed,
    Order as Order,
    as_rows as as_rows,
    batch_indices as batch_indices,
    feed_of_rows as feed_of_rows,
    order_of as order_of,
    resident as resident,
    with_weights as with_weights,
)
from .checkpoints import (
    DAMAGED as DAMAGED,
    STATE as STATE,
    SUFFIX as SUFFIX,
    Checkpoints as Checkpoints,
    Saved as Saved,
    in_basis as in_basis,
    portable as portable,
)
from .config import NUMBERS as NUMBERS, StepConfig as StepConfig
from .course import L_layer_model as L_layer_model
from .diagnose import diagnose as diagnose
from .evaluation import (
    Block as Block,
    ByClass as ByClass,
    best_of as best_of,
    cost_and_score as cost_and_score,
    has_stalled as has_stalled,
    weights_by_class as weights_by_class,
)
from .failure import NotFiniteError as NotFiniteError
from .in_memory import (
    as_hooks as as_hooks,
    check_not_traced as check_not_traced,
    complete as complete,
    first_feedback as first_feedback,
    in_fewest_inputs as in_fewest_inputs,
    train as train,
)
from .input_basis import ALL_INPUTS as ALL_INPUTS, InputBasis as InputBasis
from .loop import (
    Hook as Hook,
    Progress as Progress,
    Segment as Segment,
    Steps as Steps,
    Trained as Trained,
    before_steps as before_steps,
    blame as blame,
    chunks as chunks,
    run_chunk as run_chunk,
    run_steps as run_steps,
)
from .placement import (
    Placement as Placement,
    by_example as by_example,
    check_placement as check_placement,
    on_every_device as on_every_device,
    on_first_devices as on_first_devices,
)
from .progress import bar_of as bar_of, shown as shown
from .resuming import StatefulHook as StatefulHook
from .validation import (
    check_augmentation as check_augmentation,
    check_data as check_data,
    check_memory as check_memory,
    check_regularization as check_regularization,
    check_schedule as check_schedule,
)
