"""What an application may ask of a call, whichever API it asks by (contract A4).

A module for each noun has the orders and what they do; the table here has them all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..exchange import Exchange
from ..resource import CallRecord
from ..services import Services
from .bridging import DisconnectCall, disconnect_call
from .collecting import (
    StartCollect,
    StartInputTimers,
    StopCollect,
    start_collect,
    start_input_timers,
    stop_collect,
)
from .detecting import StartDetection, StopDetection, start_detection, stop_detection
from .dialling import DialCall, dial_call
from .ending import EndCall, EndReason, end_call
from .playing import (
    ChangeVolume,
    PausePlay,
    ResumePlay,
    StartPlay,
    StopPlay,
    change_volume,
    pause_play,
    resume_play,
    start_play,
    stop_play,
)
from .recording import (
    PauseRecording,
    ResumeRecording,
    StartRecording,
    StopRecording,
    pause_recording,
    resume_recording,
    start_recording,
    stop_recording,
)
from .referring import ReferCall, refer_call
from .refusals import CommandRefused, NotThere
from .streaming import StartStream, StopStream, start_stream, stop_stream
from .tapping import StartTap, StopTap, start_tap, stop_tap
from .telling import TellEvent, tell_event
from .updating import TransferCall, UpdateCall, transfer_call, update_call

if TYPE_CHECKING:
    from ..call import Call

__all__ = ["CommandRefused", "Commands", "EndReason", "NotThere"]

Handler = Callable[["Call", Any], Awaitable[None]]
"""Carries an order out on a call that is up. NotThere, CommandRefused, LocalError if it cannot."""

HANDLERS: Final[Mapping[type[Any], Handler]] = MappingProxyType(
    {
        ChangeVolume: change_volume,
        DisconnectCall: disconnect_call,
        EndCall: end_call,
        PausePlay: pause_play,
        PauseRecording: pause_recording,
        ReferCall: refer_call,
        ResumePlay: resume_play,
        ResumeRecording: resume_recording,
        StartCollect: start_collect,
        StartDetection: start_detection,
        StartInputTimers: start_input_timers,
        StartPlay: start_play,
        StartRecording: start_recording,
        StartStream: start_stream,
        StartTap: start_tap,
        StopCollect: stop_collect,
        StopDetection: stop_detection,
        StopPlay: stop_play,
        StopRecording: stop_recording,
        StopStream: stop_stream,
        StopTap: stop_tap,
        TellEvent: tell_event,
        TransferCall: transfer_call,
        UpdateCall: update_call,
    }
)


class Commands:
    """Carries orders out. Each returns the call; raises NotThere, CommandRefused, LocalError."""

    def __init__(self, exchange: Exchange, services: Services) -> None:
        self._exchange = exchange
        self._services = services

    async def dial(self, order: DialCall) -> CallRecord:
        """Place a call."""
        return dial_call(order, self._exchange, self._services).resource

    async def carry_out(self, call_id: str, order: object) -> CallRecord:
        """Do to a call what an order of `HANDLERS` says."""
        call = self._exchange.find(call_id)
        if call is None or call.ended:
            raise NotThere("call")
        await HANDLERS[type(order)](call, order)
        return call.resource
