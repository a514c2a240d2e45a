"""Every public function has an example in its docstring, and the example prints what it says."""

import doctest
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet


MODULES = (jaxnet.activations, jaxnet.data, jaxnet.feedback, jaxnet.hooks, jaxnet.losses, jaxnet.readouts)
NAMESPACE = {"jax": jax, "jnp": jnp, "np": np, "optax": optax, "jaxnet": jaxnet}


def public_functions() -> dict[str, Callable]:
    """The functions, and the classes whose docstring has an example, by the name under which a user imports them."""
    named = {name: getattr(jaxnet, name) for name in jaxnet.__all__}
    for module in MODULES:
        own = vars(module).items()
        named |= {f"{module.__name__}.{name}": value for name, value in own if _is_of(value, module, name)}
    return {
        name: value
        for name, value in named.items()
        if inspect.isroutine(value) or (inspect.isclass(value) and ">>>" in (value.__doc__ or ""))
    }


def _is_of(value: object, module: object, name: str) -> bool:
    """Defined in this module or below it, rather than imported to be used."""
    return not name.startswith("_") and getattr(value, "__module__", "").startswith(module.__name__)


FUNCTIONS = public_functions()


@pytest.fixture(autouse=True)
def three_digits(default_promotion, tmp_path, monkeypatch):
    """Examples show arrays with three digits, write files into the working folder, and see JAX as users have it."""
    monkeypatch.chdir(tmp_path)
    with np.printoptions(precision=3, suppress=True):
        yield


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_examples_print_what_they_say(name):
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    example = doctest.DocTestParser().get_doctest(text, dict(NAMESPACE), name, None, None)
    assert example.examples, f"{name} has no example"
    failures: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=failures.append)
    assert not failures, "".join(failures)
