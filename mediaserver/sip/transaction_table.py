"""The four transaction machines of RFC 3261 section 17 as corrected by RFC 6026.

A transaction is one request and everything that answers it. It hides loss: it sends again what
the other side may not have got, and swallows the copies that come of it. Each machine is a
table from (state, what happened) to (next state, what to do). What is not in the table is
ignored in that state. "What happened" reads alike on both sides: `R2XX` means that a 2xx
passes the machine, upwards from the wire at a client, downwards from the user at a server.

INVITE differs from all other methods because a human may take a minute to answer. Its
requests stop being sent again at the first 1xx, and its final response is acknowledged:
by the client transaction itself for 300-699, end to end by the user for 2xx. RFC 6026 keeps
the transaction of an accepted INVITE alive in ACCEPTED, so that a late copy of the INVITE is
not mistaken for a new call (server) and each copy of the 2xx reaches the user (client).

Timers belong to states. Entering a state starts the timers listed for it in `TIMERS`, unless
they run already, and leaving it stops those that the next state does not list too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from mediaserver.sip.timers import Timer


class State(Enum):
    """Where a transaction is; the names are the RFC's."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()


class Input(Enum):
    """What happens to a transaction, timers aside."""

    REQUEST = auto()
    """A copy of the request arrived (servers)."""
    ACK = auto()
    """An ACK arrived (INVITE servers)."""
    R1XX = auto()
    R2XX = auto()
    R3XX_6XX = auto()
    TRANSPORT_ERROR = auto()


class Do(Enum):
    """What a move asks of the layer."""

    SEND = auto()
    """Send the request (clients) or the latest response (servers), first time or again."""
    ACK = auto()
    """Acknowledge a 300-699 within the transaction (RFC 3261 17.1.1.3)."""
    PASS = auto()
    """Hand the message to the user."""
    TIMEOUT = auto()
    """Tell the user that nobody answered, or that nobody acknowledged."""
    FAIL = auto()
    """Tell the user that the transport failed."""


@dataclass(frozen=True, slots=True)
class Move:
    """One entry of a table."""

    to: State
    do: tuple[Do, ...] = ()


Table = Mapping[tuple[State, Input | Timer], Move]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine: where it starts, how it moves, and which timers run where."""

    start: State
    table: Table
    timers: Mapping[State, tuple[Timer, ...]]


_S = State

INVITE_CLIENT = Machine(
    start=_S.CALLING,
    table={
        # RFC 3261 17.1.1.2, figure 5; RFC 6026 section 8.4 for ACCEPTED
        (_S.CALLING, Timer.A): Move(_S.CALLING, (Do.SEND,)),
        (_S.CALLING, Timer.B): Move(_S.TERMINATED, (Do.TIMEOUT,)),
        (_S.CALLING, Input.TRANSPORT_ERROR): Move(_S.TERMINATED, (Do.FAIL,)),
        (_S.CALLING, Input.R1XX): Move(_S.PROCEEDING, (Do.PASS,)),
        (_S.CALLING, Input.R2XX): Move(_S.ACCEPTED, (Do.PASS,)),
        (_S.CALLING, Input.R3XX_6XX): Move(_S.COMPLETED, (Do.ACK, Do.PASS)),
        (_S.PROCEEDING, Input.R1XX): Move(_S.PROCEEDING, (Do.PASS,)),
        (_S.PROCEEDING, Input.R2XX): Move(_S.ACCEPTED, (Do.PASS,)),
        (_S.PROCEEDING, Input.R3XX_6XX): Move(_S.COMPLETED, (Do.ACK, Do.PASS)),
        # A lost connection ends the hope for a final response to come over it.
        (_S.PROCEEDING, Input.TRANSPORT_ERROR): Move(_S.TERMINATED, (Do.FAIL,)),
        (_S.COMPLETED, Input.R3XX_6XX): Move(_S.COMPLETED, (Do.ACK,)),
        (_S.COMPLETED, Input.TRANSPORT_ERROR): Move(_S.TERMINATED),
        (_S.COMPLETED, Timer.D): Move(_S.TERMINATED),
        (_S.ACCEPTED, Input.R2XX): Move(_S.ACCEPTED, (Do.PASS,)),
        (_S.ACCEPTED, Timer.M): Move(_S.TERMINATED),
    },
    timers={
        _S.CALLING: (Timer.A, Timer.B),
        _S.COMPLETED: (Timer.D,),
        _S.ACCEPTED: (Timer.M,),
    },
)

CLIENT = Machine(
    start=_S.TRYING,
    table={
        # RFC 3261 17.1.2.2, figure 6
        (_S.TRYING, Timer.E): Move(_S.TRYING, (Do.SEND,)),
        (_S.TRYING, Timer.F): Move(_S.TERMINATED, (Do.TIMEOUT,)),
        (_S.TRYING, Input.TRANSPORT_ERROR): Move(_S.TERMINATED, (Do.FAIL,)),
        (_S.TRYING, Input.R1XX): Move(_S.PROCEEDING, (Do.PASS,)),
        (_S.TRYING, Input.R2XX): Move(_S.COMPLETED, (Do.PASS,)),
        (_S.TRYING, Input.R3XX_6XX): Move(_S.COMPLETED, (Do.PASS,)),
        (_S.PROCEEDING, Timer.E): Move(_S.PROCEEDING, (Do.SEND,)),
        (_S.PROCEEDING, Timer.F): Move(_S.TERMINATED, (Do.TIMEOUT,)),
        (_S.PROCEEDING, Input.TRANSPORT_ERROR): Move(_S.TERMINATED, (Do.FAIL,)),
        (_S.PROCEEDING, Input.R1XX): Move(_S.PROCEEDING, (Do.PASS,)),
        (_S.PROCEEDING, Input.R2XX): Move(_S.COMPLETED, (Do.PASS,)),
        (_S.PROCEEDING, Input.R3XX_6XX): Move(_S.COMPLETED, (Do.PASS,)),
        (_S.COMPLETED, Timer.K): Move(_S.TERMINATED),
    },
    timers={
        _S.TRYING: (Timer.E, Timer.F),
        _S.PROCEEDING: (Timer.E, Timer.F),
        _S.COMPLETED: (Timer.K,),
    },
)

INVITE_SERVER = Machine(
    start=_S.PROCEEDING,
    table={
        # RFC 3261 17.2.1, figure 7; RFC 6026 section 8.7 for ACCEPTED
        (_S.PROCEEDING, Input.REQUEST): Move(_S.PROCEEDING, (Do.SEND,)),
        (_S.PROCEEDING, Input.R1XX): Move(_S.PROCEEDING, (Do.SEND,)),
        (_S.PROCEEDING, Input.R2XX): Move(_S.ACCEPTED, (Do.SEND,)),
        (_S.PROCEEDING, Input.R3XX_6XX): Move(_S.COMPLETED, (Do.SEND,)),
        (_S.COMPLETED, Input.REQUEST): Move(_S.COMPLETED, (Do.SEND,)),
        (_S.COMPLETED, Input.ACK): Move(_S.CONFIRMED),
        (_S.COMPLETED, Timer.G): Move(_S.COMPLETED, (Do.SEND,)),
        (_S.COMPLETED, Timer.H): Move(_S.TERMINATED, (Do.TIMEOUT,)),
        (_S.CONFIRMED, Timer.I): Move(_S.TERMINATED),
        # The user repeats the 2xx itself, so a copy of the INVITE needs no answer here.
        (_S.ACCEPTED, Input.R2XX): Move(_S.ACCEPTED, (Do.SEND,)),
        (_S.ACCEPTED, Input.ACK): Move(_S.ACCEPTED, (Do.PASS,)),
        (_S.ACCEPTED, Timer.L): Move(_S.TERMINATED),
        # RFC 6026 8.8: a transport error changes no state; timer H or L ends it in time.
    },
    timers={
        _S.COMPLETED: (Timer.G, Timer.H),
        _S.CONFIRMED: (Timer.I,),
        _S.ACCEPTED: (Timer.L,),
    },
)

SERVER = Machine(
    start=_S.TRYING,
    table={
        # RFC 3261 17.2.2, figure 8
        (_S.TRYING, Input.R1XX): Move(_S.PROCEEDING, (Do.SEND,)),
        (_S.TRYING, Input.R2XX): Move(_S.COMPLETED, (Do.SEND,)),
        (_S.TRYING, Input.R3XX_6XX): Move(_S.COMPLETED, (Do.SEND,)),
        (_S.PROCEEDING, Input.REQUEST): Move(_S.PROCEEDING, (Do.SEND,)),
        (_S.PROCEEDING, Input.R1XX): Move(_S.PROCEEDING, (Do.SEND,)),
        (_S.PROCEEDING, Input.R2XX): Move(_S.COMPLETED, (Do.SEND,)),
        (_S.PROCEEDING, Input.R3XX_6XX): Move(_S.COMPLETED, (Do.SEND,)),
        (_S.COMPLETED, Input.REQUEST): Move(_S.COMPLETED, (Do.SEND,)),
        (_S.COMPLETED, Timer.J): Move(_S.TERMINATED),
    },
    timers={_S.COMPLETED: (Timer.J,)},
)


def response_input(status: int) -> Input:
    """The input that a response of this status is."""
    if status < 200:
        return Input.R1XX
    return Input.R2XX if status < 300 else Input.R3XX_6XX
