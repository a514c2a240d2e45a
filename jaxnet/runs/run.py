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

from .checkpoint import Checkpoints, Saved
from ..data import Dataset, Examples, held_out, targets
from ..errors import InputError
from ..feedback import Feedback
from .streaming import Columns, feed_of, is_resident
from .initial import first_parameters
from .evaluation import measure
from ..model import Model
from ..network import Network
from ..parameters import FrozenDict, initialize_parameters_deep
from ..training import Reduced, project, reduce
from ..data import Preprocessing, fit_preprocessing
from .settings import Settings, make_optimizer
from ..training import (Feed, NotFiniteError, Progress, Step, first_feedback, in_all_inputs, make_steps, resident, with_weights, worth_reducing)
from ..types import AnyArray, Parameters
from ..training import check_memory, check_regularization, check_schedule
from ..weighting import class_weights


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
    state: tuple | None = None  # parameters, optimizer state, B, the best parameters: what the steps are made with

    def columns(self) -> dict[str, np.ndarray]:
        """The rows as columns: one for each number."""
        names = ["iteration", "cost", "train_accuracy", "watched_cost", "watched_accuracy"]
        if not self.rows:
            return {name: np.empty(0) for name in names}
        names += [f"gradient_norm_{l}" for l, _ in enumerate(self.rows[0].gradient_norms, start=1)]
        names += [f"dead_share_{l}" for l, _ in enumerate(self.rows[0].dead_shares, start=1)]
        rows = [(*row[:5], *row.gradient_norms, *row.dead_shares) for row in self.rows]
        return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))

    def best(self) -> int:
        """The row of the smallest watched cost."""
        return int(np.argmin(np.nan_to_num([row.watched_cost for row in self.rows], nan=np.inf)))


class Run(NamedTuple):
    """A network about to be trained."""

    dataset: Dataset
    settings: Settings
    preprocessing: Preprocessing
    train: Examples
    watched: Examples  # the validation examples, or, where there are none, the test's
    watched_name: str
    network: Network
    parameters: FrozenDict
    optimizer: optax.GradientTransformation
    iterations: int
    batch_size: int | None
    key: jax.Array
    B: Feedback
    reduced: Reduced | None  # X and the parameters of a run in fewer inputs
    by_class: Float[np.ndarray, " classes"] | None  # what the losses of each class are multiplied by

    @property
    def step(self) -> Step:
        """What all its steps have in common."""
        return _step(self.settings, self.network, self.optimizer, len(self.train.labels))

    @property
    def columns(self) -> Columns:
        """How rows of examples become the inputs that the steps are made with."""
        if self.reduced is None:
            return self.preprocessing.columns
        Q = self.reduced.Q
        return lambda rows, dtype: _projected(Q, self.preprocessing.columns(rows, dtype))

    @property
    def basis(self) -> jax.Array | None:
        """Of the inputs that the steps are made with, where they are reduced."""
        return None if self.reduced is None else self.reduced.Q

    def in_all_inputs(self, parameters: Parameters) -> Parameters:
        """Parameters that the steps were made with, as those of the network."""
        return in_all_inputs(parameters, self.basis)

    @property
    def dtype(self) -> str:
        """Of parameters and inputs."""
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
    parameters, batches_key = _draw(settings.seed, layer_dims, settings.scaling, dtype)
    check_regularization(settings.lambd, settings.keep_prob, settings.input_keep_prob, batches_key)
    batch_size = settings.batch_size or (None if stays and m <= FULL_BATCH else min(MINIBATCH, m))
    steps = settings.iterations or ITERATIONS
    if settings.epochs is not None:
        steps = settings.epochs * (1 if batch_size is None else m // batch_size)
    check_schedule(m, steps, batch_size, batches_key)
    preprocessing = fit_preprocessing(train.rows) if settings.standardise else Preprocessing()
    network, optimizer = Network(settings.activation, loss, settings.feedback), make_optimizer(settings, steps)
    if initial is not None:
        drawn = Model(parameters, network.by_backprop, dataset.input_shape, dataset.classes, preprocessing)
        parameters, preprocessing = first_parameters(initial, drawn), initial.preprocessing
    B = first_feedback(parameters, network, batches_key)
    reduced = None
    if settings.reduce and stays:
        X = preprocessing.columns(train.rows[:], dtype)
        if worth_reducing(X, parameters, None, _step(settings, network, optimizer, m), batch_size or m, steps):
            reduced = reduce(X, parameters)
    return Run(
        dataset, settings, preprocessing, train, watched, watched_name, network, parameters, optimizer, steps, batch_size,
        batches_key, B, reduced, by_class,
    )  # fmt: skip


def _class_weights(train: Examples, classes: Sequence[str], settings: Settings) -> np.ndarray | None:
    """Of the examples that are trained on."""
    if settings.class_weight is None:
        return None
    chosen = settings.class_weight if isinstance(settings.class_weight, str) else dict(settings.class_weight)
    return class_weights(chosen, np.bincount(train.labels, minlength=len(classes)).tolist(), classes)


@partial(jax.jit, static_argnums=(1, 2, 3))  # one compilation instead of one for every operation
def _draw(seed: int | jax.Array, layer_dims: tuple[int, ...], scaling: str, dtype: str) -> tuple[FrozenDict, jax.Array]:
    """The first parameters, and the key of the batches."""
    weights_key, batches_key = jax.random.split(jax.random.key(seed))
    return initialize_parameters_deep(layer_dims, key=weights_key, init=scaling, dtype=dtype), batches_key


@jax.jit  # else the transposed Q is a program, and an array, of its own
def _projected(Q: AnyArray, X: AnyArray) -> AnyArray:
    return Q.T @ X


def _step(settings: Settings, network: Network, optimizer: optax.GradientTransformation, m: int) -> Step:
    dtype = "bfloat16" if settings.dtype == "bfloat16" else None
    return Step(
        optimizer,
        network,
        settings.lambd / m,
        settings.keep_prob,
        settings.input_keep_prob,
        dtype,
        settings.recorded_every,
        settings.class_weight is not None,
    )


def execute(
    run: Run,
    history: History,
    on_row: Callable[[Row], None],
    checkpoints: Checkpoints | None = None,
    seconds: float = 10.0,
) -> Parameters:
    """Trains, from where `history` stands, and returns the parameters to keep: the best, or the last.

    After every chunk of steps `history` grows, also that of a run that fails, and `on_row` is called; and where
    `seconds` have passed since the last one, a checkpoint is made. So it is after the last whole chunk, from where the
    run can be continued.
    """
    start = history.rows[-1].iteration if history.rows else 0
    state = first_state(run) if history.state is None else history.state
    best = state[-1]
    measured = measure(run.train, run.watched, run.network, run.columns, run.dataset.classes, run.dtype, run.by_class)
    saved_at = time.monotonic()

    def record(progress: Progress) -> bool:
        nonlocal best, saved_at
        costs, aligned = progress.costs.tolist(), progress.alignment.rows()
        row = Row(progress.iteration, costs[-1], *measured(progress.parameters))
        is_best = History(rows=[*history.rows, row]).best() == len(history.rows)
        best = progress.parameters if is_best and best is not None else best
        # Ctrl-C is looked for in calls and loops, so it cannot part these.
        history.costs += costs
        history.rows += [row]
        history.alignment += aligned
        history.state = (progress.parameters, progress.opt_state, progress.B, best)
        on_row(row)
        is_last = progress.iteration + CHUNK > run.iterations
        if checkpoints is not None and (is_last or time.monotonic() - saved_at >= seconds):
            save(checkpoints, run, history)
            saved_at = time.monotonic()
        return is_over(history, run.settings)

    if not (history.rows and is_over(history, run.settings)):
        try:
            parameters, opt_state, B, _ = state
            make_steps(_feed(run), parameters, opt_state, B, run.step, start, run.iterations, CHUNK, run.key, record)
        except NotFiniteError as error:
            raise error.with_parameters(run.in_all_inputs(error.parameters)) from None
    return kept(run, history)


def _feed(run: Run) -> Feed:
    Y = targets(run.train.labels, run.dataset.classes, run.dtype)
    Y = with_weights(Y, None if run.by_class is None else run.by_class[run.train.labels])
    if run.reduced is None:
        return feed_of(run.train.rows, Y, run.columns, run.batch_size, run.key, run.dtype)
    return resident(run.reduced.X, Y, run.batch_size, run.key)


def kept(run: Run, history: History) -> Parameters:
    """The parameters that a run is for: the best of one that may end early, else the last."""
    state = first_state(run) if history.state is None else history.state
    return run.in_all_inputs(state[0] if state[-1] is None else state[-1])


def first_state(run: Run) -> tuple:
    """Parameters, optimizer state, B, and the best parameters, which are kept where the training may end early."""
    parameters = run.parameters if run.reduced is None else run.reduced.tree
    best = None if run.settings.early_stopping is None else parameters
    return parameters, run.optimizer.init(parameters), run.B, best


def is_over(history: History, settings: Settings) -> bool:
    """Has the watched cost not fallen for as many rows as early stopping is patient?"""
    patience = settings.early_stopping
    return patience is not None and len(history.rows) - 1 - history.best() >= patience


def save(checkpoints: Checkpoints, run: Run, history: History) -> None:
    """A checkpoint of where `history` stands.

    Only after whole chunks: the last one of a run may be shorter, and a run that is continued has it whole.
    """
    last = history.rows[-1]
    if last.iteration % CHUNK:
        return
    rows = [row._asdict() for row in history.rows]
    saved = {"run": identity(run), "costs": [*history.costs], "rows": rows, "alignment": [*history.alignment]}
    checkpoints.save(Saved(last.iteration, _portable(run, history.state), saved | {"basis": _basis(run)}))


def restore(checkpoints: Checkpoints, run: Run, skipped: Callable[[str], None]) -> tuple[Run, History]:
    """The run, and its history at the newest checkpoint that can be used; an empty one where there is none.

    Those that cannot be used are named in calls of `skipped`. A run that was not in reduced inputs stays so.
    """

    def as_saved(basis: str) -> Run:
        return run if basis else run._replace(reduced=None)

    def like(history: dict[str, Any]) -> tuple:
        if history.get("run") != identity(run):
            raise InputError("it is of a run with other data or settings")
        return _portable(as_saved(history["basis"]), first_state(as_saved(history["basis"])))

    saved = checkpoints.latest(like, skipped)
    if saved is None:
        return run, History()
    run = as_saved(saved.history["basis"])
    rows = [
        Row(**row | {name: tuple(row[name]) for name in ("gradient_norms", "dead_shares")})
        for row in saved.history["rows"]
    ]
    state, unreduced = saved.state
    if run.reduced is not None and saved.history["basis"] != _basis(run):
        state = project(unreduced, run.reduced.Q)  # another machine: the same run to rounding
    return run, History(saved.history["costs"], rows, saved.history["alignment"], state)


def identity(run: Run) -> str:
    """A hash of all that its steps depend on, but for how many there are and for where the data lies."""
    settings = dataclasses.replace(run.settings, data=None, iterations=None, epochs=None)
    return hashlib.sha256(repr((run.dataset.fingerprint, settings, run.batch_size)).encode()).hexdigest()


def _portable(run: Run, state: Any) -> tuple:
    """The state, and, of a run in reduced inputs, the state in all inputs.

    With the second a run goes on where the factorisation of the inputs comes out otherwise, and with the first, where
    it comes out the same, to the last bit.
    """
    return state, None if run.reduced is None else in_all_inputs(state, run.basis)


def _basis(run: Run) -> str:
    """What the state of a run in reduced inputs belongs to."""
    return "" if run.reduced is None else hashlib.sha256(np.asarray(run.reduced.Q).tobytes()).hexdigest()
