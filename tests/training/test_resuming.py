"""A run of `train` that is ended and started again ends with the bits of the run that was not."""

import os
import random
import shutil
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Checkpoints, InputError, Network
from jaxnet.training.identity import _program

from ..drawn import assert_same, problem


class Stopped(Exception):
    """What ends a process, as far as `train` knows."""


def stop_at(iteration):
    def stop(progress):
        if progress.iteration == iteration:
            raise Stopped

    return stop


X, Y, PARAMETERS = problem([40, 4, 1], 24, dtype=np.float32)
MOMENTUM, RMSPROP = optax.sgd(0.05, momentum=0.9), optax.rmsprop(0.01)
BASE = dict(num_iterations=50, chunk=10, optimizer=MOMENTUM, key=jax.random.key(3))
KINDS = {
    "reduced inputs": {},
    "minibatches": dict(batch_size=7, optimizer=optax.adam(optax.cosine_decay_schedule(0.1, 50))),
    "dropout": dict(batch_size=7, keep_prob=0.8, input_keep_prob=0.9, lambd=0.1),
    "a feedback rule": dict(network=Network("tanh", feedback="weight_mirror"), record_every=4),
    "all examples": dict(reduce_inputs=False),
    "weights": dict(class_weight="balanced", dtype="bfloat16", optimizer=optax.adam(0.01, mu_dtype="bfloat16")),
    "augmentation": dict(augment=jaxnet.Augmentation((5, 8), shift=1)),
    "an optimizer that draws": dict(optimizer=optax.noisy_sgd(0.05, key=jax.random.key(5))),
}


def train(folder=None, seconds=0, hooks=(), **changes):
    options = BASE | changes
    if folder is not None:
        options["checkpoints"] = Checkpoints(folder, seconds=seconds)
    return jaxnet.train(X, Y, PARAMETERS, on_chunk=hooks, **options)


def names(folder):
    return sorted(os.listdir(folder), key=lambda name: int(name.split(".")[0]))


def without_keys(tree):
    """Random keys as their numbers, which NumPy can compare."""

    def numbers(leaf):
        return (
            jax.random.key_data(leaf)
            if isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            else leaf
        )

    return jax.tree.map(numbers, tree)


def stopped(folder, *iterations, **changes):
    for iteration in iterations:
        with pytest.raises(Stopped):
            train(folder, hooks=[stop_at(iteration)], **changes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.few(2)
def test_a_stopped_run_ends_with_the_same_bits(tmp_path, monkeypatch, default_promotion, kind):
    if kind == "reduced inputs":
        monkeypatch.setattr("jaxnet.training.in_memory.pays", lambda *_: True)
    options = KINDS[kind]
    validations = [jaxnet.hooks.Validation(X[:, ::2], Y[:, ::2]) for _ in range(4)]
    whole = train(hooks=validations[0], **options)
    for validation, iteration in zip(validations[1:3], (20, 40), strict=True):
        with pytest.raises(Stopped):
            train(tmp_path, hooks=[validation, stop_at(iteration)], **options)
    assert names(tmp_path)[-1] == "30.safetensors"
    seen = []
    again = train(tmp_path, hooks=[validations[3], seen.append], **options)
    assert [progress.iteration for progress in seen] == [40, 50]
    assert (seen[0].basis.digest != "") == (kind == "reduced inputs")
    assert_same(without_keys(again), without_keys(whole))
    for name in ("iterations", "costs", "accuracies"):
        np.testing.assert_array_equal(getattr(validations[3], name), getattr(validations[0], name))
    assert_same(*(without_keys(validations[i].best_state) for i in (3, 0)))


def test_a_run_that_is_finished_makes_no_step(tmp_path):
    whole = train(tmp_path, seconds=1e9, num_iterations=25)
    assert names(tmp_path) == ["20.safetensors", "25.safetensors"]
    seen = []
    assert_same(train(tmp_path, num_iterations=25, hooks=[seen.append]), whole)
    assert seen == []


def test_more_steps_end_as_a_longer_run(tmp_path):
    """The last chunk of the shorter one is half as long, and is made anew."""
    whole = train(num_iterations=45)
    for steps in (15, 25, 27):
        train(tmp_path, seconds=1e9, num_iterations=steps)
    assert_same(train(tmp_path, num_iterations=45), whole)


def test_fewer_steps_stay_in_the_inputs_saved(tmp_path, monkeypatch):
    """Even where so few steps would not have paid for fewer inputs."""
    monkeypatch.setattr("jaxnet.training.in_memory.pays", lambda n_x, n_1, m, batch_size, steps: steps > 45)
    first = train(num_iterations=50)
    with pytest.raises(Stopped):
        train(tmp_path, hooks=[stop_at(30)])
    seen = []
    fewer = train(tmp_path, hooks=[seen.append], num_iterations=40)
    assert [(progress.iteration, progress.basis.size) for progress in seen] == [(30, 28), (40, 28)]
    np.testing.assert_array_equal(fewer.costs, first.costs[:40])


def test_a_damaged_one_is_reported_and_the_one_before_is_used(tmp_path):
    whole = train()
    stopped(tmp_path, 40)
    content = bytearray((tmp_path / "30.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "30.safetensors").write_bytes(content)
    with pytest.warns(UserWarning, match="a checkpoint is left out: .*30.safetensors is damaged"):
        again = train(tmp_path)
    assert_same(again, whole)
    assert "30.safetensors.damaged" in os.listdir(tmp_path)


def test_half_a_file_of_a_killed_process_is_removed(tmp_path):
    (tmp_path / ".30.safetensors.123").write_bytes(b"half")
    (tmp_path / ".mine").write_bytes(b"")
    train(tmp_path, num_iterations=10)
    assert sorted(os.listdir(tmp_path)) == [".mine", "10.safetensors"]


@pytest.mark.parametrize("kind", ["Validation", "a function"])
def test_an_ended_run_stays_ended_but_for_other_limits(tmp_path, kind):
    def hook(patience):
        if kind == "Validation":  # on labels that are all wrong, so that the best is the first
            return jaxnet.hooks.Validation(X, 1 - Y, patience=patience)
        return lambda progress: progress.iteration >= 10 + 10 * patience

    ended = train(tmp_path, hooks=hook(2))
    assert ended.state.step == 30 and ended.ended_early
    seen = []
    assert_same(train(tmp_path, hooks=[hook(2), seen.append]), ended)
    assert [progress.iteration for progress in seen] == [30]  # which is asked again, and nothing is trained
    assert_same(train(tmp_path, hooks=hook(3)), train(hooks=hook(3)))


@pytest.fixture(scope="module")
def half_way(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half_way")
    with pytest.raises(Stopped):
        train(folder, hooks=[jaxnet.hooks.Validation(X, Y), stop_at(30)])
    return folder


OTHERS = {
    "X": lambda: dict(X=X + 1),
    "labels": lambda: dict(Y=1 - Y),
    "weights": lambda: dict(class_weight="balanced"),
    "where it starts": lambda: dict(state=PARAMETERS | {"b2": PARAMETERS["b2"] + 1}),
    "optimizer": lambda: dict(optimizer=optax.sgd(0.04, momentum=0.9)),
    "an optimizer with the same arrays": lambda: dict(optimizer=RMSPROP),
    "activation": lambda: dict(network=Network("tanh")),
    "loss": lambda: dict(network=Network("relu", "squared_error")),
    "feedback rule": lambda: dict(network=Network(feedback="feedback_alignment")),
    "layers": lambda: dict(state=problem([40, 5, 1], 24, dtype=np.float32)[2]),
    "lambd": lambda: dict(lambd=0.5),
    "keep_prob": lambda: dict(keep_prob=0.5),
    "batch_size": lambda: dict(batch_size=5),
    "augment": lambda: dict(augment=jaxnet.Augmentation((5, 8), shift=1)),
    "key": lambda: dict(key=jax.random.key(4)),
    "chunk": lambda: dict(chunk=5),
    "record_every": lambda: dict(record_every=5),
    "num_iterations": lambda: dict(num_iterations=15),
    "no hooks": lambda: dict(on_chunk=()),
    "validation data": lambda: dict(on_chunk=jaxnet.hooks.Validation(X + 1, Y)),
}
MESSAGES = {
    "labels": "another Y, sample_weight or class_weight",
    "weights": "another Y, sample_weight or class_weight",
    "where it starts": "another state, which is where it starts",
    "an optimizer with the same arrays": "another optimizer",
    "activation": "another network",
    "loss": "another network",
    "feedback rule": "another network; another state",
    "layers": "another network; another optimizer; another state",
    "num_iterations": "num_iterations is 15, but the checkpoints in .* have made 20 steps",
    "no hooks": "on_chunk has the state of: Validation; expected the same hooks",
    "validation data": "of a run with other validation data",
}


@pytest.mark.parametrize("other", OTHERS)
def test_checkpoints_of_another_run_are_refused(half_way, other):
    before = {path.name: path.read_bytes() for path in half_way.iterdir()}
    options = BASE | dict(X=X, Y=Y, state=PARAMETERS, on_chunk=jaxnet.hooks.Validation(X, Y)) | OTHERS[other]()
    given = [options.pop(name) for name in ("X", "Y", "state")]
    with pytest.raises(InputError, match=MESSAGES.get(other, f"a run with another {other}. Pass what that run")):
        jaxnet.train(*given, checkpoints=Checkpoints(half_way), **options)
    assert {path.name: path.read_bytes() for path in half_way.iterdir()} == before


def test_another_jax_may_write_programs_otherwise(half_way, tmp_path, monkeypatch):
    shutil.copytree(half_way, tmp_path / "c")
    monkeypatch.setattr("jaxnet.training.resuming.versions", lambda: "jax 9")
    monkeypatch.setattr("jaxnet.training.identity._program", lambda *_: "otherwise")
    assert train(tmp_path / "c", hooks=jaxnet.hooks.Validation(X, Y)).state.step == 50


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda folder: Checkpoints(folder / "file" / "run"),
            "file/run cannot be made: Not a directory; expected a fol",
        ),
        (lambda folder: Checkpoints(folder / "file"), "file cannot be made: File exists; expected a folder"),
        (lambda folder: str(folder), r'checkpoints is .*; expected jaxnet.Checkpoints\("run"\) or None'),
        (lambda folder: Checkpoints(3), "folder is 3; expected the path of a folder"),
        (lambda folder: Checkpoints(folder, seconds=-1), "seconds is -1; expected a number from 0, the time"),
        (lambda folder: Checkpoints(folder, seconds=float("nan")), "seconds is nan; expected a number from 0"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, no_shape_checks, make, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=message):
        jaxnet.train(X, Y, PARAMETERS, checkpoints=make(tmp_path), **BASE)


def test_a_folder_without_write_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # as root may write everywhere
    with pytest.raises(InputError, match="cannot be written to; expected a folder for checkpoints"):
        train(tmp_path)


def test_a_full_disk_is_one_error_and_what_is_there_stays(tmp_path, monkeypatch):
    stopped(tmp_path, 30)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: os.write(descriptor, b""))  # to a file that is open for reading
        with pytest.raises(InputError, match="a checkpoint cannot be written to .*; those that are there stay good"):
            train(tmp_path)
    assert names(tmp_path) == ["10.safetensors", "20.safetensors"]
    assert_same(train(tmp_path), train())


# ---- restore


def test_a_state_is_read_for_another_run(half_way):
    first = jaxnet.init_state(PARAMETERS, MOMENTUM)
    state = Checkpoints(half_way).restore(first)
    want = train(num_iterations=20).state
    assert_same(state.parameters, want.parameters)
    assert state.step == 20
    on = jaxnet.train(X, Y, state, num_iterations=30, optimizer=optax.sgd(0.01, momentum=0.9))
    assert on.state.step == 30


def test_an_empty_folder_leaves_the_state_as_it_is(tmp_path):
    first = jaxnet.init_state(PARAMETERS, MOMENTUM)
    assert Checkpoints(tmp_path / "none").restore(first) is first and not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "state, message",
    [
        (lambda: jaxnet.init_state(PARAMETERS, RMSPROP), "of another optimizer, whose state is .*TraceState.*RmsState"),
        (lambda: jaxnet.init_state(PARAMETERS, optax.adam(0.1)), "of another optimizer"),
        (lambda: jaxnet.init_state(problem([40, 5, 1], 9)[2], MOMENTUM), "of another network or optimizer: its arrays"),
        (lambda: jaxnet.TrainState(PARAMETERS), "state has no opt_state; .* pass init_state"),
        (lambda: PARAMETERS, "state is of type dict; expected a TrainState"),
    ],
)
def test_a_state_of_another_kind_is_refused(half_way, no_shape_checks, state, message):
    with pytest.raises(InputError, match=message):
        Checkpoints(half_way).restore(state())
    assert names(half_way) == ["10.safetensors", "20.safetensors"]


# ---- processes that are killed

SCRIPT = """
import sys
import jax, jax.numpy as jnp, numpy as np, optax
import jaxnet
from jaxnet.training import in_memory

folder, kind = sys.argv[1:]
in_memory.pays = lambda *_: kind == "reduced"
X = jax.random.normal(jax.random.key(0), (60, 30))
Y = (X[0] * X[1] > 0)[None]
parameters = jaxnet.initialize_parameters_deep((60, 5, 1), key=jax.random.key(1), init="he")
validation = jaxnet.hooks.Validation(X[:, ::2], Y[:, ::2])
batches = {} if kind == "reduced" else dict(batch_size=7, keep_prob=0.8)
network = jaxnet.Network("tanh", feedback="kolen_pollack" if kind == "batches" else "backprop")
trained = jaxnet.train(
    X, Y, parameters, num_iterations=6000, chunk=20, optimizer=optax.sgd(0.01, momentum=0.9), network=network,
    key=jax.random.key(2), on_chunk=[validation, lambda progress: print(progress.iteration, flush=True)],
    checkpoints=jaxnet.Checkpoints(folder + "/run", seconds=0), **batches,
)
leaves = jax.tree.leaves((trained, validation.best_state))
np.savez(folder + "/end.npz", validation.costs, *map(np.asarray, leaves))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reduced", "batches"])
def test_a_script_killed_repeatedly_ends_with_the_same_bits(tmp_path, kind):
    environment = os.environ | {
        "JAX_ENABLE_COMPILATION_CACHE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
    }
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    draw, begun = random.Random(kind), []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", SCRIPT, tmp_path / name, kind]
        for number in [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL] if name == "killed" else []:
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            begun.append(int(process.stdout.readline()))
            for _ in range(draw.randrange(5, 40)):
                process.stdout.readline()
            process.send_signal(number)
            process.communicate(timeout=100)
            assert process.returncode != 0
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert begun == sorted(set(begun)) and begun[0] == 20 and begun[-1] > 100
    ends = [np.load(tmp_path / name / "end.npz") for name in ("whole", "killed")]
    assert len(ends[0].files) > 8
    for key in ends[0].files:
        np.testing.assert_array_equal(ends[0][key], ends[1][key])


def test_constants_inside_a_program_are_part_of_it():
    """A compiled schedule hides its rates from the text of the program around it."""

    def rated(rates):
        rates = jnp.array(rates)
        return _program(lambda step: jax.jit(lambda i: rates[i])(step), jax.ShapeDtypeStruct((), jnp.int32))

    assert rated([0.1, 0.2]) == rated([0.1, 0.2]) != rated([0.9, 0.8])


def test_a_hook_of_another_run_is_refused_with_checkpoints(tmp_path):
    X, Y, parameters = problem([4, 3, 1], 12, dtype=np.float32)
    validation = jaxnet.hooks.Validation(X, Y)
    trained = jaxnet.train(X, Y, parameters, num_iterations=2, on_chunk=validation)
    with pytest.raises(InputError, match="the Validation in on_chunk has seen another run; .* make a new one"):
        jaxnet.train(
            X, Y, trained.state, num_iterations=4, on_chunk=validation, checkpoints=jaxnet.Checkpoints(tmp_path)
        )
