"""Validation data that are looked at on the way, and early stopping."""

import hashlib
from functools import cached_property
from typing import Any

import jax
import numpy as np

from ..arguments import check_count
from ..checks import as_targets, check_array
from ..errors import InputError
from ..network import Network, outputs_like
from ..parameters import layer_dims
from ..training import Block, InputBasis, Progress, best_of, check_data, cost_and_score, has_stalled
from ..types import Inputs, Labels, Parameters
from ..update import TrainState


BLOCK = 4096  # examples in one forward pass
NOT_YET = "this Validation has not seen a run yet; pass it to train(..., on_chunk=validation)"


class Validation:
    """After every chunk, cost and accuracy on validation data; keeps the best state, and ends a run that has stalled.

    Pass it to `train(..., on_chunk=validation)`; the network is that of the run. The cost is the mean of the losses,
    without weights or penalties. A run with `checkpoints` that is started again finds it as it was.

    Args:
        X: Validation inputs, `(n_x, m)`, one column per example.
        Y: Their labels, `(n_L, m)`, as `train` takes them.
        patience: The training ends where the smallest cost is so many chunks ago. Default: it never does.

    Raises:
        InputError: for a `patience` that is not a whole number from 1. And in `train`, before any work, where X and Y
            do not fit the network.

    Example:
        >>> X, Y = jax.random.normal(jax.random.key(0), (2, 80)), jnp.arange(80) % 2
        >>> parameters = jaxnet.initialize_parameters_deep((2, 5, 1), key=jax.random.key(1), init="he")
        >>> validation = jaxnet.hooks.Validation(X[:, 40:], Y[40:], patience=3)
        >>> sgd = optax.sgd(1.0)
        >>> trained = jaxnet.train(
        ...     X[:, :40], Y[:40], parameters, num_iterations=5000, optimizer=sgd, chunk=50, on_chunk=validation
        ... )
        >>> trained.ended_early, int(validation.iterations[-1]) - validation.best_iteration
        (True, 150)
        >>> bool(validation.costs.min() == validation.costs[-4]), list(validation.best_parameters)
        (True, ['W1', 'b1', 'W2', 'b2'])
    """

    def __init__(self, X: Inputs, Y: Labels, patience: int | None = None):
        if patience is not None:
            check_count("patience", patience)
        check_array("X", X, ", (n_x, m)")
        check_array("Y", Y, ", (n_L, m)")
        self.patience = patience
        self._X, self._Y = X, Y
        self._seen: list[tuple[int, float, float]] = []  # steps, cost, accuracy
        self._best: tuple[TrainState, InputBasis] | None = None
        self._network: Network | None = None
        self._blocks: tuple[InputBasis, list[Block]] | None = None  # the data in the inputs of the run

    def __repr__(self) -> str:
        return (
            f"Validation of {np.shape(self._X)[-1]} examples, patience={self.patience}, {len(self._seen)} chunks seen"
        )

    def __call__(self, progress: Progress) -> bool:
        """Looks at the state after a chunk; whether the training is to end."""
        self.measured(progress)
        return has_stalled(self.costs.tolist(), self.patience)

    def measured(self, progress: Progress) -> dict[str, float]:
        """The newest numbers under their names, for `log` and `tensorboard`; computed once for each chunk."""
        if self._network is None:
            raise InputError(NOT_YET)
        if not self._seen or self._seen[-1][0] != progress.iteration:
            cost, accuracy = cost_and_score(self._data(progress), progress.state_in_basis.parameters, self._network)
            self._seen.append((progress.iteration, cost, accuracy))
            if best_of(self.costs.tolist()) == len(self._seen) - 1:
                self._best = progress.state_in_basis, progress.basis
        return {"validation_cost": self._seen[-1][1], "validation_accuracy": self._seen[-1][2]}

    @property
    def iterations(self) -> np.ndarray:
        """How many steps had been made at each look."""
        return np.array([steps for steps, _, _ in self._seen], int)

    @property
    def costs(self) -> np.ndarray:
        """The validation cost at each look."""
        return np.array([cost for _, cost, _ in self._seen])

    @property
    def accuracies(self) -> np.ndarray:
        """The share of examples decided rightly at each look; under `squared_error` R^2."""
        return np.array([accuracy for _, _, accuracy in self._seen])

    @property
    def best_iteration(self) -> int:
        """After how many steps the cost was smallest."""
        if not self._seen:
            raise InputError(NOT_YET)
        return int(self.iterations[best_of(self.costs.tolist())])

    @property
    def best_state(self) -> TrainState:
        """The state of that step, in all inputs, which `train` goes on from."""
        if self._best is None:
            raise InputError(NOT_YET)
        state, basis = self._best
        return basis.expand(state)

    @property
    def best_parameters(self) -> Parameters:
        """The parameters of that step."""
        return self.best_state.parameters

    def begin(self, state: TrainState, network: Network) -> None:
        """Called by `train` before any work. Raises `InputError` where the data do not fit the network."""
        try:
            check_data(self._X, self._Y, state.parameters, network)
        except InputError as error:
            raise InputError(f"validation data: {error}") from error
        if self._seen and self._seen[-1][0] > int(state.step):
            raise InputError(
                f"validation has seen step {self._seen[-1][0]}, and this run starts after {int(state.step)}; make a "
                "new Validation for each run"
            )
        n_L = layer_dims(state.parameters)[-1]
        self._targets = as_targets(self._Y, outputs_like(self._X, state.parameters, n_L), network.loss)
        self._network, self._blocks = network, None

    def saved(self) -> tuple[dict[str, Any], TrainState | None]:
        """What a checkpoint keeps of it."""
        best = None if self._best is None else self._best[0]
        return {"data": self._digest, "seen": [list(row) for row in self._seen]}, best

    def resume(self, saved: dict[str, Any], state: TrainState | None, basis: InputBasis) -> None:
        """Puts it back as it was. Raises `InputError` where the checkpoint is of other validation data."""
        if saved["data"] != self._digest:
            raise InputError(
                "the checkpoints are of a run with other validation data; pass the same, or a folder of its own"
            )
        self._seen = [(steps, cost, accuracy) for steps, cost, accuracy in saved["seen"]]
        self._best = None if state is None else (state, basis)

    def _data(self, progress: Progress) -> list[Block]:
        if self._blocks is None or self._blocks[0] is not progress.basis:
            X, Y = np.asarray(progress.basis.columns(self._X)), self._targets
            parts = [slice(i, i + BLOCK) for i in range(0, X.shape[1], BLOCK)]
            self._blocks = progress.basis, [(jax.device_put(X[:, part]), Y[:, part]) for part in parts]
        return self._blocks[1]

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for array in (self._X, self._Y):
            digest.update(repr((array.shape, str(array.dtype))).encode() + np.asarray(array).tobytes())
        return digest.hexdigest()[:16]
