"""What the generator is asked for, what it says meanwhile, and what it tells at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SETTLE = 1.0
"""Seconds between the last call's set-up and the steady state."""

Echo = Literal["none", "prompt", "clip", "partner"]
"""What the server sends back to a stream: nothing, a prompt (one of several, or the first for all),
or what its partner says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked of the generator."""

    streams: int
    stream_first: int
    """First of the ports the streams leave by."""
    seconds: float
    """Length of the steady state."""
    targets: tuple[int, ...] = ()
    """Ports the streams speak to, one each; empty where calls are placed by SIP."""
    echo: Echo = "none"
    wait: bool = False
    """Whether it says `Prepared` and waits for word before the streams begin."""
    standing: int = 0
    """SIP: calls placed at the start, which last until the end; the other streams are kept for
    `Churn`."""
    sip_port: int = 0
    """The server's SIP port."""
    caller_port: int = 0
    setup_rate: float = 0.0
    hold: bool = False
    """SIP: whether it goes on after the steady state, doing each `Churn` it is sent, until it is
    told to `Finish`."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Told when everything is ready to begin."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Sent to let the streams begin."""


@dataclass(frozen=True, slots=True)
class Steady:
    """Told when the steady state begins: it began at `at`, monotonic seconds."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """Sent to have short calls placed beside those that stand."""

    rate: float
    """New calls a second."""
    calls: int
    life: float
    """Seconds from a call's INVITE to its BYE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Churned:
    """Told when every call of a `Churn` is over."""

    answer_seconds: list[float]
    failed: int
    retransmitted: int
    """INVITEs sent again because nothing had come within half a second."""
    late_p99: float
    """Seconds by which a turn of the streams was over late meanwhile."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Sent to have everything ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the server sent to the streams. Lists have one entry a stream."""

    packets: list[int]
    gaps: list[int]
    """Sequence numbers that never came."""
    disordered: int
    """Packets that came twice or behind a later one."""
    strangers: int
    """Packets from a port that belongs to no stream's leg."""
    looked_at: int
    """Streams whose audio was compared, sample by sample."""
    wrong: list[str]
    """What was not right about them."""
    delays: list[float]
    """Seconds a relayed packet came later than it was sent, over those compared, in the steady
    state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Told at the end. Lists have one entry a stream."""

    packets: list[int]
    starts: list[int]
    """Where in the voice each stream began."""
    failures: list[str | None]
    statuses: list[int]
    """Final status of each call's INVITE; 0 where none came or none was sent."""
    patient: int
    """Refusals that said when to try again (Retry-After)."""
    answer_seconds: list[float]
    """Of those calls that were answered and stood from the start."""
    failed_sends: int
    late_p99: float
    """Seconds by which a turn was over late, in the steady state."""
    late_max: float
    busy: float
    """Share of its core that the generator used in the steady state."""
    seconds: float
    """Length of the steady state."""
    sent_in_steady: int
    """Packets."""
    heard: Heard | None = field(default=None)
