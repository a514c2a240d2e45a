from . import (
    activations as activations,
    data as data,
    feedback as feedback,
    hooks as hooks,
    losses as losses,
    readouts as readouts,
    signals as signals,
)
from .activations import Activation as Activation, relu_backward as relu_backward, sigmoid_backward as sigmoid_backward
from .crosscheck import (
    GradientMismatch as GradientMismatch,
    Report as Report,
    Verdict as Verdict,
    assert_gradient as assert_gradient,
    check_backward as check_backward,
    check_file as check_file,
    check_gradient as check_gradient,
    good_point as good_point,
)
from .data import Preprocessing as Preprocessing, read_image as read_image
from .diagnosis import Accuracy as Accuracy, Diagnosis as Diagnosis, Remedy as Remedy, Symptom as Symptom
from .errors import InputError as InputError
from .feedback import (
    Crossing as Crossing,
    Rule as Rule,
    initialize_feedback as initialize_feedback,
    update_feedback as update_feedback,
)
from .layers import (
    LayerCache as LayerCache,
    LinearCache as LinearCache,
    linear_activation_backward as linear_activation_backward,
    linear_activation_forward as linear_activation_forward,
    linear_backward as linear_backward,
    linear_forward as linear_forward,
)
from .losses import Loss as Loss
from .model import (
    Estimate as Estimate,
    Model as Model,
    Prediction as Prediction,
    TrainingData as TrainingData,
    average as average,
    load_model as load_model,
    save_model as save_model,
)
from .network import (
    L_model_backward as L_model_backward,
    L_model_forward as L_model_forward,
    Network as Network,
    backpropagate as backpropagate,
    compute_cost as compute_cost,
    cost as cost,
    cost_and_grads as cost_and_grads,
    parameter_grads as parameter_grads,
    predict as predict,
)
from .parameters import (
    FrozenDict as FrozenDict,
    initialize_parameters_deep as initialize_parameters_deep,
    layer_dims as layer_dims,
)
from .regularization import dropout_masks as dropout_masks, l2_cost as l2_cost, l2_gradient as l2_gradient
from .runs import Evaluation as Evaluation, RegressionEvaluation as RegressionEvaluation, evaluate as evaluate
from .signals import (
    Alignment as Alignment,
    ExpectedSizes as ExpectedSizes,
    LayerSignals as LayerSignals,
    SignalSizes as SignalSizes,
    SingularValues as SingularValues,
    alignment as alignment,
    angle as angle,
    expected_sizes as expected_sizes,
    layer_signals as layer_signals,
    map_singular_values as map_singular_values,
    signal_sizes as signal_sizes,
    singular_values as singular_values,
)
from .sweeps import SweepProgress as SweepProgress, Swept as Swept, sweep as sweep
from .training import (
    Augmentation as Augmentation,
    Checkpoints as Checkpoints,
    L_layer_model as L_layer_model,
    NotFiniteError as NotFiniteError,
    Placement as Placement,
    Progress as Progress,
    Trained as Trained,
    diagnose as diagnose,
    train as train,
)
from .update import (
    TrainState as TrainState,
    init_state as init_state,
    make_update_step as make_update_step,
    update as update,
    update_parameters as update_parameters,
)

__version__: str
