"""A run: a dataset, a network and the steps to make."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Float

from ..data import Dataset, Examples, Preprocessing, fit_preprocessing, held_out, hog_of, output_names
from ..errors import InputError
from ..model import Model, TrainingData
from ..network import Network
from ..parameters import FrozenDict, initialize_parameters_deep
from ..training import (
    ALL_INPUTS,
    InputBasis,
    Placement,
    StepConfig,
    Views,
    check_memory,
    check_placement,
    check_regularization,
    check_schedule,
    first_feedback,
    in_fewest_inputs,
    on_first_devices,
)
from ..types import AnyArray, Parameters
from ..update import TrainState
from ..weighting import class_weights
from .chunks import chunk_length
from .initial import first_parameters
from .seen import Seen, augmentation_of, seen_examples
from .settings import ITERATIONS, Settings, make_optimizer
from .streaming import is_resident
from .target_scale import TargetScale, fit_target_scale


class Start(NamedTuple):
    """Where the steps begin, and in which inputs."""

    X: AnyArray | None  # the training examples in fewer inputs; None where a feed brings them
    state: TrainState
    basis: InputBasis


@dataclass(frozen=True, kw_only=True)
class Run:
    """A network about to be trained."""

    dataset: Dataset  # as it was loaded
    settings: Settings
    preprocessing: Preprocessing
    target_scale: TargetScale | None  # of a regression, in which the labels of `train` and `watched` are standardised
    seen: Seen  # by the network; the watched examples are the validation's, or, where there are none, the test's
    watched_name: str
    config: StepConfig
    first: TrainState  # in all inputs
    start: Start  # in those that the steps are made in
    num_iterations: int
    batch_size: int | None
    chunk: int  # steps in one call of the compiled program
    placement: Placement | None  # the devices that share the examples of a step
    key: jax.Array
    by_class: Float[np.ndarray, " classes"] | None  # what the losses of each class are multiplied by

    @property
    def network(self) -> Network:
        """The functions of its layers."""
        return self.config.network

    @property
    def basis(self) -> InputBasis:
        """The inputs that the steps are made in."""
        return self.start.basis

    def in_all_inputs(self) -> "Run":
        """The same run without a reduction of the inputs."""
        return dataclasses.replace(self, start=Start(None, self.first, ALL_INPUTS))

    @property
    def train(self) -> Examples:
        """The training examples, as the network sees them."""
        return self.seen.train

    @property
    def watched(self) -> Examples:
        """Those that are measured after every chunk."""
        return self.seen.watched

    def all_columns(self, rows: Any, dtype: str) -> AnyArray:
        """Rows of examples as all inputs of the network."""
        return self.preprocessing.without_features.columns(rows, dtype)

    def columns(self, rows: Any, dtype: str) -> AnyArray:
        """Rows of examples as the inputs that the steps are made in."""
        return self.basis.columns(self.all_columns(rows, dtype))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the values to predict; none where there are classes."""
        return () if self.target_scale is None else output_names(self.dataset.table, len(self.target_scale.mean))

    @property
    def score(self) -> str:
        """What its history has beside the costs."""
        return "accuracy" if self.target_scale is None else "r2"

    @property
    def dtype(self) -> str:
        """The dtype of parameters and inputs."""
        return storage_dtype(self.settings.dtype)

    def model(self, parameters: Parameters) -> Model:
        """What is saved."""
        return Model(
            FrozenDict(parameters) if self.target_scale is None else self.target_scale.restore(parameters),
            self.network.by_backprop,
            self.dataset.input_shape,
            self.dataset.classes,
            self.preprocessing,
            self.settings.exact_decoding,
            self.dataset.table,
            (TrainingData(self.dataset.fingerprint, self.settings.test_fraction, self.settings.seed),),
        )


def storage_dtype(dtype: str) -> str:
    """The dtype of parameters and inputs: bfloat16 is only computed in."""
    return "float64" if dtype == "float64" else "float32"


def prepare(
    dataset: Dataset,
    settings: Settings,
    initial: Model | None = None,
    chunk: int | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> Run:
    """The network for a dataset, drawn from the seed: a sigmoid for two classes, softmax for more, linear for none.

    With `initial` the run starts from its parameters, and keeps its preprocessing of the inputs. `chunk` is that of
    the run which this one goes on with; without it, see `chunk_length`. While features are made,
    `on_image(done, total)` is called.
    """
    outputs, loss = _head(dataset)
    train, watched, watched_name, target_scale = _labelled(dataset, settings)
    augment = augmentation_of(settings, dataset)
    by_class = _class_weights(train, dataset.classes, settings)
    plain = Preprocessing(features=None if settings.features is None else hog_of(dataset.input_shape))
    seen = seen_examples(train, watched, dataset.test, plain, augment, on_image)
    train = seen.train
    m, n_x = train.rows.shape
    layer_dims, dtype = (n_x, *settings.layers, outputs), storage_dtype(settings.dtype)
    stays = is_resident(train.rows, dtype)
    steps, batch_size = _schedule(settings, m)
    check_memory(layer_dims, m if stays else batch_size or m)
    parameters, key = _draw(settings.seed, layer_dims, settings.init, dtype)
    check_regularization(settings.lambd, settings.keep_prob, settings.input_keep_prob, key)
    check_schedule(m, steps, batch_size, key)
    placement = on_first_devices(settings.devices) if settings.devices > 1 else None
    check_placement(placement, batch_size, m)
    preprocessing = _fitted(plain, train, dataset, settings)
    network = Network(settings.hidden, loss, settings.feedback)
    if initial is not None:
        about = (dataset.input_shape, dataset.classes, preprocessing, settings.exact_decoding, dataset.table)
        drawn = Model(parameters, network.by_backprop, *about)
        parameters, preprocessing = first_parameters(initial, drawn), initial.preprocessing
        parameters = parameters if target_scale is None else target_scale.standardise(parameters)
    config = _config(settings, network, make_optimizer(settings, steps), m)
    config = dataclasses.replace(config, augment=Views(seen.views) if seen.views > 1 else augment)
    first = TrainState(parameters, B=first_feedback(parameters, network, key), step=np.zeros((), np.int32))
    start = Start(None, first, ALL_INPUTS)
    if settings.reduce and stays:
        X = preprocessing.without_features.columns(train.rows[:], dtype)
        reduced = Start(*in_fewest_inputs(X, first, config, batch_size or m, steps))
        start = start if reduced.basis is ALL_INPUTS else reduced
    sizes = (start.basis.size or n_x, *layer_dims[1:])
    return Run(
        dataset=dataset,
        settings=settings,
        preprocessing=preprocessing,
        target_scale=target_scale,
        seen=seen,
        watched_name=watched_name,
        config=config,
        first=first,
        start=start,
        num_iterations=steps,
        batch_size=batch_size,
        chunk=chunk or chunk_length(sizes, batch_size or m, dtype),
        placement=placement,
        key=key,
        by_class=by_class,
    )


def _head(dataset: Dataset) -> tuple[int, str]:
    """How many outputs the network has, and its loss."""
    if not dataset.classes:
        return dataset.train.labels.shape[1], "squared_error"
    if len(dataset.classes) == 2:
        return 1, "binary_cross_entropy"
    return len(dataset.classes), "softmax_cross_entropy"


def _labelled(dataset: Dataset, settings: Settings) -> tuple[Examples, Examples, str, TargetScale | None]:
    """The examples to train on, those to watch and their name, and the scale of their labels in a regression."""
    train, watched, name = dataset.train, dataset.test, "test"
    if settings.watched_fraction:
        is_held = held_out(dataset.train.labels, dataset.classes, settings.watched_fraction, settings.seed)
        train, watched = (dataset.train.take(np.flatnonzero(which)) for which in (~is_held, is_held))
        name = "validation"
    if dataset.classes:
        return train, watched, name, None
    scale = fit_target_scale(train.labels, output_names(dataset.table, train.labels.shape[1]))
    train, watched = (part._replace(labels=scale.standardise_labels(part.labels)) for part in (train, watched))
    return train, watched, name, scale


def _fitted(plain: Preprocessing, train: Examples, dataset: Dataset, settings: Settings) -> Preprocessing:
    """Standardised as the settings say: by default features are, and the inputs of a table."""
    standardise = settings.standardise
    if standardise is None:
        standardise = dataset.table is not None or settings.features is not None
    return fit_preprocessing(train.rows)._replace(features=plain.features) if standardise else plain


def _schedule(settings: Settings, m: int) -> tuple[int, int | None]:
    """How many steps are made, and with how many examples each, or None: with all."""
    batch_size = settings.batch_size if isinstance(settings.batch_size, int) else None
    if settings.epochs is None:
        return settings.num_iterations or ITERATIONS, batch_size
    return settings.epochs * (1 if batch_size is None else m // batch_size), batch_size


def _class_weights(train: Examples, classes: Sequence[str], settings: Settings) -> np.ndarray | None:
    """The weight of each class, from its share of the training examples."""
    if settings.class_weight is None:
        return None
    if not classes:
        raise InputError("--class-weight is of classes, but the labels are regression targets; leave it out")
    chosen = settings.class_weight if isinstance(settings.class_weight, str) else dict(settings.class_weight)
    return class_weights(chosen, np.bincount(train.labels, minlength=len(classes)).tolist(), classes)


@partial(jax.jit, static_argnums=(1, 2, 3))  # one compilation instead of one for every operation
def _draw(seed: int | jax.Array, layer_dims: tuple[int, ...], init: str, dtype: str) -> tuple[FrozenDict, jax.Array]:
    """The first parameters, and the key of the batches."""
    weights_key, batches_key = jax.random.split(jax.random.key(seed))
    return initialize_parameters_deep(layer_dims, key=weights_key, init=init, dtype=dtype), batches_key


def _config(settings: Settings, network: Network, optimizer: optax.GradientTransformation, m: int) -> StepConfig:
    return StepConfig(
        optimizer,
        network,
        settings.lambd / m,
        settings.keep_prob,
        settings.input_keep_prob,
        "bfloat16" if settings.dtype == "bfloat16" else None,
        settings.recorded_every,
        settings.class_weight is not None,
    )
