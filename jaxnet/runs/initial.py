"""A trained model as the start of another run: does it fit the data and the settings?"""

import numpy as np

from ..errors import InputError
from ..model import Model, described
from ..parameters import FrozenDict


REMEDIES = {
    "input_shape": "bring data of that shape; --size and --grey decode images to it",
    "features": "pass its --features",
    "classes": "bring data with the same classes in the same order",
    "layer_dims": "pass --layers as the model has them",
    "hidden": "pass its --hidden",
    "loss": "this command cannot train it further",
    "table": "bring a table with the same columns, categories and labels",
}


def first_parameters(initial: Model, drawn: Model) -> FrozenDict:
    """The parameters of the model `initial` for a run that would start from the model `drawn`, in the dtype of that.

    Raises `InputError`, with the remedy, where the two are not the same network of the same inputs and outputs.
    """
    got, expected = described(initial)[0], described(drawn)[0]
    for name, remedy in REMEDIES.items():
        if got.get(name) != expected.get(name):
            raise InputError(
                f"the model of --init-from has {name} {got.get(name)!s:.300}, and the run {expected.get(name)!s:.300}; "
                f"{remedy}"
            )
    if initial.exact_decoding != drawn.exact_decoding:
        raise InputError(
            f"the model of --init-from was {'' if initial.exact_decoding else 'not '}trained with --exact-decoding; "
            f"pass --{'' if initial.exact_decoding else 'no-'}exact-decoding"
        )
    is_standardised, shall_be = (model.preprocessing.mean is not None for model in (initial, drawn))
    if is_standardised != shall_be:
        raise InputError(
            f"the model of --init-from was trained on inputs {'' if is_standardised else 'not '}standardised; pass "
            f"--{'' if is_standardised else 'no-'}standardise"
        )
    dtype = np.asarray(drawn.parameters["W1"]).dtype
    if np.asarray(initial.parameters["W1"]).dtype.itemsize > dtype.itemsize:
        raise InputError(f"the model of --init-from is of float64, which {dtype} would round; pass --dtype float64")
    return FrozenDict({name: value.astype(dtype) for name, value in initial.parameters.items()})
