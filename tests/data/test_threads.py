"""What threads that decode share: filters of warnings, and an allowance of memory."""

import threading
import warnings

from jaxnet.data import quiet_decoders
from jaxnet.data.threads import Allowance


def test_filters_of_warnings_are_those_of_before():
    """Threads that enter and leave in any order."""
    before, entered, leave = list(warnings.filters), threading.Event(), threading.Event()

    def inside():
        with quiet_decoders():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=inside)
    with quiet_decoders():
        thread.start()
        entered.wait(60)
    warnings.warn("still silent", stacklevel=1)
    leave.set()
    thread.join()
    assert warnings.filters == before


def test_more_than_all_is_served_alone():
    allowance = Allowance(10)
    with allowance.taking(25):
        assert allowance.free == 0
    with allowance.taking(4), allowance.taking(6):
        assert allowance.free == 0
    assert allowance.free == 10
