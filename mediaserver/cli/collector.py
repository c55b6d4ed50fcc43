"""When Python's garbage collector runs: never for long while there is a call.

Nearly everything here is freed by reference counts; the collector is for the few cycles. Left to
itself it goes through every object of the process now and then, and stands still meanwhile: 100 ms
for what a start leaves behind, as much again for every few hundred calls, several ticks of all of
their media each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Final

LOADING: Final = 50_000
"""New objects after which they are gone through while modules are loaded, nearly all of which stay:
a sixth of the start goes into looking at them otherwise."""

YOUNG: Final = 500
"""New objects after which the newest are gone through: some tenths of a millisecond."""

MIDDLE: Final = 4
"""Times the newest were gone through after which those that were left are: a millisecond or two."""

NEVER: Final = 1_000_000_000
"""Times those were, after which all objects are."""

QUIET_CHECK: Final = 600.0
"""Seconds between two looks whether there is no call, and all objects can be gone through."""


MOST_LOUD: Final = 36
"""Looks in a row at which there was a call, six hours, after which they are gone through all the
same: a pause of some tenths of a second is less than memory that grows for ever."""


@contextlib.contextmanager
def while_loading() -> Iterator[None]:
    """Go through objects rarely for as long as modules are loaded."""
    usual = gc.get_threshold()
    gc.set_threshold(LOADING, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def spare_calls() -> None:
    """Leave out what is there now for good, and the old ones from now on. Once, after the start."""
    gc.set_threshold(YOUNG, MIDDLE, NEVER)
    gc.collect()
    gc.freeze()


async def collect_when_quiet(quiet: Callable[[], bool]) -> None:
    """Go through all objects from time to time, whenever `quiet` says that nobody minds.

    Or when it did not for `MOST_LOUD` looks.
    """
    loud = 0
    while True:
        await asyncio.sleep(QUIET_CHECK)
        loud += 1
        if quiet() or loud >= MOST_LOUD:
            gc.collect()
            loud = 0
