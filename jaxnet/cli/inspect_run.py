"""The run that an inspected model comes from, as far as its folder shows it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .train_options import settings_of


if TYPE_CHECKING:
    from ..diagnosis import Setup, Symptom


def training_of(path: Path, activation: str, dims: tuple[int, ...]) -> "tuple[Setup | None, tuple[Symptom, ...]]":
    """How the model at `path` was trained, and what was wrong with that, from the files beside it.

    (None, ()) without such files, and beside those of another network: a model may have been moved.
    """
    from ..runs import FILE, Settings, row_symptoms, setup_of
    from ..runs.folder import read_history

    folder = path if path.is_dir() else path.parent
    if not (folder / FILE).is_file():
        return None, ()
    try:
        settings = Settings(**settings_of(argparse.Namespace(), folder / FILE))
    except InputError:
        return None, ()
    if settings.layers not in (None, dims[1:-1]) or settings.hidden != activation:
        return None, ()
    setup, history = setup_of(settings), read_history(folder)
    return setup, () if history is None else row_symptoms(history, setup)
