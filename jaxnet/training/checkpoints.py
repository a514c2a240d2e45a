"""The checkpoints of a run, written in the background, and verified before they are used."""

import contextlib
import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..arguments import check_number
from ..errors import InputError
from ..storage import durable, tensors
from ..update import TrainState, check_state
from .input_basis import InputBasis


LATEST = 3  # so many are kept: where the newest is damaged, the one before it is taken
SUFFIX, DAMAGED = ".safetensors", ".damaged"
STATE, IN_ALL = "state", "in all inputs: "  # the name of a run's state; and before the names of trees in all inputs


class Saved(NamedTuple):
    """What a checkpoint holds."""

    iteration: int
    trees: Mapping[str, Any]  # pytrees of arrays by name, such as a `TrainState`
    history: dict[str, Any]  # what JSON can hold


class Checkpoints:
    """A folder of checkpoints, which `train(..., checkpoints=jaxnet.Checkpoints(folder))` writes and goes on from.

        FOLDER/100.safetensors     the state after 100 steps: parameters, optimizer state, feedback weights; a digest

    A script that is started again, after Ctrl-C, a crash or a power cut, goes on from the newest one, and ends with
    the same bits as if nothing had happened: minibatches, dropout, costs and the state of hooks among them. In reduced
    inputs that holds where their basis comes out the same, as on the same machine; elsewhere to within rounding.

    Each is written in the background, and is there as a whole or not at all. The last three are kept. A damaged one is
    reported in a warning and set aside, and the one before it is used; one of another run is refused. One process at a
    time may use a folder.

    Args:
        folder: Where they are kept. It is made where it is missing.
        seconds: The time between two checkpoints, from 0: after every chunk. There is one after the last step as well.

    Raises:
        InputError: for `seconds` below 0. And in `train`, before any work, where the folder cannot be written to, and
            where its checkpoints are of a run with other data, first parameters, network, optimizer or settings, which
            it names; more steps are no difference.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> trained = jaxnet.train(X, Y, parameters, num_iterations=300, checkpoints=jaxnet.Checkpoints("run"))
        >>> longer = jaxnet.train(X, Y, parameters, num_iterations=500, checkpoints=jaxnet.Checkpoints("run"))
        >>> int(longer.state.step), len(longer.costs), bool((longer.costs[:300] == trained.costs).all())
        (500, 500, True)
    """

    def __init__(self, folder: str | os.PathLike[str], *, seconds: float = 10.0):
        if not isinstance(folder, str | os.PathLike):
            raise InputError(f"folder is {folder!r:.60}; expected the path of a folder for checkpoints")
        check_number("seconds", seconds, "a number from 0, the time between two checkpoints", lambda s: s >= 0)
        self.seconds = float(seconds)
        self._folder = Path(folder)
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future | None = None
        self._passed: list[Path] = []  # what a run that goes on does not come through

    def __repr__(self) -> str:
        return f"Checkpoints({str(self._folder)!r}, seconds={self.seconds:g})"

    def __str__(self) -> str:
        return f"the checkpoints in {self._folder}"

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for the last one."""
        try:
            self.wait()
        except InputError:
            if kind is None:  # else the block already raises what is to be reported
                raise

    def restore(self, state: TrainState) -> TrainState:
        """The newest state in the folder, in all inputs, or `state` where there is none.

        `state` is one of the same network and optimizer, as `init_state` makes it. To go on with the run itself, pass
        the checkpoints to `train`; this is for what deliberately goes on otherwise, with another learning rate say.

        Raises `InputError` for a checkpoint of another network or optimizer.
        """
        check_state(state)
        if state.opt_state is None:
            raise InputError(
                "state has no opt_state; expected a whole one: pass init_state(parameters, optimizer, ...)"
            )
        first = state._replace(step=jnp.asarray(int(state.step), jnp.int32))

        def like(history: dict[str, Any]) -> dict[str, Any]:
            if history.get("opt_state", classes(first.opt_state)) != classes(first.opt_state):
                raise InputError(
                    f"{self} are of another optimizer, whose state is {history['opt_state']!s:.99}; expected "
                    f"{classes(first.opt_state)!s:.99}"
                )
            return {IN_ALL + STATE if history.get("basis") else STATE: first}

        saved = self.latest(like, warn)
        return state if saved is None else next(iter(saved.trees.values()))

    def prepare(self) -> None:
        """Makes the folder, and removes what was being written when a process was killed.

        Raises `InputError` where it cannot be written to.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self._folder} cannot be made: {error.strerror or error}; expected a folder for checkpoints"
            ) from error
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise InputError(f"{self._folder} cannot be written to; expected a folder for checkpoints")
        for path in self._folder.glob(f".*{SUFFIX}.*"):
            if re.fullmatch(rf"\.\d+{re.escape(SUFFIX)}\.\d+", path.name):
                path.unlink(missing_ok=True)

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

    def latest(
        self, like: Callable[[dict[str, Any]], Mapping[str, Any] | None], skipped: Callable[[str], None]
    ) -> Saved | None:
        """The newest that can be used; None where there is none.

        `like(history)` are the trees to read, of the structure, shapes and dtypes that they have to have; or None, and
        the checkpoint is passed over, and removed when another has been written. A damaged one is named in a call
        of `skipped`, and set aside under another name. Raises `InputError` for one of another network or optimizer, and
        whatever `like` raises.
        """
        self.wait()
        self._passed = []
        for path in self._paths()[::-1]:
            try:
                saved = _read(path, like)
            except _Damaged as error:
                skipped(f"a checkpoint is left out: {error}")
                with contextlib.suppress(OSError):
                    path.rename(path.with_name(path.name + DAMAGED))
                continue
            if saved is not None:
                return saved
            self._passed.append(path)
        return None

    def _paths(self) -> list[Path]:
        """The checkpoints by their iteration."""
        named = [path for path in self._folder.glob(f"*{SUFFIX}") if path.stem.isascii() and path.stem.isdecimal()]
        return sorted(named, key=lambda path: int(path.stem))

    def _write(self, saved: Saved) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{name}/{i:06d}": np.asarray(leaf) for name, tree in saved.trees.items() for i, leaf in _leaves(tree)
        }
        metadata = {"iteration": saved.iteration, "history": saved.history}
        content = tensors.encode(arrays, {name: json.dumps(value) for name, value in metadata.items()})
        new = self._folder / f"{saved.iteration}{SUFFIX}"
        durable.write(new, content)
        outdated, self._passed = [path for path in self._passed if path != new], []
        for path in [*outdated, *[path for path in self._paths() if path not in outdated][:-LATEST]]:
            path.unlink(missing_ok=True)


class _Damaged(InputError):
    """A file that is no longer what was written."""


def _read(path: Path, like: Callable[[dict[str, Any]], Mapping[str, Any] | None]) -> Saved | None:
    try:
        arrays, metadata, verified = tensors.read(path)
    except InputError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        raise _Damaged(str(error)) from error
    if not verified:
        raise _Damaged(f"{path} is damaged, or not a checkpoint of jaxnet: it has no {tensors.DIGEST}")
    try:
        iteration, history = (json.loads(metadata[name]) for name in ("iteration", "history"))
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a checkpoint; expected a folder that holds nothing else") from error
    if path.stem != str(iteration):
        raise _Damaged(f"{path} is the checkpoint of step {iteration} under another name")
    trees = like(history)
    if trees is None:
        return None
    return Saved(iteration, {name: _tree(path, name, tree, arrays) for name, tree in trees.items()}, history)


def _tree(path: Path, name: str, tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The tree of this name, with the structure of `tree`."""
    expected = [(leaf.shape, leaf.dtype) for _, leaf in _leaves(tree)]
    found = [array for key, array in sorted(arrays.items()) if key.rpartition("/")[0] == name]
    got = [(array.shape, array.dtype) for array in found]
    if got != expected:
        pairs = zip([*got, None], [*expected, None], strict=False)
        different = next((pair for pair in pairs if pair[0] != pair[1]), (len(got), len(expected)))
        raise InputError(
            f"{path} is of another network or optimizer: its arrays have other shapes or dtypes, {different[0]!s:.80}; "
            f"expected {different[1]!s:.80}. Pass what the run was started with, or another folder"
        )
    leaves = [_as_key(array, leaf) for array, leaf in zip(found, jax.tree.leaves(tree), strict=True)]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


def _leaves(tree: Any) -> list[tuple[int, jax.Array]]:
    """The leaves by number: a file then need not know optax's classes, of which versions differ."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return list(enumerate(jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in leaves))


def _as_key(array: np.ndarray, like: Any) -> jax.Array:
    """The array on the device; a random key where `like` is one."""
    placed = jax.device_put(array)
    return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(like)) if _is_key(like) else placed


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def classes(tree: Any) -> list[str]:
    """The names of the classes in a tree, such as those of an optimizer's state."""
    return re.findall(r"namedtuple\[(\w+)\]", str(jax.tree.structure(tree)))


def warn(text: str) -> None:
    """The report of a damaged checkpoint, to whoever trains in Python."""
    warnings.warn(text, stacklevel=2)


def portable(basis: InputBasis, trees: Mapping[str, Any]) -> dict[str, Any]:
    """The trees, and, of a run in reduced inputs, each of them in all inputs as well.

    With the latter a run goes on where the factorisation of the inputs comes out otherwise, and with the former, where
    it comes out the same, to the last bit.
    """
    if not basis.digest:
        return dict(trees)
    return {**trees, **{IN_ALL + name: tree for name, tree in basis.expand(dict(trees)).items()}}


def in_basis(basis: InputBasis, saved: Saved, digest: str) -> dict[str, Any]:
    """The trees of `portable`, which were saved in the basis of this digest, in the inputs of `basis`."""
    everywhere = {name.removeprefix(IN_ALL): tree for name, tree in saved.trees.items() if name.startswith(IN_ALL)}
    if everywhere and digest != basis.digest:
        return basis.project(everywhere)  # another machine: the same run to within rounding
    return {name: tree for name, tree in saved.trees.items() if not name.startswith(IN_ALL)}
