"""What a machine can hold."""

import os

import pytest

from jaxnet.errors import InputError
from jaxnet.training import validation


@pytest.mark.parametrize("memory, fits", [(4 * 1003, True), (4 * 1003 - 1, False), (None, True)])
def test_a_network_that_the_machine_cannot_hold_is_refused(monkeypatch, memory, fits):
    """5 * 50 + 51 = 301 parameters three times, and 50 units for two examples, are 1003 numbers."""
    monkeypatch.setattr(validation, "machine_memory", lambda: memory)
    if fits:
        return validation.check_memory((4, 50, 1), 2)
    with pytest.raises(InputError, match="layers of 4, 50, 1 units need at least 0.0 GiB for 2 examples"):
        validation.check_memory((4, 50, 1), 2)


@pytest.mark.parametrize("answer", [-1, ValueError, OSError, AttributeError])
def test_a_machine_without_its_memory_is_not_asked_again(monkeypatch, answer):
    def sysconf(name):
        if answer == -1:
            return answer
        raise answer

    monkeypatch.setattr(os, "sysconf", sysconf)
    validation.check_memory((10**9, 10**9), 10**9)
