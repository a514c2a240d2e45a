"""A bar that shows how far `train` has come, and the cost."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import InputError
from .loop import Hook


def bar_of(progress: bool) -> Callable[..., Any] | None:
    """The bar of `tqdm.auto`, which is one for a terminal or one for a notebook; None where none is asked for.

    Raises `InputError` where tqdm is missing.
    """
    if not isinstance(progress, bool):
        raise InputError(f"progress is {progress!r:.60}; expected True or False")
    if not progress:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise InputError("progress=True needs tqdm: pip install tqdm") from error
    return tqdm


@contextmanager
def shown(bar_of_steps: Callable[..., Any] | None, made: int, num_iterations: int) -> Iterator[Sequence[Hook]]:
    """The hooks that move the bar; it is closed at the end of the block."""
    if bar_of_steps is None:
        yield ()
        return
    with bar_of_steps(total=num_iterations, initial=made, unit=" steps") as bar:

        def show(progress: Any) -> None:
            costs = progress.costs[..., -1]  # of a run, or of many
            least = np.min(costs, where=np.isfinite(costs), initial=np.inf)
            bar.set_description(f"cost {least:.4f}", refresh=False)
            bar.update(progress.iteration - bar.n)

        yield [show]
