"""Numbers on the way, for trackers such as TensorBoard, Weights & Biases and MLflow."""

import importlib.util
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

from ..errors import InputError
from ..training import Progress


Measure: TypeAlias = Callable[[Progress], Mapping[str, Any]]  # further numbers to log, by their names
Write: TypeAlias = Callable[[int, dict[str, float]], Any]


class Tracker:
    """A hook that logs numbers after every chunk; as `log` and `tensorboard` make it.

    A context manager too, which closes what it writes to at the end of the block.
    """

    def __init__(self, write: Write, measures: tuple[Measure, ...] = (), close: Callable[[bool], Any] | None = None):
        for measure in measures:
            if not callable(measure):
                raise InputError(
                    f"{measure!r:.60} is not a function; expected what takes a Progress and returns numbers by their "
                    "names, such as validation.measured"
                )
        self._write, self._measures, self._close = write, measures, close

    def __call__(self, progress: Progress) -> None:
        """Logs the cost before the last step, and what the measures return."""
        values: dict[str, Any] = {"cost": progress.costs[-1]}
        for measure in self._measures:
            measured = measure(progress)
            if not isinstance(measured, Mapping):
                raise InputError(f"a measure returned {measured!r:.60}; expected numbers by their names")
            values |= measured
        self.write(progress.iteration, values)

    def write(self, iteration: int, values: Mapping[str, Any]) -> None:
        """The values after `iteration` steps, each under its name; names such as `cost/train` are drawn in groups."""
        try:
            numbers = {name: float(value) for name, value in values.items()}
        except (TypeError, ValueError) as error:
            raise InputError(f"a tracker was given {dict(values)!s:.99}; expected numbers by their names") from error
        self._write(iteration, numbers)

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._close is not None:
            self._close(kind is not None)


def log(f: Callable[..., Any], *measures: Measure) -> Tracker:
    """A hook that calls `f` after every chunk, with the number of steps made and a dict of numbers: at first the cost.

    It is `f(values, step=steps)` where `f` has a parameter `step` after its first one, as wandb's `run.log` and
    `mlflow.log_metrics` do, and else `f(steps, values)`.

    Args:
        f: What logs.
        measures: Functions of the `Progress` that return more numbers by their names, such as the method `measured` of
            a `Validation`.

    Raises:
        InputError: for anything but functions.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> hook = jaxnet.hooks.log(lambda steps, values: print(steps, list(values)))
        >>> trained = jaxnet.train(X, Y, parameters, num_iterations=200, on_chunk=hook)
        100 ['cost']
        200 ['cost']
    """
    if not callable(f):
        raise InputError(f"{f!r:.60} is not a function; expected one such as wandb's run.log or mlflow.log_metrics")
    if _takes_step(f):
        return Tracker(lambda iteration, values: f(values, step=iteration), measures)
    return Tracker(f, measures)


def _takes_step(f: Callable[..., Any]) -> bool:
    try:
        return "step" in list(inspect.signature(f).parameters)[1:]
    except (TypeError, ValueError):  # functions written in C may have no signature
        return False


def tensorboard(folder: str | os.PathLike[str], *measures: Measure) -> Tracker:
    """A hook that writes the cost, and what `measures` return, for `tensorboard --logdir FOLDER`.

    The folder is made where it is missing; TensorBoard shows all event files of a folder as one run. See `log` for the
    measures. Raises `InputError` where tensorboardX is missing or the folder cannot be written to.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> with jaxnet.hooks.tensorboard("log") as board:
        ...     trained = jaxnet.train(X, Y, parameters, num_iterations=200, on_chunk=board)
    """
    check_tracker("tensorboard")
    from tensorboardX import SummaryWriter

    try:
        writer = SummaryWriter(os.fspath(folder), flush_secs=5)
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error}; expected a folder for TensorBoard") from error

    def write(iteration: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, iteration)

    return Tracker(write, measures, lambda failed: writer.close())


def tracker_of(name: str, folder: Path, settings: Mapping[str, Any]) -> Tracker:
    """The tracker of this name for the run in `folder`, of those in `TRACKERS`.

    Raises `InputError` for an unknown one, and where its package is missing or it cannot start.
    """
    check_tracker(name)
    return TRACKERS[name].open(folder, settings)


def check_tracker(name: str) -> None:
    """Raises `InputError` for an unknown tracker, and where its package is missing."""
    if name not in TRACKERS:
        raise InputError(f"the tracker is {name!r:.60}; expected one of {', '.join(TRACKERS)}")
    kind = TRACKERS[name]
    if importlib.util.find_spec(kind.package) is None:
        raise InputError(f"the tracker {name} needs the package {kind.package}: pip install {kind.install}")


def _wandb(folder: Path, settings: Mapping[str, Any]) -> Tracker:
    """A run of the project jaxnet; the environment chooses others, as WANDB_PROJECT and WANDB_MODE=offline do."""
    import wandb  # pyright: ignore[reportMissingImports]

    try:
        project = os.environ.get("WANDB_PROJECT", "jaxnet")
        run = wandb.init(project=project, name=folder.name, dir=str(folder), config=dict(settings))
    except Exception as error:  # its own, its service's, or the network's
        raise InputError(
            f"wandb cannot start: {_line(error)}; log in, or set WANDB_MODE=offline to write to {folder}"
        ) from error
    write = _guarded("wandb", lambda steps, values: run.log(values, step=steps))
    return Tracker(write, close=lambda failed: run.finish(int(failed)))


def _mlflow(folder: Path, settings: Mapping[str, Any]) -> Tracker:
    """A run where MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME say."""
    import mlflow  # pyright: ignore[reportMissingImports]

    try:
        mlflow.start_run(run_name=folder.name)
        mlflow.log_params(dict(settings))
    except Exception as error:  # its own, its server's, or the network's
        raise InputError(f"mlflow cannot start: {_line(error)}; MLFLOW_TRACKING_URI says where it writes to") from error
    return Tracker(
        _guarded("mlflow", lambda steps, values: mlflow.log_metrics(values, step=steps)),
        close=lambda failed: mlflow.end_run("FAILED" if failed else "FINISHED"),
    )


def _guarded(name: str, write: Callable[[int, Any], Any]) -> Callable[[int, Any], Any]:
    """The same; its failure is an `InputError`, for which the command keeps the model."""

    def guarded(steps: int, values: Any) -> None:
        try:
            write(steps, values)
        except Exception as error:  # its own, its service's, or the network's
            raise InputError(f"the tracker {name} failed: {_line(error)}; go on with --resume, without it") from error

    return guarded


def _line(error: Exception) -> str:
    return " ".join(f"{error}".split())[:200].rstrip(".") or type(error).__name__


class Kind(NamedTuple):
    """A tracker that the command knows by name."""

    package: str
    install: str
    open: Callable[[Path, Mapping[str, Any]], Tracker]


TRACKERS = {
    "tensorboard": Kind(
        "tensorboardX", "'jaxnet[tensorboard]'", lambda folder, settings: tensorboard(folder / "tensorboard")
    ),
    "wandb": Kind("wandb", "'jaxnet[wandb]'", _wandb),
    "mlflow": Kind("mlflow", "'jaxnet[mlflow]'", _mlflow),
}
