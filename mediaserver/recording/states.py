"""The life of a recording as one table, and its name on each public contract.

A recording is *recording* from the sample it starts at. It may be *paused* and go back. Whatever
ends it, its audio is in the journal and it is *rendering* until the file is on disk. Three states
are final: *finished* (a file with something in it), *no_input* (nobody spoke: the initial timeout
passed, or the audio is silent throughout) and *error* (no file can be made). Every final state is
announced, exactly once, in the transaction that sets it.

====================  =====================  ======================  ==============
state here            SignalWire `state`     `record_result`         Enfonica `state`
====================  =====================  ======================  ==============
recording             recording                                      PENDING
paused                paused                                         PENDING
rendering             (not announced)                                PENDING
finished              finished               success                 SUCCEEDED
no_input              no_input               failed                  EMPTY
error                 error                  failed                  FAILED
====================  =====================  ======================  ==============
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a recording is in its life; the value is what the database keeps."""

    RECORDING = "recording"
    PAUSED = "paused"
    RENDERING = "rendering"
    FINISHED = "finished"
    NO_INPUT = "no_input"
    ERROR = "error"


class StopReason(StrEnum):
    """What ended a recording."""

    TERMINATOR = "terminator"
    INITIAL_TIMEOUT = "initial_timeout"
    END_SILENCE = "end_silence"
    MAX_LENGTH = "max_length"
    COMMAND = "command"
    HANGUP = "hangup"
    RESTART = "restart"


class ErrorCode(StrEnum):
    """Why a recording is in `State.ERROR`, as Enfonica's `errorCode` spells it."""

    TIMEOUT = "TIMEOUT"
    INTERNAL_ERROR = "INTERNAL_ERROR"


FINAL: Final = frozenset({State.FINISHED, State.NO_INPUT, State.ERROR})

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.RECORDING: frozenset({State.PAUSED, State.RENDERING, State.ERROR}),
        State.PAUSED: frozenset({State.RECORDING, State.RENDERING, State.ERROR}),
        State.RENDERING: FINAL,
        State.FINISHED: frozenset(),
        State.NO_INPUT: frozenset(),
        State.ERROR: frozenset(),
    }
)

ENFONICA_STATE: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.RECORDING: "PENDING",
        State.PAUSED: "PENDING",
        State.RENDERING: "PENDING",
        State.FINISHED: "SUCCEEDED",
        State.NO_INPUT: "EMPTY",
        State.ERROR: "FAILED",
    }
)

SWML_RESULT: Final[Mapping[State, str]] = MappingProxyType(
    {State.FINISHED: "success", State.NO_INPUT: "failed", State.ERROR: "failed"}
)


def swml_result(state: State, reason: StopReason | None) -> str:
    """Return `record_result`; while the files are being made, what it will be most likely."""
    presumed = "failed" if reason is StopReason.INITIAL_TIMEOUT else "success"
    return SWML_RESULT.get(state, presumed)


def check_transition(old: State, new: State) -> None:
    """Assert that the table above allows `old` to become `new`."""
    assert new in TRANSITIONS[old], f"a recording cannot go from {old} to {new}"
