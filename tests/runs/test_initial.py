"""A model that a run starts from has to be of the same network, inputs and outputs."""

import jax
import numpy as np
import pytest

from jaxnet import Model, Network, initialize_parameters_deep
from jaxnet.data.preprocessing import Preprocessing
from jaxnet.errors import InputError
from jaxnet.runs.initial import first_parameters


STATISTICS = np.ones((12, 1), np.float32)


def drawn_model(seed=0, dims=(12, 5, 3), dtype="float32", **changes) -> Model:
    parameters = initialize_parameters_deep(dims, key=jax.random.key(seed), dtype=dtype)
    network = Network("gelu", "softmax_cross_entropy")
    return Model(parameters, network, (2, 2, 3), ("a", "b", "c"), Preprocessing())._replace(**changes)


def test_the_parameters_are_the_models_in_the_dtype_of_the_run(x64):
    initial = drawn_model()
    for dtype in ("float32", "float64"):
        first = first_parameters(initial, drawn_model(seed=1, dtype=dtype))
        for name, value in initial.parameters.items():
            assert first[name].dtype == dtype
            np.testing.assert_array_equal(first[name], value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"input_shape": (12,)}, r"has input_shape \[12\], and the run \[2, 2, 3\]; bring data of that shape"),
        ({"classes": ("b", "a", "c")}, r"has classes \['b', 'a', 'c'\], and the run .*; bring data with the same"),
        ({"dims": (12, 6, 3)}, r"has layer_dims \[12, 6, 3\], and the run \[12, 5, 3\]; pass --layers"),
        ({"network": Network("relu", "softmax_cross_entropy")}, "has hidden relu, and the run gelu; pass its --hidden"),
        ({"network": Network("gelu", "squared_error")}, "has loss squared_error, and the run softmax_cross_entropy"),
        ({"preprocessing": Preprocessing(1.0, STATISTICS, STATISTICS)}, "on inputs standardised; pass --standardise$"),
        ({"dtype": "float64"}, "is of float64, which float32 would round; pass --dtype float64"),
    ],
)
def test_another_network_is_refused_with_the_remedy(x64, changes, message):
    with pytest.raises(InputError, match=message):
        first_parameters(drawn_model(**changes), drawn_model())
    if "preprocessing" in changes:
        with pytest.raises(InputError, match="on inputs not standardised; pass --no-standardise"):
            first_parameters(drawn_model(), drawn_model(**changes))
