"""The two families of error: theirs, carrying the answer to give, and ours, a fault to mend.

A parser or a protocol core raises `PeerError` (or a subclass) for anything a peer or a user
sent, and nothing else. `LocalError` is what goes wrong on our side of the wire: a full disk,
a busy port, a setting. An assertion states an invariant of our own code.
"""

from __future__ import annotations


class MediaServerError(Exception):
    """Root of every error this package raises on purpose."""


class PeerError(MediaServerError):
    """What a peer sent cannot be accepted; `status` is the SIP or HTTP status to answer with."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class LocalError(MediaServerError):
    """Something on our side failed: the message is one sentence an operator can act on."""


class ConflictError(LocalError):
    """What was asked cannot be done, and asking again gives the same answer."""


class ConfigError(LocalError):
    """A setting is wrong: `key` names it, the message says what would be right."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem
