"""jaxnet train"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .options import DONE, FAILED, INTERRUPTED, STRAIGHT_THROUGH, from_zero
from .train_options import add_settings, settings_of, typed


if TYPE_CHECKING:
    from ..checkpoint import Checkpoints
    from ..crosscheck import Report
    from ..data import Dataset
    from ..runs import History, Row, Run
    from ..settings import Settings
    from ..types import Parameters


CHECKED_EXAMPLES = 64


def add(commands: Any) -> None:
    """What `jaxnet train` takes."""
    parser = commands.add_parser(
        "train",
        help="train a network on pictures, test it, and check its gradient",
        description="Trains a network, tests it on pictures held out, checks its gradient against jax.grad, and "
        "writes the model, the history and a report to a folder.",
    )
    parser.set_defaults(command=run)
    add_settings(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file with any of the options above")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/<time>)")
    output.add_argument("--overwrite", action="store_true", help="replace the run in DIR, its checkpoints too")
    output.add_argument(
        "--resume", action="store_true", help="go on with the run in DIR (default: the newest in runs/)"
    )
    output.add_argument(
        "--checkpoint-every",
        type=from_zero,
        default=10.0,
        metavar="S",
        help="seconds between two checkpoints (default: 10)",
    )
    output.add_argument("--tensorboard", action="store_true", help="log scalars for TensorBoard to DIR/tensorboard")


def run(options: argparse.Namespace) -> int:
    """Trains, tests, checks the gradient, and writes the run folder."""
    from .. import run_folder, runs
    from ..checkpoint import Checkpoints
    from ..settings import write_settings

    if options.resume:
        return _resume(options)
    settings = settings_of(options, options.config)
    _set_precision(settings)
    run = runs.prepare(_load(settings), settings)
    folder = run_folder.open_folder(options.out, options.overwrite)
    with run_folder.locked(folder), Checkpoints(folder / run_folder.CHECKPOINTS) as checkpoints:
        run_folder.remove_checkpoints(folder)
        write_settings(folder, settings, run.dataset.fingerprint)
        _print_plan(run)
        return _train_and_write(run, runs.History(), folder, checkpoints, options)


def _resume(options: argparse.Namespace) -> int:
    from .. import run_folder, runs
    from ..checkpoint import Checkpoints
    from ..settings import FILE, digest, read_run

    if options.overwrite or options.config is not None:
        raise InputError("--resume takes its settings from the run; expected no --config and no --overwrite")
    folder = options.out or run_folder.latest_folder()
    so_far = read_run(folder)
    settings = settings_of(argparse.Namespace(), folder / FILE)
    _check_same_settings(typed(options), settings, folder)
    if so_far.get("options") != digest(settings):
        raise InputError(
            f"{folder / FILE} was edited since the run was started; undo that, or train anew with --config"
        )
    if "finished" in so_far:
        print(f"finished  {folder}: all its {so_far['finished']} steps are made")
        return DONE
    _set_precision(settings)
    dataset = _load(settings)
    if dataset.fingerprint != so_far.get("fingerprint"):
        raise InputError(
            f"the data of {folder} has changed since: {settings.data} now has the fingerprint "
            f"{dataset.fingerprint[:12]}, and had {str(so_far.get('fingerprint'))[:12]}; bring the old data back, or "
            "train anew"
        )
    run = runs.prepare(dataset, settings)
    _print_plan(run)
    with run_folder.locked(folder), Checkpoints(folder / run_folder.CHECKPOINTS) as checkpoints:
        history = runs.restore(checkpoints, run)
        print(f"resumed   {folder} after {history.rows[-1].iteration if history.rows else 0} steps")
        return _train_and_write(run, history, folder, checkpoints, options)


def _set_precision(settings: "Settings") -> None:
    if settings.dtype == "float64":
        import jax

        jax.config.update("jax_enable_x64", True)


def _train_and_write(
    run: "Run", history: "History", folder: Path, checkpoints: "Checkpoints", options: argparse.Namespace
) -> int:
    from .. import run_folder, runs
    from ..settings import write_settings
    from ..training import NotFiniteError

    try:
        parameters = _train_with_progress(run, history, folder, checkpoints, options)
    except NotFiniteError as error:
        stops_early = run.settings.early_stopping is not None and bool(history.rows)
        run_folder.write(folder, run, runs.kept(run, history) if stops_early else error.parameters, history)
        kept = f"; those of step {history.rows[history.best()].iteration} were the best" if stops_early else ""
        print(f"jaxnet: {error}{kept}, in {folder}", file=sys.stderr)
        return FAILED
    except (InputError, OSError):  # a checkpoint that cannot be written is no reason to lose the model
        if history.state is not None:
            run_folder.write(folder, run, runs.kept(run, history), history)
        raise
    except KeyboardInterrupt:
        if history.state is None:
            raise
        run_folder.write(folder, run, runs.kept(run, history), history)
        steps = history.rows[-1].iteration
        print(f"jaxnet: interrupted; the model of {steps} steps is in {folder}", file=sys.stderr)
        if checkpoints.available():
            runs.save(checkpoints, run, history)
            checkpoints.wait()
            print(f"        to go on: jaxnet train --resume --out {folder}", file=sys.stderr)
        return INTERRUPTED
    written = run_folder.write(folder, run, parameters, history)
    row = history.rows[history.best()] if run.settings.early_stopping else history.rows[-1]
    probabilities = run_folder.test_probabilities(run, parameters)
    test_accuracy = float((probabilities.argmax(axis=0) == run.dataset.test.labels).mean())
    watched = "" if run.watched_name == "test" else f", {run.watched_name} {row.watched_accuracy:.4f}"
    if run.settings.early_stopping is not None:
        print(f"kept      the parameters of step {row.iteration}, where the validation cost was smallest")
    print(f"cost      {row.cost:.6f}")
    print(f"accuracy  train {row.train_accuracy:.4f}{watched}, test {test_accuracy:.4f}")
    if history.alignment and run.settings.layers:
        print(f"angles    {_angles(history.alignment[-1])}")
    report = _check(run, parameters)
    if report is None:
        print("check     none: a straight-through backward is no derivative, and autodiff's is 0")
    else:
        verdict = "agrees with" if report.agrees else "does not agree with"
        print(f"check     L_model_backward {verdict} jax.grad, in float64 on some of the training examples:")
        print("\n".join(f"          {line}" for line in [report.reason, *report.table().splitlines()]))
    table = "" if report is None else str(report.table())
    drawn = run_folder.draw(folder, run, parameters, history, probabilities, table)
    write_settings(folder, run.settings, run.dataset.fingerprint, finished=history.rows[-1].iteration)
    print(f"saved     {folder}: {', '.join([*written, *drawn])}")
    if not drawn:
        print("          (for a report and pictures of the run: pip install 'jaxnet[demo]')")
    return DONE if report is None or report.agrees else FAILED


def _angles(row: dict[str, float]) -> str:
    """Of the errors that reach the hidden layers, of the first and the last of many."""
    said = [f"dZ{l} {row[f'angle_dZ_{l}']:.0f}" for l in range(1, len(row)) if f"angle_dZ_{l}" in row]
    if len(said) > 6:
        said = [*said[:3], "...", *said[-2:]]
    return f"{', '.join(said)} degrees from backpropagation's, before step {row['iteration']}"


def _check_same_settings(chosen: dict[str, Any], settings: "Settings", folder: Path) -> None:
    for name, value in chosen.items():
        before = getattr(settings, name)
        if value != before:
            raise InputError(
                f"--{name.replace('_', '-')} is {value}, but the run in {folder} was started with {before}; resume "
                "it without that option, or train anew"
            )


def _load(settings: "Settings") -> "Dataset":
    from tqdm import tqdm

    from ..data import load_dataset

    with tqdm(unit=" pictures", desc="decoding", delay=0.5, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return load_dataset(
            None if settings.data is None else Path(settings.data),
            test_fraction=settings.test_fraction,
            seed=settings.seed,
            size=settings.size,
            grey=settings.grey,
            on_picture=show,
        )


def _print_plan(run: "Run") -> None:
    from ..losses import binary_cross_entropy
    from ..parameters import layer_dims

    dataset, settings, dims = run.dataset, run.settings, layer_dims(run.parameters)
    m, held_out = len(run.train.labels), len(dataset.test.labels)
    shape = "x".join(map(str, dataset.input_shape))
    head = "sigmoid" if run.network.loss == binary_cross_entropy else "softmax"
    size = sum(value.size for value in run.parameters.values())
    watched = "" if run.watched_name == "test" else f"{len(run.watched.labels)} to watch, "
    print(f"data      {dataset.description}")
    print(f"          {m} to train on, {watched}{held_out} to test on, of shape {shape}: {', '.join(dataset.classes)}")
    for note in dataset.notes:
        print(f"          {note}")
    print(f"network   {'-'.join(map(str, dims))}, {settings.activation}, {head} output, {size:,} parameters")
    batch = f"batches of {run.batch_size}" if run.batch_size else f"all {m} examples"
    method = "gradient descent" if settings.optimizer == "sgd" else settings.optimizer
    if settings.feedback != "backprop":
        print(f"feedback  {settings.feedback.replace('_', ' ')}, recorded every {settings.recorded_every} steps")
    if run.reduced is not None:
        print(f"          inputs reduced {dims[0]} -> {run.reduced.Q.shape[1]}, lossless")
    print(f"training  {run.iterations} steps of {method}, learning rate {settings.first_rate}, {batch}")


def _train_with_progress(
    run: "Run", history: "History", folder: Path, checkpoints: "Checkpoints", options: argparse.Namespace
) -> "Parameters":
    from contextlib import nullcontext

    from tqdm import tqdm

    from .. import runs

    batch = run.batch_size or len(run.train.labels)
    made = history.rows[-1].iteration if history.rows else 0
    if options.tensorboard:
        from ..scalars import ScalarLog

        log = ScalarLog(folder / "tensorboard")
    else:
        log = nullcontext()
    with (
        log as scalars,
        tqdm(total=run.iterations * batch, initial=made * batch, unit=" examples", unit_scale=True) as bar,
    ):

        def show(row: "Row") -> None:
            bar.set_description(f"step {row.iteration}/{run.iterations}, cost {row.cost:.4f}", refresh=False)
            bar.update(row.iteration * batch - bar.n)
            if scalars is not None:
                values = {name: column[-1] for name, column in history.columns().items() if name != "iteration"}
                scalars.write(
                    row.iteration, {name.replace("watched", run.watched_name): v for name, v in values.items()}
                )

        keep = checkpoints if checkpoints.available() else None
        return runs.execute(run, history, show, keep, options.checkpoint_every)


def _check(run: "Run", parameters: "Parameters") -> "Report | None":
    """Is L_model_backward right for this network? None where its backward is meant to be no derivative."""
    import numpy as np

    from ..crosscheck import check_backward
    from ..data import targets

    if run.settings.layers and run.settings.activation in STRAIGHT_THROUGH:
        return None
    m = len(run.train.labels)
    some = run.train.take(np.arange(0, m, -(-m // CHECKED_EXAMPLES)))
    X = run.scaling.columns(some.rows[:], run.dtype)
    Y = targets(some.labels, run.dataset.classes)
    return check_backward(X, Y, parameters, run.network.by_backprop, thorough=False)
