"""A run: a dataset, a network and the steps to make, from the first to where it was stopped or ended."""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Float

from ..data import Dataset, Examples, Preprocessing, fit_preprocessing, held_out, targets
from ..errors import InputError
from ..model import Model
from ..network import Network
from ..parameters import FrozenDict, initialize_parameters_deep
from ..training import (
    ALL_INPUTS,
    Feed,
    Hook,
    InputBasis,
    Progress,
    StepConfig,
    check_memory,
    check_regularization,
    check_schedule,
    first_feedback,
    in_fewest_inputs,
    resident,
    run_steps,
    with_weights,
)
from ..types import AnyArray, Parameters
from ..update import TrainState
from ..weighting import class_weights
from .checkpoint import Checkpoints, Saved
from .evaluation import measure
from .initial import first_parameters
from .settings import Settings, make_optimizer
from .streaming import feed_of, is_resident


FULL_BATCH = 2048  # up to so many examples, every step sees all of them; beyond, minibatches of MINIBATCH
MINIBATCH = 128
ITERATIONS = 2500  # where neither iterations nor epochs are given
CHUNK = 100  # steps between two rows of the history


class Row(NamedTuple):
    """What is seen after `iteration` steps; `cost` is the one before the last of them."""

    iteration: int
    cost: float
    train_accuracy: float
    watched_cost: float
    watched_accuracy: float
    gradient_norms: tuple[float, ...]  # of dW_1, ..., dW_L
    dead_shares: tuple[float, ...]  # of the units of layers 1, ..., L-1


@dataclass
class History:
    """What was seen on the way: the cost of every step, a row after every chunk of them, and where the last one led."""

    costs: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    alignment: list[dict[str, float]] = field(default_factory=list)  # of the steps that are recorded
    state: TrainState | None = None  # in the inputs that the steps are made in; None before the first
    best_parameters: Parameters | None = None  # likewise, of a run that may end early

    def columns(self) -> dict[str, np.ndarray]:
        """The rows as columns: one for each number."""
        names = ["iteration", "cost", "train_accuracy", "watched_cost", "watched_accuracy"]
        if not self.rows:
            return {name: np.empty(0) for name in names}
        names += [f"gradient_norm_{l}" for l, _ in enumerate(self.rows[0].gradient_norms, start=1)]
        names += [f"dead_share_{l}" for l, _ in enumerate(self.rows[0].dead_shares, start=1)]
        rows = [(*row[:5], *row.gradient_norms, *row.dead_shares) for row in self.rows]
        return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))

    def best_row(self) -> int:
        """The row of the smallest watched cost."""
        return int(np.argmin(np.nan_to_num([row.watched_cost for row in self.rows], nan=np.inf)))


class Start(NamedTuple):
    """Where the steps begin, and in which inputs."""

    X: AnyArray | None  # the training examples in fewer inputs; None where a feed brings them
    state: TrainState
    basis: InputBasis


@dataclass(frozen=True, kw_only=True)
class Run:
    """A network about to be trained."""

    dataset: Dataset
    settings: Settings
    preprocessing: Preprocessing
    train: Examples
    watched: Examples  # the validation examples, or, where there are none, the test's
    watched_name: str
    config: StepConfig
    first: TrainState  # in all inputs
    start: Start  # in those that the steps are made in
    num_iterations: int
    batch_size: int | None
    key: jax.Array
    by_class: Float[np.ndarray, " classes"] | None  # what the losses of each class are multiplied by

    @property
    def network(self) -> Network:
        return self.config.network

    @property
    def basis(self) -> InputBasis:
        """The inputs that the steps are made in."""
        return self.start.basis

    def in_all_inputs(self) -> "Run":
        """The same run without a reduction of the inputs."""
        return dataclasses.replace(self, start=Start(None, self.first, ALL_INPUTS))

    def columns(self, rows: Any, dtype: str) -> AnyArray:
        """Rows of examples as the inputs that the steps are made in."""
        return self.basis.columns(self.preprocessing.columns(rows, dtype))

    @property
    def dtype(self) -> str:
        """The dtype of parameters and inputs."""
        return storage_dtype(self.settings.dtype)

    def model(self, parameters: Parameters) -> Model:
        """What is saved."""
        return Model(
            FrozenDict(parameters),
            self.network.by_backprop,
            self.dataset.input_shape,
            self.dataset.classes,
            self.preprocessing,
        )


def storage_dtype(dtype: str) -> str:
    """The dtype of parameters and inputs: bfloat16 is only computed in."""
    return "float64" if dtype == "float64" else "float32"


def prepare(dataset: Dataset, settings: Settings, initial: Model | None = None) -> Run:
    """The network for a dataset, drawn from the seed: one sigmoid for two classes, softmax for more.

    With `initial` the run starts from its parameters, and keeps its preprocessing of the inputs.
    """
    outputs, loss = (1, "binary_cross_entropy")
    if len(dataset.classes) > 2:
        outputs, loss = len(dataset.classes), "softmax_cross_entropy"
    train, watched, watched_name = dataset.train, dataset.test, "test"
    if settings.watched_fraction:
        is_held = held_out(train.labels, dataset.classes, settings.watched_fraction, settings.seed)
        watched, watched_name = train.take(np.flatnonzero(is_held)), "validation"
        train = train.take(np.flatnonzero(~is_held))
    m, n_x = train.rows.shape
    layer_dims = (n_x, *settings.layers, outputs)
    dtype = storage_dtype(settings.dtype)
    stays = is_resident(train.rows, dtype)
    by_class = _class_weights(train, dataset.classes, settings)
    check_memory(layer_dims, m if stays else MINIBATCH)
    parameters, batches_key = _draw(settings.seed, layer_dims, settings.init, dtype)
    check_regularization(settings.lambd, settings.keep_prob, settings.input_keep_prob, batches_key)
    batch_size = settings.batch_size or (None if stays and m <= FULL_BATCH else min(MINIBATCH, m))
    steps = settings.num_iterations or ITERATIONS
    if settings.epochs is not None:
        steps = settings.epochs * (1 if batch_size is None else m // batch_size)
    check_schedule(m, steps, batch_size, batches_key)
    preprocessing = fit_preprocessing(train.rows) if settings.standardise else Preprocessing()
    network, optimizer = Network(settings.hidden, loss, settings.feedback), make_optimizer(settings, steps)
    if initial is not None:
        drawn = Model(parameters, network.by_backprop, dataset.input_shape, dataset.classes, preprocessing)
        parameters, preprocessing = first_parameters(initial, drawn), initial.preprocessing
    config = _config(settings, network, optimizer, m)
    first = TrainState(parameters, B=first_feedback(parameters, network, batches_key), step=np.zeros((), np.int32))
    start = Start(None, first, ALL_INPUTS)
    if settings.reduce and stays:
        start = Start(
            *in_fewest_inputs(preprocessing.columns(train.rows[:], dtype), first, config, batch_size or m, steps)
        )
    return Run(
        dataset=dataset,
        settings=settings,
        preprocessing=preprocessing,
        train=train,
        watched=watched,
        watched_name=watched_name,
        config=config,
        first=first,
        start=start if start.basis is not ALL_INPUTS else start._replace(X=None),
        num_iterations=steps,
        batch_size=batch_size,
        key=batches_key,
        by_class=by_class,
    )


def _class_weights(train: Examples, classes: Sequence[str], settings: Settings) -> np.ndarray | None:
    """Of the examples that are trained on."""
    if settings.class_weight is None:
        return None
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


def execute(
    run: Run,
    history: History,
    on_chunk: Sequence[Hook] = (),
    checkpoints: Checkpoints | None = None,
    seconds: float = 10.0,
) -> Parameters:
    """Trains, from where `history` stands, and returns the parameters to keep: the best, or the last.

    After every chunk of steps `history` grows, also that of a run that fails, each of `on_chunk` is called, and, where
    `seconds` have passed since the last one, a checkpoint is made. So it is after the last whole chunk, from where the
    run can be continued.
    """
    state = first_state(run) if history.state is None else history.state
    if run.settings.early_stopping is not None and history.best_parameters is None:
        history.best_parameters = state.parameters
    hooks = [_recording(run, history), *on_chunk]
    if checkpoints is not None:
        hooks.append(_saving(checkpoints, run, history, seconds))
    hooks.append(lambda progress: is_over(history, run.settings))
    if not (history.rows and is_over(history, run.settings)):
        run_steps(
            _feed(run),
            state,
            run.config,
            run.num_iterations,
            key=run.key,
            chunk=CHUNK,
            basis=run.basis,
            on_chunk=hooks,
        )
    return kept(run, history)


def _recording(run: Run, history: History) -> Hook:
    """After every chunk, a row of the history."""
    measured = measure(run.train, run.watched, run.network, run.columns, run.dataset.classes, run.dtype, run.by_class)

    def record(progress: Progress) -> None:
        costs, aligned, state = progress.costs.tolist(), progress.alignment.rows(), progress.state_in_basis
        row = Row(progress.iteration, costs[-1], *measured(state.parameters))
        is_best = History(rows=[*history.rows, row]).best_row() == len(history.rows)
        best = state.parameters if is_best and history.best_parameters is not None else history.best_parameters
        # Ctrl-C is looked for in calls and loops, so it cannot part these.
        history.costs += costs
        history.rows += [row]
        history.alignment += aligned
        history.state, history.best_parameters = state, best

    return record


def _saving(checkpoints: Checkpoints, run: Run, history: History, seconds: float) -> Hook:
    """A checkpoint when `seconds` have passed since the last one, and after the last whole chunk."""
    saved_at = time.monotonic()

    def save_in_time(progress: Progress) -> None:
        nonlocal saved_at
        is_last = progress.iteration + CHUNK > run.num_iterations
        if is_last or time.monotonic() - saved_at >= seconds:
            save(checkpoints, run, history)
            saved_at = time.monotonic()

    return save_in_time


def _feed(run: Run) -> Feed:
    Y = targets(run.train.labels, run.dataset.classes, run.dtype)
    Y = with_weights(Y, None if run.by_class is None else run.by_class[run.train.labels])
    if run.start.X is None:
        return feed_of(run.train.rows, Y, run.columns, run.batch_size, run.key, run.dtype)
    return resident(run.start.X, Y, run.batch_size, run.key)


def kept(run: Run, history: History) -> Parameters:
    """The parameters that a run is for, in all inputs: the best of one that may end early, else the last."""
    state = first_state(run) if history.state is None else history.state
    return run.basis.expand(state.parameters if history.best_parameters is None else history.best_parameters)


def first_state(run: Run) -> TrainState:
    """The state before the first step, in the inputs that the steps are made in."""
    state = run.start.state
    return state._replace(opt_state=run.config.optimizer.init(state.parameters))


def is_over(history: History, settings: Settings) -> bool:
    """Has the watched cost not fallen for as many rows as early stopping is patient?"""
    patience = settings.early_stopping
    return patience is not None and len(history.rows) - 1 - history.best_row() >= patience


def save(checkpoints: Checkpoints, run: Run, history: History) -> None:
    """A checkpoint of where `history` stands.

    Only after whole chunks: the last one of a run may be shorter, and a run that is continued has it whole.
    """
    last = history.rows[-1]
    if last.iteration % CHUNK:
        return
    rows = [row._asdict() for row in history.rows]
    saved = {"run": identity(run), "costs": [*history.costs], "rows": rows, "alignment": [*history.alignment]}
    state = _portable(run, history.state, history.best_parameters)
    checkpoints.save(Saved(last.iteration, state, saved | {"basis": run.basis.digest}))


def restore(checkpoints: Checkpoints, run: Run, skipped: Callable[[str], None]) -> tuple[Run, History]:
    """The run, and its history at the newest checkpoint that can be used; an empty one where there is none.

    Those that cannot be used are named in calls of `skipped`. A run that was not in reduced inputs stays so.
    """

    def as_saved(basis: str) -> Run:
        return run if basis else run.in_all_inputs()

    def like(history: dict[str, Any]) -> tuple:
        if history.get("run") != identity(run):
            raise InputError("it is of a run with other data or settings")
        saved = as_saved(history["basis"])
        state = first_state(saved)
        return _portable(saved, state, None if run.settings.early_stopping is None else state.parameters)

    saved = checkpoints.latest(like, skipped)
    if saved is None:
        return run, History()
    run = as_saved(saved.history["basis"])
    rows = [
        Row(**row | {name: tuple(row[name]) for name in ("gradient_norms", "dead_shares")})
        for row in saved.history["rows"]
    ]
    here, unreduced = saved.state
    if unreduced is not None and saved.history["basis"] != run.basis.digest:
        here = run.basis.project(unreduced)  # another machine: the same run to rounding
    return run, History(saved.history["costs"], rows, saved.history["alignment"], *here)


def identity(run: Run) -> str:
    """A hash of all that its steps depend on, but for how many there are and for where the data lies."""
    settings = dataclasses.replace(run.settings, data=None, num_iterations=None, epochs=None)
    return hashlib.sha256(repr((run.dataset.fingerprint, settings, run.batch_size)).encode()).hexdigest()


def _portable(run: Run, state: TrainState | None, best: Parameters | None) -> tuple:
    """State and best parameters, and, of a run in reduced inputs, both in all inputs.

    With the second a run goes on where the factorisation of the inputs comes out otherwise, and with the first, where
    it comes out the same, to the last bit.
    """
    return (state, best), run.basis.expand((state, best)) if run.basis.digest else None
