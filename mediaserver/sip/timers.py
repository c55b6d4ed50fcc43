"""The timers of RFC 3261 section 17 and RFC 6026, by letter (RFC 3261 table 4). Seconds.

Timers A, E and G say when to send again and run over unreliable transports alone. The others
say how long to wait: B, F, H for the other side; D, I, J, K, L, M for stray copies.
"""

from __future__ import annotations

from enum import StrEnum

T1 = 0.5
"""Estimate of a round trip; the first retransmission comes after it (RFC 3261 17.1.1.1)."""

T2 = 4.0
"""The longest wait between two retransmissions (RFC 3261 17.1.2.2)."""

T4 = 5.0
"""The longest time a message stays in the network (RFC 3261 17.1.2.2)."""

PATIENCE = 64 * T1
"""How long anybody waits for anybody: 32 s."""


class Timer(StrEnum):
    """A letter of RFC 3261 table 4; L and M come from RFC 6026."""

    A = "A"
    B = "B"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    H = "H"
    I = "I"  # noqa: E741  the RFC's own letter
    J = "J"
    K = "K"
    L = "L"
    M = "M"


RETRANSMITS = frozenset({Timer.A, Timer.E, Timer.G})
"""These fire again and again while their state lasts; the rest fire once."""

_UNRELIABLE: dict[Timer, float] = {
    Timer.A: T1,  # 17.1.1.2: doubles without bound, B ends it
    Timer.B: PATIENCE,
    Timer.D: 32.0,  # 17.1.1.2: at least 32 s
    Timer.E: T1,  # 17.1.2.2: doubles up to T2
    Timer.F: PATIENCE,
    Timer.G: T1,  # 17.2.1: doubles up to T2
    Timer.H: PATIENCE,
    Timer.I: T4,
    Timer.J: PATIENCE,
    Timer.K: T4,
    Timer.L: PATIENCE,  # RFC 6026 8.11
    Timer.M: PATIENCE,  # RFC 6026 8.4
}

_NO_STRAYS = frozenset({Timer.D, Timer.I, Timer.J, Timer.K})
"""Waits for stray copies: none can come over a reliable transport, so these last 0 s."""


def first(timer: Timer, *, reliable: bool) -> float | None:
    """Seconds until `timer` fires after its start; None when it does not run at all."""
    if not reliable:
        return _UNRELIABLE[timer]
    if timer in RETRANSMITS:
        return None
    return 0.0 if timer in _NO_STRAYS else _UNRELIABLE[timer]


def following(timer: Timer, interval: float) -> float:
    """The interval after `interval` of a retransmission timer."""
    doubled = 2 * interval
    return doubled if timer is Timer.A else min(doubled, T2)
