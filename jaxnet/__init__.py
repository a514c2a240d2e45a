"""L-layer dense networks in JAX with a backward pass that is written by hand and checked against `jax.grad`.

forward   (X, parameters)                         -> AL, caches
backward  (AL, Y, caches)                         -> grads
update    (parameters, grads, learning_rate)      -> parameters

Names, keys and shapes are those of "the course": *Neural Networks and Deep Learning*, deeplearning.ai, week 4,
"Building your Deep Neural Network: Step by Step". Examples are columns: `X` is `(n_x, m)`, `W_l` is `(n_l, n_{l-1})`.

The examples in docstrings assume `import jax, jax.numpy as jnp, numpy as np, optax, jaxnet`, and show arrays with three
digits, as under `np.set_printoptions(precision=3, suppress=True)`.

The public names are listed in `__init__.pyi` and imported when first used, so that `jaxnet --help` need not wait for
JAX.
"""

from importlib.metadata import version

import lazy_loader


__version__ = version(__name__)
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

del lazy_loader, version
