"""The adapters of a file tried, one after the other, until one gives a verdict."""

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError
from ..cutting import CutOff, cut_off
from ..foreign import error_text
from .adapters import OWN_DATA, Adapter, adapters
from .source import read_source
from .step import Examined, examine


MOST = 400  # adapters that are tried
LONGEST = 10.0  # seconds of a try
LARGEST = 5000  # examples of a file's own data


class Tried(NamedTuple):
    """An adapter, and what came of it."""

    adapter: Adapter
    examined: Examined | None
    error: str = ""

    @property
    def layers(self) -> int:
        """How many were found."""
        found = None if self.examined is None else self.examined.found
        return 0 if found is None else len(found.layers.W)

    @property
    def rank(self) -> tuple:
        """Larger where more is understood: errors, updates that nothing explains, those that are explained in part."""
        if self.examined is None:
            return 0, 0.0, 0
        found = self.examined.found
        return (1, 0.0, 0) if found is None else (2, self.examined.share, len(found.explained))


def understood(texts: list[str], names: dict[str, Any], file: str, is_late: Callable[[], bool]) -> list[Tried]:
    """For each thing of a file that trains, by name, the adapter under which most of its update is explained."""
    source = read_source(texts)
    best: dict[str, Tried] = {}
    own, arrays = _own_data(names), [n for n, v in names.items() if _holds_arrays(v)]
    several, single = (adapters(source, own, file, arrays, single=single) for single in (False, True))
    # Of one example sums are means, so that it is tried only where nothing else is explained.
    rest = (adapter for adapter in single if not any(tried.rank[0] == 2 for tried in best.values()))
    for adapter in itertools.islice(itertools.chain(several, rest), MOST):
        if is_late():
            break
        group = adapter.subject.split(".")[0]
        if group in best and best[group].rank[1] == 1:
            continue
        tried = _tried(adapter, names)
        if group not in best or tried.rank > best[group].rank:
            best[group] = tried
    explained = [tried for tried in best.values() if tried.rank[0] == 2]
    # Where a network can be checked, its layers by themselves, and half-understood helpers, need no word.
    whole = [tried for tried in explained if tried.layers > 1]
    return whole or explained or sorted(best.values(), key=lambda tried: tried.rank)[-1:]


def _tried(adapter: Adapter, names: dict[str, Any]) -> Tried:
    """It runs where the file ran, and leaves its names as they were."""
    before = dict(names)
    state = np.random.get_state()
    try:
        with cut_off(LONGEST):
            exec(compile("\n".join(adapter.lines), "the adapter", "exec"), names)
            return Tried(adapter, examine(*(names[name] for name in ("one_step", "X", "Y", "weights"))))
    except InputError as error:
        return Tried(adapter, None, str(error))
    except (Exception, CutOff, SystemExit) as error:  # of somebody's code
        return Tried(adapter, None, error_text(error))
    finally:
        np.random.set_state(state)
        names.clear()
        names.update(before)


def _own_data(names: Mapping[str, Any]) -> dict[str, str]:
    """The names of the file's own X and Y, where they are arrays of not too many examples."""
    found = {}
    for role, pattern in OWN_DATA.items():
        for name, value in names.items():
            fits = re.fullmatch(pattern, name.lower().replace("_", "")) and isinstance(value, np.ndarray)
            if fits and 0 < value.size and max(value.shape, default=0) <= LARGEST and value.ndim in (1, 2):
                found.setdefault(role, name)
    return found


def _holds_arrays(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_holds_arrays, value))
    if isinstance(value, dict):
        return bool(value) and all(map(_holds_arrays, value.values()))
    return isinstance(value, np.ndarray) or (isinstance(value, float) and not isinstance(value, bool))
