"""State out and back: the checkpoints of a run, written in the background and never half chosen."""

import contextlib
import importlib.util
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

from .errors import InputError


LATEST = 3  # so many of the newest are kept, and the best


class Saved(NamedTuple):
    """What a checkpoint holds."""

    iteration: int
    state: Any  # parameters and optimizer state: a pytree of arrays
    history: dict[str, Any]  # what JSON can hold


class Checkpoints:
    """A folder of checkpoints, each named after its iteration; a context manager, which waits for the last at its end.

    Written by orbax: to a folder of another name first, which is renamed once everything is in it, so that whatever
    ends the process, a checkpoint is there as a whole or not at all. Orbax is imported with the first one.
    """

    def __init__(self, folder: Path):
        self._folder = folder.resolve()
        self._opened: Any = None

    @staticmethod
    def available() -> bool:
        """Is orbax installed?"""
        return importlib.util.find_spec("orbax") is not None

    @property
    def _manager(self) -> Any:
        if self._opened is None:
            self._opened = _open(self._folder)
        return self._opened

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            with _written(self._folder):
                self._opened.close()

    def save(self, saved: Saved, cost: float | None = None) -> None:
        """Starts to write, unless it is there; the one before has been written by then.

        `cost`, if known, tells the best.
        Raises `InputError` where it, or the one before, cannot be written, a full disk say; older ones stay.
        """
        metrics = None if cost is None or not math.isfinite(cost) else {"cost": cost}
        with _written(self._folder):
            manager = self._manager
            if saved.iteration in manager.all_steps():
                return
            from orbax.checkpoint import args

            items = args.Composite(state=args.StandardSave(_flat(saved.state)), history=args.JsonSave(saved.history))
            manager.save(saved.iteration, args=items, metrics=metrics, force=True)

    def wait(self) -> None:
        """Until what was saved is on disk. Raises `InputError` where it cannot be."""
        with _written(self._folder):
            self._manager.wait_until_finished()

    def latest(self, like: Any) -> Saved | None:
        """The newest checkpoint, its state in the structure of the pytree `like`; None where there is none."""
        return self._load("latest_step", like)

    def best(self, like: Any) -> Saved | None:
        """The checkpoint of the smallest cost."""
        return self._load("best_step", like)

    def _load(self, which: str, like: Any) -> Saved | None:
        if not self._folder.is_dir():
            return None
        iteration = getattr(self._manager, which)()
        if iteration is None:
            return None
        from orbax.checkpoint import args

        abstract = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in _flat(like).items()}
        items = args.Composite(state=args.StandardRestore(abstract), history=args.JsonRestore())
        try:
            restored = self._manager.restore(iteration, args=items)
        except (ValueError, OSError, KeyError) as error:
            raise InputError(
                f"the checkpoint {self._folder / str(iteration)} cannot be read: {_first_line(error)}; remove it to "
                "go on from the one before"
            ) from error
        leaves = [restored["state"][name] for name in _flat(like)]
        return Saved(iteration, jax.tree.unflatten(jax.tree.structure(like), leaves), restored["history"])


def _open(folder: Path) -> Any:
    try:
        from orbax.checkpoint import CheckpointManager, CheckpointManagerOptions
        from orbax.checkpoint.checkpoint_managers import preservation_policy as policies
    except ImportError as error:
        raise InputError("checkpoints are written by orbax: pip install 'jaxnet[photos]'") from error
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # what goes wrong is raised, and said by us
    kept = [
        policies.LatestN(n=LATEST),
        policies.BestN(get_metric_fn=_badness, reverse=True, n=1, keep_checkpoints_without_metrics=False),
    ]
    options = CheckpointManagerOptions(
        best_fn=_badness,
        best_mode="min",
        preservation_policy=policies.AnyPreservationPolicy(kept),
        cleanup_tmp_directories=True,
        save_root_metadata=False,
    )
    return CheckpointManager(folder, options=options)


def _badness(metrics: Any) -> float:
    return metrics["cost"]


def _flat(tree: Any) -> dict[str, Any]:
    """The leaves by name: orbax then need not know optax's classes, of which versions differ."""
    return {f"{i:04d}": jax.numpy.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


@contextlib.contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"a checkpoint cannot be written to {folder}: {_first_line(error)}; those that are there stay good"
        ) from error


def _first_line(error: Exception) -> str:
    return f"{str(error).splitlines()[0]:.300}" if str(error) else type(error).__name__
