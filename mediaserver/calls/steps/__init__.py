"""What the steps of a document do to a call: a module for each noun, a table for all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ...swml.actions import (
    Action,
    Answer,
    Connect,
    DetectMachine,
    Hangup,
    HttpRequest,
    JoinConference,
    Play,
    Prompt,
    Record,
    RecordCall,
    SendDigits,
    SipRefer,
    Sleep,
    StopRecordCall,
    StopStream,
    StopTap,
    Stream,
    Tap,
    UserEvent,
)
from ...swml.errors import Code, ScriptError
from .answer import answer
from .connect import connect
from .detect_machine import detect_machine
from .hangup import hang_up
from .join_conference import join_conference
from .play import play
from .prompt import prompt
from .record import record, record_call, stop_record_call
from .request import request
from .send_digits import send_digits
from .sip_refer import sip_refer
from .sleep import sleep
from .stream import stop_stream, stream
from .tap import stop_tap, tap
from .user_event import user_event

if TYPE_CHECKING:
    from ..performance import Performance

Variables = Mapping[str, Any]
Step = Callable[["Performance", Any], Awaitable[Variables]]
"""Carries out an action; returns the variables it sets. CallOver when the call ends meanwhile."""

STEPS: Final[Mapping[type[Any], Step]] = MappingProxyType(
    {
        Answer: answer,
        Connect: connect,
        DetectMachine: detect_machine,
        Hangup: hang_up,
        HttpRequest: request,
        JoinConference: join_conference,
        Play: play,
        Prompt: prompt,
        Record: record,
        RecordCall: record_call,
        SendDigits: send_digits,
        SipRefer: sip_refer,
        Sleep: sleep,
        StopRecordCall: stop_record_call,
        StopStream: stop_stream,
        StopTap: stop_tap,
        Stream: stream,
        Tap: tap,
        UserEvent: user_event,
    }
)


async def perform(performance: Performance, action: Action) -> Variables:
    """Carry out one action; ScriptError, without a path, when this server cannot."""
    step = STEPS.get(type(action))
    if step is None:
        name = type(action).__name__
        raise ScriptError(Code.METHOD_EXECUTE_FAILED, "", f"{name} is not carried out here")
    return await step(performance, action)
