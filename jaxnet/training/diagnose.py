"""`diagnose`: what is wrong with a training that `train` has made."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..activations import ACTIVATIONS
from ..checks import as_targets
from ..diagnosis import (
    Accuracy,
    Diagnosis,
    Evidence,
    Setup,
    compared_with_guessing,
    constant_cost,
    diagnosis_of,
    vanishing,
)
from ..errors import InputError
from ..feedback import backprop
from ..losses import softmax, squared_error
from ..network import COURSE, L_model_forward, Network
from ..parameters import layer_dims
from ..regularization import l2_cost
from ..signals import root_mean_square, signal_sizes
from ..types import Inputs, Labels, Parameters
from ..weighting import ClassWeight, SampleWeight, class_weights, classes_of, example_weights
from .loop import Trained
from .validation import check_data


SAMPLE = 256  # training examples whose signals are looked at


def diagnose(
    X: Inputs,
    Y: Labels,
    trained: Trained,
    network: Network = COURSE,
    *,
    X_test: Inputs | None = None,
    Y_test: Labels | None = None,
    lambd: float = 0.0,
    keep_prob: float = 1.0,
    sample_weight: SampleWeight = None,
    class_weight: ClassWeight = None,
) -> Diagnosis:
    """What is wrong with a training, as values, and what to try; `print` shows it in words.

    Looked for are: a test accuracy that cannot be told from guessing, or is far below that of training; a cost that
    rose a hundredfold, stands where only the frequencies of the classes are known, or still falls steeply at the end;
    units that are dead for all of at most 256 training examples; and errors that vanish on their way back. Where
    nothing of it is found, the diagnosis is `healthy`. `trained.diagnosis` is what the costs say by themselves.

    Args:
        X: The inputs that were trained on, `(n_x, m)`.
        Y: Their labels, as `train` takes them.
        trained: What `train` returned.
        network: The functions of the layers. Default: the course's network.
        X_test: Inputs held out. Default: none, and nothing is said about a test.
        Y_test: Their labels.
        lambd: As in `train`, like all that follows: it is part of the costs, and no remedy that was tried is advised.
        keep_prob: As in `train`.
        sample_weight: As in `train`.
        class_weight: As in `train`. The test accuracy is then weighted likewise.

    Raises:
        InputError: for arrays that do not fit the network, and for only one of X_test and Y_test.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> trained = jaxnet.train(X, Y, parameters, num_iterations=100)
        >>> [symptom.code for symptom in jaxnet.diagnose(X, Y, trained).symptoms]
        ['entropy']
    """
    if not isinstance(trained, Trained):
        raise InputError(f"trained is of type {type(trained).__name__}; expected what `train` returned")
    if (X_test is None) != (Y_test is None):
        raise InputError("only one of X_test and Y_test is given; expected both or none")
    parameters, step = trained.parameters, int(trained.state.step)
    check_data(X, Y, parameters, network)
    AL, _ = L_model_forward(X, parameters, network)
    Y = as_targets(Y, AL, network.loss)
    weight = example_weights(Y, network.loss.output, sample_weight, class_weight)
    seen = Evidence(
        trained.costs,
        step - len(trained.costs),
        constant=constant_cost(Y, network.loss, weight),
        penalty=float(l2_cost(parameters, lambd, X.shape[1])),
        has_weights=weight is not None,
        has_classes=network.loss != squared_error,
    )
    labels = _classes(Y, network)
    if labels is not None:
        counts = np.bincount(labels, minlength=max(2, len(Y)))
        seen = seen._replace(trained=compared_with_guessing(_decided(AL), labels, counts))
        if X_test is not None and Y_test is not None:
            by_class = (
                None if class_weight is None else class_weights(class_weight, counts.tolist(), range(len(counts)))
            )
            seen = seen._replace(**_tested(X_test, Y_test, parameters, network, counts, by_class))
    hidden = next((name for name, member in ACTIVATIONS.items() if member == network.hidden), None)
    setup = Setup(hidden=hidden, keep_prob=keep_prob, lambd=lambd, num_iterations=step)
    if len(layer_dims(parameters)) > 2:
        seen = seen._replace(**_signals(X, Y, parameters, network, setup))
    return diagnosis_of(seen, setup)


def _classes(Y: Float[Array, "n_L m"], network: Network) -> Int[np.ndarray, " m"] | None:
    """The class of each example; None where outputs are not probabilities of classes, or labels not hard."""
    is_softmax, is_sigmoid = (network.loss.output == output for output in (softmax, jax.nn.sigmoid))
    if not is_softmax and not (is_sigmoid and len(Y) == 1):
        return None
    try:
        return classes_of(np.asarray(Y, np.float64))
    except InputError:
        return None


def _decided(AL: Float[Array, "n_L m"]) -> Int[np.ndarray, " m"]:
    return np.asarray(AL[0] > 0.5 if len(AL) == 1 else jnp.argmax(AL, axis=0)).astype(int)


def _tested(
    X: Inputs,
    Y: Labels,
    parameters: Parameters,
    network: Network,
    counts: Int[np.ndarray, " classes"],
    by_class: Float[np.ndarray, " classes"] | None,
) -> dict[str, Accuracy | None]:
    """The test's part of the evidence."""
    check_data(X, Y, parameters, network)
    AL, _ = L_model_forward(X, parameters, network)
    labels = _classes(as_targets(Y, AL, network.loss), network)
    if labels is None:
        raise InputError("Y_test has labels that name no single class, unlike Y; expected hard ones")
    tested: dict[str, Accuracy | None] = {"tested": compared_with_guessing(_decided(AL), labels, counts)}
    return (
        tested
        if by_class is None
        else tested | {"weighted": compared_with_guessing(_decided(AL), labels, counts, by_class)}
    )


def _signals(
    X: Inputs, Y: Float[Array, "n_L m"], parameters: Parameters, network: Network, setup: Setup
) -> dict[str, Any]:
    """What some of the training examples say of the hidden layers."""
    some = np.linspace(0, X.shape[1] - 1, min(SAMPLE, X.shape[1])).astype(int)
    sizes = signal_sizes(X[:, some], Y[:, some], parameters, network)
    seen: dict[str, Any] = {"dead_shares": np.asarray(sizes.dead)[None]}
    if network.feedback == backprop:
        gone = vanishing(sizes, float(root_mean_square(X[:, some])), layer_dims(parameters), network, setup)
        seen |= {"measured": lambda: gone, "is_suspect": True}
    return seen
