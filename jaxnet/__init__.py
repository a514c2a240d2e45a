"""L-layer dense networks in JAX whose backward pass is written by hand and checked against `jax.grad`.

forward   (X, parameters)                         -> AL, caches
backward  (AL, Y, caches)                         -> grads
update    (parameters, grads, learning_rate)      -> parameters

The public names are listed in `__init__.pyi` and imported when first used, so that `jaxnet --help` need not wait
for JAX.
"""

from importlib.metadata import version

import lazy_loader


__version__ = version(__name__)
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

del lazy_loader, version
