"""Compiled programs are dropped in time, so that a process may train, check and record without end.

JAX keeps thousands of programs. Each takes a megabyte and a few memory maps, of which Linux allows a process 65,530;
beyond that the process ends in a segmentation fault. A loop over optimizers, widths or feedback rules compiles anew in
every turn, and gets there. So `let_go`, called where something long begins, empties JAX's caches if many programs were
compiled since it last did. What is used again is then compiled again: at most one more compilation for each of those.
"""

import jax


PROGRAMS = 512  # compiled between two clearings
MAPS = 2**14  # or this many more memory maps than after the last clearing
LOOKS = 32  # programs compiled between two looks at the maps, each of which takes a millisecond


class _Count:
    """What the process has compiled so far."""

    since_clearing = 0
    since_look = 0
    maps = 0  # after the last clearing


def _count(event: str, duration_secs: float, **_: object) -> None:
    del duration_secs
    if event == "/jax/core/compile/backend_compile_duration":
        _Count.since_clearing += 1
        _Count.since_look += 1


jax.monitoring.register_event_duration_secs_listener(_count)


def let_go() -> None:
    """Calls `jax.clear_caches()` if `PROGRAMS` were compiled, or `MAPS` were taken, since it last did."""
    if _Count.since_look < LOOKS:
        return
    _Count.since_look = 0
    if _Count.since_clearing >= PROGRAMS or memory_maps() - _Count.maps >= MAPS:
        jax.clear_caches()
        _Count.since_clearing, _Count.maps = 0, memory_maps()


def memory_maps() -> int:
    """The number of memory maps of this process; 0 where the system does not list them."""
    try:
        with open("/proc/self/maps", "rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0
