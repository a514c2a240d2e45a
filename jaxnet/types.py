"""Names for the arrays and mappings in the library's public functions.

Examples are columns: `X` is `(n_x, m)`, `W_l` is `(n_l, n_{l-1})`, `b_l` is `(n_l, 1)`, and the batch is axis 1.
"Loss" belongs to one example, "cost" is the mean over the batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.typing import DTypeLike as DTypeLike
from jaxtyping import Float, PRNGKeyArray as PRNGKeyArray, Shaped


AnyArray: TypeAlias = jax.Array | np.ndarray
Parameters: TypeAlias = Mapping[str, Any]  # W1, b1, ..., WL, bL
Grads: TypeAlias = Mapping[str, Any]  # dA0, dA1, dW1, db1, ..., dWL, dbL

Inputs: TypeAlias = Float[AnyArray, "n_x m"]  # one column per example
Outputs: TypeAlias = Float[AnyArray, "n_L m"]  # AL, or labels in its shape and dtype
Labels: TypeAlias = Shaped[AnyArray, "..."]  # 0 and 1 of any dtype, or probabilities; (n_L, m), see `checks.as_targets`
Number: TypeAlias = float | jax.Array  # one number
Cost: TypeAlias = Float[jax.Array, ""]
# Factors D_l / keep_prob on A_0, ..., A_{L-1}, each (n_l, m), or None for a layer in which nothing is dropped.
Masks: TypeAlias = Sequence[AnyArray | None] | None
