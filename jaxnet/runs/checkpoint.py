"""The checkpoints of a run, written in the background, and verified before they are used."""

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ..errors import InputError
from ..storage import durable, tensors


LATEST = 3  # so many are kept: where the newest is damaged, the one before it is taken
SUFFIX, DAMAGED = ".safetensors", ".damaged"


class Saved(NamedTuple):
    """What a checkpoint holds."""

    iteration: int
    state: Any  # parameters and optimizer state: a pytree of arrays
    history: dict[str, Any]  # what JSON can hold


class Checkpoints:
    """A folder of checkpoints, each a file named after its iteration; a context manager, which waits for the last.

        FOLDER/100.safetensors     the leaves of the state; the history as JSON and a digest of all in its metadata

    A file is there as a whole or not at all, whatever ends the process or the machine: see `durable`.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future | None = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.wait()
        except InputError:
            if kind is None:  # else the block already raises what is to be reported
                raise
        finally:
            self._writer.shutdown()

    def save(self, saved: Saved) -> None:
        """Starts to write; the one before has been written by then.

        Raises `InputError` where the one before could not be written, for example for want of room; older ones stay.
        """
        self.wait()
        self._written = self._writer.submit(self._write, saved)

    def wait(self) -> None:
        """Until what was saved is on disk. Raises `InputError` where it cannot be."""
        written, self._written = self._written, None
        if written is None:
            return
        try:
            written.result()
        except OSError as error:
            raise InputError(
                f"a checkpoint cannot be written to {self._folder}: {error.strerror or error}; those that are there "
                "stay good"
            ) from error

    def latest(self, like: Callable[[dict[str, Any]], Any], skipped: Callable[[str], None]) -> Saved | None:
        """The newest that can be used; None where there is none.

        `like(history)` is a pytree of the structure, shapes and dtypes that the state has to have; None, and the
        checkpoint is passed over; or it raises `InputError`. One that cannot be used is named in a call of `skipped`,
        and set aside under another name.
        """
        for path in self._paths()[::-1]:
            try:
                saved = _read(path, like)
                if saved is not None:
                    return saved
            except InputError as error:
                skipped(f"a checkpoint is left out: {error}")
                with contextlib.suppress(OSError):
                    path.rename(path.with_name(path.name + DAMAGED))
        return None

    def _paths(self) -> list[Path]:
        """The checkpoints by their iteration."""
        named = [path for path in self._folder.glob(f"*{SUFFIX}") if path.stem.isascii() and path.stem.isdecimal()]
        return sorted(named, key=lambda path: int(path.stem))

    def _write(self, saved: Saved) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.asarray(leaf) for name, leaf in _flat(saved.state).items()}
        metadata = {"iteration": saved.iteration, "history": saved.history}
        content = tensors.encode(arrays, {name: json.dumps(value) for name, value in metadata.items()})
        durable.write(self._folder / f"{saved.iteration}{SUFFIX}", content)
        for path in self._paths()[:-LATEST]:
            path.unlink(missing_ok=True)


def _read(path: Path, like: Callable[[dict[str, Any]], Any]) -> Saved | None:
    arrays, metadata, verified = tensors.read(path)
    try:
        iteration, history = (json.loads(metadata[name]) for name in ("iteration", "history"))
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged, or no checkpoint of jaxnet") from error
    if not verified:
        raise InputError(f"{path} is damaged: it has lost its {tensors.DIGEST}")
    if path.stem != str(iteration):
        raise InputError(f"{path} is the checkpoint of step {iteration} under another name")
    tree = like(history)
    if tree is None:
        return None
    expected = {name: (leaf.shape, leaf.dtype) for name, leaf in _flat(tree).items()}
    if expected != {name: (array.shape, array.dtype) for name, array in arrays.items()}:
        raise InputError(f"{path} is of another network or optimizer: its arrays have other shapes or dtypes")
    leaves = [jax.device_put(arrays[name]) for name in expected]
    return Saved(iteration, jax.tree.unflatten(jax.tree.structure(tree), leaves), history)


def _flat(tree: Any) -> dict[str, Any]:
    """The leaves by number: a file then need not know optax's classes, of which versions differ."""
    return {f"{i:04d}": jax.numpy.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}
