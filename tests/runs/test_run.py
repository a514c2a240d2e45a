"""Preparing and executing a run."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxnet import runs
from jaxnet.data import load_dataset
from jaxnet.errors import InputError
from jaxnet.losses import binary_cross_entropy, softmax_cross_entropy
from jaxnet.model.prediction import class_probabilities
from jaxnet.network import L_model_forward
from jaxnet.runs import streaming as feeds
from jaxnet.runs.settings import Settings
from jaxnet.training import Checkpoints, NotFiniteError
from jaxnet.training.input_basis import ALL_INPUTS, ReducedInputs

from ..drawn import assert_close
from ..images import drawn_images, write_npz


SETTINGS = Settings(layers=(4,), learning_rate=0.1, num_iterations=150, seed=0)


def changed(**changes) -> Settings:
    return dataclasses.replace(SETTINGS, **changes)


def drawn_dataset(tmp_path, m=60, **kwargs):
    images, labels = drawn_images(m, **kwargs)
    return load_dataset(write_npz(tmp_path / "a.npz", X=images, Y=labels), test_fraction=0.25, seed=0)


@pytest.mark.parametrize(
    "classes, outputs, loss", [(2, 1, binary_cross_entropy), (3, 3, softmax_cross_entropy)], ids=["two", "three"]
)
def test_classes_choose_the_head(tmp_path, classes, outputs, loss):
    run = runs.prepare(drawn_dataset(tmp_path, classes=classes), SETTINGS)
    assert run.first.parameters["W2"].shape == (outputs, 4) and run.network.loss is loss and run.batch_size is None


@pytest.mark.parametrize("batch_size", ["all", 16])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.few(2)
def test_a_run_learns(tmp_path, classes, batch_size):
    run, seen = runs.prepare(drawn_dataset(tmp_path, classes=classes), changed(batch_size=batch_size)), []
    history = runs.History()
    parameters = runs.execute(run, history, [lambda progress: seen.append(history.rows[-1])])
    assert seen == history.rows and [row.iteration for row in seen] == [100, 150] and len(history.costs) == 150
    last = history.rows[-1]
    assert last.watched_accuracy > 0.9 and last.cost < history.costs[0] and run.watched_name == "test"
    X = run.preprocessing.columns(run.dataset.test.rows)
    AL, _ = L_model_forward(X, parameters, run.network)
    probabilities = class_probabilities(X, parameters, run.network)
    assert probabilities.shape == (classes, X.shape[1])
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[-1], AL[-1], rtol=1e-5)
    right = np.mean(probabilities.argmax(axis=0) == run.dataset.test.labels)
    chosen = probabilities[run.dataset.test.labels, np.arange(X.shape[1])]
    assert last.watched_accuracy == pytest.approx(right)
    assert last.watched_cost == pytest.approx(-np.mean(np.log(chosen)), rel=1e-4)
    assert len(last.gradient_norms) == 2 and len(last.dead_shares) == 1


def test_epochs_are_counted_in_whole_batches(tmp_path):
    dataset = drawn_dataset(tmp_path)  # 44 to train on
    assert runs.prepare(dataset, changed(num_iterations=None, epochs=3)).num_iterations == 3
    assert runs.prepare(dataset, changed(num_iterations=None, epochs=3, batch_size=10)).num_iterations == 12
    assert runs.prepare(dataset, changed(num_iterations=None)).num_iterations == 2500


def test_examples_read_from_disk_change_nothing_else(tmp_path, monkeypatch):
    dataset = drawn_dataset(tmp_path)
    settings = changed(batch_size=8, keep_prob=0.8, standardise=True, validation_fraction=0.2, class_weight="balanced")
    resident = runs.prepare(dataset, settings)
    want = runs.execute(resident, runs.History())
    monkeypatch.setattr(feeds, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(feeds, "SEGMENT_BYTES", 3 * 8 * 90 * 4)
    history = runs.History()
    streamed = runs.prepare(dataset, settings)
    got = runs.execute(streamed, history)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-4, atol=1e-6)
    assert len(history.costs) == 150


def test_standardising_is_fitted_on_training_examples(tmp_path):
    run = runs.prepare(drawn_dataset(tmp_path), changed(standardise=True, validation_fraction=0.3))
    X = run.preprocessing.columns(run.train.rows)
    np.testing.assert_allclose(X.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(X.std(axis=1), 1, atol=1e-4)
    assert np.abs(run.preprocessing.columns(run.watched.rows).mean(axis=1)).max() > 1e-3
    assert len(run.train.labels) + len(run.watched.labels) == len(run.dataset.train.labels)


def test_early_stopping_keeps_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxnet.runs.chunks.ROW", 5)
    watched = iter([3.0, 1.0, 2.0, 2.5, 0.5])

    def measure(*_):
        return lambda parameters: (0.5, next(watched), 0.5, (1.0, 1.0), (0.0,))

    monkeypatch.setattr("jaxnet.runs.execution.measure", measure)
    run, seen = runs.prepare(drawn_dataset(tmp_path), changed(early_stopping=2)), []
    history, kept = runs.History(), []

    def look(progress):
        seen.append(history.rows[-1].watched_cost)
        kept.append(history.state.parameters)

    parameters = runs.execute(run, history, [look])
    assert seen == [3.0, 1.0, 2.0, 2.5] and parameters is kept[1]
    assert runs.execute(run, history, [look]) is kept[1] and len(seen) == 4  # it is over, and stays so


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.few(1)
def test_a_restored_history_goes_on_to_the_same_bits(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr("jaxnet.runs.chunks.ROW", 20)
    settings = changed(optimizer="momentum", batch_size=8, keep_prob=0.8, dtype=dtype, early_stopping=50)
    run = runs.prepare(drawn_dataset(tmp_path), settings)
    whole, part = runs.History(), runs.History()
    want = runs.execute(run, whole)

    with Checkpoints(tmp_path / "c", seconds=0) as checkpoints:
        with pytest.raises(KeyboardInterrupt):
            runs.execute(run, part, [interrupt_at(60)], checkpoints)
        runs.save(checkpoints, run, part)
        checkpoints.wait()
    with Checkpoints(tmp_path / "c") as checkpoints:
        run, again = runs.restore(checkpoints, run, pytest.fail)
    assert again.rows == whole.rows[:3] and again.costs == whole.costs[:60]
    got = runs.execute(run, again)
    assert again.rows == whole.rows and again.costs == whole.costs
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("calls, steps", [(0, None), (1, 100)])
def test_an_interrupted_runs_values_are_of_one_step(tmp_path, monkeypatch, calls, steps):
    """Each of two chunks is measured once; Ctrl-C comes in the one after so many."""
    measure, told, history = runs.execution.measure, [], runs.History()

    def interrupted(*arguments):
        measured = measure(*arguments)

        def interrupt(parameters):
            told.append(parameters)
            if len(told) > calls:
                raise KeyboardInterrupt
            return measured(parameters)

        return interrupt

    monkeypatch.setattr("jaxnet.runs.execution.measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runs.execute(runs.prepare(drawn_dataset(tmp_path), SETTINGS), history)
    assert [row.iteration for row in history.rows] == ([] if steps is None else [steps])
    assert len(history.costs) == (steps or 0)
    assert history.state is None if steps is None else history.state.parameters is told[0]


def reduced_run(tmp_path, monkeypatch, **changes):
    """A reduction pays for none of the small data sets that tests are made of."""
    monkeypatch.setattr("jaxnet.training.in_memory.pays", lambda *_: True)
    monkeypatch.setattr("jaxnet.runs.chunks.ROW", 20)
    return runs.prepare(drawn_dataset(tmp_path, m=24), changed(optimizer="momentum", **changes))


def test_a_run_in_reduced_inputs_is_the_same_run(tmp_path, monkeypatch):
    with jax.enable_x64(True):
        ends, rows = [], []
        for reduce in (True, False):
            run = reduced_run(tmp_path, monkeypatch, dtype="float64", standardise=True, early_stopping=9, reduce=reduce)
            assert (run.basis is not ALL_INPUTS) == reduce
            history = runs.History()
            ends.append(runs.execute(run, history))
            rows.append(history.columns())
    assert_close(*ends, 1000)
    for name in rows[0]:
        np.testing.assert_allclose(rows[0][name], rows[1][name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.few(1)
def test_a_reduced_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, elsewhere):
    run, whole, part = reduced_run(tmp_path, monkeypatch), runs.History(), runs.History()
    want = runs.execute(run, whole)
    with Checkpoints(tmp_path / "c", seconds=0) as checkpoints:
        with pytest.raises(KeyboardInterrupt):
            runs.execute(run, part, [interrupt_at(60)], checkpoints)
        runs.save(checkpoints, run, part)
    if elsewhere:  # the other machine's basis
        flip = np.where(np.arange(run.basis.size) % 3, 1, -1).astype(np.float32)[None]
        V = run.start.state.parameters
        state = run.start.state._replace(parameters=V | {"W1": V["W1"] * flip})
        start = runs.run.Start(run.start.X * flip.T, state, ReducedInputs(run.basis.Q * flip))
        run = dataclasses.replace(run, start=start)
    with Checkpoints(tmp_path / "c") as checkpoints:
        run, again = runs.restore(checkpoints, run, pytest.fail)
    assert again.rows == whole.rows[:3]
    got = runs.execute(run, again)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3 if elsewhere else 0, atol=1e-5 if elsewhere else 0)


def test_a_run_that_was_not_reduced_stays_so(tmp_path, monkeypatch):
    """A longer run may pay the reduction that a shorter one did not."""
    run, part = reduced_run(tmp_path, monkeypatch), runs.History()
    with Checkpoints(tmp_path / "c") as checkpoints:
        runs.execute(dataclasses.replace(run.in_all_inputs(), num_iterations=40), part, (), checkpoints)
    with Checkpoints(tmp_path / "c") as checkpoints:
        again, history = runs.restore(checkpoints, run, pytest.fail)
        assert (
            run.basis is not ALL_INPUTS
            and again.basis is ALL_INPUTS
            and [row.iteration for row in history.rows] == [20, 40]
        )
        other = dataclasses.replace(run, settings=dataclasses.replace(run.settings, seed=5))
        with pytest.raises(InputError, match="are of a run with other data or settings"):
            runs.restore(checkpoints, other, pytest.fail)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["40.safetensors"]


def test_the_last_whole_chunk_is_kept_to_continue_from(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxnet.runs.chunks.ROW", 20)
    dataset, settings = drawn_dataset(tmp_path), changed(optimizer="momentum", batch_size=8, keep_prob=0.8)
    short, long = (runs.prepare(dataset, dataclasses.replace(settings, num_iterations=n)) for n in (50, 90))
    whole, part = runs.History(), runs.History()
    want = runs.execute(long, whole)
    with Checkpoints(tmp_path / "c", seconds=1e9) as checkpoints:
        runs.execute(short, part, (), checkpoints)
        runs.save(checkpoints, short, part)  # of 50 steps: the last chunk is half one, and is made anew as a whole
    with Checkpoints(tmp_path / "c") as checkpoints:
        _, again = runs.restore(checkpoints, long, pytest.fail)
    assert [row.iteration for row in again.rows] == [20, 40]
    got = runs.execute(long, again)
    assert again.rows == whole.rows and again.costs == whole.costs
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_failed_reduced_run_has_parameters_of_all_inputs(tmp_path, monkeypatch):
    run = reduced_run(tmp_path, monkeypatch, learning_rate=1e30)
    with pytest.raises(NotFiniteError) as failed:
        runs.execute(run, runs.History())
    assert failed.value.parameters["W1"].shape == run.first.parameters["W1"].shape


def interrupt_at(iteration):
    def stop(progress):
        if progress.iteration == iteration:
            raise KeyboardInterrupt

    return stop
