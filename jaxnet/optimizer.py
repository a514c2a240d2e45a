"""What is asked of an optax optimizer: its state, one step, and whether it can train one set of parameters."""

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

from .errors import InputError
from .hoisting import NotHoistedError, Program, TracedConstantError, hoist
from .parameters import FrozenDict
from .types import Cost, Parameters


LEARNING_RATE = 0.0075  # the course's
NOT_TRACED = (
    "`train` compiles its own loop, and cannot be called inside jit, vmap or grad: use jaxnet.sweep for many networks "
    "at once, and jaxnet.update in a compiled loop of your own"
)


class _GradientDescent(optax.GradientTransformationExtraArgs):
    """`optax.sgd`, pickled by its learning rate: its functions are closures, which Python cannot pickle."""

    learning_rate: float

    def __reduce__(self):
        return gradient_descent, (self.learning_rate,)

    def __repr__(self) -> str:
        return f"gradient_descent({self.learning_rate})"


@lru_cache(maxsize=64)  # where the optimizer is a static argument, a new object would mean a new compilation
def gradient_descent(learning_rate: float) -> optax.GradientTransformationExtraArgs:
    """The `optax.sgd` with this learning rate, and the same object every time."""
    optimizer = _GradientDescent(*optax.sgd(learning_rate))
    optimizer.learning_rate = learning_rate
    return optimizer


GRADIENT_DESCENT = gradient_descent(LEARNING_RATE)


def descend(
    optimizer: optax.GradientTransformation,
    gradient: Parameters,
    opt_state: Any,
    parameters: Parameters,
    J: Cost,
    objective: Callable[[Parameters], Cost],
) -> tuple[Parameters, Any]:
    """The new parameters and state that `optimizer` makes of a gradient, the cost J, and the cost as a function.

    Raises `InputError` where the optimizer fails.
    """
    updates, opt_state = _updates(optimizer, gradient, opt_state, parameters, J, objective)
    return cast(Parameters, optax.apply_updates(parameters, updates)), opt_state


def _updates(optimizer, gradient, opt_state, parameters, J, objective) -> tuple[Any, Any]:
    check_optimizer(optimizer)
    optimizer = optax.with_extra_args_support(optimizer)
    extra = {"value": J, "grad": gradient, "value_fn": objective}
    taken = inspect.signature(optimizer.update).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        # Line searches refuse names that they do not know, so this one is passed only to those that ask for it.
        extra["grad_fn"] = lambda parameters, _: jax.grad(objective)(parameters)
        extra = {name: value for name, value in extra.items() if name in taken}
    try:
        return optimizer.update(gradient, opt_state, parameters, **extra)
    except InputError:
        raise
    except Exception as error:  # foreign code may raise anything
        raise InputError(
            f"the optimizer fails on the gradient, its state, the parameters and {', '.join(extra)}: "
            f"{type(error).__name__}: {first_line(error)}. Its state must be that of these parameters, as "
            "optimizer.init(parameters) makes it, and masks and labels the same kind of mapping; an optimizer that "
            "needs more than this needs a step of your own, with the gradient of `cost_and_grads`"
        ) from error


@jax.tree_util.register_pytree_node_class
class HoistedOptimizer(optax.GradientTransformationExtraArgs):
    """The updates of an optimizer for one set of parameters, as a program that is called with the numbers in it.

    A pytree of them: to a compiled function they are arguments, so that a new learning rate needs no new program.
    """

    program: Program
    numbers: dict[str, Any]

    @classmethod
    def of(cls, program: Program, numbers: dict[str, Any]) -> "HoistedOptimizer":
        """An optimizer that has been initialised already."""

        def update(updates, state, params=None, **_):
            return program(numbers, updates, state, params)

        optimizer = cls(lambda params: (), update)
        optimizer.program, optimizer.numbers = program, numbers
        return optimizer

    def tree_flatten(self):
        """The numbers; the program."""
        return (self.numbers,), self.program

    @classmethod
    def tree_unflatten(cls, program, numbers):
        """The optimizer with these numbers."""
        return cls.of(program, *numbers)


def with_numbers_as_arguments(
    optimizer: optax.GradientTransformation, parameters: Parameters, opt_state: Any
) -> optax.GradientTransformation:
    """The optimizer as a `HoistedOptimizer` for parameters and states like these.

    Itself where that cannot be, since it evaluates the cost, as a line search does. Raises `InputError` for a learning
    rate that is being traced.
    """
    if isinstance(optimizer, HoistedOptimizer):
        return optimizer
    leaves, structure = jax.tree.flatten((parameters, opt_state, parameters))
    shapes = tuple(jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    return _hoisted(optimizer, structure, shapes, jax.config.read("jax_enable_x64")) or optimizer


@lru_cache(maxsize=64)
def _hoisted(
    optimizer: optax.GradientTransformation, structure: Any, leaves: tuple[jax.ShapeDtypeStruct, ...], x64: bool
) -> HoistedOptimizer | None:
    del x64  # which the program depends on

    def objective(parameters):
        raise NotHoistedError

    gradient, opt_state, parameters = jax.tree.unflatten(structure, leaves)
    J = jax.ShapeDtypeStruct((), jnp.result_type(*parameters.values()))
    step = partial(_updates, optimizer, objective=objective)
    try:
        return HoistedOptimizer.of(*hoist(step, gradient, opt_state, parameters, unused=J))
    except TracedConstantError as error:
        raise InputError(f"a number of the optimizer is a value that JAX is tracing; {NOT_TRACED}") from error
    except Exception:  # whatever it is, the step itself raises it where it can be understood
        return None


def first_line(error: Exception) -> str:
    """The message of an error, without the explanations that JAX appends."""
    return f"{error}".strip().split("\n")[0][:200]


def check_optimizer(optimizer: optax.GradientTransformation) -> None:
    """Raises `InputError` for anything but an optimizer, such as a name or a function that makes one."""
    if not callable(getattr(optimizer, "init", None)) or not callable(getattr(optimizer, "update", None)):
        raise InputError(f"optimizer is {optimizer!r:.60}; expected one of optax, such as optax.adam(1e-3)")


def as_the_optimizer_takes(
    parameters: Parameters, optimizer: optax.GradientTransformation, opt_state: Any = None
) -> Parameters:
    """The parameters as the kind of mapping that the optimizer accepts, a `FrozenDict` or a dict; unchanged if it takes
       both.

    An optimizer's masks and labels are trees of one kind, and so is its state, where there is one. Raises `InputError`
    where neither kind fits, and for optimizers that move other parameters than the network's.
    """
    check_optimizer(optimizer)
    frozen, plain = FrozenDict(parameters), dict(parameters)
    errors = []
    for tree in (plain, frozen) if isinstance(parameters, dict) else (frozen, plain):
        try:
            state = jax.eval_shape(optimizer.init, tree)
        except Exception as error:  # foreign code may raise anything
            errors.append(f"{type(error).__name__}: {first_line(error)}")
            continue
        _check_one_set_of_parameters(state)
        if opt_state is None or jax.tree.map(jnp.shape, opt_state) == jax.tree.map(jnp.shape, state):
            return tree
    if len(errors) == 2:
        raise InputError(
            f"the optimizer cannot start from parameters {', '.join(frozen)}: {errors[-1]}; masks and labels are "
            'mappings of these names, such as {"W1": True, "b1": False, ...}, or functions that make one'
        )
    raise InputError(
        "opt_state is not a state of this optimizer for these parameters; pass None, optimizer.init(parameters), or "
        "the opt_state that a run with them returned"
    )


def _check_one_set_of_parameters(state: Any) -> None:
    kinds = optax.LookaheadState, optax.contrib.SAMState
    for part in jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kinds)):
        if isinstance(part, optax.LookaheadState):
            raise InputError(
                "optax.lookahead moves two sets of parameters, LookaheadParams(fast, slow), and a network has one; "
                "make a step of your own: the gradient of `cost_and_grads` at parameters.fast, optimizer.update and "
                "optax.apply_updates"
            )
        if isinstance(part, optax.contrib.SAMState) and part.cache is not None:
            raise InputError(
                "optax.contrib.sam takes every other step from perturbed parameters, with which a run could end; pass "
                "opaque_mode=True, and it takes both steps in one"
            )
