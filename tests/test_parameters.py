import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.parameters import INITS, FrozenDict

from .drawn import assert_same, problem


TWELVE = [2, *range(1, 12), 1]
KEY = jax.random.key(0)


def names(L):
    return [name for l in range(1, L + 1) for name in (f"W{l}", f"b{l}")]


def test_keys_stand_in_layer_order():
    _, _, parameters = problem(TWELVE, 1)
    assert list(FrozenDict(sorted(parameters.items()))) == names(12)


def test_keys_of_grads_stand_in_layer_order():
    assert list(FrozenDict(loss=0, dW10=0, db2=0, dA1=0, dW2=0, dA0=0)) == ["dA0", "dA1", "dW2", "db2", "dW10", "loss"]


def test_tree_structure_is_not_of_the_order_of_writing():
    a, b = FrozenDict(W1=1.0, b1=2.0), FrozenDict(b1=2.0, W1=1.0)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert jax.tree.leaves(a) == jax.tree.leaves(b) == [1.0, 2.0]


def test_flattening_and_unflattening_give_the_mapping_back():
    parameters = FrozenDict(problem(TWELVE, 1)[2])
    leaves, structure = jax.tree.flatten(parameters)
    again = jax.tree.unflatten(structure, leaves)
    assert isinstance(again, FrozenDict)
    assert all(again[name] is parameters[name] for name in names(12))


def test_key_paths_are_those_of_a_dict():
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(FrozenDict(b1=0, W1=0))]
    assert [jax.tree_util.keystr(path) for path in paths] == ["['W1']", "['b1']"]
    assert paths == [path for path, _ in jax.tree_util.tree_leaves_with_path({"W1": 0, "b1": 0})]


def test_it_reads_as_a_dict():
    mapping = FrozenDict({"b1": 2, "W1": 1})
    assert mapping["W1"] == 1 and len(mapping) == 2 and "b1" in mapping and "W2" not in mapping
    assert dict(mapping) == {**mapping} == {"W1": 1, "b1": 2}
    assert mapping == {"W1": 1, "b1": 2} and mapping != {"W1": 1}
    assert repr(mapping) == "FrozenDict({'W1': 1, 'b1': 2})"
    with pytest.raises(KeyError, match="W3"):
        mapping["W3"]


@pytest.mark.parametrize("other", [{"W1": 3, "W2": 4}, FrozenDict(W1=3, W2=4)])
def test_or_makes_a_new_mapping_in_which_the_right_side_wins(other):
    mapping = FrozenDict(W1=1, b1=2)
    assert mapping | other == FrozenDict(W1=3, b1=2, W2=4)
    assert other | mapping == FrozenDict(W1=1, b1=2, W2=4)
    assert isinstance(mapping | other, FrozenDict) and isinstance(other | mapping, FrozenDict)
    assert mapping == {"W1": 1, "b1": 2} and other == {"W1": 3, "W2": 4}


def test_or_takes_mappings_only(no_shape_checks):
    with pytest.raises(TypeError, match="unsupported operand"):
        FrozenDict(W1=1) | [("W1", 2)]
    with pytest.raises(TypeError, match="unsupported operand"):
        [("W1", 2)] | FrozenDict(W1=1)


def test_assignment_says_what_to_write_instead():
    parameters = before = FrozenDict(W1=1, b1=2)
    with pytest.raises(TypeError) as error:
        parameters["W1"] = 3
    assert error.match(r'`parameters\["W1"\] = value` write `parameters = parameters \| {"W1": value}`')
    with pytest.raises(TypeError) as error:
        del parameters["W1"]
    assert error.match(r'`del parameters\["W1"\]` write `parameters = FrozenDict\(.* if k != "W1"}\)`')
    parameters |= {"W1": 3}
    assert parameters["W1"] == 3 and before["W1"] == 1


def test_what_it_was_made_from_may_change_afterwards():
    source = {"W1": 1}
    mapping = FrozenDict(source)
    source["W1"] = 2
    assert mapping["W1"] == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_equal(duplicate):
    mapping = FrozenDict(problem(TWELVE, 1)[2])
    assert_same(duplicate(mapping), mapping)


def test_a_deep_copy_shares_no_array():
    mapping = FrozenDict(W1=np.zeros(3))
    other = copy.deepcopy(mapping)
    other["W1"][0] = 1
    assert mapping["W1"][0] == 0


def test_jit_and_grad_give_frozen_dicts_back():
    mapping = FrozenDict(b1=jnp.ones(2), W1=jnp.ones(3))
    gradient = jax.jit(jax.grad(lambda p: p["W1"].sum() + 2 * p["b1"].sum()))(mapping)
    assert isinstance(gradient, FrozenDict)
    assert gradient["W1"][0] == 1 and gradient["b1"][0] == 2


def test_layer_dims_reads_the_shapes_of_any_mapping():
    _, _, parameters = problem(TWELVE, 1)
    assert jaxnet.layer_dims(parameters) == jaxnet.layer_dims(FrozenDict(parameters)) == tuple(TWELVE)


def ones(**shapes):
    return {name: np.ones(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({}, "parameters have the keys none; expected W1, b1"),
        (ones(W1=(1, 2)), "parameters have the keys W1; expected W1, b1"),
        (ones(W1=(1, 2), b2=(1, 1)), "parameters have the keys W1, b2; expected W1, b1"),
        (ones(W1=(1, 2), b1=(1, 1), W3=(1, 1), b3=(1, 1)), "keys W1, b1, W3, b3; expected"),
        (ones(W1=(2,), b1=(2, 1)), r"layer 1: W1 has shape \(2,\); expected \(n_1, n_0\)"),
        (ones(W1=(3, 2), b1=(3, 1), W2=(1, 4), b2=(1, 1)), r"layer 2: .* layer 1 has 3 units; .* shape \(1, 3\)"),
        (ones(W1=(3, 2), b1=(3,)), r"layer 1: b1 has shape \(3,\).* expected b1 of shape \(3, 1\), a column"),
        (ones(W1=(3, 2), b1=(2, 1)), r"layer 1: b1 has shape \(2, 1\), but W1 has shape \(3, 2\)"),
    ],
)
def test_layer_dims_names_what_does_not_fit(parameters, message):
    with pytest.raises(jaxnet.InputError, match=message):
        jaxnet.layer_dims(parameters)


@pytest.mark.parametrize("parameters", [np.ones((1, 4)), [("W1", 1)], None])
def test_parameters_that_are_no_mapping_are_told(parameters, no_shape_checks):
    kind = type(parameters).__name__
    with pytest.raises(
        jaxnet.InputError, match=f"of type {kind}; expected a mapping of W1, b1, .*order of the arguments"
    ):
        jaxnet.layer_dims(parameters)


@pytest.mark.parametrize("dims", [(5, 1), [5, 4, 3], np.array([5, 4, 3])])
def test_initialization_has_layer_dims_and_zero_biases(dims, no_shape_checks):
    parameters = jaxnet.initialize_parameters_deep(dims, key=KEY)
    assert isinstance(parameters, FrozenDict)
    assert jaxnet.layer_dims(parameters) == tuple(dims)
    assert not any(parameters[f"b{l}"].any() for l in range(1, len(dims)))


@pytest.mark.parametrize("init, std", [("lecun", 400**-0.5), ("he", 200**-0.5), ("xavier", 250**-0.5), (0.01, 0.01)])
def test_inits_are_the_standard_deviation_of_the_weights(init, std):
    W = jaxnet.initialize_parameters_deep([400, 100], key=KEY, init=init)["W1"]
    N = W.size
    assert abs(jnp.std(W) / std - 1) < 5 / np.sqrt(2 * N)  # five standard errors
    assert abs(jnp.mean(W) / std) < 5 / np.sqrt(N)


def test_every_named_init_is_described():
    assert all(f'"{name}"' in jaxnet.initialize_parameters_deep.__doc__ for name in INITS)


def test_initialization_draws_each_layer_from_the_key():
    parameters = jaxnet.initialize_parameters_deep([3, 3, 3], key=KEY)
    assert_same(parameters, jaxnet.initialize_parameters_deep([3, 3, 3], key=KEY))
    other = jaxnet.initialize_parameters_deep([3, 3, 3], key=jax.random.key(1))
    assert not np.intersect1d(parameters["W1"], [parameters["W2"], other["W1"], other["W2"]]).size


@pytest.mark.parametrize("dtype", [None, np.float32, np.float64, jnp.bfloat16])
@pytest.mark.parametrize("init", ["he", 0.01])
def test_initialization_has_the_dtype_asked_for(x64, dtype, init):
    parameters = jaxnet.initialize_parameters_deep([3, 2, 1], key=KEY, init=init, dtype=dtype)
    assert {value.dtype for value in parameters.values()} == {np.dtype(dtype or float)}


@pytest.mark.parametrize("dims", [[], [3], [3, 0], [3, -1, 1], [3, 1.5], ["3", "1"]])
def test_initialization_needs_two_positive_integers(dims, no_shape_checks):
    with pytest.raises(jaxnet.InputError, match="expected at least two positive integers"):
        jaxnet.initialize_parameters_deep(dims, key=KEY)


def test_an_unknown_init_raises_and_lists_the_known_ones():
    with pytest.raises(
        jaxnet.InputError, match="init is 'glorot'; expected a number from 0 or one of lecun, he, xavier"
    ):
        jaxnet.initialize_parameters_deep([2, 1], key=KEY, init="glorot")
