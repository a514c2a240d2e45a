"""jaxnet train"""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..text import printable_lines
from .image_bar import image_bar
from .models import load_exactly
from .options import DONE, FAILED, STRAIGHT_THROUGH, TRACKERS, from_zero
from .stopping import Stop
from .train_options import add_settings, settings_of, typed
from .train_text import angles_text, print_plan, print_scores, say


if TYPE_CHECKING:
    from ..crosscheck import Report
    from ..data import Dataset
    from ..hooks import Tracker
    from ..model import Model
    from ..runs import History, Run, Settings
    from ..training import Checkpoints, Hook, Progress
    from ..types import Parameters


CHECKED_EXAMPLES = 64


def add(commands: Any) -> None:
    """The options of `jaxnet train`."""
    parser = commands.add_parser(
        "train",
        help="train a network on images or a table, test it, and check its gradient",
        description="Trains a network, tests it on held-out examples, checks its gradient against jax.grad, and "
        "writes the model, its history and a report to a folder.",
    )
    parser.set_defaults(command=run)
    add_settings(parser)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a TOML file with any of the options of data, network and training"
    )
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/<time>)")
    output.add_argument("--overwrite", action="store_true", help="replace the run in DIR, its checkpoints too")
    output.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in DIR (default: the newest in runs/); give DATA if it has moved, and --epochs or "
        "--num-iterations to train longer",
    )
    output.add_argument(
        "--checkpoint-every",
        type=from_zero,
        default=10.0,
        metavar="S",
        help="seconds between checkpoints (default: 10)",
    )
    output.add_argument(
        "--tracker",
        action="append",
        choices=TRACKERS,
        default=[],
        metavar="NAME",
        help=f"log costs, accuracies and signals: one of {', '.join(TRACKERS)}; may be given several times",
    )
    output.add_argument(
        "--tensorboard",
        dest="tracker",
        action="append_const",
        const="tensorboard",
        help="short for --tracker tensorboard, which writes to DIR/tensorboard",
    )
    output.add_argument("--verbose", action="store_true", help="print the gradient check in full")


def run(options: argparse.Namespace) -> int:
    """Trains, tests, checks the gradient, and writes the run folder."""
    from dataclasses import replace

    from .. import runs
    from ..hooks import trackers
    from ..runs import folder as run_folder

    for name in options.tracker:
        trackers.check_tracker(name)
    if options.resume:
        return _resume(options)
    chosen = settings_of(options, options.config)
    _set_up(chosen.get("dtype"), chosen.get("devices", 1))
    initial = None
    if "init_from" in chosen:
        initial = load_exactly(Path(chosen["init_from"]))
        chosen = _network_of(initial) | chosen
    settings = runs.Settings(**chosen)
    dataset = _load(settings, options.stop)
    found = runs.defaults_for(runs.facts_of(dataset, settings), chosen)
    settings = replace(settings, **found)
    if settings.data is not None:  # the run may be resumed in another folder
        settings = replace(settings, data=os.path.abspath(settings.data))
    run = _prepare(dataset, settings, initial, options.stop)
    folder = run_folder.open_folder(options.out, options.overwrite)
    with run_folder.locked(folder), _checkpoints(folder, options) as checkpoints:
        run_folder.remove_checkpoints(folder)
        facts = {"fingerprint": dataset.fingerprint, "steps": run.num_iterations, "chunk": run.chunk}
        facts |= {"chosen": list(found)} | run_folder.keep_initial(folder, initial)
        runs.write_settings(folder, settings, facts)
        print_plan(run, facts)
        return _train_and_write(run, runs.History(), folder, checkpoints, facts, options)


def _resume(options: argparse.Namespace) -> int:
    from .. import runs
    from ..runs import folder as run_folder

    if options.overwrite or options.config is not None:
        raise InputError("--resume takes its settings from the run; expected no --config and no --overwrite")
    folder = options.out or run_folder.latest_folder()
    facts = runs.read_run(folder)
    before = runs.Settings(**settings_of(argparse.Namespace(), folder / runs.FILE))
    settings = _continued(typed(options), before, folder)
    finished = facts.pop("finished", None)
    done = f"finished  {folder}: all {finished} steps are done; add --epochs N or --num-iterations N to train longer"
    if finished is not None and (settings.num_iterations, settings.epochs) == (before.num_iterations, before.epochs):
        say(done)
        return DONE
    if finished is not None and finished < facts["steps"]:
        raise InputError(
            f"--early-stopping ended the run in {folder} after {finished} steps, and would end a longer one there; "
            f"start another from its model: --init-from {folder}"
        )
    if "chunk" not in facts:
        raise InputError(
            f"the run in {folder} was made by an older jaxnet, whose steps this one cannot repeat; start another from "
            f"its model: --init-from {folder}"
        )
    _set_up(settings.dtype, settings.devices)
    dataset = _load_again(settings, facts["fingerprint"], folder, options.stop)
    run = _prepare(dataset, settings, run_folder.read_initial(folder, facts), options.stop, facts["chunk"])
    _check_longer(run, facts["steps"], folder)
    if finished is not None and run.num_iterations == facts["steps"]:  # in other words
        say(done)
        return DONE
    with run_folder.locked(folder), _checkpoints(folder, options) as checkpoints:
        run, history = runs.restore(checkpoints, run, _warn)
        if settings != before:
            facts["steps"] = run.num_iterations
            facts["chosen"] = [name for name in facts["chosen"] if getattr(settings, name) == getattr(before, name)]
            runs.write_settings(folder, settings, facts)
        print_plan(run, facts)
        say(f"resumed   {folder} after {history.steps} steps")
        return _train_and_write(run, history, folder, checkpoints, facts, options)


def _checkpoints(folder: Path, options: argparse.Namespace) -> "Checkpoints":
    from .. import runs
    from ..runs import folder as run_folder

    return runs.Checkpoints(folder / run_folder.CHECKPOINTS, seconds=options.checkpoint_every)


def _load_again(settings: "Settings", fingerprint: str, folder: Path, stop: Stop) -> "Dataset":
    dataset = _load(settings, stop)
    if dataset.fingerprint != fingerprint:
        raise InputError(
            f"the data of {folder} has changed since: {settings.data} now has the fingerprint "
            f"{dataset.fingerprint[:12]}, and had {fingerprint[:12]}; restore the old data, or train anew"
        )
    return dataset


def _continued(chosen: dict[str, Any], before: "Settings", folder: Path) -> "Settings":
    """The settings of the run with what may be typed to resume it: where the data is now, and more steps."""
    from dataclasses import replace

    if "data" in chosen:
        chosen["data"] = os.path.abspath(chosen["data"])
    free = {"data": before.data, "num_iterations": before.num_iterations, "epochs": before.epochs}
    for name, value in chosen.items():
        if name not in free and value != getattr(before, name):
            raise InputError(
                f"--{name.replace('_', '-')} is {value}, but the run in {folder} was started with "
                f"{getattr(before, name)}; resume it without that option, or train anew"
            )
    if {"num_iterations", "epochs"} & set(chosen):  # either may be typed, whichever the run was started with
        free |= {"num_iterations": None, "epochs": None}
    return replace(before, **free | {name: chosen[name] for name in free if name in chosen})


def _check_longer(run: "Run", before: int, folder: Path) -> None:
    if run.num_iterations < before:
        raise InputError(
            f"{run.num_iterations} steps are asked for, but the run in {folder} has {before}; expected more"
        )
    if run.num_iterations > before and run.settings.schedule == "cosine":
        raise InputError(
            f"the run in {folder} has {before} steps, and with --schedule cosine every learning rate depends on their "
            f"number; start another run from its model: --init-from {folder}"
        )


def _network_of(model: "Model") -> dict[str, Any]:
    """The settings that are the model's own unless others are chosen, which then do not fit."""
    from ..model import described

    said, _ = described(model)
    layers = tuple(said["layer_dims"][1:-1])
    return {
        "layers": layers,
        "hidden": said["hidden"],
        "standardise": model.preprocessing.mean is not None,
        "exact_decoding": model.exact_decoding,
        "features": said.get("features", {}).get("kind"),
    }


def _set_up(dtype: str | None, devices: int) -> None:
    """What JAX has to know before it starts."""
    import jax

    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    if devices > 1:
        with contextlib.suppress(RuntimeError):  # it has started already, in a process that does more than this
            jax.config.update("jax_num_cpu_devices", devices)


def _train_and_write(
    run: "Run",
    history: "History",
    folder: Path,
    checkpoints: "Checkpoints",
    facts: dict[str, Any],
    options: argparse.Namespace,
) -> int:
    from .. import runs
    from ..runs import folder as run_folder
    from ..training import NotFiniteError

    try:
        parameters = _train_with_progress(run, history, folder, checkpoints, options)
        return _test_and_write(run, history, parameters, folder, facts, options.stop, options.verbose)
    except NotFiniteError as error:
        stops_early = run.settings.early_stopping is not None and bool(history.rows)
        run_folder.write(folder, run, runs.kept(run, history) if stops_early else error.parameters, history)
        kept = f"; those of step {history.rows[history.best_row()].iteration} were the best" if stops_early else ""
        _warn(f"{error}{kept}, in {folder}")
        return FAILED
    except (InputError, OSError):  # a checkpoint or a report that cannot be written must not lose the model
        with contextlib.suppress(InputError, OSError):
            if history.state is not None:
                run_folder.write(folder, run, runs.kept(run, history), history)
        raise
    except KeyboardInterrupt:
        if history.state is None:
            raise
        run_folder.write(folder, run, runs.kept(run, history), history)
        runs.save(checkpoints, run, history)
        checkpoints.wait()
        text = f"{options.stop.name}; the model of {history.steps} steps is in {folder}"
        _warn(f"{text}\n        to go on: jaxnet train --resume --out {folder}")
        return options.stop.exit_code


def _test_and_write(
    run: "Run",
    history: "History",
    parameters: "Parameters",
    folder: Path,
    facts: dict[str, Any],
    stop: Stop,
    verbose: bool,
) -> int:
    """All of it is written before any of it is printed: whoever reads may leave at the first line."""
    from .. import runs
    from ..diagnosis import command
    from ..runs import folder as run_folder

    written = run_folder.write(folder, run, parameters, history)
    row = history.rows[history.best_row()] if run.settings.early_stopping else history.rows[-1]
    probabilities = run_folder.test_probabilities(run, parameters)
    verdicts = runs.Watch(run).diagnosis(history, parameters, probabilities).lines(command)
    stop.check()
    report = _check(run, parameters)
    stop.check()
    checked = "" if report is None else _words(report)
    table = "" if report is None else str(report.table())
    drawn = run_folder.draw(folder, run, parameters, history, probabilities, f"{checked}\n\n{table}".strip(), verdicts)
    runs.write_settings(folder, run.settings, facts | {"finished": history.steps})
    if run.settings.early_stopping is not None:
        print(f"kept      the parameters of step {row.iteration}, where the validation cost was smallest")
    print(f"cost      {row.cost:.6f}")
    print_scores(run, row, probabilities)
    print("verdict   " + "\n          ".join(verdicts))
    if history.alignment and run.settings.layers:
        print(f"angles    {angles_text(history.alignment[-1])}")
    if report is None:
        print("check     none: a straight-through backward is not a derivative, and autodiff's is 0")
    else:
        print(f"check     {checked}")
        if verbose or not report.agrees:
            print("\n".join(f"          {line}" for line in [report.reason, *table.splitlines()]))
    say(f"saved     {folder}: {', '.join([*written, *drawn])}")
    if not drawn:
        print("          (for a report and figures of the run: pip install 'jaxnet[demo]')")
    return DONE if report is None or report.agrees else FAILED


def _words(report: "Report") -> str:
    verdict = "agrees with" if report.agrees else "does not agree with"
    return f"L_model_backward {verdict} jax.grad, in float64 on some of the training examples"


def _warn(text: str) -> None:
    print(printable_lines(f"jaxnet: {text}"), file=sys.stderr)


def _load(settings: "Settings", stop: Stop) -> "Dataset":
    from ..data import load_dataset

    with image_bar(stop, "decoding") as show:
        return load_dataset(
            None if settings.data is None else Path(settings.data),
            test_fraction=settings.test_fraction,
            seed=settings.seed,
            size=settings.size,
            grey=settings.grey,
            exact_decoding=settings.exact_decoding,
            on_image=show,
            regression=settings.regression,
            labels=settings.label or (),
            categories=settings.categories or (),
            drop=settings.drop or (),
        )


def _prepare(
    dataset: "Dataset", settings: "Settings", initial: "Model | None", stop: Stop, chunk: int | None = None
) -> "Run":
    from .. import runs

    with image_bar(stop, "features") as show:
        return runs.prepare(dataset, settings, initial, chunk, show)


def _train_with_progress(
    run: "Run", history: "History", folder: Path, checkpoints: "Checkpoints", options: argparse.Namespace
) -> "Parameters":
    from dataclasses import asdict

    from tqdm import tqdm

    from .. import runs
    from ..diagnosis import command, symptom_line
    from ..hooks import trackers

    batch = run.batch_size or len(run.train.labels)
    watch = runs.Watch(run)
    with contextlib.ExitStack() as stack:
        names = dict.fromkeys(options.tracker)
        opened = [stack.enter_context(trackers.tracker_of(name, folder, asdict(run.settings))) for name in names]
        total, made = run.num_iterations * batch, history.steps * batch
        often = 0.1 if sys.stderr.isatty() else 10  # seconds: a log keeps every state of the bar
        bar = stack.enter_context(tqdm(total=total, initial=made, unit=" examples", unit_scale=True, mininterval=often))

        def show(progress: "Progress") -> None:
            options.stop.check()
            text = f"step {progress.iteration}/{run.num_iterations}, cost {progress.costs[-1]:.4f}"
            bar.set_description(text, refresh=False)
            bar.update(progress.iteration * batch - bar.n)
            for symptom in watch.new_symptoms(history):
                tqdm.write(f"jaxnet: {symptom_line(symptom, command)}", file=sys.stderr)

        hooks: list[Hook] = [show, *(_logging(tracker, run, history) for tracker in opened)]
        return runs.execute(run, history, hooks, checkpoints)


def _logging(tracker: "Tracker", run: "Run", history: "History") -> "Hook":
    """Every row of the history for a tracker."""

    def log(progress: "Progress") -> None:
        if not history.rows or history.rows[-1].iteration < progress.iteration:
            return
        values = {name: column[-1] for name, column in history.columns(run.score).items() if name != "iteration"}
        named = {name.replace("watched", run.watched_name): value for name, value in values.items()}
        tracker.write(progress.iteration, named)

    return log


def _check(run: "Run", parameters: "Parameters") -> "Report | None":
    """The check of L_model_backward for this network; None for an activation whose backward is not a derivative."""
    import numpy as np

    from ..crosscheck import check_backward
    from ..data import targets

    if run.settings.layers and run.settings.hidden in STRAIGHT_THROUGH:
        return None
    m = len(run.train.labels)
    some = run.train.take(np.arange(0, m, -(-m // CHECKED_EXAMPLES)))
    X = run.all_columns(some.rows[:], run.dtype)
    Y = targets(some.labels, run.dataset.classes)
    return check_backward(X, Y, parameters, run.network.by_backprop, thorough=False)
