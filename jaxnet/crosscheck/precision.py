"""Products of matrices in full precision while a gradient is checked.

On a GPU, JAX's default for float32 is TF32, whose products have ten bits: three hundred times the roundoff that a check
allows. The check is about the formulas, so it asks for all bits; what is faster on the device stays the user's choice
everywhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def in_full_precision() -> Iterator[None]:
    """As under `jax.default_matmul_precision("highest")`, where the default rounds, or could, before it multiplies."""
    chosen: Any = jax.config  # which has its settings as attributes that it does not declare
    if jax.default_backend() == "cpu" and chosen.jax_default_matmul_precision is None:
        yield  # so that functions that are compiled already are not compiled again
        return
    with jax.default_matmul_precision("highest"):
        yield
