"""`sweep`: many networks, trained at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optax

from ..arguments import check_count
from ..checks import check_array
from ..errors import InputError
from ..network import COURSE, Network, check_network
from ..programs import let_go
from ..training import Augmentation, as_hooks, bar_of, check_not_traced, chunks, shown
from ..types import AnyArray, Inputs, Labels, PRNGKeyArray
from ..weighting import ClassWeight, SampleWeight
from .grid import Settings, runs_of, without_addresses
from .members import Member, Task
from .running import Running
from .swept import Examples, Swept, sample_of


def sweep(
    X: Inputs,
    Y: Labels,
    layer_dims: Sequence[int] | Sequence[Sequence[int]],
    *,
    seeds: Iterable[int],
    num_iterations: int,
    learning_rate: Any = None,
    optimizer: Any = optax.adam,
    network: Network = COURSE,
    hidden: Any = None,
    loss: Any = None,
    feedback: Any = None,
    init: Any = "lecun",
    lambd: Any = 0.0,
    keep_prob: Any = 1.0,
    input_keep_prob: Any = 1.0,
    batch_size: Any = None,
    settings: Sequence[Mapping[str, Any]] | None = None,
    key: PRNGKeyArray | None = None,
    X_validation: AnyArray | None = None,
    Y_validation: AnyArray | None = None,
    X_test: AnyArray | None = None,
    Y_test: AnyArray | None = None,
    augment: Augmentation | None = None,
    dtype: str | None = None,
    sample_weight: SampleWeight = None,
    class_weight: ClassWeight = None,
    reduce_inputs: bool = True,
    chunk: int = 100,
    on_chunk: Any = (),
    start: Swept | None = None,
    memory_limit: float | None = None,
    progress: bool = False,
    **hyperparameters: Any,
) -> Swept:
    """K networks trained at once: every combination of the values in lists, with every seed.

    Run i is `train(X, Y, initialize_parameters_deep(layer_dims, key=jax.random.key(seed), init=init),
    key=jax.random.key(seed), ...)` with its settings, up to rounding: the steps of all runs are made by one program,
    `train`'s own, mapped over their states and numbers. What changes a shape or a function, such as the sizes of
    layers, the activation, the loss, the rule, the kind of optimizer or the batch size, is a program of its own: see
    `train` for what else is. A run that stops being finite is frozen at its last useful state and reported; the others
    do not notice.

    Args:
        X: Inputs, `(n_x, m)` finite floats, one column per example.
        Y: Labels, as `train` takes them.
        layer_dims: `(n_x, n_1, ..., n_L)`, or a list of such.
        seeds: Whole numbers, such as `range(16)`.
        num_iterations: How many steps each run has made at the end.
        learning_rate: A number, a schedule, or a list of them, unless the optimizer has one of its own.
        optimizer: A function of optax that makes one, such as `optax.sgd`, or a list of such. Default: `optax.adam`.
        network: What the next three leave out is that of this network. Default: the course's network.
        hidden, loss, feedback: As `Network` takes them, or lists of them.
        init: As `initialize_parameters_deep` takes it, or a list.
        lambd, keep_prob, input_keep_prob, batch_size: As `train` takes them, or lists of them.
        settings: A list of dicts of any of these names, for what is not a grid; each meets every seed and every
            combination of what is in lists.
        key: One key for all runs, from which their steps draw the order of the examples, masks and feedback weights.
            Seeds then differ in their first weights alone, and the runs share their examples, which takes less time.
            Default: each run its own, from its seed, so that the spread over seeds is all of it.
        X_validation, Y_validation: Examples by which `Swept.best` chooses.
        X_test, Y_test: Examples that choose nothing.
        augment, dtype, sample_weight, class_weight, reduce_inputs, chunk: As in `train`.
        on_chunk: As in `train`, called with a `SweepProgress`.
        start: What a sweep of the same settings returned: it goes on from there, with the same `chunk` and
            `memory_limit` to the same bits, or, in reduced inputs, to within rounding.
        memory_limit: Bytes that the states of the runs and the program may take; the runs are made in parts that fit,
            which changes nothing but rounding. Default: half of the memory that is free.
        progress: Whether to show a bar, with the smallest cost.
        hyperparameters: What else `optimizer` takes, such as `momentum=0.9` or `b1=[0.9, 0.95]`.

    Raises:
        InputError: before any step, for arguments that do not fit each other, and for runs that do not fit into memory.

    Example:
        >>> X, Y = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]), jnp.array([[0, 1, 1, 0]])
        >>> swept = jaxnet.sweep(X, Y, (2, 4, 1), seeds=range(3), learning_rate=[0.01, 0.1], num_iterations=200)
        >>> swept.costs.shape, swept.table[3]["seed"], swept.table[3]["learning_rate"]
        ((6, 200), 0, 0.1)
        >>> [row["runs"] for row in swept.summary()], swept.best().settings["learning_rate"]
        ([3, 3], 0.1)
    """
    check_not_traced((X, Y, key, sample_weight))
    let_go()
    check_array("X", X, ", (n_x, m)")
    check_array("Y", Y, ", (n_L, m)")
    check_network(network)
    check_count("num_iterations", num_iterations, 0)
    check_count("chunk", chunk)
    hooks, bar = as_hooks(on_chunk), bar_of(progress)
    given = {"layer_dims": layer_dims, "optimizer": optimizer}
    given |= {} if learning_rate is None else {"learning_rate": learning_rate}
    given |= {"hidden": hidden, "loss": loss, "feedback": feedback, "init": init, "lambd": lambd}
    given |= {"keep_prob": keep_prob, "input_keep_prob": input_keep_prob, "batch_size": batch_size, **hyperparameters}
    runs = runs_of(given, settings, seeds)
    made = _steps_of(start, num_iterations)
    task = Task(X, Y, network, num_iterations, chunk, key, augment, dtype, sample_weight, class_weight, reduce_inputs)
    members = _members(task, runs, start, made)
    examples = {"": sample_of(X, Y)}
    for name, X_, Y_ in (("validation", X_validation, Y_validation), ("test", X_test, Y_test)):
        if X_ is not None or Y_ is not None:
            examples[name] = _examples(name, X_, Y_, members)
    running = Running(runs, members, examples, start, min(chunk, max(1, num_iterations - made)), memory_limit)
    with shown(bar, made, num_iterations) as bars:
        for _ in chunks(running.advance, made, num_iterations, chunk, [*bars, *hooks]):
            pass
    return running.swept(num_iterations)


def _steps_of(start: Swept | None, num_iterations: int) -> int:
    """How many steps have been made. Raises `InputError` for more than there are to be."""
    if start is None:
        return 0
    if not isinstance(start, Swept):
        raise InputError(f"start is of type {type(start).__name__}; expected what a sweep returned, or None")
    made = start.costs.shape[1]
    if num_iterations < made:
        raise InputError(
            f"num_iterations is {num_iterations}, but the runs have made {made} steps; expected how many there are to "
            "be at the end"
        )
    return made


def _members(task: Task, runs: Sequence[Settings], start: Swept | None, made: int) -> list[Member]:
    """The runs, from where they stand. Raises `InputError` for a start of others."""
    if start is None:
        return [task.member(run, None) for run in runs]
    texts = [without_addresses(repr(list(given))) for given in (start.settings, runs)]
    if texts[0] == texts[1]:
        states = (state._replace(step=made) for state in start.states)
        members = [task.member(run, state) for run, state in zip(runs, states, strict=True)]
        if [member.identity for member in members] == list(start.identities):
            return members
    raise InputError("start is of runs with other settings or seeds; expected the same, in the same order")


def _examples(name: str, X: AnyArray | None, Y: AnyArray | None, members: Sequence[Member]) -> Examples:
    """Raises `InputError` for data that do not fit the runs."""
    if X is None or Y is None:
        raise InputError(f"one of X_{name} and Y_{name} is None; expected both or neither")
    check_array(f"X_{name}", X, ", (n_x, m)")
    check_array(f"Y_{name}", Y, ", (n_L, m)")
    examples = Examples(X, Y)
    for member in {member.network: member for member in members}.values():
        examples.check(name, member.basis.expand(member.state).parameters, member.network)
    return examples
