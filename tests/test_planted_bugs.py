"""The checker's own test: every planted bug is seen, placed where it was made and called by its name, at one point."""

from functools import cache

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import Network

from . import drawn
from .planted_bugs import CATALOGUE, diagnoses, write


pytestmark = pytest.mark.usefixtures("no_shape_checks")  # which would take as long as the checker itself
NETWORKS = sorted({(bug.hidden, bug.loss, bug.dims, bug.m) for bug in CATALOGUE.values()})
PROMISES = {"deterministic", "structure", "inputs unchanged"}
# Held out when they were written, and seen and placed, but "unknown".
UNNAMED = {
    "db-accumulated": "db2 has db3 added: no fit looks at the other leaves with a factor",
    "w-for-a-prev": "W stands where A_prev belongs",
    "input-centred": "the mean example is subtracted from A_prev",
    "hard-tanh": "a slope of 0 and 1 where that of tanh belongs, which no line of slopes passes through",
    "upper-triangle": "entries of dW are masked, more than a few of them",
    "focal": "an error that is cubed",
    "db-of-the-last-example": "db of one example, not the first; three entries do not tell seven weights",
    "db-largest": "a maximum where the mean belongs",
}


@cache
def point(hidden, loss, dims, m):
    if m in dims:  # where no point shows every error, and the search for it is long
        return drawn.problem(dims, m, loss, seed=1, soft=True)
    return jaxnet.good_point(dims, Network(hidden, loss), key=jax.random.key(1), m=m)


def check(backward, hidden, loss, dims, m, **options):
    X, Y, parameters = point(hidden, loss, dims, m)
    return jaxnet.check_backward(X, Y, parameters, Network(hidden, loss), backward=backward, **options)


@cache
def report(name):
    bug = CATALOGUE[name]
    thorough = not PROMISES.isdisjoint(bug.codes)
    return check(bug.backward, bug.hidden, bug.loss, bug.dims, bug.m, thorough=thorough)


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.few(4)
def test_it_is_seen_where_it_was_made(name):
    assert report(name).verdict is jaxnet.Verdict.DISAGREE
    assert report(name).first_bad == CATALOGUE[name].place


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason=UNNAMED[name], strict=True)) if name in UNNAMED else name
        for name in CATALOGUE
    ],
)
@pytest.mark.few(7)
def test_it_is_called_by_its_name(name):
    assert not diagnoses(report(name)).isdisjoint(CATALOGUE[name].codes), f"\n{report(name)}"


@pytest.mark.parametrize("name", UNNAMED)
@pytest.mark.few(4)
def test_what_has_no_name_is_not_called_by_another(name):
    assert diagnoses(report(name)) == {"unknown"}


def test_the_catalogue_is_larger_than_the_checkers_table():
    assert len(CATALOGUE) >= 60
    assert sum(not bug.listed for bug in CATALOGUE.values()) >= len(CATALOGUE) / 3


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: "-".join(map(str, network[:2])))
@pytest.mark.few(4)
def test_correct_code_raises_no_alarm(network, dtype):
    hidden, *_ = network
    found = check(write(hidden), *network, dtype=dtype, thorough=False)
    assert found.agrees and not found.conventions, f"\n{found}"


@pytest.mark.parametrize("name", ["w-not-transposed", "no-mean-in-db", "tanh-1-plus-a2"])
def test_a_bug_has_the_same_place_under_the_older_keys_of_dA(name):
    bug = CATALOGUE[name]

    def older(AL, Y, caches):
        grads = bug.backward(AL, Y, caches)
        return {f"dA{int(key[2:]) + 1}" if key[1] == "A" else key: value for key, value in grads.items()}

    found = check(older, bug.hidden, bug.loss, bug.dims, bug.m, thorough=False)
    assert (found.first_bad, found.findings[0].code) == (bug.place, bug.codes[0])
    assert "older notebooks" in found.conventions[0]


@pytest.mark.parametrize("name", ["no-mean", "slope-twice", "db-contracted", "weight-decay", "caches-reversed"])
def test_the_grads_of_parameters_are_enough_to_see_it(name):
    bug = CATALOGUE[name]

    def parameters_alone(AL, Y, caches):
        return {key: value for key, value in bug.backward(AL, Y, caches).items() if key[1] != "A"}

    found = check(parameters_alone, bug.hidden, bug.loss, bug.dims, bug.m, thorough=False)
    assert found.verdict is jaxnet.Verdict.DISAGREE and found.first_bad[2:] == bug.place[2:]


@pytest.mark.parametrize("hidden", ["relu", "leaky_relu", "elu"])
def test_either_slope_at_an_exact_zero_is_no_bug(hidden):
    """X = 0 and b = 0 put every Z of one example on the kink."""
    X, Y, parameters = point(hidden, "binary_cross_entropy", (5, 4, 6, 3, 1), 7)
    X = np.where(np.arange(X.shape[1]) == 2, 0.0, X)
    parameters = {name: value if name[0] == "W" else np.zeros_like(value) for name, value in parameters.items()}
    at_zero = write(hidden, {"dZ": lambda s: s.dA * np.where(s.Z >= 0, 1.0, {"relu": 0.0, "leaky_relu": 0.01}[hidden])})
    backward = write(hidden) if hidden == "elu" else at_zero
    assert jaxnet.check_backward(X, Y, parameters, Network(hidden), backward=backward, thorough=False).agrees
