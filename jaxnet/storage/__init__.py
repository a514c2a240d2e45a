"""Safe handling of files: written whole or not at all, and read only after their headers have been checked."""

from .durable import sync as sync
from .machine import free_memory as free_memory, memory as memory, processors as processors
from .untrusted import (
    LISTED as LISTED,
    check_fits as check_fits,
    listed as listed,
    open_file as open_file,
    read_npz as read_npz,
    refuse as refuse,
)
