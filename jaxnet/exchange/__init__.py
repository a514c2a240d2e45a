"""Networks to and from other libraries: torch's state dicts, and plain .npz files."""

from .export import about_torch as about_torch, save_npz as save_npz, save_torch as save_torch, to_torch as to_torch
from .load import load_torch as load_torch
