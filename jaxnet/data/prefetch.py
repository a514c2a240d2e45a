"""Work done ahead of time by other threads, in order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ..errors import InputError


T = TypeVar("T")


def prefetched(function: Callable[[Any], T], items: Sequence[Any], *, threads: int, ahead: int) -> Iterator[T]:
    """function(item) for every item, in order; up to `ahead` results are computed before they are requested.

    Example:
        >>> list(jaxnet.data.prefetched(abs, [-1, 2, -3], threads=2, ahead=2))
        [1, 2, 3]
    """
    try:
        import grain
    except ImportError as error:
        raise InputError("reading images in parallel needs grain: pip install 'jaxnet[photos]'") from error
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)
    return iter(grain.MapDataset.source(items).map(function).to_iter_dataset(options))
