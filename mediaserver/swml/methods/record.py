"""`record`: a recording the script waits for (contract A1).

`direction` has no `both` and there is no `control_id` here (D7): those are `record_call`'s. The
defaults are this method's own and shared with no other surface (D4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import Record
from .kinds import Choice, Flag, Keys, Number, WebUrl
from .method import Method, Parameter


def _build(values: Mapping[str, Any]) -> Record:
    return Record(**values)


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
    ),
    build=_build,
)
