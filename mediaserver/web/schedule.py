"""When a callback that was not taken is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

READY_DELAYS: Final = (1.0, 2.0, 4.0, 8.0, 60.0, 1800.0, 3600.0, 7200.0)
"""Seconds before each further attempt to tell RECORDING_READY (contract B6)."""

JITTER: Final = 0.2
"""A delay is up to this share longer or shorter: what failed together does not come together."""

MAX_RETRY_AFTER: Final = 86_400.0
"""Seconds a receiver may put us off at a time: a day."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The delays, in seconds, and the chance in them."""

    delays: tuple[float, ...]
    random: Callable[[], float] | None
    """Returns a number from 0 to 1; None: the delays are kept to the letter."""

    def delay(self, failures: int, retry_after: float | None = None) -> float | None:
        """Return the seconds to wait after so many `failures`; None when it is to be given up.

        A receiver can make the wait longer, not shorter.
        """
        if failures > len(self.delays):
            return None
        planned = self.delays[failures - 1]
        if self.random is not None:
            planned *= 1 + JITTER * (2 * self.random() - 1)
        return max(planned, min(retry_after or 0.0, MAX_RETRY_AFTER))


def read_retry_after(header: str | None, now: float) -> float | None:
    """Return the seconds a Retry-After header asks for (RFC 9110 10.2.3); None if it makes none.

    `now` is seconds since 1970, for the form that is a date.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None
