"""The commands of `POST /api/calling/calls` (contract A4): a module for each noun, one table.

A command is a model of its `params` that says which order of `mediaserver.calls.commands` it is,
and a line in `COMMANDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .bridging import Disconnect
from .collecting import Collect, CollectStartInputTimers, CollectStop
from .detecting import Detect, DetectStop
from .dialling import Dial
from .ending import End
from .part import Params
from .playing import Play, PlayPause, PlayResume, PlayStop, PlayVolume
from .recording import Record, RecordPause, RecordResume, RecordStop
from .referring import Refer
from .streaming import Stream, StreamStop
from .tapping import Tap, TapStop
from .telling import UserEvent
from .updating import Transfer, Update

COMMANDS: Final[Mapping[str, type[Params]]] = MappingProxyType(
    {
        "dial": Dial,
        "update": Update,
        "calling.collect": Collect,
        "calling.collect.start_input_timers": CollectStartInputTimers,
        "calling.collect.stop": CollectStop,
        "calling.detect": Detect,
        "calling.detect.stop": DetectStop,
        "calling.disconnect": Disconnect,
        "calling.end": End,
        "calling.play": Play,
        "calling.play.pause": PlayPause,
        "calling.play.resume": PlayResume,
        "calling.play.stop": PlayStop,
        "calling.play.volume": PlayVolume,
        "calling.record": Record,
        "calling.record.pause": RecordPause,
        "calling.record.resume": RecordResume,
        "calling.record.stop": RecordStop,
        "calling.refer": Refer,
        "calling.stream": Stream,
        "calling.stream.stop": StreamStop,
        "calling.tap": Tap,
        "calling.tap.stop": TapStop,
        "calling.transfer": Transfer,
        "calling.user_event": UserEvent,
    }
)
"""By the name of the command."""
