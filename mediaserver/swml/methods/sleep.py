"""`sleep`: wait some milliseconds, or for ever (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import Sleep
from ..limits import MAX_SECONDS
from .kinds import Whole
from .method import Method, Parameter

FOR_EVER: Final = -1


def _build(values: Mapping[str, Any]) -> Sleep:
    milliseconds = values["duration"]
    return Sleep(seconds=None if milliseconds == FOR_EVER else milliseconds / 1000)


SLEEP: Final = Method(
    name="sleep",
    parameters=(
        Parameter(
            "duration",
            Whole(minimum=1, maximum=int(MAX_SECONDS) * 1000, also=FOR_EVER),
            required=True,
        ),
    ),
    shorthand="duration",
    build=_build,
)
