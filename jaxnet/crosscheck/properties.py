"""Properties that a gradient has whatever its values are."""

import numpy as np

from .report import ProtocolCheck, Verdict


def promise(name: str, holds: bool, text: str) -> ProtocolCheck:
    """A promise that is kept or not."""
    return ProtocolCheck(name, Verdict.AGREE if holds else Verdict.DISAGREE, "" if holds else text)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Are two arrays the same, entry by entry? NaN is NaN."""
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind not in "OSUV")


def close(a: np.ndarray, b: np.ndarray, room: np.ndarray | float) -> bool:
    """|a - b| <= room, entry by entry; equal infinities are equal, NaN is NaN, and room that is NaN decides nothing."""
    if a.shape != b.shape:
        return False
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        off = ~(np.abs(a - b) <= np.nan_to_num(room, nan=np.inf, posinf=np.inf))
    return not np.any(off & (a != b) & ~(np.isnan(a) & np.isnan(b)))
