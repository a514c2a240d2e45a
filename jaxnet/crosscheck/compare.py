"""One array of a gradient beside its reference: which entries are further off than rounding explains."""

import jax.numpy as jnp
import numpy as np

from .report import Cause, LeafCheck, Verdict


ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
LARGEST = {u: float(jnp.finfo(name).max) for name, u in ROUNDOFF.items()}


def compare(
    name: str,
    got: np.ndarray,
    want: np.ndarray,
    unit: np.ndarray,
    bound: float,
    *,
    kind: str = "derived",
    largest: float = np.inf,
) -> LeafCheck:
    """|got - want| <= bound * unit, entry by entry, where `want` is known: not NaN. A rounding changes by a `unit`.

    Equal infinities are equal, and inf is right beyond `largest`, the largest number of the type under test.
    """
    if got.shape != want.shape:
        text = f"shape {got.shape}; expected {want.shape}"
        return LeafCheck(name, got.shape, Verdict.DISAGREE, text, np.inf, np.inf, bound, kind, cause=Cause.SHAPE)
    got, known = got.astype(np.float64), ~np.isnan(want)
    with np.errstate(all="ignore"):
        room = np.abs(want) + bound * np.nan_to_num(unit)
        equal = (got == want) | np.isinf(got) & (np.sign(got) == np.sign(want)) & (room >= largest)
        error = np.where(known & ~equal, np.nan_to_num(np.abs(got - want), nan=np.inf, posinf=np.inf), 0.0)
        # Below the smallest normal number nothing has digits.
        units = error / np.where(known, np.maximum(unit, np.finfo(np.float64).tiny), 1.0)
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(units)), units.shape))
    wrong = int(np.count_nonzero(units > bound))
    text = f"{wrong} of {int(known.sum())} entries are further off than rounding explains" if wrong else ""
    largest_error, most_units = (float(np.max(error)), float(units[worst])) if known.any() else (np.nan, np.nan)
    return LeafCheck(
        name,
        got.shape,
        Verdict.DISAGREE if wrong else Verdict.AGREE,
        text,
        largest_error,
        most_units,
        bound,
        kind,
        worst,
        float(got[worst]),
        float(want[worst]),
        wrong,
        cause=Cause.ROUNDOFF if wrong else Cause.NONE,
        entries=np.where(known, units, np.nan),
    )
