"""How many files and sockets the server may have open: as many as it is allowed at all.

The soft limit that processes begin with, often 1024, is there for programs that use `select`.
It would end at two hundred calls.
"""

from __future__ import annotations

import contextlib
import resource
from typing import Final

import structlog

PER_CALL: Final = 4
"""RTP and RTCP, a journal for each direction."""
PER_ENDED_CALL: Final = 2
"""Its ports stay bound for a second."""
OTHERS: Final = 1000
"""Connections of SIP and HTTP, downloads, the database, the encoders' pipes."""

log = structlog.get_logger(__name__)


def raise_limit(calls: int, calls_per_second: int) -> None:
    """Let this process open what it may, and warn if that is too little for so many calls."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    ending = PER_ENDED_CALL * min(calls, calls_per_second)
    needed = PER_CALL * calls + ending + OTHERS
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        log.warning(
            "too few file descriptors for limits.max_calls; raise LimitNOFILE (ulimit -Hn)",
            allowed=allowed,
            needed=needed,
            enough_for_calls=max(0, (allowed - ending - OTHERS) // PER_CALL),
        )
