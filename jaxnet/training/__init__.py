"""The training loop: chunks of compiled steps, over all inputs or as few as the examples have directions."""

from .failure import NotFiniteError as NotFiniteError
from .loop import (
    Feed as Feed,
    L_layer_model as L_layer_model,
    Progress as Progress,
    Step as Step,
    Trained as Trained,
    batch_indices as batch_indices,
    first_feedback as first_feedback,
    in_all_inputs as in_all_inputs,
    make_steps as make_steps,
    resident as resident,
    train as train,
    with_weights as with_weights,
    worth_reducing as worth_reducing,
)
from .reduction import Reduced as Reduced, project as project, reduce as reduce
from .validation import (
    check_memory as check_memory,
    check_regularization as check_regularization,
    check_schedule as check_schedule,
)
