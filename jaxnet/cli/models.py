"""Models as the commands load them."""

from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from ..model import Model


def load_exactly(path: Path) -> "Model":
    """A model in its own precision: without 64-bit types JAX would round float64 to float32 in silence."""
    import jax

    from ..model import load_model

    with jax.enable_x64(True):
        return load_model(path)
