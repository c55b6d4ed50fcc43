"""What the generator is asked for, what it says meanwhile, and what it tells at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .options import Options

SETTLE = 3.0
"""Seconds between the last call's set-up and the steady state. A crowd that comes to a server that
was just started has all its memory touched for the first time, which it takes a second to catch up
with."""

Echo = Literal["none", "prompt", "clip", "partner", "bridge"]
"""What the server sends back to a stream: nothing, a prompt (one of several, or the first for all),
or what its partner says: some of them are listened to, or under `bridge` all, from when on it does.
"""


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
    callee_port: int = 0
    """SIP port at which whom the server connects calls on to are; 0: it connects none. Streams come
    in pairs then: an even one calls, the next is called for it."""
    setup_rate: float = 0.0
    hold: bool = False
    """SIP: whether it goes on after the steady state, doing each `Churn` it is sent, until it is
    told to `Finish`."""

    @classmethod
    def by_sip(cls, calls: int, options: Options) -> Load:
        """Return so many calls that are placed at the start, and a stream for each."""
        return cls(
            streams=calls,
            standing=calls,
            stream_first=options.stream_first,
            seconds=options.seconds,
            sip_port=options.sip_port,
            caller_port=options.caller_port,
            setup_rate=options.setup_rate,
        )


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
    delays: NDArray[np.float64]
    """Seconds a relayed packet came later than it was sent, over those compared, in the steady
    state."""
    begins: list[int] = field(default_factory=list)
    """Under `bridge`: samples of what each stream's partner said before what was heard of it; -1
    where nothing was."""
    begins_at: list[float] = field(default_factory=list)
    """When what each stream heard first was sent, monotonic seconds."""


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
    """Of those calls that were answered (or connected on, if all are) and stood from the start."""
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
    began: list[float] = field(default_factory=list)
    """When each stream began, by its packet that left with the least delay; monotonic seconds."""
    answered_at: list[float] = field(default_factory=list)
    """When whom the server called answered, by stream of either; monotonic seconds."""
    heard: Heard | None = field(default=None)
