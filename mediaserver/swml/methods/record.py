"""`record`, `record_call`, `stop_record_call` (contract A1).

The script waits for `record`; `record_call` goes on beside it until `stop_record_call`, one of its
own limits, or the end of the call. `record` has no `control_id` and no direction `both` (D7). The
defaults are each method's own and shared with no other surface (D4).

`post_processing` is ours: Enfonica's field of that name, for one recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import Record, RecordCall, StopRecordCall
from .kinds import Choice, Flag, Number
from .method import Method, Parameter
from .texts import Keys, Names, Text, WebUrl

POST_PROCESSING: Final = Parameter("post_processing", Names(("TRIM_SILENCE",)), default=())


def _build(values: Mapping[str, Any]) -> Record:
    return Record(**values)


def _build_call(values: Mapping[str, Any]) -> RecordCall:
    return RecordCall(**values)


def _build_stop(values: Mapping[str, Any]) -> StopRecordCall:
    return StopRecordCall(**values)


RECORD: Final = Method(
    name="record",
    parameters=(
        Parameter("stereo", Flag(), default=False),
        Parameter("format", Choice(("wav", "mp3", "mp4")), default="wav"),
        Parameter("direction", Choice(("speak", "listen")), default="speak"),
        Parameter("terminators", Keys(), default="#"),
        Parameter("beep", Flag(), default=False),
        Parameter("input_sensitivity", Number(0.0, 100.0), default=44.0),
        Parameter("initial_timeout", Number(), default=4.0),
        Parameter("end_silence_timeout", Number(), default=5.0),
        Parameter("max_length", Number(above=0.0)),
        Parameter("status_url", WebUrl()),
        POST_PROCESSING,
    ),
    build=_build,
)

RECORD_CALL: Final = Method(
    name="record_call",
    parameters=(
        Parameter("control_id", Text()),
        Parameter("stereo", Flag(), default=False),
        Parameter("format", Choice(("wav", "mp3", "mp4")), default="wav"),
        Parameter("direction", Choice(("speak", "listen", "both")), default="both"),
        Parameter("terminators", Keys(), default=""),
        Parameter("beep", Flag(), default=False),
        Parameter("input_sensitivity", Number(0.0, 100.0), default=44.0),
        Parameter("initial_timeout", Number(), default=0.0),
        Parameter("end_silence_timeout", Number(), default=0.0),
        Parameter("max_length", Number(above=0.0)),
        Parameter("status_url", WebUrl()),
        POST_PROCESSING,
    ),
    build=_build_call,
)

STOP_RECORD_CALL: Final = Method(
    name="stop_record_call",
    parameters=(Parameter("control_id", Text()),),
    build=_build_stop,
)
