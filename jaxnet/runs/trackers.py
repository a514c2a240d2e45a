"""Numbers on the way, for TensorBoard."""

import os
from collections.abc import Mapping
from types import TracebackType

from ..errors import InputError


class ScalarLog:
    """An event file in `folder`, closed at the end of the `with` block: `tensorboard --logdir FOLDER` draws it.

    The folder is made where it is missing; TensorBoard shows all event files of a folder as one run. Raises
    `InputError` where tensorboardX is missing or the folder cannot be written to.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise InputError("scalars are written by tensorboardX: pip install 'jaxnet[tensorboard]'") from error
        try:
            self._writer = SummaryWriter(os.fspath(folder))
        except OSError as error:
            raise InputError(f"{folder} cannot be written to: {error}; expected a folder for TensorBoard") from error

    def write(self, iteration: int, values: Mapping[str, float]) -> None:
        """The values after `iteration` steps, each under its name; names such as `cost/train` are drawn in groups."""
        for name, value in values.items():
            self._writer.add_scalar(name, float(value), iteration)

    def __enter__(self) -> "ScalarLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.close()
