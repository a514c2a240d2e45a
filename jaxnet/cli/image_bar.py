"""The progress of work on images, on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .stopping import Stop


@contextmanager
def image_bar(stop: Stop, work: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work on images that takes long, moved by `show(done, total)`; a signal ends it."""
    from tqdm import tqdm

    with tqdm(unit=" images", desc=work, delay=0.5, leave=False, disable=None) as bar:

        def show(done: int, total: int) -> None:
            stop.check()
            bar.total = total
            bar.update(done - bar.n)

        yield show
