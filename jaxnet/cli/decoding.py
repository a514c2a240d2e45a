"""The progress of decoding images, on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .stopping import Stop


@contextmanager
def decoding_bar(stop: Stop) -> Iterator[Callable[[int, int], None]]:
    """A bar for images that take long to be decoded, moved by `show(done, total)`; a signal ends it."""
    from tqdm import tqdm

    with tqdm(unit=" images", desc="decoding", delay=0.5, leave=False) as bar:

        def show(done: int, total: int) -> None:
            stop.check()
            bar.total = total
            bar.update(done - bar.n)

        yield show
